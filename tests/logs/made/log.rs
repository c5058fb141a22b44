//! A log under way: what was printed, and what is true after each piece of it.

use jobsyncd::domain::progress::{Progress, Stage};

use super::run::{Now, Random, Run};
use crate::{Cell, Row};

/// A fact: `None` where two careful people could disagree, `Some(None)` where nobody can know it.
pub(super) type Fact<T> = Option<Option<T>>;

/// What a careful person who has read so far knows.
#[derive(Debug, Clone, Default)]
pub(super) struct Truth {
    pub(super) stage: Fact<Stage>,
    pub(super) percent: Fact<f64>,
    pub(super) step: Fact<f64>,
    pub(super) total_steps: Fact<f64>,
    pub(super) epoch: Fact<f64>,
    pub(super) total_epochs: Fact<f64>,
    pub(super) loss: Fact<f64>,
}

impl Truth {
    /// Before anything was trained, every number is unknown.
    fn at_first() -> Self {
        let none = Some(None);
        Self {
            stage: None,
            percent: none,
            step: none,
            total_steps: none,
            epoch: none,
            total_epochs: none,
            loss: none,
        }
    }

    /// What is otherwise in `found`.
    pub(super) fn differences(&self, found: &Progress) -> Vec<String> {
        let numbers =
            [self.percent, self.step, self.total_steps, self.epoch, self.total_epochs, self.loss];
        let row = Row {
            after_bytes: 0,
            stage: self
                .stage
                .map_or(Cell::Open, |stage| Cell::True(stage.map(|stage| stage.to_string()))),
            numbers: numbers.map(|fact| fact.map_or(Cell::Open, Cell::True)),
        };
        row.differences(found)
    }
}

/// A piece of a log that was written at once: a line, or a frame of a bar.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) text: String,
    /// What is true after it.
    pub(super) truth: Truth,
    /// How much of the run is done, in percent, whether or not the log tells.
    pub(super) done: f64,
    /// The run has crashed, and no second count shows where it goes on.
    pub(super) is_restart: bool,
}

/// What stands before each line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    /// Nothing.
    None,
    /// `docker compose` names the container.
    Container,
    /// Kubernetes tells the time.
    Pod,
    /// The formatter of Python's logging; bars have none.
    Logging,
}

impl Prefix {
    fn of_line(self) -> &'static str {
        match self {
            Self::Logging => "2026-03-01 10:00:00,123 - INFO - __main__ - ",
            other => other.of_bar(),
        }
    }

    fn of_bar(self) -> &'static str {
        match self {
            Self::Container => "trainer-1  | ",
            Self::Pod => "2026-03-01T10:00:00.118204411Z ",
            Self::None | Self::Logging => "",
        }
    }
}

/// Writes a log.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) frames: Vec<Frame>,
    pub(super) truth: Truth,
    /// How much of the run is done, in percent.
    pub(super) done: f64,
    /// The run has crashed, and no second count shows where it goes on.
    pub(super) is_restart: bool,
    pub(super) random: Random,
    pub(super) prefix: Prefix,
    /// How many processes print each line and bar of the training.
    pub(super) ranks: u64,
    /// What is printed after a bar does not begin a line of its own.
    pub(super) is_glued: bool,
    /// The last frame did not end its line.
    is_in_line: bool,
}

impl Log {
    pub(super) fn new(random: Random) -> Self {
        Self {
            frames: Vec::new(),
            truth: Truth::at_first(),
            done: 0.0,
            is_restart: false,
            random,
            prefix: Prefix::None,
            ranks: 1,
            is_glued: false,
            is_in_line: false,
        }
    }

    fn push(&mut self, text: String) {
        let mut truth = self.truth.clone();
        if self.is_restart {
            truth = Truth::default();
        }
        if text.ends_with(|last: char| last.is_ascii_digit()) {
            // A number at the very end may go on.
            truth.loss = None;
        }
        let (done, is_restart) = (self.done, self.is_restart);
        self.is_in_line = !text.ends_with('\n');
        self.frames.push(Frame { text, truth, done, is_restart });
    }

    /// Writes a line.
    pub(super) fn line(&mut self, text: &str) {
        let is_after_number = self
            .frames
            .last()
            .is_some_and(|frame| frame.text.ends_with(|last: char| last.is_ascii_digit()));
        let is_glued = self.is_in_line && self.is_glued && !is_after_number;
        let start = if is_glued { "" } else { self.prefix.of_line() };
        let end = if self.is_in_line && !is_glued { "\n" } else { "" };
        self.push(format!("{end}{start}{text}\n"));
    }

