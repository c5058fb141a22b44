//! Jobs: list, get, sync, cancel, delete.

use std::collections::HashMap;
use std::time::Duration;

use actix_web::http::header::ContentType;
use actix_web::web::{Bytes, Data, Json, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::job_path::JobPath;
use super::query::{Query, read_json};
use super::{Gateway, provider_filter, queue};
use crate::actors::canceller::{CancelAnswer, CancelJob};
use crate::actors::job_reader::{GetJob, GetTimeline, ListJobs, Read};
use crate::actors::job_store::DeleteJob;
use crate::actors::poller::{RefreshActiveJobs, Round};
use crate::actors::syncer::{SyncJobs, Synced};
use crate::db::error::StoreError;
use crate::domain::job::{Job, JobId, JobStatus, JobType, UnknownWord};
use crate::domain::job_query::{JobQuery, JobSort, LIMIT_DEFAULT, LIMIT_MAX};
use crate::domain::job_view::{JobView, Place};
use crate::domain::timestamp::now;
use crate::provider::{ProviderError, replicate};

/// How long reading a provider's whole list may take.
const FULL_SYNC_WITHIN: Duration = Duration::from_secs(3_600);

/// `GET /api/cloud/jobs`
pub(super) async fn list(
    request: HttpRequest,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let parameters = Query::of(&request);
    let query = job_query(&parameters, &gateway.provider_names())?;
    let body = if parameters.flag("sync_active")? {
        let round = gateway.asker.ask_abroad(&gateway.poller, RefreshActiveJobs).await;
        page(&gateway, query, Some(sync_report(round))).await?
    } else {
        let look_up = || page(&gateway, query.clone(), None);
        gateway.lists.get(&query, look_up).await?
    };
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(body))
}

/// The jobs that a query string asks for, as [`list`] reads it.
#[doc(hidden)]
pub fn parse_job_query(query: &str, providers: &[&'static str]) -> Result<JobQuery, ApiError> {
    job_query(&Query::parse(query), providers)
}

pub(super) fn job_query(
    parameters: &Query<'_>,
    providers: &[&'static str],
) -> Result<JobQuery, ApiError> {
    let statuses = parameters.text("status").unwrap_or_default();
    let statuses = statuses.split(',').map(str::trim).filter(|word| !word.is_empty());
    let sort = match parameters.text("sort") {
        None => JobSort::default(),
        Some(word) => UnknownWord::look_up(word, &JobSort::ALL)
            .map_err(|unknown| queue::unknown_value("sort", unknown))?,
    };
    Ok(JobQuery {
        limit: parameters.integer("limit", 1..=LIMIT_MAX, LIMIT_DEFAULT)?,
        offset: parameters.integer("offset", 0..=u32::MAX, 0)?,
        statuses: statuses
            .map(str::parse::<JobStatus>)
            .collect::<Result<_, _>>()
            .map_err(|unknown| queue::unknown_value("status", unknown))?,
        job_type: parameters
            .text("job_type")
            .map(str::parse::<JobType>)
            .transpose()
            .map_err(|unknown| queue::unknown_value("job_type", unknown))?,
        provider: provider_filter(parameters.text("provider"), providers),
        text: parameters.text("q").map(str::to_owned),
        sort,
    })
}

async fn page(gateway: &Gateway, query: JobQuery, sync: Option<Value>) -> Result<Bytes, ApiError> {
    let (jobs, total) = gateway.asker.ask(&gateway.reader, Read(ListJobs(query))).await?;
    let now = now();
    let has_waiting = jobs.iter().any(may_have_position);
    let places = if has_waiting { queue::places(gateway).await? } else { HashMap::new() };
    let views = jobs
        .iter()
        .map(|job| JobView::new(job, &gateway.prices, now).at(places.get(&job.job_id).copied()));
    let jobs: Vec<_> = views.collect();
    #[derive(serde::Serialize)]
    struct Page<'a> {
        jobs: Vec<JobView<'a>>,
        total: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        sync: Option<Value>,
    }
    let body = serde_json::to_vec(&Page { jobs, total, sync });
    Ok(body.expect("a page has only string keys and finite numbers").into())
}

/// What the list says of the refresh before it. A failure still answers the list, and says so.
fn sync_report(round: Result<Round, ApiError>) -> Value {
    match round {
        Ok(Round { asked, refreshed, duration_ms, .. }) => json!({
            "asked": asked,
            "changed": refreshed.changed,
            "failed": refreshed.failed,
            "provider_calls": refreshed.calls,
            "duration_ms": duration_ms,
            "error": refreshed.error,
        }),
        Err(error) => json!({"error": error.to_string()}),
    }
}

/// `GET /api/cloud/jobs/{id}`
pub(super) async fn get(id: JobPath, gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    let job = find(&gateway, id.into_inner()).await?;
    let place = place_of(&gateway, &job).await?;
    let view = JobView::new(&job, &gateway.prices, now()).at(place);
    Ok(Json(json!({"job": view})))
}

/// The place of a job in the queue, where it has one.
pub(super) async fn place_of(gateway: &Gateway, job: &Job) -> Result<Option<Place>, ApiError> {
    match may_have_position(job) {
        true => Ok(queue::places(gateway).await?.remove(&job.job_id)),
        false => Ok(None),
    }
}

/// Whether a job may wait in the queue.
pub(super) fn may_have_position(job: &Job) -> bool {
    job.status == JobStatus::Pending && job.is_submitted()
}

/// `GET /api/cloud/jobs/{id}/timeline`
pub(super) async fn timeline(id: JobPath, gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    let job_id = id.0;
    let timeline = gateway.asker.ask(&gateway.reader, Read(GetTimeline(job_id.clone()))).await?;
    Ok(Json(json!({
        "job_id": job_id,
        "transitions": timeline.transitions,
        "is_complete": timeline.is_complete,
    })))
}

/// The job with this identifier.
pub(super) async fn find(gateway: &Gateway, id: String) -> Result<Job, ApiError> {
    gateway.asker.ask(&gateway.reader, Read(GetJob(JobId(id)))).await
}

/// What a sync may be asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SyncRequest {
    provider: Option<String>,
    all: bool,
}

