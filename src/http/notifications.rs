//! Where people are told of ends and alarms: the channels, what they could not be told, and a test.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path};
use serde_json::{Value, json};

use super::Gateway;
use super::error::ApiError;
use super::query::Query;
use crate::actors::job_reader::Read;
use crate::actors::job_reader::notifications::{GetChannelStates, ListDeadLetters};
use crate::actors::job_store::notifications::ReviveDeadLetter;
use crate::actors::notifier::SendTest;
use crate::domain::timestamp::now;

/// `GET /api/notifications`
pub(super) async fn list(gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    let channels = &gateway.config.notifications.channels;
    let question =
        GetChannelStates { channels: gateway.config.notifications.receivers(), now: now() };
    let states = gateway.asker.ask(&gateway.reader, Read(question)).await?;
    let shown = channels.iter().zip(states).map(|((name, channel), state)| {
        json!({
            "name": name,
            "format": channel.format.as_str(),
            "host": channel.url.host(),
            "is_signed": channel.signing_key.is_some(),
            "events": channel.topics,
            "pending": state.pending,
            "dead": state.dead,
            "delivered_at": state.delivered_at,
            "last_error": state.last_error,
            "rests_until": state.rests_until,
        })
    });
    Ok(Json(json!({"channels": shown.collect::<Vec<_>>()})))
}

/// `GET /api/notifications/dead-letters`
pub(super) async fn dead_letters(
    request: HttpRequest,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let limit = Query::of(&request).integer("limit", 1..=500, 50)?.into();
    let dead = gateway.asker.ask(&gateway.reader, Read(ListDeadLetters { limit })).await?;
    let shown = dead.into_iter().map(|letter| {
        json!({
            "id": letter.id,
            "channel": letter.channel,
            "message_id": letter.message_id,
            "type": letter.message.kind,
            "title": letter.message.title,
            "attempts": letter.attempts,
            "last_error": letter.last_error,
            "created_at": letter.created_at,
        })
    });
    Ok(Json(json!({"dead_letters": shown.collect::<Vec<_>>()})))
}

/// `POST /api/notifications/dead-letters/{id}/retry`
pub(super) async fn retry(
    id: Path<String>,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let unknown = || ApiError::NoDeadLetter(id.to_string());
    let number = id.parse().map_err(|_| unknown())?;
    let message = ReviveDeadLetter { id: number };
    if !gateway.asker.ask(&gateway.store, message).await? {
        return Err(unknown());
    }
    Ok(Json(json!({"success": true, "id": number})))
}

/// `POST /api/notifications/{channel}/test`
pub(super) async fn test(
    channel: Path<String>,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let message = SendTest { channel: channel.into_inner() };
    let outcome = gateway.asker.ask_abroad(&gateway.notifier, message).await?;
    Ok(Json(match outcome {
        Ok(sent) => json!({
            "success": true,
            "status_code": sent.status_code,
            "latency_ms": sent.latency_ms,
            "error": null,
        }),
        Err(error) => json!({
            "success": false,
            "status_code": error.status_code,
            "latency_ms": null,
            "error": error.words,
        }),
    }))
}
