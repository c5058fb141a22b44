//! What a line of training tells: where its count belongs, its epoch, its loss.

use super::super::grammar::counters::EpochForm;
use super::super::line::{LineReading, RunEvent};
use super::super::series::{Curves, Told};
use super::super::stage::Stage;
use super::counts::WentBack;
use super::epochs::Moved;
use super::place::Place;
use super::track::Track;
use super::{End, Run};

/// What is known of the losses that are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LossPart {
    /// The loss itself is told.
    All,
    /// One part of it, by the hash of its name.
    One(u64),
    /// Several parts, none of which is the loss.
    Several,
}

impl Run {
    /// Whether a line in prose belongs to the evaluation that is under way: what it tells has no count of the
    /// training's.
    fn is_of_evaluation(&self, reading: &LineReading) -> bool {
        if self.known.stage != Some(Stage::Validation) {
            return false;
        }
        let is_of_training =
            |track: &Track| track.total.is_some() && track.total == reading.total_steps;
        let tracks = [self.whole, self.within];
        let is_counted = match reading.step {
            Some(_) if reading.total_steps.is_some() => {
                !self.has_begun() || tracks.iter().flatten().any(is_of_training)
            }
            Some(step) => self.whole.is_none_or(|whole| step > whole.done),
            None => reading.whole.is_some() || reading.epoch.is_some(),
        };
        !reading.counter.is_bar
            && (reading.loss.is_some() || reading.step.is_some())
            && !reading.traits.says_training_loss
            && !is_counted
    }

    /// The stage, too, counts only if its counter is believed.
    pub(super) fn apply_training(&mut self, reading: &LineReading, curves: &mut Curves) {
        let has_count =
            reading.step.is_some() || reading.whole.is_some() || reading.epoch.is_some();
        // What is told after the end are means over the run.
        let is_summary = self.is_over() && !has_count && reading.loss.is_some();
        if self.is_of_evaluation(reading) {
            return;
        }
        if is_summary {
            if !self.has_loss {
                self.take_metrics(reading);
            }
            return;
        }
        self.take_end_back(reading);
        if self.may_be_setting(reading) {
            self.pending = Some(Box::new(reading.clone()));
            self.is_pending_last = true;
            return;
        }
        let announced = self.announced_epochs();
        // What a count follows at once was a heading.
        if let Some(heading) = self.pending.take_if(|_| self.is_pending_last) {
            self.epochs.take(&heading, announced, false, false);
        }
        if !self.has_loss && reading.total_steps.or(reading.whole_total).is_some() {
            // What was told before was of a preparation.
            if self.told_percent.take().is_some() {
                self.known.progress = None;
            }
        }
        let has_counts = self.within.is_some() || self.whole.is_some();
        let epoch_before = self.epochs.index;
        let place = self.place(reading);
        if let Place::Other(stage) = place {
            self.known.stage = Some(stage);
            // What was believed of it may have fallen.
            self.show();
            return;
        }
        if let Some(heading) = self.pending.take() {
            self.epochs.take(&heading, announced, has_counts, false);
        }
        self.move_epoch(reading, has_counts, curves);
        let is_prose = !reading.counter.is_bar;
        if place == Place::Echo && reading.step.is_some() && is_prose && reading.loss.is_none() {
            // It repeats what another counter tells, or is said within a text that was printed.
            return;
        }
        if self.take_counts(place, reading, epoch_before, curves) {
            self.known.stage = Some(Stage::Training);
            self.take_percent(reading);
            self.show();
            self.take_metrics(reading);
            self.trace(reading, curves);
            self.restart_announced &= reading.step.is_none() && reading.whole.is_none();
        } else if is_prose {
            // What is printed late still has the newest loss.
            self.take_metrics(reading);
        }
    }

    /// Takes in that a line counts on after an end: what was over was a part of the run.
    fn take_end_back(&mut self, reading: &LineReading) {
        let is_full = reading.step.is_some() && reading.step == reading.total_steps;
        let is_beyond = |track: &Track| track.is_of(reading) && reading.step > Some(track.done);
        let goes_on = !is_full
            && (reading.step.or(reading.whole) > self.known.step
                || [self.whole, self.within].iter().flatten().any(is_beyond));
        // A summary names the last epoch, too.
        let is_of_epoch = reading.loss.is_some()
            || reading.total_epochs.is_some()
            || reading.traits.epoch_form == EpochForm::Begins;
        if goes_on || (is_of_epoch && reading.epoch > self.epochs.told) {
            if self.end == End::Complete {
                self.known.progress = None;
            }
            self.end = End::Open;
        }
    }

