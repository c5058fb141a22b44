"""Writes the logs of this folder, each with the table of what is true after which byte of it.

The formatters are the real ones: tqdm's bar, rich's progress, and the callbacks of the Hugging Face
Trainer. Around them is what each trainer prints, by its source. The table comes from the run that is
played here, never from the parser that it is to test.

    python3 -m venv v && v/bin/pip install -r requirements.txt && v/bin/python make.py
"""

import contextlib
import itertools
import pathlib
import random
import types

import tqdm.auto
import tqdm.std
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.text import Text
from transformers.trainer_callback import PrinterCallback, ProgressCallback

HERE = pathlib.Path(__file__).parent
NOW = 0.0


def now():
    return NOW


def wait(seconds):
    global NOW
    NOW += seconds


# A run of hours is written in a second, and the same each time.
tqdm.std.time = now


class Log:
    """A log and what is true of its run."""

    encoding = "utf-8"

    def __init__(self, name, seed):
        global NOW
        NOW = 1_000_000.0
        self.name = name
        self.bytes = bytearray()
        self.rows = []
        self.random = random.Random(seed)
        self.stage = self.step = self.total = self.epoch = self.epochs = self.loss = None
        self.percent = None

    def write(self, text):
        self.bytes += text if isinstance(text, bytes) else text.encode()

    def flush(self):
        pass

    def isatty(self):
        return False

    def mark(self, **true):
        """What is true from here on."""
        for key, value in true.items():
            setattr(self, key, value)
        if self.step is not None and self.total:
            self.percent = self.step * 100 / self.total
        elif self.step is None and self.epoch is not None and self.epochs:
            self.percent = self.epoch * 100 / self.epochs
        self.mark_as_is()

    def mark_as_is(self):
        row = [self.stage, self.percent, self.step, self.total, self.epoch, self.epochs, self.loss]
        cells = ["-" if cell is None else f"{cell:.10g}" if isinstance(cell, float) else str(cell) for cell in row]
        self.rows.append("\t".join([str(len(self.bytes)), *cells]))

    def say(self, line, **true):
        self.write(line + "\n")
        self.mark(**true)

    def bar(self, iterable=None, **options):
        options = {"file": self, "mininterval": 0, "miniters": 1, "ascii": False, **options}
        return tqdm.std.tqdm(iterable, **options)

    def work(self, description, count, stage="Preprocessing", seconds=0.2, **options):
        """A bar of something else than steps."""
        for _ in self.bar(range(count), desc=description, **options):
            wait(seconds)
            self.mark(stage=stage)
        self.mark()

    def next_loss(self):
        base = 0.5 / (1 + (self.step or 0) / 300)
        return base * self.random.uniform(0.7, 1.3)

    def save(self):
        (HERE / f"{self.name}.log").write_bytes(self.bytes)
        header = "\t".join(["after_bytes", "stage", "percent", "step", "total_steps", "epoch", "total_epochs", "loss"])
        (HERE / f"{self.name}.tsv").write_text("\n".join([header, *self.rows]) + "\n")


def shown(number):
    """A number as tqdm's postfix shows it."""
    return float(f"{number:.3g}")


