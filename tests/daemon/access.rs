//! Who may come in: API keys, foreign pages and foreign addresses.

use std::net::TcpListener;

use actix_web::http::Method;
use jobsyncd::config::{Config, Sources};
use jobsyncd::daemon::{Daemon, StartError};

use crate::support::daemon::{Answer, Backend, TestDaemon, TestDatabase};

const KEY: &str = "correct-horse-battery-staple";
const OTHER_KEY: &str = "another-key-for-another-user";
const JOBS: &str = "/api/cloud/jobs";

/// Every route that needs a key where there is one.
const GUARDED: [(&str, &str); 24] = [
    ("GET", JOBS),
    ("GET", "/api/cloud/jobs?sync_active=true"),
    ("POST", "/api/cloud/jobs/sync"),
    ("GET", "/api/cloud/jobs/a"),
    ("DELETE", "/api/cloud/jobs/a"),
    ("POST", "/api/cloud/jobs/a/cancel"),
    ("GET", "/api/cloud/jobs/a/inline-progress"),
    ("GET", "/api/cloud/jobs/a/logs"),
    ("GET", "/api/cloud/jobs/a/logs/stream"),
    ("GET", "/api/cloud/providers"),
    ("GET", "/api/cloud/providers/replicate/config"),
    ("PUT", "/api/cloud/providers/replicate/config"),
    ("GET", "/api/cloud/replicate/validate"),
    ("GET", "/api/cloud/polling/status"),
    ("PUT", "/api/cloud/polling/setting"),
    ("GET", "/api/metrics"),
    ("GET", "/api/events"),
    ("GET", "/health"),
    ("POST", "/api/webhooks/test"),
    ("GET", "/no/such/route"),
    ("GET", "/api/activity"),
    ("GET", "/api/cloud/jobs/a/logs/download"),
    ("GET", "/updates/jobs"),
    ("GET", "/updates/jobs/a"),
];

/// Every page, which sends a browser without a session to the door instead.
const PAGES: [&str; 6] = ["/", "/jobs/a", "/queue", "/activity", "/system", "/settings"];

async fn ask(daemon: &TestDaemon, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    daemon.request(method.parse::<Method>().expect("a method"), path, headers, None).await
}

async fn with_keys(database: &TestDatabase) -> TestDaemon {
    let keys = format!("{KEY}, {OTHER_KEY}");
    TestDaemon::builder().with("JOBSYNCD__SERVER__API_KEYS", keys).start(database).await
}

#[actix_web::test]
async fn everything_but_webhooks_and_probes_needs_a_key() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = with_keys(&database).await;
    for (method, path) in GUARDED {
        let answer = ask(&daemon, method, path, &[]).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        let challenge = answer.header("www-authenticate").map(str::to_owned);
        assert_eq!(challenge.as_deref(), Some("Bearer"), "{path}");
        answer.error(401, "unauthorized");
    }
    for path in PAGES {
        let answer = daemon.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (303, 0), "{path}");
    }
    for path in
        ["/health/live", "/health/ready", "/api/cloud/health/live", "/api/cloud/health/ready"]
    {
        daemon.get(path).await.ok();
    }
    for path in ["/api/webhooks/replicate", "/api/cloud/webhook/replicate"] {
        daemon.post(path).await.error(401, "bad_signature");
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn a_key_is_taken_from_either_header_and_only_as_a_whole() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = with_keys(&database).await;
    let shorter = &KEY[..KEY.len() - 1];
    let longer = format!("{KEY}x");
    let (upper, both) = (KEY.to_uppercase(), format!("{KEY}, {OTHER_KEY}"));
    let bearer = |key: &str| format!("Bearer {key}");
    let cases = [
        ("x-api-key", KEY.to_owned(), true),
        ("x-api-key", OTHER_KEY.to_owned(), true),
        ("authorization", bearer(KEY), true),
        // The name of a scheme has no case.
        ("authorization", format!("bearer {KEY}"), true),
        ("authorization", KEY.to_owned(), false),
        ("authorization", format!("Basic {KEY}"), false),
        ("x-api-key", bearer(KEY), false),
        ("x-api-key", String::new(), false),
        ("x-api-key", shorter.to_owned(), false),
        ("x-api-key", longer, false),
        ("x-api-key", upper, false),
        ("x-api-key", both, false),
        ("authorization", bearer(""), false),
        ("authorization", bearer(shorter), false),
        ("cookie", format!("api_key={KEY}"), false),
    ];
    for (header, value, is_let_in) in cases {
        let answer = ask(&daemon, "GET", JOBS, &[(header, &value)]).await;
        if is_let_in {
            answer.ok();
        } else {
            let error = answer.error(401, "unauthorized");
            assert!(!error.to_string().contains(shorter), "{error}");
        }
    }
    ask(&daemon, "GET", &format!("{JOBS}?api_key={KEY}"), &[]).await.error(401, "unauthorized");
    daemon.stop().await;
}

