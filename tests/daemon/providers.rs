//! Providers, polling, metrics and health.

use chrono::{DateTime, Duration, Utc};
use jobsyncd::simulator::{Fault, FaultKind, JobSpec, JobUpdate, Simulator, Status};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};

const CONFIG: &str = "/api/cloud/providers/replicate/config";
const VALIDATE: &str = "/api/cloud/providers/replicate/validate";
const POLLING: &str = "/api/cloud/polling/status";
const SETTING: &str = "/api/cloud/polling/setting";
/// A secret that no answer may show.
const SECRET: &str = "whsec_bm9ib2R5IG1heSBzZWUgdGhpcw==";

async fn daemon_without_provider(database: &TestDatabase) -> TestDaemon {
    TestDaemon::builder().start(database).await
}

#[actix_web::test]
async fn the_providers_say_whether_they_are_set_up_and_what_they_rent_out() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;

    let answer = daemon.get("/api/cloud/providers").await.ok();
    let provider = &answer["providers"][0];
    assert_eq!((&provider["id"], &provider["name"]), (&json!("replicate"), &json!("Replicate")));
    assert_eq!((&provider["configured"], &provider["coming_soon"]), (&json!(true), &json!(false)));
    assert_eq!(
        provider["capabilities"],
        json!({
            "lists_jobs": true, "submits": true, "chooses_model": true, "webhooks": true,
            "trainings": false,
        })
    );
    let profiles = provider["hardware_profiles"].as_array().expect("a list");
    let h100 = profiles.iter().find(|profile| profile["id"] == "h100").expect("the H100");
    assert_eq!(h100["name"], "Nvidia H100 GPU");
    assert_eq!(h100["cost_per_second_usd"], 0.001525);
    daemon.stop().await;

    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon_without_provider(&database).await;
    let answer = daemon.get("/api/cloud/providers").await.ok();
    assert_eq!(answer["providers"][0]["configured"], false);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_webhook_url_turns_polling_off_at_once_and_is_kept_across_a_restart(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let polling = daemon.get(POLLING).await.ok();
    assert_eq!((&polling["is_active"], &polling["reason"]), (&json!(true), &json!("no_webhook")));

    let url = "https://jobs.example.org/api/webhooks/replicate";
    let changed = daemon.put_json(CONFIG, &json!({"webhook_url": url})).await.ok();
    assert_eq!(
        (&changed["provider"], &changed["config"]["webhook_url"]),
        (&json!("replicate"), &json!(url))
    );
    let off = (json!(false), json!("webhook_configured"));
    let polling = daemon.get(POLLING).await.ok();
    assert_eq!((polling["is_active"].clone(), polling["reason"].clone()), off);
    assert_eq!(polling["next_cycle_at"], Value::Null);
    daemon.stop().await;

    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let polling = daemon.get(POLLING).await.ok();
    assert_eq!((polling["is_active"].clone(), polling["reason"].clone()), off);
    assert_eq!(daemon.get(CONFIG).await.ok()["config"]["webhook_url"], url);

    // As the client got it, under `config`; an empty text is none as well.
    for (none, is_bare) in [(Value::Null, true), (json!(url), true), (json!(""), false)] {
        let fields = json!({"webhook_url": none});
        let body = if is_bare { fields } else { json!({"config": fields}) };
        daemon.put_json(CONFIG, &body).await.ok();
        let is_none = none != json!(url);
        assert_eq!(daemon.get(POLLING).await.ok()["is_active"], json!(is_none), "{body}");
    }
    daemon.stop().await;

    // What was set through the API beats the configuration, also where it was set to none.
    let configured = "JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_URL";
    let daemon =
        TestDaemon::builder().tracking(&simulator).with(configured, url).start(&database).await;
    assert_eq!(daemon.get(CONFIG).await.ok()["config"]["webhook_url"], Value::Null);
    assert_eq!(daemon.get(POLLING).await.ok()["is_active"], true);
    daemon.stop().await;
}

