//! Notifications as SimpleTuner's clients read them. Channels are set in the configuration, so what would
//! change them is not among these routes.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use chrono::Duration;
use serde_json::{Value, json};

use super::error::ApiError;
use super::query::Query;
use super::{Gateway, at};
use crate::actors::job_reader::Read;
use crate::actors::job_reader::notifications::{CountLetters, ListLetters};
use crate::actors::notifier::{SendTest, UnknownChannel};
use crate::config::{Channel, Notifications};
use crate::db::notifications::{Letter, LetterState};
use crate::domain::notification::{EventType, Format};
use crate::domain::timestamp::now;

/// Over how many days deliveries are counted.
const STATS_DAYS: i64 = 30;

/// The routes of this file.
pub(super) fn routes(service: &mut ServiceConfig) {
    service
        .service(at("/api/cloud/notifications/channels", "GET", web::get().to(channels)))
        .service(at("/api/cloud/notifications/channels/{channel}", "GET", web::get().to(channel)))
        .service(at(
            "/api/cloud/notifications/channels/{channel}/test",
            "POST",
            web::post().to(test),
        ))
        .service(at("/api/cloud/notifications/preferences", "GET", web::get().to(preferences)))
        .service(at("/api/cloud/notifications/events", "GET", web::get().to(event_types)))
        .service(at("/api/cloud/notifications/presets", "GET", web::get().to(presets)))
        .service(at("/api/cloud/notifications/history", "GET", web::get().to(history)))
        .service(at("/api/cloud/notifications/status", "GET", web::get().to(status)))
        .service(at("/api/cloud/notifications/skip", "POST", web::post().to(skip)));
}

/// The channels with their numbers, which clients go by: from 1 on, in the order of their names.
fn numbered(config: &Notifications) -> impl Iterator<Item = (usize, &String, &Channel)> {
    (1..).zip(&config.channels).map(|(id, (name, channel))| (id, name, channel))
}

/// The channel that goes by a name or a number.
fn find<'a>(
    config: &'a Notifications,
    wanted: &str,
) -> Result<(usize, &'a String, &'a Channel), ApiError> {
    let by_name = numbered(config).find(|(_, name, _)| *name == wanted);
    let by_number = || numbered(config).find(|(id, ..)| id.to_string() == wanted);
    by_name.or_else(by_number).ok_or_else(|| UnknownChannel(wanted.to_owned()).into())
}

/// SimpleTuner knows email, webhook and slack.
fn channel_type(channel: &Channel) -> &'static str {
    match channel.format {
        Format::Slack => "slack",
        Format::Json | Format::Discord | Format::Ntfy => "webhook",
    }
}

fn view((id, name, channel): (usize, &String, &Channel)) -> Value {
    json!({
        "id": id,
        "channel_type": channel_type(channel),
        "name": name,
        "is_enabled": true,
        // The rest of it is a secret.
        "webhook_url": channel.url.origin(),
        "format": channel.format.as_str(),
        "is_signed": channel.signing_key.is_some(),
        "events": channel.topics,
        "smtp_host": null,
        "smtp_port": null,
        "smtp_username": null,
        "smtp_use_tls": null,
        "smtp_from_address": null,
        "smtp_from_name": null,
        "imap_enabled": false,
        "imap_host": null,
        "imap_port": null,
        "imap_username": null,
        "imap_use_ssl": null,
        "imap_folder": null,
        "created_at": null,
        "updated_at": null,
    })
}

/// `GET /api/cloud/notifications/channels`
async fn channels(gateway: Data<Gateway>) -> Json<Value> {
    let channels: Vec<_> = numbered(&gateway.config.notifications).map(view).collect();
    Json(json!({"total": channels.len(), "channels": channels}))
}

/// `GET /api/cloud/notifications/channels/{channel}`
async fn channel(name: Path<String>, gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    Ok(Json(view(find(&gateway.config.notifications, &name)?)))
}

/// `POST /api/cloud/notifications/channels/{channel}/test`
async fn test(name: Path<String>, gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    let (_, channel, _) = find(&gateway.config.notifications, &name)?;
    let message = SendTest { channel: channel.clone() };
    let outcome = gateway.asker.ask_abroad(&gateway.notifier, message).await?;
    Ok(Json(match outcome {
        Ok(sent) => json!({"success": true, "error": null, "latency_ms": sent.latency_ms}),
        Err(error) => json!({"success": false, "error": error.words, "latency_ms": null}),
    }))
}

