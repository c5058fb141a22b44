//! Webhooks: what is believed, what it changes, and when it is answered.

use std::time::Duration;

use actix_web::http::Method;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use futures_util::future::join_all;
use jobsyncd::simulator::{
    DeliveryOutcome, JobSpec, Simulator, SimulatorOptions, Status, WebhookEvent, WebhookFault,
    WebhookFaultKind,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{
    Backend, SOON, TestDaemon, TestDaemonBuilder, TestDatabase, simulator,
};
use crate::support::webhook::{Headers, ROUTE, SECRET, Signer, deliver};

const ALIAS: &str = "/api/cloud/webhook/replicate";
const MEGABYTE: usize = 1024 * 1024;

/// A daemon that knows the secret.
fn daemon() -> TestDaemonBuilder {
    TestDaemon::builder().with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET)
}

/// The provider's object, with the times that belong to its state.
fn prediction(id: &str, status: &str) -> Value {
    let mut prediction = json!({
        "id": id, "status": status, "model": "simpletuner/advanced-trainer-h100",
        "version": "hidden", "input": {}, "output": null, "error": null, "logs": "",
        "metrics": {}, "created_at": "2026-03-01T10:00:00.12Z",
        "urls": {"web": format!("https://replicate.com/p/{id}")},
    });
    if status != "starting" {
        prediction["started_at"] = json!("2026-03-01T10:01:00.123456789Z");
    }
    if ["succeeded", "failed", "canceled", "aborted"].contains(&status) {
        prediction["completed_at"] = json!("2026-03-01T10:11:00Z");
        prediction["metrics"] = json!({"predict_time": 600.0});
    }
    prediction
}

/// The newest position in the log of events.
async fn newest_event(daemon: &TestDaemon) -> u64 {
    let mut stream = crate::support::stream::EventStream::open(&daemon.url, None).await;
    stream.next().await.json()["seq"].as_u64().expect("a position")
}

