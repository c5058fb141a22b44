//! The stream of events.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jobsyncd::domain::job::JobStatus;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::daemon::{Backend, SOON, TestDaemon, TestDaemonBuilder, TestDatabase};
use crate::support::reports::{discoveries, report};
use crate::support::stream::{EventStream, StreamEvent};

/// More than the daemon keeps in memory, and more than it buffers for one subscriber.
const MANY: usize = 3_000;

pub(crate) fn daemon() -> TestDaemonBuilder {
    TestDaemon::builder().with("JOBSYNCD__EVENTS__MAX_CONNECTIONS_PER_IP", "1000")
}

pub(crate) fn seq_of(event: &StreamEvent) -> usize {
    let id = event.id.as_deref().expect("a durable event has an id");
    let seq = id.parse().expect("a number");
    assert_eq!(event.json()["seq"], json!(seq), "{event:?}");
    seq
}

/// Reads events up to `last`, and fails the test at a hole, a duplicate or anything out of order.
pub(crate) async fn read_without_a_hole(stream: &mut EventStream, after: usize, last: usize) {
    for expected in after + 1..=last {
        assert_eq!(seq_of(&stream.next().await), expected);
    }
}

pub(crate) async fn reopen(daemon: &TestDaemon, id: &str) -> EventStream {
    EventStream::open(&daemon.url, Some(id)).await
}

pub(crate) async fn expect_greeting(stream: &mut EventStream, kind: &str, seq: usize) -> Value {
    let greeting = stream.next().await;
    let json = greeting.json();
    assert_eq!((&json["type"], &json["seq"]), (&json!(kind), &json!(seq)), "{greeting:?}");
    json
}

#[actix_web::test]
async fn a_stream_begins_with_a_greeting_and_says_how_it_is_to_be_read() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;
    daemon.record(discoveries("job", 2)).await;

    let mut stream = EventStream::open(&daemon.url, None).await;

    assert_eq!(stream.status(), 200);
    let kind = stream.header("content-type").expect("a type");
    assert!(kind.starts_with("text/event-stream"), "{kind}");
    let caching = stream.header("cache-control").expect("a word about caches");
    assert!(caching.contains("no-cache") || caching.contains("no-store"), "{caching}");
    assert_eq!(stream.header("x-accel-buffering"), Some("no"));
    assert_eq!(stream.line().await.as_deref(), Some("retry: 2000"));
    let greeting = expect_greeting(&mut stream, "connected", 2).await;
    assert!(greeting["server_time"].as_str().is_some_and(|time| time.ends_with('Z')), "{greeting}");
    assert_eq!(stream.last_id.as_deref(), Some("2"), "a client may be cut off before any event");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_browser_that_takes_gzip_gets_each_event_at_once_and_plain() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;
    let host = daemon.url.trim_start_matches("http://");
    let socket = TcpStream::connect(host).await.expect("a connection");
    let headers = b"Accept-Encoding: gzip, deflate, br\r\n";

    let mut stream = EventStream::ask(socket, host, "/api/events", headers).await;

    expect_greeting(&mut stream, "connected", 0).await;
    daemon.record(discoveries("job", 1)).await;
    assert_eq!(seq_of(&stream.next().await), 1);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_change_of_state_is_told_unnamed_with_the_fields_of_the_page(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon().start(&database).await;
    let mut stream = daemon.events().await;

    daemon.record(vec![report("p1", JobStatus::Queued, None)]).await;
    daemon.record(vec![report("p1", JobStatus::Running, None)]).await;
    daemon.record(vec![report("p1", JobStatus::Failed, Some("no memory".to_owned()))]).await;

    let discovered = stream.next().await;
    assert_eq!((discovered.event.as_deref(), seq_of(&discovered)), (None, 1));
    assert_eq!(discovered.json()["type"], "job_discovered");
    for (seq, previous, status) in [(2, "queued", "running"), (3, "running", "failed")] {
        let event = stream.next().await;
        assert_eq!((event.event.as_deref(), seq_of(&event)), (None, seq));
        let json = event.json();
        assert_eq!(json["type"], "job_status_changed");
        assert_eq!((&json["job_id"], &json["source"]), (&json!("p1"), &json!("webhook")));
        assert_eq!((&json["previous"], &json["status"]), (&json!(previous), &json!(status)));
        assert!(json["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{json}");
        assert_eq!(
            (&json["job"]["job_id"], &json["job"]["status"]),
            (&json!("p1"), &json!(status))
        );
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn a_silent_stream_is_kept_open_by_comments() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon()
        .with("JOBSYNCD__EVENTS__HEARTBEAT_SECONDS", "1")
        .with("JOBSYNCD__EVENTS__SIMPLETUNER_COMPAT", "false")
        .start(&database)
        .await;
    let mut stream = daemon.events().await;

    for _ in 0..2 {
        let mut line = stream.line().await.expect("a line");
        while line.is_empty() {
            line = stream.line().await.expect("a line");
        }
        assert!(line.starts_with(':'), "{line}");
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn the_sixth_stream_of_an_address_is_refused_until_one_of_the_others_closes() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(daemon.events().await);
    }

    let refused = daemon.get("/api/events").await;
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().is_ok()));
    refused.error(503, "connection_limit_reached");
    let returning = reopen(&daemon, "0").await;
    assert_eq!(returning.status(), 503, "an id is no way around the limit");

    // The heartbeat comes every 15 s: this would take longer if only a write told who has gone.
    let begun = Instant::now();
    drop(streams.pop());
    daemon.until_streams_are(4).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    daemon.events().await;
    daemon.stop().await;
}

