//! The log of one job as it is printed.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, Responder};
use actix_web_lab::sse;
use tokio::sync::mpsc;

use super::client_address::client_address;
use super::error::ApiError;
use super::events::{as_stream, last_event_id};
use super::job_path::JobPath;
use super::query::Query;
use super::same_request::is_head;
use super::{Gateway, job_logs, jobs};
use crate::actors::broadcaster::OpenLogStream;
use crate::db::error::StoreError;
use crate::domain::job::Job;
use crate::domain::log_lines::{LineFollower, Told};

/// How many lines wait for a reader of a stream.
const BUFFERED_LINES: usize = 256;
/// How long it waits between two looks for the last log of a job that has ended.
const WAIT_FOR_END: Duration = Duration::from_millis(250);
/// How often it does, before it takes what there is: ten seconds in all.
const WAITS_FOR_END_MAX: u32 = 40;

/// `GET /api/cloud/jobs/{id}/logs/stream`
///
/// Every line once it has ended, with its number as id, then `event: done` with the state in which the
/// job ended. `Last-Event-ID`, or `after`, says which line was the last that the client saw. A log that
/// was rewritten begins again after `event: reset`.
pub(super) async fn stream(
    request: HttpRequest,
    id: JobPath,
    gateway: Data<Gateway>,
) -> Result<impl Responder, ApiError> {
    let after = Query::of(&request).integer("after", 0..=u32::MAX, 0)?;
    // An id that is no number was never ours, and says nothing.
    let seen = last_event_id(&request).and_then(|id| id.parse().ok());
    let job = jobs::find(&gateway, id.into_inner()).await?;
    // A stream without a line would say that there never was one.
    job_logs::kept(&gateway, &job).await?;
    let (sender, receiver) = mpsc::channel(BUFFERED_LINES);
    let heartbeat = Duration::from_secs(gateway.config.events.heartbeat_seconds);
    if is_head(&request) {
        return Ok(as_stream(receiver, heartbeat));
    }
    let address = client_address(&request, &gateway.config.server.trusted_proxies);
    let mut slot = gateway.asker.ask(&gateway.broadcaster, OpenLogStream { address }).await?;
    let follower = LineFollower::new(seen.unwrap_or(after.into()));
    actix_web::rt::spawn(async move {
        tokio::select! {
            // The job has ended, or its reader does not take any more.
            _ = follow(&gateway, job, follower, &sender) => {}
            () = sender.closed() => {}
            () = slot.closing() => {}
        }
    });
    Ok(as_stream(receiver, heartbeat))
}

async fn follow(
    gateway: &Gateway,
    mut job: Job,
    mut follower: LineFollower,
    sender: &mpsc::Sender<sse::Event>,
) -> Result<(), mpsc::error::SendError<sse::Event>> {
    let pause = Duration::from_secs(gateway.config.progress.ttl_seconds);
    let mut waits_for_end = 0;
    loop {
        let ended = job.status.is_terminal();
        let is_last = match log_now(gateway, &job, waits_for_end < WAITS_FOR_END_MAX).await {
            Ok(Some(log)) => {
                for told in follower.read(log.as_bytes(), ended) {
                    sender.send(as_sse(told)).await?;
                }
                ended
            }
            // Nothing more will come.
            Err(ApiError::LogPruned { .. } | ApiError::LogLost { .. }) => ended,
            Ok(None) | Err(_) => false,
        };
        if is_last {
            return sender.send(sse::Data::new(job.status.as_str()).event("done").into()).await;
        }
        waits_for_end += u32::from(ended);
        tokio::time::sleep(if ended { WAIT_FOR_END } else { pause }).await;
        match jobs::find(gateway, job.job_id.0.clone()).await {
            Ok(now) => job = now,
            Err(ApiError::Store(StoreError::NotFound(_))) => return Ok(()),
            // Perhaps the next time.
            Err(_) => {}
        }
    }
}

/// The log as it is now. Of a job that has ended that is the last one, which is being fetched where it is
/// not kept yet: what was seen of it before the end may lack its last lines. None where it is worth to
/// wait for it.
async fn log_now(
    gateway: &Gateway,
    job: &Job,
    is_worth_waiting: bool,
) -> Result<Option<Arc<str>>, ApiError> {
    match job_logs::kept(gateway, job).await? {
        Some(log) => Ok(Some(log.unpack().into())),
        None if job.status.is_terminal() && is_worth_waiting => Ok(None),
        None => job_logs::read(gateway, job).await.map(Some),
    }
}

fn as_sse(told: Told) -> sse::Event {
    match told {
        Told::Line(line) => sse::Data::new(line.text).id(line.number.to_string()).into(),
        Told::Reset => sse::Data::new("the log was rewritten").event("reset").into(),
    }
}
