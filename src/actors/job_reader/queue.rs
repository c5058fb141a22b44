//! Questions about the queue, and about jobs on their way into it and out of it.

use super::Question;
use crate::db::connection::Connection;
use crate::db::error::StoreError;
use crate::db::jobs::{self, KnownJob};
use crate::db::queue::{self, Claim};
use crate::domain::job::{Job, JobId};
use crate::domain::queue::{Limits, QueueEntry, QueueStatus};
use crate::domain::submission::Order;

/// Everything that may still change in the queue, and what is usual.
#[derive(Debug, Clone)]
pub struct GetQueue {
    /// The configured limits.
    pub limits: Limits,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueSnapshot {
    /// The entries that may still change, in the order in which they came.
    pub entries: Vec<QueueEntry>,
    /// The limits that hold.
    pub limits: Limits,
    /// How many entries there are of each status.
    pub by_status: Vec<(String, i64)>,
    /// How long past jobs waited in the queue, in seconds.
    pub past_waits_seconds: Vec<f64>,
    /// How long past jobs ran, in seconds.
    pub past_runs_seconds: Vec<f64>,
}

impl QueueSnapshot {
    /// How many entries of this status may still change.
    pub fn count(&self, status: QueueStatus) -> usize {
        self.entries.iter().filter(|entry| entry.status == status).count()
    }

    /// How many are being handed over, or are with a provider.
    pub fn under_way(&self) -> usize {
        self.count(QueueStatus::Submitting) + self.count(QueueStatus::Running)
    }

    /// How many there are of this status, as far as they were not cleaned up.
    pub fn total(&self, status: QueueStatus) -> i64 {
        let mut counts = self.by_status.iter();
        counts.find(|(word, _)| word == status.as_str()).map_or(0, |(_, count)| *count)
    }
}

impl Question for GetQueue {
    type Answer = QueueSnapshot;

    fn look_up(self, connection: &mut Connection) -> Result<QueueSnapshot, StoreError> {
        connection.read(|connection| {
            Ok(QueueSnapshot {
                entries: queue::open(connection)?,
                limits: queue::in_force(connection, self.limits)?,
                by_status: queue::by_status(connection)?,
                past_waits_seconds: queue::past_waits_seconds(connection)?,
                past_runs_seconds: queue::past_runs_seconds(connection)?,
            })
        })
    }
}

/// A job that was submitted here, and what it was made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The job.
    pub job: Job,
    /// Its way through the queue.
    pub entry: QueueEntry,
    /// What its provider was asked to run, without its secrets.
    pub order: Order,
}

/// What a job was made of; None where that is not known: others submitted it, or the queue was cleaned up.
#[derive(Debug, Clone)]
pub struct GetSubmission(pub JobId);

impl Question for GetSubmission {
    type Answer = Option<Submission>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        connection.read(|connection| {
            let job = jobs::get(connection, &self.0)?;
            submission_of(connection, job)
        })
    }
}

/// The newest job that was submitted to a provider under a name, and what it was made of.
#[derive(Debug, Clone)]
pub struct GetNewestSubmission {
    /// The provider.
    pub provider: &'static str,
    /// The name of the configuration.
    pub config_name: String,
}

impl Question for GetNewestSubmission {
    type Answer = Option<Submission>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        connection.read(|connection| {
            let found = queue::newest_named(connection, self.provider, &self.config_name)?;
            let Some(job_id) = found else { return Ok(None) };
            let job = jobs::get(connection, &job_id)?;
            submission_of(connection, job)
        })
    }
}

fn submission_of(connection: &mut Connection, job: Job) -> Result<Option<Submission>, StoreError> {
    let Some(entry) = queue::find(connection, &job.job_id)? else { return Ok(None) };
    let order = queue::order_of(connection, &job.job_id)?;
    Ok(Some(Submission { job, entry, order }))
}

/// The entries that may still change, in the order in which they came, and the limits that hold.
#[derive(Debug, Clone)]
pub struct GetOpenEntries {
    /// The configured limits.
    pub limits: Limits,
}

impl Question for GetOpenEntries {
    type Answer = (Vec<QueueEntry>, Limits);

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        connection.read(|connection| {
            Ok((queue::open(connection)?, queue::in_force(connection, self.limits)?))
        })
    }
}

/// Entries that have ended, the last one first.
#[derive(Debug, Clone)]
pub struct ListEndedEntries {
    /// How they ended.
    pub statuses: Vec<QueueStatus>,
    /// How many to leave out.
    pub offset: i64,
    /// How many at most.
    pub limit: i64,
}

impl Question for ListEndedEntries {
    type Answer = Vec<QueueEntry>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        queue::ended(connection, &self.statuses, self.offset, self.limit)
    }
}

/// The entry of a job.
#[derive(Debug, Clone)]
pub struct GetQueueEntry(pub JobId);

impl Question for GetQueueEntry {
    type Answer = QueueEntry;

    fn look_up(self, connection: &mut Connection) -> Result<QueueEntry, StoreError> {
        queue::find(connection, &self.0)?.ok_or(StoreError::NotInQueue(self.0))
    }
}

/// The jobs of which it is not known whether the provider took them.
#[derive(Debug, Clone)]
pub struct ListUnresolved;

impl Question for ListUnresolved {
    type Answer = Vec<Claim>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        queue::unresolved(connection)
    }
}

/// Those of these jobs of a provider that we know.
#[derive(Debug, Clone)]
pub struct ListKnownAtProvider {
    /// The provider's name.
    pub provider: String,
    /// The provider's identifiers.
    pub provider_job_ids: Vec<String>,
}

impl Question for ListKnownAtProvider {
    type Answer = Vec<KnownJob>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        jobs::known_at_provider(connection, &self.provider, &self.provider_job_ids)
    }
}

/// The jobs that providers are still to be asked to end.
#[derive(Debug, Clone)]
pub struct ListToCancel;

impl Question for ListToCancel {
    type Answer = Vec<Job>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        jobs::to_cancel(connection)
    }
}
