"""A run that is played on a clock of its own: its log, and the table of what is true after which byte of it.

A cell of the table is a value, `-` (`None`) where nothing was told or nobody can know it, or `?` (`ANY`) where
experts could disagree. The table comes from the run that is played, never from the parser that it is to test.

A row stands after a newline, a carriage return, or the closing bracket of a bar's frame. The first logs that were
made (`loose`) have rows after any byte, for the parser also has to read a line that is not yet finished.
"""

import contextlib
import datetime
import itertools
import logging
import os
import pathlib
import random
import re
import textwrap
import typing
import weakref
import zlib

import tqdm.std
from rich.console import Console
from rich.logging import RichHandler

HERE = pathlib.Path(__file__).resolve().parent.parent
ANY = "?"
CELLS = {"stage": "stage", "percent": "percent", "step": "step", "total": "total_steps", "epoch": "epoch", "epochs": "total_epochs", "loss": "loss"}

PREPARING = "Preprocessing"
TRAINING = "Training"
VALIDATING = "Validation"
SAVING = "Saving checkpoint"

DAY = 86_400.0
JANUARY = 1_767_603_600.0  # 2026-01-05 09:00 UTC
MARCH = 1_772_359_200.0  # 2026-03-01 10:00 UTC
SOMETIME = 1_000_000.0
NOW = 0.0


def now():
    return NOW


def wait(seconds):
    global NOW
    NOW += seconds


class InOrder(weakref.WeakSet):
    """The bars that are open, in the order in which they were made: tqdm keeps them by their addresses."""

    numbers = itertools.count()

    def add(self, bar):
        bar.number = next(self.numbers)
        super().add(bar)

    def __iter__(self):
        return iter(sorted(super().__iter__(), key=lambda bar: bar.number))


# A run of hours is written in a second, and the same each time.
tqdm.std.time = now
tqdm.std.tqdm.monitor_interval = 0
tqdm.std.tqdm._instances = InOrder()


def shown(number, form=".3g"):
    """A number as it is read back from what was printed (`.3g`: the postfix of a tqdm bar)."""
    return float(format(number, form))


def share(epoch, epochs, batch, batches):
    """How much of a whole run is done, when `batch` of `epoch` is; both counted from 1."""
    return ((epoch - 1) * batches + batch) * 100 / (epochs * batches)


def span(seconds):
    """Hours, minutes and seconds, as datetime.timedelta shows them."""
    return str(datetime.timedelta(seconds=int(seconds)))