def simpletuner(log, total=2000, first=0, epochs=21, every=25):
    """SimpleTuner: helpers/training/trainer.py, and the stages of its runtime at Replicate."""
    log.say("[COG] Webhook receiver started on http://127.0.0.1:42205/webhook")
    log.say("2026-03-01 10:00:00,123 [INFO] Load VAE: black-forest-labs/FLUX.1-dev", stage="Preprocessing")
    log.say("[STAGE] ⏳ Configuring data backends: Configuring data backends... (this may take a while!)")
    log.work("Loading checkpoint shards", 3)
    log.say("2026-03-01 10:00:21,004 [INFO] (id=subject) Validating arguments for the data backend.")
    log.say("[STAGE] ⏳ Caching text embeddings (37.0%)")
    log.work("Caching VAE latents", 5)
    log.say("2026-03-01 10:01:00,500 [INFO] gradient_checkpointing=True, lr_warmup_steps=100, timestep_bias=none")
    if first:
        log.say(f"2026-03-01 10:01:01,000 [INFO] Resuming from checkpoint output/cog/checkpoint-{first}")
        log.say(f"[STAGE] ✓ Resume Checkpoint: Resumed from global_step {first}", stage="Preprocessing")
    log.say("2026-03-01 10:01:02,000 [INFO] ***** Running training *****", stage="Training")
    epoch = 1 + first * epochs // total
    bar = log.bar(range(total), initial=first, total=total, desc=f"Epoch {epoch}/{epochs} Steps", ncols=125)
    log.mark(step=first, total=total, epoch=epoch, epochs=epochs)
    for step in range(first + 1, total + 1):
        wait(log.random.uniform(1.0, 1.4))
        epoch = 1 + (step - 1) * epochs // total
        if step % every:
            continue
        bar.set_description(f"Epoch {epoch}/{epochs}, Steps", refresh=False)
        loss = log.next_loss()
        bar.update(step - bar.n)
        bar.set_postfix(step_loss=loss, lr=9.5e-5)
        log.mark(stage="Training", step=step, epoch=epoch, loss=shown(loss))
        if step % 500 == 0:
            log.write("\n")
            log.say(f"[STAGE] ⏳ Saving Checkpoint: Saving checkpoint to output/cog/checkpoint-{step}", stage="Saving checkpoint")
            log.say(f"2026-03-01 11:00:00,000 [INFO] Saved state to output/cog/checkpoint-{step}")
            log.say("[STAGE] ⏳ Validation: Running validation prompts", stage="Validation")
            log.work("Generating Samples", 2, stage="Validation", seconds=30)
            log.work("", 20, stage="Validation", seconds=1.5)
    bar.close()
    log.say("2026-03-01 12:00:00,000 [INFO] Saving final LyCORIS checkpoint to output/cog", stage="Saving checkpoint")
    log.say("[STAGE] ✓ Training Complete: Training run complete.")


def diffusers(log, total=1000):
    """diffusers: examples/text_to_image/train_text_to_image_lora.py."""
    prefix = "03/01/2026 10:00:00 - INFO - __main__ - "
    log.say(prefix + "Distributed environment: NO")
    log.work("Downloading data", 3, stage=None, unit="files")
    log.work("Generating train split", 400, stage="Preprocessing", unit=" examples", seconds=0.001, miniters=100)
    for line in [
        "***** Running training *****",
        "  Num examples = 833",
        "  Num Epochs = 10",
        "  Instantaneous batch size per device = 1",
        "  Total train batch size (w. parallel, distributed & accumulation) = 4",
        "  Gradient Accumulation steps = 4",
    ]:
        log.write(prefix + line + "\n")
    log.say(prefix + f"  Total optimization steps = {total}", stage="Training", total=total, epochs=10)
    bar = log.bar(range(total), desc="Steps")
    log.mark(step=0)
    for step in range(1, total + 1):
        wait(log.random.uniform(0.4, 0.6))
        if step % 20:
            continue
        loss = log.next_loss()
        bar.update(step - bar.n)
        bar.set_postfix(step_loss=loss, lr=1e-4)
        log.mark(stage="Training", step=step, loss=shown(loss))
        if step % 500 == 0:
            log.say("")
            log.say(prefix + f"Saved state to /out/checkpoint-{step}", stage="Saving checkpoint")
        if step % 400 == 0:
            log.say("")
            log.say(prefix + "Running validation... ", stage="Validation")
            log.work("", 30, stage="Validation", seconds=0.1)
    bar.close()
    log.say("Model weights saved in /out/pytorch_lora_weights.safetensors", stage="Saving checkpoint")


def kohya(log, total=800, epochs=8):
    """kohya-ss/sd-scripts: train_network.py."""
    log.say("prepare tokenizer", stage="Preprocessing")
    log.say("Using DreamBooth method.")
    log.say("found directory /data/img/20_subject contains 5 image files")
    log.work("caching latents", 5)
    log.say("gradient checkpointing enabled")
    log.say("running training / 学習開始", stage="Training")
    log.say("  num train images * repeats / 学習画像の数×繰り返し回数: 100")
    log.say("  num epochs / epoch数: 8", epochs=epochs)
    log.say("  total optimization steps / 学習ステップ数: 800", total=total)
    bar = log.bar(range(total), desc="steps", smoothing=0)
    log.mark(step=0)
    per_epoch = total // epochs
    for epoch in range(1, epochs + 1):
        log.say(f"\nepoch {epoch}/{epochs}", epoch=epoch, stage="Training")
        for step in range((epoch - 1) * per_epoch + 1, epoch * per_epoch + 1):
            wait(log.random.uniform(1.1, 1.3))
            if step % 20:
                continue
            loss = log.next_loss()
            bar.update(step - bar.n)
            bar.set_postfix(avr_loss=loss)
            log.mark(stage="Training", step=step, loss=shown(loss))
        if epoch % 4 == 0:
            log.say(f"\nsaving checkpoint: /out/last-{epoch:06}.safetensors", stage="Saving checkpoint")
            log.say("generating sample images at step / サンプル画像生成 ステップ: 400", stage="Validation")
            log.work("", 28, stage="Validation", seconds=0.3)
    bar.close()
    log.say("model saved.", stage="Saving checkpoint")


