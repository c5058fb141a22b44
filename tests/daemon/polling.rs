//! The page's background poller, and the slow reconciliation beside webhooks.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use jobsyncd::db::observations::Report;
use jobsyncd::domain::job::JobStatus;
use jobsyncd::domain::observation::{Observation, ProgressReading};
use jobsyncd::simulator::{
    ErrorBody, Fault, FaultKind, JobSpec, Seed, Simulator, SimulatorOptions, Status,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDaemonBuilder, TestDatabase, simulator};
use crate::support::reports::report;
use crate::support::stream::EventStream;

const ONE: &str = "GET /predictions/{id}";
const LIST: &str = "GET /predictions";
const WEBHOOK_URL: &str = "JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_URL";
const INTERVAL: &str = "SIMPLETUNER_JOB_POLL_INTERVAL";
const A_HOOK: &str = "https://jobs.example.org/api/webhooks/replicate";

/// A daemon whose timer does not fire while the test lasts.
fn without_timer(simulator: &Simulator) -> TestDaemonBuilder {
    TestDaemon::builder().tracking(simulator).with(INTERVAL, "86400")
}

fn running(simulator: &Simulator) -> String {
    let job = simulator.create_job(JobSpec::manual()).expect("a job");
    simulator.set_status(&job, Status::Processing).expect("it starts");
    job
}

async fn sync_all(daemon: &TestDaemon) {
    daemon.post_json("/api/cloud/jobs/sync", &json!({"all": true})).await.ok();
    daemon.logs_settled().await;
}

fn failing() -> FaultKind {
    FaultKind::ServerError { status: 500, body: ErrorBody::Problem }
}

#[rstest]
#[case::nothing_is_said(&[], true, "no_webhook", 30)]
#[case::a_webhook(&[(WEBHOOK_URL, A_HOOK)], false, "webhook_configured", 30)]
#[case::configuration_beats_a_webhook(
    &[(WEBHOOK_URL, A_HOOK), ("JOBSYNCD__BACKGROUND__JOB_STATUS_POLLING__ENABLED", "true")], true, "configuration", 30
)]
#[case::configuration_turns_it_off(
    &[("JOBSYNCD__BACKGROUND__JOB_STATUS_POLLING__ENABLED", "false")], false, "configuration", 30
)]
#[case::simpletuners_variable(
    &[(INTERVAL, "60"), ("JOBSYNCD__BACKGROUND__JOB_STATUS_POLLING__INTERVAL_SECONDS", "7")], true, "no_webhook", 60
)]
#[actix_web::test]
async fn polling_is_on_without_a_webhook_and_off_with_one_unless_it_is_configured(
    #[case] environment: &[(&str, &str)],
    #[case] is_active: bool,
    #[case] reason: &str,
    #[case] interval_seconds: u64,
) {
    let database = TestDatabase::new(Backend::Sqlite);
    let builder = environment
        .iter()
        .fold(TestDaemon::builder(), |builder, (name, value)| builder.with(name, *value));
    let daemon = builder.start(&database).await;
    let status = daemon.polling().await;
    assert_eq!(status["is_active"], is_active);
    assert_eq!(status["reason"], reason);
    assert_eq!(status["preference"], Value::Null);
    assert_eq!(status["interval_seconds"], interval_seconds);
    daemon.stop().await;
}

