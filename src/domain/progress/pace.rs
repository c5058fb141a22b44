//! How fast a run goes, and the time that it has left.
//!
//! The clock is the run's own: what its bar says has elapsed, or else the time that it says a step takes,
//! or else when we saw its steps. Only differences count, so a resumed run is measured from where it
//! resumed.
//!
//! Steps and pauses are told apart. Validation and checkpoints stop a run for minutes, again and again:
//! what they cost is counted, and how many of them are still to come is expected by their period.

use super::estimate::TimeLeft;
use super::thinning::keep_every_second;

/// Steps that must be seen before their speed says anything: the first ones compile and warm caches.
const STEPS_NEEDED: u64 = 10;
/// How many marks are kept. Once there are more, every second one is let go.
const MARKS_MAX: usize = 256;

/// A step, and when the run took it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mark {
    pub(super) step: u64,
    pub(super) seconds: f64,
}

/// What the run is timed by. Ordered: a surer clock replaces another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Clock {
    /// When we looked and saw it at a step.
    Looks,
    /// The time that it says one step takes.
    Speeds,
    /// The time that its bar has counted.
    Bar,
}

/// The steps of a run over time. Holds at most [`MARKS_MAX`] marks, evenly over all steps.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    clock: Option<Clock>,
    marks: Vec<Mark>,
    /// So many steps are between two marks at least.
    stride: u64,
    newest: Option<Mark>,
    /// What the bars before this one had counted: that of each epoch begins at zero.
    before_seconds: f64,
}

impl Pace {
    /// Takes in that the run is at `step`: what its bar has counted, and what it says that a step takes.
    pub(super) fn take(
        &mut self,
        step: u64,
        elapsed_seconds: Option<f64>,
        seconds_per_step: Option<f64>,
    ) {
        if let Some(elapsed) = elapsed_seconds {
            self.choose(Clock::Bar);
            let known = self.newest.map_or(0.0, |newest| newest.seconds);
            if self.before_seconds + elapsed < known {
                self.before_seconds = known;
            }
            self.mark(Mark { step, seconds: self.before_seconds + elapsed });
        } else if let Some(each) = seconds_per_step
            && self.choose(Clock::Speeds)
        {
            let taken =
                |before: Mark| before.seconds + step.saturating_sub(before.step) as f64 * each;
            self.mark(Mark { step, seconds: self.newest.map_or(0.0, taken) });
        }
    }

    /// Takes in that somebody looked, and saw the run at `step`.
    pub(super) fn look(&mut self, step: u64, now_seconds: f64) {
        if self.choose(Clock::Looks) {
            self.mark(Mark { step, seconds: now_seconds });
        }
    }

    /// Whether this clock is to be used; a surer one than before starts anew.
    fn choose(&mut self, clock: Clock) -> bool {
        if self.clock < Some(clock) {
            *self = Self { clock: Some(clock), ..Self::default() };
        }
        self.clock == Some(clock)
    }

    fn mark(&mut self, mark: Mark) {
        // Of several frames at one step the first says when it was taken.
        if self.newest.is_some_and(|newest| mark.step <= newest.step) {
            return;
        }
        self.newest = Some(mark);
        if self.marks.last().is_some_and(|last| mark.step - last.step < self.stride) {
            return;
        }
        self.marks.push(mark);
        if self.marks.len() > MARKS_MAX {
            keep_every_second(&mut self.marks);
            self.stride =
                self.marks.windows(2).map(|pair| pair[1].step - pair[0].step).min().unwrap_or(1);
        }
    }

    /// The time left for so many more steps; `None` before ten steps were seen.
    pub(super) fn time_left(&self, steps_left: u64) -> Option<TimeLeft> {
        let (first, newest) = (self.marks.first()?, self.newest?);
        if newest.step - first.step < STEPS_NEEDED {
            return None;
        }
        let unmarked = self.newest.filter(|newest| Some(newest) != self.marks.last());
        let marks: Vec<Mark> = self.marks.iter().copied().chain(unmarked).collect();
        TimeLeft::estimate(&marks, steps_left)
    }
}

/// Seconds that so many steps will take, where no clock but the trainer's last word says so; `None`
/// before ten steps of this run.
pub(super) fn seconds_left(
    steps_taken: u64,
    steps_left: u64,
    seconds_per_step: Option<f64>,
) -> Option<f64> {
    let seconds = seconds_per_step? * steps_left as f64;
    (steps_taken >= STEPS_NEEDED && seconds.is_finite()).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds_left(pace: &Pace, steps: u64) -> Option<f64> {
        pace.time_left(steps).map(|left| left.seconds.round())
    }

    #[test]
    fn ten_steps_are_needed() {
        let mut pace = Pace::default();
        for step in 900..910 {
            pace.take(step, Some((step - 900) as f64 * 2.0), None);
        }
        assert_eq!(seconds_left(&pace, 100), None);
        pace.take(910, Some(20.0), None);
        assert_eq!(seconds_left(&pace, 100), Some(200.0));
    }

    #[test]
    fn a_bar_that_begins_again_goes_on_where_the_last_one_ended() {
        let mut pace = Pace::default();
        for step in 0..40 {
            pace.take(step, Some((step % 20) as f64 * 3.0 + 3.0), None);
        }
        assert_eq!(seconds_left(&pace, 10), Some(30.0));
    }

    #[test]
    fn the_surest_clock_counts() {
        let mut pace = Pace::default();
        for step in 0..20 {
            pace.look(step, 1e9 + step as f64 * 50.0);
        }
        assert_eq!(seconds_left(&pace, 10), Some(500.0));
        for step in 20..40 {
            pace.take(step, None, Some(5.0));
            pace.look(step, 2e9);
        }
        assert_eq!(seconds_left(&pace, 10), Some(50.0));
        for step in 40..60 {
            pace.take(step, Some(step as f64), Some(5.0));
        }
        assert_eq!(seconds_left(&pace, 10), Some(10.0));
    }

    #[test]
    fn a_run_of_a_million_steps_takes_no_more_room_than_said() {
        let mut pace = Pace::default();
        for step in 0..1_000_000 {
            pace.take(step, Some(step as f64 * 0.5), None);
            assert!(pace.marks.len() <= MARKS_MAX + 1);
        }
        assert_eq!(seconds_left(&pace, 1_000), Some(500.0));
    }
}
