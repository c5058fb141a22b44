//! How an entry of the queue lies in its table.

use diesel::prelude::*;

use super::NewSubmission;
use crate::db::schema::{jobs, queue_entries};
use crate::domain::job::JobId;
use crate::domain::progress::Progress;
use crate::domain::queue::{Priority, QueueEntry, QueueStatus};
use crate::domain::timestamp::{Timestamp, from_micros, to_micros};

/// An entry with what its job tells, in the order of [`columns`].
#[derive(Debug, Queryable)]
pub(super) struct EntryRow {
    id: i64,
    job_id: String,
    provider: String,
    user_id: Option<String>,
    config_name: Option<String>,
    status: String,
    priority: i64,
    priority_override: Option<i64>,
    queued_at: i64,
    not_before: Option<i64>,
    submitted_at: Option<i64>,
    started_at: Option<i64>,
    completed_at: Option<i64>,
    attempt: i64,
    max_attempts: i64,
    error_message: Option<String>,
    estimated_cost_micro_usd: Option<i64>,
    retry_of: Option<String>,
    progress: Option<String>,
}

pub(super) type Columns = (
    queue_entries::id,
    queue_entries::job_id,
    jobs::provider,
    jobs::user_id,
    jobs::config_name,
    queue_entries::status,
    queue_entries::priority,
    queue_entries::priority_override,
    queue_entries::queued_at,
    queue_entries::not_before,
    queue_entries::submitted_at,
    queue_entries::started_at,
    queue_entries::completed_at,
    queue_entries::attempt,
    queue_entries::max_attempts,
    queue_entries::error_message,
    queue_entries::estimated_cost_micro_usd,
    queue_entries::retry_of,
    jobs::progress,
);

/// What is read of an entry.
pub(super) fn columns() -> Columns {
    (
        queue_entries::id,
        queue_entries::job_id,
        jobs::provider,
        jobs::user_id,
        jobs::config_name,
        queue_entries::status,
        queue_entries::priority,
        queue_entries::priority_override,
        queue_entries::queued_at,
        queue_entries::not_before,
        queue_entries::submitted_at,
        queue_entries::started_at,
        queue_entries::completed_at,
        queue_entries::attempt,
        queue_entries::max_attempts,
        queue_entries::error_message,
        queue_entries::estimated_cost_micro_usd,
        queue_entries::retry_of,
        jobs::progress,
    )
}

impl From<EntryRow> for QueueEntry {
    /// Words that only a newer or a foreign program can have written are read as what does no harm: an entry
    /// of which we know nothing is not handed over.
    fn from(row: EntryRow) -> Self {
        let status = row.status.parse().unwrap_or_else(|error| {
            log::error!("job {} has a status in the queue that is none: {error}", row.job_id);
            QueueStatus::Failed
        });
        let progress: Option<Progress> =
            row.progress.as_deref().and_then(|json| serde_json::from_str(json).ok());
        Self {
            id: row.id,
            job_id: JobId(row.job_id),
            provider: row.provider,
            user_id: row.user_id,
            config_name: row.config_name,
            priority: Priority::new(row.priority).unwrap_or(Priority::NORMAL),
            priority_override: row.priority_override.and_then(Priority::new),
            status,
            queued_at: from_micros(row.queued_at),
            not_before: row.not_before.map(from_micros),
            submitted_at: row.submitted_at.map(from_micros),
            started_at: row.started_at.map(from_micros),
            completed_at: row.completed_at.map(from_micros),
            attempt: row.attempt.try_into().unwrap_or(u32::MAX),
            max_attempts: row.max_attempts.try_into().unwrap_or(u32::MAX),
            error_message: row.error_message,
            estimated_cost_micro_usd: row.estimated_cost_micro_usd,
            retry_of: row.retry_of.map(JobId),
            remaining_seconds: progress.and_then(|progress| progress.eta_seconds),
        }
    }
}

/// An entry that is not there yet.
#[derive(Debug, Insertable)]
#[diesel(table_name = queue_entries)]
pub(super) struct NewEntry<'a> {
    job_id: &'a str,
    status: &'static str,
    priority: i64,
    queued_at: i64,
    attempt: i64,
    max_attempts: i64,
    estimated_cost_micro_usd: Option<i64>,
    job_order: String,
    idempotency_key: Option<&'a str>,
}

impl<'a> NewEntry<'a> {
    pub(super) fn new(new: &'a NewSubmission, now: Timestamp) -> Self {
        Self {
            job_id: &new.job_id.0,
            status: QueueStatus::Pending.as_str(),
            priority: new.priority.number(),
            queued_at: to_micros(now),
            attempt: 0,
            max_attempts: new.max_attempts.into(),
            estimated_cost_micro_usd: new.estimated_cost_micro_usd,
            job_order: serde_json::to_string(&new.order).expect("plain data has a JSON form"),
            idempotency_key: new.idempotency_key.as_deref(),
        }
    }
}
