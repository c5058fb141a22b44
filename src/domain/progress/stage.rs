//! What a training run is doing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a training run is doing (API page, section "Stage Detection").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// Loading models and data, caching, resuming.
    Preprocessing,
    /// Warming up before the actual training.
    Warmup,
    /// Taking optimisation steps.
    Training,
    /// Evaluating, or drawing samples.
    Validation,
    /// Writing a checkpoint or the final weights.
    #[serde(rename = "Saving checkpoint")]
    SavingCheckpoint,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preprocessing => "Preprocessing",
            Self::Warmup => "Warmup",
            Self::Training => "Training",
            Self::Validation => "Validation",
            Self::SavingCheckpoint => "Saving checkpoint",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_read_and_write_as_the_page_names_them() {
        for stage in [
            Stage::Preprocessing,
            Stage::Warmup,
            Stage::Training,
            Stage::Validation,
            Stage::SavingCheckpoint,
        ] {
            let json = serde_json::to_string(&stage).unwrap();
            assert_eq!(json, format!("\"{stage}\""));
            assert_eq!(serde_json::from_str::<Stage>(&json).unwrap(), stage);
        }
        assert_eq!(Stage::SavingCheckpoint.to_string(), "Saving checkpoint");
    }
}
