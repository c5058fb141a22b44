//! One line of a log, read: its stage and its numbers, whichever trainer wrote it.

use super::claims::Claims;
use super::grammar::announcements::Announced;
use super::grammar::contains;
use super::grammar::counters::EpochForm;
use super::shapes;
use super::stage::Stage;
use crate::domain::log::{Ending, LogFold};

/// What one line says. Everything the line does not say is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LineReading {
    /// The stage that the line speaks of.
    pub stage: Option<Stage>,
    /// Training steps taken: of the run, or of the epoch where the line counts those.
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
    /// Steps of the run, told beside a count within the epoch.
    pub(super) whole: Option<u64>,
    pub(super) whole_total: Option<u64>,
    pub(super) announced: Announced<u64>,
    /// A percentage that the trainer tells, from 0 to 100.
    pub(super) percent: Option<f64>,
    /// What counts `step`.
    pub(super) counter: Counter,
    pub(super) traits: Traits,
}

/// What a line tells besides its numbers: the same in all lines that differ in nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Traits {
    /// What the line says of the run itself.
    pub(super) event: RunEvent,
    /// What the line speaks of has been done.
    pub(super) is_past: bool,
    /// It speaks of something that is being done: "caching latents...".
    pub(super) is_under_way: bool,
    /// It may begin with the name of the container that it comes from.
    pub(super) may_have_source: bool,
    /// It may name the columns of a table.
    pub(super) may_name_columns: bool,
    /// A logger wrote behind a bar, on the same line.
    pub(super) has_text_behind_bar: bool,
    pub(super) epoch_form: EpochForm,
    /// The epoch is told with a fraction, and so counts what is done.
    pub(super) has_epoch_fraction: bool,
    /// The number of epochs may be that of the last one, counted from 0.
    pub(super) has_last_index: bool,
    pub(super) is_percent_of_epoch: bool,
    /// A hash of the name of the part of the loss that is told; 0 for the loss itself.
    pub(super) loss_part: u64,
    /// The loss is named as the training's.
    pub(super) says_training_loss: bool,
}

/// What a line says of the run itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum RunEvent {
    #[default]
    None,
    /// It begins or resumes: the next count may be lower than the last.
    Begins,
    /// Training is said to go on now.
    Trains,
    /// It is over, in whichever way.
    Ends,
    /// It is over, and all of it was done.
    Completes,
    /// A program died.
    Dies,
    /// One of several trainings begins or ends.
    Part,
}

/// What a count says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Label {
    /// Steps or iterations.
    #[default]
    Steps,
    /// A bar named "steps", as of runs whose length is told in steps.
    ManySteps,
    /// Steps over the whole run.
    Whole,
    /// Steps with a total beside an epoch: of the epoch or of the run.
    StepsOfEpoch,
    /// Batches, which begin again in each epoch.
    Batches,
    /// A bar whose description has the epoch in it.
    OfEpoch,
    /// Examples of an epoch.
    Examples,
    /// Epochs.
    Epochs,
    /// A bar that says no more than that it trains.
    Train,
    /// A bar with a name that says nothing: some trainers take the name of the job.
    Job,
    /// A count without any word. The pipelines that draw samples print such bars.
    Bare,
}

/// Identifies what counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counter {
    /// A hash of the letters of the bar's description; 0 for prose.
    pub(super) name: u64,
    pub(super) label: Label,
    pub(super) is_bar: bool,
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
    let reading = read_clean(&last);
    LineReading {
        step: reading.step.or(reading.whole),
        total_steps: reading
            .announced
            .steps
            .filter(|&steps| steps > 0)
            .or(reading.total_steps)
            .or(reading.whole_total),
        total_epochs: reading.total_epochs.or(reading.announced.epochs),
        ..reading
    }
}

/// Reads a line that holds neither ANSI sequences nor control characters.
pub(super) fn read_clean(line: &[u8]) -> LineReading {
    shapes::with_shapes(|shapes| shapes.read(line))
}

/// Reads the tail of a log, whose last number may be cut: it is not read.
pub(super) fn read_tail(tail: &[u8], ending: Ending) -> LineReading {
    // After a closed bar, too, no number goes on.
    if ending == (Ending::Open { is_whole: true }) || tail.ends_with(b"]") {
        return read_clean(tail);
    }
    let sure = without_last_number(tail);
    let mut reading = Claims::of(sure).reading();
    if reading.counter.is_bar {
        return reading;
    }
    if contains(sure, b"%|") {
        return LineReading::default();
    }
    let has_numbers = reading.step.or(reading.whole).is_some()
        || reading.epoch.is_some()
        || reading.loss.is_some()
        || reading.percent.is_some();
    if !has_numbers && !seems_finished(sure) {
        // What is being said may yet be that it has ended, or what it was set to.
        reading.stage = None;
        reading.traits.event = RunEvent::None;
    }
    // "Epoch 1/21, Ste" is about to become SimpleTuner's step bar, whose progress is not the epoch's.
    if reading.step.is_none() && may_become_step_bar(sure) {
        reading.epoch = None;
        reading.total_epochs = None;
    }
    reading
}

/// The line without the number at its very end, which may go on in bytes yet to come.
fn without_last_number(line: &[u8]) -> &[u8] {
    let mut sure = line;
    while let [rest @ .., last] = sure {
        let is_exponent =
            matches!(last, b'e' | b'E') && rest.last().is_some_and(u8::is_ascii_digit);
        if !is_exponent && !matches!(last, b'0'..=b'9' | b'.' | b',' | b'+' | b'-') {
            break;
        }
        sure = rest;
    }
    sure
}

/// Whether a text that waits for its newline has come to an end: many print "Validating... ", and the rest
/// of the line when it is done.
fn seems_finished(text: &[u8]) -> bool {
    let text = text.trim_ascii_end();
    text.ends_with(b"...") || text.ends_with("…".as_bytes())
}

/// Whether a line with an epoch may yet become `Epoch 1/21, Steps: …`.
fn may_become_step_bar(line: &[u8]) -> bool {
    let after_digits = line.iter().rposition(u8::is_ascii_digit).map_or(0, |at| at + 1);
    let word: Vec<u8> = line[after_digits..]
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .map(u8::to_ascii_lowercase)
        .collect();
    b"steps".starts_with(&word)
}
