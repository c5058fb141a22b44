//! The logs of finished jobs.

use chrono::Duration;
use diesel::prelude::*;

use super::connection::Connection;
use super::error::StoreError;
use super::on_each_backend;
use super::retention::{BYTES_AT_ONCE, Keep};
use super::schema::{job_logs, job_logs_sum, jobs};
use crate::domain::job::{JobId, JobStatus, JobType};
use crate::domain::packed_log::PackedLog;
use crate::domain::timestamp::{Timestamp, from_micros, to_micros};

#[diesel::declare_sql_function]
extern "SQL" {
    /// How many bytes a value has. Neither database reads the value itself for it.
    fn length(value: diesel::sql_types::Binary) -> diesel::sql_types::Integer;
}

/// What became of the log of a finished job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptLog {
    /// Here it is.
    Whole(PackedLog),
    /// It was too old, or there was too much.
    Pruned {
        /// When it was pruned.
        at: Timestamp,
        /// How long it was, in bytes.
        log_bytes: u64,
    },
    /// The provider deleted it before it could be fetched.
    Lost {
        /// When that was found.
        at: Timestamp,
    },
}

/// How long a provider keeps a log after the end (`provider.md`, "Retention").
pub const PROVIDER_KEEPS: Duration = Duration::hours(1);

/// A job that has ended, whose log is still to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedLog {
    /// Our identifier of the job.
    pub job_id: JobId,
    /// The provider's name.
    pub provider: String,
    /// The provider's identifier of the job.
    pub provider_job_id: String,
    /// When the job ended.
    pub ended_at: Timestamp,
    /// Whether it was told that the log is missing.
    pub is_told: bool,
    /// The provider has said already that it has deleted the log.
    pub is_removed: bool,
}

/// What is to be remembered of a log that could not be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// It is still asked for.
    Missing,
    /// Nobody has it any more.
    Lost,
}

/// Keeps the log of a job that ended at `ended_at`, and answers by how many bytes the kept logs have
/// grown: whoever calls this adds them up, and hands the sum to [`add_to_sum`] in the same transaction.
///
/// Where a longer one is kept already, that stays: a log only grows, and the provider's archive may
/// have lost its end. One that was pruned does not come back.
///
/// # Errors
/// Where the database fails.
pub fn keep(
    connection: &mut Connection,
    id: &JobId,
    ended_at: Timestamp,
    log: &PackedLog,
) -> Result<i64, StoreError> {
    let log_bytes = i64::try_from(log.log_bytes()).unwrap_or(i64::MAX);
    let packed_bytes = log.as_stored().len() as i64;
    let row = (
        job_logs::job_id.eq(&id.0),
        job_logs::ended_at.eq(to_micros(ended_at)),
        job_logs::log_bytes.eq(log_bytes),
        job_logs::packed.eq(log.as_stored()),
    );
    // Nearly always it is the first. Two statements, since diesel prepares an upsert anew each time.
    let inserted = on_each_backend!(&mut *connection, |c| {
        diesel::insert_into(job_logs::table).values(row).on_conflict_do_nothing().execute(c)
    })?;
    if inserted == 1 {
        return Ok(packed_bytes);
    }
    let is_absent = job_logs::missing_at.is_not_null().or(job_logs::lost_at.is_not_null());
    let shorter = job_logs::table
        .find(&id.0)
        .filter(job_logs::log_bytes.lt(log_bytes).or(is_absent))
        .filter(job_logs::pruned_at.is_null());
    let replaced: Option<i32> = on_each_backend!(&mut *connection, |c| {
        shorter.select(length(job_logs::packed)).get_result(c).optional()
    })?;
    let Some(replaced_bytes) = replaced else { return Ok(0) };
    let longer = (
        job_logs::log_bytes.eq(log_bytes),
        job_logs::missing_at.eq(None::<i64>),
        job_logs::lost_at.eq(None::<i64>),
        job_logs::packed.eq(log.as_stored()),
    );
    on_each_backend!(connection, |c| {
        diesel::update(job_logs::table.find(&id.0)).set(longer).execute(c)
    })?;
    Ok(packed_bytes - i64::from(replaced_bytes))
}

