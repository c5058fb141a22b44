//! A counter of a run with its history.

use super::super::line::{Counter, Label, LineReading};
use super::super::stage::Stage;

/// A counter, and how it has moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Track {
    pub(super) counter: Counter,
    pub(super) done: u64,
    pub(super) total: Option<u64>,
    /// The epoch, counted from 0, in which it was last seen.
    pub(super) epoch: u64,
    /// The epoch that was told last when it was last seen.
    pub(super) told_epoch: Option<f64>,
    /// How often it ran through the end of an epoch.
    pub(super) runs_through: u8,
    /// How often others moved on since it was last seen.
    pub(super) idle: u8,
    /// It counts from 0, and tells of what is done.
    pub(super) is_from_zero: bool,
    /// It was said to be of the whole run.
    pub(super) is_explicit: bool,
    /// No line of training told it, only evaluations did.
    pub(super) is_of_evaluations: bool,
    /// Losses came with it.
    pub(super) carries_loss: bool,
}

impl Track {
    pub(super) fn of(reading: &LineReading, step: u64, epoch: u64) -> Self {
        Self {
            told_epoch: None,
            runs_through: 0,
            idle: 0,
            is_explicit: false,
            is_of_evaluations: reading.stage == Some(Stage::Validation),
            is_from_zero: !reading.counter.is_bar && step == 0 && reading.loss.is_some(),
            counter: reading.counter,
            done: step,
            total: reading.total_steps,
            epoch,
            carries_loss: reading.loss.is_some(),
        }
    }

    /// Whether the reading is of this counter. Nameless bars are told apart by their totals.
    pub(super) fn is_of(&self, reading: &LineReading) -> bool {
        let counter = &reading.counter;
        let is_same_total = self.total == reading.total_steps;
        if self.counter.is_bar != counter.is_bar {
            return is_same_total && self.total.is_some();
        }
        if !counter.is_bar {
            let is_of_epoch = |label| matches!(label, Label::StepsOfEpoch | Label::Batches);
            let has_same_total = is_same_total && self.total.is_some();
            if is_of_epoch(counter.label) != is_of_epoch(self.counter.label) && !has_same_total {
                return false;
            }
            let may_be_total = self.total.is_none() && reading.total_steps >= Some(self.done);
            return is_same_total || may_be_total || reading.total_steps.is_none();
        }
        let is_named = !matches!(counter.label, Label::Bare);
        // An evaluation may borrow the description, but it has no losses and another length.
        let is_borrowed = self.carries_loss
            && reading.loss.is_none()
            && !self.is_near(reading.total_steps)
            && self.is_over();
        // A bar may be named only once its first step is taken.
        let is_nameless_then =
            self.counter.label == Label::Bare && reading.step >= Some(self.done) && !self.is_over();
        let is_nameless_now = counter.label == Label::Bare && reading.step <= Some(1) && is_named;
        let is_named_now =
            (is_nameless_then || is_nameless_now) && is_same_total && self.total.is_some();
        is_named_now
            || (self.counter.name == counter.name
                && (is_same_total
                    || (is_named && self.counter.label != Label::Bare && !is_borrowed)))
    }

    /// Whether a total differs little, as those of the ranks of one run do.
    pub(super) fn is_near(&self, total: Option<u64>) -> bool {
        match (self.total, total) {
            (Some(own), Some(other)) => own.abs_diff(other) * 10 <= own,
            (own, other) => own == other,
        }
    }

    /// Whether it has reached its total, or all but.
    pub(super) fn is_over(&self) -> bool {
        self.total.is_some_and(|total| self.done.saturating_mul(50) >= total.saturating_mul(49))
    }

    /// Which part of it is done, from 0 to 1.
    pub(super) fn fraction(&self) -> Option<f64> {
        let total = self.total.filter(|&total| total > 0)?;
        let done = self.done + u64::from(self.is_from_zero);
        Some((done as f64 / total as f64).min(1.0))
    }
}
