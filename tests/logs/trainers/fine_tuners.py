"""Logs of what is built on the Hugging Face Trainer: Axolotl, Unsloth, LLaMA-Factory, ms-swift."""

from hugging_face import Numbers, Trainer, banner
from play import ANY, PREPARING, SAVING, TRAINING, VALIDATING, january, wait


def axolotl(log, total=180, epochs=3):
    """Axolotl: packed batches are counted before training, before each evaluation and each epoch."""

    def say(where, text, **true):
        log.say(f"[{log.clock('%Y-%m-%d %H:%M:%S,%3f')}] [INFO] [axolotl.{where}] [PID:2217] [RANK:0] {text}", **true)

    say("utils.config.models.output:23", "Loading config from /workspace/configs/ledger.yaml", stage=ANY)
    log.aside("Tokenizing Prompts (num_proc=16)", 2700, frames=3, seconds=0.001, unit=" examples", stage=PREPARING)
    log.aside("Dropping Long Sequences (num_proc=16)", 2700, frames=1, seconds=0.0001, unit=" examples")
    say("utils.samplers.multipack._len_est:184", "packing_efficiency_estimate: 0.94 total_num_tokens per device: 1474560")
    say("utils.samplers.multipack.calc_min_len:436", "gather_len_batches: [360]")
    say("utils.trainer.calculate_total_num_steps:404", f"total_num_steps: {total}", total=ANY)
    log.aside("Loading checkpoint shards", 4, frames=1, seconds=1.2)
    say("train.execute_training:203", "Starting trainer...", stage=ANY)
    run = Trainer(log, total, epochs, Numbers)
    run.begin()
    for epoch in range(epochs):
        say("utils.samplers.multipack._len_est:184", "packing_efficiency_estimate: 0.94 total_num_tokens per device: 1474560", stage=ANY)
        for step in range(epoch * 60 + 10, epoch * 60 + 61, 10):
            run.step_to(step, 4.4)
            run.tell_loss(1.2, {"memory/max_active (GiB)": 31.42})
            if step % 90 == 0:
                say("utils.samplers.multipack._len_est:184", "packing_efficiency_estimate: 0.91 total_num_tokens per device: 81920", stage=ANY)
                run.evaluate(4, 2.1)
        say("core.trainers.base._save:671", f"Saving model checkpoint to ./outputs/ledger/checkpoint-{step}", stage=SAVING)
    run.end()
    say("train.save_trained_model:267", "Training completed! Saving trained model to ./outputs/ledger.", stage=ANY)


def unsloth(log, total=2500, epochs=2):
    """Unsloth: its banner with epochs and steps in one line, words glued to the first frame."""
    log.lines(
        """
        🦥 Unsloth: Will patch your computer to enable 2x faster free finetuning.
        ==((====))==  Unsloth 2026.1.2: Fast Llama patching. Transformers: 5.0.0.
           \\\\   /|    NVIDIA A10G. Num GPUs = 1. Max memory: 21.988 GB. Platform: Linux.
        O^O/ \\_/ \\    Torch: 2.9.0+cu128. CUDA: 8.6. CUDA Toolkit: 12.8. Triton: 3.5.0
        """,
        stage=ANY,
    )
    log.aside("Unsloth: Tokenizing [\"text\"] (num_proc=8)", 10000, frames=3, seconds=0.0001, unit=" examples", stage=PREPARING)
    log.say("==((====))==  Unsloth - 2x faster free finetuning | Num GPUs used = 1", stage=ANY)
    log.say("   \\\\   /|    Num examples = 10,000 | Num Epochs = 2 | Total steps = 2,500", epochs=epochs, total=total, step=ANY, percent=ANY)
    log.lines(
        """
        O^O/ \\_/ \\    Batch size per device = 2 | Gradient accumulation steps = 4
        \\        /    Data Parallel GPUs = 1 | Total batch size (2 x 4 x 1) = 8
         "-____-"     Trainable parameters = 41,943,040 of 8,072,204,288 (0.52% trained)
        """
    )
    run = Trainer(log, total, epochs)
    run.begin()
    log.say("Unsloth: Will smartly offload gradients to save VRAM!", stage=TRAINING)
    for step in range(100, total + 1, 100):
        run.step_to(step, 1.02)
        run.tell_loss(1.4)
        if step % 1000 == 0:
            log.print_above(f"Unsloth: Saving model checkpoint to outputs/checkpoint-{step}", stage=SAVING)
    run.end()
    log.aside("Unsloth: Merging weights into 16bit", 4, frames=2, seconds=9, stage=ANY)


