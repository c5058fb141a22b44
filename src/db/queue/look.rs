//! What is in the queue.

use std::collections::HashSet;

use diesel::prelude::*;

use super::Claim;
use super::row::{EntryRow, columns};
use crate::db::connection::Connection;
use crate::db::error::StoreError;
use crate::db::on_each_backend;
use crate::db::schema::{jobs as job_table, queue_entries};
use crate::db::settings::{self, Setting};
use crate::domain::job::{JobId, JobStatus};
use crate::domain::queue::{Limits, QueueEntry, QueueStatus};
use crate::domain::submission::Order;
use crate::domain::timestamp::from_micros;

/// What is run for a job.
///
/// # Errors
/// Where it is not in the queue, its order cannot be read, or the database fails.
pub fn order_of(connection: &mut Connection, job_id: &JobId) -> Result<Order, StoreError> {
    let json: String = on_each_backend!(connection, |c| {
        queue_entries::table
            .filter(queue_entries::job_id.eq(&job_id.0))
            .select(queue_entries::job_order)
            .get_result(c)
    })?;
    serde_json::from_str(&json).map_err(|error| {
        log::error!("the order of job {job_id} cannot be read: {error}");
        StoreError::NotInQueue(job_id.clone())
    })
}

/// Whether the provider of a job is to tell of it by webhooks. What is not in the queue any more is not known.
///
/// # Errors
/// Where the database fails.
pub fn has_webhook(connection: &mut Connection, job_id: &JobId) -> Result<bool, StoreError> {
    match find(connection, job_id)? {
        Some(_) => Ok(order_of(connection, job_id)?.webhook_url.is_some()),
        None => Ok(false),
    }
}

/// The newest job that was submitted to a provider under a name.
///
/// # Errors
/// Where the database fails.
pub fn newest_named(
    connection: &mut Connection,
    provider: &str,
    config_name: &str,
) -> Result<Option<JobId>, StoreError> {
    let found: Option<String> = on_each_backend!(connection, |c| {
        queue_entries::table
            .inner_join(job_table::table)
            .filter(job_table::provider.eq(provider))
            .filter(job_table::config_name.eq(config_name))
            .order(queue_entries::id.desc())
            .select(queue_entries::job_id)
            .first(c)
            .optional()
    })?;
    Ok(found.map(JobId))
}

/// The jobs of which it is not known whether the provider took them.
///
/// # Errors
/// Where the database fails.
pub fn unresolved(connection: &mut Connection) -> Result<Vec<Claim>, StoreError> {
    type Row = (String, String, String, i64, i64, Option<i64>);
    let rows: Vec<Row> = on_each_backend!(connection, |c| {
        queue_entries::table
            .inner_join(job_table::table)
            .filter(queue_entries::status.eq(QueueStatus::Submitting.as_str()))
            .order(queue_entries::id.asc())
            .select((
                queue_entries::job_id,
                job_table::provider,
                queue_entries::job_order,
                queue_entries::attempt,
                queue_entries::max_attempts,
                queue_entries::newest_known_at,
            ))
            .load(c)
    })?;
    let claim = |(job_id, provider, order, attempt, max_attempts, newest): Row| {
        let order = serde_json::from_str(&order)
            .map_err(|error| log::error!("the order of job {job_id} cannot be read: {error}"))
            .ok()?;
        Some(Claim {
            job_id: JobId(job_id),
            provider,
            order,
            attempt: attempt.try_into().unwrap_or(u32::MAX),
            max_attempts: max_attempts.try_into().unwrap_or(u32::MAX),
            newest_known_at: newest.map(from_micros),
        })
    };
    Ok(rows.into_iter().filter_map(claim).collect())
}

/// How many jobs there are in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// That wait.
    pub pending: i64,
    /// That are under way, which includes those that are being handed over.
    pub running: i64,
}

/// How many jobs wait and are under way.
///
/// # Errors
/// Where the database fails.
pub fn totals(connection: &mut Connection) -> Result<Totals, StoreError> {
    let open = QueueStatus::OPEN.map(QueueStatus::as_str);
    let counts: Vec<(String, i64)> = on_each_backend!(connection, |c| {
        queue_entries::table
            .filter(queue_entries::status.eq_any(open))
            .group_by(queue_entries::status)
            .select((queue_entries::status, diesel::dsl::count_star()))
            .load(c)
    })?;
    let mut totals = Totals::default();
    for (status, count) in counts {
        if status == QueueStatus::Pending.as_str() {
            totals.pending += count;
        } else {
            totals.running += count;
        }
    }
    Ok(totals)
}

/// Every entry that may still change, in the order in which they came.
///
/// # Errors
/// Where the database fails.
pub fn open(connection: &mut Connection) -> Result<Vec<QueueEntry>, StoreError> {
    let open = QueueStatus::OPEN.map(QueueStatus::as_str);
    let rows: Vec<EntryRow> = on_each_backend!(connection, |c| {
        queue_entries::table
            .inner_join(job_table::table)
            .filter(queue_entries::status.eq_any(open))
            .order(queue_entries::id.asc())
            .select(columns())
            .load(c)
    })?;
    Ok(rows.into_iter().map(QueueEntry::from).collect())
}

