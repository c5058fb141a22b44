//! The main job on real input: the training runtime that Replicate runs reports to the daemon.

mod support;

use jobsyncd::domain::job::JobStatus;
use serde_json::{Value, json};
use support::cog::CogRuntime;
use support::daemon::{Backend, TestDaemon, TestDatabase};
use support::stream::EventStream;

/// A daemon that takes webhooks of a self-hosted runtime, which does not sign them.
async fn daemon(database: &TestDatabase) -> TestDaemon {
    TestDaemon::builder()
        .with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_REQUIRE_SIGNATURE", "false")
        .start(database)
        .await
}

fn prediction(daemon: &TestDaemon, id: &str, input: Value) -> Value {
    json!({
        "id": id,
        "input": input,
        "webhook": daemon.webhook_url(),
        "webhook_events_filter": ["start", "logs", "completed"],
    })
}

/// Reads on until the stream tells that the job has ended, and answers how.
async fn end_of(events: &mut EventStream, id: &str) -> Value {
    loop {
        let event = events.next_of("job_status_changed").await;
        let status: JobStatus = serde_json::from_value(event["status"].clone()).expect("a status");
        if event["job_id"] == id && status.is_terminal() {
            return event;
        }
    }
}

/// Reads on until the stream tells that the job has got to a step, and answers the progress.
async fn progress_of(events: &mut EventStream, id: &str) -> Value {
    loop {
        let progress = events.next_of("job_progress").await;
        if progress["job_id"] == id && progress["step"].as_u64().is_some_and(|step| step > 0) {
            return progress;
        }
    }
}

#[actix_web::test]
async fn three_real_runs_are_tracked_from_their_start_to_each_ones_end() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&database).await;
    let mut events = daemon.events().await;
    let cog = CogRuntime::start().await;

    // A success: the bar that tqdm really drew is what the progress is read from.
    cog.create(&prediction(&daemon, "good", json!({"steps": 40}))).await;
    let discovered = events.next_of("job_discovered").await;
    assert_eq!((&discovered["job_id"], &discovered["source"]), (&json!("good"), &json!("webhook")));
    let told = progress_of(&mut events, "good").await;
    assert_eq!((&told["stage"], &told["total_steps"]), (&json!("Training"), &json!(40)));
    let shown = daemon.get("/api/cloud/jobs/good/inline-progress").await.ok();
    assert!(shown["progress"].as_f64().is_some_and(|percent| percent > 0.0), "{shown}");
    assert!(shown["loss"].is_f64(), "{shown}");
    let end = end_of(&mut events, "good").await;
    assert_eq!((&end["status"], &end["previous"]), (&json!("completed"), &json!("running")));
    let job = daemon.job("good").await;
    assert_eq!(job["status"], "completed");
    assert_eq!(job["output_url"], "https://example.invalid/pytorch_lora_weights.safetensors");
    assert_eq!(job["progress"]["progress"], 100.0);
    let log = daemon.get("/api/cloud/jobs/good/logs").await.ok();
    assert!(log["logs"].as_str().is_some_and(|log| log.contains("40/40")), "{log}");

    // A failure: the reason is kept.
    cog.wait_until_ready().await;
    cog.create(&prediction(&daemon, "bad", json!({"steps": 10, "fail": true}))).await;
    assert_eq!(end_of(&mut events, "bad").await["status"], "failed");
    let job = daemon.job("bad").await;
    let error = job["error_message"].as_str().expect("a reason");
    assert!(error.contains("CUDA out of memory at step 5"), "{error}");

    // A cancel, once the run has really begun.
    cog.wait_until_ready().await;
    cog.create(&prediction(&daemon, "long", json!({"steps": 100_000}))).await;
    progress_of(&mut events, "long").await;
    cog.cancel("long").await;
    assert_eq!(end_of(&mut events, "long").await["status"], "cancelled");

    let all = daemon.get("/api/cloud/jobs").await.ok();
    let states: Vec<_> =
        all["jobs"].as_array().expect("jobs").iter().map(|job| &job["status"]).collect();
    assert_eq!(states, ["cancelled", "failed", "completed"]);
    daemon.stop().await;
}

const SUBMIT: &str = "/api/cloud/jobs/submit?provider=cog";

/// A daemon that hands jobs to a runtime of one's own, which reaches it by `url`.
async fn daemon_of(cog: &CogRuntime, database: &TestDatabase) -> TestDaemon {
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__PROVIDERS__COG__BASE_URL", cog.url())
        .with("JOBSYNCD__PROVIDERS__COG__HARDWARE", "l40s")
        .with("JOBSYNCD__BACKGROUND__QUEUE_PROCESSING__INTERVAL_SECONDS", "1")
        .start(database)
        .await;
    let webhook = json!({"webhook_url": format!("{}/api/webhooks/cog", daemon.url)});
    daemon.put_json("/api/cloud/providers/cog/config", &webhook).await.ok();
    daemon
}

async fn submit(daemon: &TestDaemon, input: Value) -> String {
    let answer = daemon.post_json(SUBMIT, &json!({"input": input})).await.ok();
    answer["job_id"].as_str().expect("an identifier").to_owned()
}