#[actix_web::test]
async fn all_addresses_together_have_a_limit_too() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon()
        .with("JOBSYNCD__EVENTS__MAX_CONNECTIONS", "2")
        .with("JOBSYNCD__SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .start(&database)
        .await;
    let host = daemon.url.trim_start_matches("http://");
    let mut streams = Vec::new();
    for client in 1..=3 {
        let socket = TcpStream::connect(host).await.expect("a connection");
        let header = format!("X-Forwarded-For: 192.0.2.{client}\r\n");
        streams.push(EventStream::ask(socket, host, "/api/events", header.as_bytes()).await);
    }

    assert_eq!(streams.iter().map(EventStream::status).collect::<Vec<_>>(), [200, 200, 503]);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_forwarded_address_from_a_stranger_is_no_way_around_the_limit() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__EVENTS__MAX_CONNECTIONS_PER_IP", "1")
        .start(&database)
        .await;
    let _stream = daemon.events().await;

    let headers = [("x-forwarded-for", "192.0.2.1")];
    let refused = daemon.request(actix_web::http::Method::GET, "/api/events", &headers, None).await;

    refused.error(503, "connection_limit_reached");
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_client_that_comes_back_is_told_what_it_missed_however_much_that_is(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon().start(&database).await;
    daemon.record(discoveries("first", MANY)).await;

    for (missed, by_query) in [(MANY, false), (MANY, true), (100, false), (1, true), (0, false)] {
        let after = MANY - missed;
        let (path, id) = match by_query {
            true => (format!("/api/events?last_event_id={after}"), None),
            false => ("/api/events".to_owned(), Some(after.to_string())),
        };
        let mut stream = EventStream::open_path(&daemon.url, &path, id.as_deref()).await;
        expect_greeting(&mut stream, "connected", MANY).await;
        assert_eq!(stream.last_id, Some(after.to_string()));
        read_without_a_hole(&mut stream, after, MANY).await;
    }
    let mut stream = reopen(&daemon, "1").await;
    daemon.record(discoveries("second", 10)).await;
    stream.next().await;
    read_without_a_hole(&mut stream, 1, MANY + 10).await;
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn clients_that_come_and_go_at_random_miss_nothing_and_get_nothing_twice(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    const EVENTS: usize = 600;
    let database = TestDatabase::new(backend);
    let daemon = daemon().start(&database).await;

    let produce = async {
        let mut random = StdRng::seed_from_u64(1);
        let mut told = 0;
        while told < EVENTS {
            let burst = random.random_range(1..=7).min(EVENTS - told);
            daemon.record(discoveries(&format!("after-{told}"), burst)).await;
            told += burst;
        }
    };
    let consume = |seed| {
        let daemon = &daemon;
        async move {
            let mut random = StdRng::seed_from_u64(seed);
            let mut seen = 0;
            while seen < EVENTS {
                let mut stream = reopen(daemon, &seen.to_string()).await;
                let greeting = stream.next().await.json();
                assert_eq!(greeting["type"], "connected", "{greeting}");
                let patience = (seen + random.random_range(0..=60)).min(EVENTS);
                read_without_a_hole(&mut stream, seen, patience).await;
                seen = patience;
            }
        }
    };
    tokio::join!(produce, join_all((10..22).map(consume)));
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn an_id_that_is_not_ours_gets_one_reset_and_then_what_happens_next(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon().start(&database).await;
    daemon.record(discoveries("job", 3)).await;
    let host = daemon.url.trim_start_matches("http://");

    let strange: [&[u8]; 8] = [
        b"4",
        b"9223372036854775807",
        b"99999999999999999999",
        b"-1",
        b"1.5",
        b"x",
        b"\xff",
        b"1 2",
    ];
    for (told, id) in (3..).zip(strange) {
        let socket = TcpStream::connect(host).await.expect("a connection");
        let header = [b"Last-Event-ID: ".as_slice(), id, b"\r\n"].concat();
        let mut stream = EventStream::ask(socket, host, "/api/events", &header).await;
        // The first of these ids becomes ours while the test goes on.
        let shown = String::from_utf8_lossy(id);
        let greeting = stream.next().await.json();
        assert_eq!(
            (&greeting["type"], &greeting["seq"]),
            (&json!("reset"), &json!(told)),
            "{shown}"
        );
        assert_eq!(stream.last_id, Some(told.to_string()));
        daemon.record(discoveries(&format!("after-{told}"), 1)).await;
        read_without_a_hole(&mut stream, told, told + 1).await;
    }
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_new_daemon_on_the_same_database_goes_on_where_the_old_one_stopped(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let old = daemon().start(&database).await;
    old.record(discoveries("old", 5)).await;
    old.stop().await;

    let new = daemon().start(&database).await;
    let mut stream = reopen(&new, "2").await;
    expect_greeting(&mut stream, "connected", 5).await;
    new.record(discoveries("new", 2)).await;
    read_without_a_hole(&mut stream, 2, 7).await;
    expect_greeting(&mut EventStream::open(&new.url, None).await, "connected", 7).await;
    new.stop().await;
}

#[actix_web::test]
async fn one_commit_that_tells_of_many_jobs_cuts_nobody_off() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;
    let mut stream = daemon.events().await;

    // As many as share a commit of webhooks at most.
    daemon.record(discoveries("job", 512)).await;

    read_without_a_hole(&mut stream, 0, 512).await;
    assert_eq!(daemon.count_streams().await, 1);
    daemon.stop().await;
}

#[actix_web::test]
async fn who_does_not_read_is_cut_off_and_comes_back_without_a_hole() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let host = daemon.url.trim_start_matches("http://");
    let socket = socket.connect(host.parse().expect("an address")).await.expect("a connection");
    let mut slow = EventStream::ask(socket, host, "/api/events", b"").await;
    slow.next().await;

    let mut told = 0;
    while daemon.count_streams().await > 0 {
        assert!(told < 5_000, "a subscriber that does not read is never cut off");
        let error = Some("x".repeat(32 * 1024));
        let reports = (told..told + 100)
            .map(|n| report(&format!("job-{n}"), JobStatus::Failed, error.clone()))
            .collect();
        daemon.record(reports).await;
        told += 100;
    }

    let mut seen = 0;
    while let Some(event) = slow.try_next().await {
        seen += 1;
        assert_eq!(seq_of(&event), seen);
    }
    assert!(seen < told, "it was cut off");
    let mut back = reopen(&daemon, &seen.to_string()).await;
    back.next().await;
    read_without_a_hole(&mut back, seen, told).await;
    daemon.stop().await;
}

#[actix_web::test]
async fn a_slow_reader_costs_the_others_nothing() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;
    daemon.record(discoveries("first", MANY)).await;
    // These are being handed what they missed, and read none of it.
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(reopen(&daemon, "0").await);
    }

    let mut quick = daemon.events().await;
    daemon.record(discoveries("second", 50)).await;
    read_without_a_hole(&mut quick, MANY, MANY + 50).await;
    daemon.stop().await;
    assert!(quick.try_next().await.is_none());
}

