//! Ending jobs: the provider is asked until it has ended them, and not at all where it never had them.

use jobsyncd::simulator::{ErrorBody, Fault, FaultKind, JobSpec, Simulator, Status};
use rstest::rstest;
use serde_json::json;

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};

const CANCEL: &str = "POST /predictions/{id}/cancel";

fn running(simulator: &Simulator) -> String {
    let id = simulator.create_job(JobSpec::manual()).expect("a job");
    simulator.set_status(&id, Status::Processing).expect("it runs");
    id
}

fn failing() -> FaultKind {
    FaultKind::ServerError { status: 503, body: ErrorBody::Problem }
}

#[rstest]
#[actix_web::test]
async fn a_job_that_waits_is_cancelled_without_a_call(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    daemon.post("/api/queue/pause").await.ok();
    let id = daemon.submit(&json!({})).await;
    simulator.reset_calls();
    let mut events = daemon.events().await;

    let answer = daemon.post(&format!("/api/queue/{id}/cancel")).await.ok();
    assert_eq!(answer, json!({"success": true, "job_id": id, "status": "cancelled"}));
    let event = events.next_of("job_status_changed").await;
    assert_eq!((&event["status"], &event["source"]), (&json!("cancelled"), &json!("user")));
    let event = events.next_of("queue_changed").await;
    assert_eq!((&event["change"], &event["queue_status"]), (&json!("ended"), &json!("cancelled")));
    assert_eq!(daemon.job(&id).await["cost_usd"], 0.0);
    daemon.post(&format!("/api/cloud/jobs/{id}/cancel")).await.error(409, "job_finished");
    daemon.post("/api/queue/resume").await.ok();
    daemon.post("/api/queue/process").await.ok();
    assert!(simulator.calls().is_empty(), "{:?}", simulator.calls());
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_wish_that_the_provider_did_not_hear_is_kept_and_told_again(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let id = running(&simulator);
    daemon.sync().await;
    // The first call and its own repetitions fail.
    simulator.fail_next(Fault::new(CANCEL, failing()).times(3));
    let answer = daemon.post(&format!("/api/cloud/jobs/{id}/cancel")).await;
    assert_eq!(answer.status.as_u16(), 202);
    let answer = answer.json();
    assert_eq!((&answer["success"], &answer["status"]), (&json!(true), &json!("running")));
    let message = answer["message"].as_str().expect("words");
    assert!(message.starts_with("cancel requested") && message.contains("503"), "{message}");
    let job = daemon.job(&id).await;
    assert_eq!(job["cancel_requested_at"], answer["cancel_requested_at"]);
    assert!(job["cancel_requested_at"].is_string());

    let job = daemon.job_when(&id, |job| job["status"] == "cancelled").await;
    assert!(job["cancel_requested_at"].is_null());
    assert_eq!(simulator.job(&id).expect("a job")["status"], "canceled");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_wish_outlives_the_daemon() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let id = running(&simulator);
    daemon.sync().await;
    simulator.fail_next(Fault::new(CANCEL, failing()).times(3));
    assert_eq!(daemon.post(&format!("/api/cloud/jobs/{id}/cancel")).await.status.as_u16(), 202);
    daemon.stop().await;
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    daemon.job_when(&id, |job| job["status"] == "cancelled").await;
    daemon.stop().await;
}

#[rstest]
#[case::unknown(FaultKind::NotFound, "provider_not_found")]
#[case::unauthorized(FaultKind::Unauthorized, "provider_refused")]
#[actix_web::test]
async fn a_wish_that_the_provider_refuses_is_answered_with_its_words_and_not_kept(
    #[case] fault: FaultKind,
    #[case] name: &str,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let id = running(&simulator);
    daemon.sync().await;
    let before = daemon.job(&id).await;
    simulator.fail_next(Fault::new(CANCEL, fault));
    let error = daemon.post(&format!("/api/cloud/jobs/{id}/cancel")).await.error(502, name);
    assert!(!error.to_string().contains(simulator.token()), "{error}");
    assert_eq!(daemon.job(&id).await["confirmed_at"], before["confirmed_at"]);
    assert_eq!(daemon.job(&id).await["status"], "running");
    assert!(daemon.job(&id).await["cancel_requested_at"].is_null());
    daemon.stop().await;
}

#[rstest]
#[case::throttled(FaultKind::Throttled { retry_after_seconds: Some(60) }, 1, "429")]
#[case::silent(FaultKind::Hang, 1, "did not answer")]
#[case::failing(failing(), 3, "503")]
#[actix_web::test]
async fn a_provider_that_is_out_of_order_is_no_answer_and_the_job_stays_as_it_was(
    #[case] fault: FaultKind,
    #[case] times: u32,
    #[case] words: &str,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        // Our own patience must not end before the provider's time does.
        .with("JOBSYNCD__PROVIDERS__REPLICATE__REQUEST_TIMEOUT_SECONDS", "1")
        .with("JOBSYNCD__SERVER__REQUEST_TIMEOUT_SECONDS", "1")
        .start(&database)
        .await;
    let id = running(&simulator);
    daemon.sync().await;
    let before = daemon.job(&id).await["confirmed_at"].take();
    simulator.fail_next(Fault::new(CANCEL, fault).times(times));
    let answer = daemon.post(&format!("/api/cloud/jobs/{id}/cancel")).await;
    assert_eq!(answer.status.as_u16(), 202);
    let message = answer.json()["message"].take();
    assert!(message.as_str().is_some_and(|said| said.contains(words)), "{message}");
    let job = daemon.job(&id).await;
    assert_eq!((&job["status"], &job["confirmed_at"]), (&json!("running"), &before));
    daemon.stop().await;
}

#[actix_web::test]
async fn a_job_that_is_cancelled_while_it_is_submitted_ends_whatever_became_of_that() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__BACKGROUND__QUEUE_PROCESSING__INTERVAL_SECONDS", "1")
        .with("JOBSYNCD__PROVIDERS__REPLICATE__SUBMIT_SETTLE_SECONDS", "1")
        .start(&database)
        .await;
    for (is_taken, jobs) in [(true, 1), (false, 1)] {
        let late = Fault::new("POST /predictions", failing());
        let held = Fault::new("GET /predictions", FaultKind::Delay { milliseconds: 300 });
        simulator.fail_next(if is_taken { late.after_effect() } else { late });
        simulator.fail_next(held);
        let id =
            daemon.submit(&json!({"input": {"_simulator": "manual", "taken": is_taken}})).await;
        let is_on_its_way = |answer: &serde_json::Value| {
            answer["entries"].as_array().is_some_and(|entries| {
                entries.iter().any(|one| one["job_id"] == *id && one["status"] == "submitting")
            })
        };
        daemon.answer_when("/api/queue", is_on_its_way).await;
        let answer = daemon.post(&format!("/api/cloud/jobs/{id}/cancel")).await;
        assert_eq!(answer.status.as_u16(), 202, "{:?}", answer.json());
        daemon.job_when(&id, |job| job["status"] == "cancelled").await;
        assert_eq!(simulator.job_count(), jobs, "it is not submitted to be cancelled");
    }
    daemon.stop().await;
}
