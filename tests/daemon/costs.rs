//! Money: what jobs cost, what may be spent, and what a job will probably cost.

use chrono::{Duration, Utc};
use jobsyncd::simulator::{JobSpec, JobUpdate, Simulator, Status};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};

/// A job on an H100 that ran for so many seconds and ended well just now.
fn ran_for(simulator: &Simulator, seconds: i64) -> String {
    let ended = Utc::now();
    let started_at = ended - Duration::seconds(seconds);
    let spec = JobSpec { created_at: Some(started_at), ..JobSpec::manual() };
    let id = simulator.create_job(spec).expect("a job");
    let update = JobUpdate {
        started_at: Some(started_at),
        completed_at: Some(ended),
        ..JobUpdate::status(Status::Succeeded)
    };
    simulator.update_job(&id, update).expect("it ends");
    id
}

async fn status(daemon: &TestDaemon) -> Value {
    daemon.get("/api/cloud/cost-limit/status").await.ok()
}

#[rstest]
#[actix_web::test]
async fn a_limit_is_warned_of_once_told_once_and_then_blocks(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let start = async || {
        let daemon = TestDaemon::builder().tracking(&simulator);
        daemon.with("JOBSYNCD__COSTS__PERIOD", "daily").start(&database).await
    };
    let daemon = start().await;
    let off = status(&daemon).await;
    assert_eq!((&off["enabled"], &off["limit_amount"]), (&json!(false), &json!(null)));
    assert_eq!(off["message"], "Cost limits not configured");
    let mut events = daemon.events().await;

    // 1000 seconds of an H100 are $1.525.
    ran_for(&simulator, 1_000);
    daemon.sync().await;
    let config = "/api/cloud/providers/replicate/config";
    let limit = |usd: f64, action: &str| {
        json!({
            "cost_limit_enabled": true, "cost_limit_amount": usd, "cost_limit_period": "monthly",
            "cost_limit_action": action,
        })
    };
    let set = daemon.put_json(config, &limit(1.8, "block")).await.ok();
    assert_eq!(set["config"]["cost_limit_amount"], 1.8);
    let warned = status(&daemon).await;
    assert_eq!((&warned["is_warning"], &warned["is_exceeded"]), (&json!(true), &json!(false)));
    assert_eq!((&warned["current_spend"], &warned["percent_used"]), (&json!(1.525), &json!(84.7)));
    assert_eq!(warned["period"], "monthly");
    let event = events.next_of("budget_warning").await;
    assert_eq!((&event["limit_usd"], &event["spent_usd"]), (&json!(1.8), &json!(1.525)));
    let request =
        json!({"model": "simpletuner/advanced-trainer-h100", "input": {"_simulator": "manual"}});
    let answer = daemon.post_json("/api/cloud/jobs/submit", &request).await.ok();
    assert_eq!(answer["cost_limit_warning"], "Approaching limit: $1.52 / $1.80 (monthly)");

    ran_for(&simulator, 500);
    daemon.sync().await;
    // Setting the same limit again makes it look at once, and tells nothing twice.
    daemon.put_json(config, &limit(1.8, "block")).await.ok();
    let event = events.next_of("budget_exceeded").await;
    assert_eq!((&event["action"], &event["period"]), (&json!("block"), &json!("monthly")));
    let refused = daemon.post_json("/api/cloud/jobs/submit", &request).await;
    let retry_after: u64 =
        refused.header("retry-after").expect("a header").parse().expect("a number");
    assert!((1..=31 * 86_400).contains(&retry_after), "{retry_after}");
    let refused = refused.error(429, "spending_limit_reached");
    assert!(refused["detail"].as_str().is_some_and(|words| words.contains("$2.29 / $1.80")));
    let told = events_so_far(&daemon).await;
    daemon.stop().await;

    let daemon = start().await;
    daemon.put_json(config, &limit(1.8, "warn")).await.ok();
    let answer = daemon.post_json("/api/cloud/jobs/submit", &request).await.ok();
    let words = answer["cost_limit_warning"].as_str().expect("words");
    assert!(words.starts_with("Spending limit exceeded"), "{words}");
    assert_eq!(events_so_far(&daemon).await, told, "nothing is told twice");
    let off = daemon.put_json(config, &json!({"cost_limit_enabled": false})).await.ok();
    assert_eq!(off["config"]["cost_limit_enabled"], false);
    assert_eq!(status(&daemon).await["enabled"], false);
    daemon.stop().await;
}

