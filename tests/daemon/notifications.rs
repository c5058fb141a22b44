//! What people are told outside: each end and alarm once to each channel, signed, and again until it arrives.

use jobsyncd::simulator::Status;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};
use crate::support::receiver::{Receiver, SECRET, fail, running, telling};

#[rstest]
#[actix_web::test]
async fn an_end_is_told_once_signed_and_in_the_form_of_each_channel(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let receiver = Receiver::start();
    let database = TestDatabase::new(backend);
    let url = &receiver.url;
    let channels = format!(
        "{{own: {{url: '{url}/own?key=hidden', secret: '{SECRET}'}}, \
          chat: {{url: '{url}/chat', format: slack, events: [failed]}}, \
          push: {{url: '{url}/push', format: ntfy}}}}"
    );
    // An old job that is imported is no news.
    let old = running(&simulator);
    simulator.set_status(&old, Status::Succeeded).expect("it ends");
    let daemon = telling(&simulator, &channels).start(&database).await;
    daemon.sync().await;
    let id = running(&simulator);
    daemon.sync().await;
    simulator.set_status(&id, Status::Succeeded).expect("it ends");
    daemon.refresh().await;

    let arrived = receiver.arrived(2).await;
    let of = |path: &str| arrived.iter().find(|one| one.path == path).expect("a message").clone();
    let own = of("/own");
    assert!(own.is_signed(), "{own:?}");
    let told = own.json();
    assert_eq!((&told["type"], &told["data"]["job_id"]), (&json!("job.completed"), &json!(id)));
    assert_eq!(told["data"]["status"], "completed");
    let push = of("/push");
    assert!(push.header("title").is_some_and(|title| title.ends_with("completed")), "{push:?}");
    assert!(push.header("webhook-signature").is_none());

    // Asking again, and a restart, tell nothing twice.
    daemon.refresh().await;
    daemon.stop().await;
    let daemon = telling(&simulator, &channels).start(&database).await;
    fail(&simulator, &daemon, 1).await;
    let arrived = receiver.arrived(5).await;
    assert_eq!(arrived.len(), 5, "{arrived:#?}");
    let paths: Vec<_> = arrived.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths.iter().filter(|path| **path == "/chat").count(), 1);
    let shown = daemon.get("/api/notifications").await.ok();
    assert!(!shown.to_string().contains("hidden"), "{shown}");
    let channel = &shown["channels"][1];
    assert_eq!((&channel["name"], &channel["host"]), (&json!("own"), &json!("127.0.0.1")));
    daemon.stop().await;
    receiver.server.stop(false).await;
}

#[rstest]
#[actix_web::test]
async fn a_message_that_did_not_arrive_is_sent_again_under_the_same_identifier(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let receiver = Receiver::start();
    receiver.answer_next(&[500]);
    let database = TestDatabase::new(backend);
    let channels = format!("{{own: {{url: '{}', secret: '{SECRET}'}}}}", receiver.url);
    let daemon = telling(&simulator, &channels).start(&database).await;
    fail(&simulator, &daemon, 1).await;
    receiver.arrived(1).await;
    let waits = |answer: &Value| answer["channels"][0]["pending"] == 1;
    let shown = daemon.answer_when("/api/notifications", waits).await;
    let error = |answer: &Value| answer["channels"][0]["last_error"].is_string();
    daemon.answer_when("/api/notifications", error).await;
    assert_eq!(shown["channels"][0]["dead"], 0);
    let health = daemon.get("/health").await.ok();
    let components = health["components"].as_array().expect("a list");
    let told = components.iter().find(|one| one["name"] == "notifications").expect("a component");
    assert_eq!(told["status"], "degraded", "{told}");
    // What is to be told is not forgotten with the daemon.
    daemon.stop().await;
    let daemon = telling(&simulator, &channels).start(&database).await;
    let arrived = receiver.arrived(2).await;
    assert_eq!(arrived[0].header("webhook-id"), arrived[1].header("webhook-id"));
    assert_eq!(arrived[0].body, arrived[1].body);
    assert!(arrived[1].is_signed());
    let done = |answer: &Value| answer["channels"][0]["delivered_at"].is_string();
    daemon.answer_when("/api/notifications", done).await;
    daemon.stop().await;
    receiver.server.stop(false).await;
}

