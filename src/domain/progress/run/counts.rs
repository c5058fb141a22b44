//! How counts move a run: over all of it, within its epochs, around them, and back where it restarted.

use super::super::line::{Label, LineReading};
use super::super::pace::Pace;
use super::super::series::Curves;
use super::track::Track;
use super::{End, Run};

/// What was told of a restart: each run that begins again goes back in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WentBack {
    Epoch,
    Count,
}

impl Run {
    /// Takes in a count of the whole run; back only if the run restarted. Answers whether it was taken.
    pub(super) fn take_whole(
        &mut self,
        step: u64,
        total: Option<u64>,
        reading: &LineReading,
        curves: &mut Curves,
    ) -> bool {
        let known = self.whole;
        let goes_back = known.is_some_and(|known| step < known.done);
        if let Some(known) = known.filter(|_| goes_back) {
            if !self.is_restart(&known, step, reading) {
                return false;
            }
            self.restart(step, WentBack::Count, curves);
        }
        self.set_origin(step, reading, goes_back);
        self.go_on();
        let mut own = Track::of(reading, step, self.epochs.index);
        if reading.counter.label == Label::Batches && reading.whole == Some(step) {
            // The line counts batches beside it.
            own.counter.label = Label::Whole;
        }
        self.whole = Some(Track {
            total: total.or(known.and_then(|known| known.total)),
            counter: known.filter(|_| total.is_none()).map_or(own.counter, |known| known.counter),
            is_explicit: reading.whole == Some(step)
                || known.is_some_and(|known| known.is_explicit),
            carries_loss: own.carries_loss || known.is_some_and(|known| known.carries_loss),
            is_from_zero: own.is_from_zero && known.is_none(),
            told_epoch: self.epochs.told,
            ..own
        });
        true
    }

    /// Whether a step of the run below the last one shows that the run restarted.
    fn is_restart(&mut self, known: &Track, step: u64, reading: &LineReading) -> bool {
        let begins_again = (reading.counter.is_first_frame && reading.counter.is_bar) || step <= 1;
        if self.may_restart() || self.restarted_by == Some(WentBack::Epoch) || begins_again {
            return true;
        }
        // What counts without losses in a text of a run that tells them is something else, as an evaluation.
        let is_foreign = known.carries_loss && reading.loss.is_none() && !reading.counter.is_bar;
        !is_foreign && self.is_confirmed_restart(known, step)
    }

    /// Whether this is the second count, higher than the first, far below the last one.
    fn is_confirmed_restart(&mut self, known: &Track, step: u64) -> bool {
        let is_far_back = known.done - step > (known.done / 100).max(3);
        let is_confirmed = is_far_back && self.lower_step.is_some_and(|lower| step > lower);
        if !is_confirmed {
            self.lower_step = Some(step).filter(|_| is_far_back);
        }
        is_confirmed
    }

    /// Whether a count below the last one is explained: by what was said of the run.
    pub(super) fn may_restart(&self) -> bool {
        self.restart_announced || self.has_died
    }

    /// Takes in that the run has been counted on; a restart that the epoch alone told was told of in full.
    fn go_on(&mut self) {
        self.lower_step = None;
        self.restart_announced = false;
        self.has_died = false;
        if self.restarted_by == Some(WentBack::Epoch) {
            self.restarted_by = None;
        }
    }

    fn set_origin(&mut self, step: u64, reading: &LineReading, restarted: bool) {
        if self.origin.is_none() || restarted {
            let starts_here = reading.counter.is_first_frame || self.restart_announced || restarted;
            self.origin = Some(if starts_here { step } else { 0 });
        }
    }

    /// Takes in a count within the epoch.
    pub(super) fn take_within(
        &mut self,
        step: u64,
        reading: &LineReading,
        epoch_before: u64,
        curves: &mut Curves,
    ) {
        let known = self.within;
        if let Some(known) = known.filter(|known| step < known.done)
            && !self.goes_back_within(&known, step, reading, epoch_before, curves)
        {
            return;
        }
        self.go_on();
        self.drop_stale_whole(step);
        let own = Track::of(reading, step, self.epochs.index);
        let announced = self.announced.batches.filter(|_| own.counter.label == Label::Batches);
        let is_same_way = |known: &Track| known.counter.is_bar == own.counter.is_bar;
        self.within = Some(Track {
            total: reading.total_steps.or(announced),
            carries_loss: own.carries_loss || known.is_some_and(|known| known.carries_loss),
            is_from_zero: own.is_from_zero
                || known.filter(is_same_way).is_some_and(|known| known.is_from_zero),
            runs_through: known
                .filter(|known| step >= known.done)
                .map_or(0, |known| known.runs_through),
            told_epoch: self.epochs.told,
            ..own
        });
        let position = self.steps_over_epochs().map_or(step, |(position, _)| position);
        self.set_origin(position, reading, false);
    }

    /// Takes in that a count within the epoch is below the last one: another epoch began, or the run restarted.
    /// Answers whether it is either.
    fn goes_back_within(
        &mut self,
        known: &Track,
        step: u64,
        reading: &LineReading,
        epoch_before: u64,
        curves: &mut Curves,
    ) -> bool {
        let is_same_epoch = known.epoch == self.epochs.index && epoch_before == self.epochs.index;
        // Not every batch is printed.
        let is_of_epoch = matches!(reading.counter.label, Label::Batches | Label::Bare)
            && !reading.counter.is_bar;
        let is_first = step <= 1 || reading.counter.is_first_frame || is_of_epoch;
        let begins_again = is_same_epoch && is_first;
        let epoch_went_back = self.restarted_by == Some(WentBack::Epoch);
        let has_ended = known.is_over() || (known.total.is_none() && is_of_epoch);
        if begins_again && has_ended && !self.epochs.has_headings {
            self.epochs.begin_next();
        } else if is_same_epoch || epoch_went_back {
            let is_explained = self.may_restart() || epoch_went_back;
            if !is_explained && !self.is_confirmed_restart(known, step) {
                return false;
            }
            self.restart(step, WentBack::Count, curves);
        }
        true
    }

    /// A count of the run without a total that stands still while the epoch goes on was said once, and
    /// counts nothing.
    fn drop_stale_whole(&mut self, step: u64) {
        const READINGS_MAX: u8 = 3;
        let Some(whole) = &mut self.whole else { return };
        if whole.total.is_none() && whole.done < step {
            whole.idle += 1;
            if whole.idle > READINGS_MAX {
                self.whole = None;
            }
        }
    }

    /// A bar around another one counts what the inner one is a part of.
    pub(super) fn take_outer(&mut self, reading: &LineReading, step: u64) {
        self.outer = Some(Track::of(reading, step, 0));
        self.epochs.index = step;
    }

    /// The run goes on from `step`: what came after it is void.
    pub(super) fn restart(&mut self, step: u64, by: WentBack, curves: &mut Curves) {
        let is_counted = self.restarted_by.is_some_and(|before| before != by);
        self.restarted_by = Some(by).filter(|_| !is_counted);
        self.known.restarts = self.known.restarts.saturating_add(u32::from(!is_counted));
        self.known.progress = None;
        self.told_percent = None;
        self.end = End::Open;
        self.pace = Pace::default();
        curves.go_back(step);
    }
}
