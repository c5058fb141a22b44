//! Whether the daemon is well.

use std::time::Instant;

use actix_web::web::{Data, Json};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use url::Url;

use super::error::ApiError;
use super::{Gateway, ProviderDoor};
use crate::actors::broadcaster::CountSubscribers;
use crate::actors::job_reader::dashboard::GetLeastConfirmed;
use crate::actors::job_reader::notifications::GetChannelStates;
use crate::actors::job_reader::queue::GetOpenEntries;
use crate::actors::job_reader::{GetLogBounds, GetSizes, Read, Sizes};
use crate::actors::log_keeper::CountWantedLogs;
use crate::actors::poller::{GetPollingStatus, GetWebhookUrl};
use crate::actors::provider_client::GetProviderHealth;
use crate::actors::webhook_ingestor::GetLastDelivery;
use crate::actors::webhook_monitor::GetWebhookSilence;
use crate::config::DatabaseUrl;
use crate::db::error::StoreError;
use crate::db::notifications::ChannelState;
use crate::domain::queue::QueueStatus;
use crate::domain::timestamp::{Timestamp, now};

/// How well something is. The worst component decides for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Wellness {
    Healthy,
    Degraded,
    Unhealthy,
}

impl Wellness {
    /// The word on the wire.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// A part of the daemon.
#[derive(Debug, Serialize)]
pub(super) struct Component {
    pub(super) name: &'static str,
    pub(super) status: Wellness,
    latency_ms: f64,
    /// Never null: SimpleTuner's command line would print None.
    pub(super) message: String,
    pub(super) details: Details,
}

/// What is to be known of a component, by names that end in their units, in the order in which a reader
/// wants to know it.
#[derive(Debug, Default)]
pub(super) struct Details(pub(super) Vec<(&'static str, Value)>);

impl Serialize for Details {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    pub(super) status: Wellness,
    pub(super) version: &'static str,
    pub(super) uptime_seconds: f64,
    pub(super) components: Vec<Component>,
    timestamp: Timestamp,
}

/// How a component is, before its name and the time that it took to ask.
struct Finding {
    status: Wellness,
    message: Option<String>,
    details: Details,
}

impl Finding {
    fn healthy(message: Option<String>, details: Details) -> Self {
        Self { status: Wellness::Healthy, message, details }
    }

    fn degraded(message: Option<String>, details: Details) -> Self {
        Self { status: Wellness::Degraded, message, details }
    }
}

/// A component that does not answer is not healthy.
async fn component(
    name: &'static str,
    find: impl Future<Output = Result<Finding, ApiError>>,
) -> Component {
    let asked = Instant::now();
    let found = find.await.unwrap_or_else(|error| Finding {
        status: Wellness::Unhealthy,
        message: Some(error.to_string()),
        details: Details::default(),
    });
    let latency_ms = asked.elapsed().as_secs_f64() * 1e3;
    let Finding { status, message, details } = found;
    let message = message.unwrap_or_else(|| "in order".to_owned());
    Component { name, status, latency_ms, message, details }
}

/// `GET /api/cloud/health`
pub(super) async fn report(gateway: Data<Gateway>) -> Json<Health> {
    Json(look(&gateway).await)
}

/// How the daemon is, and each of its parts.
pub(super) async fn look(gateway: &Gateway) -> Health {
    let mut components = vec![
        component("database", database(gateway)).await,
        component("polling", polling(gateway)).await,
        component("queue", queue(gateway)).await,
        component("logs", logs(gateway)).await,
        component("events", streams(gateway)).await,
        component("jobs", jobs(gateway)).await,
    ];
    if !gateway.config.notifications.channels.is_empty() {
        components.push(component("notifications", notifications(gateway)).await);
    }
    for (name, door) in &gateway.providers {
        components.push(component(name, provider(gateway, name, door)).await);
    }
    let status = components.iter().map(|component| component.status).max();
    Health {
        status: status.unwrap_or(Wellness::Healthy),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: gateway.started.elapsed().as_secs_f64(),
        components,
        timestamp: now(),
    }
}

async fn database(gateway: &Gateway) -> Result<Finding, ApiError> {
    let kind = match gateway.config.database.url {
        DatabaseUrl::Sqlite(_) => "SQLite",
        DatabaseUrl::Postgres(_) => "PostgreSQL",
    };
    let obstacle = gateway.obstacle.current();
    if let Some(displaced) = obstacle.filter(|obstacle| obstacle.is_displacement()) {
        let place = &gateway.config.database.url;
        return Ok(Finding {
            status: Wellness::Unhealthy,
            message: Some(format!("nothing is stored in {place}: {displaced}")),
            details: Details(vec![("kind", json!(kind))]),
        });
    }
    let Sizes { events, event_bytes, log_bytes } =
        gateway.asker.ask(&gateway.reader, Read(GetSizes)).await?;
    let (events_mb, logs_mb) = (in_megabytes(event_bytes), in_megabytes(log_bytes));
    let details = Details(vec![
        ("kind", json!(kind)),
        ("event_count", json!(events)),
        ("events_mb", json!(events_mb)),
        ("events_mb_max", json!(gateway.config.events.retention_bytes / MEGABYTE)),
        ("logs_mb", json!(logs_mb)),
        ("logs_mb_max", json!(gateway.config.logs.retention_bytes / MEGABYTE)),
    ]);
    Ok(match obstacle {
        // Lists are still answered; webhooks are not.
        Some(obstacle) => {
            Finding::degraded(Some(format!("nothing can be stored: {obstacle}")), details)
        }
        None => {
            let sizes = format!("{events} events of {events_mb:.1} MB, logs of {logs_mb:.1} MB");
            Finding::healthy(Some(sizes), details)
        }
    })
}

/// Bytes in a megabyte, as the configuration counts them.
const MEGABYTE: i64 = 1024 * 1024;

fn in_megabytes(bytes: i64) -> f64 {
    bytes as f64 / MEGABYTE as f64
}

async fn polling(gateway: &Gateway) -> Result<Finding, ApiError> {
    let polling = gateway.asker.ask(&gateway.poller, GetPollingStatus).await?;
    let state = if polling.is_active { "on" } else { "off" };
    let message = format!("{state}, {}", polling.reason.in_words());
    let mut details = Details(vec![
        ("interval_seconds", json!(polling.interval_seconds)),
        ("reconciliation_interval_seconds", json!(polling.reconciliation_interval_seconds)),
        ("next_round_at", json!(polling.next_round_at)),
    ]);
    if let Some(round) = &polling.last_round {
        details.0.extend([
            ("last_round_at", json!(round.started_at)),
            ("last_round_jobs", json!(round.asked)),
            ("last_round_changed", json!(round.refreshed.changed)),
            ("last_round_failed", json!(round.refreshed.failed)),
            ("last_round_calls", json!(round.refreshed.calls)),
            ("last_round_error", json!(round.refreshed.error)),
        ]);
    }
    Ok(Finding::healthy(Some(message), details))
}

async fn queue(gateway: &Gateway) -> Result<Finding, ApiError> {
    let question = GetOpenEntries { limits: gateway.config.queue.limits() };
    let (entries, limits) = gateway.asker.ask(&gateway.reader, Read(question)).await?;
    let waiting = entries.iter().filter(|entry| entry.status == QueueStatus::Pending).count();
    let under_way = entries.len() - waiting;
    let state = match (limits.is_paused, gateway.config.queue_processing.enabled) {
        (true, _) => ", paused",
        (false, false) => ", not handed over by itself",
        (false, true) => "",
    };
    let details = Details(vec![
        ("waiting", json!(waiting)),
        ("under_way", json!(under_way)),
        ("max_concurrent", json!(limits.max_concurrent)),
    ]);
    Ok(Finding::healthy(Some(format!("{waiting} waiting, {under_way} under way{state}")), details))
}

async fn logs(gateway: &Gateway) -> Result<Finding, ApiError> {
    let wanted = gateway.asker.ask(&gateway.log_keeper, CountWantedLogs).await?;
    let message =
        (wanted > 0).then(|| format!("{wanted} logs of finished jobs still to be fetched"));
    Ok(Finding::healthy(message, Details(vec![("to_be_fetched", json!(wanted))])))
}

async fn streams(gateway: &Gateway) -> Result<Finding, ApiError> {
    let open = gateway.asker.ask(&gateway.broadcaster, CountSubscribers).await?;
    let bounds = gateway.asker.ask(&gateway.reader, Read(GetLogBounds)).await?;
    let limits = &gateway.config.events;
    let details = Details(vec![
        ("open_streams", json!(open)),
        ("open_streams_max", json!(limits.max_connections)),
        ("open_streams_of_one_address_max", json!(limits.max_connections_per_ip)),
        ("oldest_event", json!(bounds.oldest)),
        ("newest_event", json!(bounds.newest)),
    ]);
    Ok(if open >= limits.max_connections {
        Finding::degraded(Some(format!("all {open} streams are taken")), details)
    } else {
        let noun = if open == 1 { "stream" } else { "streams" };
        Finding::healthy(Some(format!("{open} open {noun}")), details)
    })
}

/// What nobody has confirmed for long may not be so any more.
async fn jobs(gateway: &Gateway) -> Result<Finding, ApiError> {
    let job = gateway.asker.ask(&gateway.reader, Read(GetLeastConfirmed)).await?;
    Ok(match job {
        None => Finding::healthy(Some("none is active".to_owned()), Details::default()),
        Some(job) => Finding::healthy(
            None,
            Details(vec![
                ("least_confirmed_job", json!(job.job_id)),
                ("confirmed_at", json!(job.confirmed_at)),
            ]),
        ),
    })
}

/// People who are not told are a reason to look.
async fn notifications(gateway: &Gateway) -> Result<Finding, ApiError> {
    let channels = gateway.config.notifications.receivers();
    let question = GetChannelStates { channels: channels.clone(), now: now() };
    let states = gateway.asker.ask(&gateway.reader, Read(question)).await?;
    let sum = |value: fn(&ChannelState) -> i64| states.iter().map(value).sum::<i64>();
    let details = Details(vec![
        ("channels", json!(channels.len())),
        ("waiting", json!(sum(|state| state.pending))),
        ("dead", json!(sum(|state| state.dead))),
    ]);
    let troubled = channels.iter().zip(&states).find_map(|((name, _), state)| {
        let words = state.last_error.as_ref()?;
        Some(format!("{name}: {} waiting, {} dead, {words}", state.pending, state.dead))
    });
    Ok(match troubled {
        Some(words) => Finding::degraded(Some(words), details),
        None => Finding::healthy(None, details),
    })
}

async fn provider(
    gateway: &Gateway,
    name: &'static str,
    door: &ProviderDoor,
) -> Result<Finding, ApiError> {
    let health = gateway.asker.ask(&door.client, GetProviderHealth).await?;
    let webhook_url = gateway.asker.ask(&gateway.poller, GetWebhookUrl { provider: name }).await?;
    let last_webhook_at = gateway.asker.ask(&door.ingestor, GetLastDelivery).await?;
    let question = GetWebhookSilence { provider: name };
    let silence = gateway.asker.ask(&gateway.webhook_monitor, question).await?;
    let details = Details(vec![
        ("calls_since_start", json!(health.calls)),
        ("calls_left_before_reset", json!(health.calls_left)),
        ("webhook_url", json!(webhook_url.as_ref().map(Url::as_str))),
        ("last_webhook_at", json!(last_webhook_at)),
        ("webhooks_silent_since", json!(silence.map(|(since, _)| since))),
        ("last_outage", json!(health.last_error)),
    ]);
    Ok(if !health.has_token {
        Finding::degraded(Some("no API token is configured".to_owned()), details)
    } else if let Some(words) = health.token_refused {
        Finding::degraded(Some(format!("it refuses the API token: {words}")), details)
    } else if health.out_of_order {
        Finding::degraded(health.last_error, details)
    } else if let Some((since, jobs)) = silence {
        let words = format!(
            "webhooks are silent since {since}: {jobs} jobs have changed and no webhook told of it. Unless it is switched off, polling stands in \
             meanwhile; whether {} leads here, POST /api/webhooks/test tells",
            webhook_url.as_ref().map_or("webhook_url", Url::as_str),
        );
        Finding::degraded(Some(words), details)
    } else {
        Finding::healthy(None, details)
    })
}

/// `GET /health/live`: this process answers.
pub(super) async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// `GET /health/ready`: it can do its work, which needs the database.
pub(super) async fn ready(gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    let displaced = gateway.obstacle.current().filter(|obstacle| obstacle.is_displacement());
    if let Some(obstacle) = displaced {
        return Err(StoreError::Unavailable(obstacle).into());
    }
    gateway.asker.ask(&gateway.reader, Read(GetLogBounds)).await?;
    Ok(Json(json!({"status": "ready"})))
}
