//! The stream of events, as SimpleTuner's page listens to it.

use jobsyncd::simulator::{JobSpec, JobUpdate, Simulator, Status};
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};
use crate::support::stream::EventStream;

/// A job at the provider that ends, and the daemon's word of it.
async fn end(daemon: &TestDaemon, simulator: &Simulator, prediction: &str) {
    let failed = JobUpdate { error: Some("CUDA out of memory".to_owned()), ..JobUpdate::default() };
    simulator.update_job(prediction, failed).expect("a job");
    simulator.set_status(prediction, Status::Failed).expect("it ends");
    daemon.refresh().await;
}

/// What the page is told of a job that has failed, where it is told once.
async fn update_after(stream: &mut EventStream, status: &str) -> Value {
    loop {
        let event = stream.next_of_all().await;
        let json = event.json();
        if json["type"] == "job_status_changed" && json["status"] == status {
            assert!(event.id.is_some());
            let beside = stream.next_of_all().await;
            assert_eq!((beside.id.as_deref(), beside.event.as_deref()), (None, None));
            return beside.json();
        }
        assert_ne!((&json["type"], &json["status"]), (&json!("cloud_job_update"), &json!(status)));
    }
}

#[actix_web::test]
async fn a_heartbeat_with_a_name_keeps_the_page_from_reconnecting() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__EVENTS__HEARTBEAT_SECONDS", "1")
        .start(&database)
        .await;
    let mut stream = daemon.events().await;
    for _ in 0..2 {
        let beat = stream.next_of_all().await;
        assert_eq!((beat.event.as_deref(), beat.id.as_deref()), (Some("heartbeat"), None));
        assert_eq!(beat.json()["type"], "heartbeat");
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn a_change_of_state_is_told_to_the_page_beside_itself_also_when_it_comes_back() {
    let simulator = simulator().await;
    let prediction = simulator.create_job(JobSpec::manual()).expect("a job");
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    daemon.sync().await;
    let mut stream = daemon.events().await;
    let before = stream.last_id.clone().expect("a position");
    end(&daemon, &simulator, &prediction).await;

    let told = update_after(&mut stream, "failed").await;
    assert_eq!((&told["type"], &told["job_id"]), (&json!("cloud_job_update"), &json!(prediction)));
    assert_eq!((&told["status"], &told["new_status"]), (&json!("failed"), &json!("failed")));
    assert_eq!(told["error_message"], "CUDA out of memory");
    let job = daemon.job(&prediction).await;
    assert_eq!((&told["config_name"], &told["cost_usd"]), (&job["config_name"], &job["cost_usd"]));
    let after = stream.last_id.clone().expect("a position");

    // Who was away a moment is told the same, and who had it is not.
    let mut back = EventStream::open(&daemon.url, Some(&before)).await;
    assert_eq!(update_after(&mut back, "failed").await, told);
    let mut back = EventStream::open(&daemon.url, Some(&after)).await;
    assert_eq!(back.next_of_all().await.json()["type"], "connected");
    daemon.delete(&format!("/api/cloud/jobs/{prediction}")).await.ok();
    assert_eq!(back.next_of_all().await.json()["type"], "job_deleted");

    // What is older than a few minutes is no news, wherever it is read from.
    let hour = "UPDATE events SET json = replace(json, '\"at\":\"2', '\"at\":\"1')";
    database.execute(hour);
    daemon.stop().await;
    let daemon = TestDaemon::builder().start(&database).await;
    let mut back = EventStream::open(&daemon.url, Some(&before)).await;
    loop {
        let json = back.next_of_all().await.json();
        assert_ne!(json["type"], "cloud_job_update");
        if json["type"] == "job_deleted" {
            break;
        }
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn one_switch_turns_off_what_only_the_page_reads() {
    let simulator = simulator().await;
    let prediction = simulator.create_job(JobSpec::manual()).expect("a job");
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__EVENTS__SIMPLETUNER_COMPAT", "false")
        .with("JOBSYNCD__EVENTS__HEARTBEAT_SECONDS", "1")
        .start(&database)
        .await;
    daemon.sync().await;
    let mut stream = daemon.events().await;
    // A comment came, so a heartbeat would have come as well.
    while !stream.line().await.expect("it goes on").starts_with(':') {}
    end(&daemon, &simulator, &prediction).await;
    daemon.delete(&format!("/api/cloud/jobs/{prediction}")).await.ok();
    loop {
        let event = stream.next_of_all().await;
        assert_eq!(event.event, None);
        assert_ne!(event.json()["type"], "cloud_job_update");
        if event.json()["type"] == "job_deleted" {
            break;
        }
    }
    daemon.stop().await;
}