#[actix_web::test]
async fn only_what_belongs_there_can_be_set_and_a_webhook_url_only_to_a_web_address() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon_without_provider(&database).await;

    let unknown = daemon.put_json(CONFIG, &json!({"api_token": "r8_x", "webhook_url": null})).await;
    let unknown = unknown.error(400, "unknown_value");
    assert_eq!(
        unknown["details"]["allowed"],
        json!([
            "webhook_url",
            "webhook_url_is_rewritten",
            "cost_limit_enabled",
            "cost_limit_amount",
            "cost_limit_period",
            "cost_limit_action",
        ])
    );
    let detail = unknown["detail"].as_str().expect("a text");
    assert!(detail.contains("api_token") && detail.contains("webhook_url"), "{detail}");
    assert!(!detail.contains("r8_x"), "{detail}");

    for url in [
        json!("jobs.example.org"),
        json!("ftp://jobs.example.org/"),
        json!("https://user:password@jobs.example.org/"),
        json!("javascript:alert(1)"),
        json!(5),
        json!(["https://jobs.example.org/"]),
    ] {
        let error = daemon.put_json(CONFIG, &json!({"webhook_url": url})).await;
        let error = error.error(422, "invalid_value");
        assert_eq!(error["details"]["field"], "webhook_url", "{url}");
    }
    assert_eq!(daemon.get(CONFIG).await.ok()["config"]["webhook_url"], Value::Null);
    assert_eq!(daemon.get(POLLING).await.ok()["is_active"], true);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_secret_is_only_said_to_be_set() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET)
        .start(&database)
        .await;

    for path in [CONFIG, VALIDATE, POLLING, "/api/cloud/providers", "/api/cloud/health"] {
        let answer = daemon.get(path).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert!(!text.contains(simulator.token()) && !text.contains(SECRET), "{path}: {text}");
    }
    let config = daemon.get(CONFIG).await.ok();
    assert_eq!(config["config"]["has_api_token"], true);
    assert_eq!(config["config"]["has_webhook_secret"], true);
    daemon.stop().await;
}

#[actix_web::test]
async fn validate_says_whose_account_it_is() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;

    for path in [VALIDATE, "/api/cloud/replicate/validate"] {
        let answer = daemon.get(path).await.ok();
        assert_eq!((&answer["valid"], &answer["error"]), (&json!(true), &Value::Null));
        assert_eq!(answer["username"], "acme");
        assert_eq!(answer["user_info"]["username"], "acme");
    }
    for path in ["/api/cloud/providers/modal/validate", "/api/cloud/modal/validate"] {
        let error = daemon.get(path).await.error(404, "unknown_provider");
        assert_eq!(error["details"]["provider"], "modal");
    }
    daemon.stop().await;
}

#[rstest]
#[case::a_wrong_token(Some("r8_wrong000000000000000000000000000000000"), "401")]
#[case::no_token(None, "REPLICATE_API_TOKEN")]
#[actix_web::test]
async fn validate_says_what_is_wrong_with_the_token(
    #[case] token: Option<&str>,
    #[case] said: &str,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let base_url = "JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL";
    let mut builder = TestDaemon::builder().with(base_url, simulator.base_url());
    if let Some(token) = token {
        builder = builder.with("REPLICATE_API_TOKEN", token);
    }
    let daemon = builder.start(&database).await;

    let answer = daemon.get(VALIDATE).await.ok();

    assert_invalid(&answer, said);
    assert!(token.is_none_or(|token| !answer.to_string().contains(token)), "{answer}");
    daemon.stop().await;
}

fn assert_invalid(answer: &Value, said: &str) {
    assert_eq!((&answer["valid"], &answer["user_info"]), (&json!(false), &Value::Null));
    assert_eq!(answer["username"], Value::Null);
    assert!(answer["error"].as_str().is_some_and(|error| error.contains(said)), "{answer}");
}

