//! The configuration: read from its layers, validated once, into types without options.
//!
//! The stages, each in its own file:
//!
//! 1. `layers` gathers what every source says: the embedded, commented defaults
//!    (`etc/jobsyncd.yaml`) ← `simpletuner-enterprise.yaml` ← the configuration file ← systemd
//!    credentials ← the environment ← flags. A key that the defaults do not know is refused here.
//! 2. `reader` reads one value at a time, with its type and its bounds, and remembers where it
//!    came from.
//! 3. `sections` puts the values into the structs of this file, and `checks` looks at what only
//!    shows in several of them together.
//!
//! Past this module nobody asks whether a setting was made, nor parses one again. An `Option` that
//! is left has a meaning of its own (no token, no webhook, polling decided automatically).
//!
//! The fields are named after their keys, units included; where a value changes its unit on the way
//! (megabytes to bytes, dollars to micro-dollars), the name says the new one.

mod checks;
mod database_url;
mod describe;
mod enterprise;
mod environment;
mod error;
mod known_keys;
mod layers;
mod network;
mod notifications;
mod reader;
mod secrets;
mod sections;
mod sources;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use secrecy::SecretString;
use url::{Host, Url};

pub use self::database_url::{DatabaseUrl, PostgresUrl};
pub use self::error::ConfigError;
pub use self::sources::{Flags, Sources};
use crate::domain::budget::Budget;
use crate::domain::cost::Hardware;
use crate::domain::model_filter::ModelFilter;
use crate::domain::notification::{Format, Topic};
use crate::domain::proxy::Proxies;
use crate::domain::queue::Limits;
use crate::domain::signature::SigningKey;
use crate::domain::web_origin::WebOrigin;

/// The commented default configuration. It *is* the defaults: there is no second list of them.
pub const DEFAULT_YAML: &str = include_str!("../../etc/jobsyncd.yaml");

/// The source of a value that nobody set.
pub const DEFAULT_SOURCE: &str = "default";

/// Everything the daemon was told, complete and within bounds.
///
/// `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// The HTTP server.
    pub server: Server,
    /// Where jobs and events are kept.
    pub database: Database,
    /// How providers and receivers of notifications are reached.
    pub network: Network,
    /// The clouds whose jobs are tracked.
    pub providers: Providers,
    /// Polling of the status of active jobs (`background.job_status_polling`).
    pub polling: Polling,
    /// The slow check of jobs that nobody confirmed lately (`background.reconciliation`).
    pub reconciliation: Reconciliation,
    /// Handing queued jobs to the provider (`background.queue_processing`).
    pub queue_processing: QueueProcessing,
    /// The event stream.
    pub events: Events,
    /// What SimpleTuner left on this machine.
    pub simpletuner: SimpleTuner,
    /// The logs of finished jobs.
    pub logs: Logs,
    /// How many jobs may run at a time.
    pub queue: Queue,
    /// What may be spent.
    pub costs: Costs,
    /// Whom to tell of ends and alarms.
    pub notifications: Notifications,
    /// Progress read from logs.
    pub progress: Progress,
    /// What is legal but probably not meant, a sentence each, for the log at startup.
    pub warnings: Vec<String>,
    /// Every key with its effective value and where that came from, in the order of the defaults.
    pub settings: Vec<Setting>,
}

/// The HTTP server.
#[derive(Debug, Clone)]
pub struct Server {
    /// The address to listen on; port 0 lets the system choose. Default 127.0.0.1:8001.
    pub bind: SocketAddr,
    /// Proxies that are believed whom they forward, and under which host (`X-Forwarded-For`, `Forwarded`,
    /// `X-Forwarded-Host`). Default none.
    pub trusted_proxies: Vec<IpNet>,
    /// HTTP worker threads: the number of cores when 0 (the default) was asked; at most 256.
    pub workers: NonZeroUsize,
    /// Keys that open the API. None by default, which only a loopback address allows.
    pub api_keys: Vec<SecretString>,
    /// Names that the `Host` header may carry besides the loopback names and the bound address.
    /// Default none.
    pub allowed_hosts: Vec<Host>,
    /// Origins (`https://host[:port]`) of other sites whose pages may use the API. Default none.
    pub allowed_origins: Vec<WebOrigin>,
    /// How long a request waits for an answer from inside the daemon before it gets 503, in
    /// seconds. Default 30, 1 to 300.
    pub request_timeout_seconds: u64,
    /// The largest request body in bytes (`server.max_body_mb`). Default 64 MB, 1 MB to 1024 MB.
    pub max_body_bytes: usize,
}

