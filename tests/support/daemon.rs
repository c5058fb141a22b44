//! A whole daemon for a test: on a real socket and a real database, against the simulator.

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use awc::Client;
use diesel::connection::SimpleConnection;
use jobsyncd::config::{Config, Sources};
use jobsyncd::daemon::{Daemon, StartError};
use jobsyncd::db::connection::{Connection, Role};
use jobsyncd::simulator::{Simulator, SimulatorOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::postgres::PostgresCluster;
use super::stream::EventStream;

/// How long a test waits for anything before it fails.
pub const SOON: Duration = Duration::from_secs(20);

/// Where the daemon keeps its jobs. Tests of what is stored run once on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A database that outlives the daemon on it, so that a test can restart it.
pub struct TestDatabase {
    pub url: String,
    /// The folder of an SQLite database, which is gone when this is dropped.
    pub folder: TempDir,
}

impl TestDatabase {
    pub fn new(backend: Backend) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = match backend {
            Backend::Sqlite => format!("sqlite://{}", folder.path().join("jobs.db").display()),
            Backend::Postgres => PostgresCluster::shared().new_database(),
        };
        Self { url, folder }
    }

    /// A connection of the test's own.
    pub fn connect(&self) -> Connection {
        let sources = Sources::from_environment([("JOBSYNCD__DATABASE__URL", self.url.clone())]);
        let config = Config::load(&sources).expect("a good configuration");
        Connection::open(&config.database.url, Role::Writer).expect("a database")
    }

    /// Changes what is stored behind the daemon's back.
    pub fn execute(&self, sql: &str) {
        execute(&mut self.connect(), sql);
    }
}

/// Runs any SQL.
pub fn execute(connection: &mut Connection, sql: &str) {
    let done = match connection {
        Connection::Sqlite(connection) => connection.batch_execute(sql),
        Connection::Postgres(connection) => connection.batch_execute(sql),
    };
    done.expect(sql);
}

/// A daemon that is being set up.
pub struct TestDaemonBuilder {
    environment: Vec<(String, String)>,
}

impl TestDaemonBuilder {
    /// Sets a key of the configuration by its environment variable.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Tracks the account of a simulator.
    pub fn tracking(self, simulator: &Simulator) -> Self {
        self.with("JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL", simulator.base_url())
            .with("REPLICATE_API_TOKEN", simulator.token())
    }

    pub async fn start(self, database: &TestDatabase) -> TestDaemon {
        self.try_start(database).await.expect("the daemon starts")
    }

    pub async fn try_start(self, database: &TestDatabase) -> Result<TestDaemon, StartError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut environment = vec![
            ("JOBSYNCD__SERVER__BIND".to_owned(), "127.0.0.1:0".to_owned()),
            ("JOBSYNCD__SERVER__WORKERS".to_owned(), "1".to_owned()),
            ("JOBSYNCD__DATABASE__URL".to_owned(), database.url.clone()),
        ];
        environment.extend(self.environment);
        let config =
            Config::load(&Sources::from_environment(environment)).expect("a good configuration");
        let daemon = Daemon::start(config, None).await?;
        let url = format!("http://{}", daemon.address());
        let client = Client::builder().timeout(SOON).disable_redirects().finish();
        Ok(TestDaemon { daemon, url, client })
    }
}

/// A running daemon and a client of it.
pub struct TestDaemon {
    pub daemon: Daemon,
    pub url: String,
    pub client: Client,
}