#[actix_web::test]
async fn no_spelling_of_a_guarded_path_gets_by_without_a_key() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = with_keys(&database).await;
    for path in [
        "/api/webhooks/te%73t",
        "/api/webhooks/%74est",
        "/api/%77ebhooks/test",
        "/api/webhooks/test/",
        "/api/webhooks/test?x",
        "/api/webhooks/../cloud/jobs",
        "/api/webhooks/%2e%2e/cloud/jobs",
        "//health/live",
        "/health%2Flive",
    ] {
        for method in ["POST", "GET"] {
            let answer = ask(&daemon, method, path, &[]).await;
            // A webhook of a provider that nobody knows may be told so.
            let status = answer.status.as_u16();
            assert!(matches!(status, 401 | 404 | 405), "{method} {path}: {status}");
            if path.contains("est") && !path.ends_with('/') {
                answer.error(401, "unauthorized");
            }
        }
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn an_address_that_others_reach_is_refused_without_a_key() {
    let database = TestDatabase::new(Backend::Sqlite);
    for bind in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8001"] {
        let environment =
            [("JOBSYNCD__SERVER__BIND", bind), ("JOBSYNCD__DATABASE__URL", &*database.url)];
        let refused = Config::load(&Sources::from_environment(environment)).expect_err("refused");
        let words = refused.to_string();
        assert!(words.contains("server.bind") && words.contains("API key"), "{words}");
    }

    // systemd may hand over another address than the configured one.
    let environment = [("JOBSYNCD__DATABASE__URL", &*database.url)];
    let config = Config::load(&Sources::from_environment(environment)).expect("a configuration");
    let listener = TcpListener::bind("0.0.0.0:0").expect("a socket");
    let refused = Daemon::start(config, [listener.into()]).await.map(|_| ());
    assert!(matches!(refused, Err(StartError::Exposed(_))), "{refused:?}");

    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__SERVER__BIND", "0.0.0.0:0")
        .with("JOBSYNCD__SERVER__API_KEY", KEY)
        .start(&database)
        .await;
    ask(&daemon, "GET", JOBS, &[]).await.error(401, "unauthorized");
    ask(&daemon, "GET", JOBS, &[("x-api-key", KEY)]).await.ok();
    daemon.stop().await;
}

