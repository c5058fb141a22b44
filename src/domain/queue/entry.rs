//! One place in the queue.

use serde::Serialize;

use crate::domain::job::{JobId, JobStatus, UnknownWord};
use crate::domain::timestamp::Timestamp;

/// How urgent a job is, from 0 to 50; the higher goes first (`api.md`, "Priorities").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Priority(u8);

impl Priority {
    /// The named ones, the least urgent first.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("low", Self(0)),
        ("normal", Self(10)),
        ("high", Self(20)),
        ("urgent", Self(30)),
        ("critical", Self(40)),
    ];

    /// What a job has for which none is asked.
    pub const NORMAL: Self = Self(10);

    /// The most urgent of all.
    pub const MAX: Self = Self(50);

    /// The priority of this number; None where it is none.
    pub fn new(number: i64) -> Option<Self> {
        u8::try_from(number).ok().map(Self).filter(|priority| *priority <= Self::MAX)
    }

    /// The priority of this name, in letters of either case.
    ///
    /// # Errors
    /// Where there is none of this name.
    pub fn named(name: &str) -> Result<Self, UnknownWord> {
        UnknownWord::look_up(&name.to_ascii_lowercase(), &Self::NAMED)
    }

    /// The number.
    pub fn number(self) -> i64 {
        self.0.into()
    }

    /// The name of the greatest named priority that is not above this one.
    pub fn name(self) -> &'static str {
        let mut named = Self::NAMED.into_iter().rev();
        named.find(|(_, priority)| *priority <= self).map_or("low", |(name, _)| name)
    }
}

/// How far a job has come on its way through the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueStatus {
    /// It waits for its turn.
    Pending,
    /// It is being handed to the provider, or was, and nobody knows yet whether the provider took it.
    Submitting,
    /// The provider has it.
    Running,
    /// It ended well.
    Completed,
    /// It ended with an error, or the provider did not take it.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl QueueStatus {
    /// Every one, in the order of an entry's life.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Submitting,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Those of entries that may still change.
    pub const OPEN: [Self; 3] = [Self::Pending, Self::Submitting, Self::Running];

    /// The word on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Submitting => "submitting",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether an entry with this status may still change.
    pub fn is_open(self) -> bool {
        Self::OPEN.contains(&self)
    }

    /// What the queue shows of a job that the provider has.
    pub fn of_job(status: JobStatus) -> Self {
        match status {
            JobStatus::Pending | JobStatus::Uploading | JobStatus::Queued | JobStatus::Running => {
                Self::Running
            }
            JobStatus::Completed => Self::Completed,
            JobStatus::Failed => Self::Failed,
            JobStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl std::fmt::Display for QueueStatus {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl std::str::FromStr for QueueStatus {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        UnknownWord::look_up(word, &Self::ALL.map(|status| (status.as_str(), status)))
    }
}

/// A job's place in the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueEntry {
    /// Its number: the higher, the later it came.
    pub id: i64,
    /// The job.
    pub job_id: JobId,
    /// Who is to run it.
    pub provider: String,
    /// Whose it is, where that was said.
    pub user_id: Option<String>,
    /// The name of its training configuration.
    pub config_name: Option<String>,
    /// How urgent it was submitted.
    pub priority: Priority,
    /// How urgent it was made since.
    pub priority_override: Option<Priority>,
    /// How far it is.
    pub status: QueueStatus,
    /// When it came.
    pub queued_at: Timestamp,
    /// Until when it is not handed over, after an attempt that failed.
    pub not_before: Option<Timestamp>,
    /// When it was last handed over: the intent, which is stored before the call.
    pub submitted_at: Option<Timestamp>,
    /// When the provider took it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// How often it was handed over so far, as far as that counts.
    pub attempt: u32,
    /// How often it is at most.
    pub max_attempts: u32,
    /// What went wrong last.
    pub error_message: Option<String>,
    /// What it is expected to cost, in millionths of a dollar.
    pub estimated_cost_micro_usd: Option<i64>,
    /// The job that failed by its provider's fault, of which this one is another attempt.
    pub retry_of: Option<JobId>,
    /// For how long it will still run, in seconds, where its log tells.
    pub remaining_seconds: Option<f64>,
}

impl QueueEntry {
    /// How urgent it is.
    pub fn effective_priority(&self) -> Priority {
        self.priority_override.unwrap_or(self.priority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_between_two_names_has_the_lower_one() {
        let name = |number| Priority::new(number).map(Priority::name);
        assert_eq!((name(0), name(9), name(10)), (Some("low"), Some("low"), Some("normal")));
        assert_eq!((name(50), name(51), name(-1)), (Some("critical"), None, None));
    }

    #[test]
    fn every_status_survives_being_written_and_read() {
        for status in QueueStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::json!(status), serde_json::json!(status.as_str()));
        }
    }
}
