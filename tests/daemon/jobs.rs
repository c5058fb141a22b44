//! Jobs as clients read, cancel and delete them.

use chrono::{DateTime, Duration, SubsecRound, Utc};
use jobsyncd::simulator::{
    Fault, FaultKind, JobSpec, JobUpdate, Seed, Simulator, Status, version_of,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};
use crate::support::stream::EventStream;

const MODEL: &str = "simpletuner/advanced-trainer-l40s-x2";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

/// The ids of the jobs of a page, in its order.
fn ids(page: &Value) -> Vec<&str> {
    let jobs = page["jobs"].as_array().expect("a list");
    jobs.iter().map(|job| job["job_id"].as_str().expect("an id")).collect()
}

/// A job that is running.
fn running(simulator: &Simulator) -> String {
    let job = simulator.create_job(JobSpec::manual()).expect("a job");
    simulator.set_status(&job, Status::Processing).expect("it starts");
    job
}

/// A job that failed with this error.
fn failed(simulator: &Simulator, error: &str) -> String {
    let job = simulator.create_job(JobSpec::manual()).expect("a job");
    let update = JobUpdate { error: Some(error.to_owned()), ..JobUpdate::status(Status::Failed) };
    simulator.update_job(&job, update).expect("it fails");
    job
}

#[rstest]
#[actix_web::test]
async fn a_finished_job_has_every_field_of_the_contract(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    // Not so long ago that the provider has removed the output.
    let created_at = (Utc::now() - Duration::minutes(30)).trunc_subsecs(3);
    let (started_at, completed_at) =
        (created_at + Duration::seconds(10), created_at + Duration::seconds(110));
    let spec =
        JobSpec { version: MODEL.to_owned(), created_at: Some(created_at), ..JobSpec::manual() };
    let id = simulator.create_job(spec).expect("a job");
    let output = "https://replicate.delivery/out.zip";
    let ended = JobUpdate {
        started_at: Some(started_at),
        completed_at: Some(completed_at),
        output: Some(json!(output)),
        ..JobUpdate::status(Status::Succeeded)
    };
    simulator.update_job(&id, ended).expect("it ends");
    daemon.sync().await;
    daemon.logs_settled().await;

    let mut job = daemon.job(&id).await;
    let confirmed_at = job["confirmed_at"].take();
    let config_name = job["config_name"].clone();
    assert!(
        config_name.as_str().is_some_and(|name| name.starts_with("advanced-trainer-l40s-x2 20"))
    );
    assert!(confirmed_at.as_str().is_some_and(|text| text.ends_with('Z')), "{confirmed_at}");
    assert_eq!(
        job,
        json!({
            "job_id": id,
            "job_type": "cloud",
            "provider": "replicate",
            "status": "completed",
            "config_name": config_name,
            "created_at": created_at,
            "queued_at": created_at,
            "started_at": started_at,
            "completed_at": completed_at,
            "cost_usd": 0.195,
            "hardware_type": "l40s-x2",
            "error_message": null,
            "output_url": output,
            "is_cut": false,
            "upload_token": null,
            "user_id": null,
            "metadata": {
                "prediction_id": id,
                "model": MODEL,
                "version": version_of(MODEL),
                "web_url": format!("https://replicate.com/p/{id}"),
            },
            "is_terminal": true,
            "is_active": false,
            "duration_seconds": 100.0,
            "finished_at": completed_at,
            "provider_status": "succeeded",
            "stalled_since": null,
            "cancel_requested_at": null,
        "cost_is_estimate": false,
            "confirmed_at": null,
            "confirmed_by": "poll",
            "progress": null,
            "queue_position": null,
            "estimated_wait_seconds": null,
            "inline_stage": null,
            "inline_log": null,
            "inline_progress": null,
        })
    );
    let listed = daemon.get("/api/cloud/jobs").await.ok();
    assert_eq!(listed["jobs"][0], daemon.job(&id).await, "the list shows the same job");
    daemon.stop().await;
}

