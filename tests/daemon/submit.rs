//! Submitting jobs: what the provider gets, what is stored, and that each is run exactly once.

use std::time::Duration;

use actix_web::http::Method;
use futures_util::future::join_all;
use jobsyncd::simulator::{ErrorBody, Fault, FaultKind, JobSpec, JobUpdate, Simulator, Status};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDaemonBuilder, TestDatabase, simulator};

/// A token that must be nowhere but at the provider.
const SECRET: &str = "hf_neverToBeSeen0123456789";

const CREATE: &str = "POST /predictions";

/// A daemon that looks at its queue often, and does not wait long for a lost job to show.
fn quick(simulator: &Simulator) -> TestDaemonBuilder {
    TestDaemon::builder()
        .tracking(simulator)
        .with("JOBSYNCD__BACKGROUND__QUEUE_PROCESSING__INTERVAL_SECONDS", "1")
        .with("JOBSYNCD__PROVIDERS__REPLICATE__SUBMIT_SETTLE_SECONDS", "1")
}

fn server_error(status: u16) -> FaultKind {
    FaultKind::ServerError { status, body: ErrorBody::Html }
}

/// What the provider was given for a job.
fn input(simulator: &Simulator, prediction: &str) -> Value {
    simulator.job(prediction).expect("a job")["input"].clone()
}

