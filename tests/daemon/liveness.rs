//! Jobs that the provider has lost, and jobs that do not get on.

use chrono::Duration;
use jobsyncd::db::observations::Report;
use jobsyncd::domain::job::JobStatus;
use jobsyncd::domain::observation::{Observation, ProgressReading, Source};
use jobsyncd::domain::progress::Progress;
use jobsyncd::domain::timestamp::{Timestamp, now};
use jobsyncd::simulator::{ErrorBody, Fault, FaultKind, JobSpec, Simulator, Status};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDaemonBuilder, TestDatabase, simulator};
use crate::support::stream::EventStream;

const ONE: &str = "GET /predictions/{id}";

fn minutes_ago(minutes: i64) -> Timestamp {
    now() - Duration::minutes(minutes)
}

/// A daemon whose timer does not fire while the test lasts, and whose first round is over: it would
/// show that the jobs are there.
async fn without_timer(
    simulator: &Simulator,
    database: &TestDatabase,
    more: &[(&str, &str)],
) -> TestDaemon {
    let builder =
        TestDaemon::builder().tracking(simulator).with("SIMPLETUNER_JOB_POLL_INTERVAL", "86400");
    let with =
        |builder: TestDaemonBuilder, (name, value): &(&str, &str)| builder.with(name, *value);
    let daemon = more.iter().fold(builder, with).start(database).await;
    daemon.round_after("").await;
    daemon
}

/// A running job that the daemon does not know yet.
fn untold(simulator: &Simulator) -> String {
    let job = simulator.create_job(JobSpec::manual()).expect("a job");
    simulator.set_status(&job, Status::Processing).expect("it starts");
    job
}

/// A running job of which the daemon heard twelve minutes ago.
async fn running(simulator: &Simulator, daemon: &TestDaemon) -> String {
    let job = untold(simulator);
    daemon.record(vec![ran(&job)]).await;
    job
}

fn ran(job: &str) -> Report {
    let said = Observation {
        status: Some(JobStatus::Running),
        provider_status: Some("processing".to_owned()),
        ..Observation::silent("replicate", job, Source::Webhook, minutes_ago(12))
    };
    Report::of_call(said, true)
}

/// The daemon asked for the job eleven minutes ago, and the provider did not know it.
async fn was_missing(daemon: &TestDaemon, job: &str) {
    daemon.record(vec![missed(job)]).await;
}

fn missed(job: &str) -> Report {
    Report::of_call(Observation::missing("replicate", job, minutes_ago(11), None), false)
}

fn frame(step: u32) -> String {
    format!("Steps:  {}%|███       | {step}/2000 [10:00<29:00,  1.00s/it, loss=0.02]\r", step / 20)
}

/// The daemon read the job's log eleven minutes ago, which was at this step.
async fn was_at_step(daemon: &TestDaemon, job: &str, step: u64) {
    let progress = Progress { step: Some(step), total_steps: Some(2000), ..Progress::default() };
    let said = Observation {
        progress: Some(ProgressReading { progress, log_bytes: 1, ..ProgressReading::default() }),
        ..Observation::silent("replicate", job, Source::Poll, minutes_ago(11))
    };
    daemon.record(vec![Report::of_call(said, false)]).await;
}

async fn look_at_log(daemon: &TestDaemon, job: &str) -> Value {
    daemon.get(&format!("/api/cloud/jobs/{job}/inline-progress")).await.ok()
}

/// The kinds of the events of the log from now on, up to and with the first of `last`.
async fn kinds_until(events: &mut EventStream, last: &str) -> Vec<String> {
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != last) {
        let event = events.next().await;
        if event.id.is_some() {
            kinds.push(event.json()["type"].as_str().expect("a type").to_owned());
        }
    }
    kinds
}

#[rstest]
#[actix_web::test]
async fn a_job_that_the_provider_has_not_known_for_ten_minutes_is_gone_and_keeps_its_status(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = without_timer(&simulator, &database, &[]).await;
    let job = running(&simulator, &daemon).await;
    was_missing(&daemon, &job).await;
    let mut events = daemon.events().await;
    simulator.fail_next(Fault::new(ONE, FaultKind::NotFound).times(2));

    let list = daemon.refresh().await;

    assert_eq!(list["sync"]["failed"], 1);
    assert_eq!(list["jobs"][0]["provider_status"], "gone");
    assert_eq!(list["jobs"][0]["status"], "running");
    let gone = events.next_of("job_gone").await;
    assert_eq!((&gone["job_id"], &gone["status"]), (&json!(job), &json!("running")));
    // Events tell all but what only holds at the moment.
    let shown = daemon.job(&job).await;
    let told = gone["job"].as_object().expect("a job");
    assert!(told.len() > 20 && told.iter().all(|(field, value)| shown[field] == *value), "{gone}");
    assert!(gone["missing_since"].is_string(), "{gone}");

    // Still gone: nothing new to tell. Then the provider knows it again, which is.
    daemon.refresh().await;
    daemon.refresh().await;
    assert_eq!(kinds_until(&mut events, "job_updated").await, ["job_updated"]);
    assert_eq!(daemon.job(&job).await["provider_status"], "processing");
    daemon.stop().await;
}

