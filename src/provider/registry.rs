//! The table of providers: which there are, which of them are set up, and how each is reached.
//!
//! Another one costs its own file, which makes a [`Connection`] of the configuration, and a line in
//! [`CONNECTIONS`]. Everything else, from its actors to its webhooks, follows from what stands here.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use serde::Serialize;
use url::Url;

use super::log_readers::LogReaders;
use super::token::SharedToken;
use super::{HealthListener, SharedProvider, cog, replicate};
use crate::config::Config;
use crate::domain::model_filter::ModelFilter;

/// One line a connection.
const CONNECTIONS: [fn(&Config, &Arc<LogReaders>) -> Connection; 2] =
    [replicate::connection, cog::connection];

/// Every provider there is, by the connections over which they are reached.
pub fn connections(config: &Config, readers: &Arc<LogReaders>) -> Vec<Connection> {
    CONNECTIONS.iter().map(|connection| connection(config, readers)).collect()
}

/// Opens the connection. It is called in the arbiter that will use it, because connections cannot move
/// between threads; the listener is told when the provider goes out of order or comes back.
pub type Connect = Box<dyn FnOnce(HealthListener) -> Vec<SharedProvider> + Send>;

/// Providers that share an account, and with it the rate budget and the circuit breaker.
pub struct Connection {
    /// The providers, also those that are not set up.
    pub providers: Vec<ProviderSetup>,
    /// Makes those that are set up.
    pub connect: Connect,
}

/// What is to be known of a provider without asking it.
#[derive(Debug, Clone)]
pub struct ProviderSetup {
    /// The name in routes and jobs.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// The key of the configuration that sets it up.
    pub set_up_by: &'static str,
    /// Whether it is set up.
    pub is_set_up: bool,
    /// The token that its calls need; None where they need none.
    pub token: Option<SharedToken>,
    /// Whether there is a token of Hugging Face that its jobs get; None where they get none from us.
    pub has_hub_token: Option<bool>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// How long one call may take.
    pub timeout: Duration,
    /// How long its jobs must not show a submission before that is made again.
    pub settle: Duration,
    /// Which models' jobs are tracked.
    pub models: ModelFilter,
    /// How its webhooks are believed.
    pub webhooks: WebhookSetup,
}

impl ProviderSetup {
    /// Whether it has the token that its calls need.
    pub fn has_token(&self) -> bool {
        self.token.as_ref().is_none_or(SharedToken::is_set)
    }
}

/// What a provider can do. It differs enough that nobody should have to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// It has a list of its jobs, so that those of others are found.
    pub lists_jobs: bool,
    /// It takes jobs.
    pub submits: bool,
    /// What runs is chosen by whoever submits; else the provider runs one thing alone.
    pub chooses_model: bool,
    /// It tells of its jobs by itself.
    pub webhooks: bool,
    /// Its jobs are trainings, which write a new version of a model: the destination.
    pub trainings: bool,
}

/// How a provider's webhooks come and are believed.
#[derive(Debug, Clone)]
pub struct WebhookSetup {
    /// Where the provider reaches our webhook, as configured.
    pub url: Option<Url>,
    /// Whether a proxy changes the path of that URL on its way here.
    pub url_is_rewritten: bool,
    /// The provider whose URL leads here, too, with the name of this one at its end.
    pub follows: Option<&'static str>,
    /// The secret that signs them; None to fetch it from the provider.
    pub secret: Option<SecretString>,
    /// Whether an unsigned one is refused.
    pub requires_signature: bool,
    /// The networks from which they are taken; all where there is none.
    pub allowed_ips: Vec<IpNet>,
}
