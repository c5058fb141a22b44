//! How the providers are, as far as calls to them tell, in the forms in which SimpleTuner's clients ask. The daemon
//! asks no status page: what a provider says of itself there is not known, and no list claims that it is.

use actix_web::web::{Data, Json};
use serde_json::{Value, json};

use super::error::ApiError;
use super::{Gateway, ProviderDoor};
use crate::actors::provider_client::GetProviderHealth;
use crate::provider::{CallerHealth, replicate};

async fn health(gateway: &Gateway, door: &ProviderDoor) -> Result<CallerHealth, ApiError> {
    gateway.asker.ask(&door.client, GetProviderHealth).await
}

/// `GET /api/cloud/replicate/status`
pub(super) async fn of_replicate(gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    let door = gateway.provider(replicate::NAME)?;
    let health = health(&gateway, door).await?;
    Ok(Json(status([(door.setup.title, health)].iter())))
}

/// `GET /api/cloud/system-status`
pub(super) async fn of_system(gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    let mut all = Vec::new();
    for door in gateway.providers.values() {
        all.push((door.setup.title, health(&gateway, door).await?));
    }
    Ok(Json(status(all.iter())))
}

fn status<'a>(providers: impl Iterator<Item = &'a (&'static str, CallerHealth)>) -> Value {
    let failing: Vec<_> = providers
        .filter(|(_, health)| health.out_of_order)
        .map(|(title, health)| {
            let said = health.last_error.as_deref().unwrap_or("it does not answer");
            json!({"name": format!("{title} does not answer: {said}"), "status": "investigating"})
        })
        .collect();
    json!({
        "operational": failing.is_empty(),
        // Seen by this daemon, not told by the provider.
        "ongoing_incidents": failing,
        "in_progress_maintenances": [],
        "scheduled_maintenances": [],
        "status_page_url": replicate::STATUS_PAGE,
        "source": "this daemon's own calls",
        "error": null,
    })
}

/// `GET /api/metrics/circuit-breakers`
pub(super) async fn breakers(gateway: Data<Gateway>) -> Result<Json<Value>, ApiError> {
    let mut all = Vec::new();
    for (name, door) in &gateway.providers {
        let health = health(&gateway, door).await?;
        all.push(json!({
            "name": name,
            "state": health.breaker.state,
            "failure_count": health.breaker.failures,
            "success_count": health.successes,
            "last_success": health.last_success_at,
            "last_failure": health.last_failure_at,
            "last_error": health.last_error,
            "retry_after": health.breaker.retry_after_seconds,
        }));
    }
    let total = all.len();
    Ok(Json(json!({"circuit_breakers": all, "total": total})))
}
