//! The curves of one job.

use actix_web::web::{Data, Json};
use serde::Serialize;

use super::error::ApiError;
use super::job_path::JobPath;
use super::{Gateway, jobs, progress};
use crate::actors::job_reader::{GetSeries, Read};
use crate::domain::job::JobId;
use crate::domain::progress::Series;

/// The answer: columns of one length, as a chart takes them.
#[derive(Debug, Serialize)]
pub(super) struct JobSeries {
    job_id: JobId,
    #[serde(flatten)]
    series: Series,
    /// Steps to take in all, where that is known.
    total_steps: Option<u64>,
}

/// `GET /api/cloud/jobs/{id}/series`
///
/// Of a running job the log is looked at first, as by everyone who asks within its time to live. A job
/// without a curve has empty columns.
pub(super) async fn get(id: JobPath, gateway: Data<Gateway>) -> Result<Json<JobSeries>, ApiError> {
    let job = jobs::find(&gateway, id.into_inner()).await?;
    let job_id = job.job_id.clone();
    let (progress, _) = progress::current(&gateway, job).await;
    let kept = gateway.asker.ask(&gateway.reader, Read(GetSeries(job_id.clone()))).await?;
    let series = kept.map(|packed| packed.unpack()).unwrap_or_default();
    Ok(Json(JobSeries { job_id, series, total_steps: progress.total_steps }))
}
