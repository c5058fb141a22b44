//! Notifications by the routes of SimpleTuner's command line and page.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};
use crate::support::receiver::{Receiver, SECRET, fail, telling};

const ROOT: &str = "/api/cloud/notifications";

async fn read(daemon: &TestDaemon, path: &str) -> Value {
    daemon.get(&format!("{ROOT}{path}")).await.ok()
}

#[rstest]
#[actix_web::test]
async fn simpletuners_clients_read_the_channels_their_history_and_the_status(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let receiver = Receiver::start();
    receiver.answer_next(&[200, 410]);
    let database = TestDatabase::new(backend);
    let url = &receiver.url;
    let channels = format!(
        "{{chat: {{url: '{url}/services/very-secret', format: slack, events: [failed, budget]}}, \
          own: {{url: '{url}/own', secret: '{SECRET}', events: [completed]}}}}"
    );
    let daemon = telling(&simulator, &channels).start(&database).await;
    fail(&simulator, &daemon, 2).await;
    let told = |answer: &Value| answer["stats"]["delivered"] == 1 && answer["stats"]["failed"] == 1;
    let status = daemon.answer_when(&format!("{ROOT}/status"), told).await;
    assert_eq!(status["initialized"], true);
    let by_type = json!({"email": 0, "slack": 1, "webhook": 1});
    assert_eq!(status["channels"], json!({"total": 2, "enabled": 2, "by_type": by_type}));
    assert_eq!(status["response_handlers"], json!({"total": 0, "running": 0}));

    let listed = read(&daemon, "/channels").await;
    assert_eq!(listed["total"], 2);
    let chat = &listed["channels"][0];
    assert_eq!((&chat["id"], &chat["name"]), (&json!(1), &json!("chat")));
    assert_eq!((&chat["channel_type"], &chat["is_enabled"]), (&json!("slack"), &json!(true)));
    // Clients make a URL of it; the rest of it is a secret.
    assert_eq!(chat["webhook_url"], *url);
    assert_eq!(read(&daemon, "/channels/1").await, *chat);
    assert_eq!(read(&daemon, "/channels/chat").await, *chat);

    let history = read(&daemon, "/history?limit=20").await;
    let entries = history["entries"].as_array().expect("a list");
    assert_eq!((entries.len(), &history["total"]), (2, &json!(2)));
    let states: Vec<_> = entries.iter().map(|entry| &entry["delivery_status"]).collect();
    assert_eq!(states, ["failed", "delivered"]);
    for entry in entries {
        assert_eq!((&entry["channel_id"], &entry["event_type"]), (&json!(1), &json!("job.failed")));
        // What clients cut to a column is a text.
        for field in ["sent_at", "event_type", "recipient", "delivery_status"] {
            assert!(entry[field].is_string(), "{field}: {entry}");
        }
    }
    assert_eq!(entries[0]["error_message"], "the receiver answered 410: said no");
    let job = entries[0]["job_id"].as_str().expect("a job");
    let of_job = read(&daemon, &format!("/history?job_id={job}")).await;
    assert_eq!(of_job["entries"], json!([entries[0]]));
    for path in ["/history?channel_id=2", "/history?channel_id=7", "/history?job_id=%25"] {
        assert_eq!(read(&daemon, path).await["entries"], json!([]), "{path}");
    }
    daemon.get(&format!("{ROOT}/history?limit=0")).await.error(422, "invalid_value");
    daemon.stop().await;
    receiver.server.stop(false).await;
}

#[actix_web::test]
async fn simpletuners_clients_test_a_channel_by_its_number() {
    let simulator = simulator().await;
    let receiver = Receiver::start();
    let database = TestDatabase::new(Backend::Sqlite);
    let channels = format!("{{own: {{url: '{}'}}}}", receiver.url);
    let daemon = telling(&simulator, &channels).start(&database).await;
    let test = format!("{ROOT}/channels/1/test");
    let sent = daemon.post(&test).await.ok();
    assert_eq!((&sent["success"], &sent["error"]), (&json!(true), &Value::Null));
    assert!(sent["latency_ms"].is_number(), "{sent}");
    receiver.answer_next(&[503]);
    let refused = daemon.post(&test).await.ok();
    assert_eq!(refused["error"], "the receiver answered 503: said no");
    assert_eq!(receiver.so_far().len(), 2);
    daemon.post(&format!("{ROOT}/channels/2/test")).await.error(404, "unknown_channel");
    daemon.get(&format!("{ROOT}/channels/2")).await.error(404, "unknown_channel");
    // Channels are configuration, and are not made here.
    daemon
        .post_json(&format!("{ROOT}/channels"), &json!({}))
        .await
        .error(405, "method_not_allowed");
    daemon.stop().await;
    receiver.server.stop(false).await;
}

#[actix_web::test]
async fn simpletuners_clients_read_what_there_is_to_be_told_and_who_is_told_of_it() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with(
            "JOBSYNCD__NOTIFICATIONS__CHANNELS",
            "{chat: {url: 'https://chat.example/x', events: [failed, budget]}}",
        )
        .start(&database)
        .await;
    let types = read(&daemon, "/events").await;
    let types = types["event_types"].as_array().expect("a list");
    for id in ["job.completed", "job.failed", "job.cancelled", "cost.warning", "cost.exceeded"] {
        assert!(
            types.iter().any(|event| event["id"] == id && event["category"].is_string()),
            "{id}"
        );
    }
    let preferences = read(&daemon, "/preferences").await;
    let preferences = preferences["preferences"].as_array().expect("a list");
    let told: Vec<_> = preferences.iter().map(|told| &told["event_type"]).collect();
    assert_eq!(told, ["job.failed", "cost.warning", "cost.exceeded"]);
    assert!(preferences.iter().all(|told| told["channel_id"] == 1 && told["is_enabled"] == true));
    assert_eq!(read(&daemon, "/presets").await, json!({"presets": []}));
    let skipped = daemon.post(&format!("{ROOT}/skip")).await.ok();
    assert_eq!(skipped, json!({"success": true}));
    daemon.stop().await;
}