#[rstest]
#[actix_web::test]
async fn what_is_refused_for_good_is_a_dead_letter_and_can_be_sent_again(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let receiver = Receiver::start();
    receiver.answer_next(&[410]);
    let database = TestDatabase::new(backend);
    let channels = format!("{{own: {{url: '{}', secret: '{SECRET}'}}}}", receiver.url);
    let daemon = telling(&simulator, &channels).start(&database).await;
    fail(&simulator, &daemon, 1).await;
    let has_one = |answer: &Value| answer["dead_letters"][0].is_object();
    let dead = daemon.answer_when("/api/notifications/dead-letters", has_one).await;
    let letter = &dead["dead_letters"][0];
    assert_eq!((&letter["channel"], &letter["attempts"]), (&json!("own"), &json!(1)));
    assert_eq!(letter["last_error"], "the receiver answered 410: said no");
    let path = format!("/api/notifications/dead-letters/{}/retry", letter["id"]);
    daemon.post(&path).await.ok();
    receiver.arrived(2).await;
    let is_empty = |answer: &Value| answer["dead_letters"] == json!([]);
    daemon.answer_when("/api/notifications/dead-letters", is_empty).await;
    daemon.post(&path).await.error(404, "dead_letter_not_found");
    let none = "/api/notifications/dead-letters/x/retry";
    daemon.post(none).await.error(404, "dead_letter_not_found");
    daemon.stop().await;
    receiver.server.stop(false).await;
}

#[rstest]
#[actix_web::test]
async fn a_channel_that_was_taken_away_is_told_nothing_of_the_time_when_it_is_back(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let receiver = Receiver::start();
    receiver.answer_next(&[500]);
    let database = TestDatabase::new(backend);
    let channels = format!("{{own: {{url: '{}'}}}}", receiver.url);
    let daemon = telling(&simulator, &channels).start(&database).await;
    fail(&simulator, &daemon, 1).await;
    receiver.arrived(1).await;
    daemon.stop().await;
    let daemon = telling(&simulator, "{}").start(&database).await;
    let dead = daemon.get("/api/notifications/dead-letters").await.ok();
    assert_eq!(dead["dead_letters"][0]["last_error"], "the channel is not configured any more");
    fail(&simulator, &daemon, 1).await;
    daemon.stop().await;
    let daemon = telling(&simulator, &channels).start(&database).await;
    fail(&simulator, &daemon, 1).await;
    let arrived = receiver.arrived(2).await;
    let newest = daemon.get("/api/cloud/jobs?limit=1").await.ok();
    assert_eq!(arrived[1].json()["data"]["job_id"], newest["jobs"][0]["job_id"]);
    daemon.stop().await;
    receiver.server.stop(false).await;
}

#[actix_web::test]
async fn a_channel_can_be_tried_out() {
    let simulator = simulator().await;
    let receiver = Receiver::start();
    let database = TestDatabase::new(Backend::Sqlite);
    let channels = format!("{{chat: {{url: '{}', format: discord}}}}", receiver.url);
    let daemon = telling(&simulator, &channels).start(&database).await;
    let sent = daemon.post("/api/notifications/chat/test").await.ok();
    assert_eq!((&sent["success"], &sent["status_code"]), (&json!(true), &json!(200)));
    let told = receiver.arrived(1).await[0].json();
    assert_eq!(told["embeds"][0]["title"], "jobsyncd: this is a test");
    receiver.answer_next(&[404]);
    let refused = daemon.post("/api/notifications/chat/test").await.ok();
    assert_eq!((&refused["success"], &refused["status_code"]), (&json!(false), &json!(404)));
    receiver.server.stop(false).await;
    let nobody = daemon.post("/api/notifications/chat/test").await.ok();
    assert_eq!(nobody["success"], false);
    let error = nobody["error"].as_str().expect("words");
    assert!(error.starts_with("127.0.0.1 cannot be reached"), "{error}");
    daemon.post("/api/notifications/other/test").await.error(404, "unknown_channel");
    daemon.stop().await;
}

#[actix_web::test]
async fn private_addresses_are_refused_also_behind_a_name() {
    let receiver = Receiver::start();
    let database = TestDatabase::new(Backend::Sqlite);
    let port = receiver.url.rsplit(':').next().expect("a port");
    let channels = format!("{{chat: {{url: 'http://localhost:{port}/', format: slack}}}}");
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__NOTIFICATIONS__CHANNELS", channels)
        .start(&database)
        .await;
    let refused = daemon.post("/api/notifications/chat/test").await.ok();
    assert_eq!(refused["success"], false);
    let error = refused["error"].as_str().expect("words");
    assert!(error.contains("private network"), "{error}");
    assert!(receiver.arrived(0).await.is_empty());
    daemon.stop().await;
    receiver.server.stop(false).await;
}