/// Where jobs and events are kept.
#[derive(Debug, Clone)]
pub struct Database {
    /// The database, its password out of sight.
    pub url: DatabaseUrl,
    /// Why it is this one, for the log: `set by --database-url`, or which place was chosen in want
    /// of a setting.
    pub chosen_because: String,
    /// Where the place was chosen in want of a setting: the folder within which all missing ones are made. None
    /// where somebody has written the path, of which only the last folder is.
    pub folders_within: Option<PathBuf>,
}

/// How the world outside is reached.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// The proxies that calls go through: the one of `network.proxy_url`, or those that `HTTPS_PROXY` and its
    /// like name. Default none.
    pub proxies: Proxies,
    /// The certificates of authorities that are believed besides the public ones (`network.ca_file`).
    /// Default none.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// The clouds whose jobs are tracked.
#[derive(Debug, Clone)]
pub struct Providers {
    /// replicate.com.
    pub replicate: Replicate,
    /// A runtime of one's own.
    pub cog: Cog,
}

/// How to reach a Cog runtime.
#[derive(Debug, Clone)]
pub struct Cog {
    /// Where it is; None for none. Default none.
    pub base_url: Option<BaseUrl>,
    /// Where it reaches our webhook. Without one nothing can be submitted to it, because it tells of its jobs in no
    /// other way.
    pub webhook_url: Option<Url>,
    /// Whether a proxy changes the path of `webhook_url` on its way here, so that it need not be that of the
    /// route. Default false.
    pub webhook_url_is_rewritten: bool,
    /// Networks that may send its webhooks, which are not signed; none means this machine and, where
    /// `base_url` says its address, the runtime's. Default none.
    pub webhook_allowed_ips: Vec<IpNet>,
    /// How long one call may take, in seconds. Default 30, 1 to 300.
    pub request_timeout_seconds: u64,
    /// Its hardware, by the name in the table of prices; None where its jobs cost nothing that is known.
    pub hardware: Option<String>,
}

/// How to reach Replicate, and what of its account is ours.
#[derive(Debug, Clone)]
pub struct Replicate {
    /// Where the API is. Default `https://api.replicate.com/v1`.
    pub base_url: BaseUrl,
    /// The token of the account. Without one the daemon starts, says so, and calls nobody.
    pub api_token: Option<SecretString>,
    /// The file in which a token is kept that was set through the API. Default `replicate.token` beside an SQLite
    /// database.
    pub token_file: Option<PathBuf>,
    /// Whether the account's trainings are tracked and begun as well, as the provider `replicate-trainings`.
    /// Default false.
    pub trainings: bool,
    /// Where the provider reaches our webhook. Without one, polling is on unless it was decided
    /// otherwise.
    pub webhook_url: Option<Url>,
    /// Whether a proxy changes the path of `webhook_url` on its way here, so that it need not be that of the
    /// route. Default false.
    pub webhook_url_is_rewritten: bool,
    /// The secret (`whsec_…`) that signs webhooks. Without one it is fetched from the provider.
    pub webhook_secret: Option<SecretString>,
    /// Whether a webhook must be signed. Default true.
    pub webhook_require_signature: bool,
    /// Networks that may send webhooks; none means everybody. Default none.
    pub webhook_allowed_ips: Vec<IpNet>,
    /// How long one call may take, in seconds. Default 30, 1 to 300.
    pub request_timeout_seconds: u64,
    /// The part of the provider's rate limit that background work may use. Default 0.2, above 0 and
    /// at most 1.
    pub rate_limit_share: f64,
    /// The models whose jobs are tracked. Default all.
    pub models: ModelFilter,
    /// The token of Hugging Face that a training gets which pushes its result there.
    pub hf_token: Option<SecretString>,
    /// The name of an input of the model that takes any text, in which each job gets our identifier.
    pub submission_input: Option<String>,
    /// How long the provider's jobs must not show a submission whose outcome is unknown before it is made
    /// again, in seconds. Default 60, 1 to 3,600.
    pub submit_settle_seconds: u64,
    /// Prices of hardware, by the provider's name for it, in addition to (or instead of) the
    /// built-in table. Default none.
    pub hardware_info: BTreeMap<String, Hardware>,
    /// On which hardware models run whose names do not tell, by `owner/name`. Default none.
    pub model_hardware: BTreeMap<String, String>,
}

