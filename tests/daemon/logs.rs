//! A log by its lines: found, counted, and told as they are printed.

use std::time::Instant;

use jobsyncd::simulator::{JobSpec, JobUpdate, Simulator, Status, WebhookEvent};
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};
use crate::support::stream::{EventStream, StreamEvent};

async fn daemon(simulator: &Simulator, database: &TestDatabase) -> TestDaemon {
    TestDaemon::builder()
        .tracking(simulator)
        .with("JOBSYNCD__PROGRESS__TTL_SECONDS", "1")
        .start(database)
        .await
}

/// A running job that sends webhooks to the daemon, and has printed something.
async fn running(simulator: &Simulator, daemon: &TestDaemon, printed: &str) -> String {
    let spec = JobSpec::manual().webhook(&daemon.webhook_url());
    let job = simulator.create_job(spec).expect("a job");
    simulator.append_logs(&job, printed).expect("it prints");
    simulator.set_status(&job, Status::Processing).expect("it starts");
    simulator.deliveries_settled().await;
    job
}

async fn end(simulator: &Simulator, job: &str) {
    simulator.set_status(job, Status::Succeeded).expect("it ends");
    simulator.deliveries_settled().await;
}

fn path(job: &str) -> String {
    format!("/api/cloud/jobs/{job}/logs")
}

async fn follow(daemon: &TestDaemon, job: &str, last_id: Option<&str>) -> EventStream {
    EventStream::open_path(&daemon.url, &format!("{}/stream", path(job)), last_id).await
}

/// The next events of a stream, each as its id and its text.
async fn told(stream: &mut EventStream, count: usize) -> Vec<String> {
    let mut told = Vec::new();
    for _ in 0..count {
        let StreamEvent { id, event, data } = stream.next().await;
        told.push(format!("{} {data}", id.or(event).unwrap_or_default()));
    }
    told
}

#[actix_web::test]
async fn lines_are_counted_in_the_whole_log_and_paged_by_their_numbers() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator, &database).await;
    let printed: String = (1..=100)
        .map(|n| format!("step {n}/100{}\n", if n % 25 == 0 { " Saved" } else { "" }))
        .collect();
    let job = running(&simulator, &daemon, &printed).await;
    end(&simulator, &job).await;

    let page = daemon.get(&format!("{}?q=saved&limit=2", path(&job))).await.ok();

    assert_eq!(page["logs"], "step 25/100 Saved\nstep 50/100 Saved");
    assert_eq!(page["lines"][1], json!({"number": 50, "text": "step 50/100 Saved"}));
    assert_eq!((&page["total_lines"], &page["matching_lines"]), (&json!(100), &json!(4)));
    assert_eq!(page["next_after"], 50);
    let last = daemon.get(&format!("{}?q=saved&limit=2&after=50", path(&job))).await.ok();
    assert_eq!(last["logs"], "step 75/100 Saved\nstep 100/100 Saved");
    assert_eq!((&last["matching_lines"], &last["next_after"]), (&json!(4), &Value::Null));
    let tail = daemon.get(&format!("{}?after=98", path(&job))).await.ok();
    assert_eq!(tail["logs"], "step 99/100\nstep 100/100 Saved");
    daemon.get(&format!("{}?after=-1", path(&job))).await.error(422, "invalid_value");
    daemon.get(&format!("{}?limit=0", path(&job))).await.error(422, "invalid_value");
    daemon.stop().await;
}

#[actix_web::test]
async fn every_line_is_told_once_as_it_is_printed_and_then_the_end() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator, &database).await;
    let job = running(&simulator, &daemon, "one\ntwo\nst").await;
    let mut stream = follow(&daemon, &job, None).await;
    assert_eq!(stream.header("x-accel-buffering"), Some("no"));
    assert_eq!(told(&mut stream, 2).await, ["1 one", "2 two"]);

    simulator.append_logs(&job, "ep 1\r 50%\r100%\nlast").expect("it prints");
    assert_eq!(told(&mut stream, 1).await, ["3 100%"]);
    end(&simulator, &job).await;

    assert_eq!(told(&mut stream, 2).await, ["4 last", "done completed"]);
    assert_eq!(stream.try_next().await, None);
    daemon.stop().await;
}