/// `GET /api/cloud/notifications/preferences`: of what each channel is told.
async fn preferences(gateway: Data<Gateway>) -> Json<Value> {
    let told = numbered(&gateway.config.notifications).flat_map(|(id, _, channel)| {
        let topics = &channel.topics;
        let of_channel = EventType::ALL.iter().filter(|event| topics.contains(&event.topic));
        of_channel.map(move |event| (id, event))
    });
    let preferences = (1..).zip(told).map(|(number, (channel, event)): (usize, _)| {
        json!({
            "id": number,
            "user_id": null,
            "event_type": event.id,
            "channel_id": channel,
            "is_enabled": true,
            "recipients": [],
            "min_severity": "info",
        })
    });
    Json(json!({"preferences": preferences.collect::<Vec<_>>()}))
}

/// `GET /api/cloud/notifications/events`
async fn event_types() -> Json<Value> {
    let types = EventType::ALL.map(|event| {
        json!({
            "id": event.id,
            "name": event.name,
            "category": event.category,
            "description": event.description,
        })
    });
    Json(json!({"event_types": types}))
}

/// `GET /api/cloud/notifications/presets`: of servers of email, to which nothing is sent from here.
async fn presets() -> Json<Value> {
    Json(json!({"presets": []}))
}

/// `GET /api/cloud/notifications/history`
async fn history(request: HttpRequest, gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    let query = Query::of(&request);
    let limit = query.integer("limit", 1..=500, 50)?.into();
    let config = &gateway.config.notifications;
    let channels = match query.text("channel_id") {
        None => config.channels.keys().cloned().collect(),
        // A channel that is not there was told nothing.
        Some(wanted) => find(config, wanted).map(|(_, name, _)| name.clone()).into_iter().collect(),
    };
    let job_id = query.text("job_id").map(str::to_owned);
    let question = ListLetters { channels, job_id, limit };
    let letters = gateway.asker.ask(&gateway.reader, Read(question)).await?;
    let entries: Vec<_> = letters.iter().filter_map(|letter| entry(config, letter)).collect();
    Ok(Json(json!({"total": entries.len(), "entries": entries})))
}

/// A message as an entry of the history. Clients cut the texts in it to columns, so none of them is null.
fn entry(config: &Notifications, letter: &Letter) -> Option<Value> {
    let (id, name, channel) = find(config, &letter.channel).ok()?;
    let (status, delivered_at) = match letter.state {
        LetterState::Waiting => ("pending", None),
        LetterState::Delivered => ("delivered", letter.ended_at),
        LetterState::Dead => ("failed", None),
        LetterState::Digested => ("digested", None),
    };
    let data = &letter.message.data;
    Some(json!({
        "id": letter.id,
        "channel_id": id,
        "channel_name": name,
        "event_type": EventType::id_of(&letter.message.kind),
        "title": letter.message.title,
        "job_id": data.get("job_id"),
        "user_id": data.get("user_id"),
        "recipient": channel.url.host(),
        "delivery_status": status,
        "error_message": letter.last_error,
        "sent_at": letter.ended_at.unwrap_or(letter.created_at),
        "delivered_at": delivered_at,
    }))
}

/// `GET /api/cloud/notifications/status`
async fn status(gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    let config = &gateway.config.notifications;
    let mut by_type = BTreeMap::from([("email", 0), ("slack", 0), ("webhook", 0)]);
    for channel in config.channels.values() {
        *by_type.entry(channel_type(channel)).or_default() += 1;
    }
    let channels = config.channels.keys().cloned().collect();
    let question = CountLetters { channels, since: now() - Duration::days(STATS_DAYS) };
    let totals = gateway.asker.ask(&gateway.reader, Read(question)).await?;
    let ended = totals.delivered + totals.dead;
    let rate = if ended > 0 { totals.delivered as f64 / ended as f64 * 100.0 } else { 0.0 };
    Ok(Json(json!({
        "initialized": true,
        "channels": {
            "total": config.channels.len(),
            "enabled": config.channels.len(),
            "by_type": by_type,
        },
        "response_handlers": {"total": 0, "running": 0},
        "stats": {
            "total": ended + totals.waiting,
            "delivered": totals.delivered,
            "failed": totals.dead,
            "pending": totals.waiting,
            "success_rate": rate,
        },
    })))
}

/// `POST /api/cloud/notifications/skip`: clients remember by themselves that they shall not ask for channels.
async fn skip() -> Json<Value> {
    Json(json!({"success": true}))
}