    /// Writes a line as each process of a run prints it.
    pub(super) fn row(&mut self, text: &str) {
        if self.ranks == 1 {
            return self.line(text);
        }
        for rank in 0..self.ranks {
            self.line(&format!("[rank{rank}]: {text}"));
        }
    }

    /// Writes a frame of a bar, as each process of a run draws it.
    pub(super) fn bar(&mut self, text: &str) {
        for _ in 0..self.ranks {
            let start = if self.is_in_line { "" } else { self.prefix.of_bar() };
            self.push(format!("{start}\r{text}"));
        }
    }

    /// Writes a frame of a bar that is drawn below another one, and goes back up.
    pub(super) fn bar_below(&mut self, text: &str) {
        self.push(format!("\n\r{text}\u{1b}[A"));
    }

    /// Ends the line of a bar.
    pub(super) fn end_bar(&mut self) {
        if self.is_in_line {
            self.push("\n".to_owned());
        }
    }

    /// Writes a line that tells what is being done.
    pub(super) fn says(&mut self, stage: Stage, text: &str) {
        self.truth.stage = Some(Some(stage));
        self.line(text);
    }

    /// A line whose words people read in different ways.
    pub(super) fn says_something(&mut self, text: &str) {
        self.truth.stage = None;
        self.line(text);
    }

    /// Writes the lines of an evaluation.
    pub(super) fn validates(&mut self, lines: &[&str]) {
        for line in lines {
            self.says(Stage::Validation, line);
        }
    }

    /// A run begins or goes on, so that nothing is sure before its first count.
    pub(super) fn unsure(&mut self) {
        let loss = self.truth.loss.filter(|_| !self.is_restart);
        self.truth = Truth { loss, ..Truth::default() };
    }

    /// A count of the whole run is read: `step` of `total`.
    pub(super) fn counts(&mut self, step: u64, total: Option<u64>) {
        let (step, total) = (step as f64, total.map(|total| total as f64));
        self.truth.stage = Some(Some(Stage::Training));
        self.truth.percent = Some(total.map(|total| step * 100.0 / total));
        self.truth.step = Some(Some(step));
        self.truth.total_steps = Some(total);
    }

    /// A count within the epoch is read, of a run whose number of epochs is known.
    pub(super) fn counts_within(&mut self, now: &Now, run: &Run) {
        self.truth.stage = Some(Some(Stage::Training));
        self.truth.percent = Some(Some(now.step as f64 * 100.0 / run.total() as f64));
        (self.truth.step, self.truth.total_steps) = (None, None);
    }

    /// Training is counted, and nobody can know how much of it there is.
    pub(super) fn counts_without_end(&mut self) {
        self.truth.stage = Some(Some(Stage::Training));
        self.truth.percent = Some(None);
        (self.truth.step, self.truth.total_steps) = (None, None);
    }

    /// The epoch as it is printed, and how many there are where that is known.
    pub(super) fn epoch_is(&mut self, epoch: u64, total: Option<u64>) {
        self.truth.epoch = Some(Some(epoch as f64));
        self.truth.total_epochs = Some(total.map(|total| total as f64));
    }

    /// No epoch is printed anywhere.
    pub(super) fn has_no_epochs(&mut self) {
        (self.truth.epoch, self.truth.total_epochs) = (Some(None), Some(None));
    }

    /// The loss of a step is printed.
    pub(super) fn loss_is(&mut self, now: &Now) {
        self.truth.loss = Some(Some(now.loss));
    }
}

/// A bar as tqdm draws it.
pub(super) fn bar(description: &str, done: u64, total: u64, postfix: &str) -> String {
    let clock = |seconds: u64| format!("{:02}:{:02}", seconds / 60, seconds % 60);
    let percent = (done as f64 * 100.0 / total as f64).round();
    let blocks = "█".repeat((done * 10 / total) as usize);
    let pace = match done {
        0 => "00:00<?, ?it/s".to_owned(),
        done => format!("{}<{},  1.25it/s", clock(done * 4 / 5), clock((total - done) * 4 / 5)),
    };
    format!("{description}{percent:3}%|{blocks:10}| {done}/{total} [{pace}{postfix}]")
}