#[actix_web::test]
async fn jobs_of_the_queue_run_on_ones_own_runtime_to_each_ones_end() {
    let cog = CogRuntime::start().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon_of(&cog, &database).await;
    let mut events = daemon.events().await;

    let good = submit(&daemon, json!({"steps": 40})).await;
    let told = progress_of(&mut events, &good).await;
    assert_eq!((&told["stage"], &told["total_steps"]), (&json!("Training"), &json!(40)));
    assert_eq!(end_of(&mut events, &good).await["status"], "completed");
    let job = daemon.job(&good).await;
    assert_eq!((&job["provider"], &job["hardware_type"]), (&json!("cog"), &json!("l40s")));
    assert!(job["cost_usd"].as_f64().is_some_and(|usd| usd > 0.0), "{job}");
    let log = daemon.get(&format!("/api/cloud/jobs/{good}/logs")).await.ok();
    assert!(log["logs"].as_str().is_some_and(|log| log.contains("40/40")), "{log}");

    cog.wait_until_ready().await;
    let bad = submit(&daemon, json!({"steps": 10, "fail": true})).await;
    assert_eq!(end_of(&mut events, &bad).await["status"], "failed");
    let error = daemon.job(&bad).await["error_message"].take();
    assert!(error.as_str().is_some_and(|error| error.contains("CUDA out of memory")), "{error}");

    cog.wait_until_ready().await;
    let long = submit(&daemon, json!({"steps": 100_000})).await;
    progress_of(&mut events, &long).await;
    let answer = daemon.post(&format!("/api/cloud/jobs/{long}/cancel")).await;
    assert!(answer.status.is_success(), "{}", answer.json());
    assert_eq!(end_of(&mut events, &long).await["status"], "cancelled");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_job_that_died_with_its_runtime_is_told_as_gone_once_the_runtime_is_idle() {
    let cog = CogRuntime::start().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon_of(&cog, &database).await;
    let mut events = daemon.events().await;
    let id = submit(&daemon, json!({"steps": 100_000})).await;
    progress_of(&mut events, &id).await;

    // That it runs something says nothing about the job, and is no failure.
    let list = daemon.refresh().await;
    assert_eq!((&list["sync"]["failed"], &list["sync"]["error"]), (&json!(0), &Value::Null));
    assert_eq!(daemon.job(&id).await["provider_status"], "processing");

    // One that is idle has lost what it ran. Once is not enough to say so.
    let cog = cog.kill_and_start().await;
    daemon.refresh().await;
    assert_eq!(daemon.job(&id).await["provider_status"], "processing");
    daemon.stop().await;

    // As if all that had been eleven minutes ago.
    let earlier = |path: &str| format!("'{path}', json_extract(liveness, '{path}') - 660000000");
    let times = ["$.seen_at", "$.missing.at", "$.missing.since"].map(earlier).join(", ");
    database.execute(&format!("UPDATE jobs SET liveness = json_set(liveness, {times})"));
    let daemon = daemon_of(&cog, &database).await;
    daemon.refresh().await;
    let mut events = EventStream::open(&daemon.url, Some("0")).await;
    assert_eq!(events.next_of("job_gone").await["job_id"], json!(id));
    let job = daemon.job(&id).await;
    assert_eq!((&job["provider_status"], &job["status"]), (&json!("gone"), &json!("running")));
    daemon.stop().await;
}

#[actix_web::test]
async fn a_restart_of_the_daemon_while_it_submits_makes_no_double() {
    let cog = CogRuntime::start().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon_of(&cog, &database).await;
    let mut events = daemon.events().await;
    let id = submit(&daemon, json!({"steps": 100_000})).await;
    progress_of(&mut events, &id).await;
    let runs = daemon.job(&id).await["metadata"]["prediction_id"].take();
    daemon.stop().await;

    // As if it had ended before the answer was stored.
    database.execute(
        "UPDATE queue_entries SET status = 'submitting';
         UPDATE jobs SET provider_job_id = NULL, status = 'pending'",
    );
    // It listens elsewhere now, so that no webhook tells it.
    let daemon = daemon_of(&cog, &database).await;
    assert_eq!(daemon.taken(&id).await, runs);
    assert_eq!(cog.begun(runs.as_str().expect("a name")), 1);
    cog.cancel(runs.as_str().expect("a name")).await;
    cog.wait_until_ready().await;
    daemon.stop().await;

    // What an idle runtime may have run already is not run again, either.
    database.execute(
        "UPDATE queue_entries SET status = 'submitting';
         UPDATE jobs SET provider_job_id = NULL, status = 'pending'",
    );
    let daemon = daemon_of(&cog, &database).await;
    let job = daemon.job_when(&id, |job| job["status"] == "failed").await;
    let words = job["error_message"].as_str().expect("words");
    assert!(words.contains("so that nothing runs twice"), "{words}");
    assert_eq!(cog.begun(runs.as_str().expect("a name")), 1);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_runtime_has_no_list_and_one_model_and_says_so() {
    let cog = CogRuntime::start().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon_of(&cog, &database).await;
    let sync = daemon.post_json("/api/cloud/jobs/sync", &json!({"provider": "cog"})).await;
    let detail = sync.error(409, "not_supported")["detail"].take();
    assert!(detail.as_str().is_some_and(|words| words.contains("no list")), "{detail}");
    let order = json!({"model": "acme/cats", "input": {}});
    let error = daemon.post_json(SUBMIT, &order).await.error(422, "invalid_value");
    assert_eq!(error["details"]["field"], "model");
    let none = json!({"webhook_url": null});
    daemon.put_json("/api/cloud/providers/cog/config", &none).await.ok();
    let error = daemon.post_json(SUBMIT, &json!({"input": {}})).await.error(422, "invalid_value");
    assert_eq!(error["details"]["field"], "webhook_url");
    let validated = daemon.get("/api/cloud/providers/cog/validate").await.ok();
    assert_eq!((&validated["valid"], &validated["username"]), (&json!(true), &json!("cog 0.23.1")));
    daemon.stop().await;
}
