//! Sums over jobs, for `/api/metrics`.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::connection::Connection;
use super::error::StoreError;
use super::on_each_backend;
use crate::domain::timestamp::{Timestamp, to_micros};

/// The jobs of one day (UTC), state and type.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct DayOfJobs {
    /// Days since the Unix epoch.
    #[diesel(sql_type = BigInt)]
    pub day: i64,
    /// The state.
    #[diesel(sql_type = Text)]
    pub status: String,
    /// Where they run.
    #[diesel(sql_type = Text)]
    pub job_type: String,
    /// How many there are.
    #[diesel(sql_type = BigInt)]
    pub jobs: i64,
    /// What they cost, as far as that is known, in millionths of a dollar.
    #[diesel(sql_type = BigInt)]
    pub cost_micro_usd: i64,
    /// How many of them have both a start and an end.
    #[diesel(sql_type = BigInt)]
    pub timed_jobs: i64,
    /// How long those ran altogether, in microseconds.
    #[diesel(sql_type = BigInt)]
    pub ran_for_micros: i64,
}

/// Sums PostgreSQL would answer as NUMERIC, hence the casts; SQLite ignores them.
const BY_DAY: &str = "
    SELECT created_at / 86400000000 AS day, status, job_type,
        COUNT(*) AS jobs,
        CAST(COALESCE(SUM(cost_micro_usd), 0) AS BIGINT) AS cost_micro_usd,
        COUNT(completed_at - started_at) AS timed_jobs,
        CAST(COALESCE(SUM(completed_at - started_at), 0) AS BIGINT) AS ran_for_micros
    FROM jobs
    WHERE created_at >= $1 AND ($2 IS NULL OR provider = $2)
    GROUP BY 1, 2, 3
    ORDER BY 1";

/// The jobs that were created since `since`, of one provider or of all, by day, state and type.
///
/// # Errors
/// Where the database fails.
pub fn by_day(
    connection: &mut Connection,
    since: Timestamp,
    provider: Option<&str>,
) -> Result<Vec<DayOfJobs>, StoreError> {
    Ok(on_each_backend!(connection, |c| {
        diesel::sql_query(BY_DAY)
            .bind::<BigInt, _>(to_micros(since))
            .bind::<Nullable<Text>, _>(provider)
            .load(c)
    })?)
}
