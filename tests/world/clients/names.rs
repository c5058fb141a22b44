//! What SimpleTuner's clients show of a job beside its state: its name, when it began to wait, its place, and how
//! far it is.

use jobsyncd::simulator::{JobSpec, Status};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};

/// A job as the list shows it.
async fn listed(daemon: &TestDaemon, id: &str) -> Value {
    let mut page = daemon.get("/api/cloud/jobs?limit=500").await.ok();
    let jobs = page["jobs"].as_array_mut().expect("a list");
    jobs.iter_mut().find(|job| job["job_id"] == id).expect("the job").take()
}

#[rstest]
#[actix_web::test]
async fn a_submitted_job_shows_the_name_of_its_run(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let both = json!({"config_name": "cats", "tracker_run_name": "friday"});
    let both = daemon.submit(&both).await;
    let request =
        json!({"hardware_profile": "h100", "config": {"--tracker_run_name": "in-config"}});
    let answer = daemon.post_json("/api/cloud/jobs/submit", &request).await.ok();
    let within = answer["job_id"].as_str().expect("an identifier").to_owned();
    for (id, config_name, run_name) in
        [(&both, "cats", "friday"), (&within, "in-config", "in-config")]
    {
        daemon.taken(id).await;
        daemon.refresh().await;
        for job in [daemon.job(id).await, listed(&daemon, id).await] {
            assert_eq!(job["config_name"], config_name, "{job}");
            assert_eq!(job["metadata"]["run_name"], run_name, "{job}");
            assert_eq!(job["metadata"]["tracker_run_name"], run_name, "{job}");
        }
    }
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn an_imported_job_has_a_name_from_its_input_or_else_of_its_model_and_time(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let created_at = "2026-10-01T08:09:10Z".parse().expect("an instant");
    let job = |input: Value| {
        let spec = JobSpec { input, created_at: Some(created_at), ..JobSpec::manual() };
        simulator.create_job(spec).expect("a job")
    };
    let config = "{\"--tracker_run_name\": \"watercolours\", \"--hub_model_id\": \"me/lora\"}";
    let by_config = job(json!({"config_json": config}));
    let by_place = job(json!({"config_json": "{}", "hub_model_id": "me/grandmothers-garden"}));
    let nameless = job(json!({"config_json": "no JSON", "run_name": 7}));
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    daemon.sync().await;
    daemon.refresh().await;

    for (id, name) in [(&by_config, "watercolours"), (&by_place, "grandmothers-garden")] {
        let job = daemon.job(id).await;
        assert_eq!(
            (&job["config_name"], &job["metadata"]["run_name"]),
            (&json!(name), &json!(name))
        );
    }
    let job = daemon.job(&nameless).await;
    let model = job["metadata"]["model"].as_str().expect("a model");
    let model = model.rsplit('/').next().expect("a name");
    assert_eq!(job["config_name"], format!("{model} 2026-10-01 08:09"));
    assert_eq!(job["metadata"].get("run_name"), None);
    // People find it by the name that they know it by.
    let found = daemon.get("/api/cloud/jobs?q=watercol").await.ok();
    assert_eq!((&found["total"], &found["jobs"][0]["job_id"]), (&json!(1), &json!(by_config)));
    assert_eq!(daemon.job(&by_config).await["queued_at"], "2026-10-01T08:09:10Z");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_job_that_waits_shows_its_place_and_every_other_one_null() {
    let simulator = simulator().await;
    let imported = simulator.create_job(JobSpec::manual()).expect("a job");
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__BACKGROUND__QUEUE_PROCESSING__ENABLED", "false")
        .start(&database)
        .await;
    daemon.sync().await;
    let first = daemon.submit(&json!({})).await;
    let second = daemon.submit(&json!({})).await;
    for (id, place) in [(&first, json!(1)), (&second, json!(2)), (&imported, json!(null))] {
        for job in [daemon.job(id).await, listed(&daemon, id).await] {
            assert_eq!(job.get("queue_position"), Some(&place), "{job}");
            assert!(job.get("estimated_wait_seconds").is_some(), "{job}");
            assert!(job["queued_at"].is_string(), "{job}");
        }
    }
    let entry = daemon.get(&format!("/api/queue/position/{second}")).await.ok();
    let job = daemon.job(&second).await;
    assert_eq!(job["queued_at"], entry["queued_at"]);
    assert_eq!(job["estimated_wait_seconds"], entry["estimated_wait_seconds"]);
    // Once it is cancelled it has no place any more.
    daemon.post(&format!("/api/cloud/jobs/{first}/cancel")).await.ok();
    assert_eq!(listed(&daemon, &first).await.get("queue_position"), Some(&json!(null)));
    assert_eq!(listed(&daemon, &second).await["queue_position"], 1);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_running_job_shows_in_the_list_how_far_it_is() {
    let simulator = simulator().await;
    let id = simulator.create_job(JobSpec::manual()).expect("a job");
    simulator.set_status(&id, Status::Processing).expect("it runs");
    let bar = "Epoch 1/1, Steps:  30%|###       | 30/100 [00:30<01:10,  1.00s/it, loss=0.5]\n";
    simulator.append_logs(&id, bar).expect("a log");
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    daemon.sync().await;
    daemon.refresh().await;
    let inline = daemon.get(&format!("/api/cloud/jobs/{id}/inline-progress")).await.ok();
    let job = listed(&daemon, &id).await;
    assert_eq!(inline["progress"], 30.0);
    for (field, same) in
        [("inline_stage", "stage"), ("inline_log", "last_log"), ("inline_progress", "progress")]
    {
        assert_eq!(job.get(field), Some(&inline[same]), "{job}");
    }

    simulator.set_status(&id, Status::Succeeded).expect("it ends");
    daemon.refresh().await;
    let job = listed(&daemon, &id).await;
    for field in ["inline_stage", "inline_log", "inline_progress"] {
        assert_eq!(job.get(field), Some(&json!(null)), "{job}");
    }
    daemon.stop().await;
}
