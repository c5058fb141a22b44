//! Somebody who is told: a receiver of notifications on a real socket.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use jobsyncd::domain::signature::{SignatureHeaders, SigningKey, verify};
use jobsyncd::domain::timestamp::now;
use jobsyncd::simulator::{JobSpec, Simulator, Status};
use serde_json::Value;

use super::daemon::{SOON, TestDaemon, TestDaemonBuilder};

/// The secret of channels that sign.
pub const SECRET: &str = "whsec_b3V0Ym91bmQtbWVzc2FnZXMtYXJlLXNpZ25lZA==";

/// A message as it arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub at: Instant,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Arrived {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub fn is_signed(&self) -> bool {
        let headers = SignatureHeaders {
            id: self.header("webhook-id"),
            timestamp: self.header("webhook-timestamp"),
            signature: self.header("webhook-signature"),
        };
        let key = SigningKey::from_secret(SECRET).expect("a secret");
        verify(&key, headers, &self.body, now()).is_ok()
    }
}

/// What a message is answered.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Reply {
    pub fn of(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: "said no".to_owned() }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn body(self, body: impl Into<String>) -> Self {
        Self { body: body.into(), ..self }
    }
}

#[derive(Default)]
struct State {
    arrived: Vec<Arrived>,
    /// What the next ones are answered; 200 when there is nothing left.
    replies: Vec<Reply>,
    /// What all are answered after those, where it is not 200.
    always: Option<Reply>,
}

/// Somebody who is told.
pub struct Receiver {
    state: Arc<Mutex<State>>,
    pub url: String,
    pub server: ServerHandle,
}

async fn take(request: HttpRequest, body: Bytes, state: Data<Mutex<State>>) -> HttpResponse {
    let text = |value: &actix_web::http::header::HeaderValue| {
        value.to_str().unwrap_or_default().to_owned()
    };
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), text(value))).collect();
    let mut state = state.lock().expect("a state");
    let path = request.path().to_owned();
    state.arrived.push(Arrived { at: Instant::now(), path, headers, body: body.to_vec() });
    let reply = if state.replies.is_empty() {
        state.always.clone().unwrap_or_else(|| Reply::of(200))
    } else {
        state.replies.remove(0)
    };
    let mut answer = HttpResponse::build(StatusCode::from_u16(reply.status).expect("a status"));
    for (name, value) in reply.headers {
        answer.append_header((name, value));
    }
    answer.body(reply.body)
}

impl Receiver {
    pub fn start() -> Self {
        let state = Data::new(Mutex::new(State::default()));
        let shared = state.clone();
        let server = HttpServer::new(move || {
            App::new().app_data(shared.clone()).default_service(web::to(take))
        });
        let server = server.workers(1).bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { state: state.into_inner(), url, server: handle }
    }

    pub fn answer_next(&self, statuses: &[u16]) {
        self.reply_next(statuses.iter().map(|status| Reply::of(*status)).collect());
    }

    pub fn reply_next(&self, replies: Vec<Reply>) {
        self.state.lock().expect("a state").replies = replies;
    }

    pub fn always_reply(&self, reply: Option<Reply>) {
        self.state.lock().expect("a state").always = reply;
    }

    /// What has arrived so far.
    pub fn so_far(&self) -> Vec<Arrived> {
        self.state.lock().expect("a state").arrived.clone()
    }

    /// What has arrived, as soon as it is so many.
    pub async fn arrived(&self, count: usize) -> Vec<Arrived> {
        let deadline = tokio::time::Instant::now() + SOON;
        loop {
            let arrived = self.so_far();
            if arrived.len() >= count {
                return arrived;
            }
            assert!(tokio::time::Instant::now() < deadline, "{arrived:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A daemon that follows the simulator and tells these channels, on this machine, quickly again.
pub fn telling(simulator: &Simulator, channels: &str) -> TestDaemonBuilder {
    TestDaemon::builder()
        .tracking(simulator)
        .with("JOBSYNCD__NOTIFICATIONS__ALLOW_PRIVATE_ADDRESSES", "true")
        .with("JOBSYNCD__NOTIFICATIONS__RETRY_FIRST_SECONDS", "1")
        .with("JOBSYNCD__NOTIFICATIONS__CHANNELS", channels)
}

/// A job that runs.
pub fn running(simulator: &Simulator) -> String {
    let id = simulator.create_job(JobSpec::manual()).expect("a job");
    simulator.set_status(&id, Status::Processing).expect("it runs");
    id
}

/// So many jobs are seen running, and then to have failed.
pub async fn fail(simulator: &Simulator, daemon: &TestDaemon, count: usize) {
    let jobs: Vec<_> = (0..count).map(|_| running(simulator)).collect();
    daemon.sync().await;
    for id in &jobs {
        simulator.set_status(id, Status::Failed).expect("it fails");
    }
    daemon.refresh().await;
}