/// What the daemon answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The JSON of an answer that must be 200.
    pub fn ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// The JSON of an error, whose form is the same everywhere.
    pub fn error(self, status: u16, name: &str) -> Value {
        let body = self.json();
        assert_eq!((self.status.as_u16(), body["error"].as_str()), (status, Some(name)), "{body}");
        assert!(body["detail"].is_string() && body["detail"] == body["message"], "{body}");
        assert!(body["details"].is_object(), "{body}");
        body
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl TestDaemon {
    pub fn builder() -> TestDaemonBuilder {
        TestDaemonBuilder { environment: Vec::new() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, &[], None).await
    }

    pub async fn post(&self, path: &str) -> Answer {
        self.request(Method::POST, path, &[], None).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, path, &[], None).await
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.send_json(Method::POST, path, body).await
    }

    pub async fn put_json(&self, path: &str, body: &Value) -> Answer {
        self.send_json(Method::PUT, path, body).await
    }

    async fn send_json(&self, method: Method, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.request(method, path, &headers, Some(body.to_string().into_bytes())).await
    }

    /// Any request at all.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.insert_header((*name, *value));
        }
        let sent = match body {
            Some(body) => request.send_body(body).await,
            None => request.send().await,
        };
        let mut answer = sent.unwrap_or_else(|error| panic!("{path}: {error}"));
        let body = answer.body().limit(128 * 1024 * 1024).await.expect("a body").to_vec();
        Answer { status: answer.status(), headers: answer.headers().clone(), body }
    }

    /// The job as the daemon shows it.
    pub async fn job(&self, id: &str) -> Value {
        self.get(&format!("/api/cloud/jobs/{id}")).await.ok()["job"].take()
    }

    /// Submits a job that moves only when the simulator is told so, with more fields of the request.
    /// Answers its identifier.
    pub async fn submit(&self, fields: &Value) -> String {
        let mut request = json!({
            "model": "simpletuner/advanced-trainer-l40s", "input": {"_simulator": "manual"},
        });
        let more = fields.as_object().expect("fields").clone();
        request.as_object_mut().expect("fields").extend(more);
        let answer = self.post_json("/api/cloud/jobs/submit", &request).await.ok();
        assert_eq!(answer["success"], true, "{answer}");
        answer["job_id"].as_str().expect("an identifier").to_owned()
    }

    /// The job, as soon as it is as it should be.
    pub async fn job_when(&self, id: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        self.answer_when(&format!("/api/cloud/jobs/{id}"), |answer| is_right(&answer["job"])).await
            ["job"]
            .take()
    }

    /// The identifier that the provider has for a submitted job, as soon as it has one.
    pub async fn taken(&self, id: &str) -> String {
        let job = self.job_when(id, |job| job["metadata"]["prediction_id"].is_string()).await;
        job["metadata"]["prediction_id"].as_str().expect("an identifier").to_owned()
    }

    /// An answer, as soon as it is as it should be.
    pub async fn answer_when(&self, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + SOON;
        loop {
            let answer = self.get(path).await.ok();
            if is_right(&answer) {
                return answer;
            }
            assert!(tokio::time::Instant::now() < deadline, "{path}: {answer}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Discovers the newest jobs of the account.
    pub async fn sync(&self) -> Value {
        self.post("/api/cloud/jobs/sync").await.ok()
    }

    /// The list of jobs after every active one was refreshed.
    pub async fn refresh(&self) -> Value {
        self.get("/api/cloud/jobs?sync_active=true&limit=500").await.ok()
    }

    /// Whether the daemon polls.
    pub async fn polling(&self) -> Value {
        self.get("/api/cloud/polling/status").await.ok()
    }

    /// The first round of polling that began after `instant`, as the status of polling shows it.
    pub async fn round_after(&self, instant: &str) -> Value {
        let deadline = tokio::time::Instant::now() + SOON;
        loop {
            let round = self.polling().await["last_cycle"].take();
            // Timestamps are all of one form and zone, so their text is in their order.
            if round["started_at"].as_str().is_some_and(|started_at| started_at > instant) {
                return round;
            }
            assert!(tokio::time::Instant::now() < deadline, "no round of polling after {instant}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until no log of a finished job is to be fetched any more.
    pub async fn logs_settled(&self) {
        let deadline = tokio::time::Instant::now() + SOON;
        loop {
            let health = self.get("/health").await.ok();
            let components = health["components"].as_array().expect("a list");
            let logs = components.iter().find(|component| component["name"] == "logs");
            if logs.expect("a component")["details"]["to_be_fetched"] == 0 {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{health}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Opens the stream of events; its greeting has been read when this returns.
    pub async fn events(&self) -> EventStream {
        let mut stream = EventStream::open(&self.url, None).await;
        let greeting = stream.next().await;
        assert_eq!(greeting.json()["type"], "connected");
        stream
    }

    /// Where providers send webhooks.
    pub fn webhook_url(&self) -> String {
        format!("{}/api/webhooks/replicate", self.url)
    }

    pub async fn stop(self) {
        self.daemon.stop().await;
    }
}

/// A simulator that behaves as the real one, on a port of its own.
pub async fn simulator() -> Simulator {
    Simulator::start(SimulatorOptions::default()).await.expect("the simulator starts")
}
