//! The simulator, seen from outside: by the provider's own client, and by its public face.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::rt::task::spawn_blocking;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use awc::Client;
use awc::error::SendRequestError;
use jobsyncd::simulator::{
    Course, Delivery, DeliveryOutcome, End, ErrorBody, Fault, FaultKind, JobSpec, JobUpdate,
    Scenario, Seed, Simulator, SimulatorOptions, Status, WebhookEvent, WebhookFault,
    WebhookFaultKind,
};
use serde_json::{Value, json};

async fn start(options: SimulatorOptions) -> Simulator {
    Simulator::start(options).await.unwrap()
}

fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(Duration::from_secs(5)).finish()
}

fn request(simulator: &Simulator, method: &str, path: &str) -> awc::ClientRequest {
    client()
        .request(method.parse().unwrap(), format!("{}{path}", simulator.base_url()))
        .bearer_auth(simulator.token())
}

async fn get(simulator: &Simulator, path: &str) -> (StatusCode, Value) {
    let mut answer = request(simulator, "GET", path).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap_or_default())
}

async fn post(simulator: &Simulator, path: &str, body: Value) -> (StatusCode, Value) {
    let mut answer = request(simulator, "POST", path).send_json(&body).await.unwrap();
    (answer.status(), answer.json().await.unwrap_or_default())
}

/// A webhook receiver that answers with the status it is told to, and remembers what came.
struct Receiver {
    url: String,
    answer: Arc<AtomicU16>,
    received: Arc<std::sync::Mutex<Vec<(String, Value)>>>,
}

impl Receiver {
    fn start() -> Self {
        let answer = Arc::new(AtomicU16::new(200));
        let received = Arc::<std::sync::Mutex<Vec<_>>>::default();
        let (status, seen) = (Data::from(Arc::clone(&answer)), Data::from(Arc::clone(&received)));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(status.clone())
                .app_data(seen.clone())
                .default_service(web::to(Self::take))
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
        let url = format!("http://{}/hook", server.addrs()[0]);
        actix_web::rt::spawn(server.run());
        Self { url, answer, received }
    }

    async fn take(
        request: HttpRequest,
        body: Bytes,
        answer: Data<AtomicU16>,
        received: Data<std::sync::Mutex<Vec<(String, Value)>>>,
    ) -> HttpResponse {
        let id = request.headers().get("webhook-id").unwrap().to_str().unwrap().to_owned();
        received.lock().unwrap().push((id, serde_json::from_slice(&body).unwrap()));
        HttpResponse::build(StatusCode::from_u16(answer.load(Ordering::SeqCst)).unwrap()).finish()
    }

    fn statuses(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        received.iter().map(|(_, body)| body["status"].as_str().unwrap().to_owned()).collect()
    }

    fn ids(&self) -> Vec<String> {
        self.received.lock().unwrap().iter().map(|(id, _)| id.clone()).collect()
    }
}

#[actix_web::test]
async fn the_official_python_client_works_against_the_simulator() {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("JOBSYNCD_TEST_PYTHON")
        .map_or_else(|| manifest.join("target/python/bin/python"), PathBuf::from);
    assert!(
        python.exists(),
        "{} is missing: `python3 -m venv target/python && target/python/bin/pip install replicate==1.0.7`, \
         or name another interpreter in JOBSYNCD_TEST_PYTHON",
        python.display()
    );
    let simulator = start(SimulatorOptions::default()).await;
    let mut command = Command::new(python);
    command
        .arg(manifest.join("tests/python/official_client.py"))
        .args([simulator.base_url().trim_end_matches("/v1"), simulator.token()]);
    let output = spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    simulator.stop().await;
}

#[actix_web::test]
async fn every_answer_says_what_is_left_of_the_limit_and_one_too_many_is_429() {
    let simulator =
        start(SimulatorOptions { others_per_minute: 2, ..SimulatorOptions::default() }).await;
    let first = request(&simulator, "GET", "/account").send().await.unwrap();
    assert_eq!(first.headers().get("ratelimit-remaining").unwrap(), "1");
    assert_eq!(get(&simulator, "/account").await.0, StatusCode::OK);
    let (status, body) = get(&simulator, "/account").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.starts_with("Request was throttled. Your rate limit resets in ~"), "{detail}");
    assert_eq!(simulator.calls_to("GET /account"), 3);
}

