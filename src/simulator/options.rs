//! How a simulator is set up, and why it may fail to start.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::scenario::Scenario;
use super::webhooks::SecretError;

/// How a simulator behaves. The defaults are the provider's own figures where they are known.
#[derive(Clone, Debug)]
pub struct SimulatorOptions {
    /// Where it listens; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Worker threads of the server.
    pub workers: usize,
    /// The only API token that is let in.
    pub token: String,
    /// `whsec_` and a base64 key.
    pub webhook_secret: String,
    /// Multiplies the speed of every scenario.
    pub speed: f64,
    /// How a job lives that says nothing about it.
    pub default_scenario: Scenario,
    /// Every answer waits this long, all of them at the same time.
    pub latency: Duration,
    /// How long after its end a job keeps input, output and log.
    pub retention_seconds: u32,
    /// How long after its end the log is archived, which costs it its last newline.
    pub archive_seconds: u32,
    /// Creates of predictions let through in a minute.
    pub creates_per_minute: u32,
    /// Other calls let through in a minute.
    pub others_per_minute: u32,
    /// Whether a webhook to a loopback address may be plain http; every other must be https.
    pub allow_loopback_http_webhooks: bool,
    /// Whether the first GET of every job created over HTTP answers 404.
    pub not_found_once_after_create: bool,
    /// The waits between the attempts to deliver `completed`: about one minute in all.
    pub webhook_retry_delays: Vec<Duration>,
    /// How long a receiver may take to answer.
    pub webhook_timeout: Duration,
    /// Whether each job is strange, too, in one way after the other.
    pub is_hostile: bool,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            workers: 2,
            token: "r8_simulated0000000000000000000000000000".to_owned(),
            webhook_secret: "whsec_c2ltdWxhdG9yLXdlYmhvb2stc2VjcmV0".to_owned(),
            speed: 1.0,
            default_scenario: Scenario::default(),
            latency: Duration::ZERO,
            retention_seconds: 3600,
            archive_seconds: 5,
            creates_per_minute: 600,
            others_per_minute: 3000,
            allow_loopback_http_webhooks: true,
            not_found_once_after_create: false,
            webhook_retry_delays: [1, 2, 4, 8, 15, 30].map(Duration::from_secs).to_vec(),
            webhook_timeout: Duration::from_secs(10),
            is_hostile: false,
        }
    }
}

/// Why a simulator did not start, or did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The server or its thread could not be started.
    #[error("cannot start the simulator: {0}")]
    Start(#[source] std::io::Error),
    /// The thread of the simulator ended before it was ready.
    #[error("the simulator ended while it was starting")]
    Ended,
    /// The webhook secret cannot sign.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// There is no such job.
    #[error("no job has the id {0}")]
    UnknownJob(String),
    /// The job follows a scenario and cannot be told what to do.
    #[error("job {0} is not a manual one")]
    NotManual(String),
    /// The model or version has none of the forms `owner/name`, `owner/name:64hex`, `64hex`.
    #[error(
        "`{0}` is neither `owner/name`, `owner/name:version` nor a version of 64 hexadecimal digits"
    )]
    Version(String),
}
