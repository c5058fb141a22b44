//! The page's inline progress.

use futures_util::future::join_all;
use jobsyncd::simulator::{ErrorBody, Fault, FaultKind, JobSpec, JobUpdate, Status, WebhookEvent};
use rstest::rstest;
use serde_json::json;

use crate::support::daemon::{Backend, SOON, TestDaemon, TestDatabase, simulator};

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

const NOTHING: [&str; 4] = ["stage", "last_log", "progress", "step"];

/// Where a job's progress is answered.
fn path_of(job: &str) -> String {
    format!("/api/cloud/jobs/{job}/inline-progress")
}

#[rstest]
#[case(Status::Starting)]
#[case(Status::Succeeded)]
#[case(Status::Failed)]
#[case(Status::Canceled)]
#[actix_web::test]
async fn a_job_that_is_not_running_answers_nulls_and_costs_no_call(#[case] status: Status) {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let job = simulator.create_job(JobSpec::manual()).expect("a job");
    simulator.append_logs(&job, FRAME).expect("it prints");
    simulator.set_status(&job, status).expect("it goes on");
    daemon.sync().await;
    simulator.reset_calls();

    let progress = daemon.get(&path_of(&job)).await.ok();

    assert_eq!(progress["job_id"], json!(job));
    for field in NOTHING {
        assert_eq!(progress.get(field), Some(&json!(null)), "{field}: {progress}");
    }
    assert!(simulator.calls().is_empty(), "{:?}", simulator.calls());
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn where_the_provider_fails_the_last_known_progress_is_answered_and_no_error(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let job = simulator.create_job(JobSpec::manual()).expect("a job");
    simulator.set_status(&job, Status::Processing).expect("it starts");
    simulator.append_logs(&job, FRAME).expect("it prints");
    let first = TestDaemon::builder().tracking(&simulator).start(&database).await;
    first.sync().await;
    let known = first.get(&path_of(&job)).await.ok();
    first.stop().await;
    // After a restart nothing is remembered but what was stored.
    let failure = FaultKind::ServerError { status: 500, body: ErrorBody::Problem };
    simulator.fail_next(Fault::new("*", failure).times(1_000));
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;

    let progress = daemon.get(&path_of(&job)).await.ok();

    for field in NOTHING {
        assert_eq!(progress[field], known[field], "{field}");
    }
    assert_eq!(progress["progress"], 30.0);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_log_that_grows_moves_the_progress() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__PROGRESS__TTL_SECONDS", "1")
        .start(&database)
        .await;
    let job = simulator.create_job(JobSpec::manual()).expect("a job");
    simulator.set_status(&job, Status::Processing).expect("it starts");
    daemon.sync().await;
    let mut events = daemon.events().await;
    assert_eq!(daemon.get(&path_of(&job)).await.ok()["progress"], json!(null));

    let frames =
        [(FRAME.to_owned(), 30.0), (FRAME.replace("30%", "75%").replace("600/", "1500/"), 75.0)];
    for (frame, expected) in frames {
        simulator.append_logs(&job, &frame).expect("it prints");
        // One answer serves for a second; after it the next asker sees what was printed.
        let told = async {
            loop {
                let progress = daemon.get(&path_of(&job)).await.ok();
                if progress["progress"] == expected {
                    return progress;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, told).await.expect("it moves");
        let event = events.next_of("job_progress").await;
        assert_eq!((&event["job_id"], &event["progress"]), (&json!(job), &json!(expected)));
    }
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_webhook_that_carries_a_log_moves_the_progress_without_a_call(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let job =
        simulator.create_job(JobSpec::manual().webhook(&daemon.webhook_url())).expect("a job");
    simulator.set_status(&job, Status::Processing).expect("it starts");
    simulator.deliveries_settled().await;
    let mut events = daemon.events().await;

    let append_logs = Some(FRAME.to_owned());
    simulator
        .update_job(&job, JobUpdate { append_logs, ..JobUpdate::default() })
        .expect("it prints");
    simulator.send_webhook(&job, WebhookEvent::Logs).expect("it is sent");

    let event = events.next_of("job_progress").await;
    assert_eq!((&event["job_id"], &event["progress"]), (&json!(job), &json!(30.0)));
    assert_eq!(daemon.job(&job).await["progress"]["progress"], 30.0);
    assert_eq!(simulator.calls_to("GET /predictions/{id}"), 0);
    daemon.stop().await;
}