#[actix_web::test]
async fn all_six_statuses_can_be_reached_by_scenarios_alone() {
    let simulator = start(SimulatorOptions::default()).await;
    let past = chrono::Utc::now() - chrono::TimeDelta::minutes(50);
    let with_end = |end| JobSpec {
        created_at: Some(past),
        ..JobSpec::scripted(Scenario { end, ..Scenario::default() })
    };
    let fail = End::Fail { error: "boom".to_owned(), after_step: 5 };
    let starting = Scenario { queue_seconds: 3600.0, ..Scenario::default() };
    let specs = [
        ("starting", JobSpec::scripted(starting)),
        ("processing", with_end(End::RunUntilCancelled)),
        ("succeeded", with_end(End::Succeed)),
        ("failed", with_end(fail)),
        (
            "canceled",
            JobSpec { cancel_after_seconds: Some(60), ..with_end(End::RunUntilCancelled) },
        ),
        ("aborted", with_end(End::Abort)),
    ];
    for (status, spec) in specs {
        let id = simulator.create_job(spec).unwrap();
        assert_eq!(get(&simulator, &format!("/predictions/{id}")).await.1["status"], status);
    }
}

#[actix_web::test]
async fn an_old_job_has_lost_its_data_and_a_fresh_one_only_its_last_newline() {
    let options = SimulatorOptions { archive_seconds: 0, ..SimulatorOptions::default() };
    let simulator = start(options).await;
    let id = simulator.create_job(JobSpec::manual()).unwrap();
    simulator.append_logs(&id, "one\ntwo\n").unwrap();
    simulator.set_status(&id, Status::Succeeded).unwrap();
    let path = format!("/predictions/{id}");
    assert_eq!(get(&simulator, &path).await.1["logs"], "one\ntwo");
    let completed_at = Some(chrono::Utc::now() - chrono::TimeDelta::minutes(61));
    simulator.update_job(&id, JobUpdate { completed_at, ..JobUpdate::default() }).unwrap();
    let (_, old) = get(&simulator, &path).await;
    assert_eq!(
        (&old["data_removed"], &old["logs"], &old["input"]),
        (&json!(true), &Value::Null, &json!({}))
    );
}

#[actix_web::test]
async fn a_create_that_takes_effect_can_still_answer_502() {
    let simulator = start(SimulatorOptions::default()).await;
    let kind = FaultKind::ServerError { status: 502, body: ErrorBody::Html };
    simulator.fail_next(Fault::new("POST /predictions", kind.clone()).after_effect());
    simulator.fail_next(Fault::new("POST /predictions", kind));
    let body = json!({"version": "acme/trainer", "input": {}});
    for jobs in [1, 1] {
        assert_eq!(post(&simulator, "/predictions", body.clone()).await.0, StatusCode::BAD_GATEWAY);
        assert_eq!(simulator.job_count(), jobs);
    }
    assert_eq!(post(&simulator, "/predictions", body).await.0, StatusCode::CREATED);
}

