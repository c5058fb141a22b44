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
use super::token::SharedToken;
use super::{
    Account, Answer, CandidatePage, JobList, NewJob, Page, Provider, ProviderError, SharedProvider,
    Snapshot, SubmitError,
};
use crate::config::{self, Config};
use crate::domain::observation::Source;
use crate::domain::timestamp::{self, Timestamp};

/// The name of the predictions in routes and jobs.
pub const NAME: &str = "replicate";
/// The name of the provider for people.
pub const TITLE: &str = "Replicate";
/// Where the provider tells people how it is.
pub const STATUS_PAGE: &str = "https://www.replicatestatus.com";
/// The name of the trainings in routes and jobs.
pub const TRAININGS: &str = "replicate-trainings";

/// The account at Replicate that the configuration names.
pub(super) fn connection(config: &Config, readers: &Arc<LogReaders>) -> Connection {
    let (network, readers) = (config.network.clone(), readers.clone());
    let config = config.providers.replicate.clone();
    let token = SharedToken::open(config.api_token.clone(), config.token_file.clone());
    let setup = |kind: Kind| ProviderSetup {
        name: kind.name(),
        title: kind.title(),
        set_up_by: match kind {
            Kind::Predictions => "providers.replicate.api_token",
            Kind::Trainings => "providers.replicate.trainings",
        },
        // Predictions are there also without a token, and say so.
        is_set_up: kind == Kind::Predictions || config.trainings,
        token: Some(token.clone()),
        has_hub_token: Some(config.hf_token.is_some()),
        capabilities: Capabilities {
            lists_jobs: true,
            submits: true,
            chooses_model: true,
            webhooks: true,
            trainings: kind == Kind::Trainings,
        },
        timeout: Duration::from_secs(config.request_timeout_seconds),
        settle: Duration::from_secs(config.submit_settle_seconds),
        models: config.models.clone(),
        webhooks: WebhookSetup {
            url: config.webhook_url.clone().filter(|_| kind == Kind::Predictions),
            url_is_rewritten: config.webhook_url_is_rewritten,
            follows: (kind == Kind::Trainings).then_some(NAME),
            secret: config.webhook_secret.clone(),
            requires_signature: config.webhook_require_signature,
            allowed_ips: config.webhook_allowed_ips.clone(),
        },
    };
    let providers = vec![setup(Kind::Predictions), setup(Kind::Trainings)];
    let connect = move |listener: HealthListener| {
        let account = Rc::new(ReplicateAccount::new(&config, network, token, readers, listener));
        let kinds = [Kind::Predictions, Kind::Trainings].into_iter();
        let set_up = kinds.filter(|kind| *kind == Kind::Predictions || config.trainings);
        set_up
            .map(|kind| -> SharedProvider { Rc::new(Replicate { kind, account: account.clone() }) })
            .collect()
    };
    Connection { providers, connect: Box::new(connect) }
}

/// Which of an account's jobs. They have the same form, on lists of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Predictions,
    Trainings,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Predictions => NAME,
            Self::Trainings => TRAININGS,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Predictions => TITLE,
            Self::Trainings => "Replicate trainings",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Predictions => "/predictions",
            Self::Trainings => "/trainings",
        }
    }
}

/// What the predictions and the trainings of an account share: above all the caller, because the rate limit
/// is the account's, and because an outage is one of both.
struct ReplicateAccount {
    caller: Caller,
    readers: Arc<LogReaders>,
    /// The input in which each job gets our identifier.
    submission_input: Option<String>,
    /// The token of Hugging Face that trainings get.
    hub_token: Option<SecretString>,
}

impl ReplicateAccount {
    /// Opens no connection yet. Create it in the arbiter that will use it.
    fn new(
        config: &config::Replicate,
        network: config::Network,
        token: SharedToken,
        readers: Arc<LogReaders>,
        health_listener: HealthListener,
    ) -> Self {
        let caller = Caller::new(CallerOptions {
            base_url: config.base_url.as_str().to_owned(),
            token: Some(token),
            missing_token: Some(ProviderError::NoToken {
                provider: TITLE,
                variable: "REPLICATE_API_TOKEN",
            }),
            timeout: Duration::from_secs(config.request_timeout_seconds),
            rate_limit_share: config.rate_limit_share,
            headers: &[],
            network,
            health_listener,
        });
        Self {
            caller,
            readers,
            submission_input: config.submission_input.clone(),
            hub_token: config.hf_token.clone(),
        }
    }
}

