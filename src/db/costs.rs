//! What was spent, and how long jobs like one have run.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::connection::Connection;
use super::error::StoreError;
use super::on_each_backend;
use super::row::JobRow;
use super::schema::jobs;
use crate::domain::job::{Job, JobStatus};
use crate::domain::timestamp::{Timestamp, to_micros};

#[derive(QueryableByName)]
struct Sum {
    #[diesel(sql_type = BigInt)]
    micro_usd: i64,
}

/// The sum over what ended within a time. PostgreSQL would answer it as NUMERIC, hence the cast.
const SPENT: &str = "
    SELECT CAST(COALESCE(SUM(cost_micro_usd), 0) AS BIGINT) AS micro_usd
    FROM jobs
    WHERE status IN ('completed', 'failed', 'cancelled')
        AND COALESCE(completed_at, status_since, created_at) >= $1
        AND ($2 IS NULL OR provider = $2)";

/// What the jobs have cost that ended at `since` or later, in millionths of a dollar.
///
/// # Errors
/// Where the database fails.
pub fn spent_micro_usd(
    connection: &mut Connection,
    since: Timestamp,
    provider: Option<&str>,
) -> Result<i64, StoreError> {
    let sum: Sum = on_each_backend!(connection, |c| {
        diesel::sql_query(SPENT)
            .bind::<BigInt, _>(to_micros(since))
            .bind::<Nullable<Text>, _>(provider)
            .get_result(c)
    })?;
    Ok(sum.micro_usd)
}

/// The jobs that run.
///
/// # Errors
/// Where the database fails.
pub fn running(
    connection: &mut Connection,
    provider: Option<&str>,
) -> Result<Vec<Job>, StoreError> {
    let rows: Vec<JobRow<'_>> = on_each_backend!(connection, |c| {
        let mut running = jobs::table
            .filter(jobs::status.eq(JobStatus::Running.as_str()))
            .select(JobRow::as_select())
            .into_boxed();
        if let Some(provider) = provider {
            running = running.filter(jobs::provider.eq(provider));
        }
        running.load(c)
    })?;
    Ok(rows.into_iter().map(Job::from).collect())
}

/// Of how many past jobs it is told what is usual.
const HISTORY_MAX: i64 = 50;

/// For how long the last completed jobs on this hardware were billed, in microseconds.
///
/// # Errors
/// Where the database fails.
pub fn billed_micros_on(
    connection: &mut Connection,
    hardware: &str,
) -> Result<Vec<i64>, StoreError> {
    Ok(on_each_backend!(connection, |c| {
        jobs::table
            .filter(jobs::status.eq(JobStatus::Completed.as_str()))
            .filter(jobs::hardware_type.eq(hardware))
            .filter(jobs::predict_time_micros.is_not_null())
            .order(jobs::created_at.desc())
            .limit(HISTORY_MAX)
            .select(jobs::predict_time_micros.assume_not_null())
            .load(c)
    })?)
}