#[actix_web::test]
async fn an_active_job_shows_what_it_costs_so_far_and_no_end() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let queued = simulator.create_job(JobSpec::manual()).expect("a job");
    let id = running(&simulator);
    let an_hour_ago = Utc::now() - Duration::hours(1);
    let update = JobUpdate { started_at: Some(an_hour_ago), ..JobUpdate::default() };
    simulator.update_job(&id, update).expect("an earlier start");
    daemon.sync().await;

    let job = daemon.job(&id).await;
    assert_eq!((&job["status"], &job["is_active"]), (&json!("running"), &json!(true)));
    assert_eq!((&job["is_terminal"], &job["completed_at"]), (&json!(false), &Value::Null));
    let (cost, lasted) = (job["cost_usd"].as_f64(), job["duration_seconds"].as_f64());
    assert!(cost.is_some_and(|cost| (5.49..5.6).contains(&cost)), "{job}");
    assert!(lasted.is_some_and(|lasted| (3600.0..3660.0).contains(&lasted)), "{job}");
    assert_eq!(job["cost_is_estimate"], true);

    let job = daemon.job(&queued).await;
    assert_eq!((&job["status"], &job["provider_status"]), (&json!("queued"), &json!("starting")));
    for unknown in ["started_at", "completed_at", "finished_at", "cost_usd", "duration_seconds"] {
        assert_eq!(job[unknown], Value::Null, "{unknown}");
    }
    assert_eq!(job["cost_is_estimate"], false);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn the_list_is_newest_first_in_pages_and_the_total_counts_all_that_match(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let seeded = simulator.seed(&Seed::new(7, &[Status::Succeeded, Status::Failed]));
    daemon.sync().await;

    let list = async |query: &str| daemon.get(&format!("/api/cloud/jobs{query}")).await.ok();
    assert_eq!(ids(&list("").await), seeded);
    for (query, expected, total) in [
        ("?limit=3", &seeded[..3], 7),
        ("?limit=3&offset=3", &seeded[3..6], 7),
        ("?limit=3&offset=6", &seeded[6..], 7),
        ("?limit=500&offset=7", &[][..], 7),
        ("?offset=4294967295", &[][..], 7),
        ("?status=failed&limit=1&offset=1", &seeded[3..4], 3),
    ] {
        let page = list(query).await;
        assert_eq!(
            (ids(&page), page["total"].as_i64()),
            (as_str(expected), Some(total)),
            "{query}"
        );
    }
    daemon.stop().await;
}

fn as_str(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}

