//! The log of events, looked back at.

use jobsyncd::simulator::{JobSpec, Seed, Status};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, execute, simulator};

async fn activity(daemon: &TestDaemon, query: &str) -> Value {
    daemon.get(&format!("/api/activity?{query}")).await.ok()
}

fn kinds(answer: &Value) -> Vec<&str> {
    let events = answer["events"].as_array().expect("a list");
    events.iter().map(|event| event["type"].as_str().expect("a type")).collect()
}

#[rstest]
#[actix_web::test]
async fn what_happened_is_told_newest_first_by_kind_and_by_job(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let id = simulator.create_job(JobSpec::manual()).expect("a job");
    daemon.sync().await;
    simulator.seed(&Seed::new(2, &[Status::Processing]));
    daemon.sync().await;
    simulator.set_status(&id, Status::Processing).expect("it starts");
    daemon.refresh().await;

    let all = activity(&daemon, "").await;
    assert_eq!(
        kinds(&all),
        [
            "job_status_changed",
            "sync_completed",
            "job_discovered",
            "job_discovered",
            "sync_completed",
            "job_discovered"
        ]
    );
    assert_eq!((&all["newest"], &all["next_before"]), (&json!(6), &Value::Null));
    // As it went over the stream.
    assert_eq!(all["events"][0]["job"]["job_id"], json!(id));

    let of_job = activity(&daemon, &format!("job_id={id}")).await;
    assert_eq!(kinds(&of_job), ["job_status_changed", "job_discovered"]);
    let syncs = activity(&daemon, "type=sync_completed&limit=1").await;
    assert_eq!(kinds(&syncs), ["sync_completed"]);
    let before = syncs["next_before"].as_i64().expect("there is more");
    let first = activity(&daemon, &format!("type=sync_completed&before={before}")).await;
    assert_eq!((kinds(&first), &first["next_before"]), (vec!["sync_completed"], &Value::Null));
    daemon.stop().await;
}

#[actix_web::test]
async fn one_look_goes_through_a_bounded_stretch_of_the_log_and_says_where_to_go_on() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    daemon.stop().await;
    let rare = r#"{"type":"budget_warning","message":"near","seq":1,"at":"2026-03-01T10:00:00Z"}"#;
    let usual = r#"{"type":"job_updated","seq":2,"at":"2026-03-01T10:00:00Z"}"#;
    execute(
        &mut database.connect(),
        &format!(
            "INSERT INTO events SELECT n, 9000000000000000, CASE n WHEN 1 THEN 'budget_warning' ELSE 'job_updated' END, \
             NULL, 0, CASE n WHEN 1 THEN '{rare}' ELSE '{usual}' END FROM \
             (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 50000) SELECT n FROM c); \
             UPDATE event_head SET seq = 50000"
        ),
    );
    let daemon = TestDaemon::builder().start(&database).await;
    let mut query = "type=budget_warning".to_owned();
    let mut looks = 0;
    let found = loop {
        looks += 1;
        let answer = activity(&daemon, &query).await;
        match answer["next_before"].as_i64() {
            Some(before) => query = format!("type=budget_warning&before={before}"),
            None => break answer,
        }
    };
    assert_eq!((kinds(&found), looks), (vec!["budget_warning"], 3));
    daemon.stop().await;
}

#[actix_web::test]
async fn what_is_no_filter_is_refused_with_the_allowed_ones() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    let refused = daemon.get("/api/activity?type=moon").await.error(400, "unknown_value");
    assert!(refused["details"]["allowed"].to_string().contains("job_stalled"), "{refused}");
    for bad in ["before=0", "before=-1", "before=x", "limit=0", "limit=501"] {
        daemon.get(&format!("/api/activity?{bad}")).await.error(422, "invalid_value");
    }
    daemon.stop().await;
}