def ai_toolkit(log, total=1000):
    """ai-toolkit: jobs/process/BaseSDTrainProcess.py."""
    log.say("Running 1 job")
    log.say("Loading Flux model", stage="Preprocessing")
    log.work("Caching latents to disk", 8)
    log.work("Generating baseline samples before training", 4, stage="Validation", seconds=20)
    bar = log.bar(range(total), desc="my_first_flux_lora_v1", leave=True)
    log.mark(stage="Training", step=0, total=total)
    for step in range(1, total + 1):
        wait(log.random.uniform(2.0, 2.3))
        if step % 20:
            continue
        loss = log.next_loss()
        bar.update(step - bar.n)
        bar.set_postfix_str(f"lr: 1.0e-04 loss: {loss:.3e}")
        log.mark(stage="Training", step=step, total=total, loss=float(f"{loss:.3e}"))
        if step % 250 == 0:
            log.say("")
            log.say(f"Saving at step {step}", stage="Saving checkpoint")
            log.say(f"Saved checkpoint to /out/my_first_flux_lora_v1_{step:09}.safetensors")
            log.work("Generating Images", 4, stage="Validation", seconds=15)
    bar.close()
    log.mark(stage="Training")


def hugging_face(log, callback, total=300, epochs=3):
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
                loss, epoch = round(log.next_loss(), 4), round(step * epochs / total, 2)
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


class Batches(ProgressColumn):
    def render(self, task):
        return Text(f"{int(task.completed)}/{int(task.total)}")


class Times(ProgressColumn):
    def render(self, task):
        left = (task.total - task.completed) * 0.09
        clock = lambda seconds: f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"
        return Text(f"{clock(task.elapsed or 0)} • {clock(left)}", style="white")


class Speed(ProgressColumn):
    def render(self, task):
        return Text("11.20it/s", style="white")


def lightning_rich(log, epochs=5, batches=40):
    """Lightning's RichProgressBar: its columns, drawn by rich."""
    console = Console(file=log, force_terminal=True, width=110, legacy_windows=False)
    bar = Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(bar_width=20),
        Batches(),
        Times(),
        Speed(),
        TextColumn("{task.fields[metrics]}"),
        console=console,
        auto_refresh=False,
        get_time=now,
    )
    bar.start()
    total, loss = epochs * batches, None
    for epoch in range(epochs):
        task = bar.add_task(f"Epoch {epoch}/{epochs - 1}", total=batches, metrics="v_num: 0.000")
        for batch in range(1, batches + 1):
            wait(0.09)
            if batch % 8:
                continue
            # The number at the end of a frame may go on, so that it is only believed with the next one.
            log.loss, loss = loss, round(log.next_loss(), 3)
            bar.update(task, completed=batch, metrics=f"v_num: 0.000 train_loss: {loss:.3f}", refresh=True)
            step = epoch * batches + batch
            log.mark(stage="Training", step=step, total=total, epoch=epoch, epochs=epochs - 1)
        bar.remove_task(task)
    bar.stop()
    log.mark(loss=loss)


def lightning_tqdm(log, epochs=4, batches=50):
    """Lightning's TQDMProgressBar: loops/progress/tqdm_progress.py."""
    log.say("GPU available: True (cuda), used: True")
    log.work("Sanity Checking DataLoader 0", 2, stage="Validation")
    log.say("")
    for epoch in range(epochs):
        bar = log.bar(range(batches), desc=f"Epoch {epoch}")
        for batch in range(1, batches + 1):
            wait(0.2)
            if batch % 10:
                continue
            loss = round(log.next_loss(), 3)
            bar.update(batch - bar.n)
            bar.set_postfix_str(f"v_num=0, train_loss={loss:.3f}")
            # How many epochs there are it does not say, so that only the batches of one are known, and
            # progress does not go back with the next.
            log.mark(stage="Training", step=batch, total=batches, epoch=epoch, loss=loss)
            log.rows.pop()
            if epoch > 0:
                log.percent = 100.0
            log.mark_as_is()
        log.stage = "Validation"
        for _ in log.bar(range(5), desc="Validation DataLoader 0", leave=False):
            wait(0.2)
            log.mark_as_is()
        bar.close()
        log.stage = "Training"
        log.mark_as_is()
    log.write("`Trainer.fit` stopped: `max_epochs=4` reached.\n")
    log.percent = 100.0
    log.mark_as_is()


