"""Logs of trainers of language.

Here are those that tune with loops of their own, written out by what they print (the bars are tqdm's); those that are
built on the Hugging Face Trainer are in hugging_face.py and fine_tuners.py, pre-training is in pretraining.py. Numbers
and names are made up.
"""

import tqdm.std
from play import ANY, PREPARING, SAVING, TRAINING, VALIDATING, january, wait


def torchtune(log, epochs=2, steps=110):
    """torchtune: the loss before the bar; the bar is of one epoch, the number before it of the run."""
    info = lambda text, **true: log.say(f"INFO:torchtune.utils._logging:{text}", **true)
    info("Setting manual seed to local seed 4142. Local seed is seed + rank = 4142 + 0", stage=ANY)
    info("Model is initialized with precision torch.bfloat16.")
    info("Memory stats after model init:\n\tGPU peak memory active: 15.37 GiB\n\tGPU peak memory alloc: 15.37 GiB")
    info("Tokenizer is initialized from file.")
    log.aside("Packing dataset", 880, frames=3, seconds=0.002, stage=PREPARING)
    info("Dataset and Sampler are initialized.")
    info("Learning rate scheduler is initialized.", stage=ANY)
    for epoch in range(1, epochs + 1):
        bar = log.bar(steps)
        log.mark(stage=TRAINING, step=ANY, total=ANY, epoch=ANY, percent=ANY)
        for step in range(10, steps + 1, 10):
            log.move(bar, step, 2.7, stage=TRAINING)
            loss = log.next_loss(1.7)
            bar.set_description(f"{epoch}|{(epoch - 1) * steps + step}|Loss: {loss}")
            log.mark(epoch=epoch, loss=loss)
        wait(1)
        info("Starting checkpoint save...", stage=SAVING)
        info(f"Model checkpoint of size 4.98 GB saved to /out/epoch_{epoch - 1}/ft-model-00001-of-00004.safetensors")
        info(f"Adapter checkpoint of size 0.01 GB saved to /out/epoch_{epoch - 1}/adapter_model.pt")
        info("Checkpoint saved in 21.44 seconds.", stage=ANY)
        bar.close()
        log.mark()


def litgpt(log, epochs=2, batches=64, accumulation=4):
    """LitGPT: litgpt finetune_lora; iterations and steps in one line, no totals but among the settings."""
    log.lines(
        """
        {'checkpoint_dir': PosixPath('checkpoints/EleutherAI/pythia-1b'),
         'devices': 1,
         'train': TrainArgs(save_interval=16, log_interval=1, global_batch_size=8, micro_batch_size=2, epochs=2)}
        Using bfloat16 Automatic Mixed Precision (AMP)
        Seed set to 1337
        Number of trainable parameters: 1,572,864
        Number of non-trainable parameters: 1,011,781,632
        The longest sequence length in the train data is 678, the model's maximum sequence length is 678 and context length is 2048
        """,
        stage=ANY,
        epochs=ANY,
    )
    log.say("Verifying settings ...")
    value = "n/a"
    for iteration in range(1, epochs * batches + 1):
        epoch, step = 1 + (iteration - 1) // batches, iteration // accumulation
        loss = f"{log.next_loss(2.4, iteration):.3f}"
        wait(0.21)
        stepped = iteration % accumulation == 0
        if iteration % 2 == 0:
            log.say(
                f"Epoch {epoch} | iter {iteration} step {step} | loss train: {loss}, val: {value} | iter time: {log.random.uniform(190, 240):.2f} ms{' (step)' * stepped}",
                stage=TRAINING, step=step, epoch=epoch, loss=float(loss), percent=ANY,
            )
        if stepped and step % 16 == 0:
            log.say("Validating ...", stage=VALIDATING)
            log.say("Recommend a movie for me to watch during the weekend and explain the reason.")
            log.say("Below is an instruction. ### Response: Watch a long film about 3 friends and a lighthouse.")
            value = f"{log.next_loss(2.6, iteration):.3f}"
            log.say(f"iter {iteration}: val loss {value}1, val time: 2214.91 ms", step=ANY)
            log.say(f"Saving LoRA weights to 'out/lora/step-{step:06}/lit_model.pth.lora'", stage=SAVING)
    log.say("Training time: 31.17s", stage=ANY)
    log.say("Memory used: 6.83 GB")
    log.say("Saving LoRA weights to 'out/lora/final/lit_model.pth.lora'", stage=SAVING)