/// What may be spent.
#[derive(Debug, Clone)]
pub struct Costs {
    /// The limit, unless another one was set through the API. Default none.
    pub budget: Budget,
}

/// The base of a provider's URLs: `http` or `https`, a host, perhaps a path, and no slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

/// Whether and how often the status of active jobs is polled.
#[derive(Debug, Clone)]
pub struct Polling {
    /// On or off by configuration; `None` leaves it to the setting in the database, or else to
    /// whether a webhook is configured.
    pub explicit: Option<bool>,
    /// What set `explicit`: a file or an environment variable, or [`DEFAULT_SOURCE`].
    pub explicit_source: String,
    /// The pause between the end of a round and the next, in seconds. Default 30, 1 to 86,400.
    pub interval_seconds: u64,
    /// What set `interval_seconds`: a file or an environment variable, or [`DEFAULT_SOURCE`].
    pub interval_source: String,
}

/// The slow check of jobs that nobody confirmed lately. It always runs: the last webhook of a job is
/// retried for only a minute.
#[derive(Debug, Clone)]
pub struct Reconciliation {
    /// The pause between two checks, in seconds. Default 300, 10 to 86,400.
    pub interval_seconds: u64,
}

/// Handing queued jobs to the provider.
#[derive(Debug, Clone)]
pub struct QueueProcessing {
    /// Whether queued jobs are handed over at all. Default true.
    pub enabled: bool,
    /// The pause between two looks at the queue, in seconds. Default 5, 1 to 3,600.
    pub interval_seconds: u64,
}

/// The event stream.
#[derive(Debug, Clone)]
pub struct Events {
    /// Open streams from one address. Default 5, 1 to 100,000.
    pub max_connections_per_ip: usize,
    /// Open streams altogether. Default 1000, 1 to 100,000.
    pub max_connections: usize,
    /// The pause between two comment lines that keep a stream open, in seconds. Default 15, 1 to 300.
    pub heartbeat_seconds: u64,
    /// Whether the stream also carries what SimpleTuner's own page listens for: events named `heartbeat`, and a
    /// `cloud_job_update` beside each change of a state. Default true.
    pub simpletuner_compat: bool,
    /// How long the event log reaches back, in days. Default 30, 1 to 3,650.
    pub retention_days: u32,
    /// How large the event log may be, in bytes of JSON (`events.retention_mb`). Default 512 MB, 1 MB
    /// to 1,000,000 MB.
    pub retention_bytes: i64,
}

/// What SimpleTuner left on this machine.
#[derive(Debug, Clone)]
pub struct SimpleTuner {
    /// A folder of its configurations, of which submissions name one. Default none.
    pub config_folder: Option<PathBuf>,
}

/// The logs of finished jobs.
#[derive(Debug, Clone)]
pub struct Logs {
    /// How long after its job's end a log is kept, in days. Default 365, 1 to 3,650.
    pub retention_days: u32,
    /// How much all logs together may take, in bytes as they are stored (`logs.retention_mb`). Default
    /// 1024 MB, 1 MB to 1,000,000 MB.
    pub retention_bytes: i64,
    /// How much is kept of one log, in bytes before it is packed (`logs.max_job_mb`). Default 32 MB, 1 MB to
    /// 64 MB.
    pub job_bytes_max: usize,
}

