//! Webhooks: what providers and trainers tell us.

use actix_web::http::header::HeaderMap;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::Gateway;
use super::client_address::client_address;
use super::error::ApiError;
use super::guard;
use super::query::{Query, coding_of, read_received};
use crate::actors::webhook_ingestor::{IngestDelivery, IngestWithKey, Receipt};
use crate::domain::job::JobId;
use crate::domain::submission::SUBMISSION_PARAMETER;

/// `POST /api/webhooks/{provider}`
pub(super) async fn receive(
    request: HttpRequest,
    provider: Path<String>,
    payload: Payload,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let door = gateway.provider(&provider)?;
    let coding = coding_of(&request)?;
    let limit_bytes = gateway.config.server.max_body_bytes;
    let body = read_received(&request, payload, limit_bytes).await?;
    let text = |name| header(request.headers(), name);
    let delivery = IngestDelivery {
        address: client_address(&request, &gateway.config.server.trusted_proxies),
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signature: text("webhook-signature"),
        submission: Query::of(&request)
            .text(SUBMISSION_PARAMETER)
            .map(|job_id| JobId(job_id.to_owned())),
        body,
        coding,
        limit_bytes,
    };
    if let Some(answer) = gateway.test_deliveries.recognise(door.setup.name, &delivery) {
        return Ok(HttpResponse::Ok().json(answer));
    }
    let receipt = if guard::has_key(&gateway.config.server, request.headers()) {
        gateway.asker.ask(&door.ingestor, IngestWithKey(delivery)).await?
    } else {
        gateway.asker.ask(&door.ingestor, delivery).await?
    };
    Ok(HttpResponse::Ok().json(view(&receipt)))
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn view(receipt: &Receipt) -> Value {
    match receipt {
        Receipt::Received { job_id, updates, skipped } => {
            json!({"status": "received", "job_id": job_id, "updates": updates, "skipped": skipped})
        }
        Receipt::Duplicate { job_id } => {
            json!({"status": "duplicate", "job_id": job_id, "updates": {}})
        }
        Receipt::Ignored { reason } => json!({"status": "ignored", "reason": reason}),
    }
}