#[rstest]
#[actix_web::test]
async fn the_providers_body_makes_a_job_known_and_follows_it_to_its_end(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon().start(&database).await;
    let signer = Signer::default();
    let mut stream = daemon.events().await;

    let answer = signer.deliver(&daemon, "m1", prediction("p1", "starting")).await.ok();
    assert_eq!((&answer["status"], &answer["job_id"]), (&json!("received"), &json!("p1")));
    assert_eq!(answer["updates"]["status"], "queued");
    let told = stream.next().await.json();
    assert_eq!((&told["type"], &told["job_id"]), (&json!("job_discovered"), &json!("p1")));

    let answer = signer.deliver(&daemon, "m2", prediction("p1", "processing")).await.ok();
    assert_eq!(answer["updates"]["status"], "running");
    let told = stream.next().await.json();
    assert_eq!((&told["type"], &told["status"]), (&json!("job_status_changed"), &json!("running")));

    let mut end = prediction("p1", "succeeded");
    end["output"] = json!("https://replicate.delivery/lora.tar");
    end["logs"] = json!("step 10/10\n");
    let answer = signer.deliver(&daemon, "m3", end).await.ok();
    assert_eq!(answer["updates"]["status"], "completed");
    let told = stream.next().await.json();
    assert_eq!((&told["previous"], &told["status"]), (&json!("running"), &json!("completed")));

    let job = daemon.job("p1").await;
    assert_eq!(job["status"], "completed");
    assert_eq!(job["provider_status"], "succeeded");
    assert_eq!(job["started_at"], "2026-03-01T10:01:00.123456Z");
    assert_eq!(job["completed_at"], "2026-03-01T10:11:00Z");
    assert_eq!(job["output_url"], "https://replicate.delivery/lora.tar");
    assert_eq!(job["cost_usd"], 0.915);
    let logs = daemon.get("/api/cloud/jobs/p1/logs").await.ok();
    assert_eq!(logs["logs"], "step 10/10\n");
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn the_trainers_body_speaks_about_a_job_that_is_known_by_either_name_and_route(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon().start(&database).await;
    let signer = Signer::default();
    for id in ["p1", "p2", "p3"] {
        signer.deliver(&daemon, id, prediction(id, "starting")).await.ok();
    }

    let events = [
        (ROUTE, json!({"event_type": "training.status", "job_id": "p1", "status": "running"})),
        (ALIAS, json!({"type": "completed", "prediction_id": "p1", "output": "https://x.test/1"})),
        (ROUTE, json!({"type": "failed", "job_id": "p2", "message": "out of memory"})),
        // Its own id, besides that of the job, is no id of a prediction.
        (ALIAS, json!({"id": "evt-1", "type": "cancelled", "job_id": "p3"})),
    ];
    for (n, (route, event)) in events.into_iter().enumerate() {
        let body = event.to_string().into_bytes();
        let headers = signer.headers(&format!("trainer-{n}"), &body);
        let answer = deliver(&daemon, route, &headers, body).await.ok();
        assert_eq!(answer["status"], "received", "{event}: {answer}");
    }

    let first = daemon.job("p1").await;
    assert_eq!(
        (&first["status"], &first["output_url"]),
        (&json!("completed"), &json!("https://x.test/1"))
    );
    let second = daemon.job("p2").await;
    assert_eq!(
        (&second["status"], &second["error_message"]),
        (&json!("failed"), &json!("out of memory"))
    );
    assert_eq!(daemon.job("p3").await["status"], "cancelled");
    assert_eq!(daemon.get("/api/cloud/jobs").await.ok()["total"], 3);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_trainers_event_for_an_unknown_job_is_ignored(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon().start(&database).await;
    let event = json!({"event_type": "completed", "job_id": "nobody"});

    // Asked twice: what was ignored is no duplicate either, for the job may be known by then.
    for _ in 0..2 {
        let answer = Signer::default().deliver(&daemon, "m1", &event).await.ok();
        assert_eq!(answer, json!({"status": "ignored", "reason": "unknown job"}));
    }
    assert_eq!(daemon.get("/api/cloud/jobs").await.ok()["total"], 0);
    daemon.stop().await;
}

#[actix_web::test]
async fn the_signature_is_over_the_bytes_as_they_came() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;
    let odd = "{ \"status\" :\t\"processing\",\r\n  \"id\":\"p\\u0031\" }\n".as_bytes();
    let headers = Signer::default().headers("m1", odd);
    let tidy: Value = serde_json::from_slice(odd).expect("JSON");

    deliver(&daemon, ROUTE, &headers, tidy.to_string()).await.error(401, "bad_signature");
    assert_eq!(deliver(&daemon, ROUTE, &headers, odd).await.ok()["job_id"], "p1");
    daemon.stop().await;
}

#[actix_web::test]
async fn what_is_not_signed_well_is_refused_and_changes_nothing() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;
    let signer = Signer::default();
    let body = prediction("p1", "processing").to_string().into_bytes();
    let now = chrono::Utc::now().timestamp();
    // Signed once: a signature goes with the second in which it was made.
    let signed = signer.headers("m1", &body);
    let good = || signed.clone();
    let without = |name: &str| -> Headers {
        good().into_iter().filter(|(header, _)| *header != name).collect()
    };
    let with = |name: &'static str, value: String| {
        let mut headers = without(name);
        headers.push((name, value));
        headers
    };
    let at = |seconds: i64| signer.headers_at("m1", &(now + seconds).to_string(), &body);
    let signature = good().pop().expect("a signature").1;

    let refused = [
        Vec::new(),
        without("webhook-id"),
        without("webhook-timestamp"),
        without("webhook-signature"),
        Signer::new("whsec_d3Jvbmc=").headers("m1", &body),
        signer.headers("m1", b"{}"),
        // Some room for the time that the test itself takes.
        at(-310),
        at(600),
        with("webhook-id", "m2".to_owned()),
        with("webhook-timestamp", (now - 1_000_000).to_string()),
        with("webhook-timestamp", "now".to_owned()),
        with("webhook-timestamp", "99999999999999999999".to_owned()),
        with("webhook-signature", String::new()),
        with("webhook-signature", "v1,".to_owned()),
        with("webhook-signature", signature.replace("v1,", "v1a,")),
        with("webhook-signature", signature.replace("v1,", "")),
    ];
    for headers in &refused {
        let answer = deliver(&daemon, ROUTE, headers, body.clone()).await;
        assert_eq!(answer.status.as_u16(), 401, "{headers:?}");
        answer.error(401, "bad_signature");
        // Who cannot sign learns nothing about the body either.
        deliver(&daemon, ROUTE, headers, "no json").await.error(401, "bad_signature");
    }
    assert_eq!(newest_event(&daemon).await, 0);

    let several = with("webhook-signature", format!("v1,AAAA v1a,AAAA {signature}"));
    deliver(&daemon, ROUTE, &several, body.clone()).await.ok();
    for seconds in [-200, 290] {
        deliver(&daemon, ROUTE, &at(seconds), body.clone()).await.ok();
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn what_is_signed_but_says_nothing_is_refused() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;
    let signer = Signer::default();

    for body in ["", "{", "id=p1", "{\"status\": \"processing"] {
        signer.deliver(&daemon, "m1", body).await.error(400, "body_not_json");
    }
    let nameless = [
        json!({}),
        json!([]),
        json!(["p1", "processing"]),
        json!("p1"),
        json!({"id": ""}),
        json!({"id": 5, "status": "processing"}),
        json!({"type": "completed"}),
    ];
    for body in nameless {
        signer.deliver(&daemon, "m1", body).await.error(400, "body_without_id");
    }
    let unknown = deliver(&daemon, "/api/webhooks/nobody", &[], "{}").await;
    unknown.error(404, "unknown_provider");
    let wrong_method = daemon.get(ROUTE).await;
    assert_eq!(wrong_method.header("allow"), Some("POST"));
    wrong_method.error(405, "method_not_allowed");
    assert_eq!(newest_event(&daemon).await, 0);
    daemon.stop().await;
}

