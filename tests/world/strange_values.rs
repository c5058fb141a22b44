//! A: nothing is lost beside something strange, by a provider or in a request.

use jobsyncd::simulator::{Fault, FaultKind, JobSpec, JobUpdate, Oddity, Simulator, Status};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};
use crate::support::webhook::{ROUTE, SECRET, Signer, deliver};

/// A job that has run for ten minutes and ended so, with these oddities.
fn ended(simulator: &Simulator, status: Status, oddities: &[Oddity]) -> String {
    let job = simulator
        .create_job(JobSpec { oddities: oddities.to_vec(), ..JobSpec::manual() })
        .expect("a job");
    let started_at = chrono::Utc::now() - chrono::TimeDelta::minutes(10);
    let update = JobUpdate {
        logs: Some("Step 9/9\n".to_owned()),
        error: Some("out of memory".to_owned()).filter(|_| status == Status::Failed),
        output: Some(json!("https://example.com/out.tar")).filter(|_| status == Status::Succeeded),
        started_at: Some(started_at),
        ..JobUpdate::status(status)
    };
    simulator.update_job(&job, update).expect("a change");
    job
}

async fn started() -> (Simulator, TestDatabase, TestDaemon) {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET)
        .start(&database)
        .await;
    (simulator, database, daemon)
}

#[actix_web::test]
async fn half_an_emoji_in_what_nobody_reads_changes_nothing() {
    let (simulator, _database, daemon) = started().await;
    let id = ended(&simulator, Status::Succeeded, &[Oddity::HalfEmojiInput]);
    let synced = daemon.sync().await;
    assert_eq!((&synced["synced"], &synced["skipped"]), (&json!(1), &json!(0)), "{synced}");
    assert_eq!(daemon.job(&id).await["status"], "completed");
    daemon.logs_settled().await;
    let logs = daemon.get(&format!("/api/cloud/jobs/{id}/logs")).await.ok();
    assert_eq!(logs["logs"], "Step 9/9\n", "{logs}");
}

#[actix_web::test]
async fn half_an_emoji_in_an_error_costs_that_character_alone() {
    let (simulator, _database, daemon) = started().await;
    let id = ended(&simulator, Status::Failed, &[Oddity::HalfEmojiError]);
    let synced = daemon.sync().await;
    assert_eq!((&synced["synced"], &synced["skipped"]), (&json!(1), &json!(0)), "{synced}");
    assert_eq!(daemon.job(&id).await["error_message"], "went wrong \u{fffd}");
}

#[actix_web::test]
async fn an_entry_that_cannot_be_read_is_counted_and_the_others_are_taken() {
    let (simulator, _database, daemon) = started().await;
    let strange = ended(&simulator, Status::Succeeded, &[Oddity::NoIdInLists]);
    let good = ended(&simulator, Status::Succeeded, &[]);
    let synced = daemon.sync().await;
    assert_eq!((&synced["synced"], &synced["skipped"]), (&json!(1), &json!(1)), "{synced}");
    assert_eq!(daemon.job(&good).await["status"], "completed");
    daemon.get(&format!("/api/cloud/jobs/{strange}")).await.error(404, "job_not_found");
}

