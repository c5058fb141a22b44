//! The contract's table of errors: whatever a client sends, it can read what was wrong with it.

use actix_web::http::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::daemon::{Answer, Backend, TestDaemon, TestDatabase};

/// Every route with the methods that it takes.
const ROUTES: [(&str, &str); 33] = [
    ("/api/cloud/jobs", "GET, HEAD"),
    ("/api/cloud/jobs/sync", "POST"),
    ("/api/cloud/jobs/a", "GET, HEAD, DELETE"),
    ("/api/cloud/jobs/a/cancel", "POST"),
    ("/api/cloud/jobs/a/inline-progress", "GET, HEAD"),
    ("/api/cloud/jobs/a/logs", "GET, HEAD"),
    ("/api/cloud/jobs/a/logs/stream", "GET, HEAD"),
    ("/api/cloud/providers", "GET, HEAD"),
    ("/api/cloud/providers/replicate/config", "GET, HEAD, PUT"),
    ("/api/cloud/providers/replicate/validate", "GET, HEAD"),
    ("/api/cloud/replicate/validate", "GET, HEAD"),
    ("/api/cloud/polling/status", "GET, HEAD"),
    ("/api/cloud/polling/setting", "PUT"),
    ("/api/metrics", "GET, HEAD"),
    ("/api/cloud/metrics", "GET, HEAD"),
    ("/api/cloud/health", "GET, HEAD"),
    ("/health/live", "GET, HEAD"),
    ("/health/ready", "GET, HEAD"),
    ("/api/events", "GET, HEAD"),
    ("/api/webhooks/test", "POST"),
    ("/api/webhooks/replicate", "POST"),
    ("/api/cloud/webhook/replicate", "POST"),
    ("/api/cloud/jobs/a/logs/download", "GET, HEAD"),
    ("/api/activity", "GET, HEAD"),
    ("/", "GET, HEAD"),
    ("/jobs/a", "GET, HEAD"),
    ("/queue", "GET, HEAD"),
    ("/system", "GET, HEAD"),
    ("/settings", "GET, HEAD"),
    ("/updates/jobs", "GET, HEAD"),
    ("/assets/x/js/app.js", "GET, HEAD"),
    ("/login", "GET, HEAD, POST"),
    ("/logout", "POST"),
];

/// The routes that read one job.
const OF_A_JOB: [(&str, &str); 6] = [
    ("GET", ""),
    ("DELETE", ""),
    ("POST", "/cancel"),
    ("GET", "/logs"),
    ("GET", "/logs/stream"),
    ("GET", "/inline-progress"),
];

async fn daemon(database: &TestDatabase) -> TestDaemon {
    TestDaemon::builder().start(database).await
}

async fn ask(daemon: &TestDaemon, method: &str, path: &str) -> Answer {
    daemon.request(method.parse::<Method>().expect("a method"), path, &[], None).await
}