#[actix_web::test]
async fn with_an_allow_list_others_are_refused_whatever_they_sign() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon()
        .with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_ALLOWED_IPS", "192.0.2.0/24, 2001:db8::/32")
        .with("JOBSYNCD__SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .start(&database)
        .await;
    let body = prediction("p1", "processing").to_string();
    let from = |address: &str| {
        let mut headers = Signer::default().headers("m1", body.as_bytes());
        headers.push(("x-forwarded-for", address.to_owned()));
        headers
    };

    for address in ["198.51.100.7", "2001:db9::1", "192.0.2.1, 198.51.100.7", "127.0.0.1"] {
        let answer = deliver(&daemon, ROUTE, &from(address), body.clone()).await;
        answer.error(403, "address_not_allowed");
    }
    for address in ["192.0.2.9", "2001:db8::1", "::ffff:192.0.2.9"] {
        deliver(&daemon, ROUTE, &from(address), body.clone()).await.ok();
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn the_unsigned_webhooks_of_ones_own_runtime_are_taken_from_where_it_is_alone() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__PROVIDERS__COG__BASE_URL", "http://192.0.2.9:5000")
        .with("JOBSYNCD__SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .start(&database)
        .await;
    let body = prediction("p1", "processing").to_string();
    let from = |address: &str| [("x-forwarded-for", address.to_owned())];

    for address in ["198.51.100.7", "192.0.2.8"] {
        let answer = deliver(&daemon, "/api/webhooks/cog", &from(address), body.clone()).await;
        answer.error(403, "address_not_allowed");
    }
    assert_eq!(newest_event(&daemon).await, 0);
    for address in ["192.0.2.9", "127.0.0.1"] {
        deliver(&daemon, "/api/webhooks/cog", &from(address), body.clone()).await.ok();
    }
    assert_eq!(daemon.job("p1").await["provider"], "cog");
    daemon.stop().await;
}

#[actix_web::test]
async fn unsigned_webhooks_are_taken_only_where_the_configuration_says_so() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon()
        .with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_REQUIRE_SIGNATURE", "false")
        .start(&database)
        .await;
    let body = prediction("p1", "processing").to_string();

    deliver(&daemon, ROUTE, &[], body.clone()).await.ok();
    assert_eq!(daemon.job("p1").await["status"], "running");
    let forged = Signer::new("whsec_d3Jvbmc=").headers("m1", body.as_bytes());
    deliver(&daemon, ROUTE, &forged, body).await.error(401, "bad_signature");
    // An id that nobody signed must not keep another's message out.
    let unsigned_id = [("webhook-id", "m2".to_owned())];
    deliver(&daemon, ROUTE, &unsigned_id, prediction("p2", "starting").to_string()).await.ok();
    let answer = Signer::default().deliver(&daemon, "m2", prediction("p2", "processing")).await;
    assert_eq!(answer.ok()["status"], "received");
    daemon.stop().await;
}

#[actix_web::test]
async fn without_a_configured_secret_the_providers_is_fetched_once() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let signer = Signer::new(simulator.webhook_secret());
    simulator.reset_calls();

    let deliveries = (0..20).map(|n| {
        let id = format!("p{n}");
        let (signer, daemon) = (&signer, &daemon);
        async move { signer.deliver(daemon, &id, prediction(&id, "processing")).await.ok() }
    });
    join_all(deliveries).await;

    assert_eq!(simulator.calls_to("GET /webhooks/default/secret"), 1);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_forger_cannot_make_the_daemon_ask_the_provider_without_end() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    simulator.reset_calls();

    for _ in 0..20 {
        Signer::default()
            .deliver(&daemon, "m1", prediction("p1", "processing"))
            .await
            .error(401, "bad_signature");
    }

    assert_eq!(simulator.calls_to("GET /webhooks/default/secret"), 1);
    daemon.stop().await;
}

