//! Making a job again: of what it was made of before, or of what is kept under a name.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Json, Payload};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Gateway;
use super::config_folder::{self, LoadedConfig};
use super::error::{ApiError, quoted};
use super::job_path::JobPath;
use super::query::read_json;
use super::submit::{self, new_job_id};
use crate::actors::job_reader::Read;
use crate::actors::job_reader::queue::{GetNewestSubmission, GetSubmission, Submission};
use crate::actors::poller::GetWebhookUrl;
use crate::db::queue::NewSubmission;
use crate::domain::submission::{Order, SecretInputs};

/// What may be said of a job that is made again.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RetryRequest {
    /// The secrets that it takes, by the names by which they are missing.
    secrets: Map<String, Value>,
    idempotency_key: Option<String>,
}

/// `POST /api/cloud/jobs/{id}/retry`
///
/// The new job has the name, the user, the urgency and the inputs of the old one.
pub(super) async fn retry(
    request: HttpRequest,
    payload: Payload,
    id: JobPath,
    gateway: Data<Gateway>,
) -> Result<Json<Value>, ApiError> {
    let asked: RetryRequest = read_json(&request, payload).await?.unwrap_or_default();
    let question = Read(GetSubmission(id.0.clone()));
    let found = gateway.asker.ask(&gateway.reader, question).await?;
    let Submission { job, entry, order } = found.ok_or(ApiError::NoOrder(id.0))?;
    if job.status.is_active() {
        return Err(ApiError::NotEnded { job_id: job.job_id, status: job.status });
    }
    let setup = gateway.provider(&job.provider)?.setup.clone();
    let secrets = secrets_again(&order, &asked.secrets)?;
    let question = GetWebhookUrl { provider: setup.name };
    let webhook_url = gateway.asker.ask(&gateway.poller, question).await?;
    let warning = submit::spending_warning(&gateway).await?;
    let new = NewSubmission {
        job_id: new_job_id(),
        provider: job.provider,
        // Where webhooks come may have changed since then.
        order: Order { webhook_url: webhook_url.or(order.webhook_url), ..order },
        config_name: job.config_name,
        user_id: job.user_id,
        priority: entry.priority,
        max_attempts: entry.max_attempts,
        idempotency_key: submit::text("idempotency_key", asked.idempotency_key)?,
        estimated_cost_micro_usd: None,
    };
    submit::enqueue(&gateway, new, secrets, warning, Vec::new()).await
}

/// The secrets of an order, as they are given again.
pub(super) fn secrets_again(
    order: &Order,
    given: &Map<String, Value>,
) -> Result<SecretInputs, ApiError> {
    order.secrets_given_again(given).map_err(|missing| ApiError::SecretsMissing { missing })
}

/// What is kept under a name.
pub(super) enum Kept {
    /// A configuration of SimpleTuner's on this machine.
    Config(Box<LoadedConfig>),
    /// What the newest job of that name was made of.
    Order(Box<Order>),
}

/// Looks up what is kept under a name: in the folder of configurations, where there is one, since people change
/// them there; else the newest submission to the provider.
pub(super) async fn kept(
    gateway: &Gateway,
    provider: &'static str,
    name: &str,
) -> Result<Kept, ApiError> {
    if let Some(folder) = gateway.config.simpletuner.config_folder.clone() {
        let name = name.to_owned();
        let loaded = web::block(move || config_folder::load(&folder, &name)).await;
        if let Some(config) = loaded.map_err(|_| ApiError::Busy)?? {
            return Ok(Kept::Config(Box::new(config)));
        }
    }
    let question = GetNewestSubmission { provider, config_name: name.to_owned() };
    match gateway.asker.ask(&gateway.reader, Read(question)).await? {
        Some(Submission { order, .. }) => Ok(Kept::Order(Box::new(order))),
        None => Err(ApiError::BadValue {
            field: "config_name_to_load".to_owned(),
            problem: format!(
                "nothing is kept under {}: no job of that name was submitted to {provider} here, and it is not in \
                 simpletuner.config_folder; send the whole of it as config",
                quoted(name)
            ),
        }),
    }
}
