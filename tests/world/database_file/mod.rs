//! A: what is acknowledged is in the file that has the name, one daemon has the file, and its tables are known.

mod content;
mod one_daemon;
mod place;
mod schema;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use awc::Client;
use serde_json::{Value, json};

use crate::support::daemon::SOON;
use crate::support::process::{Home, Process};
use crate::support::webhook::{ROUTE, SECRET, Signer};

/// A daemon on `data/jobs.db` in a home of its own, and a sender of webhooks.
struct World {
    home: Home,
    process: Process,
    url: String,
    client: Client,
}

fn serve(home: &Home, path: &str) -> Command {
    // Relative paths are relative to the home.
    let mut command = home.serve_with(&format!("sqlite://{path}"));
    command.env("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET);
    command
}

impl World {
    fn new() -> Self {
        Self::on(Home::new(), "data/jobs.db")
    }

    fn on(home: Home, path: &str) -> Self {
        let mut process = Process::start(serve(&home, path));
        let url = process.url();
        Self { home, process, url, client: Client::builder().timeout(SOON).finish() }
    }

    fn restarted(self) -> Self {
        self.process.stop();
        Self::on(self.home, "data/jobs.db")
    }

    fn killed_and_started(mut self) -> Self {
        self.process.child.kill().expect("it runs");
        self.process.child.wait().expect("it has ended");
        Self::on(self.home, "data/jobs.db")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path("data").join(name)
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.home.path(from), self.home.path(to)).expect("a file");
    }

    /// Delivers a webhook of a job.
    async fn deliver(&self, job: &str) -> (u16, Value) {
        let body = json!({"id": job, "status": "processing"}).to_string().into_bytes();
        let mut request = self.client.post(format!("{}{ROUTE}", self.url));
        for header in Signer::default().headers(&format!("msg-{job}"), &body) {
            request = request.insert_header(header);
        }
        let mut answer = request.send_body(body).await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    async fn is_stored(&self, job: &str) {
        let (status, body) = self.deliver(job).await;
        assert_eq!((status, &body["status"]), (200, &json!("received")), "{body}");
    }

    /// Asserts that nothing is acknowledged, and that it is said why.
    async fn refuses(&self, words: &str) {
        let (status, body) = self.deliver("meanwhile").await;
        assert_eq!((status, &body["error"]), (503, &json!("store_unavailable")), "{body}");
        assert!(body["detail"].as_str().is_some_and(|text| text.contains(words)), "{body}");
        let pause = self.client.post(format!("{}/api/queue/pause", self.url)).send().await;
        assert_eq!(pause.expect("an answer").status().as_u16(), 503);
        let health = self.get("/health").await.1;
        let database = &health["components"][0];
        assert_eq!(
            (&health["status"], &database["status"]),
            (&json!("unhealthy"), &json!("unhealthy"))
        );
        let message = database["message"].as_str().expect("words");
        assert!(message.contains(words) && message.contains("sqlite://"), "{message}");
        assert_eq!(self.get("/health/ready").await.0, 503);
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.client.get(format!("{}{path}", self.url));
        let mut answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    async fn total(&self) -> Value {
        self.get("/api/cloud/jobs").await.1["total"].take()
    }

    async fn is_healthy(&self) {
        let health = self.get("/health").await.1;
        assert_eq!(health["components"][0]["status"], "healthy", "{health}");
        assert_eq!(self.get("/health/ready").await.0, 200);
    }

    fn verify(&self) -> Output {
        let database = format!("sqlite://{}", self.file("jobs.db").display());
        self.home.run(&["verify", "--database-url", &database])
    }
}

/// Copies the database of a daemon that has stopped.
fn back_up(world: World) -> World {
    let World { home, process, .. } = world;
    process.stop();
    fs::copy(home.path("data/jobs.db"), home.path("backup.db")).expect("a copy");
    World::on(home, "data/jobs.db")
}
