//! The epochs of a run: which one it is in, and how many there are.

use std::cmp::Ordering;

use super::super::grammar::counters::EpochForm;
use super::super::line::LineReading;

/// How a claim moves the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// No epoch was told, or the same one.
    No,
    /// A later epoch.
    On,
    /// The first one again, or an earlier one after a restart was announced.
    Back,
}

/// What is known of the epochs.
#[derive(Debug, Clone, Default)]
pub(super) struct Epochs {
    /// As the trainer counts.
    pub(super) told: Option<f64>,
    /// As it was told beside the epoch.
    pub(super) told_total: Option<u64>,
    /// The epoch, counted from 0, that is under way.
    pub(super) index: u64,
    /// Epochs that are done, with a fraction where the trainer tells one.
    done: f64,
    /// A bar counts them.
    pub(super) is_bar: bool,
    /// A line of its own heads each.
    pub(super) has_headings: bool,
    /// They are told with fractions.
    pub(super) has_fractions: bool,
    /// Their number, where it is told with the epoch, may be that of the last one.
    has_last_index: bool,
    /// Epochs count from 0 where their number is told with them, and where it is not.
    is_from_zero: bool,
    is_from_zero_alone: bool,
    /// No line of training told the epoch yet.
    is_told_by_evaluations: bool,
    /// Lines of the same epoch that told a loss and no other count.
    reports: u32,
}

impl Epochs {
    /// Takes in what a line of training says. `has_counts`: something counts within the epochs.
    pub(super) fn take(
        &mut self,
        reading: &LineReading,
        announced: Option<u64>,
        has_counts: bool,
        may_go_back: bool,
    ) -> Moved {
        let Some(epoch) = reading.epoch else { return Moved::No };
        let has_own_count = reading.step.is_some() || reading.whole.is_some();
        let is_report = reading.loss.is_some()
            && !has_own_count
            && !has_counts
            && !reading.traits.has_epoch_fraction;
        self.learn_form(epoch, reading);
        let base = if self.counts_from_zero(reading.total_epochs, announced) { 0.0 } else { 1.0 };
        let before = (epoch - base).max(0.0);
        let done = match reading.traits.epoch_form {
            EpochForm::Done => epoch,
            EpochForm::Ended => before + 1.0,
            _ if reading.traits.has_epoch_fraction => epoch,
            EpochForm::Under if is_report => before + 1.0,
            // The page: "epoch 3/10" is 30 %. The first one is a heading all the same.
            EpochForm::Under
                if !has_own_count
                    && !has_counts
                    && before >= 1.0
                    && reading.total_epochs.is_some() =>
            {
                before + 1.0
            }
            EpochForm::Under | EpochForm::Begins => before,
        };
        let counts_done =
            reading.traits.epoch_form == EpochForm::Done || reading.traits.has_epoch_fraction;
        let index = if counts_done { epoch.floor() as u64 } else { before as u64 };
        if index < self.index && self.told.is_some() && !(may_go_back || index == 0) {
            return Moved::No;
        }
        let moved = self.move_to(index);
        self.reports = u32::from(is_report) + if moved == Moved::No { self.reports } else { 0 };
        self.done = match moved {
            // A second report of an epoch shows that the first one was not of its end.
            _ if is_report && self.reports > 1 => before,
            Moved::No => self.done.max(done),
            Moved::On | Moved::Back => done,
        };
        self.tell(epoch, reading.total_epochs);
        self.is_told_by_evaluations = false;
        moved
    }

    fn move_to(&mut self, index: u64) -> Moved {
        let before = std::mem::replace(&mut self.index, index);
        match index.cmp(&before) {
            _ if self.told.is_none() => Moved::On,
            Ordering::Less => Moved::Back,
            Ordering::Equal => Moved::No,
            Ordering::Greater => Moved::On,
        }
    }

