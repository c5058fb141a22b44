//! B: a webhook URL is believed only with a route behind it.

use actix_web::http::Method;
use jobsyncd::simulator::{JobUpdate, Simulator, Status};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::daemon::{Backend, TestDaemon, TestDaemonBuilder, TestDatabase, simulator};
use crate::support::webhook::{SECRET, Signer};

const CONFIG: &str = "/api/cloud/providers/replicate/config";
const WEBHOOK_URL: &str = "JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_URL";

fn daemon(simulator: &Simulator) -> TestDaemonBuilder {
    TestDaemon::builder()
        .tracking(simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", simulator.webhook_secret())
        .with("JOBSYNCD__QUEUE__USER_MAX_CONCURRENT", "100")
}

#[actix_web::test]
async fn a_url_without_a_path_is_the_daemons_own_route_and_webhooks_come_in() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator).start(&database).await;
    for given in [daemon.url.clone(), format!("{}/", daemon.url), daemon.webhook_url() + "/"] {
        let set = daemon.put_json(CONFIG, &json!({"webhook_url": given})).await.ok();
        assert_eq!(set["config"]["webhook_url"], daemon.webhook_url(), "{given}");
    }
    assert_eq!(daemon.polling().await["is_active"], false);
    let id = daemon.submit(&json!({"webhook_url": daemon.url})).await;
    let taken = daemon.taken(&id).await;
    simulator.set_status(&taken, Status::Processing).expect("it starts");
    daemon
        .job_when(&id, |job| job["status"] == "running" && job["confirmed_by"] == "webhook")
        .await;
}

#[rstest]
#[case::misspelt("/api/webhook/replicate")]
#[case::doubled("//api/webhooks/replicate")]
#[case::of_another("/api/webhooks/cog")]
#[case::of_its_own("/hooks/replicate")]
#[actix_web::test]
async fn a_path_that_is_no_route_is_refused_unless_a_proxy_changes_it(#[case] path: &str) {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator).start(&database).await;
    let url = format!("https://jobs.example{path}");
    let refused = daemon.put_json(CONFIG, &json!({"webhook_url": url})).await;
    let refused = refused.error(422, "invalid_value");
    let detail = refused["detail"].as_str().expect("words");
    assert!(detail.contains("https://jobs.example/api/webhooks/replicate"), "{detail}");
    assert_eq!(daemon.get(CONFIG).await.ok()["config"]["webhook_url"], Value::Null);

    let job = json!({"hardware_profile": "h100", "config": {}, "webhook_url": url});
    daemon.post_json("/api/cloud/jobs/submit", &job).await.error(422, "invalid_value");

    let rewritten = json!({"webhook_url": url, "webhook_url_is_rewritten": true});
    let set = daemon.put_json(CONFIG, &rewritten).await.ok();
    assert_eq!(set["config"]["webhook_url"], url);
}

/// Submits jobs whose webhooks go to `url`, and has them run at the provider.
async fn begin(daemon: &TestDaemon, simulator: &Simulator, url: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let fields = json!({"webhook_url": url, "webhook_url_is_rewritten": true});
        let id = daemon.submit(&fields).await;
        let taken = daemon.taken(&id).await;
        simulator.update_job(&taken, JobUpdate::status(Status::Processing)).expect("it starts");
        ids.push(taken);
    }
    ids
}

fn component<'a>(health: &'a Value, name: &str) -> &'a Value {
    let components = health["components"].as_array().expect("components");
    components.iter().find(|component| component["name"] == name).expect("the component")
}

#[actix_web::test]
async fn webhooks_that_do_not_come_are_told_once_and_polling_stands_in_until_they_come() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator).start(&database).await;
    let leads_nowhere = format!("{}/hook", daemon.url);
    let rewritten = json!({"webhook_url": leads_nowhere, "webhook_url_is_rewritten": true});
    daemon.put_json(CONFIG, &rewritten).await.ok();
    assert_eq!(daemon.polling().await["is_active"], false);
    let mut events = daemon.events().await;
    let jobs = begin(&daemon, &simulator, &leads_nowhere, 3).await;

    daemon.refresh().await;
    let told = events.next_of("webhooks_silent").await;
    assert_eq!(told["provider"], "replicate", "{told}");
    assert_eq!(told["job_ids"].as_array().map(Vec::len), Some(3), "{told}");
    let polling = daemon.polling().await;
    assert_eq!(
        (&polling["is_active"], &polling["reason"]),
        (&json!(true), &json!("webhooks_silent"))
    );
    let health = daemon.get("/health").await.ok();
    let replicate = component(&health, "replicate");
    assert_eq!((&health["status"], &replicate["status"]), (&json!("degraded"), &json!("degraded")));
    let words = replicate["message"].as_str().expect("words");
    assert!(words.contains("webhooks are silent") && words.contains("/hook"), "{words}");

    // One that comes ends it.
    let body = json!({"id": jobs[0], "status": "processing"});
    Signer::new(simulator.webhook_secret()).deliver(&daemon, "msg_1", body).await.ok();
    daemon.answer_when("/api/cloud/polling/status", |polling| polling["is_active"] == false).await;
    assert_eq!(component(&daemon.get("/health").await.ok(), "replicate")["status"], "healthy");
}

