//! The logs of one job, read whole or by lines.

use std::sync::Arc;

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::web::{Data, Json};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::error::ApiError;
use super::job_path::JobPath;
use super::query::Query;
use super::{Gateway, jobs};
use crate::actors::job_reader::{GetKeptLog, Read};
use crate::actors::log_watcher::LookAtLog;
use crate::db::logs::KeptLog;
use crate::domain::job::Job;
use crate::domain::log_lines::{FoundLines, LineQuery};
use crate::domain::packed_log::PackedLog;

/// The most lines that one answer has where lines are asked for.
const LINES_MAX: u32 = 100_000;

/// `GET /api/cloud/jobs/{id}/logs`
///
/// Without parameters the log as the provider has it. With `after`, `limit` or `q` those lines of
/// it, as a terminal would show them.
pub(super) async fn get(
    request: HttpRequest,
    id: JobPath,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let parameters = Query::of(&request);
    let after = parameters.integer("after", 0..=u32::MAX, 0)?;
    let limit = parameters.integer("limit", 1..=LINES_MAX, LINES_MAX)? as usize;
    let is_whole = ["after", "limit", "q"].iter().all(|name| parameters.text(name).is_none());
    let query = LineQuery::new(after.into(), limit, parameters.text("q"));

    let job = jobs::find(&gateway, id.into_inner()).await?;
    let log = read(&gateway, &job).await?;
    if is_whole {
        return Ok(Json(json!({"job_id": job.job_id, "logs": &*log})));
    }
    // A log can have a million lines, and others wait for this thread.
    let search = move || query.find(log.as_bytes());
    let found = actix_web::web::block(search).await.map_err(|_| ApiError::Busy)?;
    let logs: Vec<_> = found.lines.iter().map(|line| line.text.as_str()).collect();
    let logs = logs.join("\n");
    let FoundLines { lines, total_lines, matching_lines, next_after } = found;
    Ok(Json(json!({
        "job_id": job.job_id,
        "logs": logs,
        "lines": lines,
        "total_lines": total_lines,
        "matching_lines": matching_lines,
        "next_after": next_after,
    })))
}

/// `GET /api/cloud/jobs/{id}/logs/download`
///
/// The log as the provider has it, as a file of text.
pub(super) async fn download(
    id: JobPath,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let job = jobs::find(&gateway, id.into_inner()).await?;
    let log = read(&gateway, &job).await?;
    let name: String = job.job_id.0.chars().filter(char::is_ascii_alphanumeric).collect();
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.log\"")))
        // Were a browser ever to show it, it would run nothing of it.
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"))
        .body(log.to_string()))
}

/// The log that is kept of a job that has ended, or the one that the provider has now. Of a log that
/// was pruned it is not asked: the provider keeps logs for an hour, and we keep them for longer.
pub(super) async fn read(gateway: &Gateway, job: &Job) -> Result<Arc<str>, ApiError> {
    if let Some(log) = kept(gateway, job).await? {
        // It can be large, and others wait for this thread.
        let unpacked = actix_web::web::block(move || Arc::from(log.unpack()));
        return unpacked.await.map_err(|_| ApiError::Busy);
    }
    let Some(provider_job_id) = job.provider_job_id.clone() else { return Ok("".into()) };
    let look = LookAtLog { provider: job.provider.clone(), provider_job_id };
    let sighting = gateway.asker.ask_abroad(&gateway.log_watcher, look).await?;
    Ok(sighting.log.unwrap_or_else(|| "".into()))
}

/// The log that is kept of a job, once it has ended.
pub(super) async fn kept(gateway: &Gateway, job: &Job) -> Result<Option<PackedLog>, ApiError> {
    if !job.status.is_terminal() {
        return Ok(None);
    }
    let job_id = job.job_id.clone();
    match gateway.asker.ask(&gateway.reader, Read(GetKeptLog(job_id.clone()))).await? {
        Some(KeptLog::Whole(log)) => Ok(Some(log)),
        Some(KeptLog::Pruned { at, log_bytes }) => {
            Err(ApiError::LogPruned { job_id, pruned_at: at, log_bytes })
        }
        Some(KeptLog::Lost { at }) => Err(ApiError::LogLost { job_id, lost_at: at }),
        None => Ok(None),
    }
}