#[actix_web::test]
async fn one_404_changes_nothing_that_anyone_sees() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = without_timer(&simulator, &database, &[]).await;
    let job = running(&simulator, &daemon).await;
    let mut events = daemon.events().await;
    simulator.fail_next(Fault::new(ONE, FaultKind::NotFound));

    daemon.refresh().await;

    assert_eq!(daemon.job(&job).await["provider_status"], "processing");
    simulator.set_status(&job, Status::Succeeded).expect("it ends");
    daemon.refresh().await;
    assert_eq!(kinds_until(&mut events, "job_status_changed").await, ["job_status_changed"]);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_404_that_is_not_in_the_providers_words_proves_nothing() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = without_timer(&simulator, &database, &[]).await;
    let job = running(&simulator, &daemon).await;
    was_missing(&daemon, &job).await;
    let page_of_a_proxy = FaultKind::ServerError { status: 404, body: ErrorBody::Html };
    simulator.fail_next(Fault::new(ONE, page_of_a_proxy));

    assert_eq!(daemon.refresh().await["sync"]["failed"], 1);

    assert_eq!(daemon.job(&job).await["provider_status"], "processing");
    daemon.stop().await;
}

#[actix_web::test]
async fn the_daemon_asks_less_often_for_a_job_that_is_gone() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("SIMPLETUNER_JOB_POLL_INTERVAL", "1")
        .start(&database)
        .await;
    // The list would show it, and so would a round that comes before the fault.
    let gone = untold(&simulator);
    for route in [format!("GET /predictions/{gone}"), "GET /predictions".to_owned()] {
        simulator.fail_next(Fault::new(&route, FaultKind::NotFound).times(u32::MAX));
    }
    // Together, since a round in between would miss the job for the first time.
    daemon.record(vec![ran(&gone), missed(&gone)]).await;
    let there = running(&simulator, &daemon).await;
    let mut events = EventStream::open(&daemon.url, Some("0")).await;
    events.next_of("job_gone").await;

    let now = serde_json::to_value(now()).expect("an instant");
    let round = daemon.round_after(now.as_str().expect("a text")).await;

    assert_eq!((&round["asked"], &round["failed"]), (&json!(1), &json!(0)), "{round}");
    assert_eq!(daemon.job(&there).await["status"], "running");
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_running_job_without_a_new_step_for_ten_minutes_is_stalled_until_it_takes_one(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon =
        without_timer(&simulator, &database, &[("JOBSYNCD__PROGRESS__TTL_SECONDS", "1")]).await;
    let job = running(&simulator, &daemon).await;
    was_at_step(&daemon, &job, 600).await;
    simulator.append_logs(&job, &frame(600)).expect("it prints");
    let mut events = daemon.events().await;

    look_at_log(&daemon, &job).await;

    let stalled = events.next_of("job_stalled").await;
    assert_eq!((&stalled["job_id"], &stalled["status"]), (&json!(job), &json!("running")));
    let list = daemon.get("/api/cloud/jobs").await.ok();
    assert!(list["jobs"][0]["stalled_since"].is_string(), "{list}");
    assert_eq!(list["jobs"][0]["stalled_since"], stalled["stalled_since"]);

    // Looking again tells nothing new; a step does.
    let after_the_time_to_live = async {
        while look_at_log(&daemon, &job).await["step"] != 601 {
            tokio::task::yield_now().await;
        }
    };
    simulator.append_logs(&job, &frame(601)).expect("it prints");
    after_the_time_to_live.await;
    assert_eq!(kinds_until(&mut events, "job_updated").await, ["job_updated"]);
    assert_eq!(daemon.job(&job).await["stalled_since"], Value::Null);
    daemon.stop().await;
}

#[actix_web::test]
async fn the_logs_of_running_jobs_are_read_now_and_then_though_nobody_watches() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = without_timer(
        &simulator,
        &database,
        &[("JOBSYNCD__BACKGROUND__RECONCILIATION__INTERVAL_SECONDS", "10")],
    )
    .await;
    let job = running(&simulator, &daemon).await;
    was_at_step(&daemon, &job, 600).await;
    simulator.append_logs(&job, &frame(600)).expect("it prints");
    // Confirmed by a list just now, which shows no log.
    daemon.sync().await;

    let stalled = daemon.events().await.next_of("job_stalled").await;

    assert_eq!(stalled["job_id"], json!(job));
    assert_eq!(stalled["job"]["progress"]["step"], 600);
    daemon.stop().await;
}