/// How many jobs may run at a time.
#[derive(Debug, Clone)]
pub struct Queue {
    /// Jobs running at the provider at a time. Default 5, 1 to 10,000.
    pub max_concurrent: usize,
    /// Jobs of one user running at a time. Default 2, 1 to 10,000.
    pub user_max_concurrent: usize,
    /// How often a job is handed over at most while the provider fails. Default 5, 1 to 100.
    pub max_attempts: u32,
}

/// Progress read from logs.
#[derive(Debug, Clone)]
pub struct Progress {
    /// How long one fetch of a log answers everybody who asks, in seconds. Default 5, 1 to 3,600.
    pub ttl_seconds: u64,
}

/// Whom to tell of ends and alarms.
#[derive(Debug, Clone)]
pub struct Notifications {
    /// Whether a message may go to this machine or a private network. Default false.
    pub allow_private_addresses: bool,
    /// The pause after the first attempt that failed, in seconds; the others follow from it. Default 5, 1 to
    /// 3,600.
    pub retry_first_seconds: u64,
    /// The channels, by name. Default none.
    pub channels: BTreeMap<String, Channel>,
}

/// Where messages go, and which.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Where.
    pub url: ChannelUrl,
    /// In which form. Default JSON.
    pub format: Format,
    /// Signs them, so that the receiver can tell who sent them.
    pub signing_key: Option<SigningKey>,
    /// Of what. Default everything but cancelled jobs.
    pub topics: BTreeSet<Topic>,
}

/// A URL that is a secret: at most services, whoever knows it may write there.
#[derive(Debug, Clone)]
pub struct ChannelUrl {
    /// The URL without a user and a password.
    pub(crate) url: SecretString,
    /// The user and the password that stood in it, as Basic credentials take them: `user:password`.
    pub(crate) credentials: Option<SecretString>,
}

/// One key of the configuration as it took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The whole key, as in `server.bind`.
    pub key: String,
    /// The effective value in YAML on one line; a secret is `<set>` or `<not set>`.
    pub value: String,
    /// A file, an environment variable, a flag, or [`DEFAULT_SOURCE`].
    pub source: String,
}

impl Config {
    /// Reads, merges and validates every layer of `sources`.
    ///
    /// # Errors
    /// The first thing that is wrong, in one line: where it stands, the key, and what is allowed.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let layers = layers::merge(sources)?;
        let mut config = sections::read(&layers, sources)?;
        config.warnings = checks::run(&config)?;
        Ok(config)
    }

    /// The effective configuration as YAML, the source of each value in a comment, for
    /// `jobsyncd check-config`. Secrets are shown as `<set>` or `<not set>`.
    pub fn describe(&self) -> String {
        describe::as_yaml(&self.settings)
    }

    /// What set `key`, as in `server.bind`: a file, an environment variable, a flag, or
    /// [`DEFAULT_SOURCE`].
    pub fn source_of(&self, key: &str) -> &str {
        let setting = self.settings.iter().find(|setting| setting.key == key);
        setting.map_or(DEFAULT_SOURCE, |setting| &setting.source)
    }
}

impl Queue {
    /// How many jobs may be under way at a time.
    pub fn limits(&self) -> Limits {
        Limits {
            max_concurrent: self.max_concurrent,
            user_max_concurrent: self.user_max_concurrent,
            is_paused: false,
        }
    }
}

impl Server {
    /// Whether the API may be offered on `address`: anyone can reach an address that is not a
    /// loopback one, so that takes an API key. A socket handed over by systemd is asked about too.
    pub fn may_listen_on(&self, address: &SocketAddr) -> bool {
        address.ip().to_canonical().is_loopback() || !self.api_keys.is_empty()
    }
}

impl BaseUrl {
    /// The URL without a slash at its end, so that `format!("{base}/predictions")` is right.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
