//! The logs of finished jobs.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::StoreError;
use super::on_each_backend;
use super::schema::job_logs;
use crate::domain::job::JobId;
use crate::domain::packed_log::PackedLog;

/// Keeps the log of a job, unless a longer one is kept already: a log only grows, and the
/// provider's archive may have lost its end.
///
/// # Errors
/// Where the database fails.
pub fn keep(connection: &mut Connection, id: &JobId, log: &PackedLog) -> Result<(), StoreError> {
    let log_bytes = i64::try_from(log.log_bytes()).unwrap_or(i64::MAX);
    let kept: Option<i64> = on_each_backend!(&mut *connection, |c| {
        job_logs::table.find(&id.0).select(job_logs::log_bytes).first(c).optional()
    })?;
    if kept.is_some_and(|kept| kept >= log_bytes) {
        return Ok(());
    }
    let row = (
        job_logs::job_id.eq(&id.0),
        job_logs::log_bytes.eq(log_bytes),
        job_logs::gzip.eq(log.as_gzip()),
    );
    let changed = (job_logs::log_bytes.eq(log_bytes), job_logs::gzip.eq(log.as_gzip()));
    on_each_backend!(connection, |c| {
        diesel::insert_into(job_logs::table)
            .values(row)
            .on_conflict(job_logs::job_id)
            .do_update()
            .set(changed)
            .execute(c)
    })?;
    Ok(())
}

/// The log that is kept of a job.
///
/// # Errors
/// Where the database fails.
pub fn get(connection: &mut Connection, id: &JobId) -> Result<Option<PackedLog>, StoreError> {
    let row: Option<(i64, Vec<u8>)> = on_each_backend!(connection, |c| {
        job_logs::table
            .find(&id.0)
            .select((job_logs::log_bytes, job_logs::gzip))
            .first(c)
            .optional()
    })?;
    Ok(row.map(|(log_bytes, gzip)| PackedLog::from_stored(log_bytes.unsigned_abs(), gzip)))
}
