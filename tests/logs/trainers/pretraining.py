"""Logs of trainers that make a model from nothing: Megatron-LM, NeMo, nanoGPT, OLMo, Composer."""

from play import ANY, SAVING, TRAINING, VALIDATING, january, wait


def megatron_lm(log, total=2000):
    """Megatron-LM: pretrain_gpt.py; iterations, an evaluation and a checkpoint at each half."""
    log.lines(
        """
        using world size: 8, data-parallel size: 4, context-parallel size: 1, tensor-model-parallel size: 2, pipeline-model-parallel size: 1
        ------------------------ arguments ------------------------
          eval_interval ................................... 1000
          train_iters ..................................... 2000
        -------------------- end of arguments ---------------------
        > building GPT2BPETokenizer tokenizer ...
        """,
        stage=ANY,
        total=ANY,
    )
    log.lines(
        """
        > building train, validation, and test datasets for GPT ...
         > number of parameters on (tensor, pipeline) model parallel rank (0, 0): 203886592
        """,
        stage=ANY,
    )
    log.say("training ...", stage=TRAINING)
    log.say(f"[before the start of training step] datetime: {log.clock()} ")
    for step in range(100, total + 1, 100):
        wait(41.6)
        loss = f"{log.next_loss(9.1, step // 8):.6E}"
        log.say(
            f" [{log.clock()}] iteration {step:8}/{total:8} | consumed samples: {step * 256:12} | elapsed time per iteration (ms): 415.{step % 10}"
            f" | learning rate: 1.412E-04 | global batch size:   256 | lm loss: {loss} | loss scale: 1.0 | grad norm: 0.417"
            f" | number of skipped iterations:   0 | number of nan iterations:   0 |",
            stage=TRAINING, step=step, total=total, loss=float(loss),
        )
        if step % 1000 == 0:
            log.say("Evaluating on 2560 samples", stage=VALIDATING)
            log.say("(min, max) time across ranks (ms):\n    evaluate .......................................: (9441.08, 9442.37)", stage=ANY)
            log.say("-" * 96)
            log.say(f" validation loss at iteration {step} | lm loss value: 3.{step}17E+00 | lm loss PPL: 3.091782E+01 | ")
            log.say("-" * 96)
            log.say(f"saving checkpoint at iteration {step:7} to /ckpt/gpt in torch_dist format", stage=SAVING)
            log.say(f"  successfully saved checkpoint from iteration {step:7} to /ckpt/gpt [ t 1/2, p 1/1 ]", stage=ANY)
    log.say(f"[after training is done] datetime: {log.clock()} ", stage=ANY)


def nemo(log, total=600):
    """NeMo 2: the lines of its printer of progress; the iteration counts from 1, 'global_step' from 0."""
    say = lambda text, **true: log.say(f"[NeMo I {log.clock('%Y-%m-%d %H:%M:%S')} nemo_logging:393] {text}", **true)
    log.say("GPU available: True (cuda), used: True", stage=ANY)
    say(f"Experiments will be logged at /results/nemo2/{log.clock('%Y-%m-%d_%H-%M-%S')}")
    say("Padded vocab_size: 50304, original vocab_size: 50257, dummy tokens: 47.")
    log.say("Sanity checking Validation: iteration 1/2", stage=VALIDATING)
    log.say("Sanity checking Validation: iteration 2/2")
    for step in range(20, total + 1, 20):
        wait(38)
        loss = f"{log.next_loss(7.9, step // 4):.4}"
        log.say(
            f"Training epoch 0, iteration {step}/{total} | lr: 0.0002871 | global_batch_size: 64 | global_step: {step - 1}"
            f" | reduced_train_loss: {loss} | train_step_timing in s: 1.{step % 7}88 | consumed_samples: {step * 64}",
            stage=TRAINING, step=ANY, total=total, percent=step * 100 / total, epoch=0, loss=float(loss),
        )
        if step % 300 == 0:
            for batch in (10, 20):
                wait(6)
                log.say(f"Validation: iteration {batch}/20", stage=VALIDATING)
            log.say(f"Epoch 0, global step {step}: 'val_loss' reached 3.61208 (best 3.61208), saving model to '/results/nemo2/step={step}.ckpt' as top 1", stage=SAVING)
            say(f"Async checkpoint save for step {step} (/results/nemo2/step={step}.ckpt) finalized successfully.", stage=ANY)
    log.say(f"`Trainer.fit` stopped: `max_steps={total}` reached.", stage=ANY)


