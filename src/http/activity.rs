//! The log of events, looked back at (`/api/activity`).

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Gateway;
use super::error::ApiError;
use super::query::Query;
use crate::actors::job_reader::Read;
use crate::actors::job_reader::dashboard::ListActivity;
use crate::db::events::FoundEvents;
use crate::domain::activity::{ActivityQuery, GROUPS};
use crate::domain::event::Seq;
use crate::domain::job::JobId;

/// The most events that one answer has.
const LIMIT_MAX: u32 = 500;
/// How many it has where nothing was asked.
const LIMIT_DEFAULT: u32 = 100;

/// `GET /api/activity`
///
/// The events of the log, newest first, as they went over the stream: of some kinds, about one job, before a
/// position. `next_before` goes on, also where nothing was found in the stretch of the log that was looked at.
pub(super) async fn list(
    request: HttpRequest,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let parameters = Query::of(&request);
    let words = parameters.text("type").unwrap_or_default();
    let words = words.split(',').map(str::trim).filter(|word| !word.is_empty());
    let query = ActivityQuery {
        kinds: words.map(kind).collect::<Result<_, _>>()?,
        job_id: parameters.text("job_id").map(|id| JobId(id.to_owned())),
        before: before(&parameters)?,
        limit: parameters.integer("limit", 1..=LIMIT_MAX, LIMIT_DEFAULT)? as usize,
    };
    let FoundEvents { events, next_before, newest } = look(&gateway, query).await?;
    // They are JSON as they are.
    let events: Vec<_> =
        events.into_iter().filter_map(|json| RawValue::from_string(json).ok()).collect();
    Ok(Json(json!({"events": events, "next_before": next_before, "newest": newest})))
}

fn kind(word: &str) -> Result<&'static str, ApiError> {
    let kinds = || GROUPS.iter().flat_map(|(_, kinds)| kinds.iter().copied());
    kinds().find(|kind| *kind == word).ok_or_else(|| ApiError::UnknownValue {
        field: "type",
        word: word.to_owned(),
        allowed: kinds().collect(),
    })
}

/// The position before which events are asked for.
pub(super) fn before(parameters: &Query<'_>) -> Result<Option<Seq>, ApiError> {
    let Some(text) = parameters.text("before") else { return Ok(None) };
    let position = text.parse::<Seq>().ok().filter(|position| *position > 0);
    position.map(Some).ok_or_else(|| ApiError::BadValue {
        field: "before".to_owned(),
        problem: "a position in the log of events is needed, from 1 on".to_owned(),
    })
}

/// The events that match.
pub(super) async fn look(gateway: &Gateway, query: ActivityQuery) -> Result<FoundEvents, ApiError> {
    gateway.asker.ask(&gateway.reader, Read(ListActivity(query))).await
}
