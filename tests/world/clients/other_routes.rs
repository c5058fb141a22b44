//! What SimpleTuner's clients call besides: the queue by user, the provider's state, and the configuration.

use jobsyncd::simulator::{ErrorBody, Fault, FaultKind};
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};

const CONFIG: &str = "/api/cloud/providers/replicate/config";

#[actix_web::test]
async fn the_queue_answers_for_states_and_users_of_simpletuners() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__BACKGROUND__QUEUE_PROCESSING__ENABLED", "false")
        .start(&database)
        .await;
    daemon.submit(&json!({"user_id": "ann"})).await;
    let of_ben = daemon.submit(&json!({"user_id": 7})).await;
    for status in ["blocked", "ready", "blocked,ready"] {
        let list = daemon.get(&format!("/api/queue?status={status}")).await.ok();
        assert_eq!((&list["entries"], &list["total_pending"]), (&json!([]), &json!(2)), "{status}");
    }
    let mixed = daemon.get("/api/queue?status=blocked,pending").await.ok();
    assert_eq!(mixed["entries"].as_array().map(Vec::len), Some(2));
    daemon.get("/api/queue?status=stuck").await.error(400, "unknown_value");

    let counts = |answer: &Value| {
        ["pending_count", "running_count", "blocked_count", "best_position"]
            .map(|field| answer[field].as_i64())
    };
    let me = daemon.get("/api/queue/me").await.ok();
    assert_eq!(counts(&me), [Some(2), Some(0), Some(0), Some(1)]);
    let ben = daemon.get("/api/queue/user/7").await.ok();
    assert_eq!(counts(&ben), [Some(1), Some(0), Some(0), Some(2)]);
    assert_eq!(ben["pending_jobs"][0]["job_id"], of_ben);
    let nobody = daemon.get("/api/queue/user/nobody").await.ok();
    assert_eq!(counts(&nobody), [Some(0), Some(0), Some(0), None]);

    let stats = daemon.get("/api/queue/stats").await.ok();
    assert_eq!(stats["team_max_concurrent"], stats["max_concurrent"]);
    assert_eq!(stats["enable_fair_share"], false);
    let limits = json!({
        "max_concurrent": 4, "user_max_concurrent": 2, "team_max_concurrent": 9, "enable_fair_share": true,
    });
    let set = daemon.post_json("/api/queue/concurrency", &limits).await.ok();
    assert_eq!((&set["max_concurrent"], &set["team_max_concurrent"]), (&json!(4), &json!(4)));
    assert_eq!(set["enable_fair_share"], false, "it says what holds, not what was asked for");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_filter_by_a_provider_that_nobody_knows_finds_nothing() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    daemon.submit(&json!({})).await;
    let none = daemon.get("/api/cloud/jobs?provider=simpletuner_io").await.ok();
    assert_eq!((&none["jobs"], &none["total"]), (&json!([]), &json!(0)));
    assert_eq!(daemon.get("/api/cloud/jobs?provider=Replicate").await.ok()["total"], 1);
    assert_eq!(daemon.get("/api/metrics?provider=modal").await.ok()["job_count"], 0);
    daemon.get("/api/cloud/providers/modal/config").await.error(404, "unknown_provider");
    daemon.stop().await;
}

