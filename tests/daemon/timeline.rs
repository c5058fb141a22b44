//! Timelines: who told us of each transition first, and how late.

use jobsyncd::simulator::{JobSpec, Status};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};
use crate::support::webhook::{SECRET, Signer};

async fn timeline(daemon: &TestDaemon, id: &str) -> Value {
    daemon.get(&format!("/api/cloud/jobs/{id}/timeline")).await.ok()
}

#[rstest]
#[actix_web::test]
async fn a_timeline_tells_every_transition_with_its_first_source_and_both_times(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET)
        .start(&database)
        .await;
    let id = simulator.create_job(JobSpec::manual()).expect("a job");
    daemon.sync().await;
    simulator.set_status(&id, Status::Processing).expect("it starts");
    daemon.refresh().await;
    simulator.set_status(&id, Status::Succeeded).expect("it ends");
    let ended = simulator.job(&id).expect("a job");
    Signer::default().deliver(&daemon, "msg_1", &ended).await.ok();
    // Who comes later with the same says nothing new.
    daemon.sync().await;

    let told = timeline(&daemon, &id).await;
    let job = daemon.job(&id).await;
    assert_eq!((&told["job_id"], &told["is_complete"]), (&json!(id), &json!(true)));
    let transitions = told["transitions"].as_array().expect("a list");
    let expected = [
        (Value::Null, "queued", "sync", &job["created_at"]),
        (json!("queued"), "running", "poll", &job["started_at"]),
        (json!("running"), "completed", "webhook", &job["completed_at"]),
    ];
    assert_eq!(transitions.len(), expected.len(), "{told:#}");
    for (transition, (from, to, source, provider_at)) in transitions.iter().zip(expected) {
        let [told_from, told_to, told_source] =
            ["from", "to", "source"].map(|key| &transition[key]);
        assert_eq!((told_from, told_to), (&from, &json!(to)));
        assert_eq!((told_source, &transition["provider_at"]), (&json!(source), provider_at));
        assert!(transition["at"].is_string() && transition["seq"].is_u64(), "{transition}");
        assert!(transition["delay_seconds"].is_f64(), "{transition}");
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn an_unknown_job_has_no_timeline() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    let answer = daemon.get("/api/cloud/jobs/nobody/timeline").await;
    answer.error(404, "job_not_found");
    daemon.stop().await;
}
