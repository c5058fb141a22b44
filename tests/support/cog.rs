//! The real training runtime: Cog, as Replicate runs it, with the trainer of `tests/cog/predict.py`.
//!
//! It is a faithful source of webhooks, and of nothing else: there is no `GET /predictions/{id}`
//! (it answers 405), and a runtime runs one prediction at a time (a second one gets a 409).

use std::env;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use awc::http::StatusCode;
use serde_json::Value;

use super::leash::{Leash, Stop, temporary_directory};

const READY_WITHIN: Duration = Duration::from_secs(60);

/// A running runtime. It ends, with the run that it may have, when this is dropped.
pub struct CogRuntime {
    port: u16,
    url: String,
    client: awc::Client,
    leash: Leash,
}

impl CogRuntime {
    /// Starts a runtime and waits until it takes predictions: about half a second.
    pub async fn start() -> Self {
        Self::start_at(free_port()).await
    }

    /// Kills it, in the middle of whatever it runs, and starts it anew at the same URL.
    pub async fn kill_and_start(self) -> Self {
        let port = self.port;
        drop(self);
        Self::start_at(port).await
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many runs it has begun under this identifier.
    pub fn begun(&self, id: &str) -> usize {
        let id = format!("\"prediction_id\":\"{id}\"");
        let log = self.leash.log();
        log.lines()
            .filter(|line| line.contains("Starting prediction") && line.contains(&id))
            .count()
    }

    async fn start_at(port: u16) -> Self {
        // awc panics without a provider of TLS, even if it is never asked for any. An error means
        // only that another test was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Self {
            port,
            url: format!("http://127.0.0.1:{port}"),
            client: awc::Client::default(),
            leash: Leash::start(temporary_directory("cog"), Stop::Kill, &server(port)),
        };
        runtime.wait_until_ready().await;
        runtime
    }

    /// Starts a run. `prediction` is `{"id", "input", "webhook", "webhook_events_filter"}`, where the
    /// input may have `steps`, `seconds_per_step` and `fail`.
    pub async fn create(&self, prediction: &Value) {
        let answer = self
            .client
            .post(format!("{}/predictions", self.url))
            // Answer when it has started, not when it has ended.
            .insert_header(("Prefer", "respond-async"))
            .send_json(prediction)
            .await
            .expect("the runtime answers");
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{}", self.leash.log());
    }

    /// Cancels a run. Wait for its first line of log before: a cancel that comes before the run has
    /// really begun is answered with 200 just the same, and lost.
    pub async fn cancel(&self, id: &str) {
        let answer = self
            .client
            .post(format!("{}/predictions/{id}/cancel", self.url))
            .send()
            .await
            .expect("the runtime answers");
        assert_eq!(answer.status(), StatusCode::OK, "{}", self.leash.log());
    }

    /// Waits until the last run is over, so that the next can be created. A webhook about the end is
    /// sent a moment before that.
    pub async fn wait_until_ready(&self) {
        let deadline = Instant::now() + READY_WITHIN;
        // STARTING comes before READY, BUSY is READY with a run.
        while self.health().await.as_deref() != Some("READY") {
            assert!(Instant::now() < deadline, "Cog is not ready: {}", self.leash.log());
            actix_rt::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn health(&self) -> Option<String> {
        let mut answer = self.client.get(format!("{}/health-check", self.url)).send().await.ok()?;
        let health: Value = answer.json().await.ok()?;
        Some(health.get("status")?.as_str()?.to_owned())
    }
}

/// The command line that Cog's own container has.
fn server(port: u16) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = env::var_os("JOBSYNCD_TEST_PYTHON")
        .map_or_else(|| root.join("target/python/bin/python"), PathBuf::from);
    assert!(python.exists(), "no {}: `make test-deps` makes it", python.display());

    // The runtime starts its worker as `python`, and that must be ours as well.
    let programs = python.parent().expect("a program is in a folder").to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([programs].into_iter().chain(env::split_paths(&path)))
        .expect("the folder's name has no colon");

    let mut server = Command::new(python);
    server
        .args(["-m", "cog.server.http", "--host", "127.0.0.1"])
        .current_dir(root.join("tests/cog"))
        .env("PATH", path)
        .env("PORT", port.to_string())
        .env("COG_PREDICT_TYPE_STUB", "predict.py:Predictor")
        // Leave no __pycache__ among the sources.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // tqdm would draw as wide a bar as a developer's terminal is.
        .env_remove("COLUMNS");
    server
}

/// A port that was free a moment ago. Cog takes no listening socket and does not tell which port it
/// got for 0; the kernel hands out a port again only after all the others.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback has free ports");
    listener.local_addr().expect("it is bound").port()
}