/// `POST /api/cloud/jobs/sync`
pub(super) async fn sync(
    request: HttpRequest,
    payload: Payload,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let asked: SyncRequest = read_json(&request, payload).await?.unwrap_or_default();
    let provider = asked.provider.unwrap_or_else(|| replicate::NAME.to_owned());
    let setup = &gateway.provider(&provider)?.setup;
    if !setup.capabilities.lists_jobs {
        let words = "this provider keeps no list of its jobs: it tells of them by webhooks";
        return Err(ProviderError::Unsupported(words).into());
    }
    let title = setup.title;
    let message = SyncJobs { provider, all: asked.all };
    let done: Synced = if asked.all {
        gateway.asker.ask_within(FULL_SYNC_WITHIN, &gateway.syncer, message).await?
    } else {
        gateway.asker.ask_abroad(&gateway.syncer, message).await?
    };
    Ok(Json(json!({
        "synced": done.synced,
        "message": format!("Discovered {} new jobs from {title}", done.synced),
        "updated": done.updated,
        "unchanged": done.unchanged,
        "skipped": done.skipped,
        "provider_calls": done.provider_calls,
        "duration_ms": done.duration_ms,
    })))
}

/// `POST /api/cloud/jobs/{id}/cancel`
///
/// 200 where the job has ended; 202 where its provider is asked until it has.
pub(super) async fn cancel(id: JobPath, gateway: Data<Gateway>) -> Result<HttpResponse, ApiError> {
    let job_id = id.0;
    let message = CancelJob { job_id: job_id.clone() };
    let answer = gateway.asker.ask_abroad(&gateway.canceller, message).await?;
    let job = find(&gateway, job_id.0).await?;
    match job.status {
        JobStatus::Completed | JobStatus::Failed => {
            // It had ended before the provider was told, only nobody had heard of it.
            Err(StoreError::Finished { job_id: job.job_id, status: job.status }.into())
        }
        JobStatus::Cancelled => Ok(HttpResponse::Ok()
            .json(json!({"success": true, "job_id": job.job_id, "status": job.status}))),
        status => {
            let message = match answer {
                CancelAnswer::Requested(words) => words,
                _ => "the provider was told, and has not yet ended the job".to_owned(),
            };
            Ok(HttpResponse::Accepted().json(json!({
                "success": true,
                "job_id": job.job_id,
                "status": status,
                "cancel_requested_at": job.cancel_requested_at,
                "message": format!("cancel requested: {message}"),
            })))
        }
    }
}

/// `DELETE /api/cloud/jobs/{id}`
pub(super) async fn delete(id: JobPath, gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    let job_id = id.0;
    gateway.asker.ask(&gateway.store, DeleteJob { job_id: job_id.clone() }).await?;
    Ok(Json(json!({"success": true, "job_id": job_id})))
}
