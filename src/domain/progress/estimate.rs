//! From the steps that a run took to the time that it has left.
//!
//! The expected time is that of the steps by their mean, and that of the pauses still to come. How far
//! off it may be is learnt from the run as well: from how much its speed and its pauses vary. Both were
//! held against replayed runs; BENCHMARKS.md tells how often the truth was within.

use super::pace::Mark;

/// The time left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TimeLeft {
    /// What is expected, in seconds.
    pub(super) seconds: f64,
    /// In one run of ten it takes less.
    pub(super) low_seconds: f64,
    /// In one run of ten it takes more.
    pub(super) high_seconds: f64,
    /// What one step takes most often, in seconds.
    pub(super) median_seconds_per_step: f64,
}

/// The first steps compile and warm caches: so many are left out, once there are enough others.
const WARM_UP_STEPS: u64 = 10;
/// A bar counts whole seconds, so that shorter spans say little.
const SPAN_SECONDS: f64 = 4.0;
/// Into how many blocks the run is divided to see how much its speed varies.
const BLOCKS_MAX: usize = 16;
/// Below so many blocks they do not tell, and [`GUESSED_VARIATION`] serves.
const BLOCKS_MIN: usize = 4;
/// By how much the speed of a run may vary of which little is known yet, relative to it.
const GUESSED_VARIATION: f64 = 0.06;
/// How far off the speed of the rest may be for reasons that the run has not shown yet, relative to it:
/// always, and more of a run that has only begun, which may pause for things that it has not done once.
const UNFORESEEN: f64 = 0.008;
const UNFORESEEN_AT_FIRST: f64 = 0.03;
/// A run has only begun while so many times as many steps are left as were taken.
const AT_FIRST: f64 = 9.0;
/// A normal quantity is above its mean by more than so many deviations one time in ten.
const NINE_TENTHS: f64 = 1.2816;
/// A clock of whole seconds is off by as much, in seconds.
const CLOCK_DEVIATION: f64 = 0.41;

/// From one mark to another.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// The last mark but one within it: before that it was too short, so what is long came after.
    last_step: u64,
    steps: f64,
    seconds: f64,
}

impl Span {
    fn pace(&self) -> f64 {
        self.seconds / self.steps
    }
}

/// Times at which the run did something else than steps.
#[derive(Debug, Clone, Default)]
struct Pauses {
    at_steps: Vec<f64>,
    seconds: Vec<f64>,
}

/// A quantity that is not known exactly.
#[derive(Debug, Clone, Copy, Default)]
struct Expected {
    mean: f64,
    variance: f64,
}

impl TimeLeft {
    /// What can be said of a run with these marks, of which there are two at least.
    pub(super) fn estimate(marks: &[Mark], steps_left: u64) -> Option<Self> {
        let spans = spans(marks);
        let base = median(spans.iter().map(|span| (span.pace(), span.steps)).collect())?;
        let (steps, pauses) = without_pauses(&spans, base);
        let all_steps: f64 = spans.iter().map(|span| span.steps).sum();
        let left = steps_left as f64;
        let work = time_of_steps(&steps, all_steps, left);
        let first_step = marks.first()?.step as f64;
        let last_step = marks.last()?.step as f64;
        let rest = pauses.to_come(first_step, last_step, left);
        let share = left / all_steps;
        let clock = (CLOCK_DEVIATION * (1.0 + share)).powi(2);
        let seconds = work.mean + rest.mean;
        let blocks = block_count(steps.len()) as f64;
        // Student's distribution has the heavier tails the less was seen.
        let quantile = NINE_TENTHS * (1.0 + 0.8 / (blocks - 1.0).max(1.0));
        let margin = quantile * (work.variance + rest.variance + clock).sqrt();
        let time_left = Self {
            seconds: to_tenths(seconds),
            low_seconds: to_tenths((seconds - margin).max(0.0)),
            high_seconds: to_tenths(seconds + margin),
            median_seconds_per_step: base,
        };
        time_left.high_seconds.is_finite().then_some(time_left)
    }
}

