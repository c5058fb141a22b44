//! The queue: who goes first, who waits and why, and what can be done about it.

use jobsyncd::simulator::{Simulator, Status};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDaemonBuilder, TestDatabase, simulator};

fn with_limits(simulator: &Simulator, all: &str, user: &str) -> TestDaemonBuilder {
    TestDaemon::builder()
        .tracking(simulator)
        .with("JOBSYNCD__BACKGROUND__QUEUE_PROCESSING__INTERVAL_SECONDS", "1")
        .with("JOBSYNCD__QUEUE__MAX_CONCURRENT", all)
        .with("JOBSYNCD__QUEUE__USER_MAX_CONCURRENT", user)
}

fn entries(queue: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let entries = queue["entries"].as_array().expect("a list");
    entries.iter().map(|one| (text(&one["config_name"]), text(&one["waiting_for"]))).collect()
}

async fn end(simulator: &Simulator, daemon: &TestDaemon, id: &str, status: Status) {
    let prediction = daemon.taken(id).await;
    simulator.set_status(&prediction, status).expect("it ends");
    daemon.refresh().await;
}

#[rstest]
#[actix_web::test]
async fn the_most_urgent_goes_first_and_a_place_that_is_free_is_taken_at_once(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = with_limits(&simulator, "1", "1").start(&database).await;
    let first = daemon.submit(&json!({"config_name": "first"})).await;
    daemon.taken(&first).await;
    let low = daemon.submit(&json!({"config_name": "low", "priority": 0})).await;
    let normal = daemon.submit(&json!({"config_name": "normal"})).await;
    let critical = daemon.submit(&json!({"config_name": "critical", "priority": "critical"})).await;

    let queue = daemon.get("/api/queue").await.ok();
    let named = |name: &str, reason: &str| (name.to_owned(), reason.to_owned());
    let limit = "max_concurrent";
    let expected = [
        named("first", "-"),
        named("critical", limit),
        named("normal", limit),
        named("low", limit),
    ];
    assert_eq!(entries(&queue), expected);
    assert_eq!((&queue["total_pending"], &queue["total_running"]), (&json!(3), &json!(1)));
    assert_eq!(daemon.job(&low).await["queue_position"], 3);
    let page = daemon.get("/api/cloud/jobs").await.ok();
    assert_eq!(page["jobs"][0]["queue_position"], 1, "{page}");
    assert!(page["jobs"][3]["queue_position"].is_null());

    let path = format!("/api/queue/{low}/priority");
    let moved = daemon.post_json(&path, &json!({"priority": "urgent"})).await.ok();
    let expected = json!({
        "success": true, "job_id": low, "previous_effective_priority": 0,
        "new_effective_priority": 30, "priority_override": 30,
    });
    assert_eq!(moved, expected);
    let position = daemon.get(&format!("/api/queue/position/{low}")).await.ok();
    assert_eq!((&position["position"], &position["priority"]), (&json!(2), &json!("urgent")));

    // The place of one that ends is taken before the queue is looked at by its timer.
    for (ends, next) in [(&first, &critical), (&critical, &low), (&low, &normal)] {
        end(&simulator, &daemon, ends, Status::Succeeded).await;
        daemon.taken(next).await;
    }
    assert_eq!(simulator.job_count(), 4);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_user_at_the_limit_is_passed_by_others() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = with_limits(&simulator, "3", "1").start(&database).await;
    let mut ids = Vec::new();
    for (user, name) in [("ann", "a1"), ("ann", "a2"), ("bob", "b1")] {
        ids.push(daemon.submit(&json!({"user_id": user, "config_name": name})).await);
    }
    for id in [&ids[0], &ids[2]] {
        daemon.taken(id).await;
    }
    let waiting = daemon.get("/api/queue?status=pending").await.ok();
    assert_eq!(entries(&waiting), [("a2".to_owned(), "user_max_concurrent".to_owned())]);
    let because = waiting["entries"][0]["waiting_because"].as_str().expect("words");
    assert!(because.contains("of its user"), "{because}");
    let stats = daemon.get("/api/queue/stats").await.ok();
    assert_eq!((&stats["queue_depth"], &stats["running"]), (&json!(1), &json!(2)));
    assert_eq!(stats["by_user"], json!({"ann": 2, "bob": 1}));
    end(&simulator, &daemon, &ids[0], Status::Failed).await;
    daemon.taken(&ids[1]).await;
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_pause_and_limits_outlive_a_restart(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = with_limits(&simulator, "5", "2").start(&database).await;
    let mut events = daemon.events().await;
    daemon.post("/api/queue/pause").await.ok();
    assert_eq!(events.next_of("queue_changed").await["change"], "paused");
    let limits = json!({"max_concurrent": 1, "team_max_concurrent": 3});
    let answer = daemon.post_json("/api/queue/concurrency", &limits).await.ok();
    let expected = json!({
        "success": true, "max_concurrent": 1, "user_max_concurrent": 2,
        "team_max_concurrent": 1, "enable_fair_share": false,
    });
    assert_eq!(answer, expected);
    let ids = [daemon.submit(&json!({})).await, daemon.submit(&json!({})).await];
    daemon.stop().await;

    let daemon = with_limits(&simulator, "5", "2").start(&database).await;
    let dispatched = daemon.post("/api/queue/process").await.ok();
    assert_eq!((&dispatched["dispatched"], &dispatched["job_ids"]), (&json!(0), &json!([])));
    let queue = daemon.get("/api/queue").await.ok();
    assert_eq!(queue["is_paused"], true);
    assert_eq!(queue["entries"][0]["waiting_for"], "paused");
    daemon.post("/api/queue/resume").await.ok();
    daemon.taken(&ids[0]).await;
    let waiting = daemon.get("/api/queue?status=pending").await.ok();
    assert_eq!(waiting["entries"][0]["job_id"], json!(ids[1]));
    assert_eq!(waiting["entries"][0]["waiting_for"], "max_concurrent");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_queue_that_is_switched_off_works_when_it_is_told_to() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = with_limits(&simulator, "5", "2")
        .with("JOBSYNCD__BACKGROUND__QUEUE_PROCESSING__ENABLED", "false")
        .start(&database)
        .await;
    let id = daemon.submit(&json!({})).await;
    assert_eq!(daemon.get("/api/queue/stats").await.ok()["is_enabled"], false);
    let done = daemon.post("/api/queue/process").await.ok();
    assert_eq!(done, json!({"success": true, "dispatched": 1, "job_ids": [id]}));
    daemon.taken(&id).await;
    daemon.stop().await;
}

#[actix_web::test]
async fn the_wait_is_estimated_from_how_long_jobs_have_taken() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = with_limits(&simulator, "1", "1").start(&database).await;
    let before = daemon.submit(&json!({})).await;
    end(&simulator, &daemon, &before, Status::Succeeded).await;
    // It ran for an hour.
    database.execute("UPDATE jobs SET started_at = completed_at - 3600000000");
    let running = daemon.submit(&json!({})).await;
    daemon.taken(&running).await;
    let waiting = [daemon.submit(&json!({})).await, daemon.submit(&json!({})).await];
    let mut waits = Vec::new();
    for id in &waiting {
        let position = daemon.get(&format!("/api/queue/position/{id}")).await.ok();
        waits.push(position["estimated_wait_seconds"].as_f64().expect("an estimate"));
    }
    assert!((3_500.0..=3_600.0).contains(&waits[0]), "{waits:?}");
    assert!((7_100.0..=7_200.0).contains(&waits[1]), "{waits:?}");
    daemon.stop().await;
}

