//! Cog: a runtime of one's own at a URL, the one that Replicate runs as well.
//!
//! It runs one job at a time, whose identifier it takes from us. It keeps no list, and nothing can be read of
//! a job: it tells by webhooks alone, which it does not sign. Of itself it says whether it runs anything.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use futures_util::future::LocalBoxFuture;
use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use url::{Host, Url};

use super::caller::{Caller, CallerHealth, CallerOptions, HealthListener, Urgency};
use super::log_readers::LogReaders;
use super::registry::{Capabilities, Connection, ProviderSetup, WebhookSetup};
use super::replicate::{Heard, Prediction};
use super::{
    Account, Answer, JobList, NewJob, Provider, ProviderError, Recalled, SharedProvider, Snapshot,
    SubmitError,
};
use crate::config::{self, Config};
use crate::domain::job::JobId;
use crate::domain::model_filter::ModelFilter;
use crate::domain::observation::{Observation, Source};
use crate::domain::submission::tagged;
use crate::domain::timestamp::{self, Timestamp};

/// The name of the provider in routes and jobs.
pub const NAME: &str = "cog";
/// The name of the provider for people.
pub const TITLE: &str = "Cog runtime";

/// How long a webhook may take to tell of a submission whose answer was lost.
const SETTLE: Duration = Duration::from_secs(10);

/// The runtime that the configuration names.
pub(super) fn connection(config: &Config, readers: &Arc<LogReaders>) -> Connection {
    let (network, readers) = (config.network.clone(), readers.clone());
    let config = config.providers.cog.clone();
    let setup = ProviderSetup {
        name: NAME,
        title: TITLE,
        set_up_by: "providers.cog.base_url",
        is_set_up: config.base_url.is_some(),
        token: None,
        has_hub_token: None,
        capabilities: Capabilities {
            lists_jobs: false,
            submits: true,
            chooses_model: false,
            webhooks: true,
            trainings: false,
        },
        timeout: Duration::from_secs(config.request_timeout_seconds),
        settle: SETTLE,
        models: ModelFilter::everything(),
        webhooks: WebhookSetup {
            url: config.webhook_url.clone(),
            url_is_rewritten: config.webhook_url_is_rewritten,
            follows: None,
            secret: None,
            requires_signature: false,
            allowed_ips: senders(&config),
        },
    };
    let connect = move |listener: HealthListener| -> Vec<SharedProvider> {
        match &config.base_url {
            Some(url) => {
                let timeout = Duration::from_secs(config.request_timeout_seconds);
                vec![Rc::new(Cog::new(url.as_str(), timeout, network, readers, listener))]
            }
            None => Vec::new(),
        }
    };
    Connection { providers: vec![setup], connect: Box::new(connect) }
}

/// Whose webhooks are believed. They carry no signature, so never everybody's: what the configuration says,
/// or else this machine's and those of the runtime, where its URL says its address.
fn senders(config: &config::Cog) -> Vec<IpNet> {
    if !config.webhook_allowed_ips.is_empty() {
        return config.webhook_allowed_ips.clone();
    }
    let url = config.base_url.as_ref().and_then(|url| Url::parse(url.as_str()).ok());
    let runtime = match url.as_ref().and_then(Url::host) {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(address.to_canonical()),
        Some(Host::Domain(_)) | None => None,
    };
    let loopback =
        ["127.0.0.0/8", "::1/128"].into_iter().filter_map(|network| network.parse().ok());
    loopback.chain(runtime.map(IpNet::from)).collect()
}

/// A runtime.
struct Cog {
    caller: Caller,
    readers: Arc<LogReaders>,
}

/// What a runtime does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Nothing,
    /// It runs something, and does not say what.
    Something,
}

impl Cog {
    fn new(
        base_url: &str,
        timeout: Duration,
        network: config::Network,
        readers: Arc<LogReaders>,
        health_listener: HealthListener,
    ) -> Self {
        let caller = Caller::new(CallerOptions {
            base_url: base_url.to_owned(),
            token: None,
            missing_token: None,
            timeout,
            // It is one's own, and has no limit.
            rate_limit_share: 1.0,
            headers: &[("prefer", "respond-async")],
            network,
            health_listener,
        });
        Self { caller, readers }
    }