/// Adds to what all kept logs have together.
///
/// # Errors
/// Where the database fails.
pub fn add_to_sum(connection: &mut Connection, packed_bytes: i64) -> Result<(), StoreError> {
    if packed_bytes != 0 {
        on_each_backend!(connection, |c| {
            diesel::update(job_logs_sum::table)
                .set(job_logs_sum::packed_bytes.eq(job_logs_sum::packed_bytes + packed_bytes))
                .execute(c)
        })?;
    }
    Ok(())
}

/// Remembers that the log of a job that ended at `ended_at` could not be fetched. Answers whether that
/// is news; it is none where the log is kept by now, or that it is missing was told before.
///
/// # Errors
/// Where the database fails.
pub fn mark_absent(
    connection: &mut Connection,
    id: &JobId,
    ended_at: Timestamp,
    absence: Absence,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let lost_at = (absence == Absence::Lost).then(|| to_micros(now));
    let row = (
        job_logs::job_id.eq(&id.0),
        job_logs::ended_at.eq(to_micros(ended_at)),
        job_logs::log_bytes.eq(0),
        job_logs::missing_at.eq(to_micros(now)),
        job_logs::lost_at.eq(lost_at),
        job_logs::packed.eq(b"".as_slice()),
    );
    let inserted = on_each_backend!(&mut *connection, |c| {
        diesel::insert_into(job_logs::table).values(row).on_conflict_do_nothing().execute(c)
    })?;
    if inserted == 0 && lost_at.is_some() {
        let missing = job_logs::table.find(&id.0).filter(job_logs::missing_at.is_not_null());
        on_each_backend!(connection, |c| {
            diesel::update(missing).set(job_logs::lost_at.eq(lost_at)).execute(c)
        })?;
    }
    Ok(inserted == 1)
}

/// The jobs whose logs are still to be fetched: those that ended after `since`, and those of which it was
/// told that the log is missing.
///
/// # Errors
/// Where the database fails.
pub fn wanted(connection: &mut Connection, since: Timestamp) -> Result<Vec<WantedLog>, StoreError> {
    let since = to_micros(since);
    let words = JobStatus::TERMINAL.map(JobStatus::as_str);
    let missing: Vec<String> = on_each_backend!(&mut *connection, |c| {
        job_logs::table
            .filter(job_logs::missing_at.is_not_null())
            .filter(job_logs::lost_at.is_null())
            .select(job_logs::job_id)
            .load(c)
    })?;
    let ended_since = jobs::completed_at
        .ge(since)
        .or(jobs::completed_at.is_null().and(jobs::status_since.ge(since)));
    let has_row = diesel::dsl::exists(job_logs::table.filter(job_logs::job_id.eq(jobs::job_id)));
    let is_new = ended_since.assume_not_null().and(diesel::dsl::not(has_row));
    let is_wanted = is_new.or(jobs::job_id.eq_any(&missing));
    type Row = (String, String, String, Option<i64>, Option<i64>);
    let rows: Vec<Row> = on_each_backend!(connection, |c| {
        jobs::table
            .filter(jobs::status.eq_any(words))
            .filter(jobs::job_type.eq(JobType::Cloud.as_str()))
            .filter(jobs::provider_job_id.is_not_null())
            .filter(is_wanted)
            .select((
                jobs::job_id,
                jobs::provider,
                jobs::provider_job_id.assume_not_null(),
                jobs::completed_at,
                jobs::status_since,
            ))
            .load(c)
    })?;
    let wanted =
        rows.into_iter().filter_map(|(id, provider, provider_job_id, completed, since)| {
            let ended_at = from_micros(completed.or(since)?);
            let is_told = missing.contains(&id);
            Some(WantedLog {
                job_id: JobId(id),
                provider,
                provider_job_id,
                ended_at,
                is_told,
                is_removed: false,
            })
        });
    Ok(wanted.collect())
}