/// The entry of a job, if it has one.
///
/// # Errors
/// Where the database fails.
pub fn find(connection: &mut Connection, job_id: &JobId) -> Result<Option<QueueEntry>, StoreError> {
    let row: Option<EntryRow> = on_each_backend!(connection, |c| {
        queue_entries::table
            .inner_join(job_table::table)
            .filter(queue_entries::job_id.eq(&job_id.0))
            .select(columns())
            .get_result(c)
            .optional()
    })?;
    Ok(row.map(QueueEntry::from))
}

pub(super) fn get(connection: &mut Connection, job_id: &JobId) -> Result<QueueEntry, StoreError> {
    find(connection, job_id)?.ok_or_else(|| StoreError::NotInQueue(job_id.clone()))
}

/// Entries that have ended, the last one first.
///
/// # Errors
/// Where the database fails.
pub fn ended(
    connection: &mut Connection,
    statuses: &[QueueStatus],
    offset: i64,
    limit: i64,
) -> Result<Vec<QueueEntry>, StoreError> {
    let words: Vec<_> = statuses.iter().map(|status| status.as_str()).collect();
    let rows: Vec<EntryRow> = on_each_backend!(connection, |c| {
        queue_entries::table
            .inner_join(job_table::table)
            .filter(queue_entries::status.eq_any(words))
            .order(queue_entries::id.desc())
            .offset(offset)
            .limit(limit)
            .select(columns())
            .load(c)
    })?;
    Ok(rows.into_iter().map(QueueEntry::from).collect())
}

/// How many entries there are of each status.
///
/// # Errors
/// Where the database fails.
pub fn by_status(connection: &mut Connection) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(on_each_backend!(connection, |c| {
        queue_entries::table
            .group_by(queue_entries::status)
            .order(queue_entries::status.asc())
            .select((queue_entries::status, diesel::dsl::count_star()))
            .load(c)
    })?)
}

/// Of how many past jobs it is told what is usual.
const HISTORY_MAX: i64 = 50;

/// How long the last ones to be handed over had waited, in seconds.
///
/// # Errors
/// Where the database fails.
pub fn past_waits_seconds(connection: &mut Connection) -> Result<Vec<f64>, StoreError> {
    let times: Vec<(i64, i64)> = on_each_backend!(connection, |c| {
        queue_entries::table
            .filter(queue_entries::started_at.is_not_null())
            .order(queue_entries::id.desc())
            .limit(HISTORY_MAX)
            .select((queue_entries::queued_at, queue_entries::started_at.assume_not_null()))
            .load(c)
    })?;
    Ok(times.into_iter().map(|(from, to)| (to - from).max(0) as f64 / 1e6).collect())
}

/// How long the last jobs to complete ran, in seconds, whoever submitted them.
///
/// # Errors
/// Where the database fails.
pub fn past_runs_seconds(connection: &mut Connection) -> Result<Vec<f64>, StoreError> {
    let times: Vec<(i64, i64)> = on_each_backend!(connection, |c| {
        job_table::table
            .filter(job_table::status.eq(JobStatus::Completed.as_str()))
            .filter(job_table::started_at.is_not_null())
            .filter(job_table::completed_at.is_not_null())
            .order(job_table::created_at.desc())
            .limit(HISTORY_MAX)
            .select((
                job_table::started_at.assume_not_null(),
                job_table::completed_at.assume_not_null(),
            ))
            .load(c)
    })?;
    Ok(times.into_iter().map(|(from, to)| (to - from).max(0) as f64 / 1e6).collect())
}

/// The limits that hold: `configured`, with what was set since laid over it.
///
/// # Errors
/// Where the database fails.
pub fn in_force(connection: &mut Connection, configured: Limits) -> Result<Limits, StoreError> {
    let mut number = |setting| -> Result<Option<usize>, StoreError> {
        Ok(settings::get(connection, setting)?.and_then(|text| text.parse().ok()))
    };
    let max_concurrent = number(Setting::QueueMaxConcurrent)?;
    let user_max_concurrent = number(Setting::QueueUserMaxConcurrent)?;
    let is_paused = settings::get(connection, Setting::QueuePaused)?.as_deref() == Some("true");
    Ok(Limits {
        max_concurrent: max_concurrent.unwrap_or(configured.max_concurrent),
        user_max_concurrent: user_max_concurrent.unwrap_or(configured.user_max_concurrent),
        is_paused: is_paused || configured.is_paused,
    })
}

/// How many of the submissions that failed since nobody could tell are remembered for what they may be.
const SUSPECTED_MAX: i64 = 1_000;

/// The provider's jobs that may be submissions which failed since nobody could tell.
///
/// # Errors
/// Where the database fails.
pub(in crate::db) fn suspects(connection: &mut Connection) -> Result<HashSet<String>, StoreError> {
    let suspects: Vec<String> = on_each_backend!(connection, |c| {
        queue_entries::table
            .filter(queue_entries::suspects.is_not_null())
            .order(queue_entries::id.desc())
            .limit(SUSPECTED_MAX)
            .select(queue_entries::suspects.assume_not_null())
            .load(c)
    })?;
    let ids = suspects.iter().filter_map(|json| serde_json::from_str::<Vec<String>>(json).ok());
    Ok(ids.flatten().collect())
}
