//! Webhooks: what providers and trainers tell us, and a test whether they can.

use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use awc::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::Gateway;
use super::client_address::client_address;
use super::error::ApiError;
use super::query::{Query, read_body, require_json};
use crate::actors::webhook_ingestor::{IngestDelivery, Receipt};
use crate::domain::job::JobId;
use crate::domain::submission::SUBMISSION_PARAMETER;

/// How long a test waits for an answer where nothing was asked, in seconds.
const TEST_TIMEOUT_SECONDS: f64 = 30.0;
/// The longest that a test may wait, in seconds.
const TEST_TIMEOUT_SECONDS_MAX: f64 = 120.0;

/// `POST /api/webhooks/{provider}`
pub(super) async fn receive(
    request: HttpRequest,
    provider: Path<String>,
    payload: Payload,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let door = gateway.provider(&provider)?;
    let body = read_body(&request, payload, gateway.config.server.max_body_bytes).await?;
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
    };
    let receipt = gateway.asker.ask(&door.ingestor, delivery).await?;
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

/// What is tested.
#[derive(Debug, Deserialize)]
pub(super) struct Test {
    #[serde(default)]
    webhook_url: String,
    timeout: Option<f64>,
}

/// The client that tests go out by: one a worker thread.
pub(super) fn test_client() -> Client {
    Client::builder().disable_redirects().disable_timeout().finish()
}

/// `POST /api/webhooks/test`
///
/// Sends an empty test from this machine. Any answer of a webhook counts, also that the test is
/// not signed: it shows that something takes webhooks there.
pub(super) async fn test(
    request: HttpRequest,
    payload: Payload,
    client: Data<Client>,
) -> Result<Json<Value>, ApiError> {
    let Test { webhook_url, timeout } = require_json(&request, payload).await?;
    let bad =
        |field: &str, problem: String| ApiError::BadValue { field: field.to_owned(), problem };
    let url = Url::parse(&webhook_url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| bad("webhook_url", "a http or https URL is needed".to_owned()))?;
    let seconds = timeout.unwrap_or(TEST_TIMEOUT_SECONDS);
    if !(seconds > 0.0 && seconds <= TEST_TIMEOUT_SECONDS_MAX) {
        let problem = format!("a number above 0 and up to {TEST_TIMEOUT_SECONDS_MAX} is needed");
        return Err(bad("timeout", problem));
    }
    let asked = Instant::now();
    let send = client.post(url.as_str()).send_json(&json!({"type": "webhook.test"}));
    let answer = tokio::time::timeout(Duration::from_secs_f64(seconds), send).await;
    let (status, error) = match answer {
        Ok(Ok(answer)) => (Some(answer.status()), None),
        Ok(Err(error)) => (None, Some(error.to_string())),
        Err(_) => (None, Some(format!("no answer within {seconds} s"))),
    };
    let error = error.or_else(|| status.and_then(refusal));
    Ok(Json(json!({
        "success": error.is_none(),
        "latency_ms": asked.elapsed().as_secs_f64() * 1e3,
        "status_code": status.map(|status| status.as_u16()),
        "error": error,
        "method": "direct",
    })))
}

/// Why an answer shows that no webhook is taken there.
fn refusal(status: StatusCode) -> Option<String> {
    let nothing_there = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::GONE];
    (status.is_redirection() || status.is_server_error() || nothing_there.contains(&status))
        .then(|| format!("it answered {status}"))
}