/// The way between the marks in pieces that are long enough for the clock, without the warm-up.
fn spans(marks: &[Mark]) -> Vec<Span> {
    let (first, last) = (marks[0], marks[marks.len() - 1]);
    let warm = first.step + WARM_UP_STEPS.min((last.step - first.step) / 4);
    // Of marks that are far apart, the first may be needed all the same.
    let start = marks[..marks.len() - 1].iter().position(|mark| mark.step >= warm).unwrap_or(0);
    let mut from = marks[start];
    let mut spans = Vec::with_capacity(marks.len());
    for pair in marks[start..].windows(2) {
        let (before, mark) = (pair[0], pair[1]);
        let seconds = mark.seconds - from.seconds;
        if seconds >= SPAN_SECONDS {
            let steps = (mark.step - from.step) as f64;
            spans.push(Span { last_step: before.step, steps, seconds });
            from = mark;
        }
    }
    let (steps, seconds) = ((last.step - from.step) as f64, last.seconds - from.seconds);
    match spans.last_mut() {
        // What is left over is too short for a piece of its own.
        Some(span) => {
            span.steps += steps;
            span.seconds += seconds;
        }
        None => spans.push(Span { last_step: from.step, steps, seconds }),
    }
    spans
}

/// Takes from the spans what they took beyond their steps.
fn without_pauses(spans: &[Span], base: f64) -> (Vec<Span>, Pauses) {
    /// A pause takes as long as so many steps at least, or else it is none.
    const STEPS_MIN: f64 = 3.0;
    /// And is so many deviations beyond what steps take.
    const DEVIATIONS_MIN: f64 = 4.0;
    let deviations = spans.iter().map(|span| ((span.pace() - base).abs(), span.steps)).collect();
    // Of a normal quantity the deviation is so many times the median of the distances.
    let deviation = 1.4826 * median(deviations).unwrap_or_default();
    let mut pauses = Pauses::default();
    let steps = spans.iter().map(|span| {
        let beyond = span.seconds - base * span.steps;
        let usual = (DEVIATIONS_MIN * deviation * span.steps).max(STEPS_MIN * base);
        if beyond <= usual.max(SPAN_SECONDS / 2.0) {
            return *span;
        }
        pauses.at_steps.push(span.last_step as f64);
        pauses.seconds.push(beyond);
        Span { seconds: base * span.steps, ..*span }
    });
    (steps.collect(), pauses)
}

/// The time of the steps left. Half of it is judged by the whole run, half by its last third: a run may
/// become faster or slower for good.
fn time_of_steps(spans: &[Span], all_steps: f64, left: f64) -> Expected {
    let blocks = blocks(spans);
    let whole = pace_of(spans);
    let recent = pace_of(&spans[spans.len() - spans.len().div_ceil(3)..]);
    let pace = (whole + recent) / 2.0;
    let count = blocks.len() as f64;
    let block_steps = all_steps / count;
    let block_variance = if blocks.len() < BLOCKS_MIN {
        (GUESSED_VARIATION * pace).powi(2)
    } else {
        variance(&blocks) * persistence(&blocks)
    };
    let blocks_left = left / block_steps;
    let of_sum = block_steps.powi(2) * block_variance * (blocks_left + blocks_left.powi(2) / count);
    let novelty = ((left / all_steps - 1.0) / (AT_FIRST - 1.0)).clamp(0.0, 1.0);
    let unforeseen = ((UNFORESEEN + UNFORESEEN_AT_FIRST * novelty) * pace * left).powi(2);
    Expected { mean: pace * left, variance: of_sum + unforeseen }
}

fn block_count(spans: usize) -> usize {
    spans.clamp(1, BLOCKS_MAX)
}

/// The pace of parts of the run of about as many spans each.
fn blocks(spans: &[Span]) -> Vec<f64> {
    let length = spans.len().div_ceil(block_count(spans.len()));
    spans.chunks(length).map(pace_of).collect()
}

/// How many times as much a sum of paces varies, since a slow block is often followed by a slow one.
fn persistence(blocks: &[f64]) -> f64 {
    let mean = mean(blocks);
    let square: f64 = blocks.iter().map(|pace| (pace - mean).powi(2)).sum();
    let product: f64 = blocks.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    let correlation = if square > 0.0 { (product / square).clamp(0.0, 0.7) } else { 0.0 };
    (1.0 + correlation) / (1.0 - correlation)
}