#[actix_web::test]
async fn who_comes_back_goes_on_after_the_last_line_it_saw() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator, &database).await;
    let job = running(&simulator, &daemon, "one\ntwo\nthree\n").await;

    let mut stream = follow(&daemon, &job, Some("2")).await;
    assert_eq!(told(&mut stream, 1).await, ["3 three"]);
    end(&simulator, &job).await;
    assert_eq!(told(&mut stream, 1).await, ["done completed"]);

    let mut after_the_end = follow(&daemon, &job, Some("1")).await;
    assert_eq!(told(&mut after_the_end, 3).await, ["2 two", "3 three", "done completed"]);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_log_that_was_rewritten_is_told_anew() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator, &database).await;
    let job = running(&simulator, &daemon, "one\ntwo\n").await;
    let mut stream = follow(&daemon, &job, None).await;
    assert_eq!(told(&mut stream, 2).await, ["1 one", "2 two"]);

    let logs = Some("other\n".to_owned());
    simulator
        .update_job(&job, JobUpdate { logs, ..JobUpdate::default() })
        .expect("it is rewritten");

    assert_eq!(told(&mut stream, 2).await, ["reset the log was rewritten", "1 other"]);
    daemon.stop().await;
}

#[actix_web::test]
async fn open_log_streams_are_bounded_and_do_not_hold_up_a_stop() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__EVENTS__MAX_CONNECTIONS_PER_IP", "50")
        .start(&database)
        .await;
    let job = running(&simulator, &daemon, "one\n").await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(follow(&daemon, &job, None).await);
    }
    for stream in &mut streams {
        assert_eq!(told(stream, 1).await, ["1 one"]);
    }
    let refused = daemon.get(&format!("{}/stream", path(&job))).await;
    refused.error(503, "connection_limit_reached");

    let begun = Instant::now();
    daemon.stop().await;

    assert!(begun.elapsed().as_secs() < 2, "{:?}", begun.elapsed());
    for stream in &mut streams {
        assert_eq!(stream.try_next().await, None);
    }
}

#[actix_web::test]
async fn a_reader_that_has_gone_makes_room_for_another() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__EVENTS__MAX_CONNECTIONS_PER_IP", "1")
        .start(&database)
        .await;
    let job = running(&simulator, &daemon, "one\n").await;
    for _ in 0..3 {
        let mut stream = loop {
            let stream = follow(&daemon, &job, None).await;
            if stream.status() == 200 {
                break stream;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(told(&mut stream, 1).await, ["1 one"]);
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn the_progress_of_a_job_is_told_once_a_second_and_the_last_one_always() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator, &database).await;
    let job = running(&simulator, &daemon, "").await;
    let mut events = daemon.events().await;
    let begun = Instant::now();
    for step in 1..=20 {
        simulator.append_logs(&job, &format!("step {step}/100\n")).expect("it prints");
        simulator.send_webhook(&job, WebhookEvent::Logs).expect("it is sent");
        simulator.deliveries_settled().await;
    }

    let mut steps = Vec::new();
    while steps.last() != Some(&20) {
        let progress = events.next_of("job_progress").await;
        assert_eq!(progress["job_id"], json!(job));
        for field in ["stage", "progress", "total_steps", "loss", "eta_seconds", "last_log"] {
            assert!(progress.get(field).is_some(), "{field}: {progress}");
        }
        steps.push(progress["step"].as_u64().expect("a step"));
    }
    let seconds = begun.elapsed().as_secs() as usize;
    assert_eq!(steps[0], 1, "the first is told at once");
    assert!(steps.len() <= seconds + 1, "{steps:?} in {seconds} s");
    daemon.stop().await;
}

#[actix_web::test]
async fn nothing_is_told_of_the_progress_of_a_job_that_has_ended() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = daemon(&simulator, &database).await;
    let job = running(&simulator, &daemon, "").await;
    let other = running(&simulator, &daemon, "").await;
    let mut events = daemon.events().await;
    for step in 1..=3 {
        simulator.append_logs(&job, &format!("step {step}/3\n")).expect("it prints");
        simulator.send_webhook(&job, WebhookEvent::Logs).expect("it is sent");
        simulator.deliveries_settled().await;
    }
    end(&simulator, &job).await;
    // What waited would have been told by the time that this is.
    for step in 1..=2 {
        simulator.append_logs(&other, &format!("step {step}/3\n")).expect("it prints");
        simulator.send_webhook(&other, WebhookEvent::Logs).expect("it is sent");
        simulator.deliveries_settled().await;
    }

    let mut after_the_end = None;
    loop {
        let event = events.next().await.json();
        match (event["type"].as_str().expect("a type"), event["job_id"] == json!(job)) {
            ("job_status_changed", true) => {
                after_the_end = Some(event["job"]["progress"]["step"].clone())
            }
            ("job_progress", true) => assert_eq!(after_the_end, None, "{event}"),
            ("job_progress", false) if event["step"] == 2 => break,
            _ => {}
        }
    }
    assert_eq!(after_the_end, Some(json!(3)));
    daemon.stop().await;
}