/// What became of the log of a job; None where there never was one, or it is still to be fetched.
///
/// # Errors
/// Where the database fails.
pub fn get(connection: &mut Connection, id: &JobId) -> Result<Option<KeptLog>, StoreError> {
    let row: Option<KeptRow> = on_each_backend!(connection, |c| {
        job_logs::table.find(&id.0).select(KeptRow::as_select()).get_result(c).optional()
    })?;
    Ok(row.and_then(|row| {
        let log_bytes = row.log_bytes.unsigned_abs();
        let absence = (row.pruned_at, row.lost_at, row.missing_at);
        match absence {
            (Some(at), ..) => Some(KeptLog::Pruned { at: from_micros(at), log_bytes }),
            (None, Some(at), _) => Some(KeptLog::Lost { at: from_micros(at) }),
            (None, None, Some(_)) => None,
            (None, None, None) => {
                Some(KeptLog::Whole(PackedLog::from_stored(log_bytes, row.packed)))
            }
        }
    }))
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = job_logs)]
struct KeptRow {
    log_bytes: i64,
    pruned_at: Option<i64>,
    missing_at: Option<i64>,
    lost_at: Option<i64>,
    packed: Vec<u8>,
}

/// Forgets the log of a job, also that there was one.
///
/// # Errors
/// Where the database fails.
pub fn forget(connection: &mut Connection, id: &JobId) -> Result<(), StoreError> {
    let row = job_logs::table.find(&id.0);
    let packed_bytes: Option<i32> = on_each_backend!(&mut *connection, |c| {
        row.select(length(job_logs::packed)).get_result(c).optional()
    })?;
    let Some(packed_bytes) = packed_bytes else { return Ok(()) };
    on_each_backend!(&mut *connection, |c| diesel::delete(row).execute(c))?;
    add_to_sum(connection, -i64::from(packed_bytes))
}

/// How much the kept logs take, packed, in bytes.
///
/// # Errors
/// Where the database fails.
pub fn kept_bytes(connection: &mut Connection) -> Result<i64, StoreError> {
    let sum = job_logs_sum::table.select(job_logs_sum::packed_bytes);
    Ok(on_each_backend!(connection, |c| sum.get_result(c))?)
}

/// The same, as it is stored: this reads the whole table.
///
/// # Errors
/// Where the database fails.
pub fn stored_bytes(connection: &mut Connection) -> Result<i64, StoreError> {
    let stored: Option<i64> = on_each_backend!(connection, |c| {
        job_logs::table.select(diesel::dsl::sum(length(job_logs::packed))).get_result(c)
    })?;
    Ok(stored.unwrap_or(0))
}

/// Prunes the logs of the jobs that ended first, as far as `keep` lets them go, up to `limit` of them,
/// and answers how many.
///
/// # Errors
/// Where the database fails.
pub fn prune(
    connection: &mut Connection,
    keep: Keep,
    limit: i64,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let mut left_bytes = kept_bytes(connection)?;
    let oldest: Vec<(String, i64, i32)> = on_each_backend!(&mut *connection, |c| {
        job_logs::table
            .filter(job_logs::pruned_at.is_null())
            // One that is missing or lost takes no room, and says what became of it.
            .filter(job_logs::missing_at.is_null())
            .order(job_logs::ended_at.asc())
            .limit(limit)
            .select((job_logs::job_id, job_logs::ended_at, length(job_logs::packed)))
            .load(c)
    })?;
    let since = to_micros(keep.since);
    let mut pruned_bytes = 0;
    let mut doomed = Vec::new();
    for (job_id, ended_at, packed_bytes) in oldest {
        let is_let_go = ended_at < since || left_bytes > keep.max_bytes;
        if !is_let_go || pruned_bytes >= BYTES_AT_ONCE {
            break;
        }
        left_bytes -= i64::from(packed_bytes);
        pruned_bytes += i64::from(packed_bytes);
        doomed.push(job_id);
    }
    if doomed.is_empty() {
        return Ok(0);
    }
    let empty = (job_logs::pruned_at.eq(to_micros(now)), job_logs::packed.eq(b"".as_slice()));
    on_each_backend!(&mut *connection, |c| {
        diesel::update(job_logs::table.filter(job_logs::job_id.eq_any(&doomed)))
            .set(empty)
            .execute(c)
    })?;
    add_to_sum(connection, -pruned_bytes)?;
    Ok(doomed.len())
}