    /// Whether a line may as well be a setting as a heading: "Epoch: 12" before anything is counted.
    fn may_be_setting(&self, reading: &LineReading) -> bool {
        !self.has_begun()
            && !has_count_but_epoch(reading)
            && reading.total_epochs.is_none()
            && reading.traits.event == RunEvent::None
            && reading.traits.epoch_form == EpochForm::Begins
            && reading.epoch > Some(1.0)
    }

    fn move_epoch(&mut self, reading: &LineReading, has_counts: bool, curves: &mut Curves) {
        // What was stopped may be begun again in the middle.
        let heads_another = self.is_over()
            && reading.total_epochs.is_some()
            && reading.traits.epoch_form == EpochForm::Begins;
        let may_go_back =
            self.may_restart() || heads_another || self.restarted_by == Some(WentBack::Count);
        let announced = self.announced_epochs();
        match self.epochs.take(reading, announced, has_counts, may_go_back) {
            Moved::Back if self.has_begun() => {
                self.restart(0, WentBack::Epoch, curves);
                return;
            }
            Moved::On => {
                let done = self.whole.map_or(0, |whole| whole.done);
                let taken = done.saturating_sub(self.epoch_began_at);
                self.steps_per_epoch =
                    Some(taken).filter(|&taken| taken > 0 && self.epochs.index > 0);
                self.epoch_began_at = done;
            }
            Moved::No | Moved::Back => {}
        }
        if reading.epoch.is_some() && self.restarted_by == Some(WentBack::Count) {
            self.restarted_by = None;
        }
    }

    /// Takes in what a line counts. Answers whether it goes on with the run.
    fn take_counts(
        &mut self,
        place: Place,
        reading: &LineReading,
        epoch_before: u64,
        curves: &mut Curves,
    ) -> bool {
        // The bar knows best how far it is; in prose the count that is said to be of the run does.
        let is_whole_bar = place == Place::Whole && reading.counter.is_bar;
        if let Some(step) = reading.whole.filter(|_| !is_whole_bar)
            && !self.take_whole(step, reading.whole_total, reading, curves)
        {
            return false;
        }
        let Some(step) = reading.step else { return true };
        match place {
            Place::Outer => self.take_outer(reading, step),
            Place::Whole if is_whole_bar || reading.whole.is_none() => {
                return self.take_whole(step, reading.total_steps, reading, curves);
            }
            Place::Within => {
                if let Some((whole, total)) = reading.whole.zip(reading.total_steps) {
                    self.epochs.learn_base(whole, step, total);
                }
                self.take_within(step, reading, epoch_before, curves);
            }
            Place::Whole | Place::Echo | Place::Other(_) => {}
        }
        true
    }

    fn take_metrics(&mut self, reading: &LineReading) {
        if reading.loss.is_some() {
            self.has_loss = true;
            self.loss_part = Some(match (self.loss_part, reading.traits.loss_part) {
                (_, 0) | (Some(LossPart::All), _) => LossPart::All,
                (None, part) => LossPart::One(part),
                (Some(LossPart::One(known)), part) if known == part => LossPart::One(part),
                _ => LossPart::Several,
            });
            if self.loss_part == Some(LossPart::Several) {
                self.known.loss = None;
            }
        }
        let is_loss = match self.loss_part {
            Some(LossPart::All) => reading.traits.loss_part == 0,
            Some(LossPart::One(_)) => true,
            _ => false,
        };
        if let Some(loss) = reading.loss.filter(|_| is_loss) {
            self.known.loss = Some(loss).filter(|loss| loss.is_finite());
            if !loss.is_finite() {
                let step = self.known.step.unwrap_or_default();
                self.known.loss_not_finite_step.get_or_insert(step);
            }
            for track in [&mut self.whole, &mut self.within].into_iter().flatten() {
                track.carries_loss = true;
            }
        }
        self.known.learning_rate = reading.learning_rate.or(self.known.learning_rate);
        self.known.seconds_per_step = reading.seconds_per_step.or(self.known.seconds_per_step);
    }

    /// Times the step, and draws the curves on.
    fn trace(&mut self, reading: &LineReading, curves: &mut Curves) {
        let Some(step) = self.known.step else { return };
        if reading.step.is_some() || reading.whole.is_some() {
            self.pace.take(step, reading.elapsed_seconds, reading.seconds_per_step);
        }
        let told = Told {
            loss: reading.loss,
            learning_rate: reading.learning_rate,
            seconds_per_step: reading.seconds_per_step,
        };
        curves.take(step, told);
    }
}

/// Whether a reading counts anything but epochs, or tells a loss.
fn has_count_but_epoch(reading: &LineReading) -> bool {
    reading.step.or(reading.whole).is_some() || reading.loss.is_some() || reading.percent.is_some()
}