#[actix_web::test]
async fn validate_says_that_the_provider_is_down() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__REQUEST_TIMEOUT_SECONDS", "1")
        .start(&database)
        .await;
    simulator.fail_next(Fault::new("GET /account", FaultKind::Hang));
    assert_invalid(&daemon.get(VALIDATE).await.ok(), "did not answer");
    simulator.stop().await;
    assert_invalid(&daemon.get(VALIDATE).await.ok(), "cannot be reached");
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn the_setting_of_polling_is_kept_across_a_restart_and_null_returns_to_automatic(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::new(backend);
    let daemon = daemon_without_provider(&database).await;
    let automatic = daemon.get(POLLING).await.ok();
    assert_eq!(automatic["preference"], Value::Null);
    assert_eq!(automatic["interval_seconds"], 30);
    assert!(automatic["reason"].is_string(), "{automatic}");
    for field in ["last_cycle", "next_cycle_at"] {
        assert!(automatic.get(field).is_some(), "{automatic}");
    }

    let off = daemon.put_json(SETTING, &json!({"enabled": false})).await.ok();
    assert_eq!((&off["is_active"], &off["enabled"]), (&json!(false), &json!(false)));
    daemon.stop().await;

    let daemon = daemon_without_provider(&database).await;
    let kept = daemon.get(POLLING).await.ok();
    assert_eq!((&kept["is_active"], &kept["preference"]), (&json!(false), &json!(false)));
    assert_eq!(kept["reason"], "setting");

    let on = daemon.put_json(SETTING, &json!({"enabled": true})).await.ok();
    assert_eq!((&on["is_active"], &on["enabled"]), (&json!(true), &json!(true)));
    let again = daemon.put_json(SETTING, &json!({"enabled": null})).await.ok();
    assert_eq!((&again["is_active"], &again["enabled"]), (&json!(true), &Value::Null));
    daemon.stop().await;

    let daemon = daemon_without_provider(&database).await;
    assert_eq!(daemon.get(POLLING).await.ok()["preference"], Value::Null);
    daemon.stop().await;
}

#[actix_web::test]
async fn configuration_beats_the_setting_of_polling_and_says_so() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__BACKGROUND__JOB_STATUS_POLLING__ENABLED", "false")
        .start(&database)
        .await;

    let answer = daemon.put_json(SETTING, &json!({"enabled": true})).await.ok();

    assert_eq!((&answer["is_active"], &answer["enabled"]), (&json!(false), &json!(true)));
    assert_eq!(daemon.get(POLLING).await.ok()["reason"], "configuration");
    daemon.stop().await;
}

/// A job of `model` that was created so many days ago, and ended after so many seconds.
fn past_job(
    simulator: &Simulator,
    model: &str,
    days_ago: i64,
    end: Option<(Status, i64)>,
) -> DateTime<Utc> {
    let created_at = Utc::now() - Duration::days(days_ago);
    let version = format!("simpletuner/advanced-trainer-{model}");
    let spec = JobSpec { version, created_at: Some(created_at), ..JobSpec::manual() };
    let id = simulator.create_job(spec).expect("a job");
    if let Some((status, seconds)) = end {
        let started_at = Some(created_at).filter(|_| status != Status::Aborted);
        let completed_at = Some(created_at + Duration::seconds(seconds));
        let update = JobUpdate { started_at, completed_at, ..JobUpdate::status(status) };
        simulator.update_job(&id, update).expect("it ends");
    }
    created_at
}

