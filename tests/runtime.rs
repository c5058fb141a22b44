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