#[actix_web::test]
async fn the_enterprise_file_decides_on_polling_as_on_the_page() {
    let database = TestDatabase::new(Backend::Sqlite);
    let file = database.folder.path().join("simpletuner-enterprise.yaml");
    let text = "background:\n  job_status_polling:\n    enabled: true\n    interval_seconds: 45\n  queue_processing:\n    enabled: true\n    interval_seconds: 5\n";
    std::fs::write(&file, text).expect("a file");
    let daemon = TestDaemon::builder()
        .with("SIMPLETUNER_ENTERPRISE_CONFIG", file.display().to_string())
        .with(WEBHOOK_URL, A_HOOK)
        .start(&database)
        .await;
    let status = daemon.polling().await;
    assert_eq!((&status["is_active"], &status["reason"]), (&json!(true), &json!("configuration")));
    assert_eq!(status["interval_seconds"], 45);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_users_setting_survives_a_restart_until_it_is_taken_back(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().start(&database).await;
    let set = async |daemon: &TestDaemon, enabled: Value| {
        daemon.put_json("/api/cloud/polling/setting", &json!({"enabled": enabled})).await.ok()
    };
    let off = set(&daemon, json!(false)).await;
    assert_eq!((&off["is_active"], &off["enabled"]), (&json!(false), &json!(false)));
    assert_eq!(daemon.polling().await["next_cycle_at"], Value::Null);
    daemon.stop().await;

    let daemon = TestDaemon::builder().start(&database).await;
    let status = daemon.polling().await;
    assert_eq!((&status["is_active"], &status["preference"]), (&json!(false), &json!(false)));
    assert_eq!(status["reason"], "setting");
    let automatic = set(&daemon, Value::Null).await;
    assert_eq!((&automatic["is_active"], &automatic["enabled"]), (&json!(true), &Value::Null));
    daemon.stop().await;

    let daemon = TestDaemon::builder().start(&database).await;
    let status = daemon.polling().await;
    assert_eq!((&status["is_active"], &status["reason"]), (&json!(true), &json!("no_webhook")));
    daemon.stop().await;
}

#[rstest]
#[case(json!({}))]
#[case(json!({"enabled": "yes"}))]
#[case(json!({"enabled": 1}))]
#[case(json!([]))]
#[actix_web::test]
async fn a_setting_that_is_none_is_refused(#[case] body: Value) {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    daemon.put_json("/api/cloud/polling/setting", &body).await.error(422, "invalid_value");
    assert_eq!(daemon.polling().await["preference"], Value::Null);
    daemon.stop().await;
}

#[actix_web::test]
async fn setting_the_webhook_url_turns_polling_off_at_once_and_removing_it_on() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    let put = async |url: Value| {
        let path = "/api/cloud/providers/replicate/config";
        daemon.put_json(path, &json!({"webhook_url": url})).await.ok()
    };
    put(json!(A_HOOK)).await;
    let status = daemon.polling().await;
    assert_eq!(
        (&status["is_active"], &status["reason"]),
        (&json!(false), &json!("webhook_configured"))
    );
    put(Value::Null).await;
    let status = daemon.polling().await;
    assert_eq!((&status["is_active"], &status["reason"]), (&json!(true), &json!("no_webhook")));
    assert!(status["next_cycle_at"].is_string(), "{status}");
    daemon.stop().await;
}

#[actix_web::test]
async fn two_hundred_active_jobs_cost_two_calls() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    simulator.seed(&Seed::new(200, &[Status::Processing]));
    let daemon = without_timer(&simulator).start(&database).await;
    sync_all(&daemon).await;
    simulator.reset_calls();
    let sync = daemon.refresh().await["sync"].take();
    assert_eq!((&sync["asked"], &sync["provider_calls"]), (&json!(200), &json!(2)));
    assert_eq!((simulator.calls_to(LIST), simulator.calls_to(ONE)), (2, 0));
    daemon.stop().await;
}

#[actix_web::test]
async fn three_active_jobs_deep_in_the_list_cost_three_calls() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    simulator.seed(&Seed::new(350, &[Status::Succeeded]));
    let newest_at = Some(chrono::Utc::now() - chrono::TimeDelta::days(2));
    simulator.seed(&Seed { newest_at, ..Seed::new(3, &[Status::Processing]) });
    let daemon = without_timer(&simulator).start(&database).await;
    sync_all(&daemon).await;
    simulator.reset_calls();
    let sync = daemon.refresh().await["sync"].take();
    assert_eq!((&sync["asked"], &sync["provider_calls"]), (&json!(3), &json!(3)));
    assert_eq!((simulator.calls_to(LIST), simulator.calls_to(ONE)), (0, 3));
    daemon.stop().await;
}