    async fn look(&self) -> Result<(Doing, Health), ProviderError> {
        let health: Health =
            self.caller.call(Method::GET, "/health-check", Urgency::Urgent).await?;
        match health.status.as_str() {
            "READY" => Ok((Doing::Nothing, health)),
            "BUSY" => Ok((Doing::Something, health)),
            // It starts, or has failed to: what ran before is not running, and may be again.
            word => Err(ProviderError::Untold(format!("the runtime is {word}"))),
        }
    }

    fn read(&self, prediction: Prediction, asked_at: Timestamp) -> Snapshot {
        let heard = Heard {
            provider: NAME,
            source: Source::Queue,
            at: timestamp::now(),
            asked_at: Some(asked_at),
        };
        prediction.into_snapshot(heard, &self.readers)
    }

    /// Asks for a job by beginning it under the identifier that it has: a runtime that runs it answers with
    /// the job as it is. One that became idle a moment ago would begin it, so the inputs are such that nothing
    /// can run with them, and what has begun is ended.
    async fn ask_again(&self, job_id: &JobId) -> Result<Recalled, ProviderError> {
        let path = path_of(&provider_job_id(job_id));
        let asked_at = timestamp::now();
        let nothing = json!({"input": []});
        let answer = self.caller.send_once(Method::PUT, &path, &nothing).await;
        let answer: Value = match answer {
            Err(ProviderError::Refused { status: 409, .. }) => return Ok(Recalled::NotRunning),
            answer => answer?,
        };
        // Only of a job that was there before are the inputs shown.
        if !answer.get("input").is_some_and(Value::is_object) {
            self.end(&path).await?;
            return Ok(Recalled::NotRunning);
        }
        let prediction = serde_json::from_str(&answer.to_string())
            .map_err(|error| ProviderError::Garbled(error.to_string()))?;
        Ok(Recalled::Taken(Box::new(self.read(prediction, asked_at))))
    }