#[actix_web::test]
async fn a_daemon_that_stops_ends_a_thousand_streams_at_once() {
    const STREAMS: usize = 1_000;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;
    daemon.record(discoveries("job", MANY)).await;
    let mut streams = Vec::new();
    for number in 0..STREAMS {
        // Every tenth is still being handed what it missed when the daemon stops.
        let id = (number % 10 == 0).then_some("1");
        let stream = EventStream::open(&daemon.url, id).await;
        assert_eq!(stream.status(), 200);
        streams.push(stream);
    }
    assert_eq!(daemon.count_streams().await, STREAMS);

    let begun = Instant::now();
    daemon.stop().await;

    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    for mut stream in streams {
        let read_to_the_end = async { while stream.try_next().await.is_some() {} };
        tokio::time::timeout(SOON, read_to_the_end).await.expect("the stream has ended");
    }
}

#[actix_web::test]
async fn streams_tell_all_clients_the_same_in_the_same_order() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon().start(&database).await;
    let mut streams = join_all((0..20).map(|_| daemon.events())).await;

    let commits = (0..30).map(|n| daemon.record(discoveries(&format!("burst-{n}"), 3)));
    join_all(commits).await;

    let mut told = HashSet::new();
    for stream in &mut streams {
        let mut jobs = Vec::new();
        for expected in 1..=90 {
            let event = stream.next().await;
            assert_eq!(seq_of(&event), expected);
            jobs.push(event.json()["job_id"].to_string());
        }
        told.insert(jobs);
    }
    assert_eq!(told.len(), 1);
    daemon.stop().await;
}