#[rstest]
#[actix_web::test]
async fn a_submitted_job_is_stored_handed_over_and_followed_to_its_end(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = quick(&simulator).start(&database).await;
    let mut events = daemon.events().await;

    let answer = daemon
        .post_json(
            "/api/cloud/jobs/submit?provider=replicate",
            &json!({
                "model": "simpletuner/advanced-trainer-l40s-x2",
                "input": {"_simulator": "manual", "steps": 5},
                "config_name": "cats",
                "priority": "high",
                "user_id": 7,
            }),
        )
        .await
        .ok();
    let id = answer["job_id"].as_str().expect("an identifier");
    let expected = json!({
        "success": true, "job_id": id, "status": "pending", "error": null, "data_uploaded": false,
        "upload_id": null, "cost_limit_warning": null, "quota_warnings": [], "idempotent_hit": false,
    });
    assert_eq!(answer, expected);
    let discovered = events.next_of("job_discovered").await;
    assert_eq!((&discovered["job_id"], &discovered["source"]), (&json!(id), &json!("user")));
    let changes = ["queued", "submitting", "accepted"];
    for change in changes {
        let event = events.next_of("queue_changed").await;
        assert_eq!((&event["change"], &event["job_id"]), (&json!(change), &json!(id)), "{event}");
    }
    let queued = events.next_of("job_status_changed").await;
    assert_eq!((&queued["status"], &queued["previous"]), (&json!("queued"), &json!("pending")));
    assert_eq!(queued["source"], "queue");

    let prediction = daemon.taken(id).await;
    let shown = simulator.job(&prediction).expect("a job");
    assert_eq!(shown["model"], "simpletuner/advanced-trainer-l40s-x2");
    assert_eq!(shown["input"], json!({"_simulator": "manual", "steps": 5}));
    let job = daemon.job(id).await;
    assert_eq!((&job["config_name"], &job["user_id"]), (&json!("cats"), &json!("7")));
    assert_eq!(job["hardware_type"], "l40s-x2");

    simulator.set_status(&prediction, Status::Succeeded).expect("it ends");
    daemon.refresh().await;
    let event = events.next_of("job_status_changed").await;
    assert_eq!((&event["job_id"], &event["status"]), (&json!(id), &json!("completed")));
    let entry = daemon.get("/api/queue?status=completed").await.ok()["entries"][0].take();
    assert_eq!((&entry["job_id"], &entry["attempt"]), (&json!(id), &json!(1)));
    // The account's list shows the same job, not another one.
    daemon.sync().await;
    assert_eq!(daemon.get("/api/cloud/jobs").await.ok()["total"], 1);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_hundred_requests_with_one_key_make_one_job(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = quick(&simulator).start(&database).await;
    let request = json!({
        "hardware_profile": "h100", "input": {"_simulator": "manual"}, "idempotency_key": "once",
    });
    let requests = (0..100).map(|_| daemon.post_json("/api/cloud/jobs/submit", &request));
    let answers: Vec<Value> =
        join_all(requests).await.into_iter().map(|answer| answer.ok()).collect();
    let first = &answers[0]["job_id"];
    assert!(answers.iter().all(|answer| answer["job_id"] == *first));
    let fresh = answers.iter().filter(|answer| answer["idempotent_hit"] == false).count();
    assert_eq!(fresh, 1);
    daemon.taken(first.as_str().expect("an identifier")).await;
    assert_eq!(simulator.job_count(), 1);

    // After a day the key is free again.
    let day_ago = "UPDATE queue_entries SET queued_at = queued_at - 86400000000";
    database.execute(day_ago);
    let again = daemon.post_json("/api/cloud/jobs/submit", &request).await.ok();
    assert_eq!((&again["idempotent_hit"], again["job_id"] == *first), (&json!(false), false));
    daemon.stop().await;
}

#[actix_web::test]
async fn simpletuners_configuration_becomes_its_trainers_inputs() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = quick(&simulator).with("HF_TOKEN", SECRET).start(&database).await;
    let answer = daemon
        .post_json(
            "/api/cloud/jobs/submit",
            &json!({
                "config": {"--max_train_steps": 500, "--hub_model_id": "me/lora", "--push_to_hub": true},
                "dataloader_config": [{"id": "cats", "type": "huggingface"}],
                "lycoris_config": {"algo": "lokr"},
                "hardware_profile": "L40S_x2",
                "tracker_run_name": "friday",
                "snapshot_name": "unused",
                "modle": "slip",
            }),
        )
        .await
        .ok();
    let warnings = answer["quota_warnings"].to_string();
    assert!(warnings.contains("modle") && !warnings.contains("snapshot"), "{warnings}");
    let prediction = daemon.taken(answer["job_id"].as_str().expect("an identifier")).await;
    let shown = simulator.job(&prediction).expect("a job");
    assert_eq!(shown["model"], "simpletuner/advanced-trainer-l40s-x2");
    let read = |name: &str| -> Value {
        serde_json::from_str(shown["input"][name].as_str().expect(name)).expect("JSON")
    };
    let config = json!({
        "--max_train_steps": 500, "--hub_model_id": "me/lora", "--push_to_hub": true,
        "tracker_run_name": "friday",
    });
    assert_eq!(read("config_json"), config);
    assert_eq!(read("dataloader_json"), json!([{"id": "cats", "type": "huggingface"}]));
    assert_eq!(read("lycoris_config"), json!({"algo": "lokr"}));
    assert_eq!(shown["input"]["hub_model_id"], "me/lora");
    assert_eq!(shown["input"]["hf_token"], SECRET);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn secrets_reach_the_provider_and_are_neither_stored_nor_shown(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = quick(&simulator).start(&database).await;
    let id = daemon
        .submit(&json!({"input": {"_simulator": "manual", "hf_token": SECRET, "deep": [{"password": "pw-1"}]}}))
        .await;
    let prediction = daemon.taken(&id).await;
    let sent = input(&simulator, &prediction);
    assert_eq!((&sent["hf_token"], &sent["deep"][0]["password"]), (&json!(SECRET), &json!("pw-1")));
    for path in ["/api/queue", "/api/cloud/jobs"] {
        let shown = daemon.get(path).await.ok().to_string();
        assert!(!shown.contains(SECRET) && !shown.contains("pw-1"), "{shown}");
    }
    // A text of JSON would be stored as it is.
    let hidden =
        json!({"model": "a/b", "input": {"config_json": json!({"hf_token": SECRET}).to_string()}});
    let refused = daemon.post_json("/api/cloud/jobs/submit", &hidden).await;
    let refused = refused.error(422, "invalid_value");
    assert_eq!(refused["details"]["field"], "input.config_json");
    assert!(!refused.to_string().contains(SECRET));
    daemon.stop().await;
    if backend == Backend::Sqlite {
        for file in std::fs::read_dir(database.folder.path()).expect("a folder") {
            let bytes = std::fs::read(file.expect("a file").path()).expect("bytes");
            let holds = |secret: &str| {
                bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
            };
            assert!(!holds(SECRET) && !holds("pw-1"));
        }
    }
}

#[actix_web::test]
async fn a_job_whose_secrets_a_restart_has_forgotten_says_so() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = quick(&simulator).start(&database).await;
    daemon.post("/api/queue/pause").await.ok();
    let id = daemon.submit(&json!({"input": {"_simulator": "manual", "hf_token": SECRET}})).await;
    daemon.stop().await;
    let daemon = quick(&simulator).start(&database).await;
    daemon.post("/api/queue/resume").await.ok();
    let job = daemon.job_when(&id, |job| job["status"] == "failed").await;
    let words = job["error_message"].as_str().expect("words");
    assert!(words.contains("hf_token") && words.contains("submit it again"), "{words}");
    assert_eq!(simulator.calls_to(CREATE), 0);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_webhook_is_asked_for_that_names_the_submission() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = quick(&simulator).start(&database).await;
    let url = json!({"webhook_url": daemon.webhook_url()});
    daemon.put_json("/api/cloud/providers/replicate/config", &url).await.ok();
    let mut events = daemon.events().await;
    let id = daemon.submit(&json!({})).await;
    let prediction = daemon.taken(&id).await;
    simulator.set_status(&prediction, Status::Processing).expect("it runs");
    simulator.append_logs(&prediction, "step 1/10\n").expect("it prints");
    simulator.set_status(&prediction, Status::Succeeded).expect("it ends");
    loop {
        let event = events.next_of("job_status_changed").await;
        assert_eq!(event["job_id"], json!(id));
        if event["status"] == "completed" {
            assert_eq!(event["source"], "webhook");
            break;
        }
    }
    simulator.deliveries_settled().await;
    let kinds: Vec<_> =
        simulator.deliveries().iter().map(|one| format!("{:?}", one.event)).collect();
    assert_eq!(kinds, ["Start", "Completed"], "only these are asked for");
    daemon.stop().await;
}

