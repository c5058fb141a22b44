//! What a run does besides training, how it begins, and what it announces.

use super::super::grammar::announcements::Announced;
use super::super::grammar::counters::EpochForm;
use super::super::line::{Label, LineReading, RunEvent};
use super::super::series::Curves;
use super::super::stage::Stage;
use super::track::Track;
use super::{End, Run};

impl Run {
    /// A run begins: of what was told before any step was taken, nothing is known to hold for it.
    pub(super) fn begin(&mut self) {
        self.restart_announced = true;
        self.end = End::Open;
        self.says_training = true;
        let has_trained = self.has_loss || self.known.step.is_some_and(|step| step > 0);
        // Some say it several times, and in between what the run will take.
        let was_said = std::mem::replace(&mut self.has_said_beginning, true);
        if !has_trained && !was_said {
            let known = std::mem::take(&mut self.known);
            *self = Self {
                restart_announced: true,
                says_training: true,
                has_said_beginning: true,
                last_said: self.last_said,
                ..Self::default()
            };
            self.known.stage = known.stage;
            self.known.restarts = known.restarts + u32::from(known.progress.is_some());
        }
    }

    pub(super) fn announce(&mut self, reading: &LineReading) {
        let new = reading.announced;
        if new.steps.is_some() {
            let may_hold = self.whole.is_none() || self.restart_announced;
            self.announced.steps =
                if may_hold { new.steps } else { self.announced.steps.or(new.steps) };
        }
        self.announced.asked_steps = new.asked_steps.or(self.announced.asked_steps);
        self.announced.epochs = self.announced.epochs.or(new.epochs);
        self.announced.asked_epochs = new.asked_epochs.or(self.announced.asked_epochs);
        self.announced.batches = new.batches.or(self.announced.batches);
        if new != Announced::default() {
            self.show();
        }
    }

    /// How many epochs were announced, if any were.
    pub(super) fn announced_epochs(&self) -> Option<u64> {
        self.announced.epochs.filter(|&epochs| epochs > 0).or(self.announced.asked_epochs)
    }

    /// Something else than training goes on.
    pub(super) fn apply_phase(&mut self, stage: Stage, reading: &LineReading, curves: &mut Curves) {
        let was_preparing = self.known.stage == Some(Stage::Preprocessing);
        match self.stage_to_show(stage, reading) {
            Some(shown) => self.known.stage = Some(shown),
            None => return,
        }
        match stage {
            Stage::Preprocessing => {
                // What a launcher says that it starts prepares first; what it printed before were settings.
                let goes_on_training = reading.traits.is_past || !was_preparing;
                self.says_training &= !reading.counter.is_bar && goes_on_training;
                self.pending = None;
            }
            Stage::Validation => self.apply_validation(reading, curves),
            Stage::SavingCheckpoint => self.apply_saving(reading, curves),
            Stage::Warmup | Stage::Training => {}
        }
        self.show();
    }

    /// The stage that a line amounts to which speaks of this one; `None` where it changes nothing.
    fn stage_to_show(&self, stage: Stage, reading: &LineReading) -> Option<Stage> {
        let known = self.known.stage.filter(|_| self.has_begun());
        match (stage, known) {
            // Within a run, data are loaded again and again, and what is loaded to validate is validation's.
            (Stage::Preprocessing, Some(Stage::Validation)) => None,
            (Stage::Preprocessing, Some(Stage::Training | Stage::SavingCheckpoint))
                if !reading.counter.is_bar && reading.traits.event != RunEvent::Begins =>
            {
                None
            }
            // What was saved before anything is trained is no checkpoint.
            (Stage::SavingCheckpoint, None)
                if reading.traits.is_past && self.known.stage == Some(Stage::Preprocessing) =>
            {
                None
            }
            // Who says only afterwards that something was saved goes on with the training.
            (Stage::SavingCheckpoint, Some(known))
                if reading.traits.is_past && known != stage && !self.is_at_end() =>
            {
                Some(Stage::Training)
            }
            _ => Some(stage),
        }
    }

    fn is_at_end(&self) -> bool {
        self.is_over() || self.whole.is_some_and(|whole| Some(whole.done) == whole.total)
    }

    fn apply_validation(&mut self, reading: &LineReading, curves: &mut Curves) {
        let announced = self.announced_epochs();
        if reading.traits.has_epoch_fraction {
            self.epochs.take(reading, announced, true, false);
            return;
        }
        // A line that begins with a step tells where the training is, unless it counts something else.
        let near = |done: u64| done.saturating_add(done / 4).saturating_add(10);
        let is_near = |whole: &Track| reading.whole <= Some(near(whole.done));
        let is_of_run = |whole: &Track| reading.counter.label == Label::Steps && is_near(whole);
        if self.whole.is_none_or(|whole| whole.is_of_evaluations || is_of_run(&whole)) {
            self.take_whole_ahead(reading, curves);
        }
        if reading.epoch.is_none() {
            return;
        }
        let part_of_epoch = self.within.and_then(|within| within.fraction());
        if part_of_epoch.is_none_or(|part| part > 0.5) {
            self.epochs.end(reading.epoch, reading.total_epochs, announced);
        }
        if self.epochs.told_total.is_none() {
            self.epochs.told_total = reading.total_epochs;
        }
    }

    fn apply_saving(&mut self, reading: &LineReading, curves: &mut Curves) {
        if reading.traits.epoch_form == EpochForm::Ended {
            self.epochs.end(reading.epoch, None, self.announced_epochs());
        }
        self.take_whole_ahead(reading, curves);
        if let Some(step) = self.known.step {
            curves.save_checkpoint(step);
        }
    }

    /// Takes in a count of the whole run that another line than one of training tells.
    fn take_whole_ahead(&mut self, reading: &LineReading, curves: &mut Curves) {
        let is_ahead = |step: &u64| self.whole.is_none_or(|whole| whole.done < *step);
        if let Some(step) = reading.whole.filter(is_ahead) {
            self.take_whole(step, None, reading, curves);
        }
    }
}