#[rstest]
#[actix_web::test]
async fn the_metrics_sum_the_jobs_of_the_period_by_day(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let earlier = past_job(&simulator, "h100", 5, Some((Status::Aborted, 3)));
    let later = past_job(&simulator, "h100", 3, Some((Status::Succeeded, 1_000)));
    past_job(&simulator, "l40s", 3, Some((Status::Failed, 100)));
    past_job(&simulator, "h100", 3, None);
    past_job(&simulator, "h100", 40, Some((Status::Succeeded, 1_000)));
    daemon.sync().await;

    let metrics = daemon.get("/api/metrics?days=10").await.ok();
    assert_eq!(
        metrics,
        json!({
            "credit_balance": null,
            "estimated_jobs_remaining": null,
            "total_cost": 1.6225,
            "job_count": 4,
            "avg_job_duration_seconds": 550.0,
            "jobs_by_status": {"cancelled": 1, "completed": 1, "failed": 1, "queued": 1},
            "cost_by_day": [
                {
                    "date": earlier.date_naive(), "total_jobs": 1, "completed": 0, "failed": 0,
                    "cancelled": 1, "local_jobs": 0, "cloud_jobs": 1, "total_cost_usd": 0.0,
                },
                {
                    "date": later.date_naive(), "total_jobs": 3, "completed": 1, "failed": 1,
                    "cancelled": 0, "local_jobs": 0, "cloud_jobs": 3, "total_cost_usd": 1.6225,
                },
            ],
            "period_days": 10,
        })
    );
    assert_eq!(daemon.get("/api/cloud/metrics?days=10&provider=replicate").await.ok(), metrics);
    for (query, jobs, days) in [("", 4, 30), ("?days=1", 0, 1), ("?days=365", 5, 365)] {
        let metrics = daemon.get(&format!("/api/metrics{query}")).await.ok();
        assert_eq!((&metrics["job_count"], &metrics["period_days"]), (&json!(jobs), &json!(days)));
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn metrics_of_nothing_are_zeros_and_nulls() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon_without_provider(&database).await;

    let metrics = daemon.get("/api/metrics").await.ok();

    assert_eq!((&metrics["total_cost"], &metrics["job_count"]), (&json!(0.0), &json!(0)));
    assert_eq!(metrics["avg_job_duration_seconds"], Value::Null);
    assert_eq!((&metrics["jobs_by_status"], &metrics["cost_by_day"]), (&json!({}), &json!([])));
    daemon.stop().await;
}

#[actix_web::test]
async fn health_names_every_component_and_the_worst_one_decides() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    for path in ["/api/cloud/health", "/health"] {
        let health = daemon.get(path).await.ok();
        assert_eq!(health["status"], "healthy", "{health}");
        assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
        assert!(health["uptime_seconds"].is_number(), "{health}");
        assert!(health["timestamp"].as_str().is_some_and(|text| text.ends_with('Z')), "{health}");
        let components = health["components"].as_array().expect("a list");
        let names: Vec<_> = components.iter().map(|component| &component["name"]).collect();
        assert_eq!(names, ["database", "polling", "queue", "logs", "events", "jobs", "replicate"]);
        for component in components {
            assert!(component["latency_ms"].is_number() && component.get("message").is_some());
        }
    }
    daemon.stop().await;

    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon_without_provider(&database).await;
    let health = daemon.get("/health").await.ok();
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["components"][6]["message"], "no API token is configured");
    daemon.stop().await;
}

#[actix_web::test]
async fn health_tells_how_far_each_component_is_from_its_limits() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let id = simulator.create_job(JobSpec::manual()).expect("a job");
    daemon.sync().await;
    let _listening = daemon.events().await;
    let health = daemon.get("/health").await.ok();
    let details = |name: &str| {
        let components = health["components"].as_array().expect("a list");
        let component = components.iter().find(|component| component["name"] == name);
        component.expect(name)["details"].clone()
    };
    assert_eq!(details("database")["kind"], "SQLite");
    assert_eq!(details("events")["open_streams"], 1);
    assert_eq!(details("events")["newest_event"], 2);
    assert_eq!(details("jobs")["least_confirmed_job"], json!(id));
    assert_eq!(details("replicate")["calls_since_start"], 1);
    assert_eq!(details("replicate")["last_webhook_at"], Value::Null);
    assert_eq!(details("polling")["reconciliation_interval_seconds"], 300);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_token_that_the_provider_refuses_is_told_until_it_is_taken() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("REPLICATE_API_TOKEN", "r8_of_somebody_else")
        .start(&database)
        .await;
    daemon.post("/api/cloud/jobs/sync").await.error(502, "provider_refused");
    let health = daemon.get("/health").await.ok();
    let message = health["components"][6]["message"].as_str().expect("a message");
    assert!(message.starts_with("it refuses the API token: "), "{message}");
    assert!(!message.contains("r8_"), "{message}");
    daemon.stop().await;
}

#[actix_web::test]
async fn the_probes_answer_under_both_names() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon_without_provider(&database).await;
    for prefix in ["/health", "/api/cloud/health"] {
        let live = daemon.get(&format!("{prefix}/live")).await.ok();
        assert_eq!(live, json!({"status": "ok"}));
        let ready = daemon.get(&format!("{prefix}/ready")).await.ok();
        assert_eq!(ready, json!({"status": "ready"}));
    }
    daemon.stop().await;
}
