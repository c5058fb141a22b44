//! What a line claims: its counts, totals, metrics, and the phase that it speaks of.

use std::hash::{DefaultHasher, Hasher};

use super::grammar::announcements::{self, Announced};
use super::grammar::bars::{self, Bar, Speed};
use super::grammar::columns::Columns;
use super::grammar::counters::{self, Count, Counted, Counters, EpochForm, Epochs, Percentage};
use super::grammar::metrics::{self, Loss};
use super::grammar::phases::{self, Verdict, verdict_of_bar, verdict_of_text};
use super::grammar::sources;
use super::line::{Counter, Label, LineReading, RunEvent};
use super::stage::Stage;
use super::values::{clock_seconds, count, decimal, finite, seconds_per_step, total};

/// All of it. A number is whatever `T` is: its text, or the place in the line where it stands. Two
/// lines that differ in nothing but their numbers have the same claims.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims<T> {
    pub(super) stage: Option<Stage>,
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
    pub(super) counter: Counter,
    pub(super) done: Option<T>,
    pub(super) total: Option<T>,
    /// A count of the whole run beside the one that is counted within an epoch.
    pub(super) whole: Option<T>,
    pub(super) whole_total: Option<T>,
    /// What `whole` is counted in.
    pub(super) whole_scale: u64,
    pub(super) announced: Announced<T>,
    pub(super) epoch: Option<T>,
    pub(super) total_epochs: Option<T>,
    pub(super) epoch_form: EpochForm,
    /// The epoch is told with a fraction, and so counts what is done.
    pub(super) has_epoch_fraction: bool,
    /// The number of epochs may be that of the last one, counted from 0.
    pub(super) has_last_index: bool,
    pub(super) percent: Option<T>,
    pub(super) is_percent_of_epoch: bool,
    pub(super) loss: Option<T>,
    /// A hash of the name of the part of the loss that `loss` is; 0 for the loss itself.
    pub(super) loss_part: u64,
    /// The loss is named as the training's.
    pub(super) says_training_loss: bool,
    pub(super) learning_rate: Option<T>,
    pub(super) speed: Option<Speed<T>>,
    pub(super) elapsed: Option<T>,
}

impl<'a> Claims<&'a [u8]> {
    /// What a line claims that has neither ANSI sequences nor control characters.
    pub(super) fn of(line: &'a [u8]) -> Self {
        let message = sources::message(line);
        let claims = match bars::last_bar(message) {
            Some(bar) => Self::of_bar(&bar),
            None => Self::of_text(message),
        };
        Self {
            is_under_way: is_under_way(message),
            may_have_source: sources::container(line).is_some(),
            may_name_columns: Columns::of_heading(message).is_some(),
            has_text_behind_bar: bars::end_of_bar(line).is_some(),
            ..claims
        }
    }

    pub(super) fn of_bar(bar: &Bar<'a>) -> Self {
        let loss = metrics::loss(bar.postfix)
            .or_else(|| metrics::loss(bar.description))
            .or_else(|| bar.loss.map(Loss::of));
        let learning_rate = metrics::learning_rate(bar.postfix);
        let counters = counters_of_bar(bar);
        let name = letters(bar.description);
        let stage =
            match stage_of_bar(bar, &name, loss.is_some(), learning_rate.is_some(), &counters) {
                Some(Stage::Training) => Stage::Training,
                stage => {
                    let counter = Counter { is_bar: true, ..Counter::default() };
                    let mut claims = Self { stage, counter, ..Self::default() };
                    claims.take_epochs(&counters.epochs);
                    return claims;
                }
            };
        let mut claims = Self {
            stage: Some(stage),
            done: Some(bar.done),
            total: bar.total,
            whole: counters
                .steps
                .filter(|steps| steps.counted == Counted::Whole)
                .map(|steps| steps.done),
            loss: loss.map(|loss| loss.number),
            loss_part: loss.map_or(0, part_of),
            says_training_loss: loss.is_some_and(|loss| loss.says_training),
            learning_rate,
            speed: bar.speed,
            elapsed: bar.elapsed,
            ..Self::default()
        };
        claims.take_epochs(&counters.epochs);
        claims.has_last_index = bar.is_rich || counters::epoch_of_row(bar.description).is_some();
        claims.counter = Counter {
            name: hash(&name),
            label: label_of_bar(bar, &name, &counters),
            is_bar: true,
            is_first_frame: bar.is_first_frame,
        };
        claims
    }

