//! How a scripted job lives: a pure function of the seconds since its creation.
//!
//! Nothing here ticks. Whoever wants to know how far a job is asks with an elapsed time, so that a job
//! nobody looks at costs nothing and a hundred thousand of them need no timers.

use serde::{Deserialize, Serialize};

/// The life of one scripted job, in simulated seconds.
///
/// [`speed`](Self::speed) tells how many simulated seconds pass in a real one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// Seconds in the status `starting`: waiting for a machine.
    pub queue_seconds: f64,
    /// Seconds between the start of the run and the first training step (data sets, caches, model).
    pub setup_seconds: f64,
    /// Number of the last training step.
    pub steps: u32,
    /// Epochs the steps are spread over; only shown, progress is counted in steps.
    pub epochs: u32,
    /// The step a resumed run starts from; 0 for a fresh one.
    pub starting_step: u32,
    /// Seconds a training step takes.
    pub seconds_per_step: f64,
    /// A validation follows every so many steps; 0 for none.
    pub validation_interval_steps: u32,
    /// Seconds a validation takes.
    pub validation_seconds: f64,
    /// A checkpoint is saved every so many steps; 0 for none.
    pub checkpoint_interval_steps: u32,
    /// Seconds saving a checkpoint takes.
    pub checkpoint_seconds: f64,
    /// Seconds between the last step and the end (final save and upload).
    pub finish_seconds: f64,
    /// How it ends.
    pub end: End,
    /// Simulated seconds in a real second.
    pub speed: f64,
}

/// How a scripted job ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// All steps are done: `succeeded`.
    Succeed,
    /// An exception stops the run: `failed`.
    Fail {
        /// The text of the exception.
        error: String,
        /// The last step that was done; 0 fails right after the setup.
        after_step: u32,
    },
    /// It ends when the queue time is over, without ever starting: `aborted`.
    Abort,
    /// It stays at its last step until somebody cancels it.
    RunUntilCancelled,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            queue_seconds: 2.0,
            setup_seconds: 8.0,
            steps: 2000,
            epochs: 21,
            starting_step: 0,
            seconds_per_step: 0.1,
            validation_interval_steps: 500,
            validation_seconds: 5.0,
            checkpoint_interval_steps: 500,
            checkpoint_seconds: 2.0,
            finish_seconds: 4.0,
            end: End::Succeed,
            speed: 1.0,
        }
    }
}

impl Scenario {
    /// When the run starts (`processing`), or `None` for one that never does.
    pub fn started_at_seconds(&self) -> Option<f64> {
        match self.end {
            End::Abort => None,
            End::Succeed | End::Fail { .. } | End::RunUntilCancelled => Some(self.queue_seconds),
        }
    }

    /// When it ends by itself, or `None` for one that must be cancelled.
    pub fn ended_at_seconds(&self) -> Option<f64> {
        match self.end {
            End::Abort => Some(self.queue_seconds),
            End::Fail { .. } => Some(self.step_done_at_seconds(self.last_step())),
            End::Succeed => Some(self.steps_done_at_seconds() + self.finish_seconds),
            End::RunUntilCancelled => None,
        }
    }

    /// The last step this run does: a failing one stops earlier than it meant to.
    pub fn last_step(&self) -> u32 {
        match self.end {
            End::Fail { after_step, .. } => {
                after_step.clamp(self.starting_step, self.steps.max(self.starting_step))
            }
            End::Succeed | End::Abort | End::RunUntilCancelled => {
                self.steps.max(self.starting_step)
            }
        }
    }

    /// When the training loop begins.
    pub fn training_at_seconds(&self) -> f64 {
        self.queue_seconds + self.setup_seconds
    }

    /// When `step` is done; the pauses that follow it are not in it, those before it are.
    pub fn step_done_at_seconds(&self, step: u32) -> f64 {
        let done = step.saturating_sub(self.starting_step);
        self.training_at_seconds()
            + f64::from(done) * self.seconds_per_step
            + self.pauses_seconds(step.saturating_sub(1))
    }

    /// When the last step and what follows it are done.
    pub fn steps_done_at_seconds(&self) -> f64 {
        let last = self.last_step();
        self.step_done_at_seconds(last) + self.pause_seconds(last)
    }

    /// Whether a validation follows `step`.
    pub fn validates_after(&self, step: u32) -> bool {
        follows(self.validation_interval_steps, self.starting_step, step)
    }

    /// Whether a checkpoint is saved after `step` (and after its validation).
    pub fn saves_after(&self, step: u32) -> bool {
        follows(self.checkpoint_interval_steps, self.starting_step, step)
    }

    /// Seconds of the pause after `step` alone.
    fn pause_seconds(&self, step: u32) -> f64 {
        let validation = f64::from(u8::from(self.validates_after(step))) * self.validation_seconds;
        let checkpoint = f64::from(u8::from(self.saves_after(step))) * self.checkpoint_seconds;
        validation + checkpoint
    }

    /// Seconds of all pauses up to and after `step`.
    fn pauses_seconds(&self, step: u32) -> f64 {
        let count = |interval: u32| match interval {
            0 => 0.0,
            _ => f64::from((step / interval).saturating_sub(self.starting_step / interval)),
        };
        count(self.validation_interval_steps) * self.validation_seconds
            + count(self.checkpoint_interval_steps) * self.checkpoint_seconds
    }
}

fn follows(interval_steps: u32, starting_step: u32, step: u32) -> bool {
    interval_steps > 0 && step > starting_step && step.is_multiple_of(interval_steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ten_steps() -> Scenario {
        Scenario {
            queue_seconds: 5.0,
            setup_seconds: 10.0,
            steps: 10,
            seconds_per_step: 1.0,
            validation_interval_steps: 5,
            validation_seconds: 3.0,
            checkpoint_interval_steps: 10,
            checkpoint_seconds: 2.0,
            finish_seconds: 4.0,
            ..Scenario::default()
        }
    }

    #[test]
    fn a_step_waits_for_the_pauses_before_it_but_not_for_its_own() {
        let scenario = ten_steps();
        assert_eq!(scenario.step_done_at_seconds(5), 20.0);
        assert_eq!(scenario.step_done_at_seconds(6), 24.0);
    }

    #[test]
    fn a_success_ends_after_all_steps_pauses_and_the_final_save() {
        assert_eq!(ten_steps().ended_at_seconds(), Some(15.0 + 10.0 + 2.0 * 3.0 + 2.0 + 4.0));
    }

    #[test]
    fn a_resumed_run_does_only_the_steps_that_are_left() {
        let scenario = Scenario { starting_step: 5, ..ten_steps() };
        assert_eq!(scenario.step_done_at_seconds(6), 16.0);
    }

    #[test]
    fn an_aborted_run_ends_with_its_queue_time_and_never_starts() {
        let scenario = Scenario { end: End::Abort, ..ten_steps() };
        assert_eq!((scenario.started_at_seconds(), scenario.ended_at_seconds()), (None, Some(5.0)));
    }

    #[test]
    fn a_run_until_cancelled_has_no_end_of_its_own() {
        let scenario = Scenario { end: End::RunUntilCancelled, ..ten_steps() };
        assert_eq!(scenario.ended_at_seconds(), None);
    }
}