class Log:
    """A log and what is true of its run."""

    encoding = "utf-8"

    def __init__(self, name, seed, begin, is_loose=False):
        global NOW
        NOW = begin
        self.name, self.is_loose = name, is_loose
        self.bytes = bytearray()
        self.rows = []
        self.waiting = None
        self.random = random.Random(seed)
        self.stage = self.percent = self.step = self.total = self.epoch = self.epochs = self.loss = None

    def write(self, text):
        """Writes, and puts the row that waits behind the first carriage return or newline."""
        data = text if isinstance(text, bytes) else text.encode()
        end = re.search(rb"[\r\n]", data) if self.waiting else None
        if end:
            cells, self.waiting = self.waiting, None
            self.bytes += data[: end.end()]
            self.put(cells, len(self.bytes))
            data = data[end.end() :]
        self.bytes += data

    def flush(self):
        pass

    def isatty(self):
        return False

    def note(self, *lines):
        """Lines that change nothing."""
        for line in lines:
            self.write(line + "\n")

    def say(self, text, **true):
        """A text (of lines that belong together), and what is true after it."""
        self.write(text + "\n")
        self.mark(**true)

    def lines(self, text, **true):
        """Lines with a row after each, all of them true of the same."""
        for line in textwrap.dedent(text).strip("\n").split("\n"):
            self.say(line, **true)

    def tell(self, **true):
        """What is true from the next row on; the percentage follows from steps of a total where none is told."""
        for key, value in true.items():
            assert key in CELLS, key
            setattr(self, key, value)
        if "percent" not in true and isinstance(self.step, int) and isinstance(self.total, int):
            self.percent = self.step * 100 / self.total

    def cells(self):
        show = lambda cell: "-" if cell is None else f"{cell:.10g}" if isinstance(cell, float) else str(cell)
        return "\t".join(show(getattr(self, name)) for name in CELLS)

    def mark(self, upto=None, **true):
        """What is true from here on, or after `upto`, lately written."""
        self.tell(**true)
        self.mark_as_is(upto)

    def then(self, **true):
        """What is true from the next carriage return or newline on."""
        self.tell(**true)
        self.waiting = self.cells()

    def mark_as_is(self, upto=None):
        after = len(self.bytes)
        if upto is not None:
            after = self.bytes.rindex(upto.encode()) + len(upto.encode())
        if not self.is_loose:
            # Blanks and cursor movements behind a frame belong to what comes next.
            end = bytes(self.bytes[max(0, after - 4000) : after])
            if not end.endswith((b"\n", b"\r")):
                after -= len(end) - len(re.sub(rb"(?: |\x1b\[A)*\Z", b"", end))
            assert self.bytes[after - 1 : after] in (b"\n", b"\r", b"]"), (self.name, end[-80:])
        self.put(self.cells(), after)

    def put(self, cells, after):
        if not self.is_loose and self.rows and self.rows[-1][0] == after:
            self.rows.pop()
        self.rows.append((after, cells))

    def clock(self, form="%Y-%m-%d %H:%M:%S"):
        """The time of the run; `%f` in microseconds, `%3f` in milliseconds."""
        at = datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)
        return at.strftime(form.replace("%3f", f"{at.microsecond // 1000:03}"))

    def some(self, low, high):
        return self.random.uniform(low, high)

    def falling(self, done):
        """A loss that falls, by the share of the run that is done."""
        return 0.6 / (1 + 4 * done) * self.some(0.85, 1.15)

    def loss_by_steps(self):
        """A loss that falls, by the steps that were taken."""
        return 0.5 / (1 + (self.step or 0) / 300) * self.some(0.7, 1.3)

    def next_loss(self, base=0.5, done=None):
        """A loss that falls, by what was done (the rows so far), with more noise."""
        done = len(self.rows) if done is None else done
        return base / (1 + done / 60) * self.some(0.8, 1.25)

    def bar(self, items, **options):
        """tqdm's bar over some items, or of so many."""
        options = {"file": self, "mininterval": 0, "miniters": 1, "ascii": False, **options}
        return tqdm.std.tqdm(total=items, **options) if isinstance(items, int) else tqdm.std.tqdm(items, **options)

    def move(self, bar, count, seconds, **true):
        """Brings a bar forward to `count`, and says what is true after its frame."""
        wait((count - bar.n) * seconds)
        bar.update(count - bar.n)
        self.mark(**true)

    def work(self, description, count, stage=PREPARING, seconds=0.2, **options):
        """A bar of something else than steps, frame by frame."""
        for _ in self.bar(range(count), desc=description, **options):
            wait(seconds)
            self.mark(stage=stage)
        self.mark()

    def aside(self, description, total, frames=3, seconds=0.2, **options):
        """A bar of something else than steps, in some frames; the cells stay."""
        true = {key: options.pop(key) for key in CELLS if key in options}
        with self.bar(total, desc=description, **options) as bar:
            self.mark(**true)
            for frame in range(1, frames + 1):
                self.move(bar, total * frame // frames, seconds)
        self.mark()

    def print_above(self, text, stage, **true):
        """tqdm.write: the bars go away, the text comes, and the bars are drawn again: whose stage it is then is unsure."""
        tqdm.std.tqdm.write(text, file=self)
        self.mark(upto=text + "\n", stage=stage, **true)
        self.mark(stage=ANY)

    def rich(self, form, width=80, show_path=True):
        """rich's handler of `logging` on this log: a function of a message, its file and its line."""
        console = Console(file=self, width=width, force_terminal=False, legacy_windows=False)
        handler = RichHandler(console=console, show_path=show_path)
        handler.setFormatter(logging.Formatter("%(message)s", datefmt=form))

        def say(message, where="train_util.py:1", **true):
            path, _, line = where.partition(":")
            record = logging.LogRecord("", logging.INFO, path, int(line), message, None, None)
            # The handler shows local time.
            at = datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).replace(tzinfo=None)
            record.created = at.timestamp()
            handler.emit(record)
            self.mark(**true)

        return say

    def save(self):
        assert not tqdm.std.tqdm._instances, f"{self.name}: a bar is open"
        assert self.is_loose or (len(self.rows) >= 3 and 1000 <= len(self.bytes) <= 12_500), (self.name, len(self.bytes))
        (HERE / f"{self.name}.log").write_bytes(self.bytes)
        table = ["\t".join(["after_bytes", *CELLS.values()]), *(f"{after}\t{cells}" for after, cells in self.rows)]
        (HERE / f"{self.name}.tsv").write_text("\n".join(table) + "\n")
        print(self.name, len(self.bytes), len(self.rows))


class Play(typing.NamedTuple):
    """How a log is made: the run, what its chance grows from, when it begins, how wide its terminal is."""

    run: typing.Callable
    seed: str | int
    begin: float
    columns: int | None = None
    is_loose: bool = False

    def save(self, name):
        with terminal(self.columns):
            log = Log(name, self.seed, self.begin, self.is_loose)
            self.run(log)
            log.save()


@contextlib.contextmanager
def terminal(columns):
    """What is written does not depend on the terminal that it is made in."""
    before = dict(os.environ)
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        os.environ.pop(name, None)
    os.environ.update(TERM="xterm-256color", ANSI_COLORS_DISABLED="1", PYTHONIOENCODING="utf-8")
    if columns:
        os.environ.update(COLUMNS=str(columns), LINES="40")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def loose(plays, first_seed):
    """Runs with rows after any byte, and one after the last."""
    def whole(run, log):
        run(log)
        log.mark_as_is()

    partial = lambda run: lambda log: whole(run, log)
    return {name: Play(partial(run), first_seed + at, SOMETIME, is_loose=True) for at, (name, run) in enumerate(plays.items())}


def january(plays, first_day=0):
    """Runs that begin one a day, at no particular width."""
    return {name: Play(run, name, JANUARY + DAY * (first_day + at)) for at, (name, run) in enumerate(plays.items())}


def march(plays):
    """Runs on a terminal of 100 columns."""
    return {name: Play(run, zlib.crc32(name.encode()), MARCH, columns=100) for name, run in plays.items()}
