//! One line of a log, read: its stage and its numbers, whichever trainer wrote it.

use std::hash::{DefaultHasher, Hasher};

use super::numbers::{self, Bar};
use super::stage::{Stage, Verdict, verdict_of_bar, verdict_of_text};
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
    match numbers::last_bar(line) {
        Some(bar) => read_bar(&bar),
        None => read_text(line),
    }
}

/// Reads the tail of a log, whose last number may be cut: it is not read.
pub(super) fn read_tail(tail: &[u8], ending: Ending) -> LineReading {
    if ending == (Ending::Open { is_whole: true }) {
        return read_clean(tail);
    }
    let sure = numbers::without_last_number(tail);
    if let Some(bar) = numbers::last_bar(sure) {
        return read_bar(&bar);
    }
    if numbers::looks_like_bar(sure) {
        return LineReading::default();
    }
    let mut reading = read_text(sure);
    // "Epoch 1/21, Ste" is about to become SimpleTuner's step bar, whose progress is not the epoch's.
    if reading.step.is_none() && numbers::may_become_step_bar(sure) {
        reading.epoch = None;
        reading.total_epochs = None;
    }
    reading
}

fn read_bar(bar: &Bar<'_>) -> LineReading {
    let loss = numbers::loss(bar.postfix);
    let learning_rate = numbers::learning_rate(bar.postfix);
    let counts_steps = bar.unit.is_none_or(is_step_unit);
    let stage = match verdict_of_bar(bar.description) {
        // No validation shows a learning rate: this is a job with a misleading name.
        _ if learning_rate.is_some() && loss.is_some() => Stage::Training,
        Verdict::Is(stage) => stage,
        Verdict::Nothing => return LineReading::default(),
        Verdict::Unknown if counts_steps => Stage::Training,
        // Files, keys, examples: material, not steps.
        Verdict::Unknown => Stage::Preprocessing,
    };
    if stage != Stage::Training {
        return LineReading { stage: Some(stage), ..LineReading::default() };
    }
    let (epoch, total_epochs) = numbers::epoch(bar.description).unwrap_or_default();
    let name = letters(bar.description);
    let mut reading = LineReading {
        stage: Some(stage),
        epoch,
        total_epochs,
        loss,
        learning_rate,
        ..LineReading::default()
    };
    if matches!(name.as_slice(), b"epoch" | b"epochs") && epoch.is_none() {
        // This bar counts the epochs themselves.
        reading.epoch = Some(bar.done as f64);
        reading.total_epochs = bar.total;
        return reading;
    }
    reading.step = Some(bar.done);
    reading.total_steps = bar.total;
    reading.seconds_per_step = bar.seconds_per_step;
    let says_step = contains(&name, b"step");
    let says_so =
        says_step || ["epoch", "train", "iter"].iter().any(|word| contains(&name, word.as_bytes()));
    reading.counter = Counter {
        name: hash(&name),
        trust: match () {
            () if says_so || loss.is_some() || learning_rate.is_some() => Trust::Explicit,
            () if name.is_empty() => Trust::Bare,
            () => Trust::Named,
        },
        is_per_epoch: epoch.is_some() && !says_step,
        is_first_frame: bar.is_first_frame,
    };
    reading
}

fn read_text(line: &[u8]) -> LineReading {
    if line.trim_ascii().is_empty() {
        return LineReading::default();
    }
    let verdict = verdict_of_text(line);
    let announces_run = verdict != Verdict::Nothing && numbers::announces_run(line);
    match verdict {
        Verdict::Nothing => return LineReading::default(),
        Verdict::Is(stage @ Stage::Preprocessing) => {
            return LineReading { stage: Some(stage), announces_run, ..LineReading::default() };
        }
        Verdict::Is(_) | Verdict::Unknown => {}
    }
    if numbers::is_run_summary(line) {
        return LineReading::default();
    }
    let loss = numbers::loss(line);
    let (epoch, total_epochs) = numbers::epoch(line).unwrap_or_default();
    let count = numbers::step(line, loss.is_some());
    let total_announced = numbers::announced_total(line);
    let is_evaluation = match verdict {
        Verdict::Is(Stage::Validation) => {
            loss.is_none() || numbers::speaks_of_evaluation_first(line)
        }
        Verdict::Is(_) => false,
        Verdict::Unknown | Verdict::Nothing => {
            loss.is_none() && numbers::is_evaluation_report(line)
        }
    };
    if is_evaluation {
        return LineReading {
            stage: Some(Stage::Validation),
            epoch,
            total_epochs,
            ..LineReading::default()
        };
    }
    let has_progress =
        count.is_some() || epoch.is_some() || loss.is_some() || total_announced.is_some();
    let stage = match verdict {
        Verdict::Is(Stage::Validation) => Some(Stage::Training),
        Verdict::Is(stage) => Some(stage),
        Verdict::Unknown | Verdict::Nothing => has_progress.then_some(Stage::Training),
    };
    LineReading {
        stage,
        step: count.as_ref().map(|count| count.done),
        total_steps: total_announced.or(count.as_ref().and_then(|count| count.total)),
        epoch,
        total_epochs,
        loss,
        learning_rate: stage.and_then(|_| numbers::learning_rate(line)),
        seconds_per_step: stage.and_then(|_| numbers::seconds_per_step(line)),
        counter: Counter {
            is_per_epoch: epoch.is_some()
                && count.as_ref().is_some_and(|count| count.is_of_batches),
            ..Counter::default()
        },
        announces_run,
    }
}

fn is_step_unit(unit: &[u8]) -> bool {
    matches!(
        unit,
        b"it/s"
            | b"s/it"
            | b"step/s"
            | b"s/step"
            | b"steps/s"
            | b"batch/s"
            | b"s/batch"
            | b"batches/s"
            | b"ba/s"
            | b"iter/s"
            | b"s/iter"
    )
}

/// The letters of a description: without numbers, dates and punctuation it names the same bar in
/// every frame.
fn letters(description: &[u8]) -> Vec<u8> {
    description
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .map(u8::to_ascii_lowercase)
        .collect()
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

fn hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(name);
    hasher.finish()
}
