//! The list of jobs.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::{frame, html, notices, or_problem};
use crate::actors::job_reader::Read;
use crate::actors::job_reader::dashboard::{GetJobRows, GetJobsView, JobRows, JobsView};
use crate::domain::job::{Job, JobId, JobStatus};
use crate::domain::job_query::JobQuery;
use crate::domain::timestamp::{Timestamp, now};
use crate::domain::words::span;
use crate::http::error::ApiError;
use crate::http::jobs::{job_query, may_have_position};
use crate::http::query::Query;
use crate::http::{Gateway, metrics, queue};
use crate::ui::frame::View;
use crate::ui::job_list::{JobList, JobsAddress, JobsPage, JobsUpdate, ProviderChoice, Totals};
use crate::ui::job_row::Row;
use crate::ui::metrics::Metrics;
use crate::ui::text::{NONE, count, percent, usd};

/// Over how many days the strip sums what was spent, and the longest of them.
const SPENT_DAYS: [u32; 3] = [7, 30, 90];
const DAYS_MAX: u32 = 90;
/// Over how many days it says how jobs fare.
const FARE_DAYS: u32 = 30;
/// How many rows one update may ask for.
const ROWS_MAX: usize = 500;

/// `GET /`
pub(super) async fn page(request: HttpRequest, gateway: Data<Gateway>) -> HttpResponse {
    let page = async {
        let query = job_query(&Query::of(&request), &gateway.provider_names())?;
        let view = view(&gateway, query.clone(), true).await?;
        let now = now();
        let list = list(&gateway, query, &view, rows(&gateway, &view.rows, now).await?);
        let frame = frame(&gateway, View::Jobs, Some(view.position)).await;
        Ok(html(StatusCode::OK, &JobsPage { frame, metrics: metrics(&view, now), list }))
    };
    or_problem(&gateway, View::Jobs, page.await).await
}

/// `GET /updates/jobs`
///
/// The rows that are asked for by `row` and, with `totals`, what is around them for the list that the other
/// parameters describe.
pub(super) async fn update(
    request: HttpRequest,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let parameters = Query::of(&request);
    let ids: Vec<_> = parameters.all("row").take(ROWS_MAX).map(|id| JobId(id.to_owned())).collect();
    let wanted = gateway.asker.ask(&gateway.reader, Read(GetJobRows(ids.clone()))).await?;
    let is_there = |id: &&JobId| wanted.jobs.iter().any(|job| job.job_id == **id);
    let gone: Vec<_> = ids.iter().filter(|id| !is_there(id)).collect();
    let gone = json!(gone).to_string();
    let now = now();
    let rows = rows(&gateway, &wanted, now).await?;
    if !parameters.flag("totals")? {
        return Ok(html(StatusCode::OK, &JobsUpdate { rows, gone, totals: None }));
    }
    let query = job_query(&parameters, &gateway.provider_names())?;
    let view = view(&gateway, query.clone(), false).await?;
    let listed: Vec<_> = view.rows.jobs.iter().map(|job| &job.job_id).collect();
    let totals = Totals {
        frame: frame(&gateway, View::Jobs, Some(view.position)).await,
        metrics: metrics(&view, now),
        list: list(&gateway, query, &view, Vec::new()),
        listed: json!(listed).to_string(),
    };
    Ok(html(StatusCode::OK, &JobsUpdate { rows, gone, totals: Some(totals) }))
}

async fn view(gateway: &Gateway, query: JobQuery, with_series: bool) -> Result<JobsView, ApiError> {
    let since = metrics::first_instant(now(), DAYS_MAX);
    gateway.asker.ask(&gateway.reader, Read(GetJobsView { query, since, with_series })).await
}

/// The jobs as rows, each with its curve and, where it waits, its place.
async fn rows<'a>(
    gateway: &Gateway,
    wanted: &'a JobRows,
    now: Timestamp,
) -> Result<Vec<Row<'a>>, ApiError> {
    let places = match wanted.jobs.iter().any(may_have_position) {
        true => queue::places(gateway).await?,
        false => HashMap::new(),
    };
    let row = |job: &'a Job| {
        let place = places.get(&job.job_id).copied();
        Row::new(job, wanted.series.get(&job.job_id), place, &gateway.prices, now)
    };
    Ok(wanted.jobs.iter().map(row).collect())
}

fn list<'a>(
    gateway: &Gateway,
    query: JobQuery,
    view: &JobsView,
    rows: Vec<Row<'a>>,
) -> JobList<'a> {
    let providers = gateway.providers.values().map(|door| ProviderChoice {
        name: door.setup.name,
        title: door.setup.title,
        lists_jobs: door.setup.capabilities.lists_jobs,
    });
    let has_token = gateway.providers.values().any(|door| door.setup.has_token());
    JobList {
        address: JobsAddress(query),
        rows,
        total: view.total,
        counts: view.counts.clone(),
        providers: providers.collect(),
        first_step: (!has_token).then(notices::no_token),
    }
}

fn metrics(view: &JobsView, now: Timestamp) -> Metrics {
    let jobs_in = |states: &[JobStatus]| {
        let counted = view.all_counts.iter().filter(|(status, _)| states.contains(status));
        count(counted.map(|(_, jobs)| jobs).sum())
    };
    let over = |days: u32| {
        let first = metrics::first_instant(now, days).timestamp() / 86_400;
        let recent: Vec<_> = view.days.iter().filter(|day| day.day >= first).cloned().collect();
        metrics::summarise(&recent, days)
    };
    let fared = over(FARE_DAYS);
    let ended = |status: JobStatus| {
        fared.jobs_by_status.get(status.as_str()).copied().unwrap_or_default() as f64
    };
    let (completed, failed) = (ended(JobStatus::Completed), ended(JobStatus::Failed));
    let none = || NONE.to_owned();
    Metrics {
        running: jobs_in(&[JobStatus::Running]),
        queued: jobs_in(&[JobStatus::Pending, JobStatus::Uploading, JobStatus::Queued]),
        spent: SPENT_DAYS.map(|days| (days, usd(over(days).total_cost, false))).to_vec(),
        success_rate: match completed + failed {
            0.0 => none(),
            ended => percent(completed / ended * 100.0),
        },
        average_duration: fared.avg_job_duration_seconds.map_or_else(none, span),
    }
}
