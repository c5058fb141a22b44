//! A run so far: readings in the order of the log become one state.

use std::cmp::Ordering;

use super::Progress;
use super::line::{Counter, LineReading, Trust};
use super::pace::{self, Pace};
use super::series::{Curves, Told};
use super::stage::Stage;

/// The state of a run; of bounded size, so that a copy of it may look ahead at the unfinished tail.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    known: Progress,
    /// What counts the steps of this run; other counters do not change them.
    counter: Option<(Counter, Option<u64>)>,
    /// The step at which this run, or its latest restart, began.
    origin: Option<u64>,
    /// A line said that a run begins or resumes; the next count may be lower than the last.
    restart_announced: bool,
    /// A count below the known step that nothing explained. A second, higher one confirms a restart.
    lower_step: Option<u64>,
    /// Epochs count from 0, as Lightning does.
    epochs_from_zero: bool,
    /// Steps were seen to begin again with an epoch while nobody knows how many epochs there are.
    total_is_of_epoch: bool,
    /// The progress comes from steps, not from epochs.
    progress_is_of_steps: bool,
    pace: Pace,
}

impl Run {
    /// The progress so far, with the time left.
    pub(super) fn progress(&self) -> Progress {
        let mut progress = self.known.clone();
        let steps_left = match (progress.step, progress.total_steps) {
            (Some(step), Some(total)) if !self.total_is_of_epoch => total.checked_sub(step),
            _ => None,
        };
        let time_left = self.pace.time_left(steps_left.unwrap_or_default());
        progress.median_seconds_per_step = time_left.map(|left| left.median_seconds_per_step);
        let Some(steps_left) = steps_left else { return progress };
        if let Some(left) = time_left {
            progress.eta_seconds = Some(left.seconds);
            progress.eta_low_seconds = Some(left.low_seconds);
            progress.eta_high_seconds = Some(left.high_seconds);
            return progress;
        }
        let taken =
            progress.step.zip(self.origin).map(|(step, origin)| step.saturating_sub(origin));
        let speed = progress.seconds_per_step;
        progress.eta_seconds = pace::seconds_left(taken.unwrap_or_default(), steps_left, speed);
        progress
    }

    /// Takes in that somebody looked at the log at this time of theirs.
    pub(super) fn look(&mut self, now_seconds: f64) {
        if let Some(step) = self.known.step {
            self.pace.look(step, now_seconds);
        }
    }

    /// Takes in what the next line of the log says, and draws the curves on.
    pub(super) fn apply(&mut self, reading: LineReading, curves: &mut Curves) {
        self.restart_announced |= reading.announces_run;
        match reading.stage {
            Some(Stage::Training) => self.apply_training(reading, curves),
            Some(Stage::Validation) => {
                self.known.stage = reading.stage;
                self.apply_epoch(&reading);
            }
            // Counts of a warm-up are its own, and a save names the step that training already told.
            Some(Stage::SavingCheckpoint | Stage::Warmup | Stage::Preprocessing) => {
                self.known.stage = reading.stage;
                if let (Some(Stage::SavingCheckpoint), Some(step)) =
                    (reading.stage, self.known.step)
                {
                    curves.save_checkpoint(step);
                }
            }
            None => {}
        }
    }

    /// The stage, too, counts only if its counter is believed.
    fn apply_training(&mut self, reading: LineReading, curves: &mut Curves) {
        let reading = self.over_all_epochs(reading);
        if let Some(step) = reading.step {
            if !self.believes(&reading) {
                // Within training, a nameless bar of its own evaluates or draws samples.
                if reading.counter.trust == Trust::Bare && self.known.step.is_some() {
                    self.known.stage = Some(Stage::Validation);
                }
                return;
            }
            if !self.move_to(step, &reading, curves) {
                return;
            }
        } else if let Some(total) = reading.total_steps {
            // An announcement: of a first run, or of one with another length.
            if self.known.step.is_none() || self.restart_announced {
                self.known.total_steps = Some(total);
            }
        }
        self.known.stage = Some(Stage::Training);
        self.apply_epoch(&reading);
        if let Some(loss) = reading.loss {
            self.known.loss = Some(loss).filter(|loss| loss.is_finite());
            if !loss.is_finite() {
                let step = self.known.step.unwrap_or_default();
                self.known.loss_not_finite_step.get_or_insert(step);
            }
        }
        self.known.learning_rate = reading.learning_rate.or(self.known.learning_rate);
        self.known.seconds_per_step = reading.seconds_per_step.or(self.known.seconds_per_step);
        self.trace(&reading, curves);
        self.update_percentage(&reading);
    }

    /// Times the step, and draws the curves on.
    fn trace(&mut self, reading: &LineReading, curves: &mut Curves) {
        if let Some(step) = reading.step {
            self.pace.take(step, reading.elapsed_seconds, reading.seconds_per_step);
        }
        if let Some(step) = self.known.step {
            let told = Told {
                loss: reading.loss,
                learning_rate: reading.learning_rate,
                seconds_per_step: reading.seconds_per_step,
            };
            curves.take(step, told);
        }
    }

