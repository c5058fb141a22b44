//! Who a client is and what it asks for, as proxies of every kind write it.

use actix_web::http::Method;

use super::raw;
use crate::support::daemon::{Answer, Backend, TestDaemon, TestDatabase};
use crate::support::stream::EventStream;
use crate::support::webhook::ROUTE;

const JOBS: &str = "/api/cloud/jobs";

async fn behind_a_proxy(database: &TestDatabase, proxies: &str) -> TestDaemon {
    TestDaemon::builder()
        .with("JOBSYNCD__SERVER__TRUSTED_PROXIES", proxies)
        .with(
            "JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_ALLOWED_IPS",
            "203.0.113.0/24, 2001:db8::/32",
        )
        .start(database)
        .await
}

async fn ask(daemon: &TestDaemon, path: &str, headers: &[(&str, &str)]) -> Answer {
    daemon.request(Method::GET, path, headers, None).await
}

#[actix_web::test]
async fn a_client_is_known_by_its_address_however_the_proxy_writes_it() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = behind_a_proxy(&database, "127.0.0.1, 10.0.0.0/8").await;
    let (x, f) = ("x-forwarded-for", "forwarded");
    for (headers, is_allowed) in [
        (&[(x, "203.0.113.7:51008")][..], true),
        (&[(x, "[2001:db8::7]:443")], true),
        (&[(x, "2001:db8::7%eth0")], true),
        (&[(x, "::ffff:203.0.113.7")], true),
        (&[(x, "198.51.100.9, 203.0.113.7:1, 10.1.2.3:2")], true),
        (&[(x, "203.0.113.7"), (x, "10.1.2.3")], true),
        (&[(x, "203.0.113.7"), (x, "198.51.100.9")], false),
        (&[(x, "203.0.113.7, _hidden")], false),
        (&[(f, "for=203.0.113.7;proto=https")], true),
        (&[(f, "For=\"[2001:db8::7]:4711\";by=10.0.0.1, for=10.9.9.9")], true),
        (&[(f, "for=203.0.113.7, for=unknown")], false),
        (&[(f, "for=203.0.113.7, for=198.51.100.9")], false),
        // Whoever the client says it is, it cannot shut the proxy's own word out.
        (&[(f, "for=\"203.0.113.7, for=198.51.100.9")], false),
        // The proxy writes one of the two, and the client may have sent the other.
        (&[(x, "198.51.100.9"), (f, "for=203.0.113.7")], false),
        (&[(x, ""), (f, "for=203.0.113.7")], true),
    ] {
        let lines = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let lines = lines.collect::<String>() + "Content-Length: 0\r\n";
        let answer = raw(&daemon, &format!("POST {ROUTE}"), &lines).await;
        let word = if is_allowed { "bad_signature" } else { "address_not_allowed" };
        assert!(answer.contains(word), "{headers:?}: {answer}");
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn streams_are_counted_by_client_whatever_port_it_comes_from() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .with("JOBSYNCD__EVENTS__MAX_CONNECTIONS_PER_IP", "1")
        .start(&database)
        .await;
    let address = daemon.url.strip_prefix("http://").expect("a plain URL").to_owned();
    let open = async |header: &[u8]| {
        let socket = tokio::net::TcpStream::connect(&address).await.expect("a connection");
        EventStream::ask(socket, "localhost", "/api/events", header).await
    };
    let first = open(b"X-Forwarded-For: 203.0.113.7:51008\r\n").await;
    let other = open(b"X-Forwarded-For: 203.0.113.8:51008\r\n").await;
    let hidden = open(b"X-Forwarded-For: \xff, 203.0.113.9\r\n").await;
    assert_eq!([first.status(), other.status(), hidden.status()], [200; 3]);
    for again in [
        &b"X-Forwarded-For: 203.0.113.7:51009\r\n"[..],
        b"X-Forwarded-For: ::ffff:203.0.113.7\r\n",
        b"Forwarded: for=\"203.0.113.7:51010\"\r\n",
        b"X-Forwarded-For: 203.0.113.9\r\n",
    ] {
        assert_eq!(open(again).await.status(), 503, "{}", String::from_utf8_lossy(again));
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn a_page_is_the_daemons_own_however_a_proxy_spells_its_host() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__SERVER__ALLOWED_HOSTS", "jobs.example.org")
        .start(&database)
        .await;
    for (host, origin) in [
        ("jobs.example.org:443", "https://jobs.example.org"),
        ("jobs.example.org", "https://jobs.example.org:443"),
        ("JOBS.example.org.", "https://jobs.example.org"),
        ("jobs.example.org:80", "http://Jobs.Example.org."),
        ("jobs.example.org:8443", "https://jobs.example.org:8443"),
        ("localhost.:8001", "http://localhost:8001"),
        ("[::1]:8001", "http://[0::1]:8001"),
        ("[::ffff:127.0.0.1]:8001", "http://127.0.0.1:8001"),
    ] {
        ask(&daemon, JOBS, &[("host", host), ("origin", origin)]).await.ok();
    }
    for (host, origin) in [
        ("jobs.example.org", "https://jobs.example.org:8443"),
        ("jobs.example.org:443", "http://jobs.example.org"),
        ("jobs.example.org", "https://jobs.example.org.evil.example"),
        ("jobs.example.org", "null"),
    ] {
        let answer = ask(&daemon, JOBS, &[("host", host), ("origin", origin)]).await;
        answer.error(403, "foreign_origin");
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn an_allowed_site_is_known_however_it_is_spelt() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__SERVER__ALLOWED_ORIGINS", "https://Studio.example.org:443/")
        .start(&database)
        .await;
    for origin in ["https://studio.example.org", "https://studio.example.org:443"] {
        let answer = ask(&daemon, JOBS, &[("origin", origin)]).await;
        // A browser compares it with what it sent, letter by letter.
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        answer.ok();
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn the_host_that_a_trusted_proxy_was_asked_for_is_the_daemons_own() {
    let database = TestDatabase::new(Backend::Sqlite);
    let origin = ("origin", "https://jobs.example.org:8443");
    let told = [
        &[("x-forwarded-host", "jobs.example.org:8443")][..],
        &[("x-forwarded-host", "jobs.example.org, inner.example"), ("x-forwarded-port", "8443")],
        &[("forwarded", "for=203.0.113.7;host=\"jobs.example.org:8443\"")],
    ];
    let daemon = behind_a_proxy(&database, "127.0.0.1").await;
    for headers in told {
        ask(&daemon, JOBS, &[&[origin][..], headers].concat()).await.ok();
    }
    let other = [origin, ("x-forwarded-host", "jobs.example.org")];
    ask(&daemon, JOBS, &other).await.error(403, "foreign_origin");
    daemon.stop().await;

    let daemon = behind_a_proxy(&database, "10.0.0.0/8").await;
    for headers in told {
        let answer = ask(&daemon, JOBS, &[&[origin][..], headers].concat()).await;
        answer.error(403, "foreign_origin");
    }
    daemon.stop().await;
}
