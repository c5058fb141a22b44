//! The log of a job that has ended is fetched before the provider deletes it, and kept.

use chrono::{Duration, Utc};
use jobsyncd::simulator::{
    ErrorBody, Fault, FaultKind, JobSpec, JobUpdate, Simulator, SimulatorOptions, Status,
    WebhookEvent,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};

const ONE: &str = "GET /predictions/{id}";
/// Without a last newline, which the archive of the provider takes away.
const LOG: &str = "Loading models\nstep 1/2\nstep 2/2\nModel saved.";

async fn daemon(simulator: &Simulator, database: &TestDatabase) -> TestDaemon {
    TestDaemon::builder()
        .tracking(simulator)
        .with("SIMPLETUNER_JOB_POLL_INTERVAL", "86400")
        .start(database)
        .await
}

/// A job that has printed [`LOG`] and ended so long ago.
fn ended(simulator: &Simulator, ago: Duration) -> String {
    let job = simulator.create_job(JobSpec::manual()).expect("a job");
    simulator.append_logs(&job, LOG).expect("it prints");
    end(simulator, &job, ago);
    job
}

fn end(simulator: &Simulator, job: &str, ago: Duration) {
    let completed_at = Some(Utc::now() - ago);
    let update = JobUpdate {
        started_at: completed_at.map(|end| end - Duration::minutes(5)),
        completed_at,
        ..JobUpdate::status(Status::Succeeded)
    };
    simulator.update_job(job, update).expect("it ends");
}

fn fail(simulator: &Simulator, times: u32) {
    let failure = FaultKind::ServerError { status: 500, body: ErrorBody::Problem };
    simulator.fail_next(Fault::new(ONE, failure).times(times));
}

/// The log, without a call to the provider for it.
async fn kept_log(simulator: &Simulator, daemon: &TestDaemon, job: &str) -> Value {
    simulator.reset_calls();
    let logs = daemon.get(&format!("/api/cloud/jobs/{job}/logs")).await.ok()["logs"].take();
    assert_eq!(simulator.calls_to(ONE), 0, "it was not kept");
    logs
}

#[rstest]
#[actix_web::test]
async fn the_log_of_a_job_whose_end_only_a_list_shows_is_fetched_once(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = daemon(&simulator, &database).await;
    let job = ended(&simulator, Duration::minutes(1));

    daemon.sync().await;
    daemon.logs_settled().await;

    assert_eq!(simulator.calls_to(ONE), 1);
    assert_eq!(kept_log(&simulator, &daemon, &job).await, LOG);
    daemon.sync().await;
    daemon.logs_settled().await;
    assert_eq!(simulator.calls_to(ONE), 0);
    assert_eq!(daemon.job(&job).await["progress"]["progress"], 100.0);
    daemon.stop().await;
}

#[actix_web::test]
async fn the_log_of_a_job_that_a_round_of_polling_finds_ended_is_fetched() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator, &database).await;
    // Three, so that one page tells of all of them.
    let jobs: Vec<_> =
        (0..3).map(|_| simulator.create_job(JobSpec::manual()).expect("a job")).collect();
    daemon.sync().await;
    for job in &jobs {
        simulator.append_logs(job, LOG).expect("it prints");
        end(&simulator, job, Duration::zero());
    }
    simulator.reset_calls();

    daemon.refresh().await;
    daemon.logs_settled().await;

    assert_eq!((simulator.calls_to("GET /predictions"), simulator.calls_to(ONE)), (1, 3));
    for job in &jobs {
        assert_eq!(kept_log(&simulator, &daemon, job).await, LOG);
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn a_webhook_with_the_log_of_the_end_needs_no_call() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator, &database).await;
    let spec = JobSpec::manual().webhook(&daemon.webhook_url());
    let job = simulator.create_job(spec).expect("a job");
    simulator.append_logs(&job, LOG).expect("it prints");
    end(&simulator, &job, Duration::zero());
    simulator.deliveries_settled().await;
    daemon.logs_settled().await;

    assert_eq!(simulator.calls_to(ONE), 0);
    assert_eq!(kept_log(&simulator, &daemon, &job).await, LOG);
    daemon.stop().await;
}