/// The create is accepted, and the answer is lost in every way in which it can be.
#[rstest]
#[case::bad_gateway(server_error(502))]
#[case::unavailable(server_error(503))]
#[case::reset(FaultKind::Reset)]
#[case::cut_off(FaultKind::TruncatedBody)]
#[case::no_json(FaultKind::Garbage)]
#[case::half_a_json(FaultKind::CutJson)]
#[case::silence(FaultKind::Hang)]
#[actix_web::test]
async fn a_job_that_was_taken_is_found_again_and_not_submitted_twice(
    #[case] fault: FaultKind,
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = quick(&simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__REQUEST_TIMEOUT_SECONDS", "1")
        .start(&database)
        .await;
    simulator.fail_next(Fault::new(CREATE, fault).after_effect());
    let id = daemon.submit(&json!({})).await;
    let prediction = daemon.taken(&id).await;
    assert_eq!(daemon.job(&id).await["status"], "queued");
    assert_eq!((simulator.job_count(), simulator.calls_to(CREATE)), (1, 1));
    assert!(simulator.job(&prediction).is_some());
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_job_that_was_not_taken_is_submitted_again_once_that_is_sure(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = quick(&simulator).start(&database).await;
    // An identical job of somebody else, which was there before.
    let other = daemon.submit(&json!({})).await;
    daemon.taken(&other).await;
    simulator.fail_next(Fault::new(CREATE, server_error(502)));
    let id = daemon.submit(&json!({})).await;
    let prediction = daemon.taken(&id).await;
    assert_ne!(prediction, daemon.taken(&other).await);
    assert_eq!((simulator.job_count(), simulator.calls_to(CREATE)), (2, 3));
    let entry = daemon.get("/api/queue").await.ok()["entries"][1].take();
    assert_eq!((&entry["job_id"], &entry["attempt"]), (&json!(id), &json!(2)));
    daemon.stop().await;
}

#[actix_web::test]
async fn a_search_that_fails_again_and_again_does_not_hammer_the_provider() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = quick(&simulator).start(&database).await;
    simulator.fail_next(Fault::new(CREATE, server_error(502)).after_effect());
    let list = "GET /predictions";
    simulator.fail_next(Fault::new(list, FaultKind::Unauthorized).times(1_000));
    let id = daemon.submit(&json!({})).await;
    // Long after the moment at which it could be decided.
    let since = tokio::time::Instant::now();
    while since.elapsed() < Duration::from_secs(3) {
        assert_eq!(daemon.job(&id).await["status"], "pending");
    }
    let searches = simulator.calls_to(list);
    assert!((1..=4).contains(&searches), "{searches} searches");
    assert_eq!(simulator.calls_to(CREATE), 1);
    daemon.stop().await;
}

/// A job that is known by a mark finds itself among others with the same inputs.
#[rstest]
#[case::by_an_input_of_the_model(
    json!({"hardware_profile": "h100", "input": {"_simulator": "manual"}}), "job"
)]
#[case::by_blanks_behind_the_configuration(json!({"config": {"--max_train_steps": 5}}), "")]
#[actix_web::test]
async fn a_marked_job_is_told_from_all_others_with_the_same_inputs(
    #[case] request: Value,
    #[case] submission_input: &str,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = quick(&simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__SUBMISSION_INPUT", submission_input)
        .start(&database)
        .await;
    let ours = daemon.post_json("/api/cloud/jobs/submit", &request).await.ok();
    let like = simulator.job(&daemon.taken(ours["job_id"].as_str().expect("an id")).await);
    let like = like.expect("a job");
    simulator.fail_next(Fault::new(CREATE, server_error(502)).after_effect());
    let lost = daemon.post_json("/api/cloud/jobs/submit", &request).await.ok();
    let id = lost["job_id"].as_str().expect("an identifier");
    // Somebody else begins the same at the same time.
    let mut input = like["input"].clone();
    let fields = input.as_object_mut().expect("fields");
    fields.remove("job");
    for text in fields.values_mut().filter(|value| value.is_string()) {
        *text = text.as_str().expect("a text").trim_end().into();
    }
    let version = like["version"].as_str().expect("a version").to_owned();
    let other = JobSpec { version, input, ..JobSpec::manual() };
    let other = simulator.create_job(other).expect("a job");
    let prediction = daemon.taken(id).await;
    assert_ne!(prediction, other);
    assert_eq!(simulator.calls_to(CREATE), 2);
    daemon.stop().await;
}

