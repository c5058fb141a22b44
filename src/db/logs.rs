//! The logs of finished jobs.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::StoreError;
use super::on_each_backend;
use super::retention::{BYTES_AT_ONCE, Keep};
use super::schema::{job_logs, job_logs_sum};
use crate::domain::job::JobId;
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
    let shorter = job_logs::table
        .find(&id.0)
        .filter(job_logs::log_bytes.lt(log_bytes))
        .filter(job_logs::pruned_at.is_null());
    let replaced: Option<i32> = on_each_backend!(&mut *connection, |c| {
        shorter.select(length(job_logs::packed)).get_result(c).optional()
    })?;
    let Some(replaced_bytes) = replaced else { return Ok(0) };
    let longer = (job_logs::log_bytes.eq(log_bytes), job_logs::packed.eq(log.as_stored()));
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

/// What became of the log of a job; None where there never was one.
///
/// # Errors
/// Where the database fails.
pub fn get(connection: &mut Connection, id: &JobId) -> Result<Option<KeptLog>, StoreError> {
    let row: Option<(i64, Option<i64>, Vec<u8>)> = on_each_backend!(connection, |c| {
        job_logs::table
            .find(&id.0)
            .select((job_logs::log_bytes, job_logs::pruned_at, job_logs::packed))
            .get_result(c)
            .optional()
    })?;
    Ok(row.map(|(log_bytes, pruned_at, packed)| {
        let log_bytes = log_bytes.unsigned_abs();
        match pruned_at {
            Some(at) => KeptLog::Pruned { at: from_micros(at), log_bytes },
            None => KeptLog::Whole(PackedLog::from_stored(log_bytes, packed)),
        }
    }))
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
