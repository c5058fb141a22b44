//! The provider's routes, under `/v1`.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::catalog;
use super::create::{self, Target};
use super::ledger::{Cursor, PageQuery};
use super::problem::{InvalidField, Problem};
use super::state::Shared;
use super::status::JobKind;
use super::view::{JobView, timestamp};

type Answer = Result<HttpResponse, Problem>;

/// The largest body a create may have.
const BODY_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// All routes; what is none of them is answered by a problem, too.
pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .app_data(web::PayloadConfig::new(BODY_LIMIT_BYTES))
        .route("/account", web::get().to(account))
        .route("/hardware", web::get().to(hardware))
        .route("/webhooks/default/secret", web::get().to(webhook_secret))
        .route("/predictions", web::get().to(list_predictions))
        .route("/predictions", web::post().to(create_prediction))
        .route("/predictions/{id}", web::get().to(get_prediction))
        .route("/predictions/{id}/cancel", web::post().to(cancel_prediction))
        .route("/trainings", web::get().to(list_trainings))
        .route("/trainings/{id}", web::get().to(get_training))
        .route("/trainings/{id}/cancel", web::post().to(cancel_training))
        .route("/models/{owner}/{name}", web::get().to(get_model))
        .route("/models/{owner}/{name}/predictions", web::post().to(create_with_model))
        .route("/deployments/{owner}/{name}/predictions", web::post().to(create_with_deployment))
        .route("/models/{owner}/{name}/versions", web::get().to(list_versions))
        .route("/models/{owner}/{name}/versions/{version}", web::get().to(get_version))
        .route(
            "/models/{owner}/{name}/versions/{version}/trainings",
            web::post().to(create_training),
        )
        .default_service(web::to(no_route));
}

async fn no_route() -> Answer {
    Err(Problem::NotFound)
}

async fn account() -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "type": "organization",
        "username": catalog::USERNAME,
        "name": "Acme Corp",
        "github_url": "https://github.com/acme",
        "avatar_url": null,
    }))
}

async fn hardware() -> HttpResponse {
    let list: Vec<Value> =
        catalog::HARDWARE.iter().map(|(name, sku)| json!({"name": name, "sku": sku})).collect();
    HttpResponse::Ok().json(list)
}

async fn webhook_secret(shared: Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"key": shared.options.webhook_secret}))
}

async fn create_prediction(shared: Data<Shared>, request: HttpRequest, body: Bytes) -> Answer {
    create(&shared, &request, &body, Target::InBody).await
}

async fn create_with_model(
    shared: Data<Shared>,
    path: Path<(String, String)>,
    request: HttpRequest,
    body: Bytes,
) -> Answer {
    let (owner, name) = path.into_inner();
    create(&shared, &request, &body, Target::Model(format!("{owner}/{name}"))).await
}

/// Deployments are not modelled: each stands for the default trainer.
async fn create_with_deployment(shared: Data<Shared>, request: HttpRequest, body: Bytes) -> Answer {
    create(&shared, &request, &body, Target::Model(catalog::DEFAULT_MODEL.to_owned())).await
}

async fn create_training(
    shared: Data<Shared>,
    path: Path<(String, String, String)>,
    request: HttpRequest,
    body: Bytes,
) -> Answer {
    let (owner, name, version) = path.into_inner();
    create(&shared, &request, &body, Target::Training(format!("{owner}/{name}:{version}"))).await
}