#[actix_web::test]
async fn without_any_secret_nothing_is_believed() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL", simulator.base_url())
        .start(&database)
        .await;

    let answer = Signer::default().deliver(&daemon, "m1", prediction("p1", "processing")).await;

    answer.error(401, "no_webhook_secret");
    assert_eq!(newest_event(&daemon).await, 0);
    daemon.stop().await;
}

#[actix_web::test]
async fn while_the_secret_cannot_be_fetched_the_sender_is_told_to_try_again() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let signer = Signer::new(simulator.webhook_secret());
    let unauthorized = jobsyncd::simulator::Fault::new(
        "GET /webhooks/default/secret",
        jobsyncd::simulator::FaultKind::Unauthorized,
    );
    simulator.fail_next(unauthorized);

    let deliver = async || signer.deliver(&daemon, "m1", prediction("p1", "processing")).await;

    let answer = deliver().await;
    assert!(answer.header("retry-after").is_some());
    answer.error(503, "webhook_secret_unavailable");

    // A failure is remembered for a moment, so that nobody makes the daemon ask without end.
    let taken = async {
        while deliver().await.status.as_u16() != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, taken).await.expect("the next attempts are soon taken");
    assert_eq!(daemon.job("p1").await["status"], "running");
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_webhook_that_comes_twice_changes_something_once(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon().start(&database).await;
    let signer = Signer::default();
    let body = prediction("p1", "processing");
    signer.deliver(&daemon, "m1", &body).await.ok();

    let again = signer.deliver(&daemon, "m1", &body).await.ok();
    assert_eq!((&again["status"], &again["job_id"]), (&json!("duplicate"), &json!("p1")));
    // The same news with another id is no duplicate, but no news either.
    let same_news = signer.deliver(&daemon, "m2", &body).await.ok();
    assert_eq!((&same_news["status"], &same_news["updates"]), (&json!("received"), &json!({})));
    assert_eq!(newest_event(&daemon).await, 1);

    // Also after a restart, and also at the same time.
    daemon.stop().await;
    let daemon = self::daemon().start(&database).await;
    assert_eq!(signer.deliver(&daemon, "m1", &body).await.ok()["status"], "duplicate");
    let end = prediction("p1", "failed");
    let answers = join_all((0..10).map(|_| signer.deliver(&daemon, "m3", &end))).await;
    let is_new = answers.into_iter().filter(|answer| answer.json()["status"] == "received");
    assert_eq!(is_new.count(), 1);
    assert_eq!(newest_event(&daemon).await, 2);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_webhook_that_comes_after_the_end_changes_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon().start(&database).await;
    let signer = Signer::default();
    signer.deliver(&daemon, "m2", prediction("p1", "canceled")).await.ok();
    let known = daemon.job("p1").await;

    for (n, status) in ["processing", "starting"].into_iter().enumerate() {
        let late =
            signer.deliver(&daemon, &format!("late-{n}"), prediction("p1", status)).await.ok();
        assert_eq!((&late["status"], &late["updates"]), (&json!("received"), &json!({})));
    }
    let late = json!({"type": "training.status", "job_id": "p1", "status": "running"});
    assert_eq!(signer.deliver(&daemon, "late-4", late).await.ok()["updates"], json!({}));

    assert_eq!(daemon.job("p1").await, known);
    assert_eq!(newest_event(&daemon).await, 1);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn webhooks_in_any_order_end_in_the_same_job(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon().start(&database).await;
    let signer = Signer::default();
    let words = ["starting", "processing", "succeeded"];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

    let mut ends = Vec::new();
    for (n, order) in orders.into_iter().enumerate() {
        let id = format!("p{n}");
        for step in order {
            let message = format!("{id}-{step}");
            signer.deliver(&daemon, &message, prediction(&id, words[step])).await.ok();
        }
        let mut job = daemon.job(&id).await;
        for of_its_own in ["job_id", "confirmed_at", "metadata"] {
            job[of_its_own].take();
        }
        ends.push(job);
    }

    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:#?}");
    assert_eq!(ends[0]["status"], "completed");
    daemon.stop().await;
}

#[actix_web::test]
async fn an_unknown_word_of_the_provider_is_shown_and_changes_no_state() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;
    let signer = Signer::default();
    signer.deliver(&daemon, "m1", prediction("p1", "processing")).await.ok();

    signer.deliver(&daemon, "m2", prediction("p1", "on_fire")).await.ok();

    let job = daemon.job("p1").await;
    assert_eq!((&job["status"], &job["provider_status"]), (&json!("running"), &json!("on_fire")));
    daemon.stop().await;
}

