"""Logs of trainers of language that are built on the Hugging Face Trainer: its bar, its dictionaries."""

import contextlib
import types

import play
from play import ANY, PREPARING, SAVING, TRAINING, VALIDATING, january, loose, shown, wait
from transformers.trainer_callback import PrinterCallback, ProgressCallback


class Numbers(ProgressCallback):
    """The callback of transformers 4: the dictionaries hold numbers, not strings of four digits."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        if self.training_bar is not None:
            self.training_bar.write(str({key: value for key, value in logs.items() if key != "total_flos"}))


class Trainer:
    """A run of the Trainer: what its callback draws, and what is true after each frame and each line."""

    def __init__(self, log, total, epochs, callback=ProgressCallback):
        self.log, self.total, self.epochs = log, total, epochs
        self.callback = callback()
        self.exact = callback is Numbers
        self.state = types.SimpleNamespace(is_world_process_zero=True, is_local_process_zero=True, max_steps=total, global_step=0)

    @contextlib.contextmanager
    def caught(self):
        with contextlib.redirect_stderr(self.log), contextlib.redirect_stdout(self.log):
            yield

    def begin(self):
        with self.caught():
            self.callback.on_train_begin(None, self.state, None)
        self.log.mark(stage=TRAINING, step=0, total=self.total, epoch=ANY)

    def epoch(self):
        return round(self.state.global_step * self.epochs / self.total, 2)

    def step_to(self, step, seconds):
        wait((step - self.state.global_step) * seconds)
        self.state.global_step = step
        with self.caught():
            self.callback.on_step_end(None, self.state, None)
        # The epoch was told at the last dictionary: since then it has gone on.
        self.log.mark(stage=TRAINING, step=step, epoch=ANY)

    def tell(self, logs, stage=TRAINING, **true):
        """A dictionary above the bar, which is drawn again."""
        before = len(self.log.bytes)
        with self.caught():
            self.callback.on_log(None, self.state, None, logs={**logs, "epoch": float(self.epoch())})
        after = before + self.log.bytes[before:].index(b"}\n") + 2
        told = self.log.bytes[before:after].decode()
        # The end may be told as '2' or '2.0', both are 2.
        self.log.mark(upto=told, stage=stage, epoch=shown(self.epoch(), "g"), **true)
        self.log.mark(stage=stage)

    def tell_loss(self, base=1.6, more=None, loss=None):
        loss = round(self.log.next_loss(base, self.state.global_step), 4) if loss is None else loss
        rate = 2e-4 * (1 - self.state.global_step / (self.total + 1))
        norm = self.log.random.uniform(0.3, 1.4)
        self.tell({"loss": loss, "grad_norm": norm, "learning_rate": rate, **(more or {})}, loss=loss if self.exact else shown(loss, ".4g"))

    def evaluate(self, batches, seconds, more=None):
        for batch in range(1, batches + 1):
            wait(seconds)
            with self.caught():
                self.callback.on_prediction_step(None, self.state, None, eval_dataloader=range(batches))
            self.log.mark(stage=VALIDATING)
        with self.caught():
            self.callback.on_evaluate(None, self.state, None)
        self.log.mark()
        loss = round(self.log.next_loss(1.7, self.state.global_step), 4)
        took = batches * seconds + 0.0137
        self.tell({"eval_loss": loss, "eval_runtime": took, "eval_samples_per_second": 8 / seconds, "eval_steps_per_second": 1 / seconds, **(more or {})}, stage=ANY)

    def end(self, **more):
        self.tell({"train_runtime": play.NOW % 86400 - 32400, "train_samples_per_second": 7.31, "train_steps_per_second": 0.913, "train_loss": 0.8123, **more}, stage=ANY)
        with self.caught():
            self.callback.on_train_end(None, self.state, None)
        self.log.mark()


def banner(log, say, examples, epochs, total, batch=8, accumulation=1):
    """The lines of Trainer._inner_training_loop."""
    say("***** Running training *****", stage=TRAINING)
    say(f"  Num examples = {examples:,}")
    say(f"  Num Epochs = {epochs:,}", epochs=epochs)
    say(f"  Instantaneous batch size per device = {batch:,}")
    say(f"  Total train batch size (w. parallel, distributed & accumulation) = {batch * accumulation:,}")
    say(f"  Gradient Accumulation steps = {accumulation}")
    say(f"  Total optimization steps = {total:,}", total=total, step=ANY, percent=ANY)
    say("  Number of trainable parameters = 66,955,010")


def hf_trainer(log, total=1200, epochs=3):
    """run_glue.py: an evaluation and a checkpoint at the end of each epoch, the reports of the example."""
    say = lambda text, **true: log.say(f"[INFO|trainer.py:2414] {log.clock('%Y-%m-%d %H:%M:%S,%3f')} >> {text}", **true)
    log.say("01/05/2026 09:00:00 - INFO - __main__ - Training/evaluation parameters TrainingArguments(...)", stage=ANY)
    log.aside("Generating train split", 3200, frames=2, seconds=0.0001, unit=" examples", stage=PREPARING)
    log.aside("Running tokenizer on dataset", 3200, frames=3, seconds=0.001, unit=" examples")
    banner(log, say, 3200, epochs, total)
    run = Trainer(log, total, epochs)
    run.begin()
    for epoch in range(1, epochs + 1):
        for part in range(1, 5):
            run.step_to((epoch - 1) * 400 + part * 100, 0.21)
            if part % 2 == 0:
                run.tell_loss(0.6)
        say("\n***** Running Evaluation *****", stage=VALIDATING)
        say("  Num examples = 408")
        say("  Batch size = 8")
        run.evaluate(8, 0.4, {"eval_accuracy": 0.8137, "eval_f1": 0.8664})
        say(f"Saving model checkpoint to /tmp/mrpc/checkpoint-{run.state.global_step}", stage=SAVING)
        log.say(f"[INFO|configuration_utils.py:420] {log.clock()} >> Configuration saved in /tmp/mrpc/checkpoint-{run.state.global_step}/config.json")
    say("\n\nTraining completed. Do not forget to share your model on huggingface.co/models =)\n\n", stage=ANY)
    run.end()
    log.lines(
        """
        ***** train metrics *****
          epoch                    =        3.0
          train_loss               =     0.4127
          train_runtime            = 0:04:31.07
          train_samples_per_second =      35.42
        ***** eval metrics *****
          epoch                   =        3.0
          eval_accuracy           =     0.8431
          eval_loss               =     0.3951
        """,
        stage=ANY,
    )


def trl_sft(log, total=120, epochs=2):
    """TRL: SFTTrainer; nothing but the bar says how many steps, nothing at all how many epochs."""
    log.aside("Loading checkpoint shards", 4, frames=2, seconds=1.7, stage=ANY)
    log.aside("Adding EOS to train dataset", 960, frames=1, seconds=0.0001, unit=" examples", stage=PREPARING)
    log.aside("Tokenizing train dataset", 960, frames=3, seconds=0.001, unit=" examples")
    log.aside("Truncating train dataset", 960, frames=1, seconds=0.0001, unit=" examples")
    log.say("The model is already on multiple devices. Skipping the move to device specified in `args`.")
    run = Trainer(log, total, epochs)
    run.begin()
    for step in range(5, total + 1, 5):
        run.step_to(step, 2.2)
        if step % 10 == 0:
            more = {"entropy": 1.31 - step / 300, "num_tokens": step * 16384.0, "mean_token_accuracy": 0.61 + step / 900}
            run.tell_loss(1.5, more)
        if step == 60:
            run.evaluate(6, 1.1, {"eval_entropy": 1.2, "eval_mean_token_accuracy": 0.67})
    run.end(entropy=0.97, num_tokens=1966080.0)


def trl_grpo(log, total=60, epochs=2):
    """TRL: GRPOTrainer with vLLM; losses about nothing, below it too; numbers as they are."""
    log.say("INFO 01-07 09:00:00 [model_runner.py:1108] Starting to load model Qwen/Qwen2.5-1.5B-Instruct...", stage=ANY)
    log.aside("Loading safetensors checkpoint shards", 2, frames=2, seconds=0.8, stage=ANY)
    log.aside("Capturing CUDA graph shapes", 35, frames=3, seconds=0.4, stage=ANY)
    log.say("INFO 01-07 09:00:15 [llm_engine.py:436] init engine (profile, create kv cache, warmup model) took 21.33 seconds")
    run = Trainer(log, total, epochs, Numbers)
    run.begin()
    for step in range(3, total + 1, 3):
        run.step_to(step, 19)
        if step % 6 == 0:
            loss = round(log.random.uniform(-0.004, 0.021), 4) if step > 12 else 0.0
            more = {
                "num_tokens": step * 40960.0,
                "completions/mean_length": 231.0 + step,
                "completions/clipped_ratio": 0.0625,
                "rewards/accuracy_reward/mean": 0.3125 + step / 200,
                "rewards/format_reward/std": 0.25,
                "reward": 0.8125 + step / 100,
                "reward_std": 0.4375,
                "frac_reward_zero_std": 0.25,
                "kl": 0.00031 * step,
                "clip_ratio/region_mean": 0.0,
            }
            run.tell_loss(more=more, loss=loss)
    run.end()


def callbacks(log, callback, total=300, epochs=3):
    """The Hugging Face Trainer's own callback, and the lines of its loop."""
    log.say("***** Running training *****", stage="Training")
    log.say("  Num examples = 1,600")
    log.say(f"  Num Epochs = {epochs}", epochs=epochs)
    log.say(f"  Total optimization steps = {total}", total=total)
    state = types.SimpleNamespace(is_world_process_zero=True, is_local_process_zero=True, max_steps=total, global_step=0)
    with contextlib.redirect_stderr(log), contextlib.redirect_stdout(log):
        callback.on_train_begin(None, state, None)
        for step in range(1, total + 1):
            wait(log.random.uniform(0.5, 0.7))
            state.global_step = step
            has_bar = isinstance(callback, ProgressCallback)
            if has_bar and step % 5 == 0:
                callback.on_step_end(None, state, None)
                log.mark(stage="Training", step=step)
            if step % 20 == 0:
                loss, epoch = round(log.loss_by_steps(), 4), round(step * epochs / total, 2)
                logs = {"loss": loss, "grad_norm": 1.2345678, "learning_rate": 1.8e-05, "epoch": epoch}
                callback.on_log(None, state, None, logs=dict(logs))
                if not has_bar:
                    log.percent = epoch * 100 / epochs
                log.mark(stage="Training", loss=loss, epoch=float(epoch))
            if step % 100 == 0:
                if has_bar:
                    for _ in range(6):
                        wait(0.3)
                        callback.on_prediction_step(None, state, None, eval_dataloader=range(6))
                        log.mark(stage="Validation")
                    callback.on_evaluate(None, state, None)
                logs = {"eval_loss": 0.71, "eval_runtime": 3.2, "epoch": round(step * epochs / total, 2)}
                callback.on_log(None, state, None, logs=logs)
                # The training bar is drawn again below what was written.
                log.mark(stage="Training" if has_bar else "Validation")
                log.say(f"Saving model checkpoint to /out/checkpoint-{step}", stage="Saving checkpoint")
        logs = {"train_runtime": 180.5, "train_loss": 0.31, "epoch": float(epochs)}
        callback.on_log(None, state, None, logs=logs)
        log.mark(stage="Training" if has_bar else log.stage)
        callback.on_train_end(None, state, None)
        log.mark()


LOGS = january({
    "hf-trainer": hf_trainer,
    "trl-sft": trl_sft,
    "trl-grpo": trl_grpo,
}) | loose({
    "hugging-face": lambda log: callbacks(log, ProgressCallback()),
    "hugging-face-printer": lambda log: callbacks(log, PrinterCallback()),
}, first_seed=5)
