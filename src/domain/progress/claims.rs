//! What the words of a line say, and where its numbers are.

use std::hash::{DefaultHasher, Hasher};

use super::line::{Counter, LineReading, Trust};
use super::numbers::{self, Bar, Epochs, Speed};
use super::stage::{Stage, Verdict, verdict_of_bar, verdict_of_text};
use super::values::{clock_seconds, count, decimal, finite, seconds_per_step, total};

/// All of it. A number is whatever `T` is: its text, or the place in the line where it stands. Two
/// lines that differ in nothing but their numbers have the same findings.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings<T> {
    pub(super) stage: Option<Stage>,
    pub(super) announces_run: bool,
    pub(super) counter: Counter,
    /// `done` and `total` count epochs, not steps.
    pub(super) counts_epochs: bool,
    /// No word says what is counted.
    pub(super) is_bare_count: bool,
    pub(super) done: Option<T>,
    pub(super) total: Option<T>,
    pub(super) announced_total: Option<T>,
    pub(super) epoch: Option<T>,
    pub(super) total_epochs: Option<T>,
    pub(super) loss: Option<T>,
    pub(super) learning_rate: Option<T>,
    pub(super) speed: Option<Speed<T>>,
    pub(super) elapsed: Option<T>,
}

impl<'a> Findings<&'a [u8]> {
    /// What a line holds that has neither ANSI sequences nor control characters.
    pub(super) fn of(line: &'a [u8]) -> Self {
        match numbers::last_bar(line) {
            Some(bar) => Self::of_bar(&bar),
            None => Self::of_text(line),
        }
    }

    pub(super) fn of_bar(bar: &Bar<'a>) -> Self {
        let loss = numbers::loss(bar.postfix);
        let learning_rate = numbers::learning_rate(bar.postfix);
        let counts_steps = bar.unit.is_none_or(is_step_unit);
        let stage = match verdict_of_bar(bar.description) {
            // No validation shows a learning rate: this is a job with a misleading name.
            _ if learning_rate.is_some() && loss.is_some() => Stage::Training,
            Verdict::Is(stage) => stage,
            Verdict::Nothing => return Self::default(),
            Verdict::Unknown if counts_steps => Stage::Training,
            // Files, keys, examples: material, not steps.
            Verdict::Unknown => Stage::Preprocessing,
        };
        if stage != Stage::Training {
            return Self { stage: Some(stage), ..Self::default() };
        }
        let Epochs { epoch, total: total_epochs } = numbers::epochs(bar.description);
        let name = letters(bar.description);
        let says_step = contains(&name, b"step");
        let says_so = says_step
            || ["epoch", "train", "iter"].iter().any(|word| contains(&name, word.as_bytes()));
        let counter = Counter {
            name: hash(&name),
            trust: match () {
                () if says_so || loss.is_some() || learning_rate.is_some() => Trust::Explicit,
                () if name.is_empty() => Trust::Bare,
                () => Trust::Named,
            },
            is_per_epoch: epoch.is_some() && !says_step,
            is_first_frame: bar.is_first_frame,
        };
        let counts_epochs = matches!(name.as_slice(), b"epoch" | b"epochs") && epoch.is_none();
        Self {
            stage: Some(stage),
            counter,
            counts_epochs,
            done: Some(bar.done),
            total: bar.total,
            epoch,
            total_epochs,
            loss,
            learning_rate,
            speed: bar.speed,
            elapsed: bar.elapsed,
            ..Self::default()
        }
    }

