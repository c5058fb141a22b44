//! The stream of events (`api.md`, "Events").

use std::time::Duration;

use actix_web::http::header::HeaderName;
use actix_web::web::Data;
use actix_web::{HttpRequest, Responder};
use actix_web_lab::sse;
use tokio::sync::mpsc;

use super::Gateway;
use super::client_address::client_address;
use super::error::ApiError;
use super::query::Query;
use super::same_request::is_head;
use crate::actors::broadcaster::Subscribe;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How long a client is told to wait before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// `GET /api/events`
pub(super) async fn subscribe(
    request: HttpRequest,
    gateway: Data<Gateway>,
) -> Result<impl Responder, ApiError> {
    let heartbeat = Duration::from_secs(gateway.config.events.heartbeat_seconds);
    if is_head(&request) {
        return Ok(as_stream(mpsc::channel(1).1, heartbeat));
    }
    let parameters = Query::of(&request);
    let last_event_id =
        last_event_id(&request).or_else(|| parameters.text("last_event_id").map(str::to_owned));
    let address = client_address(&request, &gateway.config.server.trusted_proxies);
    let subscribe = Subscribe { address, last_event_id };
    let events = gateway.asker.ask(&gateway.broadcaster, subscribe).await?;
    Ok(as_stream(events, heartbeat))
}

/// The header by which a client says what it saw last. What is no text is an id all the same: one that
/// was never ours.
pub(super) fn last_event_id(request: &HttpRequest) -> Option<String> {
    let header = request.headers().get(LAST_EVENT_ID);
    header.map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned())
}

/// The answer that hands on what comes from `events`.
pub(super) fn as_stream(events: mpsc::Receiver<sse::Event>, heartbeat: Duration) -> impl Responder {
    sse::Sse::from_infallible_receiver(events)
        .with_keep_alive(heartbeat)
        .with_retry_duration(RETRY)
        // A proxy that gathers a stream before it passes it on would make it no stream.
        .customize()
        .insert_header(("x-accel-buffering", "no"))
}