    /// Takes in how the trainer tells its epochs.
    fn learn_form(&mut self, epoch: f64, reading: &LineReading) {
        let has_total = reading.total_epochs.is_some();
        if epoch == 0.0 {
            let flag =
                if has_total { &mut self.is_from_zero } else { &mut self.is_from_zero_alone };
            *flag = true;
        }
        let is_bar = reading.traits.epoch_form == EpochForm::Done;
        let is_alone = reading.step.is_none() && reading.whole.is_none() && reading.loss.is_none();
        self.has_last_index |= reading.traits.has_last_index;
        self.is_bar |= is_bar;
        self.has_headings |= is_alone && !is_bar && !reading.traits.has_epoch_fraction;
        self.has_fractions |= reading.traits.has_epoch_fraction;
    }

    fn tell(&mut self, epoch: f64, total: Option<u64>) {
        // Some say "epoch 1 of 3" in the heading, and count from 0 in the lines below it.
        let is_told_from_one = total.is_none()
            && self.told_total.is_some()
            && !self.is_from_zero
            && self.told == Some(epoch + 1.0);
        if !is_told_from_one {
            self.told = Some(epoch);
        }
        self.told_total = total.or(self.told_total);
    }

    /// Takes in that an epoch, the one under way where none is named, has been trained and is evaluated.
    pub(super) fn end(&mut self, epoch: Option<f64>, total: Option<u64>, announced: Option<u64>) {
        let base = if self.counts_from_zero(total, announced) { 0.0 } else { 1.0 };
        let ended = epoch.map_or(self.index as f64, |epoch| epoch - base) + 1.0;
        if self.told.is_none() || self.is_told_by_evaluations {
            self.told = epoch.or(self.told);
            self.index = (ended - 1.0).max(0.0) as u64;
            self.is_told_by_evaluations = true;
        }
        if ended >= self.done {
            self.index = self.index.max((ended - 1.0).max(0.0) as u64);
            self.done = ended;
        }
    }

    /// The epoch of a reading, counted from 0; the one under way where it tells none.
    pub(super) fn index_of(&self, reading: &LineReading) -> u64 {
        let base = if self.counts_from_zero(reading.total_epochs, None) { 0.0 } else { 1.0 };
        reading.epoch.map_or(self.index, |epoch| (epoch - base).max(0.0) as u64)
    }

    /// One more epoch began that nothing names.
    pub(super) fn begin_next(&mut self) {
        self.index = self.index.saturating_add(1);
        self.done = self.done.max(self.index as f64);
    }

    /// Learns from where epochs count: `whole` steps of the run were told with `done` of `total` in this epoch.
    pub(super) fn learn_base(&mut self, whole: u64, done: u64, total: u64) {
        let Some(told) = self.told.filter(|_| !self.has_fractions && !self.is_bar && total > 2)
        else {
            return;
        };
        let from = |epoch: f64| (epoch.max(0.0) as u64).saturating_mul(total).saturating_add(done);
        let fits = |epoch: f64| whole.abs_diff(from(epoch)) <= 2;
        if told >= 1.0 && fits(told) && !fits(told - 1.0) {
            let flag = if self.told_total.is_some() {
                &mut self.is_from_zero
            } else {
                &mut self.is_from_zero_alone
            };
            if !*flag {
                *flag = true;
                self.index = told as u64;
                self.done = self.done.max(told);
            }
        }
    }

    fn counts_from_zero(&self, total: Option<u64>, announced: Option<u64>) -> bool {
        match total {
            // 49 is the last of fifty: people choose round numbers.
            Some(total) => {
                self.is_from_zero
                    || (self.has_last_index && total % 10 == 9 && announced != Some(total))
            }
            None => self.is_from_zero_alone || (self.is_from_zero && self.told_total.is_some()),
        }
    }

    /// How many there are.
    pub(super) fn count(&self, announced: Option<u64>) -> Option<u64> {
        let Some(total) = self.told_total else { return announced };
        let has_reached_it = self.told == Some(total as f64) && !self.is_bar && !self.has_fractions;
        let is_last_index = self.counts_from_zero(Some(total), announced)
            && (self.has_last_index || has_reached_it)
            && announced != Some(total);
        Some(total + u64::from(is_last_index))
    }

    /// Epochs done, with the fraction of the one under way that a counter within it tells.
    pub(super) fn position(&self, fraction: Option<f64>) -> f64 {
        match fraction {
            Some(fraction) => self.done.max(self.index as f64 + fraction),
            None => self.done,
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.told.is_some()
    }
}
