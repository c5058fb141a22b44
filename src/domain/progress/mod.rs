//! From log text to progress: stage, step, loss, speed and time left.
//!
//! [`parse_line`] reads one line, whichever trainer wrote it; [`ProgressReader`] reads a growing log.
//! The API page ("Inline Progress API") gives the words of the stages and the simple patterns; the
//! rest was learnt from the labelled lines in `tests/data/log_lines.jsonl` and the whole logs in `tests/logs`.
//!
//! A line yields claims (`claims/`, by the tables of `grammar/`); a run is what its counters amount to over
//! all lines (`run/`).
//!
//! Invariants:
//! - A progress once known stays known and goes back only when the run itself restarted, or when what it
//!   was computed from proves to be something else.
//! - Steps count over epochs where both are known.
//! - Bars of anything but training (loading, caching, validation, samples) change the stage at most.

mod claims;
mod estimate;
mod grammar;
mod layout;
mod line;
mod pace;
mod reader;
mod run;
mod series;
mod shape;
mod shapes;
mod stage;
#[cfg(test)]
mod tests;
mod thinning;
mod values;

use serde::{Deserialize, Serialize, Serializer};

pub use line::{LineReading, parse_line};
pub use reader::{LogChange, ProgressReader};
pub use series::{CHECKPOINTS_MAX, POINTS_MAX, PackedSeries, Series};
pub use stage::Stage;

/// What is known of a run's progress (API page, section "Response", and the additions of the
/// contract). Unknown values are `None`, `null` in JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// What the run is doing.
    pub stage: Option<Stage>,
    /// The last line that is not blank, at most 80 characters of it.
    pub last_log: Option<String>,
    /// How much of the whole run is done, in percent from 0 to 100; `None` where nobody can know.
    pub progress: Option<f64>,
    /// What the percentage is computed from; `None` where there is none, where the trainer tells it, and
    /// where a full bar may not have been the whole run.
    pub basis: Option<Basis>,
    /// How often the run began again, or something else began to count its steps.
    pub restarts: u32,
    /// Training steps taken.
    pub step: Option<u64>,
    /// Training steps to take in all.
    pub total_steps: Option<u64>,
    /// The epoch as the trainer counts it; a fraction where it gives one.
    #[serde(serialize_with = "whole_if_possible")]
    pub epoch: Option<f64>,
    /// Epochs to train in all.
    pub total_epochs: Option<u64>,
    /// The last training loss; `None` also where it was nan or infinite.
    pub loss: Option<f64>,
    /// The step at which the loss first was nan or infinite, where it ever was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_not_finite_step: Option<u64>,
    /// The last learning rate.
    pub learning_rate: Option<f64>,
    /// Seconds for one step, as the trainer last told.
    pub seconds_per_step: Option<f64>,
    /// Seconds that a step took most often, by the run's own clock.
    pub median_seconds_per_step: Option<f64>,
    /// Seconds until the last step, from the run's own steps and pauses; `None` before ten steps.
    pub eta_seconds: Option<f64>,
    /// In one run of ten it takes less than this: with the next one, an interval of 80 %.
    pub eta_low_seconds: Option<f64>,
    /// In one run of ten it takes more than this.
    pub eta_high_seconds: Option<f64>,
}

/// What a percentage is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// Steps of all steps.
    Steps,
    /// Epochs of all epochs.
    Epochs,
    /// Epochs of all epochs, refined by what is done of the one under way.
    Both,
}

/// Epoch 3 is written as 3, not as 3.0: most trainers count whole epochs.
fn whole_if_possible<S: Serializer>(epoch: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match epoch {
        Some(epoch) if epoch.fract() == 0.0 && epoch.abs() < f64::from(u32::MAX) => {
            serializer.serialize_i64(*epoch as i64)
        }
        epoch => epoch.serialize(serializer),
    }
}
