//! Whether the daemon polls (`api.md`, "Providers, polling, metrics, health").

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Payload};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::Gateway;
use super::error::ApiError;
use super::query::require_json;
use crate::actors::poller::{GetPollingStatus, PollingStatus, Round, SetPollingPreference};

/// `GET /api/cloud/polling/status`
pub(super) async fn status(gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    let status = gateway.asker.ask(&gateway.poller, GetPollingStatus).await?;
    Ok(Json(view(&status)))
}

fn view(status: &PollingStatus) -> Value {
    json!({
        "is_active": status.is_active,
        "preference": status.preference,
        "reason": status.reason,
        "interval_seconds": status.interval_seconds,
        "reconciliation_interval_seconds": status.reconciliation_interval_seconds,
        "last_cycle": status.last_round.as_ref().map(cycle),
        "next_cycle_at": status.next_round_at,
    })
}

fn cycle(round: &Round) -> Value {
    json!({
        "started_at": round.started_at,
        "duration_ms": round.duration_ms,
        "asked": round.asked,
        "changed": round.refreshed.changed,
        "failed": round.refreshed.failed,
        "provider_calls": round.refreshed.calls,
        "error": round.refreshed.error,
    })
}

/// What polling is set to. The field must be there: an empty object is more likely a mistake than
/// a wish for null.
#[derive(Debug, Deserialize)]
pub(super) struct Change {
    #[serde(default, deserialize_with = "present")]
    enabled: Option<Option<bool>>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<bool>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// `PUT /api/cloud/polling/setting`
pub(super) async fn change(
    request: HttpRequest,
    payload: Payload,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let change: Change = require_json(&request, payload).await?;
    let enabled = change.enabled.ok_or_else(|| ApiError::BadValue {
        field: "enabled".to_owned(),
        problem: "it is missing: true, false, or null for automatic".to_owned(),
    })?;
    let status = gateway.asker.ask(&gateway.poller, SetPollingPreference { enabled }).await?;
    Ok(Json(json!({
        "is_active": status.is_active,
        "enabled": status.preference,
        "reason": status.reason,
    })))
}
