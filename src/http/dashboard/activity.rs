//! The log of events.

use std::collections::{HashMap, HashSet};

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::{frame, html, or_problem};
use crate::actors::job_reader::Read;
use crate::actors::job_reader::dashboard::GetJobs;
use crate::domain::activity::{Activity, ActivityQuery, GROUPS};
use crate::domain::job::JobId;
use crate::http::Gateway;
use crate::http::activity::{before, look};
use crate::http::error::ApiError;
use crate::http::query::Query;
use crate::ui::activity_page::{ActivityList, ActivityPage, ActivityRow};
use crate::ui::frame::View;
use crate::ui::job_row::name_of;

/// How many events a page has.
const EVENTS_A_PAGE: usize = 100;

/// `GET /activity`
pub(super) async fn page(request: HttpRequest, gateway: Data<Gateway>) -> HttpResponse {
    let page = async {
        let parameters = Query::of(&request);
        let group = match parameters.text("type") {
            None => None,
            Some(word) => Some(find_group(word)?),
        };
        let job_id = parameters.text("job").map(str::to_owned);
        let query = ActivityQuery {
            kinds: group.map(|(_, kinds)| kinds.to_vec()).unwrap_or_default(),
            job_id: job_id.clone().map(JobId),
            before: before(&parameters)?,
            limit: EVENTS_A_PAGE,
        };
        let found = look(&gateway, query).await?;
        let entries: Vec<_> = found.events.iter().filter_map(|json| Activity::read(json)).collect();
        let names = names(&gateway, &entries).await?;
        let entries = entries.into_iter().map(|entry| ActivityRow::new(entry, &names));
        let activity = ActivityList {
            group: group.map(|(name, _)| name),
            job_id,
            entries: entries.collect(),
            next_before: found.next_before,
        };
        let frame = frame(&gateway, View::Activity, Some(found.newest)).await;
        Ok(html(StatusCode::OK, &ActivityPage { frame, activity }))
    };
    or_problem(&gateway, View::Activity, page.await).await
}

/// What the jobs are called that events are about.
async fn names(
    gateway: &Gateway,
    entries: &[Activity],
) -> Result<HashMap<JobId, String>, ApiError> {
    let ids: HashSet<_> = entries.iter().filter_map(|entry| entry.job_id.clone()).collect();
    let question = GetJobs(ids.into_iter().collect());
    let jobs = gateway.asker.ask(&gateway.reader, Read(question)).await?;
    Ok(jobs.into_iter().map(|job| (job.job_id.clone(), name_of(&job))).collect())
}

fn find_group(word: &str) -> Result<(&'static str, &'static [&'static str]), ApiError> {
    let known = GROUPS.into_iter().find(|(name, _)| *name == word);
    known.ok_or_else(|| ApiError::UnknownValue {
        field: "type",
        word: word.to_owned(),
        allowed: GROUPS.iter().map(|(name, _)| *name).collect(),
    })
}