def llama_factory(log, total=210, epochs=3):
    """LLaMA-Factory: LoRA; the Trainer's lines with its prefixes, a dictionary in its own log as well."""

    def say(where, text, **true):
        log.say(f"[INFO|{where}] {log.clock('%Y-%m-%d %H:%M:%S,%3f')} >> {text}", **true)

    own = lambda where, text, **true: log.say(f"[INFO|{log.clock()}] llamafactory.{where} >> {text}", **true)
    own("data.loader:143", "Loading dataset harbor_zh.json...", stage=ANY)
    log.aside("Converting format of dataset (num_proc=8)", 1120, frames=1, seconds=0.0001, unit=" examples", stage=PREPARING)
    log.aside("Running tokenizer on dataset (num_proc=8)", 1120, frames=3, seconds=0.002, unit=" examples")
    log.say("training example:\ninput_ids:\n[151644, 8948, 198, 2610]\nlabels:\n[-100, -100, 104198]")
    say("configuration_utils.py:763", "loading configuration file /models/Qwen3-4B/config.json")
    own("model.loader:143", "trainable params: 16,515,072 || all params: 4,038,983,168 || trainable%: 0.4089")
    banner(log, lambda text, **true: say("trainer.py:2519", text, **true), 1120, epochs, total, 2, 8)
    run = Trainer(log, total, epochs, Numbers)
    run.begin()
    for step in range(15, total + 1, 15):
        run.step_to(step, 3.1)
        if step % 30 == 0:
            run.tell_loss(1.3)
            own("train.callbacks:143", f"{{'loss': {log.loss}, 'learning_rate': 9.1e-05, 'epoch': {run.epoch()}, 'throughput': 5120.4}}")
        if step == 105:
            say("trainer.py:4643", "\n***** Running Evaluation *****", stage=VALIDATING)
            say("trainer.py:4645", "  Num examples = 60")
            run.evaluate(6, 0.9)
            say("trainer.py:4309", f"Saving model checkpoint to saves/qwen3-4b/lora/sft/checkpoint-{step}", stage=SAVING)
            say("tokenization_utils_base.py:2590", f"tokenizer config file saved in saves/qwen3-4b/lora/sft/checkpoint-{step}/tokenizer_config.json")
    say("trainer.py:4309", f"Saving model checkpoint to saves/qwen3-4b/lora/sft/checkpoint-{total}", stage=SAVING)
    run.end()
    log.lines(
        """
        ***** train metrics *****
          epoch                    =        3.0
          total_flos               = 26083477GF
          train_loss               =     0.7713
        Figure saved at: saves/qwen3-4b/lora/sft/training_loss.png
        """,
        stage=ANY,
    )


def ms_swift(log, total=320, epochs=2):
    """ms-swift without a terminal: dictionaries alone, the step under the key 'global_step/max_steps'."""

    def say(logs, step, epoch, **true):
        minutes, seconds = divmod(int(step * 5.4), 60)
        place = {
            "epoch": epoch,
            "global_step/max_steps": f"{step}/{total}",
            "percentage": f"{step * 100 / total:.2f}%",
            "elapsed_time": f"{minutes}m {seconds}s",
            "remaining_time": f"{int((total - step) * 5.4) // 60}m {int((total - step) * 5.4) % 60}s",
        }
        log.say(str({**logs, **place}), step=step, total=total, epoch=epoch, **true)

    log.say("run sh: `/opt/conda/bin/python /workspace/swift/cli/sft.py --model Qwen/Qwen2.5-VL-3B-Instruct`", stage=ANY)
    log.say("[INFO:swift] The SftArguments will be saved in: /out/v0-20260112-090000/args.json")
    log.aside("Map (num_proc=4)", 2560, frames=2, seconds=0.001, unit=" examples", stage=PREPARING)
    log.say("[INFO:swift] Dataset Token Length: 412.331250±201.771902, min=31.000000, max=1888.000000, size=2560")
    log.say("[INFO:swift] model_parameter_info: PeftModelForCausalLM: 3770.8M Params (15.9M Trainable [0.42%]), 0.0M Buffers.", stage=ANY)
    log.say("[INFO:swift] The logging file will be saved in: /out/v0-20260112-090000/logging.jsonl")
    for step in [1, *range(20, total + 1, 20)]:
        wait(5.4 * 20)
        loss = round(log.next_loss(1.1, step), 8)
        epoch = round(step * epochs / total, 2)
        say({"loss": loss, "grad_norm": 0.71322, "learning_rate": 8.8e-05, "memory(GiB)": 22.31, "token_acc": 0.71, "train_speed(iter/s)": 0.185}, step, epoch, stage=TRAINING, loss=loss)
        if step % 160 == 0:
            say({"eval_loss": 0.61230469, "eval_token_acc": 0.80711, "eval_runtime": 14.21}, step, epoch, stage=ANY)
            log.say(f"[INFO:swift] Saving model checkpoint to /out/v0-20260112-090000/checkpoint-{step}", stage=SAVING)
    say({"train_runtime": 1731.9, "train_samples_per_second": 2.956, "train_steps_per_second": 0.185, "train_loss": 0.4471}, total, 2.0, stage=ANY)
    log.say(f"[INFO:swift] last_model_checkpoint: /out/v0-20260112-090000/checkpoint-{total}")
    log.say("[INFO:swift] End time of running main: 2026-01-12 09:31:02.118300")


LOGS = january({
    "axolotl": axolotl,
    "unsloth": unsloth,
    "llama-factory": llama_factory,
    "ms-swift": ms_swift,
}, first_day=3)
