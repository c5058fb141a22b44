//! Sums over the jobs of the last days (`/api/metrics`).

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use chrono::{Duration, NaiveDate};
use serde::Serialize;

use super::error::ApiError;
use super::query::Query;
use super::{Gateway, provider_filter};
use crate::actors::job_reader::{Read, SumByDay};
use crate::db::metrics::DayOfJobs;
use crate::domain::cost::to_usd;
use crate::domain::job::JobStatus;
use crate::domain::timestamp::{Timestamp, now};

/// How many days are summed where nothing was asked.
const DAYS_DEFAULT: u32 = 30;
/// The most days that may be asked for.
const DAYS_MAX: u32 = 365;

/// The answer.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    /// Always null: no provider tells it.
    credit_balance: Option<f64>,
    /// Always null, as long as the balance is.
    estimated_jobs_remaining: Option<u64>,
    pub(super) total_cost: f64,
    job_count: i64,
    pub(super) avg_job_duration_seconds: Option<f64>,
    pub(super) jobs_by_status: BTreeMap<String, i64>,
    cost_by_day: Vec<Day>,
    period_days: u32,
}

#[derive(Debug, Serialize)]
struct Day {
    date: NaiveDate,
    total_jobs: i64,
    completed: i64,
    failed: i64,
    cancelled: i64,
    local_jobs: i64,
    cloud_jobs: i64,
    total_cost_usd: f64,
}

/// `GET /api/metrics`
pub(super) async fn summary(
    request: HttpRequest,
    gateway: Data<Gateway>,
) -> Result<Json<Summary>, ApiError> {
    let parameters = Query::of(&request);
    let period_days = parameters.integer("days", 1..=DAYS_MAX, DAYS_DEFAULT)?;
    let provider = provider_filter(parameters.text("provider"), &gateway.provider_names());
    let since = first_instant(now(), period_days);
    let days = gateway.asker.ask(&gateway.reader, Read(SumByDay { since, provider })).await?;
    Ok(Json(summarise(&days, period_days)))
}

/// The midnight (UTC) with which the period begins; today is its last day.
pub(super) fn first_instant(now: Timestamp, period_days: u32) -> Timestamp {
    let first = now.date_naive() - Duration::days(i64::from(period_days) - 1);
    first.and_time(chrono::NaiveTime::MIN).and_utc()
}

/// The sums over the jobs of so many days.
pub(super) fn summarise(rows: &[DayOfJobs], period_days: u32) -> Summary {
    let mut by_day: BTreeMap<i64, Vec<&DayOfJobs>> = BTreeMap::new();
    let mut summary = Summary { period_days, ..Summary::default() };
    for row in rows {
        by_day.entry(row.day).or_default().push(row);
        *summary.jobs_by_status.entry(row.status.clone()).or_default() += row.jobs;
        summary.job_count += row.jobs;
    }
    let sum = |value: fn(&DayOfJobs) -> i64| rows.iter().map(value).sum::<i64>();
    summary.total_cost = to_usd(sum(|row| row.cost_micro_usd));
    let (timed_jobs, ran_for_micros) = (sum(|row| row.timed_jobs), sum(|row| row.ran_for_micros));
    summary.avg_job_duration_seconds =
        (timed_jobs > 0).then(|| ran_for_micros as f64 / 1e6 / timed_jobs as f64);
    summary.cost_by_day = by_day.into_iter().map(|(day, rows)| day_of(day, &rows)).collect();
    summary
}

fn day_of(day: i64, rows: &[&DayOfJobs]) -> Day {
    let count = |wanted: &dyn Fn(&DayOfJobs) -> bool| {
        rows.iter().filter(|row| wanted(row)).map(|row| row.jobs).sum::<i64>()
    };
    let with_status = |status: JobStatus| count(&move |row| row.status == status.as_str());
    Day {
        date: NaiveDate::default() + Duration::days(day),
        total_jobs: count(&|_| true),
        completed: with_status(JobStatus::Completed),
        failed: with_status(JobStatus::Failed),
        cancelled: with_status(JobStatus::Cancelled),
        local_jobs: count(&|row| row.job_type == "local"),
        cloud_jobs: count(&|row| row.job_type == "cloud"),
        total_cost_usd: to_usd(rows.iter().map(|row| row.cost_micro_usd).sum()),
    }
}