#[actix_web::test]
async fn the_state_of_the_provider_is_told_as_it_is_seen_from_here() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    daemon.sync().await;
    let breaker = |answer: Value| answer["circuit_breakers"][0].clone();
    let closed = breaker(daemon.get("/api/metrics/circuit-breakers").await.ok());
    assert_eq!((&closed["name"], &closed["state"]), (&json!("replicate"), &json!("closed")));
    assert_eq!((&closed["failure_count"], &closed["retry_after"]), (&json!(0), &json!(null)));
    assert!(closed["success_count"].as_u64() > Some(0) && closed["last_success"].is_string());
    for path in ["/api/cloud/replicate/status", "/api/cloud/system-status"] {
        let status = daemon.get(path).await.ok();
        assert_eq!((&status["operational"], &status["error"]), (&json!(true), &json!(null)));
        for list in ["ongoing_incidents", "in_progress_maintenances", "scheduled_maintenances"] {
            assert_eq!(status[list], json!([]), "{path}");
        }
        assert!(status["status_page_url"].is_string());
    }

    for _ in 0..30 {
        let kind = FaultKind::ServerError { status: 503, body: ErrorBody::Html };
        simulator.fail_next(Fault::new("GET /predictions", kind));
    }
    let mut open = json!(null);
    for _ in 0..6 {
        daemon.post("/api/cloud/jobs/sync").await;
        open = breaker(daemon.get("/api/metrics/circuit-breakers").await.ok());
        if open["state"] == "open" {
            break;
        }
    }
    assert_eq!(open["state"], "open", "{open}");
    assert!(
        open["failure_count"].as_u64() >= Some(5) && open["last_failure"].is_string(),
        "{open}"
    );
    assert!(open["retry_after"].as_u64().is_some(), "{open}");
    let status = daemon.get("/api/cloud/system-status").await.ok();
    assert_eq!(status["operational"], false);
    assert_eq!(status["ongoing_incidents"].as_array().map(Vec::len), Some(1));
    daemon.stop().await;
}

#[actix_web::test]
async fn every_component_of_health_says_something() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let health = daemon.get("/api/cloud/health?include_replicate=true").await.ok();
    for component in health["components"].as_array().expect("a list") {
        assert!(component["message"].as_str().is_some_and(|text| !text.is_empty()), "{component}");
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn the_webhook_test_answers_at_simpletuners_path_too() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    let url = json!({"webhook_url": format!("{}/health/live", daemon.url), "timeout": 5});
    let answer = daemon.post_json("/api/cloud/webhook/test", &url).await.ok();
    assert!(answer["success"].is_boolean() && answer.get("latency_ms").is_some(), "{answer}");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_configuration_that_is_sent_back_as_it_was_shown_is_taken_and_a_change_is_not_lost_silently()
 {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    let mut shown = daemon.get(CONFIG).await.ok()["config"].take();
    for (field, value) in [
        ("version_override", json!(null)),
        ("hardware_profile", json!("h100")),
        ("ssl_verify", json!(true)),
        ("ssl_ca_bundle", json!(null)),
        ("proxy_url", json!(null)),
        ("webhook_allowed_ips", json!([])),
    ] {
        assert_eq!(shown.get(field), Some(&value), "{field}");
    }
    assert!(shown["http_timeout"].is_u64() && shown["webhook_require_signature"].is_boolean());
    let fields = shown.as_object_mut().expect("an object");
    fields.retain(|name, _| !name.starts_with("has_"));
    fields.insert("cost_limit_amount".to_owned(), json!(3.5));
    let set = daemon.put_json(CONFIG, &json!(fields)).await.ok();
    assert_eq!(set["config"]["cost_limit_amount"], 3.5);
    for change in [
        json!({"ssl_verify": false}),
        json!({"http_timeout": 5}),
        json!({"proxy_url": "http://proxy.example:3128"}),
        json!({"webhook_require_signature": false}),
        json!({"cost_limit_amount": 99, "ssl_verify": false}),
    ] {
        daemon.put_json(CONFIG, &change).await.error(422, "invalid_value");
    }
    assert_eq!(daemon.get(CONFIG).await.ok()["config"]["cost_limit_amount"], 3.5);
    daemon.stop().await;
}

#[actix_web::test]
async fn the_proxy_in_force_is_shown_without_its_credentials() {
    let database = TestDatabase::new(Backend::Sqlite);
    let proxy = "http://ann:never-to-be-seen@proxy.example:3128";
    let daemon =
        TestDaemon::builder().with("JOBSYNCD__NETWORK__PROXY_URL", proxy).start(&database).await;
    let config = daemon.get(CONFIG).await.ok()["config"].take();
    assert_eq!(config["proxy_url"], "http://proxy.example:3128");
    daemon.stop().await;
}