#[actix_web::test]
async fn a_reset_connection_is_a_reset_on_the_wire() {
    let simulator = start(SimulatorOptions::default()).await;
    simulator.fail_next(Fault::new("GET /account", FaultKind::Reset));
    let base_url = simulator.base_url().to_owned();
    let token = simulator.token().to_owned();
    let read = spawn_blocking(move || {
        let address = base_url.trim_start_matches("http://").trim_end_matches("/v1");
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET /v1/account HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        .unwrap();
        stream.read(&mut [0; 100])
    });
    assert_eq!(read.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[actix_web::test]
async fn a_spoilt_body_is_short_cut_or_no_json() {
    let simulator = start(SimulatorOptions::default()).await;
    simulator.fail_next(Fault::new("GET /account", FaultKind::TruncatedBody));
    let mut truncated = request(&simulator, "GET", "/account").send().await.unwrap();
    let announced =
        truncated.headers().get("content-length").unwrap().to_str().unwrap().parse::<usize>();
    // awc 3.11 takes the early end for the end of the body: only the announced length tells.
    let body = truncated.body().await.unwrap();
    assert!(!body.is_empty() && body.len() < announced.unwrap());
    for kind in [FaultKind::CutJson, FaultKind::Garbage] {
        simulator.fail_next(Fault::new("GET /account", kind));
        let body =
            request(&simulator, "GET", "/account").send().await.unwrap().body().await.unwrap();
        assert!(!body.is_empty() && serde_json::from_slice::<Value>(&body).is_err(), "{body:?}");
    }
}

#[actix_web::test]
async fn a_hanging_call_outlasts_the_client_and_does_not_hold_the_stop() {
    let simulator = start(SimulatorOptions::default()).await;
    simulator.fail_next(Fault::new("*", FaultKind::Hang));
    let call =
        request(&simulator, "GET", "/account").timeout(Duration::from_millis(100)).send().await;
    assert!(matches!(call, Err(SendRequestError::Timeout)), "{call:?}");
    let begun = Instant::now();
    simulator.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[actix_web::test]
async fn right_after_a_create_the_job_can_be_missing_once() {
    let options =
        SimulatorOptions { not_found_once_after_create: true, ..SimulatorOptions::default() };
    let simulator = start(options).await;
    let (_, made) =
        post(&simulator, "/predictions", json!({"version": "acme/trainer", "input": {}})).await;
    let path = format!("/predictions/{}", made["id"].as_str().unwrap());
    assert_eq!(get(&simulator, &path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&simulator, &path).await.0, StatusCode::OK);
}

#[actix_web::test]
async fn a_manual_job_tells_its_start_and_end_once_each() {
    let (simulator, receiver) = (start(SimulatorOptions::default()).await, Receiver::start());
    let id = simulator.create_job(JobSpec::manual().webhook(&receiver.url)).unwrap();
    for status in [Status::Processing, Status::Processing, Status::Succeeded, Status::Succeeded] {
        simulator.set_status(&id, status).unwrap();
    }
    simulator.deliveries_settled().await;
    assert_eq!(receiver.statuses(), ["processing", "succeeded"]);
}

#[actix_web::test]
async fn only_the_last_webhook_is_retried_and_keeps_its_id() {
    let options = SimulatorOptions {
        webhook_retry_delays: vec![Duration::ZERO; 3],
        ..SimulatorOptions::default()
    };
    let (simulator, receiver) = (start(options).await, Receiver::start());
    receiver.answer.store(500, Ordering::SeqCst);
    let id = simulator.create_job(JobSpec::manual().webhook(&receiver.url)).unwrap();
    simulator.set_status(&id, Status::Processing).unwrap();
    simulator.set_status(&id, Status::Failed).unwrap();
    simulator.deliveries_settled().await;
    let ended = |delivery: &Delivery| {
        (delivery.event, delivery.attempts, delivery.last_status, delivery.outcome)
    };
    let (given_up, deliveries) = (DeliveryOutcome::GivenUp, simulator.deliveries());
    assert_eq!(ended(&deliveries[0]), (WebhookEvent::Start, 1, Some(500), given_up));
    assert_eq!(ended(&deliveries[1]), (WebhookEvent::Completed, 4, Some(500), given_up));
    assert!(receiver.ids()[1..].iter().all(|id| *id == deliveries[1].webhook_id));
}

#[actix_web::test]
async fn webhooks_can_change_places_come_twice_or_get_lost() {
    let (simulator, receiver) = (start(SimulatorOptions::default()).await, Receiver::start());
    let fault = |event, kind| simulator.fail_next_webhook(WebhookFault::new(Some(event), kind));
    fault(WebhookEvent::Start, WebhookFaultKind::HoldBack);
    fault(WebhookEvent::Completed, WebhookFaultKind::Duplicate);
    let swapped = simulator.create_job(JobSpec::manual().webhook(&receiver.url)).unwrap();
    simulator.set_status(&swapped, Status::Processing).unwrap();
    simulator.set_status(&swapped, Status::Canceled).unwrap();
    simulator.deliveries_settled().await;
    assert_eq!(receiver.statuses(), ["canceled", "canceled", "processing"]);
    assert_eq!(receiver.ids()[0], receiver.ids()[1]);

    fault(WebhookEvent::Completed, WebhookFaultKind::Drop);
    let lost = simulator.create_job(JobSpec::manual().webhook(&receiver.url)).unwrap();
    simulator.set_status(&lost, Status::Aborted).unwrap();
    let dropped = simulator.delivered(&lost, WebhookEvent::Completed).await;
    assert_eq!((dropped.outcome, receiver.statuses().len()), (DeliveryOutcome::Dropped, 3));
}

#[actix_web::test]
async fn a_scripted_job_sends_its_webhooks_by_itself() {
    let (simulator, receiver) = (start(SimulatorOptions::default()).await, Receiver::start());
    let scenario = Scenario { speed: 1000.0, ..Scenario::default() };
    let mut spec = JobSpec::scripted(scenario).webhook(&receiver.url);
    spec.webhook_events_filter = vec![WebhookEvent::Start, WebhookEvent::Completed];
    let id = simulator.create_job(spec).unwrap();
    let ended = simulator.delivered(&id, WebhookEvent::Completed).await;
    assert_eq!(
        (ended.status, receiver.statuses()),
        (Status::Succeeded, vec!["processing".to_owned(), "succeeded".to_owned()])
    );
}

#[actix_web::test]
async fn a_hundred_thousand_jobs_are_there_within_a_second_or_so() {
    let simulator = start(SimulatorOptions::default()).await;
    let begun = Instant::now();
    let plan = Seed::new(100_000, &[Status::Succeeded, Status::Processing, Status::Failed]);
    let ids = simulator.seed(&plan);
    // A debug build on a busy machine gets some room; the promise itself is one second.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let (_, page) = get(&simulator, "/predictions").await;
    assert_eq!(
        (page["results"].as_array().unwrap().len(), &page["results"][0]["id"]),
        (100, &json!(ids[0]))
    );
    assert!(page["results"][0].get("logs").is_none());
}

#[actix_web::test]
async fn the_control_face_drives_a_job_from_another_process() {
    let (simulator, receiver) = (start(SimulatorOptions::default()).await, Receiver::start());
    let base = simulator.base_url().replace("/v1", "/_simulator");
    let send = async |path: &str, body: Value| {
        let answer = client().post(format!("{base}{path}")).send_json(&body).await;
        answer.unwrap().json::<Value>().await.unwrap_or_default()
    };
    let spec = json!({"course": Course::Manual, "webhook": receiver.url, "webhook_events_filter": ["completed"]});
    let id = send("/jobs", spec).await["id"].as_str().unwrap().to_owned();
    send(&format!("/jobs/{id}/logs"), json!({"append": "step 1/2\n"})).await;
    send(&format!("/jobs/{id}/status"), json!({"status": "on_fire"})).await;
    assert_eq!(get(&simulator, &format!("/predictions/{id}")).await.1["status"], "on_fire");
    send("/faults", json!({"route": "GET /predictions/{id}", "kind": "not_found"})).await;
    assert_eq!(get(&simulator, &format!("/predictions/{id}")).await.0, StatusCode::NOT_FOUND);
    send(&format!("/jobs/{id}/status"), json!({"status": "failed", "error": "no"})).await;
    simulator.deliveries_settled().await;
    assert_eq!(receiver.statuses(), ["failed"]);
    let calls: Value =
        client().get(format!("{base}/calls")).send().await.unwrap().json().await.unwrap();
    assert_eq!(calls, json!({"GET /predictions/{id}": 2}));
}

#[actix_web::test]
async fn the_demo_begins_with_every_status() {
    let simulator = start(SimulatorOptions::default()).await;
    simulator.populate_demo(None).unwrap();
    let (_, page) = get(&simulator, "/predictions").await;
    let results = page["results"].as_array().unwrap();
    let has = |status: &str| results.iter().any(|job| job["status"] == status);
    assert!(
        ["starting", "succeeded", "failed", "canceled", "aborted"].into_iter().all(has),
        "{results:#?}"
    );
}
