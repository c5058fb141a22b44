//! Replicate's trainings: a provider of their own, with the account, the token and the limits of the
//! predictions.

use jobsyncd::simulator::{
    DEFAULT_MODEL, ErrorBody, Fault, FaultKind, JobKind, JobSpec, Simulator, Status, WebhookEvent,
    version_of,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDaemonBuilder, TestDatabase, simulator};

const SUBMIT: &str = "/api/cloud/jobs/submit?provider=replicate-trainings";
const CREATE: &str = "POST /models/{owner}/{name}/versions/{version}/trainings";
const GET: &str = "GET /trainings/{id}";
const LIST: &str = "GET /trainings";

/// A daemon that tracks trainings, looks at its queue often, and does not wait long for a lost job to show.
fn tracking(simulator: &Simulator) -> TestDaemonBuilder {
    TestDaemon::builder()
        .tracking(simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__TRAININGS", "true")
        .with("JOBSYNCD__BACKGROUND__QUEUE_PROCESSING__INTERVAL_SECONDS", "1")
        .with("JOBSYNCD__PROVIDERS__REPLICATE__SUBMIT_SETTLE_SECONDS", "1")
}

fn training() -> JobSpec {
    let destination = Some("acme/cats".to_owned());
    JobSpec { kind: JobKind::Training, destination, ..JobSpec::manual() }
}

fn order() -> Value {
    json!({
        "model": DEFAULT_MODEL, "destination": "acme/cats", "input": {"_simulator": "manual"},
    })
}

async fn submit(daemon: &TestDaemon, order: &Value) -> String {
    let answer = daemon.post_json(SUBMIT, order).await.ok();
    answer["job_id"].as_str().expect("an identifier").to_owned()
}

async fn sync(daemon: &TestDaemon) -> Value {
    let provider = json!({"provider": "replicate-trainings"});
    daemon.post_json("/api/cloud/jobs/sync", &provider).await.ok()
}

#[rstest]
#[actix_web::test]
async fn a_sync_finds_the_trainings_and_each_is_followed_on_its_own_routes(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let id = simulator.create_job(training()).expect("a training");
    simulator.create_job(JobSpec::manual()).expect("a prediction");
    let database = TestDatabase::new(backend);
    let daemon = tracking(&simulator).start(&database).await;

    let synced = sync(&daemon).await;
    assert_eq!(synced["synced"], 1, "{synced}");
    assert_eq!(synced["message"], "Discovered 1 new jobs from Replicate trainings");
    let job = daemon.job(&id).await;
    assert_eq!(
        (&job["provider"], &job["status"]),
        (&json!("replicate-trainings"), &json!("queued"))
    );

    simulator.set_status(&id, Status::Processing).expect("it runs");
    simulator.append_logs(&id, "Steps: 10/40\n").expect("it prints");
    simulator.reset_calls();
    let list = daemon.refresh().await;
    assert_eq!((&list["total"], &list["jobs"][0]["status"]), (&json!(1), &json!("running")));
    assert_eq!(simulator.calls_to(GET), 1, "{:?}", simulator.calls());
    let progress = daemon.get(&format!("/api/cloud/jobs/{id}/inline-progress")).await.ok();
    assert_eq!((&progress["step"], &progress["total_steps"]), (&json!(10), &json!(40)));

    simulator.set_status(&id, Status::Succeeded).expect("it ends");
    daemon.refresh().await;
    let job = daemon.job(&id).await;
    assert_eq!((&job["status"], &job["hardware_type"]), (&json!("completed"), &json!("h100")));
    assert!(job["cost_usd"].is_f64(), "{job}");
    let own = daemon.get("/api/cloud/jobs?provider=replicate-trainings").await.ok();
    assert_eq!(own["total"], 1);
    assert_eq!(daemon.get("/api/cloud/jobs?provider=replicate").await.ok()["total"], 0);
    assert!(simulator.calls().keys().all(|route| !route.contains("predictions")));
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_submitted_training_names_its_destination_and_is_told_of_by_its_own_webhook(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = tracking(&simulator).start(&database).await;
    let config = "/api/cloud/providers/replicate-trainings/config";
    assert_eq!(daemon.get(config).await.ok()["config"]["webhook_url"], Value::Null);
    let url = json!({"webhook_url": daemon.webhook_url()});
    daemon.put_json("/api/cloud/providers/replicate/config", &url).await.ok();
    let beside = format!("{}-trainings", daemon.webhook_url());
    assert_eq!(daemon.get(config).await.ok()["config"]["webhook_url"], beside);
    assert_eq!(daemon.polling().await["reason"], "webhook_configured");

    let id = submit(&daemon, &order()).await;
    let training = daemon.taken(&id).await;
    let shown = simulator.job(&training).expect("a training");
    assert_eq!(shown["version"], version_of(DEFAULT_MODEL));
    assert_eq!(shown["input"], json!({"_simulator": "manual"}));

    let mut events = daemon.events().await;
    simulator.set_status(&training, Status::Processing).expect("it runs");
    let running = events.next_of("job_status_changed").await;
    assert_eq!((&running["job_id"], &running["status"]), (&json!(id), &json!("running")));
    assert_eq!(running["source"], "webhook");
    simulator.set_status(&training, Status::Succeeded).expect("it ends");
    simulator.delivered(&training, WebhookEvent::Completed).await;
    let job = daemon.job(&id).await;
    assert_eq!(
        (&job["status"], &job["provider"]),
        (&json!("completed"), &json!("replicate-trainings"))
    );
    assert_eq!(simulator.calls_to(CREATE), 1);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_training_is_cancelled_on_its_own_route() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = tracking(&simulator).start(&database).await;
    let id = submit(&daemon, &order()).await;
    daemon.taken(&id).await;

    let answer = daemon.post(&format!("/api/cloud/jobs/{id}/cancel")).await.ok();
    assert_eq!(answer["status"], "cancelled");
    assert_eq!(simulator.calls_to("POST /trainings/{id}/cancel"), 1);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_training_whose_answer_was_lost_is_found_among_the_trainings_and_begun_once(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = tracking(&simulator).start(&database).await;
    simulator.fail_next(Fault::new(CREATE, FaultKind::TruncatedBody).after_effect());

    let id = submit(&daemon, &order()).await;
    daemon.taken(&id).await;
    assert_eq!((simulator.job_count(), simulator.calls_to(CREATE)), (1, 1));
    assert!(simulator.calls_to(LIST) >= 1, "{:?}", simulator.calls());
    daemon.stop().await;
}

#[rstest]
#[case::none(json!({"destination": null}), "destination")]
#[case::no_model(json!({"destination": "cats"}), "destination")]
#[case::a_way_out(json!({"destination": "../cats"}), "destination")]
#[case::a_deployment(json!({"model": null, "deployment": "acme/cats"}), "deployment")]
#[case::a_version_of_no_model(json!({"model": null, "version": "0".repeat(64)}), "version")]
#[actix_web::test]
async fn what_cannot_be_trained_is_refused_at_once(#[case] change: Value, #[case] field: &str) {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = tracking(&simulator).start(&database).await;
    let mut order = order();
    let change = change.as_object().expect("fields").clone();
    order.as_object_mut().expect("fields").extend(change);
    let error = daemon.post_json(SUBMIT, &order).await.error(422, "invalid_value");
    assert_eq!(error["details"]["field"], field, "{error}");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_prediction_has_no_destination() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = tracking(&simulator).start(&database).await;
    let error = daemon.post_json("/api/cloud/jobs/submit", &order()).await;
    let error = error.error(422, "invalid_value");
    assert_eq!(error["details"]["field"], "destination");
    daemon.stop().await;
}

#[actix_web::test]
async fn trainings_that_are_not_switched_on_say_how() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let listed = daemon.get("/api/cloud/providers").await.ok();
    let listed = listed["providers"].as_array().expect("a list").clone();
    let trainings = listed.iter().find(|one| one["id"] == "replicate-trainings").expect("it is");
    assert_eq!(trainings["configured"], false);
    assert_eq!(trainings["capabilities"]["trainings"], true);

    let error = daemon.post_json(SUBMIT, &order()).await.error(409, "provider_not_set_up");
    assert_eq!(error["details"]["set_up_by"], "providers.replicate.trainings");
    daemon.post("/api/webhooks/replicate-trainings").await.error(409, "provider_not_set_up");
    assert_eq!(daemon.get("/api/cloud/jobs?provider=replicate-trainings").await.ok()["total"], 0);
    daemon.stop().await;
}

#[actix_web::test]
async fn predictions_and_trainings_share_the_breaker_and_each_tells_of_it() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = tracking(&simulator).start(&database).await;
    let mut events = daemon.events().await;
    let down = FaultKind::ServerError { status: 503, body: ErrorBody::Html };
    simulator.fail_next(Fault::new("GET /account", down).times(100));

    let validate = "/api/cloud/providers/replicate-trainings/validate";
    let mut told = Vec::new();
    for _ in 0..2 {
        assert_eq!(daemon.get(validate).await.ok()["valid"], false);
    }
    for _ in 0..2 {
        let event = events.next_of("provider_degraded").await;
        told.push(event["provider"].as_str().expect("a name").to_owned());
    }
    assert_eq!(told, ["replicate", "replicate-trainings"]);
    simulator.reset_calls();
    assert_eq!(daemon.get("/api/cloud/providers/replicate/validate").await.ok()["valid"], false);
    assert!(simulator.calls().is_empty(), "{:?}", simulator.calls());
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_training_that_was_told_of_at_the_wrong_address_keeps_no_other_from_being_found(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = tracking(&simulator).start(&database).await;
    let astray =
        simulator.create_job(training().webhook(&daemon.webhook_url())).expect("a training");
    let mut events = daemon.events().await;
    simulator.set_status(&astray, Status::Processing).expect("it runs");
    simulator.deliveries_settled().await;
    daemon.job_when(&astray, |job| job["provider"] == "replicate").await;
    let other = simulator.create_job(training()).expect("a training");
    assert_eq!(sync(&daemon).await["synced"], 1);
    assert_eq!(events.next_of("sync_completed").await["synced"], 1);
    assert_eq!(daemon.job(&other).await["provider"], "replicate-trainings");
    daemon.stop().await;
}