/// How often each of the two was told.
async fn events_so_far(daemon: &TestDaemon) -> (usize, usize) {
    let mut stream = crate::support::stream::EventStream::open(&daemon.url, Some("0")).await;
    let newest = daemon.get("/api/cloud/jobs").await.ok()["total"].clone();
    assert!(newest.is_number());
    let (mut warnings, mut exceeded) = (0, 0);
    let mut seq = None;
    loop {
        let event = stream.next().await.json();
        match event["type"].as_str() {
            Some("connected") => seq = event["seq"].as_i64(),
            Some("budget_warning") => warnings += 1,
            Some("budget_exceeded") => exceeded += 1,
            _ => {}
        }
        if event["type"] != "connected" && event["seq"].as_i64() >= seq {
            return (warnings, exceeded);
        }
    }
}

#[actix_web::test]
async fn what_runs_counts_by_an_estimate_that_ticks() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let started_at = Utc::now() - Duration::seconds(1_000);
    let id = simulator.create_job(JobSpec::manual()).expect("a job");
    let update =
        JobUpdate { started_at: Some(started_at), ..JobUpdate::status(Status::Processing) };
    simulator.update_job(&id, update).expect("it runs");
    daemon.sync().await;
    let first = status(&daemon).await;
    let spent = first["current_spend"].as_f64().expect("dollars");
    assert!((1.525..1.7).contains(&spent), "{first}");
    assert_eq!(first["running_estimate_usd"], first["current_spend"]);
    let grown = |status: &Value| status["current_spend"].as_f64() > Some(spent);
    daemon.answer_when("/api/cloud/cost-limit/status", grown).await;
    assert!(first["forecast_month_usd"].as_f64() >= Some(spent));
    let job = daemon.job(&id).await;
    assert_eq!(job["cost_is_estimate"], true);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn an_estimate_is_made_from_jobs_on_the_same_hardware(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let path = "/api/cloud/cost-estimate";
    let nothing = daemon.post_json(path, &json!([{"id": "cats"}])).await.ok();
    assert_eq!(nothing["has_estimate"], false);
    assert_eq!(nothing["message"], "No job has completed on h100 yet");
    for seconds in [100, 200, 900] {
        ran_for(&simulator, seconds);
    }
    daemon.sync().await;
    let estimate = daemon.post_json(path, &json!({"hardware_profile": "h100"})).await.ok();
    let seconds = estimate["avg_duration_seconds"].as_f64().expect("seconds");
    assert!((seconds - 200.0).abs() < 0.01, "{estimate}");
    assert!((estimate["estimated_cost_usd"].as_f64().expect("dollars") - 0.305).abs() < 0.001);
    assert_eq!(
        (&estimate["hardware_cost_per_hour"], &estimate["based_on_jobs"]),
        (&json!(5.49), &json!(3))
    );
    // What is submitted carries it along.
    daemon.post("/api/queue/pause").await.ok();
    daemon.submit(&json!({"model": "simpletuner/advanced-trainer-h100"})).await;
    let entry = daemon.get("/api/queue").await.ok()["entries"][0].take();
    assert_eq!(entry["estimated_cost"], estimate["estimated_cost_usd"]);
    daemon.post_json(path, &json!({"model": "acme/unknown"})).await.error(422, "invalid_value");
    daemon.post_json(path, &json!({"hardware_profile": "a10g"})).await.error(400, "unknown_value");
    daemon.stop().await;
}

#[actix_web::test]
async fn hardware_is_listed_with_the_price_that_holds_today() {
    let database = TestDatabase::new(Backend::Sqlite);
    let prices = r#"{h100: {name: "H100", prices: {"2020-01-01": 0.001, "2021-01-01": 0.002, "2999-01-01": 0.003}}}"#;
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__PROVIDERS__REPLICATE__HARDWARE_INFO", prices)
        .start(&database)
        .await;
    let options = daemon.get("/api/cloud/hardware-options").await.ok();
    let hardware = options["hardware"].as_array().expect("a list");
    let h100 = hardware.iter().find(|one| one["id"] == options["default_hardware"]);
    let expected = json!({
        "id": "h100", "name": "H100", "cost_per_second": 0.002, "cost_per_hour": 7.2, "available": true,
    });
    assert_eq!(h100, Some(&expected));
    daemon.stop().await;
}

#[rstest]
#[case::no_amount(json!({"cost_limit_enabled": true, "cost_limit_amount": null}), 422)]
#[case::negative(json!({"cost_limit_amount": -1}), 422)]
#[case::text(json!({"cost_limit_amount": "5"}), 422)]
#[case::period(json!({"cost_limit_amount": 5, "cost_limit_period": "yearly"}), 400)]
#[case::action(json!({"cost_limit_amount": 5, "cost_limit_action": "stop"}), 400)]
#[actix_web::test]
async fn a_limit_that_cannot_be_meant_is_refused(#[case] limit: Value, #[case] status: u16) {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    let answer = daemon.put_json("/api/cloud/providers/replicate/config", &limit).await;
    answer.error(status, if status == 400 { "unknown_value" } else { "invalid_value" });
    assert_eq!(self::status(&daemon).await["enabled"], false);
    daemon.stop().await;
}
