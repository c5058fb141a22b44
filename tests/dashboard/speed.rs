//! How soon a page is there, and how soon it knows.

use std::time::{SystemTime, UNIX_EPOCH};

use jobsyncd::simulator::Status;

use crate::browser::{Browser, Reader};
use crate::stage::Stage;

/// What the first page may weigh, compressed, with everything that it brings along.
const FIRST_PAGE_BYTES_MAX: u64 = 70_000;
/// How long after a webhook was sent it must be on the screen.
const ON_SCREEN_MILLISECONDS_MAX: f64 = 250.0;

#[actix_web::test]
async fn the_first_page_weighs_little() {
    let stage = Stage::set().await;
    for number in 0..5 {
        stage.running(&format!("job-{number}"), 900).await;
    }
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    let weights = browser
        .run("return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
            .map((entry) => [new URL(entry.name).pathname, entry.encodedBodySize])")
        .await;
    let weights = weights.as_array().expect("a list").clone();
    let total: u64 = weights.iter().filter_map(|entry| entry[1].as_u64()).sum();
    assert!(weights.len() > 10, "{weights:?}");
    assert!(total > 20_000 && total <= FIRST_PAGE_BYTES_MAX, "{total} bytes: {weights:#?}");
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn a_webhook_is_on_the_screen_at_once() {
    let stage =
        Stage::set_with(|builder| builder.with("JOBSYNCD__QUEUE__MAX_CONCURRENT", "9")).await;
    let browser = Browser::open(Reader::default()).await;
    let mut jobs = Vec::new();
    for number in 0..7 {
        jobs.push(stage.submitted(&format!("job-{number}")).await);
    }
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    let mut delays = Vec::new();
    for (id, taken) in jobs {
        stage.simulator.set_status(&taken, Status::Processing).expect("it starts");
        browser
            .run(&format!(
                "window.shownAt = 0; const row = document.getElementById('job-{id}');
                 new MutationObserver(() => {{ if (row.dataset.status === 'running') requestAnimationFrame(() => {{ window.shownAt ||= Date.now(); }}); }})
                     .observe(row, {{attributes: true}})"
            ))
            .await;
        let sent_at =
            SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs_f64() * 1e3;
        stage.tell(&taken).await;
        let shown_at = browser.when("window.shownAt").await.as_f64().expect("a time");
        delays.push(shown_at - sent_at);
    }
    delays.sort_by(f64::total_cmp);
    // Of other work on the machine a test can know nothing: the middle one counts.
    assert!(delays[3] <= ON_SCREEN_MILLISECONDS_MAX, "{delays:?}");
    browser.close().await;
    stage.leave().await;
}
