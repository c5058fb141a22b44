//! The list: numbers, filters, rows, Sync, and what is new.

use jobsyncd::simulator::{ErrorBody, Fault, FaultKind, JobKind, JobSpec, JobUpdate, Seed, Status};
use serde_json::json;

use crate::browser::{Browser, Reader};
use crate::stage::{Stage, training_log};

#[actix_web::test]
async fn a_running_job_is_a_row_with_everything_that_is_known_of_it() {
    let stage = Stage::set().await;
    let (id, _) = stage.running("botanical-plates", 600).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    let row = format!("[id='job-{id}']");
    let cell = |name: &str| format!("{row} .{name}");
    assert_eq!(browser.text(&cell("job-status")).await, "Running");
    assert_eq!(browser.count(&format!("{row} .job-status use[href='#icon-running']")).await, 1);
    assert_eq!(
        browser.text(&cell("job-name")).await,
        "botanical-plates simpletuner/advanced-trainer-l40s"
    );
    let progress = browser.text(&cell("job-progress")).await;
    assert!(progress.starts_with("30.0 % Training Epoch 7/21, Steps: 30%"), "{progress}");
    assert_eq!(browser.attribute(&format!("{row} progress"), "value").await.as_deref(), Some("30"));
    let curve = browser.attribute(&format!("{row} .spark"), "aria-label").await;
    assert!(curve.is_some_and(|words| words.starts_with("Loss from 0.4")), "no curve");
    assert!(browser.text(&cell("job-time")).await.contains("left"));
    assert_eq!(browser.text(&cell("job-hardware")).await, "l40s");
    assert!(
        browser.text(&cell("job-cost")).await.starts_with('~')
            || browser.text(&cell("job-cost")).await == "$0.00"
            || browser.text(&cell("job-cost")).await.starts_with('<')
    );
    assert!(browser.text(&cell("job-age")).await.ends_with("ago"));
    let confirmed = browser.text(&cell("job-confirmed")).await;
    assert!(
        confirmed.starts_with("confirmed") && confirmed.ends_with("ago by webhook"),
        "{confirmed}"
    );
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn the_strip_tells_what_runs_what_was_spent_and_how_jobs_fare() {
    let stage = Stage::set().await;
    stage.simulator.seed(&Seed::new(
        8,
        &[
            Status::Processing,
            Status::Starting,
            Status::Succeeded,
            Status::Succeeded,
            Status::Succeeded,
            Status::Failed,
            Status::Canceled,
            Status::Processing,
        ],
    ));
    stage.daemon.sync().await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    let strip = browser.text("#metrics").await;
    assert!(strip.starts_with("Running 2 Queued 1 Spent in 7 days $"), "{strip}");
    assert!(strip.contains("Success rate 30 days 75.0 %"), "{strip}");
    assert!(strip.ends_with("Average duration 30 days 10m 00s"), "{strip}");
    let of_api = stage.daemon.get("/api/metrics?days=90").await.ok()["total_cost"].as_f64();
    let cost = format!("Spent in 90 days ${:.2}", of_api.expect("a sum"));
    assert!(strip.contains(&cost), "{strip} has no {cost}");
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn chips_search_and_order_have_true_totals_and_an_address_each() {
    let stage = Stage::set().await;
    stage.simulator.seed(&Seed::new(60, &[Status::Succeeded, Status::Failed, Status::Succeeded]));
    stage.daemon.sync().await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    assert_eq!(browser.text("#chip-all").await, "All 60");
    assert_eq!(browser.count("tr.job").await, 50);
    assert_eq!(browser.text("#shown").await, "1 to 50 of 60 jobs");

    browser.click("#chip-failed").await;
    browser.shows("#shown", "20 jobs").await;
    assert_eq!(browser.address().await, "/?status=failed");
    assert_eq!(browser.attribute("#chip-failed", "aria-current").await.as_deref(), Some("true"));
    assert_eq!(browser.text("#chip-completed").await, "Completed 40");

    browser.write("#q", "out of MEM").await;
    browser.when("new URLSearchParams(location.search).get('q') === 'out of MEM'").await;
    assert_eq!(browser.address().await, "/?q=out+of+MEM&status=failed");
    browser.shows("#shown", "20 jobs").await;
    // The totals of the others are of what is searched for.
    browser.shows("#chip-completed", "Completed 0").await;
    assert_eq!(browser.run("return document.activeElement.id").await, "q", "the focus is kept");
    browser.write("#q", "x").await;
    browser.shows("#jobs .empty h2", "No job matches").await;

    browser.go(&stage.url("/?status=failed")).await;
    browser.is_live().await;
    let choose = "const order = document.querySelector('#sort'); order.value = 'oldest';
        order.dispatchEvent(new Event('change', {bubbles: true}))";
    browser.run(choose).await;
    browser.when("location.search === '?sort=oldest&status=failed'").await;
    // Other totals than those of the list before; nothing of it is new.
    browser.when("document.querySelector('#listed').dataset.for === document.querySelector('#jobs').dataset.updates").await;
    assert_eq!(browser.text("#new-jobs").await, "");

    // An address says it all.
    browser.go(&stage.url("/?status=failed&sort=oldest&limit=10")).await;
    assert_eq!(browser.count("tr.job").await, 10);
    let oldest = stage.daemon.get("/api/cloud/jobs?status=failed&sort=oldest&limit=1").await.ok();
    let first = browser.attribute("tr.job", "data-job").await;
    assert_eq!(json!(first), oldest["jobs"][0]["job_id"]);
    browser.click("#older").await;
    browser.shows("#shown", "11 to 20 of 20 jobs").await;
    browser.back().await;
    browser.shows("#shown", "1 to 10 of 20 jobs").await;
    browser.is_live().await;
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn where_there_are_several_providers_the_list_is_filtered_and_synced_by_each() {
    let stage = Stage::set_with(|builder| {
        builder.with("JOBSYNCD__PROVIDERS__REPLICATE__TRAININGS", "true")
    })
    .await;
    stage.simulator.seed(&Seed::new(2, &[Status::Processing]));
    let training = JobSpec {
        kind: JobKind::Training,
        destination: Some("me/mine".to_owned()),
        ..JobSpec::manual()
    };
    stage.simulator.create_job(training).expect("a training");
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    browser.click("#sync-replicate").await;
    browser.shows("#toasts", "Discovered 2 jobs from Replicate").await;
    browser.click("#sync-replicate-trainings").await;
    browser.when("document.querySelectorAll('tr.job').length === 3").await;
    browser
        .run(
            "const choice = document.querySelector('#provider'); choice.value = 'replicate-trainings';
            choice.dispatchEvent(new Event('change', {bubbles: true}))",
        )
        .await;
    browser.when("location.search === '?provider=replicate-trainings'").await;
    browser.when("document.querySelectorAll('tr.job').length === 1").await;
    browser.shows("#chip-all", "All 1").await;
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn an_address_with_a_filter_that_is_none_says_what_is_allowed() {
    let stage = Stage::set().await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/?status=done")).await;
    browser.shows("main", "pending, uploading, queued, running").await;
    browser.click("main a").await;
    browser.shows("#jobs .empty h2", "No jobs yet").await;
    browser.abandon().await;
    stage.leave().await;
}

#[actix_web::test]
async fn sync_shows_that_it_works_then_what_it_found_and_the_list_is_fresh() {
    let stage = Stage::set().await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    stage.simulator.seed(&Seed::new(3, &[Status::Processing]));
    let slow = Fault::new("GET /predictions", FaultKind::Delay { milliseconds: 700 });
    stage.simulator.fail_next(slow);
    browser.click(".sync").await;
    browser
        .when("document.querySelector('.sync').getAttribute('aria-busy') === 'true' && document.querySelector('.sync').disabled")
        .await;
    assert_ne!(
        browser
            .run("return getComputedStyle(document.querySelector('.sync svg')).animationName")
            .await,
        "none"
    );
    browser.shows("#toasts", "Discovered 3 jobs from Replicate").await;
    browser.shows("#toasts", "0 updated, 0 unchanged, in 1 call").await;
    browser.when("document.querySelectorAll('tr.job').length === 3").await;
    browser.shows("#metrics", "Running 3").await;
    assert_eq!(browser.attribute(".sync", "aria-busy").await, None);
    assert_eq!(browser.run("return document.querySelector('.sync').disabled").await, false);
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn a_sync_that_fails_tells_the_providers_words_and_can_be_tried_again() {
    let stage = Stage::set().await;
    stage.discoverable();
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    let down = FaultKind::ServerError { status: 503, body: ErrorBody::Problem };
    stage.simulator.fail_next(Fault::new("GET /predictions", down).times(3));
    browser.click(".sync").await;
    browser.shows("#alerts .toast", "(the provider answered 503)").await;
    browser.click("#alerts .toast button").await;
    browser.shows("#toasts", "Discovered 1 job from Replicate").await;
    browser.when("document.querySelectorAll('tr.job').length === 1").await;
    // The browser itself remarks on the 502.
    browser.abandon().await;
    stage.leave().await;
}

#[actix_web::test]
async fn new_jobs_wait_until_they_are_wanted_and_no_row_moves() {
    let stage = Stage::set().await;
    stage.simulator.seed(&Seed::new(5, &[Status::Processing]));
    stage.daemon.sync().await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    let places =
        "return [...document.querySelectorAll('tr.job')].map((row) => [row.id, row.offsetTop])";
    let before = browser.run(places).await;
    stage.simulator.seed(&Seed::new(3, &[Status::Starting]));
    stage.daemon.sync().await;
    browser.shows("#new-jobs button", "3 new").await;
    browser.shows("#chip-all", "All 8").await;
    let ids = "return [...document.querySelectorAll('tr.job')].map((row) => row.id)";
    let rows_of = |places: &serde_json::Value| {
        places.as_array().expect("rows").iter().map(|row| row[0].clone()).collect::<Vec<_>>()
    };
    assert_eq!(json!(rows_of(&before)), browser.run(ids).await, "no row has moved");
    browser.click("#new-jobs button").await;
    browser.when("document.querySelectorAll('tr.job').length === 8").await;
    browser.when("document.querySelector('#new-jobs').textContent === ''").await;
    assert_eq!(browser.run("return document.activeElement.closest('tr.job') !== null").await, true);
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn a_row_lives_its_job_without_moving_and_keeps_the_focus() {
    let stage = Stage::set().await;
    let (id, taken) = stage.running("cats", 400).await;
    let (other, _) = stage.running("dogs", 100).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/?status=running")).await;
    browser.is_live().await;
    let row = format!("[id='job-{id}']");
    browser.run(&format!("document.querySelector(\"{row} a\").focus()")).await;
    stage.simulator.append_logs(&taken, &training_log(401, 1_000)).expect("it prints");
    stage.tell(&taken).await;
    browser.shows(&format!("{row} .job-progress"), "50.0 %").await;
    stage
        .end(
            &taken,
            JobUpdate {
                error: Some("CUDA out of memory".to_owned()),
                ..JobUpdate::status(Status::Failed)
            },
        )
        .await;
    browser.shows(&format!("{row} .job-status"), "Failed").await;
    browser.shows(&format!("{row} .line"), "CUDA out of memory").await;
    browser.shows("#chip-running", "Running 1").await;
    // It does not pass the filter any more, and stays where it is until the list is wanted anew.
    assert_eq!(browser.count("tr.job").await, 2);
    assert_eq!(
        browser.run("return document.activeElement.closest('tr').dataset.job").await,
        json!(id)
    );
    stage.daemon.delete(&format!("/api/cloud/jobs/{id}")).await.ok();
    browser.when(&format!("document.querySelector(\"{row}\").classList.contains('is-gone')")).await;
    browser.reload().await;
    assert_eq!(browser.count("tr.job").await, 1);
    assert_eq!(browser.attribute("tr.job", "data-job").await, Some(other));
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn the_logs_of_running_jobs_in_sight_are_looked_at() {
    let stage = Stage::set().await;
    let (id, taken) = stage.running("cats", 400).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    // Nobody tells of this: only looking finds it.
    stage.simulator.append_logs(&taken, &training_log(401, 1_000)).expect("it prints");
    browser.shows(&format!("[id='job-{id}'] .job-progress"), "50.0 %").await;
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn a_job_that_waits_has_its_place_and_a_list_takes_any_number_of_jobs() {
    let stage = Stage::set().await;
    stage.daemon.post("/api/queue/pause").await.ok();
    for name in ["first", "second"] {
        stage.daemon.submit(&json!({"config_name": name})).await;
    }
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/?sort=oldest")).await;
    assert_eq!(browser.text("tr.job .job-status").await, "Pending place 1");
    for (count, shown) in [(1, "3 jobs"), (497, "500 jobs")] {
        stage
            .simulator
            .seed(&Seed { interval_milliseconds: 1_000, ..Seed::new(count, &[Status::Succeeded]) });
        stage.daemon.post_json("/api/cloud/jobs/sync", &json!({"all": true})).await.ok();
        browser.go(&stage.url("/?limit=500")).await;
        browser.is_live().await;
        assert_eq!(browser.text("#shown").await, shown);
    }
    assert_eq!(browser.count("tr.job").await, 500);
    browser.close().await;
    stage.leave().await;
}