impl Pauses {
    /// The pauses still to come within so many steps.
    fn to_come(&self, first_step: f64, last_step: f64, left: f64) -> Expected {
        let count = self.seconds.len() as f64;
        let Some(&newest) = self.at_steps.last() else { return Expected::default() };
        let each = mean(&self.seconds);
        let each_variance =
            if self.seconds.len() < 3 { (0.2 * each).powi(2) } else { variance(&self.seconds) };
        let (expected, is_sure) = match self.period(first_step) {
            // None comes right after the last step, and where they came is known by the marks around.
            Some(period) => {
                let times = ((last_step + left - newest) / period - 0.1).ceil() - 1.0;
                (times.max(0.0), true)
            }
            None => (left * count / (last_step - first_step), false),
        };
        let mut variance = each_variance * expected * (1.0 + expected / count);
        if !is_sure || count < 2.0 {
            // When they come is not known either.
            variance += each.powi(2) * expected * (1.0 + expected / count) / 2.0;
        }
        Expected { mean: each * expected, variance }
    }

    /// How many steps are between two of them, where that is always as many.
    fn period(&self, first_step: f64) -> Option<f64> {
        if let [only] = self.at_steps[..] {
            return Some((only - first_step).max(1.0));
        }
        let gaps: Vec<f64> = self.at_steps.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = mean(&gaps);
        (variance(&gaps).sqrt() < 0.25 * mean).then_some(mean)
    }
}

fn pace_of(spans: &[Span]) -> f64 {
    let steps: f64 = spans.iter().map(|span| span.steps).sum();
    spans.iter().map(|span| span.seconds).sum::<f64>() / steps
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The variance of what the values are a sample of; 0 of a single one.
fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    square / (values.len() as f64 - 1.0).max(1.0)
}

/// The value in the middle by weight.
fn median(mut weighted: Vec<(f64, f64)>) -> Option<f64> {
    weighted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let half = weighted.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut weight = 0.0;
    weighted.into_iter().find_map(|(value, own)| {
        weight += own;
        (weight >= half).then_some(value)
    })
}

fn to_tenths(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of one second a step that pauses after every `every` steps.
    fn marks(steps: u64, every: u64, pause_seconds: f64) -> Vec<Mark> {
        let at = |step: u64| step as f64 + ((step.max(1) - 1) / every) as f64 * pause_seconds;
        (0..=steps).map(|step| Mark { step, seconds: at(step).floor() }).collect()
    }

    fn estimate(marks: &[Mark], steps_left: u64) -> TimeLeft {
        TimeLeft::estimate(marks, steps_left).expect("enough was seen")
    }

    #[test]
    fn pauses_still_to_come_are_counted_and_none_after_the_last_step() {
        let left = estimate(&marks(450, 100, 60.0), 550);
        assert!((left.seconds - (550.0 + 5.0 * 60.0)).abs() < 10.0, "{left:?}");
        let left = estimate(&marks(950, 100, 60.0), 50);
        assert!((left.seconds - 50.0).abs() < 2.0, "{left:?}");
    }

    #[test]
    fn the_first_pause_tells_of_the_next_ones() {
        let left = estimate(&marks(110, 100, 60.0), 190);
        assert!((left.seconds - (190.0 + 60.0)).abs() < 15.0, "{left:?}");
    }

    #[test]
    fn slow_first_steps_are_not_taken_for_the_pace_of_the_run() {
        let mut marks = marks(100, 1_000, 0.0);
        for mark in &mut marks[1..] {
            mark.seconds += 300.0;
        }
        assert!((estimate(&marks, 100).seconds - 100.0).abs() < 3.0);
    }

    #[test]
    fn the_interval_narrows_as_the_run_gets_on() {
        let width = |taken: u64| {
            let left = estimate(&marks(taken, 10_000, 0.0), 1_000 - taken);
            assert!(left.low_seconds <= left.seconds && left.seconds <= left.high_seconds);
            left.high_seconds - left.low_seconds
        };
        assert!(width(100) > width(500) && width(500) > width(900));
    }

    #[test]
    fn a_run_that_became_slower_is_believed_to_stay_so() {
        let slower = |step: u64| step as f64 + (step.saturating_sub(500)) as f64;
        let marks: Vec<_> = (0..=1_000).map(|step| Mark { step, seconds: slower(step) }).collect();
        let left = estimate(&marks, 100);
        assert!(left.seconds > 160.0 && left.high_seconds > 180.0, "{left:?}");
    }
}
