//! The provider's words: where a job stands, and which list it is on.

use serde::{Deserialize, Serialize};

/// The provider's word for where a job stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Status {
    /// Waiting for a machine.
    Starting,
    /// Running.
    Processing,
    /// Ended well.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Cancelled by the user, or past its deadline after it had started.
    Canceled,
    /// Past its deadline, or given up, before it started.
    Aborted,
    /// A word the documentation does not know; only a manual job can have it.
    Other(String),
}

impl Status {
    /// Whether a job with this status has ended.
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Canceled | Self::Aborted => true,
            Self::Starting | Self::Processing | Self::Other(_) => false,
        }
    }
}

impl From<String> for Status {
    fn from(word: String) -> Self {
        match word.as_str() {
            "starting" => Self::Starting,
            "processing" => Self::Processing,
            "succeeded" => Self::Succeeded,
            "failed" => Self::Failed,
            "canceled" => Self::Canceled,
            "aborted" => Self::Aborted,
            _ => Self::Other(word),
        }
    }
}

impl From<Status> for String {
    fn from(status: Status) -> Self {
        match status {
            Status::Starting => "starting".to_owned(),
            Status::Processing => "processing".to_owned(),
            Status::Succeeded => "succeeded".to_owned(),
            Status::Failed => "failed".to_owned(),
            Status::Canceled => "canceled".to_owned(),
            Status::Aborted => "aborted".to_owned(),
            Status::Other(word) => word,
        }
    }
}

/// Which of the two lists a job is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// `/predictions`; SimpleTuner's trainers are run as these.
    #[default]
    Prediction,
    /// `/trainings`.
    Training,
}