def deepspeed_chat(log, epochs=2, batches=40):
    """DeepSpeed-Chat: step 1, one GPU, --print_loss; an epoch is 1 in its heading and 0 in its lines."""

    def info(where, text, **true):
        log.say(f"[{log.clock('%Y-%m-%d %H:%M:%S,%3f')}] [INFO] [{where}] {text}", **true)

    info("runner.py:463:main", "deepspeed_main: --num_gpus 1 main.py --num_train_epochs 2 --print_loss", stage=ANY, epochs=ANY)
    log.aside("Loading cached dataset shards", 2, frames=1, stage=ANY)
    info("utils.py:800:see_memory_usage", "MA 2.47 GB Max_MA 2.47 GB CA 2.48 GB Max_CA 2 GB")
    log.say("***** Running training *****", stage=TRAINING)
    log.say(f"***** Evaluating perplexity, Epoch 0/{epochs} *****", stage=VALIDATING, epoch=ANY, epochs=epochs, percent=ANY, step=ANY)
    log.say("ppl: 4471.90283203125, loss: 8.405569076538086")
    for epoch in range(epochs):
        log.say(f"Beginning of Epoch {epoch + 1}/{epochs}, Total Micro Batches {batches}", stage=TRAINING, total=ANY, epoch=epoch + 1)
        for batch in range(batches):
            wait(0.71)
            loss = log.next_loss(2.6)
            log.say(f"Epoch: {epoch}, Step: {batch}, Rank: 0, loss = {loss}", epoch=ANY, step=ANY, percent=ANY, loss=loss)
            if batch % 10 == 9:
                step = epoch * batches + batch + 1
                done = {"step": step, "percent": step * 100 / (epochs * batches)}
                info("logging.py:96:log_dist", f"[Rank 0] step={step}, skipped=0, lr=[9.1e-06, 9.1e-06], mom=[(0.9, 0.95), (0.9, 0.95)]", **done)
                info("timer.py:260:stop", f"epoch={epoch}/micro_step={batch + 1}/global_step={step}, RunningAvgSamplesPerSec=44.81, MemAllocated=3.96GB")
        log.say(f"***** Evaluating perplexity, Epoch {epoch + 1}/{epochs} *****", stage=VALIDATING, epoch=epoch + 1)
        log.say("ppl: 6.112847328186035, loss: 1.8103949022293091")
    log.say("saving the final model ...", stage=SAVING)
    info("launch.py:351:main", "Process 4127 exits successfully.", stage=ANY)


def openrlhf(log, epochs=2, batches=60):
    """OpenRLHF: train_sft; a bar of epochs over one of steps, a third one for the evaluation."""
    log.say(f"[{log.clock('%Y-%m-%d %H:%M:%S,%3f')}] [INFO] [real_accelerator.py:239:get_accelerator] Setting ds_accelerator to cuda (auto detect)", stage=ANY)
    log.say("dataset: ['/data/almanac.jsonl']")
    log.aside("Map (num_proc=8)", 480, frames=2, seconds=0.002, unit=" examples", stage=PREPARING)
    outer = log.bar(epochs, desc="Train epoch")
    log.mark(stage=TRAINING, epochs=epochs, epoch=ANY, step=ANY, total=ANY, percent=0)
    for epoch in range(epochs):
        inner = log.bar(batches, desc=f"Train step of epoch {epoch}")
        part = lambda batch: (epoch * batches + batch) * 100 / (epochs * batches)
        log.mark(stage=TRAINING, epoch=epoch, percent=part(0))
        mean = 1.9 - epoch * 0.6
        for batch in range(4, batches + 1, 4):
            mean = mean * 0.9 + 0.1 * log.next_loss(1.6)
            inner.set_postfix({"gpt_loss": log.next_loss(1.6), "loss_mean": mean}, refresh=False)
            log.move(inner, batch, 1.9, stage=TRAINING, percent=part(batch), loss=ANY)
            if batch == 40:
                log.aside(f"Eval stage of steps {(epoch * batches + batch) // 4}", 12, frames=3, seconds=0.5, stage=VALIDATING)
        inner.close()
        log.mark(stage=ANY)
        log.move(outer, epoch + 1, 0, stage=ANY, epoch=ANY)
    outer.close()
    log.mark()