#[rstest]
#[actix_web::test]
async fn the_list_is_filtered_by_states_type_and_provider(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let statuses =
        [Status::Starting, Status::Processing, Status::Succeeded, Status::Failed, Status::Aborted];
    let seeded = simulator.seed(&Seed::new(5, &statuses));
    daemon.sync().await;

    for (query, expected) in [
        ("status=running", vec![1]),
        ("status=queued,failed", vec![0, 3]),
        ("status=queued%2C%20failed%2C", vec![0, 3]),
        ("status=cancelled", vec![4]),
        ("status=canceled", vec![4]),
        ("status=", vec![0, 1, 2, 3, 4]),
        ("status=pending,uploading", vec![]),
        ("job_type=cloud", vec![0, 1, 2, 3, 4]),
        ("job_type=local", vec![]),
        ("provider=replicate&status=completed", vec![2]),
        // Of a parameter that is given twice, the last one counts.
        ("status=running&status=failed", vec![3]),
        ("unknown=parameter&_=1700000000", vec![0, 1, 2, 3, 4]),
    ] {
        let page = daemon.get(&format!("/api/cloud/jobs?{query}")).await.ok();
        let expected: Vec<&str> = expected.into_iter().map(|index| &*seeded[index]).collect();
        assert_eq!(ids(&page), expected, "{query}");
        assert_eq!(page["total"], json!(expected.len()), "{query}");
    }
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_text_is_found_as_it_stands_whatever_its_case(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let percent = failed(&simulator, "Disk is 100% full");
    let plain = failed(&simulator, "Disk is 100 GB full");
    let underscore = failed(&simulator, r"C:\cuda_oom");
    let other = failed(&simulator, "cudaXoom ÜBER Größe");
    daemon.sync().await;

    for (q, expected) in [
        ("100%25", vec![&percent]),
        ("DISK IS", vec![&percent, &plain]),
        ("cuda_", vec![&underscore]),
        (r"c:\cuda", vec![&underscore]),
        ("\\", vec![&underscore]),
        ("%25", vec![&percent]),
        ("_", vec![&underscore]),
        ("ÜBER Größe", vec![&other]),
        ("advanced-TRAINER", vec![&percent, &plain, &underscore, &other]),
        (&percent.to_uppercase()[2..], vec![&percent]),
        ("'; DROP TABLE jobs; --", vec![]),
    ] {
        let path = format!("/api/cloud/jobs?q={}", q.replace(' ', "+").replace('\\', "%5C"));
        let path: String = path.chars().map(percent_encoded).collect();
        let page = daemon.get(&path).await.ok();
        let (mut found, mut expected) = (ids(&page), expected);
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{q}");
    }
    daemon.stop().await;
}

fn percent_encoded(character: char) -> String {
    let mut bytes = [0; 4];
    let encode = |byte: &u8| format!("%{byte:02X}");
    match character {
        '\u{80}'.. => character.encode_utf8(&mut bytes).as_bytes().iter().map(encode).collect(),
        _ => character.to_string(),
    }
}

#[rstest]
#[actix_web::test]
async fn the_list_can_be_sorted_and_jobs_of_unknown_cost_come_last(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let mut made = Vec::new();
    for (minute, ran_for_seconds) in [(0, Some(100)), (1, None), (2, Some(300)), (3, Some(200))] {
        let created_at = at("2026-03-01T10:00:00Z") + Duration::minutes(minute);
        let spec = JobSpec { created_at: Some(created_at), ..JobSpec::manual() };
        let id = simulator.create_job(spec).expect("a job");
        if let Some(seconds) = ran_for_seconds {
            let ended = JobUpdate {
                started_at: Some(created_at),
                completed_at: Some(created_at + Duration::seconds(seconds)),
                ..JobUpdate::status(Status::Succeeded)
            };
            simulator.update_job(&id, ended).expect("it ends");
        }
        made.push(id);
    }
    daemon.sync().await;

    for (sort, order) in
        [("newest", [3, 2, 1, 0]), ("oldest", [0, 1, 2, 3]), ("cost", [2, 3, 0, 1])]
    {
        let page = daemon.get(&format!("/api/cloud/jobs?sort={sort}")).await.ok();
        let order: Vec<&str> = order.into_iter().map(|index: usize| &*made[index]).collect();
        assert_eq!(ids(&page), order, "{sort}");
    }
    // Without any names the order is still the same every time.
    let by_name = daemon.get("/api/cloud/jobs?sort=name").await.ok();
    assert_eq!(by_name, daemon.get("/api/cloud/jobs?sort=name&limit=50").await.ok());
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_finished_job_can_be_deleted_with_its_log_and_an_active_one_cannot(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let active = running(&simulator);
    let finished = failed(&simulator, "out of memory");
    daemon.sync().await;
    daemon.get(&format!("/api/cloud/jobs/{finished}/logs")).await.ok();
    let mut events = daemon.events().await;

    let refused = daemon.delete(&format!("/api/cloud/jobs/{active}")).await;
    let refused = refused.error(409, "job_active");
    assert!(refused["detail"].as_str().is_some_and(|text| text.contains("running")), "{refused}");
    assert_eq!(refused["details"], json!({"job_id": active, "status": "running"}));
    assert_eq!(daemon.job(&active).await["status"], "running");

    let path = format!("/api/cloud/jobs/{finished}");
    let deleted = daemon.delete(&path).await.ok();
    assert_eq!(deleted, json!({"success": true, "job_id": finished}));
    assert_eq!(events.next_of("job_deleted").await["job_id"], json!(finished));
    for answer in [
        daemon.get(&path).await,
        daemon.delete(&path).await,
        daemon.get(&format!("{path}/logs")).await,
        daemon.get(&format!("{path}/logs/stream")).await,
        daemon.get(&format!("{path}/inline-progress")).await,
        daemon.post(&format!("{path}/cancel")).await,
    ] {
        let error = answer.error(404, "job_not_found");
        assert_eq!(error["detail"], json!(format!("Job not found: {finished}")));
        assert_eq!(error["details"], json!({"job_id": finished}));
    }
    assert_eq!(daemon.get("/api/cloud/jobs").await.ok()["total"], 1);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_cancel_ends_the_job_at_the_provider_and_a_finished_job_says_its_state(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let id = running(&simulator);
    daemon.sync().await;
    let mut events = daemon.events().await;

    let path = format!("/api/cloud/jobs/{id}/cancel");
    let answer = daemon.post(&path).await.ok();
    assert_eq!(answer, json!({"success": true, "job_id": id, "status": "cancelled"}));
    let event = events.next_of("job_status_changed").await;
    assert_eq!((&event["job_id"], &event["status"]), (&json!(id), &json!("cancelled")));
    assert_eq!((&event["previous"], &event["source"]), (&json!("running"), &json!("user")));
    assert_eq!(simulator.job(&id).expect("a job")["status"], "canceled");

    let calls = simulator.calls_to("POST /predictions/{id}/cancel");
    let again = daemon.post(&path).await.error(409, "job_finished");
    assert!(again["detail"].as_str().is_some_and(|text| text.contains("cancelled")), "{again}");
    assert_eq!(again["details"], json!({"job_id": id, "status": "cancelled"}));
    assert_eq!(simulator.calls_to("POST /predictions/{id}/cancel"), calls, "nobody was asked");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_cancel_that_comes_after_the_end_says_how_the_job_ended() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let id = running(&simulator);
    daemon.sync().await;
    simulator.set_status(&id, Status::Succeeded).expect("it ends");

    let answer = daemon.post(&format!("/api/cloud/jobs/{id}/cancel")).await;

    assert_eq!(answer.error(409, "job_finished")["details"]["status"], "completed");
    assert_eq!(daemon.job(&id).await["status"], "completed");
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_log_can_be_read_whole_or_by_its_lines(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let id = running(&simulator);
    let log = "one\n\rbar 1%\rbar 2%\nThree\nfour\nfive";
    simulator.append_logs(&id, log).expect("it prints");
    daemon.sync().await;

    let path = format!("/api/cloud/jobs/{id}/logs");
    assert_eq!(daemon.get(&path).await.ok(), json!({"job_id": id, "logs": log}));
    for (query, lines, matching) in [
        ("after=1", "bar 2%\nThree\nfour\nfive", 5),
        ("after=1&limit=2", "bar 2%\nThree", 5),
        ("limit=1", "one", 5),
        ("after=5", "", 5),
        ("after=4294967295", "", 5),
        ("q=THREE", "Three", 1),
        ("q=f&limit=1", "four", 2),
        ("q=f&after=4", "five", 2),
        ("q=%25", "bar 2%", 1),
        ("q=nothing", "", 0),
    ] {
        let answer = daemon.get(&format!("{path}?{query}")).await.ok();
        assert_eq!((&answer["job_id"], &answer["logs"]), (&json!(id), &json!(lines)), "{query}");
        let counts = (&answer["total_lines"], &answer["matching_lines"]);
        assert_eq!(counts, (&json!(5), &json!(matching)), "{query}");
    }
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn the_log_of_a_finished_job_outlives_the_providers_retention(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let id = running(&simulator);
    daemon.sync().await;
    simulator.append_logs(&id, "first\nlast\n").expect("it prints");
    simulator.set_status(&id, Status::Succeeded).expect("it ends");
    daemon.get("/api/cloud/jobs?sync_active=true").await.ok();

    let long_ago = Some(Utc::now() - Duration::hours(2));
    let update = JobUpdate { completed_at: long_ago, ..JobUpdate::default() };
    simulator.update_job(&id, update).expect("an earlier end");
    assert_eq!(simulator.job(&id).expect("a job")["logs"], Value::Null);
    daemon.stop().await;
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;

    let answer = daemon.get(&format!("/api/cloud/jobs/{id}/logs")).await.ok();
    assert_eq!(answer["logs"], "first\nlast\n");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_log_that_the_provider_does_not_give_is_an_error_and_no_line() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let id = running(&simulator);
    daemon.sync().await;
    simulator.fail_next(Fault::new("GET /predictions/{id}", FaultKind::NotFound));

    let answer = daemon.get(&format!("/api/cloud/jobs/{id}/logs")).await;

    answer.error(502, "provider_not_found");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_stream_of_a_log_goes_on_until_the_job_ends_and_says_how() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__PROGRESS__TTL_SECONDS", "1")
        .start(&database)
        .await;
    let id = running(&simulator);
    simulator.append_logs(&id, "one\ntwo\nthr").expect("it prints");
    daemon.sync().await;

    let path = format!("/api/cloud/jobs/{id}/logs/stream");
    let mut stream = EventStream::open_path(&daemon.url, &path, None).await;
    assert_eq!(stream.status(), 200);
    for line in ["one", "two"] {
        assert_eq!(stream.next().await.data, line);
    }
    simulator.append_logs(&id, "ee\nfour").expect("it prints");
    simulator.set_status(&id, Status::Failed).expect("it ends");
    for line in ["three", "four"] {
        assert_eq!(stream.next().await.data, line);
    }
    let done = stream.next().await;
    assert_eq!((done.event.as_deref(), &*done.data), (Some("done"), "failed"));
    assert_eq!(stream.try_next().await, None);

    let mut again = EventStream::open_path(&daemon.url, &path, None).await;
    let mut lines = Vec::new();
    while let Some(event) = again.try_next().await {
        lines.push(event.data);
    }
    assert_eq!(lines, ["one", "two", "three", "four", "failed"]);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_nul_in_what_the_provider_says_keeps_nothing_from_being_stored(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let strange = failed(&simulator, "out of\0memory");
    let plain = failed(&simulator, "out of memory");

    let synced = daemon.sync().await;

    assert_eq!(synced["synced"], 2, "{synced}");
    assert_eq!(daemon.job(&strange).await["error_message"], "out of\u{fffd}memory");
    assert_eq!(daemon.job(&plain).await["error_message"], "out of memory");
    assert_eq!(daemon.sync().await["updated"], 0, "and it is the same the next time");
    daemon.stop().await;
}