def plain(log, total=5000):
    """The page's own example, and a loss that is no number."""
    log.say("Preprocessing dataset", stage="Preprocessing")
    log.say("Warming up for 10 steps", stage="Warmup")
    for step in range(100, total + 1, 100):
        loss = "nan" if 2000 <= step < 2300 else f"{log.next_loss():.4f}"
        log.say(
            f"Step {step}/{total} - loss: {loss}",
            stage="Training", step=step, total=total, loss=None if loss == "nan" else float(loss),
        )
        if step % 1000 == 0:
            log.say("Validating", stage="Validation")
            log.say(f"Saving checkpoint at /out/checkpoint-{step}", stage="Saving checkpoint")


def epochs_only(log, epochs=10):
    """Nothing but epochs."""
    log.say("Loading images", stage="Preprocessing")
    for epoch in range(1, epochs + 1):
        loss = round(log.next_loss(), 4)
        log.say(f"epoch {epoch}/{epochs} - train loss: {loss} - val loss: 0.4", stage="Training", epoch=epoch, epochs=epochs, loss=loss)


def killed_and_begun_again(log, total=400):
    """One log of two runs: the first was killed, the second resumed from its checkpoint."""
    log.say("***** Running training *****", stage="Training")
    bar = log.bar(range(total), desc="Steps")
    for step in range(20, 261, 20):
        wait(20)
        bar.update(20)
        log.mark(step=step, total=total)
        if step == 200:
            log.say("")
            log.say("Saved state to /out/checkpoint-200", stage="Saving checkpoint")
            log.stage = "Training"
    log.say("")
    # What was killed does not close its bar.
    bar.disable = True
    tqdm.std.tqdm._instances.clear()
    log.say("Killed")
    log.say("Resuming from checkpoint checkpoint-200", stage="Preprocessing")
    log.percent = None
    bar = log.bar(range(total), initial=200, desc="Steps")
    log.mark(stage="Training", step=200)
    for step in range(220, 401, 20):
        wait(20)
        bar.update(20)
        log.mark(step=step)


def torture(log, total=100):
    """Colours, NULs, invalid UTF-8, carriage returns, broken sequences, words that mean something else."""
    log.write(b"\x1b[32mINFO\x1b[0m Loading model\xff\xfe\r\n")
    log.mark(stage="Preprocessing")
    for line in [
        "Uploading: 100%|##########| 12.3M/12.3M [00:02<00:00, 5.1MB/s]",
        "gradient checkpointing: True",
        "warmup_steps: 100",
        "Invalidated cache entry 3/10",
        "output_dir=/data/step_900/of/1000/checkpoint-1800",
        "Downloading (…)model.safetensors:  40%|####      | 1.23M/2.50M [00:01<00:01, 1.2MB/s]",
        "Total steps: 100",
    ]:
        log.write(line + "\n")
    log.mark(stage="Training", total=total)
    for step in itertools.chain(range(10, 60, 10), range(60, 101, 20)):
        log.write(b"\0\x1b[36mstep\x1b[0m: \x1b[1m%d\x1b[0m/%d loss=0.%d\x1b[K\r\n" % (step, total, step))
        log.mark(step=step, loss=float(f"0.{step}"))
        log.write("6.3G/14.0G memory, 2026/03/01 10:00:00, epoch time 3.2s\n")
        log.mark()


LOGS = {
    "simpletuner": simpletuner,
    "simpletuner-resumed": lambda log: simpletuner(log, first=900),
    "diffusers": diffusers,
    "kohya": kohya,
    "ai-toolkit": ai_toolkit,
    "hugging-face": lambda log: hugging_face(log, ProgressCallback()),
    "hugging-face-printer": lambda log: hugging_face(log, PrinterCallback()),
    "lightning-rich": lightning_rich,
    "lightning-tqdm": lightning_tqdm,
    "plain": plain,
    "epochs-only": epochs_only,
    "killed-and-begun-again": killed_and_begun_again,
    "torture": torture,
}

for seed, (name, play) in enumerate(LOGS.items()):
    log = Log(name, seed)
    play(log)
    log.mark_as_is()
    log.save()
    print(name, len(log.bytes), len(log.rows))