#[actix_web::test]
async fn a_model_that_is_not_tracked_makes_no_job_known() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon()
        .with("JOBSYNCD__PROVIDERS__REPLICATE__MODELS", "simpletuner/*")
        .start(&database)
        .await;
    let signer = Signer::default();
    let mut other = prediction("p1", "processing");
    other["model"] = json!("acme/painter");

    let answer = signer.deliver(&daemon, "m1", other).await.ok();
    assert_eq!(answer["status"], "ignored");
    signer.deliver(&daemon, "m2", prediction("p2", "processing")).await.ok();
    // The runtime itself names no model: about a job that is known it is believed all the same.
    let nameless = json!({"id": "p2", "status": "succeeded"});
    assert_eq!(signer.deliver(&daemon, "m3", nameless).await.ok()["status"], "received");

    assert_eq!(daemon.get("/api/cloud/jobs").await.ok()["total"], 1);
    assert_eq!(daemon.job("p2").await["status"], "completed");
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_body_of_64_megabytes_is_read_and_its_log_kept(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon().with("JOBSYNCD__LOGS__MAX_JOB_MB", "64").start(&database).await;
    let signer = Signer::default();
    signer.deliver(&daemon, "m1", prediction("p1", "processing")).await.ok();
    let frame = "Steps:  30%|###       | 600/2000 [00:00<00:29, 47.96it/s, step_loss=0.0234]\r";
    let mut body = prediction("p1", "succeeded");
    body["logs"] = json!("");
    // Every \r is two bytes of JSON.
    let room = 64 * MEGABYTE - body.to_string().len();
    let mut log = frame.repeat(room / (frame.len() + 1));
    log.push_str(&"x".repeat(room - room / (frame.len() + 1) * (frame.len() + 1)));
    let log_bytes = log.len();
    body["logs"] = json!(log);
    let body = body.to_string().into_bytes();
    assert_eq!(body.len(), 64 * MEGABYTE);

    let headers = signer.headers("m2", &body);
    let answer = deliver(&daemon, ROUTE, &headers, body).await.ok();

    assert_eq!(answer["updates"]["status"], "completed");
    let logs = daemon.get("/api/cloud/jobs/p1/logs").await.ok();
    assert_eq!(logs["logs"].as_str().map(str::len), Some(log_bytes));
    assert_eq!(daemon.job("p1").await["progress"]["total_steps"], 2000);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_larger_body_is_refused_before_it_is_sent() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;

    let announced = [("content-length", (64 * MEGABYTE + 1).to_string())];
    let head = announced_head(&daemon, &announced).await;

    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_larger_body_that_announces_no_length_is_refused_too() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().with("JOBSYNCD__SERVER__MAX_BODY_MB", "1").start(&database).await;
    let chunks = (0..17).map(|_| Ok::<_, std::io::Error>(vec![b' '; MEGABYTE / 16].into()));
    let chunks = futures_util::stream::iter(chunks);

    let mut answer = daemon
        .client
        .request(Method::POST, daemon.webhook_url())
        .send_stream(Box::pin(chunks))
        .await
        .expect("an answer");

    assert_eq!(answer.status().as_u16(), 413);
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body["details"]["limit_bytes"], MEGABYTE);
    daemon.stop().await;
}

