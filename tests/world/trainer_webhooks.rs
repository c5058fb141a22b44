//! What SimpleTuner's trainer really sends of the job that it runs in, and what becomes of it.

use actix_web::http::Method;
use jobsyncd::simulator::{JobSpec, JobUpdate, Simulator, Status};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Answer, Backend, TestDaemon, TestDatabase, simulator};
use crate::support::webhook::{ROUTE, SECRET, Signer, deliver};

async fn following(simulator: &Simulator, database: &TestDatabase) -> TestDaemon {
    TestDaemon::builder()
        .tracking(simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET)
        .start(database)
        .await
}

/// A job that the daemon knows to run.
async fn running(simulator: &Simulator, daemon: &TestDaemon) -> String {
    let id = simulator.create_job(JobSpec::manual()).expect("a job");
    simulator.set_status(&id, Status::Processing).expect("it runs");
    daemon.sync().await;
    id
}

async fn tell(daemon: &TestDaemon, event: Value) -> Answer {
    let id = uuid::Uuid::now_v7().to_string();
    Signer::default().deliver(daemon, &id, &event).await
}

/// A step, as `training_status_event` makes it, so many seconds after ten o'clock.
fn step(job: &str, step: u64, loss: f64, seconds: u32) -> Value {
    json!({
        "type": "training.status", "job_id": job, "title": "Running", "severity": "info",
        "timestamp": format!("2026-03-01T10:00:{seconds:02}.250000+00:00"),
        "data": {"status": "running", "final_epoch": 4, "global_step": step, "current_epoch": 2},
        "progress": {
            "current": step, "total": 1000.0, "percent": step as f64 / 10.0, "eta_seconds": 1920.5,
            "metrics": {"loss": loss, "learning_rate": 1e-4, "epoch": 2, "grad_norm": 0.5},
        },
    })
}

fn stage(job: &str, key: &str, status: &str, seconds: u32) -> Value {
    json!({
        "type": "lifecycle.stage", "job_id": job, "severity": "info", "message": "in words",
        "timestamp": format!("2026-03-01T10:00:{seconds:02}+00:00"),
        "stage": {"key": key, "label": "Label", "status": status,
                  "progress": {"label": "Label", "current": 7, "total": 9, "percent": 77}},
    })
}

#[rstest]
#[actix_web::test]
async fn events_of_the_trainer_move_stage_step_loss_and_time_left(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = following(&simulator, &database).await;
    let id = running(&simulator, &daemon).await;

    tell(&daemon, stage(&id, "init_vae_cache", "running", 1)).await.ok();
    let progress = &daemon.job(&id).await["progress"];
    assert_eq!(progress["stage"], "Preprocessing");
    assert_eq!(progress["step"], Value::Null, "images are no steps: {progress}");

    let mut stream = daemon.events().await;
    tell(&daemon, step(&id, 40, 0.125, 2)).await.ok();
    let told = stream.next().await.json();
    assert_eq!((&told["type"], &told["step"]), (&json!("job_progress"), &json!(40)));
    let shown = daemon.job(&id).await["progress"].take();
    let inline = daemon.get(&format!("/api/cloud/jobs/{id}/inline-progress")).await.ok();
    let listed = daemon.get("/api/cloud/jobs").await.ok()["jobs"][0]["progress"].take();
    for progress in [shown, inline, listed] {
        assert_eq!(progress["stage"], "Training", "{progress}");
        assert_eq!((&progress["step"], &progress["total_steps"]), (&json!(40), &json!(1_000)));
        assert_eq!((&progress["loss"], &progress["epoch"]), (&json!(0.125), &json!(2)));
        assert_eq!(
            (&progress["progress"], &progress["eta_seconds"]),
            (&json!(4.0), &json!(1920.5))
        );
    }

    // What comes late changes nothing, and what a checkpoint counts is not the run.
    tell(&daemon, step(&id, 60, 0.1, 4)).await.ok();
    tell(&daemon, step(&id, 50, 0.2, 3)).await.ok();
    tell(&daemon, stage(&id, "checkpoint_save", "running", 5)).await.ok();
    let progress = &daemon.job(&id).await["progress"];
    assert_eq!((&progress["step"], &progress["loss"]), (&json!(60), &json!(0.1)));
    assert_eq!(
        (&progress["stage"], &progress["progress"]),
        (&json!("Saving checkpoint"), &json!(6.0))
    );

    // It is known after a restart.
    daemon.stop().await;
    let daemon = following(&simulator, &database).await;
    assert_eq!(daemon.job(&id).await["progress"]["step"], 60);
    daemon.stop().await;
}