#[actix_web::test]
async fn entries_of_old_jobs_are_cleaned_up_and_their_jobs_stay() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = with_limits(&simulator, "5", "2").start(&database).await;
    let old = daemon.submit(&json!({})).await;
    end(&simulator, &daemon, &old, Status::Succeeded).await;
    let open = daemon.submit(&json!({})).await;
    daemon.taken(&open).await;
    database.execute("UPDATE queue_entries SET completed_at = completed_at - 864000000000");
    let all = daemon.get("/api/queue?include_completed=true").await.ok();
    assert_eq!(all["entries"].as_array().map(Vec::len), Some(2));
    let cleaned = daemon.post("/api/queue/cleanup?days=5").await.ok();
    assert_eq!(cleaned, json!({"success": true, "deleted": 1, "days": 5}));
    daemon.get(&format!("/api/queue/position/{old}")).await.error(404, "not_in_queue");
    assert_eq!(daemon.job(&old).await["status"], "completed");
    daemon.post("/api/queue/cleanup?days=0").await.error(422, "invalid_value");
    daemon.stop().await;
}

#[actix_web::test]
async fn what_does_not_wait_cannot_be_moved() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = with_limits(&simulator, "5", "2").start(&database).await;
    let id = daemon.submit(&json!({})).await;
    daemon.taken(&id).await;
    let path = format!("/api/queue/{id}/priority");
    daemon.post_json(&path, &json!({"priority": 20})).await.error(409, "not_waiting");
    daemon.post_json(&path, &json!({"priority": "asap"})).await.error(400, "unknown_value");
    let path = "/api/queue/nothing/priority";
    daemon.post_json(path, &json!({"priority": null})).await.error(404, "not_in_queue");
    daemon.get("/api/queue?status=done").await.error(400, "unknown_value");
    let limits = json!({"max_concurrent": 0});
    daemon.post_json("/api/queue/concurrency", &limits).await.error(422, "invalid_value");
    daemon.stop().await;
}
