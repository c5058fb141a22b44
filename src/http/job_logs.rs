//! The logs of one job.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, Responder};
use actix_web_lab::sse;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::error::ApiError;
use super::query::Query;
use super::{Gateway, jobs};
use crate::actors::job_reader::{GetKeptLog, Read};
use crate::actors::log_watcher::LookAtLog;
use crate::db::logs::KeptLog;
use crate::domain::job::Job;
use crate::domain::log::display_lines;
use crate::domain::packed_log::PackedLog;

/// The most lines that one answer has where lines are asked for.
const LINES_MAX: u32 = 100_000;
/// How many lines wait for a reader of a stream.
const BUFFERED_LINES: usize = 256;

/// `GET /api/cloud/jobs/{id}/logs`
///
/// Without parameters the log as the provider has it. With `after`, `limit` or `q` those lines of
/// it, as a terminal would show them.
pub(super) async fn get(
    request: HttpRequest,
    id: Path<String>,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let parameters = Query::of(&request);
    let after = parameters.integer("after", 0..=u32::MAX, 0)? as usize;
    let limit = parameters.integer("limit", 1..=LINES_MAX, LINES_MAX)? as usize;
    let text = parameters.text("q").map(str::to_lowercase);
    let is_whole = ["after", "limit", "q"].iter().all(|name| parameters.text(name).is_none());

    let job = jobs::find(&gateway, id.into_inner()).await?;
    let log = read(&gateway, &job).await?;
    if is_whole {
        return Ok(Json(json!({"job_id": job.job_id, "logs": &*log})));
    }
    let lines = display_lines(log.as_bytes());
    let matches = |line: &&String| {
        text.as_ref().is_none_or(|text| line.to_lowercase().contains(text.as_str()))
    };
    let matching = lines.iter().filter(matches).count();
    let shown: Vec<_> = lines.iter().skip(after).filter(matches).take(limit).cloned().collect();
    Ok(Json(json!({
        "job_id": job.job_id,
        "logs": shown.join("\n"),
        "total_lines": lines.len(),
        "matching_lines": matching,
    })))
}

/// The log that is kept of a job that has ended, or the one that the provider has now. Of a log that
/// was pruned it is not asked: the provider keeps logs for an hour, and we keep them for longer.
async fn read(gateway: &Gateway, job: &Job) -> Result<Arc<str>, ApiError> {
    if let Some(log) = kept(gateway, job).await? {
        return Ok(log.unpack().into());
    }
    let Some(provider_job_id) = job.provider_job_id.clone() else { return Ok("".into()) };
    let look = LookAtLog { provider: job.provider.clone(), provider_job_id };
    let sighting = gateway.asker.ask_abroad(&gateway.log_watcher, look).await?;
    Ok(sighting.log.unwrap_or_else(|| "".into()))
}

/// The log that is kept of a job, once it has ended.
async fn kept(gateway: &Gateway, job: &Job) -> Result<Option<PackedLog>, ApiError> {
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

/// `GET /api/cloud/jobs/{id}/logs/stream`
///
/// Every line as it comes, then `event: done` with the state in which the job ended.
pub(super) async fn stream(
    id: Path<String>,
    gateway: Data<Gateway>,
) -> Result<impl Responder, ApiError> {
    let job = jobs::find(&gateway, id.into_inner()).await?;
    // A stream without a line would say that there never was one.
    kept(&gateway, &job).await?;
    let (sender, receiver) = mpsc::channel(BUFFERED_LINES);
    let heartbeat = Duration::from_secs(gateway.config.events.heartbeat_seconds);
    actix_web::rt::spawn(async move {
        // It ends when the job has ended or the reader has gone.
        let _ = follow(&gateway, job, &sender).await;
    });
    Ok(sse::Sse::from_infallible_receiver(receiver).with_keep_alive(heartbeat))
}

async fn follow(
    gateway: &Gateway,
    mut job: Job,
    sender: &mpsc::Sender<sse::Event>,
) -> Result<(), mpsc::error::SendError<sse::Event>> {
    let pause = Duration::from_secs(gateway.config.progress.ttl_seconds);
    let mut told = 0;
    loop {
        let ended = job.status.is_terminal();
        if let Ok(log) = read(gateway, &job).await {
            let lines = display_lines(log.as_bytes());
            // The last line may still be written to, until the job has ended.
            let finished = if ended { lines.len() } else { lines.len().saturating_sub(1) };
            for line in lines.into_iter().take(finished).skip(told) {
                sender.send(sse::Data::new(line).into()).await?;
                told += 1;
            }
        }
        if ended {
            return sender.send(sse::Data::new(job.status.as_str()).event("done").into()).await;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = sender.closed() => return Ok(()),
        }
        match jobs::find(gateway, job.job_id.0.clone()).await {
            Ok(now) => job = now,
            Err(_) => return Ok(()),
        }
    }
}
