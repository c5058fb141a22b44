//! What is forgotten, when, and what everybody is told who still asks for it.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use jobsyncd::actors::pruner::PruneNow;
use jobsyncd::db::observations::Report;
use jobsyncd::db::retention::Pruned;
use jobsyncd::domain::job::JobStatus;
use jobsyncd::domain::job_texts::ERROR_BYTES_MAX;
use jobsyncd::domain::packed_log::PackedLog;
use jobsyncd::domain::timestamp::{Timestamp, now};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use super::events::{self, expect_greeting, read_without_a_hole, reopen, seq_of};
use crate::support::daemon::{
    Answer, Backend, SOON, TestDaemon, TestDaemonBuilder, TestDatabase, execute,
};
use crate::support::reports::{discoveries, report};
use crate::support::stream::EventStream;
use crate::support::webhook::{SECRET, Signer};

const MEGABYTE: usize = 1024 * 1024;

/// A daemon whose own first sweep is over: what is to be pruned from now on waits for the test.
struct Calm(TestDaemonBuilder);

fn daemon() -> Calm {
    Calm(events::daemon())
}

impl Calm {
    fn with(self, name: &str, value: &str) -> Self {
        Self(self.0.with(name, value))
    }

    async fn start(self, database: &TestDatabase) -> TestDaemon {
        let daemon = self.0.start(database).await;
        daemon.prune().await;
        daemon
    }
}

impl TestDaemon {
    async fn prune(&self) -> Pruned {
        let pruner = &self.daemon.tasks().doors().pruner;
        pruner.send(PruneNow).await.expect("a pruner").expect("pruned")
    }

    /// How much there is of what is pruned, in words.
    async fn sizes(&self) -> String {
        let health = self.get("/api/cloud/health").await.ok();
        let components = health["components"].as_array().expect("components");
        let database = components.iter().find(|component| component["name"] == "database");
        database.expect("a database")["message"].as_str().expect("sizes").to_owned()
    }

    async fn log(&self, id: &str) -> Answer {
        self.get(&format!("/api/cloud/jobs/{id}/logs")).await
    }
}

/// So many failures with as long an error as an event has: each is one event.
fn long_events(count: usize) -> Vec<Report> {
    let error = Some("x".repeat(ERROR_BYTES_MAX));
    (0..count).map(|n| report(&format!("job-{n}"), JobStatus::Failed, error.clone())).collect()
}

/// A job that ended with a log.
fn ended(job: &str, ended_at: Timestamp, log: &str) -> Vec<Report> {
    let mut ended = report(job, JobStatus::Completed, None);
    ended.observation.completed_at = Some(ended_at);
    ended.observation.logs = Some(PackedLog::pack(log));
    vec![ended]
}

/// A log that packing makes little smaller.
fn random_log(seed: u64, bytes: usize) -> String {
    let mut random = StdRng::seed_from_u64(seed);
    (0..bytes).map(|_| random.random_range('!'..='~')).collect()
}