#[actix_web::test]
async fn foreign_jobs_between_ours_do_not_spoil_the_plan() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    // One of ours, then four of the account's inference, and so on: 300 in all.
    simulator.seed(&Seed::new(60, &[Status::Processing]));
    simulator.seed(&Seed {
        model: "acme/chat".to_owned(),
        interval_milliseconds: 15_000,
        ..Seed::new(240, &[Status::Succeeded])
    });
    let daemon = without_timer(&simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__MODELS", "simpletuner/*")
        .start(&database)
        .await;
    sync_all(&daemon).await;
    for round in 0..3 {
        simulator.reset_calls();
        let sync = daemon.refresh().await["sync"].take();
        assert_eq!((&sync["asked"], &sync["failed"]), (&json!(60), &json!(0)));
        assert_eq!(simulator.calls_to(LIST) + simulator.calls_to(ONE), 3, "round {round}");
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn rounds_never_overlap_and_the_next_waits_for_the_end_of_the_last() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    running(&simulator);
    let daemon =
        TestDaemon::builder().tracking(&simulator).with(INTERVAL, "1").start(&database).await;
    daemon.sync().await;
    // Slower than the timer.
    simulator.set_latency(Duration::from_millis(1_300));
    let mut rounds = vec![daemon.round_after("").await];
    while rounds.len() < 4 {
        let last = rounds.last().and_then(|round| round["started_at"].as_str()).expect("a round");
        rounds.push(daemon.round_after(last).await);
    }
    let at = |round: &Value| -> chrono::DateTime<chrono::Utc> {
        round["started_at"].as_str().and_then(|text| text.parse().ok()).expect("an instant")
    };
    for pair in rounds.windows(2) {
        let lasted =
            chrono::TimeDelta::milliseconds(pair[0]["duration_ms"].as_i64().expect("a time"));
        let pause = at(&pair[1]) - at(&pair[0]) - lasted;
        assert!(pause >= chrono::TimeDelta::milliseconds(990), "{pause} {pair:?}");
    }
    assert!(rounds[3]["duration_ms"].as_i64() >= Some(1_300), "{rounds:?}");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_short_retry_after_is_waited_for_and_a_long_one_stops_every_call() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    running(&simulator);
    let daemon = without_timer(&simulator).start(&database).await;
    daemon.sync().await;
    simulator.reset_calls();
    let throttled = |seconds| FaultKind::Throttled { retry_after_seconds: Some(seconds) };

    simulator.fail_next(Fault::new(ONE, throttled(1)));
    let sync = daemon.refresh().await["sync"].take();
    assert_eq!((&sync["failed"], simulator.calls_to(ONE)), (&json!(0), 2));
    assert!(sync["duration_ms"].as_u64() >= Some(1_000), "{sync}");

    simulator.fail_next(Fault::new(ONE, throttled(60)));
    let sync = daemon.refresh().await["sync"].take();
    assert_eq!((&sync["failed"], simulator.calls_to(ONE)), (&json!(1), 3));
    let sync = daemon.refresh().await["sync"].take();
    assert_eq!((&sync["failed"], &sync["provider_calls"]), (&json!(1), &json!(0)));
    assert_eq!(simulator.calls_to(ONE), 3, "nobody calls before the provider said");
    daemon.stop().await;
}

#[actix_web::test]
async fn no_more_than_our_share_of_the_rate_limit_is_used() {
    let options = SimulatorOptions { others_per_minute: 50, ..SimulatorOptions::default() };
    let simulator = Simulator::start(options).await.expect("it starts");
    let database = TestDatabase::new(Backend::Sqlite);
    running(&simulator);
    let daemon = without_timer(&simulator).start(&database).await;
    daemon.sync().await;
    let mut last = Value::Null;
    for _ in 0..30 {
        last = daemon.refresh().await["sync"].take();
    }
    // A fifth of the fifty, the sync included.
    assert_eq!(simulator.calls_to(LIST) + simulator.calls_to(ONE), 10);
    assert_eq!((&last["failed"], &last["provider_calls"]), (&json!(1), &json!(0)));
    assert!(last["error"].as_str().is_some_and(|text| text.contains("our share")), "{last}");
    // What a user asks for himself is not held up by it.
    assert_eq!(daemon.get("/api/cloud/providers/replicate/validate").await.ok()["valid"], true);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_dead_provider_is_left_alone_and_looked_at_again_by_itself() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let job = running(&simulator);
    let daemon =
        TestDaemon::builder().tracking(&simulator).with(INTERVAL, "1").start(&database).await;
    daemon.sync().await;
    let mut events = daemon.events().await;
    simulator.fail_next(Fault::new("*", failing()).times(1_000));

    let degraded = events.next_of("provider_degraded").await;
    assert_eq!((&degraded["provider"], &degraded["degraded"]), (&json!("replicate"), &json!(true)));
    assert!(degraded["reason"].as_str().is_some_and(|text| text.contains("Something went wrong.")));
    simulator.reset_calls();
    let sync = daemon.refresh().await["sync"].take();
    assert_eq!((&sync["failed"], &sync["provider_calls"]), (&json!(1), &json!(0)), "{sync}");
    assert_eq!(simulator.calls_to(ONE), 0);
    assert_eq!(daemon.job(&job).await["status"], "running", "silence changes nothing");

    simulator.clear_faults();
    let back = events.next_of("provider_degraded").await;
    assert_eq!(back["degraded"], false);
    assert_eq!(simulator.calls_to(ONE), 1, "one trial is enough");
    daemon.stop().await;
}

#[actix_web::test]
async fn many_calls_that_fail_together_leave_the_provider_alone_no_longer_than_one() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    simulator.seed(&Seed::new(60, &[Status::Processing]));
    let daemon = without_timer(&simulator).start(&database).await;
    daemon.sync().await;
    simulator.fail_next(Fault::new("*", failing()).times(1_000));
    daemon.refresh().await;
    simulator.clear_faults();
    let refused = daemon.post("/api/cloud/jobs/sync").await;
    let seconds: u64 = refused.header("retry-after").expect("a time").parse().expect("seconds");
    assert!(seconds <= 5, "{seconds}");
    refused.error(502, "provider_out_of_order");
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_change_found_by_polling_is_told_on_the_stream(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let job = running(&simulator);
    let daemon =
        TestDaemon::builder().tracking(&simulator).with(INTERVAL, "1").start(&database).await;
    daemon.sync().await;
    let mut events = daemon.events().await;
    simulator.set_status(&job, Status::Succeeded).expect("it ends");

    let changed = events.next_of("job_status_changed").await;

    assert_eq!((&changed["job_id"], &changed["status"]), (&json!(job), &json!("completed")));
    assert_eq!((&changed["previous"], &changed["source"]), (&json!("running"), &json!("poll")));
    assert_eq!(changed["job"]["status"], "completed");
    let round = daemon.round_after("").await;
    assert!(round["error"].is_null(), "{round}");
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn what_happened_while_the_daemon_was_down_is_found_at_its_start(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(None, Some(A_HOOK))] webhook_url: Option<&str>,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let job = running(&simulator);
    let builder = || match webhook_url {
        // Its last webhook was sent to nobody, and is not sent again.
        Some(url) => without_timer(&simulator).with(WEBHOOK_URL, url),
        None => without_timer(&simulator),
    };
    let daemon = builder().start(&database).await;
    daemon.sync().await;
    daemon.stop().await;
    simulator.set_status(&job, Status::Failed).expect("it ends");

    let daemon = builder().start(&database).await;
    let mut events = EventStream::open(&daemon.url, Some("1")).await;
    let changed = events.next_of("job_status_changed").await;
    assert_eq!((&changed["job_id"], &changed["status"]), (&json!(job), &json!("failed")));
    assert_eq!(changed["source"], "poll");
    daemon.stop().await;
}

#[actix_web::test]
async fn beside_webhooks_the_jobs_that_nobody_confirmed_lately_are_looked_at() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let [stale, fresh] = [(); 2].map(|()| running(&simulator));
    let daemon = without_timer(&simulator)
        .with(WEBHOOK_URL, A_HOOK)
        .with("JOBSYNCD__BACKGROUND__RECONCILIATION__INTERVAL_SECONDS", "10")
        .start(&database)
        .await;
    assert_eq!(daemon.polling().await["is_active"], false);
    daemon.sync().await;
    let file = database.url.trim_start_matches("sqlite://");
    let mut connection = SqliteConnection::establish(file).expect("the database");
    connection.batch_execute("PRAGMA busy_timeout = 5000").expect("a pragma");
    let an_hour_ago = "UPDATE jobs SET confirmed_at = confirmed_at - 3600000000";
    let update = format!("{an_hour_ago} WHERE job_id = '{stale}'");
    connection.batch_execute(&update).expect("an update");
    for job in [&stale, &fresh] {
        simulator.set_status(job, Status::Succeeded).expect("it ends");
    }
    simulator.reset_calls();
    let mut events = daemon.events().await;

    // The one is confirmed by webhooks all the time, and somebody reads its log.
    let confirm = async {
        loop {
            let reading = ProgressReading { log_bytes: 1, ..ProgressReading::default() };
            let said = report(&fresh, JobStatus::Running, None).observation;
            let said = Observation { progress: Some(reading), ..said };
            daemon.record(vec![Report::of_call(said, false)]).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let changed = tokio::select! {
        changed = events.next_of("job_status_changed") => changed,
        () = confirm => unreachable!("it never ends"),
    };

    assert_eq!((&changed["job_id"], &changed["source"]), (&json!(stale), &json!("poll")));
    assert_eq!((simulator.calls_to(ONE), simulator.calls_to(LIST)), (1, 0));
    assert_eq!(daemon.job(&fresh).await["status"], "running");
    daemon.stop().await;
}
