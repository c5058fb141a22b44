//! The limit on spending, as SimpleTuner's command line and page set and show it.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase};

const CONFIG: &str = "/api/cloud/providers/replicate/config";

async fn change(daemon: &TestDaemon, fields: Value) -> (Value, Value) {
    let config = daemon.put_json(CONFIG, &fields).await.ok()["config"].take();
    assert_eq!(daemon.get(CONFIG).await.ok()["config"], config);
    (config["cost_limit_enabled"].clone(), config["cost_limit_amount"].clone())
}

#[actix_web::test]
async fn the_amount_of_a_limit_is_a_number_also_where_there_is_none() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    let config = daemon.get(CONFIG).await.ok()["config"].take();
    assert_eq!(config["cost_limit_amount"], 0.0);
    assert_eq!(config["cost_limit_enabled"], false);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_limit_is_switched_off_and_on_again_and_keeps_its_amount(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().start(&database).await;
    let limit = json!({
        "cost_limit_enabled": true, "cost_limit_amount": 25.5, "cost_limit_period": "weekly",
        "cost_limit_action": "block",
    });
    assert_eq!(change(&daemon, limit).await, (json!(true), json!(25.5)));
    let off = json!({"cost_limit_enabled": false});
    assert_eq!(change(&daemon, off).await, (json!(false), json!(25.5)));
    let status = daemon.get("/api/cloud/cost-limit/status").await.ok();
    assert_eq!((&status["enabled"], &status["is_exceeded"]), (&json!(false), &json!(false)));
    daemon.stop().await;

    // It is remembered over a restart, with all that belongs to it.
    let daemon = TestDaemon::builder().start(&database).await;
    let on = json!({"cost_limit_enabled": true});
    assert_eq!(change(&daemon, on).await, (json!(true), json!(25.5)));
    let status = daemon.get("/api/cloud/cost-limit/status").await.ok();
    assert_eq!((&status["enabled"], &status["limit_amount"]), (&json!(true), &json!(25.5)));
    assert_eq!((&status["period"], &status["action"]), (&json!("weekly"), &json!("block")));
    daemon.stop().await;
}

#[actix_web::test]
async fn the_page_first_switches_a_limit_on_and_then_gives_it_an_amount() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    let on = json!({"cost_limit_enabled": true});
    assert_eq!(change(&daemon, on).await, (json!(true), json!(0.0)));
    // Until then nothing is limited, least of all to nothing.
    let status = daemon.get("/api/cloud/cost-limit/status").await.ok();
    assert_eq!((&status["enabled"], &status["is_exceeded"]), (&json!(false), &json!(false)));
    let amount = json!({"cost_limit_amount": 10});
    assert_eq!(change(&daemon, amount).await, (json!(true), json!(10.0)));
    let status = daemon.get("/api/cloud/cost-limit/status").await.ok();
    assert_eq!((&status["enabled"], &status["limit_amount"]), (&json!(true), &json!(10.0)));
    daemon.stop().await;
}

#[rstest]
#[case::zero(json!({"cost_limit_amount": 0}), false)]
#[case::zero_and_on(json!({"cost_limit_enabled": true, "cost_limit_amount": 0.0}), true)]
#[case::empty(json!({"cost_limit_amount": null}), false)]
#[actix_web::test]
async fn an_amount_of_nothing_limits_nothing(#[case] fields: Value, #[case] enabled: bool) {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    change(&daemon, json!({"cost_limit_amount": 10, "cost_limit_action": "block"})).await;
    assert_eq!(change(&daemon, fields).await, (json!(enabled), json!(0.0)));
    let status = daemon.get("/api/cloud/cost-limit/status").await.ok();
    assert_eq!((&status["enabled"], &status["is_exceeded"]), (&json!(false), &json!(false)));
    daemon.stop().await;
}
