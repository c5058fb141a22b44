//! What monitors and link checkers send: HEAD, and paths with a slash at the end.

use actix_web::http::Method;
use serde_json::json;

use super::raw;
use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};
use crate::support::stream::EventStream;

/// Routes that answer GET, streams and what asks a provider aside.
const READABLE: [&str; 33] = [
    "/",
    "/jobs/{id}",
    "/queue",
    "/activity",
    "/system",
    "/settings",
    "/login",
    "/updates/jobs",
    "/updates/jobs/{id}",
    "/updates/queue",
    "/updates/system",
    "/api/cloud/jobs",
    "/api/cloud/jobs?limit=1",
    "/api/cloud/jobs/{id}",
    "/api/cloud/jobs/{id}/timeline",
    "/api/cloud/jobs/{id}/inline-progress",
    "/api/cloud/jobs/{id}/series",
    "/api/cloud/providers",
    "/api/cloud/providers/replicate/config",
    "/api/cloud/polling/status",
    "/api/cloud/cost-limit/status",
    "/api/cloud/hardware-options",
    "/api/activity",
    "/api/notifications",
    "/api/notifications/dead-letters",
    "/api/queue",
    "/api/queue/stats",
    "/api/queue/position/{id}",
    "/api/metrics",
    "/api/cloud/metrics",
    "/health",
    "/health/live",
    "/api/cloud/health/ready",
];

/// The head of an answer without what differs from one second to the next, and its body.
fn parts(answer: &str) -> (Vec<String>, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").expect("the end of a head");
    let lines = head.split("\r\n").map(str::to_ascii_lowercase);
    // An age in seconds can have another length the next time; of a stream HEAD tells none.
    let differs = |line: &String| line.starts_with("date:") || line.starts_with("content-length:");
    (lines.filter(|line| !differs(line)).collect(), body)
}

fn length(answer: &str) -> Option<usize> {
    let lower = answer.to_ascii_lowercase();
    let line = lower.split("\r\n").find_map(|line| line.strip_prefix("content-length: "))?;
    line.trim().parse().ok()
}

#[actix_web::test]
async fn head_is_answered_wherever_get_is_as_get_is_but_without_a_body() {
    let database = TestDatabase::new(Backend::Sqlite);
    let simulator = simulator().await;
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let job = daemon.submit(&json!({})).await;
    daemon.taken(&job).await;
    let nothing = ["/no/such/page", "/api/cloud/jobs/nobody", "/api/cloud/jobs?limit=x"];
    for path in READABLE.into_iter().chain(nothing) {
        let path = path.replace("{id}", &job);
        let get = raw(&daemon, &format!("GET {path}"), "").await;
        let head = raw(&daemon, &format!("HEAD {path}"), "").await;
        let ((get_head, get_body), (head_head, head_body)) = (parts(&get), parts(&head));
        assert_eq!(head_head, get_head, "{path}");
        assert_eq!(head_body, "", "{path}");
        assert_eq!(length(&get), Some(get_body.len()), "{path}");
        assert!(length(&head).is_some() || get_body.is_empty(), "{path}: {head}");
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn head_of_what_takes_no_get_is_told_the_methods_that_are_taken() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    for (path, allowed) in [
        ("/api/cloud/jobs/sync", "POST"),
        ("/api/webhooks/replicate", "POST"),
        ("/api/cloud/polling/setting", "PUT"),
    ] {
        let answer = daemon.request(Method::HEAD, path, &[], None).await;
        assert_eq!(answer.status, 405, "{path}");
        assert_eq!(answer.header("allow"), Some(allowed), "{path}");
    }
    for (method, path, allowed) in [
        (Method::POST, "/health", "GET, HEAD"),
        (Method::PUT, "/api/cloud/jobs/a", "GET, HEAD, DELETE"),
        (Method::OPTIONS, "/login", "GET, HEAD, POST"),
    ] {
        let answer = daemon.request(method, path, &[], None).await;
        assert_eq!(answer.header("allow"), Some(allowed), "{path}");
        answer.error(405, "method_not_allowed");
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn head_of_a_stream_is_answered_at_once_and_takes_no_place() {
    let database = TestDatabase::new(Backend::Sqlite);
    let simulator = simulator().await;
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__EVENTS__MAX_CONNECTIONS", "1")
        .start(&database)
        .await;
    let job = daemon.submit(&json!({})).await;
    daemon.taken(&job).await;
    let log = format!("/api/cloud/jobs/{job}/logs/stream");
    for path in ["/api/events", &log] {
        let head = raw(&daemon, &format!("HEAD {path}"), "").await;
        let (lines, body) = parts(&head);
        assert!(lines[0].contains(" 200 "), "{head}");
        assert!(lines.iter().any(|line| line.contains("text/event-stream")), "{head}");
        assert_eq!(body, "", "{path}");
    }
    let mut stream = daemon.events().await;
    // The only place is taken, and HEAD asks for none.
    assert_eq!(EventStream::open(&daemon.url, None).await.status(), 503);
    assert!(raw(&daemon, "HEAD /api/events", "").await.contains(" 200 "));
    let missing = raw(&daemon, "HEAD /api/cloud/jobs/nobody/logs/stream", "").await;
    assert!(missing.contains(" 404 "), "{missing}");
    daemon.submit(&json!({})).await;
    stream.next_of("job_discovered").await;
    daemon.stop().await;
}

#[actix_web::test]
async fn after_head_the_connection_goes_on_with_the_next_request() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    for path in ["/api/events", "/", "/no/such/page", "/api/cloud/jobs"] {
        let first = format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health/live");
        let answers = raw(&daemon, &first, "").await;
        let (_, second) =
            answers.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{path}: {answers:?}"));
        assert!(second.starts_with("HTTP/1.1 200 OK"), "{path}: {answers}");
        assert!(second.ends_with(r#"{"status":"ok"}"#), "{path}: {answers}");
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn a_slash_at_the_end_of_a_path_is_the_same_route() {
    let key = ("x-api-key", "correct-horse-battery-staple");
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon =
        TestDaemon::builder().with("JOBSYNCD__SERVER__API_KEY", key.1).start(&database).await;
    for path in ["/api/cloud/jobs/", "/api/cloud/jobs/?limit=1", "/health/", "/api/queue/stats/"] {
        daemon.get(path).await.error(401, "unauthorized");
        daemon.request(Method::GET, path, &[key], None).await.ok();
    }
    daemon.get("/health/live/").await.ok();
    assert_eq!(daemon.get("/settings/").await.header("location"), Some("/login?next=%2Fsettings"));
    daemon.post("/api/webhooks/replicate/").await.error(401, "bad_signature");
    daemon
        .request(Method::GET, "/api/cloud/jobs/?limit=0", &[key], None)
        .await
        .error(422, "invalid_value");
    let job = daemon.request(Method::GET, "/api/cloud/jobs/nobody/", &[key], None).await;
    assert_eq!(job.error(404, "job_not_found")["details"]["job_id"], "nobody");
    // Without an id there is nothing to delete.
    daemon
        .request(Method::DELETE, "/api/cloud/jobs/", &[key], None)
        .await
        .error(405, "method_not_allowed");
    daemon.request(Method::GET, "/no/such/route/", &[key], None).await.error(404, "not_found");
    daemon.request(Method::GET, "/health//", &[key], None).await.error(404, "not_found");
    daemon.stop().await;
}
