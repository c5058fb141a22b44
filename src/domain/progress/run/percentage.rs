//! How much of a run is done, and what that is computed from.

use super::super::Basis;
use super::super::line::{Counter, Label, LineReading};
use super::place::is_round;
use super::track::Track;
use super::{End, Run};

impl Run {
    pub(super) fn take_percent(&mut self, reading: &LineReading) {
        let Some(percent) = reading.percent else { return };
        if reading.traits.is_percent_of_epoch {
            let share = |track: &Track| {
                track.fraction().is_some_and(|part| (part * 100.0 - percent).abs() < 1.5)
            };
            if percent < 98.0 && self.whole.as_ref().is_some_and(share) {
                self.believe_to_be_within(true);
            }
            let track = Track {
                total: Some(10_000),
                ..Track::of(reading, (percent * 100.0) as u64, self.epochs.index)
            };
            let track =
                Track { counter: Counter { label: Label::Examples, ..track.counter }, ..track };
            if self.within.is_none_or(|within| within.counter.label == Label::Examples) {
                self.within = Some(track);
            }
            return;
        }
        let basis = match () {
            () if reading.epoch.is_some() => Some(Basis::Epochs),
            () if reading.step.is_some() || reading.whole.is_some() => Some(Basis::Steps),
            () => None,
        };
        self.told_percent = Some((percent, basis));
    }

    /// Steps over all epochs by a count within them: those taken, and all where it is known how many.
    pub(super) fn steps_over_epochs(&self) -> Option<(u64, Option<u64>)> {
        let within = self.within.filter(|within| within.counter.label != Label::Examples)?;
        let epochs = match self.outer {
            Some(outer) => outer.total,
            None => self.epochs.count(self.announced_epochs()),
        };
        let Some(total) = within.total else { return Some((within.done, None)) };
        let is_current = within.epoch == self.epochs.index;
        let taken = if is_current { within.done.min(total) } else { 0 };
        let position = self.epochs.index.saturating_mul(total).saturating_add(taken);
        Some((position, epochs.map(|epochs| total.saturating_mul(epochs))))
    }

    /// Shows what the counters amount to.
    pub(super) fn show(&mut self) {
        let announced = self.announced.steps.filter(|&steps| steps > 0);
        self.known.epoch = self.epochs.told;
        self.known.total_epochs = self.epochs.told_total.or(self.announced_epochs());
        let over_epochs = self.steps_over_epochs();
        if let Some(whole) = self.whole {
            let asked = self.announced.asked_steps;
            let fits = |total: &u64| *total >= whole.done;
            self.known.step = Some(whole.done);
            // In the first epoch the count of the run is that of the epoch.
            let of_epoch = self.within.filter(|within| {
                within.counter.label != Label::Examples
                    && within.done.abs_diff(whole.done) <= 1
                    && within.epoch == 0
                    && self.epochs.count(self.announced_epochs()).is_none()
            });
            let counts_more = self.within.is_some_and(|within| within.done > whole.done);
            let of_only_epoch = self
                .announced
                .batches
                .filter(|_| self.epochs.count(self.announced_epochs()) == Some(1) && !counts_more);
            self.known.total_steps = whole
                .total
                .or(announced.filter(fits))
                .or(of_only_epoch.filter(fits))
                .or(asked.filter(fits))
                .or(of_epoch.and_then(|within| within.total));
        } else if let Some((step, total)) = over_epochs {
            self.known.step = Some(step);
            self.known.total_steps = total;
        } else {
            self.known.step = None;
            self.known.total_steps = announced;
        }
    }

    pub(super) fn update_percentage(&mut self) {
        let now = self.percentage_at_end().or_else(|| self.percentage());
        let Some((now, basis)) = now else {
            (self.known.progress, self.known.basis) = (None, None);
            return;
        };
        let percent = now.clamp(0.0, 100.0);
        // Ranks and late lines tell of steps that are behind. Steps say more than epochs did, whichever is more.
        let is_finer = self.known.basis == Some(Basis::Epochs) && basis != Some(Basis::Epochs);
        let before = self.known.progress.filter(|_| !is_finer);
        self.known.progress = Some(before.map_or(percent, |before| before.max(percent)));
        self.known.basis = basis;
    }

