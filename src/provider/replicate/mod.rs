//! Replicate: its routes, and in the files beside this one its wire types and how jobs begin
//! (`provider.md`).

mod prediction;
mod submit;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use futures_util::future::LocalBoxFuture;
use secrecy::SecretString;
use serde::Deserialize;

pub use self::prediction::{Heard, Prediction, PredictionPage, status_of};
pub(super) use self::prediction::{is_plausible_id, output_url};
use super::caller::{Caller, CallerHealth, CallerOptions, HealthListener, Urgency};
use super::log_readers::LogReaders;
use super::registry::{Capabilities, Connection, ProviderSetup, WebhookSetup};
use super::{
    Account, Answer, CandidatePage, NewJob, Page, Provider, ProviderError, Snapshot, SubmitError,
};
use crate::config::{self, Config};
use crate::domain::observation::Source;
use crate::domain::timestamp::{self, Timestamp};

/// The name of the provider in routes and jobs.
pub const NAME: &str = "replicate";
/// The name of the provider for people.
pub const TITLE: &str = "Replicate";

/// The account at Replicate that the configuration names.
pub(super) fn connection(config: &Config, readers: &Arc<LogReaders>) -> Connection {
    let (config, readers) = (config.providers.replicate.clone(), readers.clone());
    let predictions = ProviderSetup {
        name: NAME,
        title: TITLE,
        set_up_by: "providers.replicate.api_token",
        // Without a token it is there, and says so.
        is_set_up: true,
        has_token: config.api_token.is_some(),
        capabilities: Capabilities {
            lists_jobs: true,
            submits: true,
            webhooks: true,
            trainings: false,
        },
        timeout: Duration::from_secs(config.request_timeout_seconds),
        settle: Duration::from_secs(config.submit_settle_seconds),
        models: config.models.clone(),
        webhooks: WebhookSetup {
            url: config.webhook_url.clone(),
            follows: None,
            secret: config.webhook_secret.clone(),
            requires_signature: config.webhook_require_signature,
            allowed_ips: config.webhook_allowed_ips.clone(),
        },
    };
    Connection {
        providers: vec![predictions],
        connect: Box::new(move |listener| {
            vec![Rc::new(Replicate::new(&config, readers, listener))]
        }),
    }
}

/// The account at Replicate that the configuration names.
pub struct Replicate {
    caller: Caller,
    readers: Arc<LogReaders>,
    /// The input in which each job gets our identifier.
    submission_input: Option<String>,
    /// The token of Hugging Face that trainings get.
    hub_token: Option<SecretString>,
}

impl Replicate {
    /// Opens no connection yet. Create it in the arbiter that will use it.
    pub fn new(
        config: &config::Replicate,
        readers: Arc<LogReaders>,
        health_listener: HealthListener,
    ) -> Self {
        let caller = Caller::new(CallerOptions {
            base_url: config.base_url.as_str().to_owned(),
            token: config.api_token.clone(),
            missing_token: ProviderError::NoToken {
                provider: TITLE,
                variable: "REPLICATE_API_TOKEN",
            },
            timeout: Duration::from_secs(config.request_timeout_seconds),
            rate_limit_share: config.rate_limit_share,
            health_listener,
        });
        Self {
            caller,
            readers,
            submission_input: config.submission_input.clone(),
            hub_token: config.hf_token.clone(),
        }
    }

    async fn prediction(
        &self,
        method: Method,
        path: String,
        urgency: Urgency,
    ) -> Result<Snapshot, ProviderError> {
        let asked_at = Some(timestamp::now());
        let prediction: Prediction = self.caller.call(method, &path, urgency).await?;
        let heard = Heard { source: Source::Poll, at: timestamp::now(), asked_at };
        Ok(prediction.into_snapshot(heard, &self.readers))
    }
}

impl Provider for Replicate {
    fn name(&self) -> &'static str {
        NAME
    }

    fn account(&self) -> Answer<'_, Account> {
        Box::pin(async {
            let account: WireAccount =
                self.caller.call(Method::GET, "/account", Urgency::Urgent).await?;
            Ok(Account {
                username: account.username,
                kind: account.kind,
                name: account.name,
                github_url: account.github_url,
            })
        })
    }

    fn job<'a>(&'a self, provider_job_id: &'a str) -> Answer<'a, Snapshot> {
        let path = format!("/predictions/{}", escaped(provider_job_id));
        Box::pin(self.prediction(Method::GET, path, Urgency::Routine))
    }

    fn page<'a>(&'a self, cursor: Option<&'a str>) -> Answer<'a, Page> {
        Box::pin(async move {
            let path = match cursor {
                Some(cursor) => format!("/predictions?cursor={}", escaped(cursor)),
                None => "/predictions".to_owned(),
            };
            let page: PredictionPage =
                self.caller.call(Method::GET, &path, Urgency::Routine).await?;
            Ok(page.into_page(cursor, timestamp::now(), &self.readers))
        })
    }

    fn submit<'a>(&'a self, job: &'a NewJob) -> LocalBoxFuture<'a, Result<Snapshot, SubmitError>> {
        Box::pin(async move {
            let (path, version) = self.address(&job.order.target).await?;
            let body = self.create_body(job, version);
            let asked_at = Some(timestamp::now());
            let answer: Result<Prediction, _> = self.caller.post_once(&path, &body).await;
            let prediction = answer.map_err(|error| {
                let may_be_taken = error.leaves_open();
                SubmitError { error, may_be_taken }
            })?;
            let heard = Heard { source: Source::Queue, at: timestamp::now(), asked_at };
            Ok(prediction.into_snapshot(heard, &self.readers))
        })
    }

    fn candidates<'a>(
        &'a self,
        since: Option<Timestamp>,
        cursor: Option<&'a str>,
    ) -> Answer<'a, CandidatePage> {
        Box::pin(async move {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            if let Some(cursor) = cursor {
                query.append_pair("cursor", cursor);
            }
            if let Some(since) = since {
                query.append_pair("created_after", &since.to_rfc3339());
            }
            let path = format!("/predictions?{}", query.finish());
            let page: PredictionPage =
                self.caller.call(Method::GET, &path, Urgency::Urgent).await?;
            page.into_candidates(cursor, since, self.submission_input.as_deref())
        })
    }

    fn cancel<'a>(&'a self, provider_job_id: &'a str) -> Answer<'a, Snapshot> {
        let path = format!("/predictions/{}/cancel", escaped(provider_job_id));
        Box::pin(async move {
            let mut snapshot = self.prediction(Method::POST, path, Urgency::Urgent).await?;
            // It is answered before the run has stopped, which may still print.
            snapshot.observation.logs = None;
            Ok(snapshot)
        })
    }

    fn webhook_secret(&self) -> Answer<'_, SecretString> {
        Box::pin(async {
            let secret: WireSecret =
                self.caller.call(Method::GET, "/webhooks/default/secret", Urgency::Urgent).await?;
            Ok(secret.key)
        })
    }

    fn health(&self) -> CallerHealth {
        self.caller.health()
    }
}

#[derive(Deserialize)]
struct WireAccount {
    username: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
    github_url: Option<String>,
}

#[derive(Deserialize)]
struct WireSecret {
    key: SecretString,
}

/// A text as a part of a URL.
fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
