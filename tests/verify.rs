//! `jobsyncd verify`: what it finds in a database, and how it ends.

#[path = "support/mod.rs"]
mod support;

use std::process::{Command, Output};

use chrono::TimeDelta;
use jobsyncd::db::connection::Connection;
use jobsyncd::db::observations::{Effect, Report, record};
use jobsyncd::db::retention::{Keep, Limits, Stage, prune};
use jobsyncd::db::{events, jobs, logs};
use jobsyncd::domain::cost::{Hardware, Prices};
use jobsyncd::domain::job::JobStatus;
use jobsyncd::domain::observation::{Observation, Source};
use jobsyncd::domain::packed_log::PackedLog;
use jobsyncd::domain::timestamp::now;
use rstest::rstest;

use support::daemon::{Backend, TestDatabase, execute};
use support::reports::{discoveries, report};

/// The database after the lives of a few jobs.
fn lived_in(backend: Backend) -> (TestDatabase, Connection) {
    let database = TestDatabase::new(backend);
    let mut connection = database.connect();
    connection.migrate().expect("tables");
    let prices = Prices::replicate([]);
    for reports in [
        discoveries("job", 3),
        vec![report("job-0", JobStatus::Running, None)],
        vec![report("job-0", JobStatus::Failed, Some("out of memory".to_owned()))],
    ] {
        record(&mut connection, &reports, &prices, now()).expect("a commit");
    }
    (database, connection)
}

fn verify(url: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_jobsyncd"))
        .args(["verify", "--database-url", url])
        .env_clear()
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[rstest]
fn a_database_that_only_the_daemon_wrote_has_no_difference(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let (database, _connection) = lived_in(backend);
    let output = verify(&database.url);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "3 jobs are as 5 events tell of them\n");
}

#[rstest]
#[case(
    "UPDATE jobs SET status = 'running' WHERE job_id = 'job-0'",
    "status of job job-0 is \"running\", and event 5 told \"failed\""
)]
#[case(
    "UPDATE jobs SET error_message = 'x' WHERE job_id = 'job-0'",
    "error_message of job job-0 is \"x\""
)]
#[case("DELETE FROM jobs WHERE job_id = 'job-2'", "job job-2 of event 3 is not stored")]
#[case("DELETE FROM events WHERE seq = 2", "event 3 follows event 1")]
#[case("UPDATE event_head SET seq = 9", "the head of the log stands at 9, and its last event is 5")]
#[case("UPDATE events SET json = 'x' WHERE seq = 3", "event 3 cannot be read")]
#[case(
    "DELETE FROM events WHERE seq = 4",
    "event 5 says that job job-0 was running, and the event before that it was queued"
)]
#[case(
    "UPDATE job_logs_sum SET packed_bytes = 5",
    "the kept logs have 0 bytes, and are counted as 5"
)]
fn what_was_changed_behind_the_daemon_is_found(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] sql: &str,
    #[case] finding: &str,
) {
    let (database, mut connection) = lived_in(backend);
    execute(&mut connection, sql);
    let output = verify(&database.url);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains(finding), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("between"), "{}", text(&output.stderr));
}

/// Prunes until nothing is left to prune.
fn sweep(connection: &mut Connection, limits: &Limits) {
    let mut next = Some(Stage::default());
    while let Some(stage) = next {
        (_, next) = prune(connection, stage, limits, now()).expect("a portion is pruned");
    }
}

#[rstest]
#[case::by_size(TimeDelta::days(-1), 3)]
#[case::all_by_age(TimeDelta::days(1), 0)]
fn a_pruned_log_tells_no_other_story(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] since: TimeDelta,
    #[case] events: usize,
) {
    let (database, mut connection) = lived_in(backend);
    let newest = events::after(&mut connection, 5 - events as i64, 5).expect("events");
    let max_bytes = newest.iter().map(|event| event.json.len() as i64).sum();
    let keep = Keep { since: now() + since, max_bytes };
    sweep(&mut connection, &Limits { events: keep, logs: keep, deliveries_since: now() });
    let output = verify(&database.url);
    assert!(output.status.success(), "{}", text(&output.stdout));
    assert_eq!(text(&output.stdout), format!("3 jobs are as {events} events tell of them\n"));
}

#[rstest]
fn the_kept_logs_are_counted_right_through_all_that_can_happen_to_one(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let (database, mut connection) = lived_in(backend);
    let prices = Prices::replicate([]);
    let ended = |job: &str, log: &str| {
        let mut ended = report(job, JobStatus::Failed, None);
        ended.observation.logs = Some(PackedLog::pack(log));
        ended
    };
    for (job, log) in [("job-0", "a"), ("job-1", "ab"), ("job-0", "abc"), ("job-0", ""), ("x", "a")]
    {
        record(&mut connection, &[ended(job, log)], &prices, now()).expect("a commit");
    }
    assert_eq!(logs::kept_bytes(&mut connection), Ok(6));
    let keep = Keep { since: now() - TimeDelta::days(1), max_bytes: 3 };
    let limits = Limits { events: keep, logs: keep, deliveries_since: now() };
    sweep(&mut connection, &Limits { events: Keep { max_bytes: i64::MAX, ..keep }, ..limits });
    assert_eq!(logs::kept_bytes(&mut connection), Ok(3), "the first to end was the first to go");
    for id in ["job-0", "job-1"] {
        jobs::delete(&mut connection, &id.into()).expect("it has ended");
    }
    assert_eq!(logs::kept_bytes(&mut connection), Ok(1));
    let output = verify(&database.url);
    assert!(!text(&output.stdout).contains("kept logs"), "{}", text(&output.stdout));
}

#[test]
fn a_cost_that_changes_with_the_prices_is_told() {
    let (database, mut connection) = lived_in(Backend::Sqlite);
    let ended = Report::of_call(
        Observation {
            status: Some(JobStatus::Completed),
            model: Some("somebody/trainer-h100".to_owned()),
            predict_time_micros: Some(1_000_000),
            ..Observation::silent("replicate", "job-1", Source::Poll, now())
        },
        false,
    );
    let dearer = Hardware::at_one_price("H100".to_owned(), 2_000);
    for prices in [Prices::replicate([]), Prices::replicate([("h100".to_owned(), dearer)])] {
        let mut said = ended.clone();
        said.observation.observed_at = now();
        let recorded = record(&mut connection, &[said], &prices, now()).expect("a commit");
        assert!(matches!(recorded.outcomes[0].effect, Effect::Changed(_)), "{recorded:?}");
        assert_eq!(recorded.events.len(), 1);
    }
    let output = verify(&database.url);
    assert!(output.status.success(), "{}", text(&output.stdout));
}

#[test]
fn a_database_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("jobs.db");
    let output = verify(&format!("sqlite://{}", path.display()));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("there is no database at"), "{}", text(&output.stderr));
    assert!(!path.exists());
}