#[rstest]
#[actix_web::test]
async fn events_that_are_too_many_go_oldest_first_and_only_who_misses_one_gets_a_reset(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    const EVENTS: usize = 1_000;
    let database = TestDatabase::new(backend);
    let daemon = daemon().with("JOBSYNCD__EVENTS__RETENTION_MB", "1").start(&database).await;
    daemon.record(long_events(EVENTS)).await;
    let sizes = daemon.sizes().await;
    assert!(sizes.starts_with("1000 events of 1.") && !sizes.contains("of 1.0 MB"), "{sizes}");

    let pruned = daemon.prune().await.events;

    let kept = format!("{} events of 1.0 MB", EVENTS - pruned);
    assert!(daemon.sizes().await.starts_with(&kept), "{kept}: {}", daemon.sizes().await);
    assert_eq!(daemon.prune().await, Pruned::default(), "what may stay does stay");
    for (seen, greeting) in [
        (pruned - 1, "reset"),
        (pruned, "connected"),
        (pruned + 1, "connected"),
        (EVENTS, "connected"),
    ] {
        let mut stream = reopen(&daemon, &seen.to_string()).await;
        expect_greeting(&mut stream, greeting, EVENTS).await;
        let next = if greeting == "reset" { EVENTS } else { seen };
        assert_eq!(stream.last_id, Some(next.to_string()));
        read_without_a_hole(&mut stream, next, EVENTS).await;
    }
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn events_that_are_too_old_go_and_positions_go_on(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon().start(&database).await;
    daemon.record(discoveries("old", 3)).await;
    database.execute("UPDATE events SET at = 0");
    assert_eq!(daemon.prune().await.events, 3);

    expect_greeting(&mut reopen(&daemon, "2").await, "reset", 3).await;
    let mut up_to_date = reopen(&daemon, "3").await;
    expect_greeting(&mut up_to_date, "connected", 3).await;
    daemon.record(discoveries("new", 2)).await;
    read_without_a_hole(&mut up_to_date, 3, 5).await;
    expect_greeting(&mut reopen(&daemon, "2").await, "reset", 5).await;
    let mut returning = reopen(&daemon, "3").await;
    expect_greeting(&mut returning, "connected", 5).await;
    read_without_a_hole(&mut returning, 3, 5).await;
    assert_eq!(daemon.get("/api/cloud/jobs").await.ok()["total"], 5, "jobs are never pruned");
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn who_is_overtaken_by_the_pruning_while_it_catches_up_gets_a_reset_and_no_hole(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    // More than the daemon's and the sockets' buffers hold together.
    const EVENTS: usize = 1_000;
    const BATCH: usize = 100;
    let database = TestDatabase::new(backend);
    let daemon = daemon().start(&database).await;
    for batch in 0..EVENTS / BATCH {
        daemon.record(discoveries(&format!("job-{batch}"), BATCH)).await;
    }
    // No event is as long by itself.
    let blanks = match backend {
        Backend::Sqlite => "printf('%32768s', '')",
        Backend::Postgres => "repeat(' ', 32768)",
    };
    database.execute(&format!("UPDATE events SET json = json || {blanks}"));
    // So that the daemon's own buffer, which counts events, is no match for the replay either.
    for batch in 0..20 {
        daemon.record(discoveries(&format!("more-{batch}"), 128)).await;
    }
    let last = EVENTS + 20 * 128;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let host = daemon.url.trim_start_matches("http://");
    let socket = socket.connect(host.parse().expect("an address")).await.expect("a connection");
    let mut slow = EventStream::ask(socket, host, "/api/events", b"Last-Event-ID: 0\r\n").await;
    expect_greeting(&mut slow, "connected", last).await;

    database.execute("UPDATE events SET at = 0");
    assert_eq!(daemon.prune().await.events, last);

    let mut seen = 0;
    let reset = loop {
        let event = slow.next().await;
        if event.json()["type"] == "reset" {
            break event.json();
        }
        seen += 1;
        assert_eq!(seq_of(&event), seen);
    };
    assert!(seen < last, "it was overtaken");
    assert_eq!((&reset["seq"], &slow.last_id), (&json!(last), &Some(last.to_string())));
    daemon.record(discoveries("new", 2)).await;
    read_without_a_hole(&mut slow, last, last + 2).await;
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn the_log_of_the_job_that_ended_first_goes_first_and_who_asks_is_told(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon().with("JOBSYNCD__LOGS__RETENTION_MB", "1").start(&database).await;
    let begun = now();
    // The order in which they are stored says nothing.
    for (job, hours_ago) in [("second", 2), ("third", 1), ("first", 3)] {
        let log = random_log(hours_ago, MEGABYTE * 6 / 10);
        let ended_at = begun - TimeDelta::hours(hours_ago as i64);
        daemon.record(ended(job, ended_at, &log)).await;
    }

    assert_eq!(daemon.prune().await.logs, 1);

    for path in ["logs", "logs?limit=1", "logs/stream"] {
        let answer = daemon.get(&format!("/api/cloud/jobs/first/{path}")).await;
        let error = answer.error(410, "log_pruned");
        let details = &error["details"];
        assert_eq!(details["log_bytes"], MEGABYTE * 6 / 10, "{error}");
        let pruned_at: Timestamp =
            serde_json::from_value(details["pruned_at"].clone()).expect("an instant");
        assert!((begun..=now()).contains(&pruned_at), "{error}");
    }
    for job in ["second", "third"] {
        let log = daemon.log(job).await.ok()["logs"].take();
        assert_eq!(log.as_str().map(str::len), Some(MEGABYTE * 6 / 10));
    }
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_log_that_is_too_old_goes_and_no_later_news_bring_it_back(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon().with("JOBSYNCD__LOGS__RETENTION_DAYS", "7").start(&database).await;
    let days_ago = |days| now() - TimeDelta::days(days);
    daemon.record(ended("old", days_ago(8), "first\n")).await;
    daemon.record(ended("young", days_ago(6), "first\n")).await;
    assert_eq!(daemon.prune().await.logs, 1);
    let job = daemon.job("old").await;

    // The same end again, and one with more of the log, as a late webhook or a sync brings it.
    daemon.record(ended("old", days_ago(8), "first\n")).await;
    daemon.record(ended("old", days_ago(8), "first\nlast\n")).await;
    daemon.record(ended("young", days_ago(6), "first\nlast\n")).await;

    daemon.log("old").await.error(410, "log_pruned");
    assert_eq!(daemon.log("young").await.ok()["logs"], "first\nlast\n");
    assert_eq!(daemon.prune().await, Pruned::default(), "nothing was stored again");
    assert_eq!(daemon.job("old").await["status"], job["status"]);

    daemon.delete("/api/cloud/jobs/old").await.ok();
    daemon.log("old").await.error(404, "job_not_found");
    daemon.record(ended("old", now(), "of another life\n")).await;
    assert_eq!(daemon.log("old").await.ok()["logs"], "of another life\n");
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_daemon_that_has_just_started_prunes_by_itself(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let old = daemon().start(&database).await;
    old.record(discoveries("old", 3)).await;
    old.stop().await;
    database.execute("UPDATE events SET at = 0");

    let new = events::daemon().start(&database).await;

    let pruned = async {
        while !new.sizes().await.starts_with("0 events") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, pruned).await.expect("it prunes soon");
    new.stop().await;
}

#[rstest]
#[actix_web::test]
async fn ids_of_webhooks_are_forgotten_when_nobody_repeats_them_any_more(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon()
        .with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET)
        .start(&database)
        .await;
    // More than one portion, the old and the new by turns.
    let old = now() - TimeDelta::hours(25);
    for chunk in (0..2_500).collect::<Vec<_>>().chunks(500) {
        let rows: Vec<_> = chunk
            .iter()
            .map(|n| {
                let received_at = if n % 2 == 0 { old } else { now() };
                format!("('msg_{n}', {})", received_at.timestamp_micros())
            })
            .collect();
        database.execute(&format!("INSERT INTO webhook_deliveries VALUES {}", rows.join(", ")));
    }

    assert_eq!(daemon.prune().await.deliveries, 1_250);

    let signer = Signer::default();
    let body = json!({"id": "p1", "status": "processing"});
    for (id, status) in [("msg_1", "duplicate"), ("msg_2", "received"), ("msg_2", "duplicate")] {
        let answer = signer.deliver(&daemon, id, &body).await.ok();
        assert_eq!(answer["status"], status, "{id}: {answer}");
    }
    daemon.stop().await;
}

/// Puts so many old events of about a kilobyte into the log, of a third as many jobs.
fn backlog(backend: Backend, database: &TestDatabase, from: usize, count: usize) {
    let numbers = match backend {
        Backend::Sqlite => format!(
            "WITH RECURSIVE numbers(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM numbers LIMIT {count})"
        ),
        Backend::Postgres => {
            format!("WITH numbers(n) AS (SELECT generate_series({from}, {}))", from + count - 1)
        }
    };
    // The jobs' names are in no order.
    let event = Value::from("x".repeat(1_000)).to_string();
    let bytes = event.len();
    let job = format!("'job-' || ((n / 3) * 7919 % {count})");
    database.execute(&format!(
        "{numbers} INSERT INTO events (seq, at, kind, job_id, offset_bytes, json)
         SELECT n, 0, 'job_updated', {job}, (n - 1) * {bytes}, '{event}' FROM numbers;
         UPDATE event_head SET seq = {end}, end_bytes = {end} * {bytes}",
        end = from + count - 1,
    ));
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[rstest]
#[actix_web::test]
async fn webhooks_are_answered_soon_while_a_long_backlog_is_pruned(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let events =
        std::env::var("BACKLOG_EVENTS").map_or(40_000, |count| count.parse().expect("a number"));
    let database = TestDatabase::new(backend);
    let daemon = daemon()
        .with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET)
        .start(&database)
        .await;
    backlog(backend, &database, 1, events);
    let signer = Signer::default();
    let deliver = async |name: &str, n: usize| {
        let body = json!({"id": format!("{name}-{n}"), "status": "processing"});
        let asked = Instant::now();
        signer.deliver(&daemon, &format!("msg-{name}-{n}"), &body).await.ok();
        asked.elapsed()
    };
    let mut before = Vec::new();
    for n in 0..50 {
        before.push(deliver("before", n).await);
    }

    let begun = Instant::now();
    let mut sweep = Box::pin(daemon.prune());
    let mut meanwhile = Vec::new();
    let pruned = loop {
        tokio::select! {
            biased;
            pruned = &mut sweep => break pruned,
            took = deliver("meanwhile", meanwhile.len()) => meanwhile.push(took),
        }
    };

    drop(sweep);
    assert_eq!(pruned.events, events);
    #[expect(clippy::print_stdout, reason = "with --nocapture this is a measurement")]
    {
        println!(
            "{backend:?}: pruned {events} events in {:?}; {} webhooks meanwhile, median {:?} (before: {:?}), longest {:?}",
            begun.elapsed(),
            meanwhile.len(),
            median(&mut meanwhile),
            median(&mut before),
            meanwhile.last(),
        );
    }
    assert!(meanwhile.len() >= 40, "{} webhooks got in between", meanwhile.len());
    // They wait for a portion at most. The bound leaves room for a machine that is busy with other tests.
    assert!(median(&mut meanwhile) < Duration::from_millis(250), "{meanwhile:?}");
    assert!(meanwhile.last() < Some(&Duration::from_secs(3)), "{meanwhile:?}");
    daemon.stop().await;
}

#[actix_web::test]
async fn the_room_of_what_was_pruned_is_used_again() {
    const EVENTS: usize = 20_000;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;
    let length =
        |name: &str| database.folder.path().join(name).metadata().expect("a file").len() as usize;
    let mut lengths = Vec::new();
    for round in 0..3 {
        backlog(Backend::Sqlite, &database, round * EVENTS + 1, EVENTS);
        assert_eq!(daemon.prune().await.events, EVENTS);
        database.execute("PRAGMA wal_checkpoint(PASSIVE)");
        lengths.push(length("jobs.db"));
    }
    assert!(lengths[0] > EVENTS * 1_000, "{lengths:?}");
    assert!(lengths[2] < lengths[0] * 11 / 10, "{lengths:?}");
    daemon.stop().await;
}

#[actix_web::test]
async fn the_write_ahead_log_is_cut_after_a_long_look_at_the_database() {
    const MAX_LENGTH: u64 = 64 * 1024 * 1024;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;
    let length =
        || database.folder.path().join("jobs.db-wal").metadata().expect("a write-ahead log").len();
    let mut onlooker = database.connect();
    execute(&mut onlooker, "BEGIN; SELECT * FROM jobs");
    backlog(Backend::Sqlite, &database, 1, 60_000);
    assert!(length() > MAX_LENGTH, "{}", length());

    execute(&mut onlooker, "COMMIT");
    // The first of these finds that the file may be brought up to date, the second begins anew.
    for n in 0..2 {
        daemon.record(discoveries(&format!("job-{n}"), 1)).await;
    }

    assert!(length() <= MAX_LENGTH, "{}", length());
    daemon.stop().await;
}
