//! What a line in prose claims.

use super::super::grammar::announcements::{self, Announced};
use super::super::grammar::counters::{Count, Counted, Counters, Percentage};
use super::super::grammar::phases::{Verdict, is_incomplete, is_past, verdict_of_words};
use super::super::grammar::words::plain_words;
use super::super::grammar::{epochs, losses, metrics, percentages, steps};
use super::super::line::{Label, RunEvent};
use super::super::stage::Stage;
use super::Claims;

impl<'a> Claims<&'a [u8]> {
    pub(super) fn of_text(line: &'a [u8]) -> Self {
        if line.trim_ascii().is_empty() || is_drawn_box(line) {
            return Self::default();
        }
        let words = plain_words(line);
        let verdict = verdict_of_words(&words);
        let mut claims = Self::default();
        claims.traits.event = event_of(verdict, &words, line);
        if metrics::is_run_summary(line) {
            claims.traits.event = RunEvent::Completes;
            return claims;
        }
        let loss = losses::loss(line);
        let counters = epochs::epochs(line);
        let (first, whole) = steps::steps(line, loss.is_some(), &counters.epochs);
        claims.announced = announcements::announced(line);
        let is_round = whole.is_some_and(|whole| whole.counted == Counted::Rounds);
        let verdict = if is_round { Verdict::Unknown } else { verdict };
        if verdict == Verdict::Is(Stage::Preprocessing) {
            claims.stage = Some(Stage::Preprocessing);
            claims.traits.is_past = is_past(&words);
            claims.announced = Announced::default();
            return claims;
        }
        if is_of_evaluation(line, verdict, loss.is_some(), is_round) {
            claims.stage = Some(Stage::Validation);
            claims.take_epochs(&counters.epochs);
            claims.take_step_of_evaluation(line, first, whole);
            return claims;
        }
        if matches!(verdict, Verdict::Nothing | Verdict::Trouble | Verdict::Over) && loss.is_none()
        {
            // One word does not drop what else a line announces, but a setting or a trouble counts nothing.
            return claims;
        }
        claims.take_epochs(&counters.epochs);
        claims.take_counts(&counters, first, whole);
        claims.take_loss(loss);
        let percentage =
            counters.percentage.or_else(|| percentages::percentage(line, &counters.epochs));
        claims.take_percentage(percentage);
        claims.stage = match verdict {
            Verdict::Is(Stage::Validation) => Some(Stage::Training),
            Verdict::Is(stage) => Some(stage),
            _ => claims.tells_progress().then_some(Stage::Training),
        };
        claims.traits.is_past = claims.stage == Some(Stage::SavingCheckpoint) && is_past(&words);
        claims.learning_rate = claims.stage.and_then(|_| metrics::learning_rate(line));
        claims.speed = claims.stage.and_then(|_| metrics::speed(line));
        claims
    }

    fn tells_progress(&self) -> bool {
        let counts = [self.done, self.whole, self.epoch, self.total_epochs];
        let others = [self.loss, self.announced.steps, self.percent];
        counts.iter().chain(&others).any(Option::is_some)
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

    /// Takes where the run is, by a line about an evaluation.
    fn take_step_of_evaluation(
        &mut self,
        line: &[u8],
        first: Option<Count<&'a [u8]>>,
        whole: Option<Count<&'a [u8]>>,
    ) {
        let of_run = whole.filter(|whole| whole.counted == Counted::Whole);
        let at_start = first.filter(|first| first.total.is_none() && begins_with_count(line));
        self.whole = of_run.or(at_start).map(|count| count.done);
        self.counter.label = if of_run.is_some() { Label::Whole } else { Label::Steps };
    }

    fn take_percentage(&mut self, percentage: Option<Percentage<&'a [u8]>>) {
        self.percent = percentage.map(|percentage| percentage.number);
        self.traits.is_percent_of_epoch =
            percentage.is_some_and(|percentage| percentage.is_of_epoch);
    }
}

/// Whether a line is about an evaluation alone; one that tells the training's loss as well is not.
fn is_of_evaluation(line: &[u8], verdict: Verdict, has_loss: bool, is_round: bool) -> bool {
    match verdict {
        Verdict::Is(Stage::Validation) => !has_loss || metrics::speaks_of_evaluation_first(line),
        Verdict::Unknown | Verdict::Nothing if !is_round => {
            !has_loss && metrics::is_evaluation_report(line)
        }
        _ => false,
    }
}

/// Whether a line begins with the number of a step: "Iter 20: Val loss 2.094".
fn begins_with_count(line: &[u8]) -> bool {
    let start = line.trim_ascii_start();
    let is_word =
        |word: &[u8]| start.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    is_word(b"step") || is_word(b"iter")
}

fn event_of(verdict: Verdict, words: &[u8], line: &[u8]) -> RunEvent {
    match verdict {
        _ if announcements::tells_part(line) => RunEvent::Part,
        Verdict::Over if is_incomplete(words) => RunEvent::Ends,
        Verdict::Over => RunEvent::Completes,
        _ if announcements::tells_end(line) => RunEvent::Completes,
        Verdict::Trouble if announcements::tells_death(line) => RunEvent::Dies,
        Verdict::Nothing | Verdict::Trouble => RunEvent::None,
        _ if announcements::begins_run(line) => RunEvent::Begins,
        Verdict::Is(Stage::Training) => RunEvent::Trains,
        _ => RunEvent::None,
    }
}

/// Whether a line stands in a box that is drawn around a text: a completion, a traceback, a summary.
fn is_drawn_box(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    // U+2500 to U+257F draw boxes; a bar of rich begins with one of them after its description only.
    matches!(line, [0xe2, 0x94 | 0x95, 0x80..=0xbf, ..]) && !line.starts_with("━".as_bytes())
}