    pub(super) fn of_text(line: &'a [u8]) -> Self {
        if line.trim_ascii().is_empty() || is_drawn_box(line) {
            return Self::default();
        }
        let verdict = verdict_of_text(line);
        let mut claims = Self { event: event_of(verdict, line), ..Self::default() };
        if metrics::is_run_summary(line) {
            return Self { event: RunEvent::Ends, ..claims };
        }
        let loss = metrics::loss(line);
        let counters = counters::epochs(line);
        let (first, whole) = counters::steps(line, loss.is_some(), &counters.epochs);
        claims.announced = announcements::announced(line);
        let is_round = whole.is_some_and(|whole| whole.counted == Counted::Rounds);
        let verdict = if is_round { Verdict::Unknown } else { verdict };
        if verdict == Verdict::Is(Stage::Preprocessing) {
            claims.stage = Some(Stage::Preprocessing);
            claims.is_past = phases::is_past(line);
            claims.announced = Announced::default();
            return claims;
        }
        let is_evaluation = match verdict {
            Verdict::Is(Stage::Validation) => {
                loss.is_none() || metrics::speaks_of_evaluation_first(line)
            }
            Verdict::Unknown | Verdict::Nothing if !is_round => {
                loss.is_none() && metrics::is_evaluation_report(line)
            }
            _ => false,
        };
        if is_evaluation {
            claims.stage = Some(Stage::Validation);
            claims.take_epochs(&counters.epochs);
            return claims;
        }
        if matches!(verdict, Verdict::Nothing | Verdict::Trouble | Verdict::Over) && loss.is_none()
        {
            // One word does not drop what else a line announces, but a setting or a trouble counts nothing.
            return claims;
        }
        claims.take_epochs(&counters.epochs);
        claims.take_counts(&counters, first, whole);
        claims.loss = loss.map(|loss| loss.number);
        claims.loss_part = loss.map_or(0, part_of);
        claims.says_training_loss = loss.is_some_and(|loss| loss.says_training);
        let percentage =
            counters.percentage.or_else(|| counters::percentage(line, &counters.epochs));
        claims.take_percentage(percentage);
        let has_progress =
            claims.done.or(claims.whole).or(claims.epoch).or(claims.total_epochs).is_some()
                || loss.is_some()
                || claims.announced.steps.is_some()
                || claims.percent.is_some();
        claims.stage = match verdict {
            Verdict::Is(Stage::Validation) => Some(Stage::Training),
            Verdict::Is(stage) => Some(stage),
            _ => has_progress.then_some(Stage::Training),
        };
        claims.is_past = claims.stage == Some(Stage::SavingCheckpoint) && phases::is_past(line);
        claims.learning_rate = claims.stage.and_then(|_| metrics::learning_rate(line));
        claims.speed = claims.stage.and_then(|_| metrics::speed(line));
        claims
    }

    fn take_epochs(&mut self, epochs: &Epochs<&'a [u8]>) {
        self.epoch = epochs.epoch;
        self.total_epochs = epochs.total;
        self.epoch_form = epochs.form;
        self.has_epoch_fraction = epochs.epoch.is_some_and(|epoch| epoch.contains(&b'.'));
    }

    fn take_counts(
        &mut self,
        counters: &Counters<&'a [u8]>,
        first: Option<Count<&'a [u8]>>,
        whole: Option<Count<&'a [u8]>>,
    ) {
        let whole = whole.or(counters.steps);
        let within = counters.batches.or(first);
        // Iterations without a total beside a count of the epoch are the run's.
        let is_of_run = |first: &Count<&[u8]>| {
            counters.batches.is_some() && first.total.is_none() && first.counted != Counted::Batches
        };
        let whole = whole.or(first.filter(is_of_run));
        self.whole_scale =
            if whole.is_some_and(|whole| whole.counted == Counted::Thousands) { 1_000 } else { 1 };
        self.whole = whole.map(|count| count.done);
        self.whole_total = whole.and_then(|count| count.total);
        let Some(within) = within else { return };
        self.done = Some(within.done);
        self.total = within.total;
        let is_beside_whole = whole.is_some() && within.total.is_some();
        self.counter.label = match within.counted {
            Counted::Whole | Counted::Rounds | Counted::Thousands => Label::Whole,
            Counted::Examples => Label::Examples,
            Counted::Batches => Label::Batches,
            Counted::Steps | Counted::Iterations if is_beside_whole => Label::Batches,
            Counted::Steps | Counted::Iterations
                if self.epoch.is_some()
                    && within.total.is_some()
                    && (self.total_epochs.is_some() || within.counted == Counted::Iterations) =>
            {
                Label::StepsOfEpoch
            }
            Counted::Steps | Counted::Iterations => Label::Steps,
            Counted::Bare => Label::Bare,
        };
    }