#[actix_web::test]
async fn an_end_without_a_word_is_believed_when_the_provider_is_asked_and_not_asked_again() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator, &database).await;
    let spec = JobSpec::manual().webhook(&daemon.webhook_url());
    let job = simulator.create_job(spec).expect("a job");
    end(&simulator, &job, Duration::zero());
    simulator.deliveries_settled().await;
    daemon.logs_settled().await;

    assert_eq!(simulator.calls_to(ONE), 1);
    assert_eq!(kept_log(&simulator, &daemon, &job).await, "");
    simulator.send_webhook(&job, WebhookEvent::Completed).expect("again");
    simulator.deliveries_settled().await;
    daemon.logs_settled().await;
    assert_eq!(simulator.calls_to(ONE), 0);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_log_that_was_not_had_when_the_daemon_stopped_is_fetched_when_it_starts(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let first = daemon(&simulator, &database).await;
    let job = ended(&simulator, Duration::minutes(1));
    fail(&simulator, 1_000);
    first.sync().await;
    assert_eq!(first.job(&job).await["status"], "completed");
    first.stop().await;
    simulator.clear_faults();

    let daemon = daemon(&simulator, &database).await;
    daemon.logs_settled().await;

    assert_eq!(kept_log(&simulator, &daemon, &job).await, LOG);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_fetch_that_failed_is_tried_again() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator, &database).await;
    let job = ended(&simulator, Duration::minutes(1));
    fail(&simulator, 5);

    daemon.sync().await;
    daemon.logs_settled().await;

    assert_eq!(simulator.calls_to(ONE), 6);
    assert_eq!(kept_log(&simulator, &daemon, &job).await, LOG);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_log_that_is_missing_for_half_an_hour_is_told_once_and_still_fetched(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = daemon(&simulator, &database).await;
    let mut events = daemon.events().await;
    let job = ended(&simulator, Duration::minutes(31));
    fail(&simulator, 1_000);

    daemon.sync().await;

    let told = events.next_of("job_log_missing").await;
    assert_eq!((&told["job_id"], &told["is_lost"]), (&json!(job), &json!(false)));
    assert_eq!((&told["status"], &told["job"]["job_id"]), (&json!("completed"), &json!(job)));
    // One more attempt in vain tells nothing new.
    simulator.reset_calls();
    while simulator.calls_to(ONE) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    simulator.clear_faults();
    daemon.logs_settled().await;
    assert_eq!(kept_log(&simulator, &daemon, &job).await, LOG);
    daemon.delete(&format!("/api/cloud/jobs/{job}")).await.ok();
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "job_deleted") {
        kinds.push(events.next().await.json()["type"].as_str().expect("a type").to_owned());
    }
    assert!(!kinds.contains(&"job_log_missing".to_owned()), "{kinds:?}");
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_log_that_the_provider_has_deleted_is_lost_and_says_so(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let options = SimulatorOptions { retention_seconds: 300, ..SimulatorOptions::default() };
    let simulator = Simulator::start(options).await.expect("the simulator starts");
    let database = TestDatabase::new(backend);
    let daemon = daemon(&simulator, &database).await;
    let mut events = daemon.events().await;
    let job = ended(&simulator, Duration::minutes(10));

    daemon.sync().await;

    let told = events.next_of("job_log_missing").await;
    assert_eq!((&told["job_id"], &told["is_lost"]), (&json!(job), &json!(true)));
    daemon.logs_settled().await;
    // The list had said so.
    assert_eq!(simulator.calls_to(ONE), 0);
    let path = format!("/api/cloud/jobs/{job}/logs");
    let error = daemon.get(&path).await.error(410, "log_lost");
    assert_eq!(error["details"]["job_id"], json!(job));
    daemon.get(&format!("{path}/stream")).await.error(410, "log_lost");
    daemon.stop().await;
}