#[actix_web::test]
async fn of_the_log_and_the_trainer_whoever_is_further_counts() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = following(&simulator, &database).await;
    let id = running(&simulator, &daemon).await;
    tell(&daemon, step(&id, 40, 0.125, 2)).await.ok();
    let log = "Steps:  50%|#####     | 500/1000 [01:00<01:00, 8.33it/s, step_loss=0.02]\n";
    simulator.append_logs(&id, log).expect("a log");
    let further = |job: &Value| job["progress"]["step"] == 500;
    daemon.refresh().await;
    let job = daemon.job_when(&id, further).await;
    assert_eq!(
        (&job["progress"]["loss"], &job["progress"]["progress"]),
        (&json!(0.02), &json!(50.0))
    );
    tell(&daemon, step(&id, 510, 0.01, 3)).await.ok();
    let progress = &daemon.job(&id).await["progress"];
    assert_eq!((&progress["step"], &progress["progress"]), (&json!(510), &json!(51.0)));
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_failure_is_the_trainers_word_until_the_provider_confirms_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = following(&simulator, &database).await;
    let id = running(&simulator, &daemon).await;
    let failed = json!({
        "type": "training.status", "job_id": id, "title": "Failed", "severity": "error",
        "message": "Training failed: CUDA out of memory", "data": {"status": "failed"},
        "timestamp": "2026-03-01T10:00:00+00:00",
    });
    let answer = tell(&daemon, failed).await.ok();
    assert_eq!(
        (&answer["status"], &answer["updates"]["status"]),
        (&json!("received"), &json!("failed"))
    );
    let job = daemon.job(&id).await;
    let word = &job["trainers_failure"];
    assert_eq!(word["message"], "Training failed: CUDA out of memory");
    assert_eq!((&job["confirmed_at"], &job["confirmed_by"]), (&Value::Null, &Value::Null));
    let page = daemon.get(&format!("/jobs/{id}")).await;
    let page = String::from_utf8(page.body).expect("a page");
    assert!(page.contains("the trainer says so"), "{page}");

    // The provider is still asked, and what it says of the end counts.
    simulator
        .update_job(
            &id,
            JobUpdate { error: Some("exit 1".to_owned()), ..JobUpdate::status(Status::Failed) },
        )
        .expect("it fails");
    daemon.refresh().await;
    let job = daemon.job(&id).await;
    assert_eq!((&job["status"], &job["error_message"]), (&json!("failed"), &json!("exit 1")));
    assert!(job["confirmed_at"].is_string() && job.get("trainers_failure").is_none(), "{job}");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_provider_that_sees_the_job_end_well_outweighs_the_trainer() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = following(&simulator, &database).await;
    let id = running(&simulator, &daemon).await;
    tell(&daemon, json!({"type": "training.status", "job_id": id, "data": {"status": "error"}}))
        .await
        .ok();
    assert_eq!(daemon.job(&id).await["status"], "failed");
    simulator.set_status(&id, Status::Succeeded).expect("it ends");
    daemon.refresh().await;
    let job = daemon.job(&id).await;
    assert_eq!(job["status"], "completed");
    assert_eq!(job.get("trainers_failure"), None);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_stage_that_ends_or_fails_and_what_is_only_said_end_no_job() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = following(&simulator, &database).await;
    let id = running(&simulator, &daemon).await;
    for event in [
        stage(&id, "init_load_base_model", "completed", 1),
        stage(&id, "training_complete", "completed", 2),
        stage(&id, "training_abort", "completed", 3),
        json!({"type": "notification", "job_id": id, "severity": "error", "message": "x", "data": {"status": "error"}}),
        json!({"type": "training.checkpoint", "job_id": id, "checkpoint": {"path": "/x", "is_final": true}}),
        json!({"type": "gpu.fault", "job_id": id, "severity": "critical", "fault": {"type": "thermal"}}),
        stage(&id, "init_data_backend", "failed", 4),
    ] {
        assert_eq!(tell(&daemon, event.clone()).await.ok()["status"], "received", "{event}");
        assert_eq!(daemon.job(&id).await["status"], "running", "{event}");
    }
    assert_eq!(daemon.job(&id).await["trainers_failure"]["message"], "in words");
    let page = daemon.get(&format!("/jobs/{id}")).await;
    let page = String::from_utf8(page.body).expect("a page");
    assert!(page.contains("the trainer says that it failed: in words"), "{page}");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_trainer_signs_nothing_and_is_believed_by_its_key_for_what_a_trainer_tells() {
    const KEY: &str = "a-key-that-is-long-enough-for-this-daemon";
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET)
        .with("JOBSYNCD__SERVER__API_KEYS", KEY)
        .start(&database)
        .await;
    let known = json!({"id": "p1", "status": "processing", "model": "a/trainer"});
    Signer::default().deliver(&daemon, "m1", &known).await.ok();
    let event = step("p1", 40, 0.125, 2).to_string();
    let unsigned = |key: &'static str, body: String| {
        let headers = [("x-api-key", key.to_owned())];
        let daemon = &daemon;
        async move { deliver(daemon, ROUTE, &headers, body).await }
    };
    let answer = unsigned(KEY, event.clone()).await.ok();
    assert_eq!((&answer["status"], &answer["job_id"]), (&json!("received"), &json!("p1")));
    let headers = [("x-api-key", KEY)];
    let job = daemon.request(Method::GET, "/api/cloud/jobs/p1", &headers, None).await.ok();
    assert_eq!(job["job"]["progress"]["step"], 40);
    unsigned("another-key-that-is-none-of-this-daemon", event.clone())
        .await
        .error(401, "bad_signature");
    deliver(&daemon, ROUTE, &[], event).await.error(401, "bad_signature");
    // Who has a key is no provider.
    let end = json!({"id": "p1", "status": "succeeded"}).to_string();
    unsigned(KEY, end).await.error(401, "bad_signature");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_trainer_that_does_not_know_its_job_is_answered_that_there_is_nothing_to_do() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = following(&simulator, &database).await;
    let nameless = step("x", 1, 0.1, 1);
    for id in [Value::Null, json!(""), json!(7)] {
        let mut event = nameless.clone();
        event["job_id"] = id;
        let answer = tell(&daemon, event).await.ok();
        assert_eq!(answer, json!({"status": "ignored", "reason": "no job is named"}));
    }
    // Some of SimpleTuner's events then leave it out.
    let mut without = stage("x", "validation", "running", 1);
    without.as_object_mut().expect("fields").remove("job_id");
    assert_eq!(tell(&daemon, without).await.ok()["status"], "ignored");
    // Its own id does not make it a job.
    let event = json!({"id": "evt-1", "type": "notification", "job_id": null, "message": "x"});
    assert_eq!(tell(&daemon, event).await.ok()["status"], "ignored");
    assert_eq!(daemon.get("/api/cloud/jobs").await.ok()["total"], 0);
    daemon.stop().await;
}
