//! The control face for other processes, under `/_simulator`. It needs no token, is not counted, and
//! passes neither limits nor faults.
//!
//! | route | body | answer |
//! |---|---|---|
//! | `POST jobs` | [`JobSpec`], e.g. `{"course": "manual", "webhook": "http://127.0.0.1:9/hook"}` or `{"course": {"scenario": {"steps": 100, "speed": 10}}}` | 201, the job as GET shows it |
//! | `POST jobs/{id}/status` | [`JobUpdate`], e.g. `{"status": "failed", "error": "out of memory"}` | 204 |
//! | `POST jobs/{id}/logs` | `{"append": "text"}` | 204 |
//! | `POST jobs/{id}/webhook` | `{"event": "completed"}`: send it, whatever was sent before | 204 |
//! | `POST faults` | [`Fault`], e.g. `{"route": "GET /predictions/{id}", "kind": {"server_error": {"status": 502, "body": "html"}}, "times": 3, "after_effect": false}` | 204 |
//! | `POST webhook_faults` | [`WebhookFault`], e.g. `{"event": "start", "kind": "hold_back"}` | 204 |
//! | `DELETE faults` | | 204; forgets faults of both kinds |
//! | `GET calls` | | `{"GET /predictions/{id}": 3, …}` |
//! | `DELETE calls` | | 204; counts from zero again |
//! | `GET deliveries` | | list of [`Delivery`](super::Delivery), oldest first |
//! | `POST latency` | `{"milliseconds": 50}`: every answer of the API waits this long | 204 |
//! | `POST seed` | [`Seed`], e.g. `{"count": 1000, "statuses": ["processing", "succeeded"]}` | 201, `{"ids": […]}`, newest first |
//!
//! An unknown job is 404, a scripted one that is told what to do 409, a body of another form 400.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use actix_web::{HttpResponse, ResponseError};
use serde::Deserialize;
use serde_json::json;

use super::faults::{Fault, WebhookFault};
use super::options::SimulatorError;
use super::seed::Seed;
use super::spec::{JobSpec, JobUpdate};
use super::state::Shared;
use super::webhooks::WebhookEvent;

type Answer = Result<HttpResponse, SimulatorError>;

/// The largest body that is taken: a log can be long.
const BODY_LIMIT_BYTES: usize = 64 * 1024 * 1024;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .app_data(web::JsonConfig::default().limit(BODY_LIMIT_BYTES))
        .route("/jobs", web::post().to(create_job))
        .route("/jobs/{id}/status", web::post().to(update_job))
        .route("/jobs/{id}/logs", web::post().to(append_logs))
        .route("/jobs/{id}/webhook", web::post().to(send_webhook))
        .route("/faults", web::post().to(add_fault))
        .route("/faults", web::delete().to(clear_faults))
        .route("/webhook_faults", web::post().to(add_webhook_fault))
        .route("/calls", web::get().to(calls))
        .route("/calls", web::delete().to(reset_calls))
        .route("/deliveries", web::get().to(deliveries))
        .route("/latency", web::post().to(set_latency))
        .route("/seed", web::post().to(seed));
}

impl ResponseError for SimulatorError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::UnknownJob(_) => StatusCode::NOT_FOUND,
            Self::NotManual(_) => StatusCode::CONFLICT,
            Self::Version(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Bind { .. } | Self::Start(_) | Self::Ended | Self::Secret(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).json(json!({"detail": self.to_string()}))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AppendLogs {
    append: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SendWebhook {
    event: WebhookEvent,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetLatency {
    milliseconds: u64,
}

async fn create_job(shared: Data<Shared>, spec: Json<JobSpec>) -> Answer {
    let (_, view) = shared.create(spec.into_inner(), false)?;
    Ok(HttpResponse::Created().json(view))
}

async fn update_job(shared: Data<Shared>, id: Path<String>, update: Json<JobUpdate>) -> Answer {
    shared.update(&id, update.into_inner())?;
    Ok(HttpResponse::NoContent().finish())
}

async fn append_logs(shared: Data<Shared>, id: Path<String>, text: Json<AppendLogs>) -> Answer {
    let append_logs = Some(text.into_inner().append);
    shared.update(&id, JobUpdate { append_logs, ..JobUpdate::default() })?;
    Ok(HttpResponse::NoContent().finish())
}

async fn send_webhook(shared: Data<Shared>, id: Path<String>, body: Json<SendWebhook>) -> Answer {
    shared.send_webhook(&id, body.event)?;
    Ok(HttpResponse::NoContent().finish())
}

async fn add_fault(shared: Data<Shared>, fault: Json<Fault>) -> HttpResponse {
    shared.lock().faults.push(fault.into_inner());
    HttpResponse::NoContent().finish()
}

async fn clear_faults(shared: Data<Shared>) -> HttpResponse {
    shared.lock().faults.clear();
    HttpResponse::NoContent().finish()
}

async fn add_webhook_fault(shared: Data<Shared>, fault: Json<WebhookFault>) -> HttpResponse {
    shared.lock().faults.push_webhook(fault.into_inner());
    HttpResponse::NoContent().finish()
}

async fn calls(shared: Data<Shared>) -> HttpResponse {
    let calls = shared.lock().calls.clone();
    HttpResponse::Ok().json(calls)
}

async fn reset_calls(shared: Data<Shared>) -> HttpResponse {
    shared.lock().calls.clear();
    HttpResponse::NoContent().finish()
}

async fn deliveries(shared: Data<Shared>) -> HttpResponse {
    let deliveries = shared.lock().deliveries.all();
    HttpResponse::Ok().json(deliveries)
}

async fn set_latency(shared: Data<Shared>, latency: Json<SetLatency>) -> HttpResponse {
    shared.lock().latency = Duration::from_millis(latency.milliseconds);
    HttpResponse::NoContent().finish()
}

async fn seed(shared: Data<Shared>, plan: Json<Seed>) -> HttpResponse {
    HttpResponse::Created().json(json!({"ids": shared.seed(&plan)}))
}