async fn create(shared: &Shared, request: &HttpRequest, body: &[u8], target: Target) -> Answer {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let options = &shared.options;
    let spec =
        create::read(body, target, header("cancel-after"), options.allow_loopback_http_webhooks)
            .map_err(Problem::Invalid)?;
    let created = shared.create(spec, options.not_found_once_after_create);
    let (id, view) = created.map_err(|error| {
        Problem::Invalid(vec![InvalidField {
            kind: "invalid",
            field: "version",
            description: error.to_string(),
        }])
    })?;
    let Some(wait) = header("prefer").and_then(create::wait) else {
        return Ok(HttpResponse::Created().json(view));
    };
    let has_ended = wait_for_end(shared, &id, wait).await;
    let status = if has_ended { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    let view = shared.peek(&id).unwrap_or(view);
    Ok(HttpResponse::build(status).json(view))
}

/// Waits until the job has ended; answers whether it did within `limit`.
async fn wait_for_end(shared: &Shared, id: &str, limit: Duration) -> bool {
    let limit_at = tokio::time::Instant::now() + limit;
    let mut revisions = shared.revision.subscribe();
    loop {
        let (has_ended, ends_at) = shared.end_of(id);
        if has_ended {
            return true;
        }
        let own_end = ends_at.map_or(limit, |at| (at - Utc::now()).to_std().unwrap_or_default());
        tokio::select! {
            () = tokio::time::sleep_until(limit_at) => return false,
            () = tokio::time::sleep(own_end) => {}
            changed = revisions.changed() => if changed.is_err() { return false },
        }
    }
}

async fn get_prediction(shared: Data<Shared>, id: Path<String>) -> Answer {
    found(shared.show(JobKind::Prediction, &id))
}

async fn get_training(shared: Data<Shared>, id: Path<String>) -> Answer {
    found(shared.show(JobKind::Training, &id))
}

async fn cancel_prediction(shared: Data<Shared>, id: Path<String>) -> Answer {
    found(shared.cancel(JobKind::Prediction, &id))
}

async fn cancel_training(shared: Data<Shared>, id: Path<String>) -> Answer {
    found(shared.cancel(JobKind::Training, &id))
}

fn found(view: Option<JobView>) -> Answer {
    view.map(|view| HttpResponse::Ok().json(view)).ok_or(Problem::NotFound)
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    cursor: Option<String>,
    created_after: Option<String>,
    created_before: Option<String>,
}

async fn list_predictions(shared: Data<Shared>, query: Query<ListQuery>) -> Answer {
    list(&shared, JobKind::Prediction, "predictions", &query)
}

async fn list_trainings(shared: Data<Shared>, query: Query<ListQuery>) -> Answer {
    list(&shared, JobKind::Training, "trainings", &query)
}

fn list(shared: &Shared, kind: JobKind, name: &str, query: &ListQuery) -> Answer {
    let cursor = query.cursor.as_deref().map(|text| Cursor::decode(text).ok_or(Problem::NotFound));
    let page = PageQuery {
        cursor: cursor.transpose()?,
        created_after: time("created_after", query.created_after.as_deref())?,
        created_before: time("created_before", query.created_before.as_deref())?,
    };
    let view = shared.page(kind, &page);
    let url =
        |cursor: Option<Cursor>| cursor.map(|cursor| neighbour_url(shared, name, query, cursor));
    Ok(HttpResponse::Ok().json(ListAnswer {
        previous: url(view.previous),
        next: url(view.next),
        results: view.results,
    }))
}

#[derive(Debug, Serialize)]
struct ListAnswer {
    previous: Option<String>,
    next: Option<String>,
    results: Vec<JobView>,
}

/// The full URL of a neighbouring page, with the filters of this one.
fn neighbour_url(shared: &Shared, name: &str, query: &ListQuery, cursor: Cursor) -> String {
    let mut parameters = url::form_urlencoded::Serializer::new(String::new());
    parameters.append_pair("cursor", &cursor.encode());
    let filters =
        [("created_after", &query.created_after), ("created_before", &query.created_before)];
    for (key, value) in filters {
        parameters.extend_pairs(value.iter().map(|value| (key, value)));
    }
    format!("{}/{name}?{}", shared.site.base_url, parameters.finish())
}

fn time(field: &'static str, text: Option<&str>) -> Result<Option<DateTime<Utc>>, Problem> {
    let Some(text) = text else { return Ok(None) };
    match DateTime::parse_from_rfc3339(text) {
        Ok(at) => Ok(Some(at.to_utc())),
        Err(error) => {
            let description = format!("`{text}`: {error}");
            Err(Problem::Invalid(vec![InvalidField { kind: "invalid", field, description }]))
        }
    }
}

async fn get_model(path: Path<(String, String)>) -> Answer {
    let (owner, name) = path.into_inner();
    let model = known_model(&owner, &name)?;
    Ok(HttpResponse::Ok().json(json!({
        "url": format!("https://replicate.com/{model}"),
        "owner": owner,
        "name": name,
        "description": "Train diffusion models with SimpleTuner",
        "visibility": "public",
        "github_url": "https://github.com/bghira/SimpleTuner",
        "paper_url": null,
        "license_url": null,
        "run_count": 4211,
        "cover_image_url": null,
        "default_example": null,
        "latest_version": version(&model),
    })))
}

async fn list_versions(path: Path<(String, String)>) -> Answer {
    let (owner, name) = path.into_inner();
    let model = known_model(&owner, &name)?;
    Ok(HttpResponse::Ok()
        .json(json!({"previous": null, "next": null, "results": [version(&model)]})))
}

async fn get_version(path: Path<(String, String, String)>) -> Answer {
    let (owner, name, id) = path.into_inner();
    let model = known_model(&owner, &name)?;
    if catalog::version_of(&model) != id {
        return Err(Problem::NotFound);
    }
    Ok(HttpResponse::Ok().json(version(&model)))
}

fn known_model(owner: &str, name: &str) -> Result<String, Problem> {
    let model = format!("{owner}/{name}");
    if catalog::is_known(&model) { Ok(model) } else { Err(Problem::NotFound) }
}

fn version(model: &str) -> Value {
    json!({
        "id": catalog::version_of(model),
        "created_at": timestamp(catalog::released_at()),
        "cog_version": "0.16.9",
        "openapi_schema": {"openapi": "3.0.2", "info": {"title": "Cog", "version": "0.1.0"}},
    })
}
