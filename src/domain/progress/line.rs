//! One line of a log, read: its stage and its numbers, whichever trainer wrote it.

use super::findings::Findings;
use super::numbers;
use super::shape;
use super::stage::Stage;
use crate::domain::log::{Ending, LogFold};

/// What one line says. Everything the line does not say is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LineReading {
    /// The stage that the line speaks of.
    pub stage: Option<Stage>,
    /// Training steps taken.
    pub step: Option<u64>,
    /// Training steps to take in all, or in this epoch when the count is of one epoch's batches.
    pub total_steps: Option<u64>,
    /// The epoch as the trainer counts it; some count from 0, some give fractions.
    pub epoch: Option<f64>,
    /// Epochs to train in all.
    pub total_epochs: Option<u64>,
    /// The training loss; may be nan or infinite.
    pub loss: Option<f64>,
    /// The learning rate.
    pub learning_rate: Option<f64>,
    /// Seconds for one training step, as the trainer measured it.
    pub seconds_per_step: Option<f64>,
    /// How long a bar has counted, in seconds.
    pub(super) elapsed_seconds: Option<f64>,
    /// What counted the steps, to tell one counter of a run from another.
    pub(super) counter: Counter,
    /// The line announces that a run begins or resumes: the next count may be lower than the last.
    pub(super) announces_run: bool,
}

/// How sure it is that a counter counts training steps. Ordered: the surer one wins within a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trust {
    /// A bar without any description. The pipelines that draw validation samples print such ones.
    Bare,
    /// A bar with a name that says nothing: some trainers take the name of the job.
    Named,
    /// It says step or epoch, or comes with a loss.
    #[default]
    Explicit,
}

/// Identifies what counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counter {
    /// A hash of the letters of the bar's description; 0 for prose.
    pub(super) name: u64,
    pub(super) trust: Trust,
    /// It counts the batches of one epoch and begins again with the next.
    pub(super) is_per_epoch: bool,
    /// The first frame of a bar, before any step of it was timed.
    pub(super) is_first_frame: bool,
}

/// Reads one line of a log. ANSI sequences are removed, and of a line with several frames the last
/// one counts.
///
/// ```
/// # use jobsyncd::domain::progress::{Stage, parse_line};
/// let reading = parse_line("Steps:  30%|███       | 600/2000 [00:12<00:29, 47.96it/s, loss=0.0234]");
/// assert_eq!(reading.stage, Some(Stage::Training));
/// assert_eq!((reading.step, reading.total_steps), (Some(600), Some(2000)));
/// assert_eq!(reading.loss, Some(0.0234));
/// ```
pub fn parse_line(line: &str) -> LineReading {
    let mut fold = LogFold::default();
    let mut last = Vec::new();
    let mut keep = |bytes: &[u8]| {
        if !bytes.trim_ascii().is_empty() {
            last = bytes.to_vec();
        }
    };
    fold.push(line.as_bytes(), |frame| keep(&frame.bytes));
    keep(&fold.partial().bytes);
    read_clean(&last)
}

/// Reads a line that holds neither ANSI sequences nor control characters.
pub(super) fn read_clean(line: &[u8]) -> LineReading {
    shape::read(line)
}

/// Reads the tail of a log, whose last number may be cut: it is not read.
pub(super) fn read_tail(tail: &[u8], ending: Ending) -> LineReading {
    // After a closed bar, too, no number goes on.
    if ending == (Ending::Open { is_whole: true }) || tail.ends_with(b"]") {
        return read_clean(tail);
    }
    let sure = numbers::without_last_number(tail);
    if let Some(bar) = numbers::last_bar(sure) {
        return Findings::of_bar(&bar).values();
    }
    if numbers::looks_like_bar(sure) {
        return LineReading::default();
    }
    let mut reading = Findings::of_text(sure).values();
    // "Epoch 1/21, Ste" is about to become SimpleTuner's step bar, whose progress is not the epoch's.
    if reading.step.is_none() && numbers::may_become_step_bar(sure) {
        reading.epoch = None;
        reading.total_epochs = None;
    }
    reading
}
