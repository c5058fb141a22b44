//! The page's inline progress.

use futures_util::future::join_all;
use jobsyncd::simulator::{JobSpec, Status};
use rstest::rstest;
use serde_json::json;

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};

const FRAME: &str = "Epoch 1/21, Steps:  30%|███       | 600/2000 [00:00<00:29, 47.96it/s, lr=9.5e-5, step_loss=0.0234]\r";

#[rstest]
#[actix_web::test]
async fn a_running_jobs_progress_is_read_from_the_bar_that_the_trainer_prints(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let job = simulator.create_job(JobSpec::manual()).expect("a job");
    simulator.set_status(&job, Status::Processing).expect("it starts");
    simulator.append_logs(&job, FRAME).expect("it prints");
    daemon.sync().await;

    let progress = daemon.get(&format!("/api/cloud/jobs/{job}/inline-progress")).await.ok();

    assert_eq!(progress["job_id"], json!(job));
    assert_eq!(progress["stage"], "Training");
    assert_eq!(progress["progress"], 30.0);
    assert_eq!((&progress["step"], &progress["total_steps"]), (&json!(600), &json!(2000)));
    assert_eq!(progress["loss"], 0.0234);
    let last_log = progress["last_log"].as_str().expect("a line");
    assert!(last_log.starts_with("Epoch 1/21") && last_log.chars().count() <= 80, "{last_log}");
    daemon.stop().await;
}

#[actix_web::test]
async fn any_number_of_clients_within_the_time_to_live_cost_one_call() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__PROGRESS__TTL_SECONDS", "3600")
        .start(&database)
        .await;
    let job = simulator.create_job(JobSpec::manual()).expect("a job");
    simulator.set_status(&job, Status::Processing).expect("it starts");
    simulator.append_logs(&job, FRAME).expect("it prints");
    daemon.sync().await;
    simulator.reset_calls();

    let path = format!("/api/cloud/jobs/{job}/inline-progress");
    for progress in join_all((0..100).map(|_| daemon.get(&path))).await {
        assert_eq!(progress.ok()["progress"], 30.0);
    }
    daemon.get(&format!("/api/cloud/jobs/{job}/logs")).await.ok();

    assert_eq!(simulator.calls_to("GET /predictions/{id}"), 1);
    daemon.stop().await;
}