/// The first line of the answer to a webhook of which only the head is sent.
async fn announced_head(daemon: &TestDaemon, headers: &[(&str, String)]) -> String {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let host = daemon.url.trim_start_matches("http://");
    let mut socket = tokio::net::TcpStream::connect(host).await.expect("a connection");
    let mut head = format!("POST {ROUTE} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    socket.write_all(head.as_bytes()).await.expect("a head");
    let mut line = String::new();
    let read = BufReader::new(socket).read_line(&mut line).await;
    read.expect("an answer");
    line
}

#[rstest]
#[case::nul("no memory\0\u{1b}[31m")]
#[case::surrogate_of_python("cut \u{fffd}")]
#[actix_web::test]
async fn what_a_terminal_shows_is_stored_in_either_database(
    #[case] error: &str,
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon().start(&database).await;
    let mut body = prediction("p1", "failed");
    body["error"] = json!(error);
    body["logs"] = json!("line\0one\r\u{1b}[0mTraceback\0");

    let answer = Signer::default().deliver(&daemon, "m1", body).await.ok();

    assert_eq!(answer["updates"]["status"], "failed");
    let shown = daemon.job("p1").await["error_message"].take();
    assert!(shown.as_str().is_some_and(|shown| shown.starts_with(&error[..3])), "{shown}");
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn an_id_that_no_job_can_have_is_passed_over_and_holds_up_no_other(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon().start(&database).await;
    let signer = Signer::default();
    let noise: String =
        (0..20_000u32).map(|n| format!("{:x}", n.wrapping_mul(2_654_435_761))).collect();

    for id in ["p\0", "p\n1", &noise] {
        let answer = signer.deliver(&daemon, "m", prediction(id, "processing")).await.ok();
        assert_eq!(answer["status"], "ignored", "{answer}");
    }
    assert_eq!(newest_event(&daemon).await, 0);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_locked_database_costs_no_webhook() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;
    let signer = Signer::default();
    let path = database.url.trim_start_matches("sqlite://");
    let mut other = SqliteConnection::establish(path).expect("a second connection");
    other.batch_execute("BEGIN EXCLUSIVE").expect("a lock");

    let deliveries = (0..5).map(|n| {
        let (signer, daemon) = (&signer, &daemon);
        async move {
            let id = format!("p{n}");
            signer.deliver(daemon, &id, prediction(&id, "processing")).await
        }
    });
    for refused in join_all(deliveries).await {
        assert!(refused.header("retry-after").is_some());
        refused.error(503, "store_unavailable");
    }
    other.batch_execute("ROLLBACK").expect("no lock");

    // The same messages again, as the provider sends them: none of them counts as a duplicate.
    for n in 0..5 {
        let id = format!("p{n}");
        let answer = signer.deliver(&daemon, &id, prediction(&id, "processing")).await.ok();
        assert_eq!((&answer["status"], &answer["job_id"]), (&json!("received"), &json!(id)));
    }
    assert_eq!(newest_event(&daemon).await, 5);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn each_of_many_senders_gets_its_own_answer(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon().start(&database).await;
    let signer = Signer::default();

    let deliveries = (0..200).map(|n| {
        let (signer, daemon) = (&signer, &daemon);
        async move {
            let (job, message) = (format!("p{}", n % 100), format!("m{}", n % 100));
            let answer =
                signer.deliver(daemon, &message, prediction(&job, "processing")).await.ok();
            assert_eq!(answer["job_id"], json!(job));
            // Who has the answer can rely on it.
            assert_eq!(daemon.job(&job).await["status"], "running");
            answer["status"].as_str().expect("a word").to_owned()
        }
    });
    let answers = join_all(deliveries).await;

    let count = |word: &str| answers.iter().filter(|answer| *answer == word).count();
    assert_eq!((count("received"), count("duplicate")), (100, 100));
    assert_eq!(newest_event(&daemon).await, 100);
    daemon.stop().await;
}

#[actix_web::test]
async fn progress_in_a_webhooks_log_reaches_the_stream() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;
    let signer = Signer::default();
    signer.deliver(&daemon, "m1", prediction("p1", "processing")).await.ok();
    let mut stream = daemon.events().await;
    let mut body = prediction("p1", "processing");
    body["logs"] =
        json!("Epoch 1/21, Steps:  30%|###   | 600/2000 [00:00<00:29, step_loss=0.0234]\r");

    signer.deliver(&daemon, "m2", &body).await.ok();
    // The same log again is no news.
    signer.deliver(&daemon, "m3", &body).await.ok();
    signer.deliver(&daemon, "m4", prediction("p1", "succeeded")).await.ok();

    let told = stream.next().await;
    assert_eq!(told.id, None, "progress is not in the log of events");
    let told = told.json();
    assert_eq!((&told["type"], &told["job_id"]), (&json!("job_progress"), &json!("p1")));
    assert_eq!((&told["stage"], &told["progress"]), (&json!("Training"), &json!(30.0)));
    assert_eq!((&told["step"], &told["total_steps"]), (&json!(600), &json!(2000)));
    assert_eq!(told["loss"], 0.0234);
    assert!(told.get("eta_seconds").is_some() && told["last_log"].is_string(), "{told}");
    assert_eq!(stream.next().await.json()["status"], "completed");
    daemon.stop().await;
}

/// A simulator that does not wait between its attempts.
async fn impatient_simulator() -> Simulator {
    let webhook_retry_delays = vec![Duration::from_millis(1); 6];
    let options = SimulatorOptions { webhook_retry_delays, ..SimulatorOptions::default() };
    Simulator::start(options).await.expect("the simulator starts")
}

fn tracked(daemon: &TestDaemon) -> JobSpec {
    JobSpec {
        webhook_events_filter: vec![WebhookEvent::Start, WebhookEvent::Completed],
        ..JobSpec::manual().webhook(&daemon.webhook_url())
    }
}

#[rstest]
#[actix_web::test]
async fn a_job_whose_webhooks_arrive_is_known_at_its_start_and_its_end(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let mut stream = daemon.events().await;
    let job = simulator.create_job(tracked(&daemon)).expect("a job");

    simulator.set_status(&job, Status::Processing).expect("it starts");
    let told = stream.next_of("job_discovered").await;
    assert_eq!((&told["job_id"], &told["status"]), (&json!(job), &json!("running")));
    simulator.set_status(&job, Status::Succeeded).expect("it ends");
    let told = stream.next_of("job_status_changed").await;
    assert_eq!((&told["job_id"], &told["status"]), (&json!(job), &json!("completed")));

    simulator.deliveries_settled().await;
    let all_taken = |delivery: &jobsyncd::simulator::Delivery| {
        (delivery.attempts, delivery.outcome) == (1, DeliveryOutcome::Delivered)
    };
    assert!(simulator.deliveries().iter().all(all_taken), "{:?}", simulator.deliveries());
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn webhooks_that_change_places_come_twice_or_get_lost_end_in_the_truth(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = impatient_simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let fault = |event, kind| simulator.fail_next_webhook(WebhookFault::new(Some(event), kind));
    let mut expected = Vec::new();
    for end in [Status::Succeeded, Status::Failed, Status::Canceled, Status::Aborted] {
        fault(WebhookEvent::Start, WebhookFaultKind::HoldBack);
        fault(WebhookEvent::Completed, WebhookFaultKind::Duplicate);
        let job = simulator.create_job(tracked(&daemon)).expect("a job");
        simulator.set_status(&job, Status::Processing).expect("it starts");
        simulator.set_status(&job, end.clone()).expect("it ends");
        simulator.deliveries_settled().await;
        expected.push((job, end));
    }

    for (job, end) in expected {
        let word = match end {
            Status::Succeeded => "completed",
            Status::Failed => "failed",
            _ => "cancelled",
        };
        assert_eq!(daemon.job(&job).await["status"], word);
    }
    // One event a job: the first webhook of each told of its end already.
    assert_eq!(newest_event(&daemon).await, 4);
    daemon.stop().await;
}

#[actix_web::test]
async fn the_end_that_could_not_be_stored_at_first_is_stored_by_a_later_attempt() {
    let simulator = impatient_simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let path = database.url.trim_start_matches("sqlite://");
    let mut other = SqliteConnection::establish(path).expect("a second connection");
    other.batch_execute("BEGIN EXCLUSIVE").expect("a lock");
    let mut stream = daemon.events().await;

    let job = simulator.create_job(tracked(&daemon)).expect("a job");
    simulator.set_status(&job, Status::Canceled).expect("it ends");
    let refused_once = async {
        while simulator.deliveries().iter().all(|delivery| delivery.last_status != Some(503)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, refused_once).await.expect("an answer soon");
    other.batch_execute("ROLLBACK").expect("no lock");

    let told = stream.next_of("job_discovered").await;
    assert_eq!((&told["job_id"], &told["status"]), (&json!(job), &json!("cancelled")));
    simulator.deliveries_settled().await;
    let delivery = simulator.deliveries().pop().expect("a delivery");
    assert_eq!(delivery.outcome, DeliveryOutcome::Delivered);
    assert!(delivery.attempts > 1);
    daemon.stop().await;
}

#[actix_web::test]
async fn whether_webhooks_arrive_can_be_tested() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;
    let ask = async |body: Value| daemon.post_json("/api/webhooks/test", &body).await;

    let answer = ask(json!({"webhook_url": daemon.webhook_url(), "timeout": 5})).await.ok();
    assert_eq!((&answer["success"], &answer["status_code"]), (&json!(true), &json!(200)));
    assert_eq!((&answer["error"], &answer["method"]), (&Value::Null, &json!("direct")));
    assert!(answer["latency_ms"].as_f64().is_some_and(|latency| latency > 0.0), "{answer}");

    let nothing_there = format!("{}/nothing", daemon.url);
    let answer = ask(json!({"webhook_url": nothing_there})).await.ok();
    assert_eq!((&answer["success"], &answer["status_code"]), (&json!(false), &json!(404)));
    let closed = "http://127.0.0.1:1/";
    let answer = ask(json!({"webhook_url": closed})).await.ok();
    assert_eq!((&answer["success"], &answer["status_code"]), (&json!(false), &Value::Null));
    assert!(answer["error"].is_string(), "{answer}");

    // It takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let url = format!("http://{}/", silent.local_addr().expect("an address"));
    let answer = ask(json!({"webhook_url": url, "timeout": 0.05})).await.ok();
    assert_eq!(answer["success"], false);
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("0.05")), "{answer}");

    for bad in [
        json!({}),
        json!({"webhook_url": 5}),
        json!({"webhook_url": "ftp://example.org"}),
        json!({"webhook_url": "example.org"}),
        json!({"webhook_url": url, "timeout": 0}),
        json!({"webhook_url": url, "timeout": 1e9}),
    ] {
        ask(bad).await.error(422, "invalid_value");
    }
    daemon.stop().await;
}