    pub(super) fn of_text(line: &'a [u8]) -> Self {
        if line.trim_ascii().is_empty() {
            return Self::default();
        }
        let verdict = verdict_of_text(line);
        let announces_run = verdict != Verdict::Nothing && numbers::announces_run(line);
        match verdict {
            Verdict::Nothing => return Self::default(),
            Verdict::Is(stage @ Stage::Preprocessing) => {
                return Self { stage: Some(stage), announces_run, ..Self::default() };
            }
            Verdict::Is(_) | Verdict::Unknown => {}
        }
        if numbers::is_run_summary(line) {
            return Self::default();
        }
        let loss = numbers::loss(line);
        let Epochs { epoch, total: total_epochs } = numbers::epochs(line);
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
            let stage = Some(Stage::Validation);
            return Self { stage, epoch, total_epochs, ..Self::default() };
        }
        let count = numbers::step(line, loss.is_some(), epoch);
        let announced_total = numbers::announced_total(line);
        let has_progress = count.is_some()
            || epoch.or(total_epochs).is_some()
            || loss.is_some()
            || announced_total.is_some();
        let stage = match verdict {
            Verdict::Is(Stage::Validation) => Some(Stage::Training),
            Verdict::Is(stage) => Some(stage),
            Verdict::Unknown | Verdict::Nothing => has_progress.then_some(Stage::Training),
        };
        let is_of_batches = count.as_ref().is_some_and(|count| count.is_of_batches);
        Self {
            stage,
            announces_run,
            counter: Counter {
                is_per_epoch: epoch.is_some() && is_of_batches,
                ..Counter::default()
            },
            is_bare_count: count.as_ref().is_some_and(|count| count.is_bare),
            done: count.as_ref().map(|count| count.done),
            total: count.as_ref().and_then(|count| count.total),
            announced_total,
            epoch,
            total_epochs,
            loss,
            learning_rate: stage.and_then(|_| numbers::learning_rate(line)),
            speed: stage.and_then(|_| numbers::speed(line)),
            ..Self::default()
        }
    }

    /// What the numbers amount to.
    pub(super) fn values(&self) -> LineReading {
        let mut done = self.done.and_then(count);
        let mut of = self.total.and_then(total);
        if self.is_bare_count && (of.is_none() || done > of) {
            (done, of) = (None, None);
        }
        let mut epoch = self.epoch.and_then(finite);
        let mut total_epochs = self.total_epochs.and_then(total);
        if self.epoch.is_some()
            && let Some(all) = self.total_epochs.and_then(count)
            && epoch.is_none_or(|epoch| epoch > all as f64)
        {
            // tqdm's `Epoch 1/0` is none.
            (epoch, total_epochs) = (None, None);
        }
        let mut reading = LineReading {
            stage: self.stage,
            step: done,
            total_steps: self.announced_total.and_then(total).or(of),
            epoch,
            total_epochs,
            loss: self.loss.and_then(decimal),
            learning_rate: self.learning_rate.and_then(finite),
            seconds_per_step: None,
            elapsed_seconds: self.elapsed.and_then(clock_seconds),
            counter: self.counter,
            announces_run: self.announces_run,
        };
        reading.counter.is_per_epoch &= epoch.is_some();
        if self.counts_epochs {
            reading.epoch = done.map(|done| done as f64);
            reading.total_epochs = of;
            (reading.step, reading.total_steps) = (None, None);
            return reading;
        }
        let steps_left = of.zip(done).and_then(|(of, done)| of.checked_sub(done));
        reading.seconds_per_step = self
            .speed
            .and_then(|speed| seconds_per_step(speed, steps_left.filter(|&left| left > 0)));
        reading
    }
}

impl<T> Findings<T> {
    /// The same with other numbers; `None` where `change` is for any of them.
    pub(super) fn try_map<U>(
        &self,
        mut change: impl FnMut(&T) -> Option<U>,
    ) -> Option<Findings<U>> {
        let mut optional = |number: &Option<T>| match number {
            None => Some(None),
            Some(number) => change(number).map(Some),
        };
        Some(Findings {
            stage: self.stage,
            announces_run: self.announces_run,
            counter: self.counter,
            counts_epochs: self.counts_epochs,
            is_bare_count: self.is_bare_count,
            done: optional(&self.done)?,
            total: optional(&self.total)?,
            announced_total: optional(&self.announced_total)?,
            epoch: optional(&self.epoch)?,
            total_epochs: optional(&self.total_epochs)?,
            loss: optional(&self.loss)?,
            learning_rate: optional(&self.learning_rate)?,
            elapsed: optional(&self.elapsed)?,
            speed: match &self.speed {
                None => None,
                Some(Speed { number, unit }) => {
                    Some(Speed { number: change(number)?, unit: *unit })
                }
            },
        })
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
