"""Logs of Keras, Lightning and fastai: the trainers that draw bars of their own.

The formatters are the real ones, but for Keras 2: keras' ProgbarLogger, fastprogress, tqdm and rich, on a clock that
is played.
"""

import contextlib
import os
import types

os.environ.setdefault("KERAS_BACKEND", "jax")
import fastprogress.fastprogress as fast
import keras.src.utils.progbar as progbar
from keras.callbacks import ProgbarLogger
from rich.console import Console
from rich.default_styles import DEFAULT_STYLES
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.style import Style
from rich.text import Text

from play import ANY, loose, march, now, share, wait

fast.time = progbar.time = types.SimpleNamespace(time=now)


def colours(log, width, system):
    """rich's console on a terminal of so many colours. A style keeps the codes it was first drawn with, on whichever terminal."""
    Style.parse.cache_clear()
    Style._add.cache_clear()
    for style in DEFAULT_STYLES.values():
        style._ansi = None
    return Console(file=log, force_terminal=True, width=width, legacy_windows=False, color_system=system)


def keras_run(log, epochs, batches, bar, end, saved):
    """What a fit with validation tells, whichever Keras draws it; `bar` draws the batches of one epoch."""
    log.say("Found 1280 files belonging to 4 classes.", stage="Preprocessing")
    log.say("Using 320 files for validation.")
    for epoch in range(1, epochs + 1):
        bar(epoch)
        wait(2)
        end(epoch)
        log.mark(stage=ANY, percent=share(epoch, epochs, batches, batches))
        for line in saved(epoch):
            log.say(line, stage="Saving checkpoint")
    log.say("Training finished, model written to models/leaves.keras", stage=ANY)


def keras_new(log, epochs=3, batches=40, verbose=1, every=8):
    """Keras 3: the real ProgbarLogger, on a terminal; a frame is over when the next one begins."""
    logger = ProgbarLogger()
    logger.set_params({"verbose": verbose, "epochs": epochs, "steps": batches})
    loss = 0.0

    def bar(epoch):
        nonlocal loss
        logger.on_epoch_begin(epoch - 1)
        begun = share(epoch, epochs, 0, batches)
        log.mark(stage="Training", epoch=epoch, epochs=epochs, step=ANY, total=ANY, percent=begun)
        for batch in range(1, batches + 1):
            wait(log.some(0.29, 0.33))
            if batch != 1 and batch % every:
                continue
            loss = log.falling(share(epoch, epochs, batch, batches) / 100)
            logger.on_train_batch_end(batch - 1, {"accuracy": 1 - loss / 2, "loss": loss})
            # The frame shows the mean of the epoch so far, and with verbose=2 there is none.
            if verbose == 1:
                shown = logger.progbar._values["loss"]
                log.then(loss=round(shown[0] / shown[1], 4), percent=share(epoch, epochs, batch, batches))

    def end(epoch):
        logs = {"accuracy": 1 - loss / 2, "loss": loss * 0.98, "val_accuracy": 0.71, "val_loss": loss * 1.2}
        logger.on_epoch_end(epoch - 1, logs)
        log.tell(loss=round(loss * 0.98, 4))

    def saved(epoch):
        if verbose == 1 and epoch % 2:
            yield f"\nEpoch {epoch}: val_loss improved, saving model to models/leaves-{epoch:02}.keras"

    with contextlib.redirect_stdout(log):
        logger.on_train_begin()
        keras_run(log, epochs, batches, bar, end, saved)