    fn take_percentage(&mut self, percentage: Option<Percentage<&'a [u8]>>) {
        self.percent = percentage.map(|percentage| percentage.number);
        self.is_percent_of_epoch = percentage.is_some_and(|percentage| percentage.is_of_epoch);
    }

    /// What the line says.
    pub(super) fn reading(&self) -> LineReading {
        self.values(|number| number)
    }
}

impl<T> Claims<T> {
    /// What the numbers amount to, where `text` tells what stands in the line for each.
    pub(super) fn values<'a>(&self, text: impl Fn(&T) -> &'a [u8]) -> LineReading {
        let said = |number: &Option<T>| number.as_ref().map(&text);
        let mut done = said(&self.done).and_then(count);
        let mut of = said(&self.total).and_then(total);
        if self.counter.label == Label::Bare && !self.counter.is_bar && (of.is_none() || done > of)
        {
            (done, of) = (None, None);
        }
        let mut epoch = said(&self.epoch).and_then(finite);
        let mut total_epochs = said(&self.total_epochs).and_then(total);
        if self.epoch.is_some()
            && let Some(all) = said(&self.total_epochs).and_then(count)
            && epoch.is_none_or(|epoch| epoch > all as f64)
        {
            // tqdm's `Epoch 1/0` is none.
            (epoch, total_epochs) = (None, None);
        }
        let announced = Announced {
            steps: said(&self.announced.steps).and_then(count),
            asked_steps: said(&self.announced.asked_steps).and_then(total),
            epochs: said(&self.announced.epochs).and_then(count),
            asked_epochs: said(&self.announced.asked_epochs).and_then(total),
            batches: said(&self.announced.batches).and_then(total),
        };
        let mut reading = LineReading {
            stage: self.stage,
            step: done,
            total_steps: of,
            epoch,
            total_epochs,
            loss: said(&self.loss).and_then(decimal),
            loss_part: self.loss_part,
            learning_rate: said(&self.learning_rate).and_then(finite),
            seconds_per_step: None,
            elapsed_seconds: said(&self.elapsed).and_then(clock_seconds),
            counter: self.counter,
            event: self.event,
            is_past: self.is_past,
            is_under_way: self.is_under_way,
            may_have_source: self.may_have_source,
            may_name_columns: self.may_name_columns,
            has_text_behind_bar: self.has_text_behind_bar,
            says_training_loss: self.says_training_loss,
            has_last_index: self.has_last_index,
            whole: said(&self.whole)
                .and_then(count)
                .map(|whole| whole.saturating_mul(self.whole_scale.max(1))),
            whole_total: said(&self.whole_total).and_then(total),
            announced,
            epoch_form: self.epoch_form,
            has_epoch_fraction: self.has_epoch_fraction,
            percent: said(&self.percent).and_then(finite).filter(|percent| *percent <= 100.0),
            is_percent_of_epoch: self.is_percent_of_epoch,
        };
        if self.counter.label == Label::Epochs {
            reading.epoch = done.map(|done| done as f64);
            reading.total_epochs = of;
            reading.epoch_form = EpochForm::Done;
            (reading.step, reading.total_steps) = (None, None);
            return reading;
        }
        let steps_left = of.zip(done).and_then(|(of, done)| of.checked_sub(done));
        let speed = self.speed.as_ref();
        reading.seconds_per_step = speed
            .map(|speed| Speed { number: text(&speed.number), unit: speed.unit })
            .and_then(|speed| seconds_per_step(speed, steps_left.filter(|&left| left > 0)));
        reading
    }

    /// The same with other numbers; `None` where `change` is for any of them.
    pub(super) fn try_map<U>(&self, mut change: impl FnMut(&T) -> Option<U>) -> Option<Claims<U>> {
        let mut optional = |number: &Option<T>| match number {
            None => Some(None),
            Some(number) => change(number).map(Some),
        };
        Some(Claims {
            stage: self.stage,
            says_training_loss: self.says_training_loss,
            has_last_index: self.has_last_index,
            event: self.event,
            is_past: self.is_past,
            is_under_way: self.is_under_way,
            may_have_source: self.may_have_source,
            may_name_columns: self.may_name_columns,
            has_text_behind_bar: self.has_text_behind_bar,
            counter: self.counter,
            done: optional(&self.done)?,
            total: optional(&self.total)?,
            whole: optional(&self.whole)?,
            whole_total: optional(&self.whole_total)?,
            whole_scale: self.whole_scale,
            announced: Announced {
                steps: optional(&self.announced.steps)?,
                asked_steps: optional(&self.announced.asked_steps)?,
                epochs: optional(&self.announced.epochs)?,
                asked_epochs: optional(&self.announced.asked_epochs)?,
                batches: optional(&self.announced.batches)?,
            },
            epoch: optional(&self.epoch)?,
            total_epochs: optional(&self.total_epochs)?,
            epoch_form: self.epoch_form,
            has_epoch_fraction: self.has_epoch_fraction,
            percent: optional(&self.percent)?,
            is_percent_of_epoch: self.is_percent_of_epoch,
            loss: optional(&self.loss)?,
            loss_part: self.loss_part,
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

fn event_of(verdict: Verdict, line: &[u8]) -> RunEvent {
    match verdict {
        Verdict::Over => RunEvent::Ends,
        Verdict::Trouble if announcements::tells_death(line) => RunEvent::Dies,
        Verdict::Nothing | Verdict::Trouble => RunEvent::None,
        _ if announcements::begins_run(line) => RunEvent::Begins,
        Verdict::Is(Stage::Training) => RunEvent::Trains,
        _ => RunEvent::None,
    }
}

/// The counts in a bar's description and postfix.
fn counters_of_bar<'a>(bar: &Bar<'a>) -> Counters<&'a [u8]> {
    let mut counters = counters::epochs(bar.description);
    if let Some(epochs) = counters::epoch_of_row(bar.description) {
        counters.epochs = epochs;
    }
    if counters.epochs.epoch.is_none() {
        counters.epochs = counters::epochs(bar.postfix).epochs;
    }
    let none = Epochs::default();
    let whole = |text: &'a [u8]| counters::steps(text, true, &none).1;
    // A number of steps in words is the run's: the bar itself counts what it counts.
    let in_words = || {
        let steps = counters::steps(bar.description, true, &none).0?;
        (steps.counted == Counted::Steps && steps.total.is_none())
            .then_some(Count { counted: Counted::Whole, ..steps })
    };
    counters.steps = counters
        .steps
        .or_else(|| whole(bar.postfix))
        .or_else(|| whole(bar.description))
        .or_else(in_words);
    counters
}

/// What is done while a bar is drawn; `None` where it counts nothing that a run does.
fn stage_of_bar(
    bar: &Bar<'_>,
    name: &[u8],
    has_loss: bool,
    has_rate: bool,
    counters: &Counters<&[u8]>,
) -> Option<Stage> {
    if bar.is_of_evaluation {
        return Some(Stage::Validation);
    }
    let counts_steps = bar.unit.is_none_or(bars::is_step_unit);
    // No evaluation shows a learning rate: this is a job with a misleading name.
    if has_rate && has_loss {
        return Some(Stage::Training);
    }
    let says_training = contains(name, b"train") || contains(name, b"epoch") || name == b"steps";
    match verdict_of_bar(bar.description) {
        Verdict::Is(Stage::Training) | Verdict::Over => Some(Stage::Training),
        Verdict::Is(Stage::Preprocessing) if has_loss => Some(Stage::Training),
        Verdict::Is(stage) => Some(stage),
        Verdict::Nothing if !has_loss => None,
        _ if !counts_steps => Some(Stage::Preprocessing),
        _ if says_training || has_loss || counters.epochs.epoch.is_some() => Some(Stage::Training),
        _ if is_work(bar.description) => Some(Stage::Preprocessing),
        _ => Some(Stage::Training),
    }
}

fn label_of_bar(bar: &Bar<'_>, name: &[u8], counters: &Counters<&[u8]>) -> Label {
    let says_step = contains(name, b"step") || contains(name, b"iter") || contains(name, b"update");
    let is_plural =
        contains(name, b"steps") || contains(name, b"iters") || contains(name, b"updates");
    let counts_epochs = matches!(bar.unit, Some(b"s/epoch" | b"epoch/s" | b"epochs/s"))
        || name == b"epoch"
        || name.ends_with(b"epochs")
        || name.ends_with(b"trainepoch")
        || name.ends_with(b"trainingepoch");
    // "Epoch 3" and the like; a fraction behind the epoch counts its batches, and the bar counts the run.
    let is_in_description = counters::epochs(bar.description).epochs.epoch.is_some()
        || counters::epoch_of_row(bar.description).is_some();
    let is_of_epoch = is_in_description && counters.batches.is_none();
    match () {
        () if contains(bar.postfix, b"reduced_train_loss") => Label::Whole,
        () if counts_epochs && counters.epochs.epoch.is_none() => Label::Epochs,
        () if is_of_epoch && !says_step => Label::OfEpoch,
        () if says_step
            && ["overall", "total", "global"]
                .iter()
                .any(|word| contains(name, word.as_bytes())) =>
        {
            Label::Whole
        }
        () if is_plural => Label::ManySteps,
        () if says_step || counters.batches.is_some() => Label::Steps,
        () if contains(name, b"train")
            || contains(name, b"progress")
            || contains(name, b"epoch") =>
        {
            Label::Train
        }
        () if contains(name, b"batch") => Label::Batches,
        () if name.is_empty() => Label::Bare,
        () => Label::Job,
    }
}

/// Whether a description names a kind of work, as "Pitch Extraction" or "Capturing graphs": the names of
/// jobs seldom do.
fn is_work(description: &[u8]) -> bool {
    let word = |word: &[u8]| {
        let word: Vec<u8> =
            word.iter().map(u8::to_ascii_lowercase).filter(u8::is_ascii_alphabetic).collect();
        word.len() > 4 && (word.ends_with(b"ing") || word.ends_with(b"tion"))
    };
    let is_identifier = description.iter().any(|byte| matches!(byte, b'_' | b'-' | b'0'..=b'9'));
    let mut words = description.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    !is_identifier && (words.next().is_some_and(word) || words.next_back().is_some_and(word))
}

/// Whether a line stands in a box that is drawn around a text: a completion, a traceback, a summary.
fn is_drawn_box(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    // U+2500 to U+257F draw boxes; a bar of rich begins with one of them after its description only.
    matches!(line, [0xe2, 0x94 | 0x95, 0x80..=0xbf, ..]) && !line.starts_with("━".as_bytes())
}

/// The letters of a description: without numbers, dates and punctuation it names the same bar in
/// every frame.
fn letters(description: &[u8]) -> Vec<u8> {
    // What a trainer puts into the description beside the name are values, and those change.
    let end = description.windows(4).position(|window| window.eq_ignore_ascii_case(b"loss"));
    let name = String::from_utf8_lossy(&description[..end.unwrap_or(description.len())]);
    let letters: String = name.chars().filter(|character| character.is_alphabetic()).collect();
    letters.to_lowercase().into_bytes()
}

fn part_of(loss: Loss<'_>) -> u64 {
    if loss.part.is_empty() { 0 } else { hash(&letters_only(loss.part)) }
}

/// Whether a line speaks of something that is being done: "caching latents...".
fn is_under_way(line: &[u8]) -> bool {
    let is_word = |word: &&[u8]| word.iter().all(u8::is_ascii_alphabetic);
    line.split(|byte| byte.is_ascii_whitespace() || *byte == b'.')
        .filter(is_word)
        .any(|word| word.len() > 4 && word.ends_with(b"ing"))
}

fn letters_only(name: &[u8]) -> Vec<u8> {
    name.iter().filter(|byte| byte.is_ascii_alphabetic()).map(u8::to_ascii_lowercase).collect()
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

pub(super) fn hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(name);
    hasher.finish()
}
