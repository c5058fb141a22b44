//! One job.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;

use super::{frame, html, or_problem, position};
use crate::actors::job_reader::{GetTimeline, Read};
use crate::domain::job::{Job, JobId};
use crate::domain::job_view::Place;
use crate::domain::timeline::Timeline;
use crate::domain::timestamp::now;
use crate::http::Gateway;
use crate::http::error::ApiError;
use crate::http::job_path::JobPath;
use crate::http::jobs::{find, place_of};
use crate::ui::frame::View;
use crate::ui::job_page::{JobDetails, JobPage, JobUpdate};
use crate::ui::job_row::Row;

/// `GET /jobs/{id}`
pub(super) async fn page(id: Result<JobPath, ApiError>, gateway: Data<Gateway>) -> HttpResponse {
    let page = async {
        let id = id?;
        let position = position(&gateway).await?;
        let known = Known::look_up(&gateway, id.into_inner()).await?;
        let frame = frame(&gateway, View::Jobs, Some(position)).await;
        Ok(html(StatusCode::OK, &JobPage { frame, job: known.details(&gateway) }))
    };
    or_problem(&gateway, View::Jobs, page.await).await
}

/// `GET /updates/jobs/{id}`
pub(super) async fn update(id: JobPath, gateway: Data<Gateway>) -> Result<HttpResponse, ApiError> {
    let known = Known::look_up(&gateway, id.into_inner()).await?;
    let frame = frame(&gateway, View::Jobs, None).await;
    Ok(html(StatusCode::OK, &JobUpdate { frame, job: known.details(&gateway) }))
}

/// What is known of a job.
struct Known {
    job: Job,
    timeline: Timeline,
    place: Option<Place>,
}

impl Known {
    async fn look_up(gateway: &Gateway, id: String) -> Result<Self, ApiError> {
        let job = find(gateway, id).await?;
        let question = GetTimeline(JobId(job.job_id.0.clone()));
        let timeline = gateway.asker.ask(&gateway.reader, Read(question)).await?;
        let place = place_of(gateway, &job).await?;
        Ok(Self { job, timeline, place })
    }

    fn details(&self, gateway: &Gateway) -> JobDetails<'_> {
        let row = Row::new(&self.job, None, self.place, &gateway.prices, now());
        JobDetails::new(row, &self.timeline)
    }
}
