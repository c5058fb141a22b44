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
    let row = (
        job_logs::job_id.eq(&id.0),
        job_logs::log_bytes.eq(log_bytes),
        job_logs::packed.eq(log.as_stored()),
    );
    // Nearly always it is the first. Two statements, since diesel prepares an upsert anew each time.
    let inserted = on_each_backend!(&mut *connection, |c| {
        diesel::insert_into(job_logs::table).values(row).on_conflict_do_nothing().execute(c)
    })?;
    if inserted == 0 {
        let shorter = job_logs::table.find(&id.0).filter(job_logs::log_bytes.lt(log_bytes));
        let longer = (job_logs::log_bytes.eq(log_bytes), job_logs::packed.eq(log.as_stored()));
        on_each_backend!(connection, |c| diesel::update(shorter).set(longer).execute(c))?;
    }
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
            .select((job_logs::log_bytes, job_logs::packed))
            .get_result(c)
            .optional()
    })?;
    Ok(row.map(|(log_bytes, packed)| PackedLog::from_stored(log_bytes.unsigned_abs(), packed)))
}
