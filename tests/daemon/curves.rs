//! The curves of a job, and a loss that is no number.

use std::time::Duration;

use jobsyncd::simulator::{JobSpec, JobUpdate, Simulator, Status, WebhookEvent};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, SOON, TestDaemon, TestDatabase, simulator};

/// What a trainer prints at these steps of 2000, with the loss of each.
fn frames(losses: &[(u32, &str)]) -> String {
    let frame = |(step, loss): &(u32, &str)| {
        format!(
            "Steps:  {}%|█    | {step}/2000 [10:00<29:00,  1.50s/it, lr=0.0001, loss={loss}]\r",
            step / 20
        )
    };
    losses.iter().map(frame).collect()
}

/// A running job that sends webhooks to the daemon, and has printed something.
async fn running(simulator: &Simulator, daemon: &TestDaemon, printed: &str) -> String {
    let spec = JobSpec::manual().webhook(&daemon.webhook_url());
    let job = simulator.create_job(spec).expect("a job");
    simulator.set_status(&job, Status::Processing).expect("it starts");
    simulator.deliveries_settled().await;
    simulator.append_logs(&job, printed).expect("it prints");
    job
}

async fn send_log(simulator: &Simulator, job: &str) {
    simulator.send_webhook(job, WebhookEvent::Logs).expect("it is sent");
    simulator.deliveries_settled().await;
}

async fn series(daemon: &TestDaemon, job: &str) -> Value {
    daemon.get(&format!("/api/cloud/jobs/{job}/series")).await.ok()
}

#[rstest]
#[actix_web::test]
async fn a_jobs_curves_are_columns_over_its_steps_and_survive_its_end(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let printed = frames(&[(1, "0.5"), (2, "0.25"), (3, "0.125")])
        + "\nSaving checkpoint to out/checkpoint-3\n"
        + &frames(&[(4, "0.0625")])
        + "\n";
    let job = running(&simulator, &daemon, &printed).await;
    daemon.sync().await;

    let curves = series(&daemon, &job).await;

    let expected = json!({
        "job_id": job,
        "step": [1, 2, 3, 4],
        "loss": [0.5, 0.25, 0.125, 0.0625],
        "learning_rate": [0.0001, 0.0001, 0.0001, 0.0001],
        "seconds_per_step": [1.5, 1.5, 1.5, 1.5],
        "checkpoints": [3],
        "total_steps": 2000,
    });
    assert_eq!(curves, expected);

    simulator.set_status(&job, Status::Succeeded).expect("it ends");
    simulator.deliveries_settled().await;
    simulator.reset_calls();
    assert_eq!(series(&daemon, &job).await, expected);
    assert_eq!(simulator.calls_to("GET /predictions/{id}"), 0);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_job_that_has_printed_no_step_has_empty_curves() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let job = running(&simulator, &daemon, "Loading models\n").await;
    daemon.sync().await;

    let curves = series(&daemon, &job).await;

    assert_eq!((&curves["step"], &curves["loss"]), (&json!([]), &json!([])));
    assert_eq!(curves["total_steps"], json!(null));
    daemon.get("/api/cloud/jobs/nobody/series").await.error(404, "job_not_found");
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_loss_that_is_no_number_is_told_once_even_where_it_recovers(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values("nan", "inf", "-inf")] bad: &str,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let job = running(&simulator, &daemon, &frames(&[(1, "0.5")])).await;
    let mut events = daemon.events().await;
    for printed in [
        // Between two webhooks it was none, and is a number again when we look.
        frames(&[(2, bad), (3, "0.4")]),
        frames(&[(4, bad)]),
        frames(&[(5, "0.3")]),
    ] {
        simulator.append_logs(&job, &printed).expect("it prints");
        send_log(&simulator, &job).await;
    }
    simulator.set_status(&job, Status::Failed).expect("it ends");

    let told = events.next_of("loss_not_finite").await;
    assert_eq!((&told["job_id"], &told["step"]), (&json!(job), &json!(2)));
    assert_eq!(told["job"]["progress"]["loss_not_finite_step"], 2);
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "job_status_changed") {
        kinds.push(events.next().await.json()["type"].as_str().expect("a type").to_owned());
    }
    assert!(!kinds.contains(&"loss_not_finite".to_owned()), "{kinds:?}");
    daemon.stop().await;
}

/// The progress of a job, once it is this. One look serves for a second.
async fn progress_becomes(daemon: &TestDaemon, job: &str, expected: f64) {
    let path = format!("/api/cloud/jobs/{job}/inline-progress");
    let told = async {
        while daemon.get(&path).await.ok()["progress"] != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, told).await.expect("it is read");
    assert_eq!(daemon.job(job).await["progress"]["progress"], expected);
}

#[rstest]
#[case::shorter("Starting again\nstep 1/100\n", 1.0)]
#[case::shorter_and_alike_at_first("Loading models\nstep 2/100\n", 2.0)]
#[case::as_long("Loading models\nstep 3/100\nstep 04/100\n", 4.0)]
#[case::longer("Starting again and with more words than before\nstep 5/100\nstep 6/100\n", 6.0)]
#[actix_web::test]
async fn a_log_that_was_rewritten_is_read_again(#[case] log: &str, #[case] expected: f64) {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__PROGRESS__TTL_SECONDS", "1")
        .start(&database)
        .await;
    let job = running(&simulator, &daemon, "Loading models\nstep 9/100\nstep 90/100\n").await;
    daemon.sync().await;
    progress_becomes(&daemon, &job, 90.0).await;

    let logs = Some(log.to_owned());
    simulator
        .update_job(&job, JobUpdate { logs, ..JobUpdate::default() })
        .expect("it is rewritten");

    progress_becomes(&daemon, &job, expected).await;
    // What was rewritten grows on.
    simulator.append_logs(&job, "step 50/100\n").expect("it prints");
    progress_becomes(&daemon, &job, 50.0).await;
    daemon.stop().await;
}

#[actix_web::test]
async fn a_log_that_was_rewritten_while_the_daemon_was_down_is_read_again() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let first = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let job = running(&simulator, &first, "step 90/100\nstep 91/100\n").await;
    first.sync().await;
    let path = format!("/api/cloud/jobs/{job}/inline-progress");
    assert_eq!(first.get(&path).await.ok()["progress"], 91.0);
    first.stop().await;
    let logs = Some("step 2/100\n".to_owned());
    simulator
        .update_job(&job, JobUpdate { logs, ..JobUpdate::default() })
        .expect("it is rewritten");

    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;

    assert_eq!(daemon.get(&path).await.ok()["progress"], 2.0);
    assert_eq!(daemon.job(&job).await["progress"]["progress"], 2.0);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_webhook_that_comes_late_does_not_take_the_progress_back() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let printed = frames(&[(1, "0.5"), (2, "0.4")]);
    let job = running(&simulator, &daemon, &printed).await;
    daemon.sync().await;
    series(&daemon, &job).await;
    // What is sent now is what the log was before.
    let logs = Some(frames(&[(1, "0.5")]));
    simulator.update_job(&job, JobUpdate { logs, ..JobUpdate::default() }).expect("as before");

    send_log(&simulator, &job).await;

    assert_eq!(daemon.job(&job).await["progress"]["step"], 2);
    daemon.stop().await;
}