/// The predictions, or the trainings, of an account at Replicate.
struct Replicate {
    kind: Kind,
    account: Rc<ReplicateAccount>,
}

impl Replicate {
    async fn prediction(
        &self,
        method: Method,
        path: String,
        urgency: Urgency,
    ) -> Result<Snapshot, ProviderError> {
        let asked_at = Some(timestamp::now());
        let prediction: Prediction = self.account.caller.call(method, &path, urgency).await?;
        Ok(prediction.into_snapshot(self.heard(Source::Poll, asked_at), &self.account.readers))
    }

    fn heard(&self, source: Source, asked_at: Option<Timestamp>) -> Heard {
        Heard { provider: self.kind.name(), source, at: timestamp::now(), asked_at }
    }
}

impl Provider for Replicate {
    fn name(&self) -> &'static str {
        self.kind.name()
    }

    fn account(&self) -> Answer<'_, Account> {
        Box::pin(async {
            let account: WireAccount =
                self.account.caller.call(Method::GET, "/account", Urgency::Urgent).await?;
            Ok(Account {
                username: account.username,
                kind: account.kind,
                name: account.name,
                github_url: account.github_url,
            })
        })
    }

    fn job<'a>(&'a self, provider_job_id: &'a str) -> Answer<'a, Snapshot> {
        let path = format!("{}/{}", self.kind.path(), escaped(provider_job_id));
        Box::pin(self.prediction(Method::GET, path, Urgency::Routine))
    }

    fn list(&self) -> Option<&dyn JobList> {
        Some(self)
    }

    fn submit<'a>(&'a self, job: &'a NewJob) -> LocalBoxFuture<'a, Result<Snapshot, SubmitError>> {
        Box::pin(async move {
            let (path, version) = self.address(&job.order.target).await?;
            let body = self.create_body(job, version);
            let asked_at = Some(timestamp::now());
            let answer: Result<Prediction, _> =
                self.account.caller.send_once(Method::POST, &path, &body).await;
            let prediction = answer.map_err(|error| {
                let may_be_taken = error.leaves_open();
                SubmitError { error, may_be_taken }
            })?;
            let heard = self.heard(Source::Queue, asked_at);
            Ok(prediction.into_snapshot(heard, &self.account.readers))
        })
    }

    fn cancel<'a>(&'a self, provider_job_id: &'a str) -> Answer<'a, Snapshot> {
        let path = format!("{}/{}/cancel", self.kind.path(), escaped(provider_job_id));
        Box::pin(async move {
            let mut snapshot = self.prediction(Method::POST, path, Urgency::Urgent).await?;
            // It is answered before the run has stopped, which may still print.
            snapshot.observation.logs = None;
            Ok(snapshot)
        })
    }

    fn webhook_secret(&self) -> Answer<'_, SecretString> {
        Box::pin(async {
            let (path, caller) = ("/webhooks/default/secret", &self.account.caller);
            let secret: WireSecret = caller.call(Method::GET, path, Urgency::Urgent).await?;
            Ok(secret.key)
        })
    }

    fn health(&self) -> CallerHealth {
        self.account.caller.health()
    }
}

impl JobList for Replicate {
    fn page<'a>(&'a self, cursor: Option<&'a str>) -> Answer<'a, Page> {
        Box::pin(async move {
            let path = match cursor {
                Some(cursor) => format!("{}?cursor={}", self.kind.path(), escaped(cursor)),
                None => self.kind.path().to_owned(),
            };
            let Self { kind, account } = self;
            let page: PredictionPage =
                account.caller.call(Method::GET, &path, Urgency::Routine).await?;
            Ok(page.into_page(cursor, kind.name(), timestamp::now(), &account.readers))
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
            let path = format!("{}?{}", self.kind.path(), query.finish());
            let account = &self.account;
            let page: PredictionPage =
                account.caller.call(Method::GET, &path, Urgency::Urgent).await?;
            page.into_candidates(cursor, since, account.submission_input.as_deref())
        })
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
