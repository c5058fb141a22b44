//! F: what a look at the code found.

use jobsyncd::actors::job_store::RecordReports;
use jobsyncd::config::{Config, Sources};
use jobsyncd::daemon::BackgroundTasks;
use jobsyncd::db::error::StoreError;
use jobsyncd::domain::job::JobStatus;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};
use crate::support::reports::report;

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[rstest]
#[actix_web::test]
async fn a_search_finds_letters_of_every_alphabet_in_any_case(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    // The second has its letter and the dots apart, as file names of macOS do.
    for name in ["Äpfel 100%", "A\u{308}pfel_2", "ПОРТРЕТ"] {
        let job = json!({"config_name": name, "idempotency_key": name});
        daemon.submit(&job).await;
    }
    let found = async |text: &str| {
        let path = format!("/api/cloud/jobs?sort=name&q={}", percent_encoded(text));
        let list = daemon.get(&path).await.ok();
        let names = list["jobs"].as_array().expect("jobs").iter();
        let names: Vec<_> =
            names.map(|job| job["config_name"].as_str().expect("a name").to_owned()).collect();
        assert_eq!(list["total"], names.len());
        names
    };
    assert_eq!(found("äpfel").await.len(), 2);
    assert_eq!(found("ÄPFEL").await.len(), 2);
    assert_eq!(found("портрет").await, ["ПОРТРЕТ"]);
    assert_eq!(found("0%").await, ["Äpfel 100%"]);
    assert_eq!(found("l_2").await.len(), 1);
    assert!(found("%").await.len() == 1 && found("\\").await.is_empty());
    assert!(found("birnen").await.is_empty());
}

#[rstest]
#[actix_web::test]
async fn what_an_earlier_version_stored_is_found_after_a_restart(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().start(&database).await;
    let error = Some("Zeit ÜBERSCHRITTEN".to_owned());
    daemon.record(vec![report("p1", JobStatus::Failed, error)]).await;
    let path = format!("/api/cloud/jobs?q={}", percent_encoded("überschritten"));
    assert_eq!(daemon.get(&path).await.ok()["total"], 1);
    daemon.stop().await;
    database.execute("DELETE FROM job_search");
    let daemon = TestDaemon::builder().start(&database).await;
    assert_eq!(daemon.get(&path).await.ok()["total"], 1);
}

#[rstest]
#[actix_web::test]
async fn a_stored_limit_that_cannot_be_read_blocks_until_it_is_set_again(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let config = "/api/cloud/providers/replicate/config";
    let limit =
        json!({"cost_limit_amount": 50, "cost_limit_enabled": true, "cost_limit_action": "block"});
    daemon.put_json(config, &limit).await.ok();
    daemon.submit(&json!({})).await;
    database
        .execute("UPDATE settings SET value = '{\"limit' WHERE value LIKE '{\"limit_micro_usd%'");
    let job = json!({"hardware_profile": "h100", "config": {}});
    let refused = daemon.post_json("/api/cloud/jobs/submit", &job).await;
    let refused = refused.error(429, "spending_limit_reached");
    assert!(
        refused["detail"].as_str().is_some_and(|words| words.contains("cannot be read")),
        "{refused}"
    );
    daemon.put_json(config, &limit).await.ok();
    daemon.submit(&json!({})).await;
}

#[actix_web::test]
async fn only_where_its_jobs_get_a_token_from_us_is_a_missing_one_warned_of() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__PROVIDERS__COG__BASE_URL", "http://127.0.0.1:1")
        .start(&database)
        .await;
    let warnings = async |provider: &str| {
        let url = format!("{}/api/webhooks/{provider}", daemon.url);
        let job =
            json!({"config": {"push_to_hub": true, "hub_model_id": "me/cats"}, "webhook_url": url});
        let path = format!("/api/cloud/jobs/submit?provider={provider}");
        daemon.post_json(&path, &job).await.ok()["quota_warnings"].take()
    };
    let of_replicate = warnings("replicate").await;
    assert!(
        of_replicate[0].as_str().is_some_and(|words| words.contains("HF_TOKEN")),
        "{of_replicate}"
    );
    assert_eq!(warnings("cog").await, Value::Array(Vec::new()));
}

#[actix_web::test]
async fn a_daemon_that_stops_says_so_and_not_that_its_database_is_broken() {
    let database = TestDatabase::new(Backend::Sqlite);
    let sources = Sources::from_environment([("JOBSYNCD__DATABASE__URL", database.url.as_str())]);
    let config = Config::load(&sources).expect("a good configuration");
    let mut tasks = BackgroundTasks::start(config).await.expect("they start");
    let store = tasks.doors().store.clone();
    tasks.stop().await;
    let reports = vec![report("p1", JobStatus::Running, None)];
    let answer = store.send(RecordReports { reports }).await.expect("the store answers");
    assert_eq!(answer, Err(StoreError::Stopping));
}