def nanogpt(log, total=1500):
    """nanoGPT: train.py on characters; no total is told, the evaluation's 'train loss' is another one."""
    log.lines(
        """
        Overriding config with config/train_shakespeare_char.py:
        tokens per iteration will be: 16,384
        found vocab_size = 65 (inside data/shakespeare_char/meta.pkl)
        Initializing a new model from scratch
        number of parameters: 10.65M
        num decayed parameter tensors: 26, with 10,740,096 parameters
        num non-decayed parameter tensors: 13, with 4,992 parameters
        using fused AdamW: True
        compiling the model... (takes a ~minute)
        """,
        stage=ANY,
    )
    for step in range(0, total + 1, 20):
        if step % 500 == 0:
            log.say(f"step {step}: train loss {log.next_loss(4.1, step // 5):.4f}, val loss {log.next_loss(4.2, step // 5):.4f}", stage=ANY, step=step, loss=ANY)
            if step:
                log.say("saving checkpoint to out-shakespeare-char", stage=SAVING)
        wait(0.6)
        loss = f"{log.next_loss(4.1, step // 5):.4f}"
        log.say(f"iter {step}: loss {loss}, time {log.random.uniform(27, 34):.2f}ms, mfu {17.31 if step > 60 else -100:.2f}%", stage=TRAINING, step=step, loss=float(loss))


def olmo(log, total=120, epochs=2):
    """OLMo: a block of metrics a step; the loss is 'train/CrossEntropyLoss', evaluations have steps too."""

    def say(where, text, **true):
        log.say(f"{log.clock('%Y-%m-%d %H:%M:%S.%3f')}\tgpu-07:0\t{where}\tINFO\t{text}", **true)

    say("train:145", "Configuration saved to /ckpt/olmo-tiny/config.yaml", stage=ANY)
    say("train:210", "Total number of parameters: 151,898,880")
    say("train:335", "Saving pre-train checkpoint...", stage=SAVING)
    say("train:337", "Checkpoint saved to /ckpt/olmo-tiny/step0-unsharded", stage=ANY)
    say("train:375", "Starting training...", stage=TRAINING)
    for step in range(5, total + 1, 5):
        wait(15.2)
        epoch, loss = (step - 1) * epochs // total, f"{log.next_loss(10.8, step):.4g}"
        say("olmo.train:979", f"[step={step}/{total},epoch={epoch}]", stage=TRAINING, step=step, total=total, epoch=epoch)
        log.say("    optim/total_grad_norm=1.482")
        log.say(f"    train/CrossEntropyLoss={loss}", loss=float(loss))
        log.say(f"    train/Perplexity={int(2.718 ** float(loss)):,}")
        log.say(f"    throughput/total_tokens={step * 4194304:,}")
        log.say("    throughput/device/batches_per_second=0.3289")
        if step % 60 == 0:
            say("olmo.train:1046", "Running evaluation for 'pile-validation'...", stage=VALIDATING)
            for batch in (8, 16):
                say("olmo.train:1061", f"[eval_step={batch}/16]")
            say("olmo.train:979", "pile-validation\n    eval/pile-validation/CrossEntropyLoss=5.918\n    eval/pile-validation/Perplexity=371.7", stage=ANY)
            say("olmo.train:1203", "Saving checkpoint...", stage=SAVING)
            say("olmo.train:1206", f"Checkpoint saved to /ckpt/olmo-tiny/step{step}", stage=ANY)
    say("train:377", "Training complete", stage=ANY)


def composer(log, total=160):
    """Composer (llm-foundry): a heading and an indented block, where 'time/batch' counts from 0."""
    log.lines(
        """
        Building tokenizer...
        Building train loader...
        Building trainer...
        Config:
        run_name: mpt-tiny
        max_duration: 160ba
        Starting training...
        """,
        stage=ANY,
        total=ANY,
    )
    for step in range(10, total + 1, 10):
        wait(9)
        loss = f"{log.next_loss(10.9, step):.4f}"
        log.say(f"[batch={step}/{total}]:", stage=TRAINING, step=step, total=total, epoch=ANY)
        log.say(f"\t Train time/batch: {step - 1}")
        log.say(f"\t Train time/sample: {(step - 1) * 256}")
        log.say("\t Train memory/peak_reserved_mem: 14.1871\n\t Train trainer/device_train_microbatch_size: 8")
        log.say(f"\t Train loss/train/total: {loss}", loss=float(loss))
        log.say(f"\t Train metrics/train/LanguagePerplexity: {2.718281828 ** float(loss):.4f}")
        log.say("\t Train throughput/batches_per_sec: 1.1134\n\t Train lr-DecoupledAdamW/group0: 0.0006")
        if step % 80 == 0:
            for batch in (1, 6, 12):
                log.say(f"[Eval batch={batch}/12] Eval on eval data:", stage=VALIDATING)
            log.say("\t Eval metrics/eval/LanguageCrossEntropy: 6.1172\n\t Eval metrics/eval/LanguagePerplexity: 453.5927", stage=ANY)
    log.say("Done.", stage=ANY)


LOGS = january({
    "megatron-lm": megatron_lm,
    "nemo": nemo,
    "nanogpt": nanogpt,
    "olmo": olmo,
    "composer": composer,
}, first_day=7)