#[rstest]
#[case::deployment(json!({"deployment": "acme/lora"}), "POST /deployments/{owner}/{name}/predictions")]
#[case::version(json!({"version": format!("acme/lora:{}", "a".repeat(64))}), CREATE)]
#[case::bare_version(json!({"version": "b".repeat(64)}), CREATE)]
#[actix_web::test]
async fn a_deployment_and_a_version_are_run_as_they_are_named(
    #[case] target: Value,
    #[case] route: &str,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = quick(&simulator).start(&database).await;
    let mut request = json!({"input": {"_simulator": "manual"}});
    request.as_object_mut().expect("fields").extend(target.as_object().expect("fields").clone());
    let answer = daemon.post_json("/api/cloud/jobs/submit", &request).await.ok();
    daemon.taken(answer["job_id"].as_str().expect("an identifier")).await;
    assert_eq!(simulator.calls_to(route), 1);
    assert_eq!(simulator.calls_to("GET /models/{owner}/{name}/versions"), 0);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_job_that_cannot_be_told_from_others_fails_with_words_and_is_not_doubled() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = quick(&simulator).start(&database).await;
    let fault = Fault::new(CREATE, server_error(502)).after_effect().times(2);
    simulator.fail_next(fault);
    // Two of the same, both lost: the provider has two that could be either.
    daemon.post("/api/queue/pause").await.ok();
    let ids = [daemon.submit(&json!({})).await, daemon.submit(&json!({})).await];
    daemon.post("/api/queue/resume").await.ok();
    for id in &ids {
        let job = daemon.job_when(id, |job| job["status"] == "failed").await;
        let words = job["error_message"].as_str().expect("words");
        assert!(words.contains("cannot be told") && words.contains("502"), "{words}");
        assert!(words.contains("not submitted again"), "{words}");
    }
    assert_eq!((simulator.job_count(), simulator.calls_to(CREATE)), (2, 2));
    // What runs is not hidden: each is followed by itself.
    assert_eq!(daemon.get("/api/cloud/jobs").await.ok()["total"], 4);
    assert_eq!(daemon.sync().await["synced"], 0);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_job_of_which_others_told_first_is_still_one_job(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = quick(&simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__SUBMIT_SETTLE_SECONDS", "60")
        .start(&database)
        .await;
    // The search fails for as long as it takes to sync.
    simulator.fail_next(Fault::new(CREATE, server_error(502)).after_effect());
    let hold = FaultKind::Delay { milliseconds: 500 };
    simulator.fail_next(Fault::new("GET /predictions", hold).times(1));
    let id = daemon.submit(&json!({"config_name": "cats"})).await;
    let prediction = loop {
        daemon.sync().await;
        let page = daemon.get("/api/cloud/jobs").await.ok();
        let found = page["jobs"]
            .as_array()
            .expect("a list")
            .iter()
            .find_map(|job| Some(job["metadata"]["prediction_id"].as_str()?.to_owned()));
        if let Some(found) = found {
            break found;
        }
    };
    assert_eq!(daemon.taken(&id).await, prediction);
    let page = daemon.get("/api/cloud/jobs").await.ok();
    assert_eq!((&page["total"], &page["jobs"][0]["job_id"]), (&json!(1), &json!(id)), "{page}");
    assert_eq!(page["jobs"][0]["config_name"], "cats");
    daemon.get(&format!("/api/cloud/jobs/{prediction}")).await.error(404, "job_not_found");
    daemon.stop().await;
}

#[actix_web::test]
async fn what_the_provider_refuses_fails_with_its_words() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = quick(&simulator).start(&database).await;
    let unknown_model = daemon.submit(&json!({"model": "acme/nothing"})).await;
    let job = daemon.job_when(&unknown_model, |job| job["status"] == "failed").await;
    assert!(job["error_message"].as_str().is_some_and(|words| !words.is_empty()), "{job}");
    assert_eq!(job["cost_usd"], Value::Null);
    let path = format!("/api/cloud/jobs/{unknown_model}");
    // It never ran, so there is nothing to show, and no error either.
    assert_eq!(daemon.get(&format!("{path}/logs")).await.ok()["logs"], "");
    daemon.get(&format!("{path}/inline-progress")).await.ok();
    let timeline = daemon.get(&format!("{path}/timeline")).await.ok();
    let steps: Vec<_> = timeline["transitions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|step| (step["to"].clone(), step["source"].clone()))
        .collect();
    assert_eq!(steps, [(json!("pending"), json!("user")), (json!("failed"), json!("queue"))]);
    daemon.delete(&path).await.ok();
    daemon.stop().await;
}

#[actix_web::test]
async fn a_provider_that_keeps_failing_is_tried_as_often_as_may_be() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = quick(&simulator).start(&database).await;
    simulator.fail_next(Fault::new(CREATE, server_error(500)).times(9));
    let id = daemon.submit(&json!({"max_attempts": 2})).await;
    let job = daemon.job_when(&id, |job| job["status"] == "failed").await;
    let words = job["error_message"].as_str().expect("words");
    assert!(words.contains("500") && words.contains("attempt 2 of 2"), "{words}");
    assert_eq!((simulator.job_count(), simulator.calls_to(CREATE)), (0, 2));
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_failure_of_the_providers_own_is_followed_by_another_attempt_and_one_of_the_training_is_not(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = quick(&simulator).start(&database).await;
    let fail = async |id: &str, error: &str| {
        let prediction = daemon.taken(id).await;
        let error = Some(error.to_owned());
        let update = JobUpdate { error, ..JobUpdate::status(Status::Failed) };
        simulator.update_job(&prediction, update).expect("it fails");
        daemon.refresh().await;
    };
    let own = daemon.submit(&json!({})).await;
    fail(&own, "CUDA out of memory").await;
    assert_eq!(daemon.get("/api/queue").await.ok()["entries"], json!([]));

    let first = daemon.submit(&json!({"max_attempts": 2, "config_name": "cats"})).await;
    fail(&first, "Prediction interrupted; please retry (code: PA)").await;
    assert_eq!(daemon.job(&first).await["status"], "failed");
    let entry = daemon.get("/api/queue").await.ok()["entries"][0].take();
    assert_eq!((&entry["retry_of"], &entry["attempt"]), (&json!(first), &json!(1)));
    assert_eq!(
        (&entry["waiting_for"], &entry["config_name"]),
        (&json!("back_off"), &json!("cats"))
    );
    // Its time has come.
    database.execute("UPDATE queue_entries SET not_before = 0");
    let second = entry["job_id"].as_str().expect("an identifier").to_owned();
    fail(&second, "Prediction interrupted; please retry (code: PA)").await;
    // That was the last one.
    assert_eq!(daemon.get("/api/queue").await.ok()["entries"], json!([]));
    assert_eq!(simulator.job_count(), 3);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_job_waits_while_the_provider_cannot_be_reached_or_throttles() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = quick(&simulator).start(&database).await;
    let throttled = FaultKind::Throttled { retry_after_seconds: Some(1) };
    simulator.fail_next(Fault::new(CREATE, throttled));
    let id = daemon.submit(&json!({"max_attempts": 1})).await;
    let waits = |answer: &Value| answer["entries"][0]["waiting_for"] == "back_off";
    let entry = daemon.answer_when("/api/queue", waits).await["entries"][0].take();
    assert_eq!((&entry["attempt"], &entry["status"]), (&json!(0), &json!("pending")));
    assert!(entry["error_message"].as_str().is_some_and(|words| words.contains("429")), "{entry}");
    daemon.taken(&id).await;
    assert_eq!(simulator.job_count(), 1);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_job_that_was_being_submitted_when_the_daemon_ended_is_found_by_the_next() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = quick(&simulator).start(&database).await;
    simulator.fail_next(Fault::new(CREATE, FaultKind::Hang).after_effect());
    let id = daemon.submit(&json!({})).await;
    let is_on_its_way = |answer: &Value| answer["entries"][0]["status"] == "submitting";
    daemon.answer_when("/api/queue", is_on_its_way).await;
    while simulator.job_count() == 0 {
        tokio::task::yield_now().await;
    }
    daemon.stop().await;
    let daemon = quick(&simulator).start(&database).await;
    daemon.taken(&id).await;
    assert_eq!((simulator.job_count(), simulator.calls_to(CREATE)), (1, 1));
    daemon.stop().await;
}

#[rstest]
#[case::nothing(json!({}), 422, "config")]
#[case::both(json!({"config": {}, "input": {}, "model": "a/b"}), 422, "input")]
#[case::nothing_to_run(json!({"input": {}}), 422, "model")]
#[case::two_to_run(json!({"input": {}, "model": "a/b", "hardware_profile": "h100"}), 422, "hardware_profile")]
#[case::no_model(json!({"input": {}, "model": "../../account"}), 422, "model")]
#[case::no_version(json!({"input": {}, "version": "latest"}), 422, "version")]
#[case::no_machine(json!({"config": {}, "hardware_profile": "a10g"}), 400, "hardware_profile")]
#[case::no_priority(json!({"config": {}, "priority": "asap"}), 400, "priority")]
#[case::no_number(json!({"config": {}, "priority": 51}), 422, "priority")]
#[case::attempts(json!({"config": {}, "max_attempts": 0}), 422, "max_attempts")]
#[case::no_url(json!({"config": {}, "webhook_url": "ftp://x"}), 422, "webhook_url")]
#[case::long_key(json!({"config": {}, "idempotency_key": "k".repeat(201)}), 422, "idempotency_key")]
#[case::kept_elsewhere(json!({"config_name_to_load": "cats"}), 422, "config_name_to_load")]
#[case::a_path(json!({"config": {"lycoris_config": "config/lycoris.json"}}), 422, "config")]
#[case::a_list(json!({"config": []}), 422, "config")]
#[actix_web::test]
async fn a_request_that_cannot_be_meant_is_refused_by_its_field(
    #[case] request: Value,
    #[case] status: u16,
    #[case] field: &str,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let answer = daemon.post_json("/api/cloud/jobs/submit", &request).await;
    let name = if status == 400 { "unknown_value" } else { "invalid_value" };
    assert_eq!(answer.error(status, name)["details"]["field"], field);
    assert_eq!(daemon.get("/api/cloud/jobs").await.ok()["total"], 0);
    daemon.stop().await;
}

#[actix_web::test]
async fn an_unknown_provider_gets_no_jobs() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    let path = "/api/cloud/jobs/submit?provider=nimbus";
    daemon.post_json(path, &json!({"config": {}})).await.error(404, "unknown_provider");
    let answer = daemon.request(Method::POST, "/api/cloud/jobs/submit", &[], None).await;
    answer.error(422, "invalid_value");
    daemon.stop().await;
}