    /// Batches of one epoch become steps of the run where the number of epochs is known.
    fn over_all_epochs(&mut self, mut reading: LineReading) -> LineReading {
        let Some(epoch) = reading.epoch else {
            return reading;
        };
        self.epochs_from_zero |= epoch == 0.0;
        if !reading.counter.is_per_epoch {
            return reading;
        }
        let epochs = reading.total_epochs.or(self.known.total_epochs);
        if let (Some(step), Some(total), Some(epochs)) = (reading.step, reading.total_steps, epochs)
        {
            let (finished, epochs) = if self.epochs_from_zero {
                (epoch as u64, epochs.saturating_add(1))
            } else {
                ((epoch as u64).saturating_sub(1), epochs)
            };
            reading.step = Some(finished.saturating_mul(total).saturating_add(step));
            reading.total_steps = Some(total.saturating_mul(epochs));
            reading.counter.is_per_epoch = false;
        }
        reading
    }

    /// Whether what this reading counts are this run's steps.
    fn believes(&self, reading: &LineReading) -> bool {
        let Some((counter, total)) = self.counter else {
            // A nameless bar while validating draws samples.
            return reading.counter.trust > Trust::Bare
                || self.known.stage != Some(Stage::Validation);
        };
        // The same goal, or the first goal after a bare "resuming from global step 500".
        let continues = reading.total_steps.is_some()
            && (reading.total_steps == total
                || (total.is_none() && reading.step >= self.known.step));
        let is_same_length = reading.total_steps.is_none() || continues;
        let has_same_name = counter.name == reading.counter.name && counter.trust > Trust::Bare;
        let is_over = self.known.step >= total && total.is_some();
        match reading.counter.trust.cmp(&counter.trust) {
            Ordering::Less => continues,
            Ordering::Greater => true,
            Ordering::Equal => {
                is_same_length
                    || has_same_name
                    || self.restart_announced
                    || (is_over && reading.total_steps > total)
            }
        }
    }

    /// Goes to `step`; back only if the run restarted. Answers whether the step was taken.
    fn move_to(&mut self, step: u64, reading: &LineReading, curves: &mut Curves) -> bool {
        let is_other_counter = self.counter.is_some_and(|(counter, total)| {
            total.is_some()
                && (counter.trust < reading.counter.trust
                    || (counter.name != reading.counter.name
                        && reading.total_steps.is_some_and(|own| Some(own) != total)))
        });
        let goes_back = self.known.step.is_some_and(|known| step < known);
        let is_next_epoch = reading.counter.is_per_epoch && reading.epoch > self.known.epoch;
        let restarted = goes_back
            && !is_next_epoch
            && (self.restart_announced
                || reading.counter.is_first_frame
                || step <= 1
                || self.lower_step.is_some_and(|lower| step > lower));
        if goes_back && !is_next_epoch && !restarted && !is_other_counter {
            self.lower_step = Some(step);
            return false;
        }
        self.total_is_of_epoch |= goes_back && is_next_epoch;
        if restarted || is_other_counter {
            self.known.restarts = self.known.restarts.saturating_add(1);
            self.known.progress = None;
            self.total_is_of_epoch = false;
            self.pace = Pace::default();
            curves.go_back(step);
        }
        if self.origin.is_none() || restarted || is_other_counter {
            let starts_here = reading.counter.is_first_frame || self.restart_announced || restarted;
            self.origin = Some(if starts_here { step } else { 0 });
        }
        self.lower_step = None;
        self.restart_announced = false;
        self.known.step = Some(step);
        self.known.total_steps = reading.total_steps.or(self.known.total_steps);
        let is_surer = self.counter.is_none_or(|(counter, total)| {
            total.is_none()
                || (reading.total_steps.is_some() && reading.counter.trust >= counter.trust)
        });
        if is_surer {
            self.counter = Some((reading.counter, self.known.total_steps));
        }
        true
    }

    fn apply_epoch(&mut self, reading: &LineReading) {
        self.known.epoch = reading.epoch.or(self.known.epoch);
        self.known.total_epochs = reading.total_epochs.or(self.known.total_epochs);
    }

    fn update_percentage(&mut self, reading: &LineReading) {
        let percent = |done: f64, total: f64| (done * 100.0 / total).clamp(0.0, 100.0);
        if let (Some(step), Some(total)) = (self.known.step, self.known.total_steps) {
            let now = percent(step as f64, total as f64);
            // Steps say more than epochs: the first step replaces what epochs said, whichever is more.
            let before = self.known.progress.filter(|_| self.progress_is_of_steps);
            self.known.progress = Some(before.map_or(now, |before| before.max(now)));
            self.progress_is_of_steps = true;
        } else if let (Some(epoch), Some(total)) =
            (reading.epoch, reading.total_epochs.or(self.known.total_epochs))
        {
            let now = percent(epoch, total as f64);
            let before = self.known.progress.filter(|_| !self.restart_announced);
            self.known.progress = Some(before.map_or(now, |before| before.max(now)));
        }
    }
}
