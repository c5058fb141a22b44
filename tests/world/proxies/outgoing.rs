//! Calls that the daemon makes, through the proxies and to the certificates that companies have.

use std::net::SocketAddr;

use actix_web::{App, HttpResponse, HttpServer, web};
use jobsyncd::simulator::{JobSpec, Simulator};
use rstest::rstest;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::daemon::{Backend, TestDaemon, TestDaemonBuilder, TestDatabase, simulator};
use crate::support::forward_proxy::{ForwardProxy, ProxyOptions};
use crate::support::tls::Authority;

/// A name that nobody but the test's proxy knows.
const NAME: &str = "provider.test";
const PASSWORD: &str = "p@ss:never-to-be-seen";

/// Where the simulator listens.
fn address_of(simulator: &Simulator) -> SocketAddr {
    let url = simulator.base_url().trim_start_matches("http://").trim_end_matches("/v1");
    url.parse().expect("an address")
}

/// A daemon that tracks the simulator's account at another URL than its own.
fn tracking_at(simulator: &Simulator, base_url: &str) -> TestDaemonBuilder {
    TestDaemon::builder()
        .tracking(simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL", base_url)
}

async fn proxy_to(simulator: &Simulator) -> ForwardProxy {
    let names = vec![(NAME, address_of(simulator))];
    ForwardProxy::start(ProxyOptions { names, ..ProxyOptions::default() }).await
}

/// Whether the daemon reaches its provider.
async fn assert_syncs(daemon: &TestDaemon, simulator: &Simulator) {
    let id = simulator.create_job(JobSpec::manual()).expect("a job");
    assert_eq!(daemon.sync().await["synced"], 1);
    assert_eq!(daemon.job(&id).await["provider"], "replicate");
}

#[actix_web::test]
async fn a_provider_is_reached_through_the_configured_proxy_with_its_credentials() {
    let database = TestDatabase::new(Backend::Sqlite);
    let simulator = simulator().await;
    let proxy = ForwardProxy::start(ProxyOptions {
        credentials: Some("me:p@ss:never-to-be-seen"),
        names: vec![(NAME, address_of(&simulator))],
        ..ProxyOptions::default()
    })
    .await;
    let url = format!("http://me:p%40ss%3Anever-to-be-seen@{}", proxy.address);
    let daemon = tracking_at(&simulator, &format!("http://{NAME}/v1"))
        .with("JOBSYNCD__NETWORK__PROXY_URL", url)
        // It goes before what the environment says.
        .with("HTTP_PROXY", "http://127.0.0.1:1")
        .start(&database)
        .await;
    assert_syncs(&daemon, &simulator).await;
    assert_eq!(proxy.asked()[0], format!("{NAME}:80"));
    daemon.stop().await;
}

#[rstest]
#[case::by_its_name("https_proxy")]
#[case::in_capitals("HTTPS_PROXY")]
#[case::of_everything("ALL_PROXY")]
#[actix_web::test]
async fn the_environments_proxy_and_a_private_authority_lead_to_a_provider(#[case] variable: &str) {
    let database = TestDatabase::new(Backend::Sqlite);
    let simulator = simulator().await;
    let authority = Authority::new();
    let behind_tls = authority.terminate(NAME, address_of(&simulator)).await;
    let names = vec![(NAME, behind_tls)];
    let proxy = ForwardProxy::start(ProxyOptions { names, ..ProxyOptions::default() }).await;
    let daemon = tracking_at(&simulator, &format!("https://{NAME}/v1"))
        // Without a scheme, as many write it.
        .with(variable, proxy.address.to_string())
        .with("JOBSYNCD__NETWORK__CA_FILE", authority.path())
        .start(&database)
        .await;
    assert_syncs(&daemon, &simulator).await;
    assert_eq!(proxy.asked()[0], format!("{NAME}:443"));
    daemon.stop().await;
}

#[actix_web::test]
async fn a_private_authority_is_believed_only_where_it_is_configured() {
    let database = TestDatabase::new(Backend::Sqlite);
    let simulator = simulator().await;
    let authority = Authority::new();
    let address = authority.terminate("localhost", address_of(&simulator)).await;
    let url = format!("https://localhost:{}/v1", address.port());

    let daemon = tracking_at(&simulator, &url).start(&database).await;
    let error = daemon.post("/api/cloud/jobs/sync").await.error(502, "provider_unreachable");
    let detail = error["detail"].as_str().expect("a text");
    assert!(detail.to_lowercase().contains("certificate"), "{detail}");
    daemon.stop().await;

    let other = Authority::new();
    let both = [&authority, &other].map(|one| std::fs::read_to_string(one.file()).expect("a file"));
    std::fs::write(other.file(), both.concat()).expect("a file");
    let daemon = tracking_at(&simulator, &url)
        .with("JOBSYNCD__NETWORK__CA_FILE", other.path())
        .start(&database)
        .await;
    assert_syncs(&daemon, &simulator).await;
    daemon.stop().await;
}

#[actix_web::test]
async fn who_is_exempt_is_reached_directly() {
    let database = TestDatabase::new(Backend::Sqlite);
    let simulator = simulator().await;
    let proxy = proxy_to(&simulator).await;
    let proxy_url = format!("http://{}", proxy.address);
    for (name, list, goes_directly) in [
        ("NO_PROXY", "127.0.0.1", true),
        ("no_proxy", "localhost, 127.0.0.0/8", true),
        ("NO_PROXY", "*", true),
        ("JOBSYNCD__NETWORK__NO_PROXY", "127.0.0.1", true),
        ("NO_PROXY", "localhost,.example.org", false),
    ] {
        let before = proxy.asked().len();
        let daemon = tracking_at(&simulator, simulator.base_url())
            .with("JOBSYNCD__NETWORK__PROXY_URL", proxy_url.clone())
            .with(name, list)
            .start(&database)
            .await;
        daemon.sync().await;
        assert_eq!(proxy.asked().len() == before, goes_directly, "{name} {list}");
        daemon.stop().await;
    }
    // The small letters go first, and say that there is none.
    let before = proxy.asked().len();
    let daemon = tracking_at(&simulator, simulator.base_url())
        .with("http_proxy", "")
        .with("HTTP_PROXY", proxy_url)
        .start(&database)
        .await;
    daemon.sync().await;
    assert_eq!(proxy.asked().len(), before);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_proxy_that_does_not_connect_is_told_with_its_reason_and_without_the_password() {
    let database = TestDatabase::new(Backend::Sqlite);
    let simulator = simulator().await;
    let names = || vec![(NAME, address_of(&simulator))];
    let wanting =
        ProxyOptions { credentials: Some("me:another"), names: names(), ..ProxyOptions::default() };
    let wanting = ForwardProxy::start(wanting).await.address;
    let refusing = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    let refusing = ProxyOptions { answer: Some(refusing), ..ProxyOptions::default() };
    let refusing = ForwardProxy::start(refusing).await.address;
    let garbled = ProxyOptions { answer: Some("220 smtp\r\n\r\n"), ..ProxyOptions::default() };
    let garbled = ForwardProxy::start(garbled).await.address;
    let silent = ProxyOptions { answer: Some(""), ..ProxyOptions::default() };
    let silent = ForwardProxy::start(silent).await.address;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed = listener.local_addr().expect("an address");
    drop(listener);
    for (address, words) in [
        (wanting, "407"),
        (refusing, "403 Forbidden"),
        (garbled, "no HTTP"),
        (silent, "without an answer"),
        (closed, "refused"),
    ] {
        let url = format!("http://me:p%40ss%3Anever-to-be-seen@{address}");
        let daemon = tracking_at(&simulator, &format!("http://{NAME}/v1"))
            .with("JOBSYNCD__NETWORK__PROXY_URL", url)
            .start(&database)
            .await;
        let error = daemon.post("/api/cloud/jobs/sync").await.error(502, "provider_unreachable");
        let detail = error["detail"].as_str().expect("a text");
        assert!(detail.contains(words), "{detail}");
        assert!(detail.contains(&format!("the proxy http://{address}")), "{detail}");
        let shown = format!("{error}{}", daemon.get("/health").await.ok());
        assert!(!shown.contains("never-to-be-seen") && !shown.contains(PASSWORD), "{shown}");
        daemon.stop().await;
    }
}

#[actix_web::test]
async fn a_proxy_may_itself_be_spoken_to_over_tls() {
    let database = TestDatabase::new(Backend::Sqlite);
    let simulator = simulator().await;
    let authority = Authority::new();
    let behind_tls = authority.terminate(NAME, address_of(&simulator)).await;
    let proxy = ForwardProxy::start(ProxyOptions {
        credentials: Some("me:secret"),
        names: vec![(NAME, behind_tls)],
        tls: Some(authority.acceptor("localhost")),
        ..ProxyOptions::default()
    })
    .await;
    let daemon = tracking_at(&simulator, &format!("https://{NAME}/v1"))
        .with("HTTPS_PROXY", format!("https://me:secret@localhost:{}", proxy.address.port()))
        .with("JOBSYNCD__NETWORK__CA_FILE", authority.path())
        .start(&database)
        .await;
    assert_syncs(&daemon, &simulator).await;
    assert_eq!(proxy.asked()[0], format!("{NAME}:443"));
    daemon.stop().await;
}

#[actix_web::test]
async fn messages_and_tests_of_webhooks_go_through_the_proxy_too() {
    let database = TestDatabase::new(Backend::Sqlite);
    let receiver = HttpServer::new(|| App::new().default_service(web::to(HttpResponse::Ok)));
    let receiver = receiver.workers(1).bind("127.0.0.1:0").expect("a port");
    let names = vec![("people.test", receiver.addrs()[0])];
    let receiver = receiver.run();
    let (handle, _) = (receiver.handle(), actix_web::rt::spawn(receiver));
    let proxy = ForwardProxy::start(ProxyOptions { names, ..ProxyOptions::default() }).await;
    let channels = r#"{"people": {"url": "http://people.test/hook"}, "near": {"url": "http://localhost/hook"}}"#;
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__NETWORK__PROXY_URL", format!("http://{}", proxy.address))
        .with("JOBSYNCD__NOTIFICATIONS__CHANNELS", channels)
        .start(&database)
        .await;
    let sent = daemon.post("/api/notifications/people/test").await.ok();
    assert_eq!(sent["success"], true, "{sent}");
    assert_eq!(proxy.asked(), ["people.test:80"]);
    // What needs no looking up to be known as this machine does not get as far as the proxy.
    let refused = daemon.post("/api/notifications/near/test").await.ok();
    assert_eq!(refused["success"], false, "{refused}");
    assert!(refused.to_string().contains("allow_private_addresses"), "{refused}");
    let tested = json!({"webhook_url": "http://people.test/api/webhooks/replicate"});
    let tested = daemon.post_json("/api/webhooks/test", &tested).await.ok();
    assert_eq!(tested["status_code"], 200, "{tested}");
    assert_eq!(proxy.asked(), ["people.test:80", "people.test:80"]);
    daemon.stop().await;
    handle.stop(false).await;
}
