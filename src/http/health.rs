//! Whether the daemon is well.

use std::time::Instant;

use actix_web::web::{Data, Json};
use serde::Serialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::{Gateway, ProviderDoor};
use crate::actors::job_reader::notifications::GetChannelStates;
use crate::actors::job_reader::queue::GetOpenEntries;
use crate::actors::job_reader::{GetLogBounds, GetSizes, Read, Sizes};
use crate::actors::log_keeper::CountWantedLogs;
use crate::actors::poller::GetPollingStatus;
use crate::actors::provider_client::GetProviderHealth;
use crate::domain::queue::QueueStatus;
use crate::domain::timestamp::{Timestamp, now};

/// How well something is. The worst component decides for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Wellness {
    Healthy,
    Degraded,
    Unhealthy,
}

#[derive(Debug, Serialize)]
struct Component {
    name: &'static str,
    status: Wellness,
    latency_ms: f64,
    message: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    status: Wellness,
    version: &'static str,
    uptime_seconds: f64,
    components: Vec<Component>,
    timestamp: Timestamp,
}

/// `GET /api/cloud/health`
pub(super) async fn report(gateway: Data<Gateway>) -> Json<Health> {
    let mut components = vec![
        database(&gateway).await,
        polling(&gateway).await,
        queue(&gateway).await,
        logs(&gateway).await,
    ];
    if !gateway.config.notifications.channels.is_empty() {
        components.push(notifications(&gateway).await);
    }
    for (name, door) in &gateway.providers {
        components.push(provider(&gateway, name, door).await);
    }
    let status = components.iter().map(|component| component.status).max();
    Json(Health {
        status: status.unwrap_or(Wellness::Healthy),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: gateway.started.elapsed().as_secs_f64(),
        components,
        timestamp: now(),
    })
}

async fn database(gateway: &Gateway) -> Component {
    let asked = Instant::now();
    let answer = gateway.asker.ask(&gateway.reader, Read(GetSizes)).await;
    let (status, message) = match (answer, gateway.obstacle.current()) {
        (Err(error), _) => (Wellness::Unhealthy, error.to_string()),
        // Lists are still answered; webhooks are not.
        (Ok(_), Some(obstacle)) => {
            (Wellness::Degraded, format!("nothing can be stored: {obstacle}"))
        }
        (Ok(Sizes { events, event_bytes, log_bytes }), None) => {
            let (events_mb, logs_mb) = (in_megabytes(event_bytes), in_megabytes(log_bytes));
            let sizes = format!("{events} events of {events_mb:.1} MB, logs of {logs_mb:.1} MB");
            (Wellness::Healthy, sizes)
        }
    };
    component("database", status, asked, Some(message))
}

/// Megabytes as the configuration counts them.
fn in_megabytes(bytes: i64) -> f64 {
    bytes as f64 / f64::from(1024 * 1024)
}

async fn polling(gateway: &Gateway) -> Component {
    let asked = Instant::now();
    match gateway.asker.ask(&gateway.poller, GetPollingStatus).await {
        Ok(polling) => {
            let state = if polling.is_active { "on" } else { "off" };
            let message = format!("{state}, {}", polling.reason.in_words());
            component("polling", Wellness::Healthy, asked, Some(message))
        }
        Err(error) => component("polling", Wellness::Unhealthy, asked, Some(error.to_string())),
    }
}

async fn queue(gateway: &Gateway) -> Component {
    let asked = Instant::now();
    let question = GetOpenEntries { limits: gateway.config.queue.limits() };
    let (status, message) = match gateway.asker.ask(&gateway.reader, Read(question)).await {
        Ok((entries, limits)) => {
            let waiting =
                entries.iter().filter(|entry| entry.status == QueueStatus::Pending).count();
            let under_way = entries.len() - waiting;
            let state = match (limits.is_paused, gateway.config.queue_processing.enabled) {
                (true, _) => ", paused",
                (false, false) => ", not handed over by itself",
                (false, true) => "",
            };
            (Wellness::Healthy, format!("{waiting} waiting, {under_way} under way{state}"))
        }
        Err(error) => (Wellness::Unhealthy, error.to_string()),
    };
    component("queue", status, asked, Some(message))
}

/// People who are not told are a reason to look.
async fn notifications(gateway: &Gateway) -> Component {
    let asked = Instant::now();
    let names: Vec<_> = gateway.config.notifications.channels.keys().cloned().collect();
    let question = GetChannelStates(names.clone());
    let (status, message) = match gateway.asker.ask(&gateway.reader, Read(question)).await {
        Ok(states) => {
            let troubled = names.iter().zip(states).find_map(|(name, state)| {
                let words = state.last_error?;
                Some(format!("{name}: {} waiting, {} dead, {words}", state.pending, state.dead))
            });
            match troubled {
                Some(words) => (Wellness::Degraded, Some(words)),
                None => (Wellness::Healthy, None),
            }
        }
        Err(error) => (Wellness::Unhealthy, Some(error.to_string())),
    };
    component("notifications", status, asked, message)
}

async fn logs(gateway: &Gateway) -> Component {
    let asked = Instant::now();
    let (status, message) = match gateway.asker.ask(&gateway.log_keeper, CountWantedLogs).await {
        Ok(0) => (Wellness::Healthy, None),
        Ok(wanted) => {
            (Wellness::Healthy, Some(format!("{wanted} logs of finished jobs still to be fetched")))
        }
        Err(error) => (Wellness::Unhealthy, Some(error.to_string())),
    };
    component("logs", status, asked, message)
}

async fn provider(gateway: &Gateway, name: &'static str, door: &ProviderDoor) -> Component {
    let asked = Instant::now();
    let (status, message) = match gateway.asker.ask(&door.client, GetProviderHealth).await {
        Ok(health) if !health.has_token => {
            (Wellness::Degraded, Some("no API token is configured".to_owned()))
        }
        Ok(health) if health.out_of_order => (Wellness::Degraded, health.last_error),
        Ok(_) => (Wellness::Healthy, None),
        Err(error) => (Wellness::Unhealthy, Some(error.to_string())),
    };
    component(name, status, asked, message)
}

fn component(
    name: &'static str,
    status: Wellness,
    asked: Instant,
    message: Option<String>,
) -> Component {
    let latency_ms = asked.elapsed().as_secs_f64() * 1e3;
    Component { name, status, latency_ms, message }
}

/// `GET /health/live`: this process answers.
pub(super) async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// `GET /health/ready`: it can do its work, which needs the database.
pub(super) async fn ready(gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    gateway.asker.ask(&gateway.reader, Read(GetLogBounds)).await?;
    Ok(Json(json!({"status": "ready"})))
}