/// Bodies as they were really sent, each with what is strange about it, and how many fields cannot be read.
const BODIES: [(&str, &[u8], u64); 8] = [
    (
        "half an emoji in the input",
        br#"{"id": "p1", "status": "processing", "input": {"prompt": "\ud83d"}}"#,
        0,
    ),
    (
        "half an emoji in the log",
        br#"{"id": "p1", "status": "processing", "logs": "Step 1/9 \ude00\n"}"#,
        0,
    ),
    (
        "a number that JSON has not",
        br#"{"id": "p1", "status": "processing", "input": {"lr": NaN, "max": Infinity}}"#,
        0,
    ),
    (
        "a number beyond all",
        br#"{"id": "p1", "status": "processing", "metrics": {"predict_time": 1e999}}"#,
        1,
    ),
    (
        "bytes that are no text",
        b"{\"id\": \"p1\", \"status\": \"processing\", \"input\": {\"name\": \"caf\xe9\"}}",
        0,
    ),
    (
        "control characters",
        b"{\"id\": \"p1\", \"status\": \"processing\", \"input\": {\"a\": \"\x00\x1b[0m\"}}",
        0,
    ),
    (
        "fields of other types",
        br#"{"id": "p1", "status": "processing", "urls": [], "logs": 5, "error": {"code": 7}}"#,
        2,
    ),
    ("the same field twice", br#"{"id": "p1", "status": "starting", "status": "processing"}"#, 0),
];

#[actix_web::test]
async fn a_signed_body_with_an_id_is_taken_whatever_stands_beside_it() {
    for (what, body, skipped) in BODIES {
        let (_simulator, _database, daemon) = started().await;
        let headers = Signer::default().headers("msg_1", body);
        let answer = deliver(&daemon, ROUTE, &headers, body).await;
        assert_eq!(answer.status, 200, "{what}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.json()["skipped"], skipped, "{what}");
        assert_eq!(daemon.job("p1").await["status"], "running", "{what}");
    }
}

#[actix_web::test]
async fn an_id_that_can_be_no_jobs_is_passed_over_and_not_asked_for_again() {
    let (_simulator, _database, daemon) = started().await;
    for (number, id) in ["x".repeat(5_000), "a\nb".to_owned()].into_iter().enumerate() {
        let body = json!({"id": id, "status": "processing"});
        let answer = Signer::default().deliver(&daemon, &format!("msg_{number}"), body).await.ok();
        assert_eq!(answer["status"], "ignored", "{answer}");
    }
}

#[actix_web::test]
async fn a_body_that_was_cut_off_is_asked_for_again_and_taken_then() {
    let (_simulator, _database, daemon) = started().await;
    let signer = Signer::default();
    // Half of an end would be taken for all of it.
    for cut in [
        r#"{"id": "p1", "model": "a/b", "inp"#,
        r#"{"id": "p1", "status": "succeeded", "completed_at": "2026-03-01T10:0"#,
    ] {
        let answer = signer.deliver(&daemon, "msg_1", cut).await;
        assert_eq!(answer.header("retry-after"), Some("2"));
        answer.error(503, "body_cut");
    }
    let whole = r#"{"id": "p1", "status": "succeeded", "error": null, "output": "https://x/y"}"#;
    let taken = signer.deliver(&daemon, "msg_1", whole).await.ok();
    assert_eq!(taken["status"], "received", "{taken}");
    assert_eq!(daemon.job("p1").await["output_url"], "https://x/y");
}

#[actix_web::test]
async fn a_value_nested_a_thousand_deep_hides_no_other() {
    let (_simulator, _database, daemon) = started().await;
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    let body =
        format!(r#"{{"id": "p1", "input": {deep}, "output": {deep}, "status": "processing"}}"#);
    let answer = Signer::default().deliver(&daemon, "msg_1", body).await.ok();
    assert_eq!(answer["skipped"], 1);
    assert_eq!(daemon.job("p1").await["status"], "running");
}

#[actix_web::test]
async fn times_are_read_in_the_forms_that_clients_print() {
    let (simulator, _database, daemon) = started().await;
    let id = ended(&simulator, Status::Succeeded, &[Oddity::OffsetWithoutColon]);
    daemon.sync().await;
    let seconds = daemon.job(&id).await["duration_seconds"].as_f64().expect("a duration");
    assert!((599.0..700.0).contains(&seconds), "{seconds}");
}

#[actix_web::test]
async fn what_a_model_wrote_is_not_shown_as_a_place() {
    let (simulator, _database, daemon) = started().await;
    let id = ended(&simulator, Status::Succeeded, &[Oddity::OutputInChunks]);
    daemon.sync().await;
    let job = daemon.job(&id).await;
    assert_eq!((&job["status"], &job["output_url"]), (&json!("completed"), &Value::Null));
}

#[actix_web::test]
async fn a_time_that_cannot_be_costs_nothing() {
    let (simulator, _database, daemon) = started().await;
    let id = ended(&simulator, Status::Succeeded, &[Oddity::EndlessPredictTime]);
    daemon.sync().await;
    let cost = daemon.job(&id).await["cost_usd"].as_f64().unwrap_or_default();
    assert!(cost < 10.0, "{cost}");
}

#[actix_web::test]
async fn a_log_that_the_provider_says_is_deleted_is_not_asked_for() {
    let (simulator, _database, daemon) = started().await;
    let id = ended(&simulator, Status::Succeeded, &[Oddity::DataRemoved]);
    daemon.sync().await;
    daemon.logs_settled().await;
    daemon.get(&format!("/api/cloud/jobs/{id}/logs")).await.error(410, "log_lost");
    assert_eq!(simulator.calls_to("GET /predictions/{id}"), 0);
}

#[actix_web::test]
async fn an_answer_that_was_cut_off_is_asked_for_again() {
    let (simulator, _database, daemon) = started().await;
    ended(&simulator, Status::Succeeded, &[]);
    simulator.fail_next(Fault::new("GET /predictions", FaultKind::CutJson));
    assert_eq!(daemon.sync().await["synced"], 1);
    assert_eq!(simulator.calls_to("GET /predictions"), 2);
}

/// What a job may have in a list of fifty, in bytes: together they are at most 150 kB.
const LISTED_BYTES_MAX: usize = 3_000;

#[rstest]
#[actix_web::test]
async fn gigantic_texts_are_carried_in_part_and_kept_whole(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let id = ended(&simulator, Status::Failed, &[Oddity::GiganticTexts]);
    let mut events = daemon.events().await;
    daemon.sync().await;

    let list = daemon.get("/api/cloud/jobs").await.body;
    assert!(list.len() < LISTED_BYTES_MAX, "{}", list.len());
    let event = events.next().await.data;
    assert!(event.len() < LISTED_BYTES_MAX, "{}", event.len());
    let page = daemon.get("/").await.body;
    assert!(page.len() < 60_000, "{}", page.len());

    let job = daemon.job(&id).await;
    assert_eq!((&job["is_cut"], &job["output_url"]), (&json!(true), &Value::Null), "{job}");
    let error = job["error_message"].as_str().expect("a part");
    assert!(error.starts_with("\u{1b}[31mNo. ") && error.contains("bytes left out"), "{error}");
    for field in ["error_message", "output_url"] {
        let whole = daemon.get(&format!("/api/cloud/jobs/{id}/texts/{field}")).await;
        assert_eq!(whole.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(json!(whole.body.len()), job["cut_bytes"][field], "{field}");
        assert!(whole.body.len() > 5_000_000, "{field}: {}", whole.body.len());
    }
}

#[actix_web::test]
async fn fifty_jobs_are_never_a_list_of_more_than_150_kb() {
    let (_simulator, _database, daemon) = started().await;
    let long = "\u{1}\"ä".repeat(4_000);
    for number in 0..50 {
        let log = format!(
            "Epoch 1/21, Steps:  30%|███| 600/2000 [00:00<00:29, 47.96it/s, lr=9.5e-5, step_loss=0.0234] {long}\n"
        );
        let body = json!({
            "id": format!("{number:03}{}", "ä".repeat(73)), "status": format!("succeeded {long}"),
            "input": {"tracker_run_name": "ä".repeat(200)}, "model": long, "version": long, "error": long, "logs": log,
            "output": format!("https://example.com/{}", "a".repeat(470)),
            "urls": {"web": format!("https://example.com/{}", "a".repeat(130))},
            "created_at": "2026-03-01T10:00:00.123456789Z", "started_at": "2026-03-01T10:00:00.123456Z",
            "metrics": {"predict_time": 1.0 / 3.0},
        });
        Signer::default().deliver(&daemon, &format!("msg_{number}"), body).await.ok();
    }
    let list = daemon.get("/api/cloud/jobs").await;
    assert_eq!(list.json()["jobs"].as_array().map(Vec::len), Some(50));
    assert!(list.body.len() <= 150_000, "{}", list.body.len());
}

#[actix_web::test]
async fn a_text_that_a_job_does_not_have_is_not_found() {
    let (simulator, _database, daemon) = started().await;
    let id = ended(&simulator, Status::Failed, &[]);
    daemon.sync().await;
    let of = |field: &str| format!("/api/cloud/jobs/{id}/texts/{field}");
    assert_eq!(daemon.get(&of("error_message")).await.body, b"out of memory");
    daemon.get(&of("output_url")).await.error(404, "no_text");
    daemon.get(&of("input")).await.error(404, "unknown_text");
    daemon.get("/api/cloud/jobs/other/texts/output_url").await.error(404, "job_not_found");
}

#[rstest]
#[actix_web::test]
async fn a_key_belongs_to_one_user_one_provider_and_one_request(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__TRAININGS", "true")
        .start(&database)
        .await;
    let request = json!({
        "hardware_profile": "h100", "config": {"max_train_steps": 100}, "user_id": "ann",
        "config_name": "cats", "idempotency_key": "once",
    });
    let with = |field: &str, value: Value| {
        let mut changed = request.clone();
        changed[field] = value;
        changed
    };
    let submit = async |provider: &str, request: &Value| {
        daemon.post_json(&format!("/api/cloud/jobs/submit?provider={provider}"), request).await
    };
    let first = submit("replicate", &request).await.ok();
    let repeated = submit(
        "replicate",
        &with("webhook_url", json!("https://x.example/api/webhooks/replicate")),
    )
    .await
    .ok();
    assert_eq!(
        (&repeated["job_id"], &repeated["idempotent_hit"]),
        (&first["job_id"], &json!(true))
    );

    for (field, value) in [
        ("config", json!({"max_train_steps": 101})),
        ("hardware_profile", json!("l40s")),
        ("config_name", json!("dogs")),
        ("priority", json!("urgent")),
        ("max_attempts", json!(7)),
    ] {
        let refused = submit("replicate", &with(field, value)).await;
        let refused = refused.error(409, "idempotency_key_reused");
        assert_eq!(refused["details"]["job_id"], first["job_id"], "{field}");
    }
    let of_another = submit("replicate", &with("user_id", json!("bob"))).await.ok();
    let of_nobody = submit("replicate", &with("user_id", Value::Null)).await.ok();
    let elsewhere =
        submit("replicate-trainings", &with("destination", json!("me/cats"))).await.ok();
    for other in [&of_another, &of_nobody, &elsewhere] {
        assert_eq!(other["idempotent_hit"], false, "{other}");
    }
    let again = submit("replicate", &with("user_id", Value::Null)).await.ok();
    assert_eq!(again["job_id"], of_nobody["job_id"]);
}

#[actix_web::test]
async fn a_trainers_words_about_its_failure_are_bounded_as_well() {
    let (_simulator, _database, daemon) = started().await;
    let signer = Signer::default();
    signer.deliver(&daemon, "msg_1", json!({"id": "p1", "status": "processing"})).await.ok();
    let failed = json!({
        "type": "training.status", "job_id": "p1",
        "data": {"status": "failed", "message": "No. ".repeat(1_500_000)},
    });
    let answer = signer.deliver(&daemon, "msg_2", failed).await;
    assert!(answer.body.len() < 2 * LISTED_BYTES_MAX, "{}", answer.body.len());
    let list = daemon.get("/api/cloud/jobs").await.body;
    assert!(list.len() < 2 * LISTED_BYTES_MAX, "{}", list.len());
}