#[actix_web::test]
async fn where_webhooks_come_asking_as_well_is_no_silence() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator).start(&database).await;
    daemon.put_json(CONFIG, &json!({"webhook_url": daemon.webhook_url()})).await.ok();
    let jobs = begin(&daemon, &simulator, &daemon.webhook_url(), 4).await;
    daemon.refresh().await;
    for job in &jobs {
        simulator.set_status(job, Status::Succeeded).expect("it ends");
    }
    daemon.refresh().await;
    simulator.deliveries_settled().await;
    let monitor = &daemon.daemon.tasks().doors().webhook_monitor;
    let silence = jobsyncd::actors::webhook_monitor::GetWebhookSilence { provider: "replicate" };
    assert_eq!(monitor.send(silence).await.expect("a monitor"), Ok(None));
}

async fn test(daemon: &TestDaemon, request: Value) -> Value {
    daemon.post_json("/api/webhooks/test", &request).await.ok()
}

#[actix_web::test]
async fn a_test_says_what_it_reached() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator).start(&database).await;
    let reached = test(&daemon, json!({"webhook_url": daemon.url})).await;
    assert_eq!(
        (&reached["success"], &reached["message"], &reached["webhook_url"]),
        (&json!(true), &json!("reached this daemon"), &json!(daemon.webhook_url())),
    );

    let other_database = TestDatabase::new(Backend::Sqlite);
    let other = TestDaemon::builder()
        .with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET)
        .start(&other_database)
        .await;
    for elsewhere in [other.webhook_url(), format!("{}/hook", daemon.url)] {
        let reached = test(&daemon, json!({"webhook_url": elsewhere})).await;
        assert_eq!(reached["message"], "reached something else", "{reached}");
        assert_eq!(reached["success"], false, "{reached}");
    }
    let nothing = test(&daemon, json!({"webhook_url": "http://127.0.0.1:1/"})).await;
    assert_eq!(
        (&nothing["message"], &nothing["success"]),
        (&json!("reached nothing"), &json!(false))
    );
    assert!(nothing["error"].is_string(), "{nothing}");
}

#[actix_web::test]
async fn a_test_that_comes_in_at_the_route_of_another_provider_says_so() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator)
        .with("JOBSYNCD__PROVIDERS__COG__BASE_URL", "http://127.0.0.1:1")
        .start(&database)
        .await;
    let url = format!("{}/api/webhooks/cog", daemon.url);
    let reached = test(&daemon, json!({"webhook_url": url})).await;
    assert_eq!(
        (&reached["success"], &reached["message"]),
        (&json!(false), &json!("reached this daemon"))
    );
    let error = reached["error"].as_str().expect("words");
    assert!(error.contains("of cog") && error.contains("of replicate"), "{error}");
    let reached = test(&daemon, json!({"webhook_url": url, "provider": "cog"})).await;
    assert_eq!(reached["success"], true, "{reached}");
}

/// Something that repeats what it gets, with the same headers.
async fn echo() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    actix_web::rt::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 16_384];
            let bytes = socket.read(&mut request).await.unwrap_or_default();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n");
            let _ = socket.write_all(head.as_bytes()).await;
            let _ = socket.write_all(&request[..bytes]).await;
        }
    });
    url
}

#[actix_web::test]
async fn an_echo_is_not_taken_for_this_daemon() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator).start(&database).await;
    let reached = test(&daemon, json!({"webhook_url": format!("{}x", echo().await)})).await;
    assert_eq!(reached["message"], "reached something else", "{reached}");
}

#[actix_web::test]
async fn a_test_of_another_process_is_no_test_here() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator).start(&database).await;
    let headers = [
        ("webhook-id", "jobsyncd-test-6d3c.YWJj"),
        ("webhook-timestamp", "1"),
        ("webhook-signature", "v1,YWJj"),
    ];
    let route = "/api/webhooks/replicate";
    let answer = daemon.request(Method::POST, route, &headers, Some(b"{}".to_vec())).await;
    answer.error(401, "bad_signature");
}

#[actix_web::test]
async fn a_configured_path_that_is_no_route_stops_the_start_with_the_right_one() {
    use jobsyncd::config::{Config, Sources};
    let load = |url: &str, is_rewritten: &str| {
        Config::load(&Sources::from_environment([
            ("JOBSYNCD__DATABASE__URL", "sqlite:///tmp/jobs.db"),
            (WEBHOOK_URL, url),
            ("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_URL_IS_REWRITTEN", is_rewritten),
        ]))
    };
    let right = "https://jobs.example/api/webhooks/replicate";
    let bare = load("https://jobs.example", "false").expect("a good configuration");
    assert_eq!(bare.providers.replicate.webhook_url.as_ref().map(|url| url.as_str()), Some(right));
    let refused = load("https://jobs.example/hook", "false").expect_err("no route").to_string();
    assert!(refused.contains(right) && refused.contains("webhook_url"), "{refused}");
    load("https://jobs.example/hook", "true").expect("a proxy changes it");
}