    /// A run that is said to be complete has done all that nothing counts, and the epoch that was its last.
    fn percentage_at_end(&self) -> Option<(f64, Option<Basis>)> {
        let has_begun = self.has_begun() || self.epochs.is_known();
        if !(self.end == End::Complete && has_begun) || self.is_one_of_many {
            return None;
        }
        let is_last = |epochs: u64| self.epochs.index.saturating_add(1) >= epochs;
        match self.percentage() {
            None => Some((100.0, None)),
            Some((_, Some(Basis::Epochs | Basis::Both)))
                if self.outer.is_none()
                    && self.epochs.count(self.announced_epochs()).is_some_and(is_last) =>
            {
                Some((100.0, Some(Basis::Epochs)))
            }
            Some(_) => None,
        }
    }

    /// How much of the run is done by its outermost counter, refined by the one within.
    fn percentage(&self) -> Option<(f64, Option<Basis>)> {
        if self.is_one_of_many {
            return None;
        }
        let percent = |done: f64, total: u64| done * 100.0 / total as f64;
        let whole_total = self.known.total_steps.filter(|_| self.whole.is_some());
        if let (Some(whole), Some(total)) = (self.whole, whole_total)
            && (whole.total.is_some()
                || self.within.is_none_or(|within| within.total != Some(total)))
        {
            let computed = percent(whole.done as f64, total);
            if let Some(told) = self.told_percent.filter(|(told, _)| (told - computed).abs() > 1.0)
            {
                return Some(told);
            }
            let is_end_sure = whole.done < total || self.is_over() || self.is_confirmed(&whole);
            if !is_end_sure {
                // What was true before its last step may still be, but no time left follows from it.
                let before = self.known.progress.filter(|percent| *percent < 100.0);
                return before.map(|percent| (percent, None));
            }
            return Some((percent(whole.done as f64, total), Some(Basis::Steps)));
        }
        let fraction = match self.within {
            Some(within) => within.fraction().filter(|_| within.epoch == self.epochs.index),
            None => self.fraction_of_epoch(),
        };
        if let Some(outer) = self.outer {
            let total = outer.total.filter(|&total| total > 0)?;
            let done =
                outer.done as f64 + fraction.filter(|_| outer.done < total).unwrap_or_default();
            return Some((percent(done, total), Some(Basis::Both)));
        }
        if (self.epochs.is_known() || fraction.is_some())
            && let Some(count) = self.epochs.count(self.announced_epochs())
        {
            let basis = if fraction.is_some() { Basis::Both } else { Basis::Epochs };
            let computed = percent(self.epochs.position(fraction), count);
            let is_better =
                |told: &(f64, Option<Basis>)| fraction.is_none() || (told.0 - computed).abs() > 1.0;
            return Some(self.told_percent.filter(is_better).unwrap_or((computed, Some(basis))));
        }
        self.told_percent
    }

    /// Which part of the epoch is done by the steps of the run, where it is known how many an epoch has.
    fn fraction_of_epoch(&self) -> Option<f64> {
        let whole = self.whole.filter(|_| self.epochs.is_known() && !self.epochs.has_fractions)?;
        let steps = self.steps_per_epoch.or(self.announced.batches)?;
        let taken = whole.done.saturating_sub(self.epoch_began_at);
        Some((taken as f64 / steps as f64).min(1.0))
    }

    /// Whether a counter that has reached its total shows the end of the run: a nameless bar, or one that
    /// only says that it trains, may as well have been of one epoch.
    fn is_confirmed(&self, track: &Track) -> bool {
        let says_so = !matches!(track.counter.label, Label::Bare | Label::Train | Label::Steps)
            || !track.counter.is_bar;
        let is_round = track.total.is_some_and(is_round);
        let is_only_epoch = self.epochs.count(self.announced_epochs()) == Some(1);
        says_so
            || is_round
            || is_only_epoch
            || self.announced.steps == track.total
            || self.epochs.has_fractions
    }
}
