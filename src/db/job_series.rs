//! The curves of jobs.

use std::collections::HashMap;

use diesel::prelude::*;

use super::connection::Connection;
use super::error::StoreError;
use super::on_each_backend;
use super::schema::job_series;
use crate::domain::job::JobId;
use crate::domain::progress::PackedSeries;

/// Keeps the curves of a job in place of those that it had. `had_log` says whether a log of it was read
/// before, and with that most often a curve.
///
/// # Errors
/// Where the database fails.
pub fn keep(
    connection: &mut Connection,
    id: &JobId,
    series: &PackedSeries,
    had_log: bool,
) -> Result<(), StoreError> {
    // One statement nearly always. Two kinds of them, since diesel prepares an upsert anew each time.
    if had_log && update(connection, id, series)? {
        return Ok(());
    }
    let row = (job_series::job_id.eq(&id.0), job_series::packed.eq(series.as_stored()));
    let inserted = on_each_backend!(&mut *connection, |c| {
        diesel::insert_into(job_series::table).values(row).on_conflict_do_nothing().execute(c)
    })?;
    if inserted == 0 {
        update(connection, id, series)?;
    }
    Ok(())
}

/// Answers whether there were curves to be replaced.
fn update(
    connection: &mut Connection,
    id: &JobId,
    series: &PackedSeries,
) -> Result<bool, StoreError> {
    let packed = job_series::packed.eq(series.as_stored());
    let updated = on_each_backend!(connection, |c| {
        diesel::update(job_series::table.find(&id.0)).set(packed).execute(c)
    })?;
    Ok(updated > 0)
}

/// The curves of a job; None where it has none.
///
/// # Errors
/// Where the database fails.
pub fn get(connection: &mut Connection, id: &JobId) -> Result<Option<PackedSeries>, StoreError> {
    let packed: Option<Vec<u8>> = on_each_backend!(connection, |c| {
        job_series::table.find(&id.0).select(job_series::packed).get_result(c).optional()
    })?;
    Ok(packed.as_deref().map(PackedSeries::from_stored))
}

/// The curves of those of these jobs that have any.
///
/// # Errors
/// Where the database fails.
pub fn find_all(
    connection: &mut Connection,
    ids: &[&JobId],
) -> Result<HashMap<JobId, PackedSeries>, StoreError> {
    let ids: Vec<_> = ids.iter().map(|id| &id.0).collect();
    let rows: Vec<(String, Vec<u8>)> = on_each_backend!(connection, |c| {
        job_series::table
            .filter(job_series::job_id.eq_any(ids))
            .select((job_series::job_id, job_series::packed))
            .load(c)
    })?;
    let series = |(id, packed): (String, Vec<u8>)| (JobId(id), PackedSeries::from_stored(&packed));
    Ok(rows.into_iter().map(series).collect())
}