def keras_old(log, epochs=3, batches=60):
    """Keras 2: utils/generic_utils.py, the bar of equal signs."""
    loss, width = 0.0, 0

    def draw(batch, rest):
        nonlocal width
        filled = 30 * batch // batches
        line = "=" * (filled - 1) + (">" if batch < batches else "=") * (filled > 0) + "." * (30 - filled)
        line = f"{batch:2d}/{batches} [{line}]{rest}"
        log.write("\b" * width + "\r" + line.ljust(width))
        width = len(line)

    def bar(epoch):
        nonlocal loss, width
        width = 0
        log.say(
            f"Epoch {epoch}/{epochs}",
            stage="Training", epoch=epoch, epochs=epochs, step=ANY, total=ANY, percent=share(epoch, epochs, 0, batches),
        )
        for batch in [1, *range(10, batches + 1, 10)]:
            wait(3)
            loss = log.falling(share(epoch, epochs, batch, batches) / 100)
            draw(batch, f" - ETA: {(batches - batch) // 3}s - loss: {loss:.4f} - accuracy: {1 - loss / 2:.4f}")
            log.then(loss=round(loss, 4), percent=share(epoch, epochs, batch, batches))

    def end(epoch):
        rest = f" - 21s 350ms/step - loss: {loss:.4f} - accuracy: {1 - loss / 2:.4f} - val_loss: {loss * 1.3:.4f}"
        draw(batches, rest + " - val_accuracy: 0.6912\n")

    def saved(epoch):
        yield f"\nEpoch {epoch:05}: saving model to models/roofs_{epoch:02}.h5"

    keras_run(log, epochs, batches, bar, end, saved)


def lightning_tqdm(log, epochs=3, batches=60):
    """Lightning's TQDMProgressBar with the bar of the validation one line below; how many epochs is not told."""
    log.note("GPU available: True (cuda), used: True", "TPU available: False, using: 0 TPU cores")
    log.note("  | Name  | Type   | Params | Mode ", "-" * 37, "0 | model | UNet2d | 7.8 M  | train", "-" * 37)
    log.mark(stage=ANY)
    for _ in log.bar(range(2), desc="Sanity Checking DataLoader 0", leave=False, ncols=120):
        wait(0.3)
        log.mark(stage="Validation")
    for epoch in range(epochs):
        bar = log.bar(range(batches), desc=f"Epoch {epoch}", ncols=120)
        log.mark(stage="Training", percent=ANY, step=ANY, total=ANY, epoch=epoch)
        for batch in range(12, batches + 1, 12):
            wait(log.some(4, 5))
            loss = round(log.falling(share(epoch + 1, epochs, batch, batches) / 100), 3)
            bar.set_postfix_str(f"v_num=4, train_loss={loss:.3f}", refresh=False)
            bar.update(12)
            log.mark(stage="Training", loss=loss)
        below = log.bar(range(5), desc="Validation DataLoader 0", leave=False, position=1, ncols=120)
        for _ in below:
            wait(0.5)
            log.mark(stage="Validation")
        bar.set_postfix_str(f"v_num=4, train_loss={loss:.3f}, val_loss={loss * 1.1:.3f}, val_dice=0.612")
        log.mark(stage=ANY)
        bar.close()
    log.say("`Trainer.fit` stopped: `max_epochs=3` reached.", stage=ANY, epochs=ANY)


def lightning_rich(log, epochs=3, batches=50):
    """Lightning's RichProgressBar with the task of the validation below; it does say how many epochs there are."""
    log.note("Seed set to 11", "GPU available: True (cuda), used: True")
    log.mark(stage=ANY)
    console = colours(log, 100, "256")
    columns = ["{task.description}", "{task.completed}/{task.total}", "{task.fields[times]}", "{task.fields[metrics]}"]
    columns = [TextColumn(column) for column in columns]
    columns.insert(1, BarColumn(bar_width=20))
    bar = Progress(*columns, console=console, auto_refresh=False, get_time=now)
    bar.start()
    for epoch in range(epochs):
        fields = {"metrics": "v_num: 2.000", "times": "0:00:00 • -:--:-- 0.00it/s"}
        task = bar.add_task(f"Epoch {epoch}/{epochs - 1} ", total=batches, **fields)
        for batch in range(10, batches + 1, 10):
            wait(2)
            loss = round(log.falling(share(epoch + 1, epochs, batch, batches) / 100), 3)
            times = f"0:00:{batch // 5:02} • 0:00:{(batches - batch) // 5:02} 5.00it/s"
            bar.update(task, completed=batch, metrics=f"v_num: 2.000 train_loss: {loss:.3f}", times=times, refresh=True)
            percent = share(epoch + 1, epochs, batch, batches)
            log.then(stage="Training", step=ANY, total=ANY, epoch=epoch, epochs=ANY, percent=percent, loss=loss)
        below = bar.add_task("Validation", total=8, metrics="", times="0:00:01 • 0:00:01 6.10it/s")
        for batch in (4, 8):
            wait(1)
            bar.update(below, completed=batch, refresh=True)
            log.then(stage="Validation")
        bar.remove_task(below)
        bar.remove_task(task)
    bar.stop()
    log.say("`Trainer.fit` stopped: `max_epochs=3` reached.", stage=ANY)