    /// Ends the job at this path; it is no error where it has ended by itself.
    async fn end(&self, path: &str) -> Result<(), ProviderError> {
        let path = format!("{path}/cancel");
        match self.caller.call::<Value>(Method::POST, &path, Urgency::Urgent).await {
            Ok(_) | Err(ProviderError::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Provider for Cog {
    fn name(&self) -> &'static str {
        NAME
    }

    fn list(&self) -> Option<&dyn JobList> {
        None
    }

    fn account(&self) -> Answer<'_, Account> {
        Box::pin(async {
            let (_, health) = self.look().await?;
            let version = health.version.and_then(|version| version.coglet).unwrap_or_default();
            Ok(Account {
                username: format!("cog {version}").trim_end().to_owned(),
                kind: None,
                name: Some(TITLE.to_owned()),
                github_url: None,
            })
        })
    }

    /// A runtime that runs nothing has lost the job. One that runs something may run it.
    fn job<'a>(&'a self, _: &'a str) -> Answer<'a, Snapshot> {
        Box::pin(async {
            Err(match self.look().await? {
                (Doing::Nothing, _) => ProviderError::NotFound("the runtime is idle".to_owned()),
                (Doing::Something, _) => ProviderError::Untold(
                    "the runtime runs a job, and tells by webhooks".to_owned(),
                ),
            })
        })
    }

    fn submit<'a>(&'a self, job: &'a NewJob) -> LocalBoxFuture<'a, Result<Snapshot, SubmitError>> {
        Box::pin(async move {
            let mut body = json!({"input": job.order.input(&job.job_id, &job.secrets)});
            if let Some(url) = &job.order.webhook_url {
                body["webhook"] = tagged(url, &job.job_id).as_str().into();
                // The log comes whole each time. It does not come far, and there is no other way to it.
                body["webhook_events_filter"] = json!(["start", "logs", "completed"]);
            }
            let path = path_of(&provider_job_id(&job.job_id));
            let asked_at = timestamp::now();
            match self.caller.send_once(Method::PUT, &path, &body).await {
                Ok(prediction) => Ok(self.read(prediction, asked_at)),
                Err(ProviderError::Refused { status: 409, .. }) => {
                    let words = "the runtime runs another job".to_owned();
                    Err(ProviderError::Occupied(words).into())
                }
                Err(error) => {
                    let may_be_taken = error.leaves_open();
                    Err(SubmitError { error, may_be_taken })
                }
            }
        })
    }

    fn recall<'a>(&'a self, job_id: &'a JobId) -> Answer<'a, Recalled> {
        Box::pin(async move {
            match self.look().await? {
                (Doing::Nothing, _) => Ok(Recalled::NotRunning),
                (Doing::Something, _) => self.ask_again(job_id).await,
            }
        })
    }

    fn cancel<'a>(&'a self, provider_job_id: &'a str) -> Answer<'a, Snapshot> {
        Box::pin(async move {
            let path = format!("{}/cancel", path_of(provider_job_id));
            let answer = self.caller.call::<Value>(Method::POST, &path, Urgency::Urgent).await;
            match answer {
                // That it has ended is told by a webhook.
                Ok(_) => Ok(Snapshot {
                    observation: Observation::silent(
                        NAME,
                        provider_job_id,
                        Source::User,
                        timestamp::now(),
                    ),
                    log: None,
                }),
                Err(ProviderError::Refused { status: 404, .. }) => {
                    Err(ProviderError::NotFound("the runtime does not run it".to_owned()))
                }
                Err(error) => Err(error),
            }
        })
    }

    fn webhook_secret(&self) -> Answer<'_, SecretString> {
        Box::pin(async { Err(ProviderError::Unsupported("a Cog runtime signs no webhooks")) })
    }

    fn health(&self) -> CallerHealth {
        self.caller.health()
    }
}

#[derive(Deserialize)]
struct Health {
    status: String,
    version: Option<Version>,
}

#[derive(Deserialize)]
struct Version {
    coglet: Option<String>,
}

/// What the runtime is to call a job of ours. It is not our own identifier, by which jobs are known that were
/// begun elsewhere.
fn provider_job_id(job_id: &JobId) -> String {
    format!("job-{job_id}")
}

fn path_of(provider_job_id: &str) -> String {
    let id: String = url::form_urlencoded::byte_serialize(provider_job_id.as_bytes()).collect();
    format!("/predictions/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn takes_from(base_url: &str, allowed: &str, sender: &str) -> bool {
        let sources = Sources::from_environment([
            ("JOBSYNCD__DATABASE__URL", "sqlite:///tmp/x.db"),
            ("JOBSYNCD__PROVIDERS__COG__BASE_URL", base_url),
            ("JOBSYNCD__PROVIDERS__COG__WEBHOOK_ALLOWED_IPS", allowed),
        ]);
        let config = Config::load(&sources).expect("a good configuration").providers.cog;
        let sender: IpAddr = sender.parse().expect("an address");
        senders(&config).iter().any(|network| network.contains(&sender))
    }

    #[test]
    fn unsigned_webhooks_are_taken_from_this_machine_and_the_runtimes_alone() {
        let runtime = "http://10.0.0.5:5000";
        assert!(takes_from(runtime, "", "10.0.0.5") && takes_from(runtime, "", "127.0.0.1"));
        assert!(!takes_from(runtime, "", "10.0.0.6"));
        assert!(takes_from("http://[fd00::1]:5000", "", "fd00::1"));
        assert!(!takes_from("http://gpu.example:5000", "", "10.0.0.5"));
        assert!(takes_from("http://gpu.example:5000", "10.0.0.0/24", "10.0.0.5"));
        assert!(!takes_from(runtime, "10.1.0.0/24", "127.0.0.1"));
    }
}