/// Sends a request as it stands, which no client would, and answers status and body; where
/// the connection was reset instead, that is as good as a 400.
async fn ask_raw(daemon: &TestDaemon, target: &[u8]) -> (u16, Value) {
    let address = daemon.url.strip_prefix("http://").expect("a plain URL");
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    let head = format!(" HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let request = [b"GET ", target, head.as_bytes()].concat();
    // The daemon may stop listening, and reset the connection, in the middle of nonsense.
    let _ = socket.write_all(&request).await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(400);
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

/// Whether an error speaks in the contract's words, and in nobody else's.
fn assert_is_ours(error: &Value) {
    let text = error.to_string();
    let detail = error["detail"].as_str().expect("a detail");
    assert!(!detail.is_empty(), "{text}");
    for foreign in ["SQL", "sql", "diesel", "constraint", "panicked", "src/", "serde", "at line"] {
        assert!(!text.contains(foreign), "{foreign}: {text}");
    }
}

#[actix_web::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&database).await;
    for (path, allowed) in ROUTES {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if allowed.split(", ").any(|taken| taken == method) {
                continue;
            }
            let answer = ask(&daemon, method, path).await;
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
            let error = answer.error(405, "method_not_allowed");
            assert_eq!(error["details"]["allowed"], json!(allowed));
            assert_is_ours(&error);
        }
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn an_unknown_route_is_not_found_in_the_form_of_the_contract() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&database).await;
    for path in [
        "/nothing",
        "/jobs/",
        "/jobs/a/b",
        "/updates",
        "/assets",
        "/api",
        "/api/cloud/jobs/a/b",
        "/api/cloud/jobs//logs",
        "/API/cloud/jobs",
        "/api/cloud/jobs/%2e%2e/%2e%2e/etc/passwd",
        "/%00",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            assert_is_ours(&ask(&daemon, method, path).await.error(404, "not_found"));
        }
    }
    for (method, path) in [
        ("GET", "/api/cloud/providers/modal/config"),
        ("PUT", "/api/cloud/providers/modal/config"),
        ("GET", "/api/cloud/providers/modal/validate"),
        ("GET", "/api/cloud/providers/%00/validate"),
        ("POST", "/api/webhooks/modal"),
        ("POST", "/api/webhooks/Replicate"),
    ] {
        assert_is_ours(&ask(&daemon, method, path).await.error(404, "unknown_provider"));
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn a_bad_parameter_is_named_with_its_bounds() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&database).await;
    let huge = format!("limit={}", "9".repeat(4_000));
    for (route, query, field, bounds) in [
        ("/api/cloud/jobs", "limit=0", "limit", ["1", "500"]),
        ("/api/cloud/jobs", "limit=501", "limit", ["1", "500"]),
        ("/api/cloud/jobs", "limit=-1", "limit", ["1", "500"]),
        ("/api/cloud/jobs", "limit=1e3", "limit", ["1", "500"]),
        ("/api/cloud/jobs", "limit=1.0", "limit", ["1", "500"]),
        ("/api/cloud/jobs", "limit=0x10", "limit", ["1", "500"]),
        ("/api/cloud/jobs", "limit=%2B5", "limit", ["1", "500"]),
        ("/api/cloud/jobs", "limit=+5", "limit", ["1", "500"]),
        ("/api/cloud/jobs", "limit=%D9%A3", "limit", ["1", "500"]),
        ("/api/cloud/jobs", "limit=5%00", "limit", ["1", "500"]),
        ("/api/cloud/jobs", "limit=NaN", "limit", ["1", "500"]),
        ("/api/cloud/jobs", "limit=5&limit=x", "limit", ["1", "500"]),
        ("/api/cloud/jobs", &huge, "limit", ["1", "500"]),
        ("/api/cloud/jobs", "offset=-1", "offset", ["0", "4294967295"]),
        ("/api/cloud/jobs", "offset=4294967296", "offset", ["0", "4294967295"]),
        ("/api/cloud/jobs", "offset=18446744073709551616", "offset", ["0", "4294967295"]),
        ("/api/cloud/jobs", "sync_active=maybe", "sync_active", ["true", "false"]),
        ("/api/cloud/jobs", "sync_active=2", "sync_active", ["true", "false"]),
        ("/api/cloud/jobs/a/logs", "after=-1", "after", ["0", "4294967295"]),
        ("/api/cloud/jobs/a/logs", "limit=0", "limit", ["1", "100000"]),
        ("/api/metrics", "days=0", "days", ["1", "365"]),
        ("/api/metrics", "days=366", "days", ["1", "365"]),
        ("/api/cloud/metrics", "days=many", "days", ["1", "365"]),
    ] {
        let answer = ask(&daemon, "GET", &format!("{route}?{query}")).await;
        let error = answer.error(422, "invalid_value");
        assert_eq!(error["details"]["field"], field, "{query}");
        let detail = error["detail"].as_str().expect("a text");
        assert!(detail.starts_with(field), "{detail}");
        assert!(bounds.iter().all(|bound| detail.contains(bound)), "{detail}");
        assert!(detail.len() < 500, "what was sent is not sent back at length");
        assert_is_ours(&error);
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn an_unknown_value_is_answered_with_the_allowed_ones() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&database).await;
    let statuses =
        ["pending", "uploading", "queued", "running", "completed", "failed", "cancelled"];
    let huge = format!("status={}", "x".repeat(4_000));
    for (route, query, field, allowed) in [
        ("/api/cloud/jobs", "status=done", "status", json!(statuses)),
        ("/api/cloud/jobs", "status=running,done", "status", json!(statuses)),
        ("/api/cloud/jobs", "status=Running", "status", json!(statuses)),
        ("/api/cloud/jobs", "status=running%00", "status", json!(statuses)),
        ("/api/cloud/jobs", "status=%ff", "status", json!(statuses)),
        ("/api/cloud/jobs", &huge, "status", json!(statuses)),
        ("/api/cloud/jobs", "job_type=remote", "job_type", json!(["cloud", "local"])),
        ("/api/cloud/jobs", "sort=size", "sort", json!(["newest", "oldest", "cost", "name"])),
    ] {
        let answer = ask(&daemon, "GET", &format!("{route}?{query}")).await;
        let error = answer.error(400, "unknown_value");
        assert_eq!(error["details"], json!({"field": field, "allowed": allowed}), "{query}");
        let detail = error["detail"].as_str().expect("a text");
        for word in allowed.as_array().expect("a list") {
            assert!(detail.contains(word.as_str().expect("a word")), "{detail}");
        }
        assert!(detail.len() < 500, "what was sent is not sent back at length");
        assert_is_ours(&error);
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn a_bad_body_is_answered_with_what_is_wrong_with_it() {
    const SYNC: (&str, &str) = ("POST", "/api/cloud/jobs/sync");
    const SETTING: (&str, &str) = ("PUT", "/api/cloud/polling/setting");
    const CONFIG: (&str, &str) = ("PUT", "/api/cloud/providers/replicate/config");
    const TEST: (&str, &str) = ("POST", "/api/webhooks/test");
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&database).await;
    let deep = "[".repeat(10_000);
    let json = "application/json";
    for ((method, path), kind, body, status, name, said) in [
        (SYNC, "text/plain", "{}", 415, "not_json", "Content-Type"),
        (SYNC, "application/x-www-form-urlencoded", "all=true", 415, "not_json", "Content-Type"),
        (SYNC, "garbage", "{}", 415, "not_json", "Content-Type"),
        (SYNC, json, "{", 415, "not_json", "not JSON"),
        (SYNC, json, "{\"all\": tru}", 415, "not_json", "not JSON"),
        (SYNC, json, "\u{0}", 415, "not_json", "not JSON"),
        (SYNC, json, &deep, 415, "not_json", "not JSON"),
        (SYNC, json, "[]", 422, "invalid_value", "body"),
        (SYNC, json, "\"all\"", 422, "invalid_value", "body"),
        (SYNC, json, r#"{"all": "yes"}"#, 422, "invalid_value", "all"),
        (SYNC, json, r#"{"all": 1}"#, 422, "invalid_value", "all"),
        (SYNC, json, r#"{"provider": 5}"#, 422, "invalid_value", "provider"),
        (SYNC, json, r#"{"provider": "modal"}"#, 404, "unknown_provider", "modal"),
        (SETTING, json, "", 422, "invalid_value", "body"),
        (SETTING, json, "{}", 422, "invalid_value", "enabled"),
        (SETTING, json, r#"{"enabled": "true"}"#, 422, "invalid_value", "enabled"),
        (SETTING, json, r#"{"enabled": 1}"#, 422, "invalid_value", "enabled"),
        (SETTING, json, r#"{"enabled": [true]}"#, 422, "invalid_value", "enabled"),
        (CONFIG, json, "", 422, "invalid_value", "body"),
        (CONFIG, json, "null", 422, "invalid_value", "body"),
        (CONFIG, json, r#"{"webhook_url": true}"#, 422, "invalid_value", "webhook_url"),
        (CONFIG, json, r#"{"webhook_secret": "x"}"#, 400, "unknown_value", "webhook_url"),
        (CONFIG, json, r#"{"config": 5}"#, 400, "unknown_value", "webhook_url"),
        (TEST, json, "{}", 422, "invalid_value", "webhook_url"),
        (TEST, json, r#"{"webhook_url": 5}"#, 422, "invalid_value", "webhook_url"),
        (TEST, json, r#"{"webhook_url": "x"}"#, 422, "invalid_value", "webhook_url"),
        (
            TEST,
            json,
            r#"{"webhook_url": "file:///etc/passwd"}"#,
            422,
            "invalid_value",
            "webhook_url",
        ),
        (
            TEST,
            json,
            r#"{"webhook_url": "http://a", "timeout": "5"}"#,
            422,
            "invalid_value",
            "timeout",
        ),
        (TEST, json, r#"{"webhook_url": "http://a", "timeout": 0}"#, 422, "invalid_value", "120"),
        (TEST, json, r#"{"webhook_url": "http://a", "timeout": 1e9}"#, 422, "invalid_value", "120"),
        (TEST, json, r#"{"webhook_url": "http://a", "timeout": -1}"#, 422, "invalid_value", "120"),
    ] {
        let method: Method = method.parse().expect("a method");
        let headers = [("content-type", kind)];
        let answer = daemon.request(method, path, &headers, Some(body.into())).await;
        let error = answer.error(status, name);
        let detail = error["detail"].as_str().expect("a text");
        assert!(detail.contains(said), "{path} {body:.40}: {detail}");
        if status == 422 && said != "120" {
            assert_eq!(error["details"]["field"], said, "{path} {body:.40}");
        }
        assert_is_ours(&error);
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn json_is_taken_in_every_way_that_clients_send_it() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&database).await;
    let path = "/api/cloud/polling/setting";
    for kind in [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/merge-patch+json",
        "",
    ] {
        let headers = [("content-type", kind)];
        let headers = if kind.is_empty() { &[][..] } else { &headers };
        let body = br#" {"enabled": null, "more": 1} "#.to_vec();
        daemon.request(Method::PUT, path, headers, Some(body)).await.ok();
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn a_body_that_is_too_large_says_the_limit() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon =
        TestDaemon::builder().with("JOBSYNCD__SERVER__MAX_BODY_MB", "1").start(&database).await;
    for (method, path) in [
        ("POST", "/api/cloud/jobs/sync"),
        ("PUT", "/api/cloud/polling/setting"),
        ("PUT", "/api/cloud/providers/replicate/config"),
        ("POST", "/api/webhooks/test"),
        ("POST", "/api/webhooks/replicate"),
        ("POST", "/api/cloud/webhook/replicate"),
    ] {
        let method: Method = method.parse().expect("a method");
        let headers = [("content-type", "application/json")];
        let body = vec![b' '; 1024 * 1024 + 1];
        let error = daemon.request(method, path, &headers, Some(body)).await;
        let error = error.error(413, "body_too_large");
        assert_eq!(error["details"]["limit_bytes"], 1024 * 1024, "{path}");
        assert_is_ours(&error);
    }
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn an_id_of_any_form_is_just_an_unknown_job(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon(&database).await;
    let long = "a".repeat(8_000);
    for (sent, meant) in [
        ("abc", Some("abc")),
        ("a%20b", Some("a b")),
        ("%C3%A4", Some("ä")),
        ("a%2Fb", None),
        ("%00", Some("\0")),
        ("a%00b", Some("a\0b")),
        ("%01%1f%7f", Some("\u{1}\u{1f}\u{7f}")),
        ("%0d%0aSet-Cookie:%20a=b", Some("\r\nSet-Cookie: a=b")),
        ("%ff%fe", None),
        ("%", None),
        ("%zz", None),
        ("%25", Some("%")),
        ("'%20OR%201=1--", Some("' OR 1=1--")),
        ("%F0%9F%A6%80", Some("🦀")),
        ("..%2f..%2fetc", None),
        (&long, Some(&long)),
    ] {
        for (method, rest) in OF_A_JOB {
            let answer = ask(&daemon, method, &format!("/api/cloud/jobs/{sent}{rest}")).await;
            assert_eq!(answer.header("set-cookie"), None);
            let error = answer.error(404, "job_not_found");
            if let Some(meant) = meant {
                assert_eq!(error["details"]["job_id"], meant, "{sent:.20}");
            }
            assert_is_ours(&error);
        }
    }
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn an_odd_query_finds_nothing_and_breaks_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon(&database).await;
    let long = format!("q={}", "a".repeat(30_000));
    let wild = format!("q={}", "%25_".repeat(2_000));
    let many = "q=a&".repeat(5_000);
    for query in [
        "q=%00",
        "q=a%00b",
        "q=%ff",
        "q=%",
        "q=%zz",
        "q=%01%1f",
        "q=%F0%9F%A6%80",
        "q=\\",
        "q='",
        "&&&===&",
        "?",
        "q",
        "=",
        &long,
        &wild,
        &many,
    ] {
        let answer = daemon.get(&format!("/api/cloud/jobs?{query}")).await.ok();
        assert_eq!(answer, json!({"jobs": [], "total": 0}), "{query:.20}");
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn a_target_that_no_client_would_send_is_refused_and_the_daemon_lives_on() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&database).await;
    for target in [
        &b"/api/cloud/jobs/\xff\xfe"[..],
        b"/api/cloud/jobs?q=\xff",
        b"/api/cloud/jobs?q=a b",
        b"/api/cloud/jobs\0",
        b"api/cloud/jobs",
        b"*",
        b"",
        &[b'/'; 200_000],
    ] {
        let (status, _) = ask_raw(&daemon, target).await;
        assert!((400..500).contains(&status), "{:?}: {status}", &target[..target.len().min(30)]);
    }
    let (status, body) = ask_raw(&daemon, b"/api/cloud/jobs").await;
    assert_eq!((status, body), (200, json!({"jobs": [], "total": 0})));
    daemon.stop().await;
}
