//! Figures, what they are held against, and the table of them.

use std::fmt;
use std::time::Duration;

/// How far a figure may be from its goal before the run fails: other work on the machine disturbs
/// every figure, and a goal that is missed by more than that is missed by the daemon.
pub(crate) const TOLERANCE: f64 = 0.2;

/// What a figure is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    /// This much or more.
    AtLeast(f64),
    /// This much or less.
    AtMost(f64),
    /// Nothing: it is there to be known.
    Told,
}

/// How a figure stands to its goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has none.
    Told,
    /// It meets it.
    Met,
    /// It misses it by less than the tolerance.
    Near,
    /// It misses it by more.
    Missed,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) what: String,
    /// The median.
    pub(crate) median: f64,
    /// Its unit; empty for a ratio.
    pub(crate) unit: &'static str,
    /// What it is held against.
    pub(crate) goal: Goal,
    /// What else is worth knowing of it.
    pub(crate) details: String,
}

impl Figure {
    /// How the figure stands to its goal.
    pub(crate) fn verdict(&self) -> Verdict {
        let share_missed = match self.goal {
            Goal::Told => return Verdict::Told,
            Goal::AtLeast(goal) => (goal - self.median) / goal,
            Goal::AtMost(goal) => (self.median - goal) / goal,
        };
        if share_missed <= 0.0 {
            Verdict::Met
        } else if share_missed <= TOLERANCE {
            Verdict::Near
        } else {
            Verdict::Missed
        }
    }

    /// A number of this figure's unit, with as many digits as say something.
    fn in_unit(&self, number: f64) -> String {
        let digits = match number.abs() {
            0.0..10.0 => 2,
            10.0..100.0 => 1,
            _ => 0,
        };
        let number = format!("{number:.digits$}");
        format!("{number} {}", self.unit).trim_end().to_owned()
    }
}

/// A row of a Markdown table, so that it can be copied into BENCHMARKS.md as it is.
impl fmt::Display for Figure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (goal, verdict) = match (self.goal, self.verdict()) {
            (Goal::Told, _) => (String::new(), ""),
            (Goal::AtLeast(goal), verdict) => (format!("≥ {}", self.in_unit(goal)), verdict.word()),
            (Goal::AtMost(goal), verdict) => (format!("≤ {}", self.in_unit(goal)), verdict.word()),
        };
        let Self { what, details, .. } = self;
        let median = self.in_unit(self.median);
        write!(formatter, "| {what} | {median} | {goal} | {verdict} | {details} |")
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Told => "",
            Self::Met => "met",
            Self::Near => "near",
            Self::Missed => "MISSED",
        }
    }
}

/// The middle one of the figures of several rounds.
pub(crate) fn median(figures: &[f64]) -> f64 {
    percentile(figures, 0.5)
}

/// The figure below which this share of all figures is.
pub(crate) fn percentile(figures: &[f64], share: f64) -> f64 {
    assert!(!figures.is_empty(), "something was measured");
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// A time in milliseconds.
pub(crate) fn in_ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Thousands, to one digit: what a rate is told in.
pub(crate) fn in_thousands(rate: f64) -> String {
    format!("{:.1} k/s", rate / 1e3)
}
