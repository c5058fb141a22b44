//! What a progress bar claims.

use super::super::grammar::bars::{self, Bar};
use super::super::grammar::counters::{Count, Counted, Counters, Epochs};
use super::super::grammar::losses::{self, Loss};
use super::super::grammar::phases::{Verdict, verdict_of_bar};
use super::super::grammar::{contains, epochs, metrics, steps};
use super::super::line::{Counter, Label};
use super::super::stage::Stage;
use super::{Claims, hash};

impl<'a> Claims<&'a [u8]> {
    pub(super) fn of_bar(bar: &Bar<'a>) -> Self {
        let loss = losses::loss(bar.postfix)
            .or_else(|| losses::loss(bar.description))
            .or_else(|| bar.loss.map(Loss::of));
        let learning_rate = metrics::learning_rate(bar.postfix);
        let mut described = epochs::epochs(bar.description);
        let row = epochs::epoch_of_row(bar.description);
        described.epochs = row.unwrap_or(described.epochs);
        let counters = with_postfix(described, bar);
        let name = letters(bar.description);
        let mut claims = Self {
            stage: stage_of_bar(bar, &name, loss.is_some(), learning_rate.is_some(), &counters),
            counter: Counter { is_bar: true, ..Counter::default() },
            ..Self::default()
        };
        claims.take_epochs(&counters.epochs);
        if claims.stage != Some(Stage::Training) {
            return claims;
        }
        claims.done = Some(bar.done);
        claims.total = bar.total;
        claims.whole =
            counters.steps.filter(|steps| steps.counted == Counted::Whole).map(|steps| steps.done);
        claims.take_loss(loss);
        claims.learning_rate = learning_rate;
        claims.speed = bar.speed;
        claims.elapsed = bar.elapsed;
        claims.traits.has_last_index = bar.is_rich || row.is_some();
        claims.counter = Counter {
            name: hash(&name),
            label: label_of_bar(
                bar,
                &name,
                described.epochs.epoch.is_some(),
                claims.loss.is_some(),
                &counters,
            ),
            is_bar: true,
            is_first_frame: bar.is_first_frame,
        };
        claims
    }
}

/// What a bar counts in words: by its description, and by its postfix where that says nothing.
fn with_postfix<'a>(described: Counters<&'a [u8]>, bar: &Bar<'a>) -> Counters<&'a [u8]> {
    let mut counters = described;
    if counters.epochs.epoch.is_none() {
        counters.epochs = epochs::epochs(bar.postfix).epochs;
    }
    let steps = |text: &'a [u8]| steps::steps(text, true, &Epochs::default());
    counters.steps = counters.steps.or_else(|| steps(bar.postfix).1).or_else(|| {
        let (first, whole) = steps(bar.description);
        // A number of steps in words is the run's: the bar itself counts what it counts.
        let in_words =
            first.filter(|steps| steps.counted == Counted::Steps && steps.total.is_none());
        whole.or(in_words.map(|steps| Count { counted: Counted::Whole, ..steps }))
    });
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

fn label_of_bar(
    bar: &Bar<'_>,
    name: &[u8],
    describes_epoch: bool,
    has_loss: bool,
    counters: &Counters<&[u8]>,
) -> Label {
    let says_step = contains(name, b"step") || contains(name, b"iter") || contains(name, b"update");
    let is_plural =
        contains(name, b"steps") || contains(name, b"iters") || contains(name, b"updates");
    let counts_epochs = matches!(bar.unit, Some(b"s/epoch" | b"epoch/s" | b"epochs/s"))
        || name == b"epoch"
        || name.ends_with(b"epochs")
        || name.ends_with(b"trainepoch")
        || name.ends_with(b"trainingepoch");
    // "Epoch 3" and the like; a fraction behind the epoch counts its batches, and the bar counts the run.
    let is_of_epoch = describes_epoch && counters.batches.is_none();
    match () {
        () if contains(bar.postfix, b"reduced_train_loss") => Label::Whole,
        () if counts_epochs && counters.epochs.epoch.is_none() => Label::Epochs,
        () if (is_of_epoch && !says_step) || (bar.is_of_epoch && has_loss) => Label::OfEpoch,
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

/// The letters of a description: without numbers, dates and punctuation it names the same bar in
/// every frame.
fn letters(description: &[u8]) -> Vec<u8> {
    // What a trainer puts into the description beside the name are values, and those change.
    let end = description.windows(4).position(|window| window.eq_ignore_ascii_case(b"loss"));
    let name = String::from_utf8_lossy(&description[..end.unwrap_or(description.len())]);
    let letters: String = name.chars().filter(|character| character.is_alphabetic()).collect();
    letters.to_lowercase().into_bytes()
}
