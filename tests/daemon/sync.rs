//! The page's full provider sync.

use jobsyncd::simulator::{
    ErrorBody, Fault, FaultKind, JobSpec, JobUpdate, Seed, Simulator, Status,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};

const LIST: &str = "GET /predictions";

async fn total(daemon: &TestDaemon) -> Value {
    daemon.get("/api/cloud/jobs").await.ok()["total"].take()
}

async fn sync_all(daemon: &TestDaemon) -> Value {
    daemon.post_json("/api/cloud/jobs/sync", &json!({"all": true})).await.ok()
}

/// Lets page `number` of the list fail, and every one after it.
fn fail_from_page(simulator: &Simulator, number: u32) {
    simulator.fail_next(Fault::new(LIST, FaultKind::Delay { milliseconds: 0 }).times(number - 1));
    let failure = FaultKind::ServerError { status: 500, body: ErrorBody::Problem };
    simulator.fail_next(Fault::new(LIST, failure).times(100));
}

#[rstest]
#[actix_web::test]
async fn the_hundred_most_recent_jobs_are_discovered_and_counted(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let seeded = simulator.seed(&Seed::new(130, &[Status::Succeeded]));

    let first = daemon.sync().await;
    assert_eq!(first["synced"], 100);
    assert_eq!(first["message"], "Discovered 100 new jobs from Replicate");
    assert_eq!((&first["updated"], &first["unchanged"]), (&json!(0), &json!(0)));
    assert_eq!(first["provider_calls"], 1);
    assert!(first["duration_ms"].is_u64());

    let list = daemon.get("/api/cloud/jobs?limit=500").await.ok();
    let ids: Vec<_> = list["jobs"].as_array().expect("jobs").iter().map(|j| &j["job_id"]).collect();
    assert_eq!(
        ids,
        seeded[..100].iter().map(|id| json!(id)).collect::<Vec<_>>().iter().collect::<Vec<_>>()
    );

    let again = daemon.sync().await;
    assert_eq!(again["synced"], 0);
    assert_eq!(again["message"], "Discovered 0 new jobs from Replicate");
    assert_eq!((&again["updated"], &again["unchanged"]), (&json!(0), &json!(100)));

    simulator.create_job(JobSpec::manual()).expect("a job");
    let one = daemon.sync().await;
    assert_eq!(one["synced"], 1);
    assert_eq!(one["message"], "Discovered 1 new jobs from Replicate");
    assert_eq!(simulator.calls_to(LIST), 3);
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn a_known_job_is_updated_in_status_cost_timestamps_error_and_output(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let [good, bad] = [(); 2].map(|()| simulator.create_job(JobSpec::manual()).expect("a job"));
    daemon.sync().await;
    assert_eq!(daemon.job(&good).await["status"], "queued");

    // Not long ago: the provider forgets outputs after an hour.
    let started_at = chrono::Utc::now() - chrono::TimeDelta::seconds(200);
    let completed_at = started_at + chrono::TimeDelta::seconds(100);
    let ran = |status| JobUpdate {
        started_at: Some(started_at),
        completed_at: Some(completed_at),
        ..JobUpdate::status(status)
    };
    let output = Some(json!("https://replicate.delivery/x/out.zip"));
    simulator.update_job(&good, JobUpdate { output, ..ran(Status::Succeeded) }).expect("it ends");
    let error = Some("CUDA out of memory".to_owned());
    simulator.update_job(&bad, JobUpdate { error, ..ran(Status::Failed) }).expect("it ends");

    let synced = daemon.sync().await;

    assert_eq!((&synced["synced"], &synced["updated"]), (&json!(0), &json!(2)));
    let job = daemon.job(&good).await;
    assert_eq!(job["status"], "completed");
    let at = |field: &str| -> chrono::DateTime<chrono::Utc> {
        job[field].as_str().and_then(|text| text.parse().ok()).expect("an instant")
    };
    let micros = [at("started_at"), at("completed_at")].map(|at| at.timestamp_micros());
    assert_eq!(micros, [started_at, completed_at].map(|at| at.timestamp_micros()));
    assert_eq!(job["finished_at"], job["completed_at"]);
    assert_eq!(job["cost_usd"], 0.1525);
    assert_eq!(job["duration_seconds"], 100.0);
    assert_eq!(job["output_url"], "https://replicate.delivery/x/out.zip");
    let job = daemon.job(&bad).await;
    assert_eq!(
        (&job["status"], &job["error_message"]),
        (&json!("failed"), &json!("CUDA out of memory"))
    );
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn every_word_of_the_provider_has_its_status_and_an_unknown_one_changes_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let expected = [
        (Status::Starting, "queued"),
        (Status::Processing, "running"),
        (Status::Succeeded, "completed"),
        (Status::Failed, "failed"),
        (Status::Canceled, "cancelled"),
        (Status::Aborted, "cancelled"),
    ];
    let statuses: Vec<_> = expected.iter().map(|(word, _)| word.clone()).collect();
    let ids = simulator.seed(&Seed::new(6, &statuses));
    let odd = simulator.create_job(JobSpec::manual()).expect("a job");
    simulator.set_status(&odd, Status::Processing).expect("it starts");
    daemon.sync().await;

    for (id, (word, status)) in ids.iter().zip(&expected) {
        let job = daemon.job(id).await;
        assert_eq!(job["status"], *status, "{word:?}");
        assert_eq!(job["provider_status"], String::from(word.clone()));
        assert_eq!(job["is_active"], json!(["queued", "running"].contains(status)));
        if *word == Status::Aborted {
            assert_eq!((&job["cost_usd"], &job["started_at"]), (&json!(0.0), &Value::Null));
        }
    }
    simulator.set_status(&odd, Status::Other("hibernating".into())).expect("it says so");
    assert_eq!(daemon.sync().await["synced"], 0);
    let job = daemon.job(&odd).await;
    assert_eq!(
        (&job["status"], &job["provider_status"]),
        (&json!("running"), &json!("hibernating"))
    );
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn all_reads_page_by_page_to_the_end_and_says_how_far_it_is(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    simulator.seed(&Seed::new(250, &[Status::Succeeded, Status::Processing]));
    let mut events = daemon.events().await;

    let (synced, (progress, end)) = futures_util::future::join(sync_all(&daemon), async {
        let progress =
            [events.next_of("sync_progress").await, events.next_of("sync_progress").await];
        (progress, events.next_of("sync_completed").await)
    })
    .await;

    assert_eq!(synced["synced"], 250);
    assert_eq!(synced["message"], "Discovered 250 new jobs from Replicate");
    assert_eq!(synced["provider_calls"], 3);
    assert_eq!(simulator.calls_to(LIST), 3);
    let told = progress.map(|event| (event["pages"].clone(), event["synced"].clone()));
    assert_eq!(told, [(json!(1), json!(100)), (json!(2), json!(200))]);
    assert_eq!((&end["provider"], &end["synced"]), (&json!("replicate"), &json!(250)));
    assert!(end["seq"].is_u64() && end["at"].is_string() && end["error"].is_null(), "{end}");
    assert_eq!(total(&daemon).await, 250);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_second_sync_is_refused_while_one_runs() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    simulator.seed(&Seed::new(300, &[Status::Succeeded]));
    simulator.set_latency(std::time::Duration::from_millis(500));
    let mut events = daemon.events().await;

    let (synced, refused) = futures_util::future::join(sync_all(&daemon), async {
        // The first page is there, so the second is under way for half a second.
        events.next_of("sync_progress").await;
        daemon.post_json("/api/cloud/jobs/sync", &json!({"all": true})).await
    })
    .await;

    refused.error(409, "sync_under_way");
    assert_eq!(synced["synced"], 300);
    simulator.set_latency(std::time::Duration::ZERO);
    assert_eq!(sync_all(&daemon).await["unchanged"], 300);
    daemon.stop().await;
}

#[actix_web::test]
async fn jobs_of_other_models_than_the_configured_ones_are_kept_out() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__MODELS", "simpletuner/*")
        .start(&database)
        .await;
    simulator.seed(&Seed::new(5, &[Status::Succeeded]));
    simulator.seed(&Seed { model: "acme/chat".to_owned(), ..Seed::new(7, &[Status::Processing]) });

    assert_eq!(daemon.sync().await["synced"], 5);
    assert_eq!(total(&daemon).await, 5);
    daemon.stop().await;
}

#[rstest]
#[case::failing(
    FaultKind::ServerError { status: 500, body: ErrorBody::Problem }, 502, "provider_failing", "Something went wrong."
)]
#[case::a_proxys_page(
    FaultKind::ServerError { status: 502, body: ErrorBody::Html }, 502, "provider_failing", "Bad Gateway"
)]
#[case::wrong_token(FaultKind::Unauthorized, 502, "provider_refused", "401")]
#[case::throttled(
    FaultKind::Throttled { retry_after_seconds: Some(120) }, 502, "provider_throttled", "Request was throttled."
)]
#[case::silent(FaultKind::Hang, 504, "provider_timeout", "1 s")]
#[case::garbage(FaultKind::Garbage, 502, "provider_garbled", "cannot be read")]
#[case::cut(FaultKind::CutJson, 502, "provider_garbled", "cannot be read")]
#[case::truncated(FaultKind::TruncatedBody, 502, "provider_garbled", "cannot be read")]
#[case::reset(FaultKind::Reset, 502, "provider_unreachable", "connection to the provider broke")]
#[actix_web::test]
async fn a_failure_of_the_provider_is_an_error_with_its_words_and_never_a_zero(
    #[case] fault: FaultKind,
    #[case] status: u16,
    #[case] name: &str,
    #[case] words: &str,
) {
    let simulator = simulator().await;
    simulator.seed(&Seed::new(3, &[Status::Processing]));
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__REQUEST_TIMEOUT_SECONDS", "1")
        .start(&database)
        .await;
    let mut events = daemon.events().await;
    simulator.fail_next(Fault::new(LIST, fault).times(100));

    let answer = daemon.post("/api/cloud/jobs/sync").await;

    let retry_after = answer.header("retry-after").map(str::to_owned);
    let error = answer.error(status, name);
    assert!(error["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{error}");
    assert!(!error.to_string().contains(simulator.token()), "{error}");
    if name == "provider_throttled" {
        assert_eq!(retry_after.as_deref(), Some("120"));
        assert_eq!(simulator.calls_to(LIST), 1, "who is told to wait does not ask again");
    }
    let end = events.next_of("sync_completed").await;
    assert_eq!((&end["synced"], &end["error"]), (&json!(0), &error["detail"]));
    assert_eq!(total(&daemon).await, 0);
    daemon.stop().await;
}

#[actix_web::test]
async fn without_a_token_a_sync_says_which_variable_to_set() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL", simulator.base_url())
        .start(&database)
        .await;
    let error = daemon.post("/api/cloud/jobs/sync").await.error(502, "provider_not_configured");
    assert!(error["detail"].as_str().is_some_and(|text| text.contains("REPLICATE_API_TOKEN")));
    assert!(simulator.calls().is_empty());
    daemon.stop().await;
}

#[actix_web::test]
async fn a_wrong_token_is_never_shown() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let wrong = "r8_wrong0000000000000000000000000000000";
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("REPLICATE_API_TOKEN", wrong)
        .start(&database)
        .await;
    let error = daemon.post("/api/cloud/jobs/sync").await.error(502, "provider_refused");
    assert!(!error.to_string().contains(wrong), "{error}");
    let validated = daemon.get("/api/cloud/providers/replicate/validate").await.ok();
    assert_eq!(validated["valid"], false);
    assert!(!validated.to_string().contains(wrong), "{validated}");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_provider_that_failed_again_and_again_is_still_reported_in_its_own_words() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    let failure = FaultKind::ServerError { status: 500, body: ErrorBody::Problem };
    simulator.fail_next(Fault::new(LIST, failure).times(100));
    // The breaker opens during the second one, between two attempts; the third one finds it open.
    for _ in 0..3 {
        let answer = daemon.post("/api/cloud/jobs/sync").await;
        assert_eq!(answer.status.as_u16(), 502);
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains("Something went wrong."), "{detail}");
    }
    assert_eq!(simulator.calls_to(LIST), 5);
    daemon.stop().await;
}

#[actix_web::test]
async fn a_silent_provider_is_a_504_also_where_our_own_patience_is_as_short() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__PROVIDERS__REPLICATE__REQUEST_TIMEOUT_SECONDS", "1")
        .with("JOBSYNCD__SERVER__REQUEST_TIMEOUT_SECONDS", "1")
        .start(&database)
        .await;
    let job = simulator.create_job(JobSpec::manual()).expect("a job");
    daemon.sync().await;
    simulator.fail_next(Fault::new("*", FaultKind::Hang).times(3));
    daemon.post("/api/cloud/jobs/sync").await.error(504, "provider_timeout");
    let validated = daemon.get("/api/cloud/providers/replicate/validate").await.ok();
    assert_eq!(validated["error"], "the provider did not answer within 1 s");
    let refreshed = daemon.refresh().await;
    assert_eq!(refreshed["jobs"][0]["job_id"], json!(job));
    assert_eq!(refreshed["sync"]["error"], "the provider did not answer within 1 s");
    daemon.stop().await;
}

#[rstest]
#[actix_web::test]
async fn what_was_read_before_a_page_failed_is_kept(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let database = TestDatabase::new(backend);
    let daemon = TestDaemon::builder().tracking(&simulator).start(&database).await;
    simulator.seed(&Seed::new(250, &[Status::Succeeded]));
    fail_from_page(&simulator, 3);

    let (failed, end) = {
        let mut events = daemon.events().await;
        futures_util::future::join(
            daemon.post_json("/api/cloud/jobs/sync", &json!({"all": true})),
            async move { events.next_of("sync_completed").await },
        )
        .await
    };

    failed.error(502, "provider_failing");
    assert_eq!(end["synced"], 200);
    assert!(end["error"].is_string(), "{end}");
    assert_eq!(total(&daemon).await, 200);
    simulator.clear_faults();
    let rest = sync_all(&daemon).await;
    assert_eq!((&rest["synced"], &rest["unchanged"]), (&json!(50), &json!(200)));
    daemon.stop().await;
}
