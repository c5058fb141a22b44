//! The progress of one running job (page, "Inline Progress API").

use std::borrow::Cow;

use actix_web::web::{Data, Json};
use serde::Serialize;

use super::error::ApiError;
use super::job_path::JobPath;
use super::{Gateway, jobs};
use crate::actors::log_watcher::LookAtLog;
use crate::domain::job::{Job, JobId, JobStatus};
use crate::domain::progress::Progress;
use crate::domain::timestamp::Timestamp;

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct InlineProgress {
    job_id: JobId,
    #[serde(flatten)]
    progress: Progress,
    /// When the log was last seen; null where it never was.
    updated_at: Option<Timestamp>,
}

/// `GET /api/cloud/jobs/{id}/inline-progress`
///
/// A job that is not running answers nulls. Where the provider does not answer, the last known
/// progress does: no answer is no progress, and an error is no line of a log.
pub(super) async fn inline_progress(
    id: JobPath,
    gateway: Data<Gateway>,
) -> Result<Json<InlineProgress>, ApiError> {
    let job = jobs::find(&gateway, id.into_inner()).await?;
    let job_id = job.job_id.clone();
    if job.status != JobStatus::Running {
        let progress = Progress::default();
        return Ok(Json(InlineProgress { job_id, progress, updated_at: None }));
    }
    let (progress, updated_at) = current(&gateway, job).await;
    Ok(Json(InlineProgress { job_id, progress, updated_at }))
}

/// The progress of a job: of a running one as its log has it now, and when that was seen.
pub(super) async fn current(gateway: &Gateway, job: Job) -> (Progress, Option<Timestamp>) {
    if job.status != JobStatus::Running {
        return (shown(&job), None);
    }
    let look = LookAtLog {
        provider: job.provider.clone(),
        provider_job_id: job.provider_job_id.clone().unwrap_or_default(),
    };
    match gateway.asker.ask_abroad(&gateway.log_watcher, look).await {
        Ok(sighting) => {
            let seen = sighting.progress.map(|reading| reading.progress);
            let progress = seen.or_else(|| job.progress.clone());
            (job.shown_with(progress).unwrap_or_default(), Some(sighting.seen_at))
        }
        Err(error) => {
            log::debug!("the progress of job {} is not known anew: {error}", job.job_id);
            let known_at = job.progress.as_ref().and(job.confirmed_at);
            (shown(&job), known_at)
        }
    }
}

fn shown(job: &Job) -> Progress {
    job.shown_progress().map(Cow::into_owned).unwrap_or_default()
}