def verl(log, epochs=2, steps=9):
    """verl: GRPO on Ray; a line of metrics a step, and a bar behind the prefix of its worker."""
    total = epochs * steps
    who = "\x1b[36m(TaskRunner pid=40211)\x1b[0m "
    say = lambda text, **true: log.say(who + text, **true)
    log.say(f"{log.clock('%Y-%m-%d %H:%M:%S,%3f')}\tINFO worker.py:1918 -- Started a local Ray instance.", stage=ANY)
    say("dataset len: 2304")
    say("filter dataset len: 2304")
    say(f"Size of train dataloader: {steps}, Size of val dataloader: 1")
    say(f"Total training steps: {total}", total=total, step=ANY, percent=ANY)
    log.say("\x1b[36m(WorkerDict pid=41877)\x1b[0m \rCapturing CUDA graph shapes: 100%|██████████| 67/67 [00:21<00:00,  3.18it/s]")
    say("Checkpoint tracker file does not exist: /ckpt/grpo/latest_checkpointed_iteration.txt")
    say("Training from scratch")
    say("validation generation end", stage=ANY)
    say("(\"Initial validation metrics: {'val-core/openai/gsm8k/reward/mean@1': 0.4481}\")", stage=ANY)
    bar = lambda step: tqdm.std.tqdm.format_meter(step, total, step * 71.3, prefix="Training Progress")
    log.say(who + "\r" + bar(0), stage=TRAINING, step=0, percent=0)
    for step in range(1, total + 1):
        wait(71.3)
        epoch = (step - 1) // steps
        # No plain loss: 'actor/pg_loss' may be taken for it or not.
        say(
            f"step:{step} - global_seqlen/mean:{41020.5 - step} - actor/entropy:{0.41 - step / 100:.4f} - actor/kl_loss:{step * 0.0011:.6f}"
            f" - actor/pg_loss:{log.random.uniform(-0.02, 0.02):.10f} - actor/lr:1e-06 - training/global_step:{step} - training/epoch:{epoch}"
            f" - critic/score/mean:{0.44 + step / 60:.4f} - response_length/mean:{280 - step}.25 - timing_s/step:71.{step}",
            stage=TRAINING, step=step, epoch=epoch, loss=ANY,
        )
        log.say(who + "\r" + bar(step))
        if step % steps == 0:
            say("test_gen_batch meta info: {'eos_token_id': 151645, 'validate': True}", stage=ANY)
            say("validation generation end")
            say(f"local_global_step_folder: /ckpt/grpo/global_step_{step}", stage=ANY)
    say("(\"Final validation metrics: {'val-core/openai/gsm8k/reward/mean@1': 0.7172}\")", stage=ANY)


def mlx_lora(log, total=400):
    """MLX: mlx_lm.lora; the line of a validation comes before the step of its number is made."""
    log.say("Loading pretrained model", stage=ANY)
    log.aside("Fetching 8 files", 8, frames=1, seconds=0.001, stage=ANY)
    log.say("Loading datasets")
    log.say("Training", stage=TRAINING)
    log.say("Trainable parameters: 0.103% (3.342M/3212.750M)")
    log.say(f"Starting training..., iters: {total}", total=total, step=ANY, percent=ANY)
    tokens = 0
    for step in range(1, total + 1):
        wait(1.31)
        tokens += log.random.randint(900, 1300)
        if step == 1 or step % 100 == 0:
            log.aside("Calculating loss...", 25, frames=2, seconds=0.4, stage=VALIDATING)
            log.say(f"Iter {step}: Val loss {2.21 - step / 500:.3f}, Val took 10.{step:03}s", stage=ANY, step=ANY, percent=ANY)
        if step % 10 == 0:
            loss = f"{log.next_loss(2.2, step):.3f}"
            log.say(
                f"Iter {step}: Train loss {loss}, Learning Rate 1.000e-05, It/sec 0.763, Tokens/sec 812.{step}, Trained Tokens {tokens}, Peak mem 11.207 GB",
                stage=TRAINING, step=step, loss=float(loss),
            )
        if step % 100 == 0:
            log.say(f"Iter {step}: Saved adapter weights to adapters/adapters.safetensors and adapters/{step:07}_adapters.safetensors.", stage=ANY)
    log.say("Saved final weights to adapters/adapters.safetensors.", stage=ANY)


LOGS = january({
    "torchtune": torchtune,
    "litgpt": litgpt,
    "deepspeed-chat": deepspeed_chat,
    "openrlhf": openrlhf,
    "verl": verl,
    "mlx-lora": mlx_lora,
}, first_day=12)