#[actix_web::test]
async fn a_foreign_host_is_refused_so_that_no_page_can_rebind_its_name() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__SERVER__ALLOWED_HOSTS", "jobs.example.org")
        .start(&database)
        .await;
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1:8001", "[::1]:8001", "jobs.example.org:443"]
    {
        ask(&daemon, "GET", JOBS, &[("host", host)]).await.ok();
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:8001",
        "evil.jobs.example.org",
        "192.0.2.1",
        "0.0.0.0:8001",
        "evil.example#localhost",
        "???",
    ] {
        let answer = ask(&daemon, "GET", JOBS, &[("host", host)]).await;
        answer.error(403, "foreign_host");
    }
    // A webhook comes under whatever name the daemon has outside.
    let webhook =
        ask(&daemon, "POST", "/api/webhooks/replicate", &[("host", "evil.example")]).await;
    webhook.error(401, "bad_signature");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_foreign_page_is_refused_on_every_route() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__SERVER__ALLOWED_ORIGINS", "https://studio.example.org")
        .start(&database)
        .await;
    let own = daemon.url.clone();
    for origin in [&*own, "https://studio.example.org", "https://STUDIO.example.org"] {
        ask(&daemon, "GET", JOBS, &[("origin", origin)]).await.ok();
    }
    for origin in [
        "null",
        "",
        "https://evil.example",
        "http://studio.example.org",
        "https://studio.example.org:444",
        "https://studio.example.org.evil.example",
        "http://127.0.0.1:1",
        "http://localhost",
    ] {
        for (method, path) in GUARDED.into_iter().chain([("POST", "/api/webhooks/replicate")]) {
            let answer = ask(&daemon, method, path, &[("origin", origin)]).await;
            answer.error(403, "foreign_origin");
        }
    }
    // Whatever name the page has given itself, it does not become ours.
    let rebound = [("origin", "http://evil.example"), ("host", "evil.example")];
    ask(&daemon, "GET", JOBS, &rebound).await.error(403, "foreign_host");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_page_of_an_allowed_site_may_ask_and_read() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__SERVER__ALLOWED_ORIGINS", "https://studio.example.org")
        .with("JOBSYNCD__SERVER__API_KEY", KEY)
        .start(&database)
        .await;
    let origin = ("origin", "https://studio.example.org");

    // The browser asks first, and does not send the key along.
    let headers = [
        origin,
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "content-type,x-api-key"),
    ];
    let preflight = ask(&daemon, "OPTIONS", "/api/cloud/polling/setting", &headers).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some(origin.1));
    let methods = preflight.header("access-control-allow-methods").expect("methods");
    assert!(methods.contains("PUT") && methods.contains("DELETE"), "{methods}");
    let allowed = preflight.header("access-control-allow-headers").expect("headers");
    for header in ["content-type", "x-api-key", "authorization", "last-event-id"] {
        assert!(allowed.to_lowercase().contains(header), "{allowed}");
    }

    for (key, status) in [(KEY, 200), ("wrong", 401)] {
        let answer = ask(&daemon, "GET", JOBS, &[origin, ("x-api-key", key)]).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin.1));
        assert!(answer.header("vary").is_some_and(|vary| vary.to_lowercase().contains("origin")));
    }
    let foreign = [("origin", "https://evil.example"), ("x-api-key", KEY)];
    let refused = ask(&daemon, "OPTIONS", JOBS, &foreign).await;
    assert_eq!(refused.header("access-control-allow-origin"), None);
    refused.error(403, "foreign_origin");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_forwarded_address_is_believed_only_from_a_trusted_proxy() {
    let forwarded = |chain| [("x-forwarded-for", chain)];
    let path = "/api/webhooks/replicate";
    let allowed = ("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_ALLOWED_IPS", "198.51.100.0/24");
    let database = TestDatabase::new(Backend::Sqlite);

    let daemon = TestDaemon::builder().with(allowed.0, allowed.1).start(&database).await;
    let answer = ask(&daemon, "POST", path, &forwarded("198.51.100.7")).await;
    answer.error(403, "address_not_allowed");
    daemon.stop().await;

    let daemon = TestDaemon::builder()
        .with(allowed.0, allowed.1)
        .with("JOBSYNCD__SERVER__TRUSTED_PROXIES", "127.0.0.0/8")
        .start(&database)
        .await;
    for (chain, is_let_in) in [
        ("198.51.100.7", true),
        ("203.0.113.9, 198.51.100.7", true),
        ("198.51.100.7, 127.0.0.5", true),
        ("198.51.100.7, 203.0.113.9", false),
        ("198.51.100.7, unknown", false),
        ("", false),
    ] {
        let answer = ask(&daemon, "POST", path, &forwarded(chain)).await;
        let (status, name) =
            if is_let_in { (401, "bad_signature") } else { (403, "address_not_allowed") };
        answer.error(status, name);
    }
    daemon.stop().await;
}