def fastai(log, epochs=3, batches=48):
    """fastai's fit on a terminal: fastprogress's bars, and a table of text with a row for each epoch."""
    log.say("Downloading: resnet34 weights are cached.", stage=ANY)
    with contextlib.redirect_stdout(log):
        master = fast.ConsoleMasterBar(range(epochs))
        master.update(0)
        master.write(["epoch", "train_loss", "valid_loss", "accuracy", "time"], table=True)
        log.mark(stage=ANY, percent=ANY)
        for epoch in range(epochs):
            for count, train in ((batches, True), (12, False)):
                bar = fast.ConsoleProgressBar(range(count), parent=master, leave=False)
                for batch in range(0, count + 1, count // 4):
                    wait(log.some(2, 3))
                    loss = log.falling(share(epoch + 1, epochs, batch, batches) / 100)
                    # The smoothed loss stands in the bar without a name; the validation's bar differs in its length only.
                    bar.comment = f"{loss:.4f}" if train else ""
                    bar.update(batch)
                    percent = share(epoch + 1, epochs, batch, batches) if train else ANY
                    log.mark(stage="Training" if train else ANY, step=ANY, total=ANY, epoch=epoch + 1, epochs=epochs,
                             percent=percent, loss=ANY)
            row = [str(epoch), f"{loss:.6f}", f"{loss * 1.2:.6f}", f"{1 - loss:.6f}", "00:21"]
            master.write(row, table=True)
            log.mark(stage=ANY, epoch=ANY, percent=share(epoch + 1, epochs, 1, 1), loss=round(loss, 6))
            master.update(epoch + 1)
    log.say("Better model found at epoch 2 with valid_loss value: 0.21", stage=ANY, epoch=ANY)


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


def lightning_columns(log, epochs=5, batches=40):
    """Lightning's RichProgressBar: its columns, drawn by rich."""
    console = colours(log, 110, "standard")
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
            log.loss, loss = loss, round(log.loss_by_steps(), 3)
            bar.update(task, completed=batch, metrics=f"v_num: 0.000 train_loss: {loss:.3f}", refresh=True)
            step = epoch * batches + batch
            log.mark(stage="Training", step=step, total=total, epoch=epoch, epochs=epochs - 1)
        bar.remove_task(task)
    bar.stop()
    log.mark(loss=loss)


def lightning_sanity(log, epochs=4, batches=50):
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
            loss = round(log.loss_by_steps(), 3)
            bar.update(batch - bar.n)
            bar.set_postfix_str(f"v_num=0, train_loss={loss:.3f}")
            # How many epochs there are it does not say: nobody knows how much of the run is done.
            log.mark(stage="Training", step=epoch * batches + batch, epoch=epoch, loss=loss)
        log.stage = "Validation"
        for _ in log.bar(range(5), desc="Validation DataLoader 0", leave=False):
            wait(0.2)
            log.mark_as_is()
        bar.close()
        log.stage = "Training"
        log.mark_as_is()
    log.write("`Trainer.fit` stopped: `max_epochs=4` reached.\n")
    log.stage = log.percent = log.total = log.epochs = ANY
    log.mark_as_is()


LOGS = march({
    "keras": keras_new,
    "keras-line-an-epoch": lambda log: keras_new(log, epochs=12, verbose=2, every=40),
    "keras-2": keras_old,
    "lightning-tqdm-validation": lightning_tqdm,
    "lightning-rich-validation": lightning_rich,
    "fastai": fastai,
}) | loose({
    "lightning-rich": lightning_columns,
    "lightning-tqdm": lightning_sanity,
}, first_seed=7)