#[actix_web::test]
async fn where_no_token_is_configured_no_log_is_missed() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", simulator.webhook_secret())
        .start(&database)
        .await;
    let mut events = daemon.events().await;
    let spec = JobSpec::manual().webhook(&daemon.webhook_url());
    let job = simulator.create_job(spec).expect("a job");
    simulator.deliveries_settled().await;
    end(&simulator, &job, Duration::minutes(40));
    simulator.deliveries_settled().await;
    daemon.logs_settled().await;

    daemon.delete(&format!("/api/cloud/jobs/{job}")).await.ok();
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "job_deleted") {
        kinds.push(events.next().await.json()["type"].as_str().expect("a type").to_owned());
    }
    assert!(!kinds.contains(&"job_log_missing".to_owned()), "{kinds:?}");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_job_that_was_followed_is_asked_for_however_long_ago_it_ended() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let first = daemon(&simulator, &database).await;
    let jobs: Vec<_> =
        (0..2).map(|_| simulator.create_job(JobSpec::manual()).expect("a job")).collect();
    first.sync().await;
    first.stop().await;
    for job in &jobs {
        simulator.append_logs(job, LOG).expect("it prints");
        end(&simulator, job, Duration::hours(3));
    }
    let daemon = daemon(&simulator, &database).await;
    let mut events = daemon.events().await;

    daemon.sync().await;

    // The provider has deleted the logs after an hour, and that is told.
    for _ in &jobs {
        assert_eq!(events.next_of("job_log_missing").await["is_lost"], true);
    }
    daemon.logs_settled().await;
    daemon.get(&format!("/api/cloud/jobs/{}/logs", jobs[0])).await.error(410, "log_lost");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_job_that_ended_longer_ago_than_logs_are_kept_is_not_asked_for() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator, &database).await;
    ended(&simulator, Duration::minutes(61));

    daemon.sync().await;
    daemon.logs_settled().await;

    assert_eq!(simulator.calls_to(ONE), 0);
    daemon.stop().await;
}

#[actix_web::test]
async fn of_a_log_beyond_the_bound_both_ends_are_kept() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__LOGS__MAX_JOB_MB", "1")
        .start(&database)
        .await;
    let job = simulator.create_job(JobSpec::manual()).expect("a job");
    let lines = |range: std::ops::Range<u32>| -> String {
        range.map(|line| format!("line {line} of many that are printed\n")).collect()
    };
    simulator.append_logs(&job, &lines(0..60_000)).expect("it prints");
    end(&simulator, &job, Duration::zero());

    daemon.sync().await;
    daemon.logs_settled().await;

    let log = kept_log(&simulator, &daemon, &job).await;
    let log = log.as_str().expect("a text");
    assert!(log.len() < 1_100_000, "{}", log.len());
    assert!(log.starts_with(&lines(0..5_000)) && log.ends_with(&lines(45_000..60_000)));
    assert!(log.contains("bytes of this log are not kept"));
    daemon.stop().await;
}

#[actix_web::test]
async fn a_log_is_downloaded_as_it_is_and_never_shown_as_a_page() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator, &database).await;
    let hostile = "<script>alert(1)</script>\rstep 1/2\n\u{1b}[31mred\u{1b}[0m";
    let job = simulator.create_job(JobSpec::manual()).expect("a job");
    simulator.append_logs(&job, hostile).expect("it prints");
    end(&simulator, &job, Duration::minutes(1));
    daemon.sync().await;
    daemon.logs_settled().await;
    let file = daemon.get(&format!("/api/cloud/jobs/{job}/logs/download")).await;
    assert_eq!(file.status, 200);
    assert_eq!(file.body, hostile.as_bytes());
    assert_eq!(file.header("content-type"), Some("text/plain; charset=utf-8"));
    let disposition = file.header("content-disposition").expect("a name");
    assert_eq!(disposition, format!("attachment; filename=\"{job}.log\""));
    assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
    daemon.get("/api/cloud/jobs/nobody/logs/download").await.error(404, "job_not_found");
    daemon.stop().await;
}
