//! Queue, Activity, Health and Settings.

use jobsyncd::simulator::{JobUpdate, Seed, Status};
use serde_json::json;

use crate::browser::{Browser, Reader};
use crate::stage::Stage;

#[actix_web::test]
async fn the_queue_says_who_is_next_and_why_the_others_wait_and_is_moved_there() {
    let stage =
        Stage::set_with(|builder| builder.with("JOBSYNCD__QUEUE__MAX_CONCURRENT", "1")).await;
    let (_, running) = stage.running("first", 100).await;
    let second = stage.daemon.submit(&json!({"config_name": "second"})).await;
    let third = stage.daemon.submit(&json!({"config_name": "third", "user_id": "ada"})).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/queue")).await;
    browser.is_live().await;
    let row = |id: &str| format!("[id='entry-{id}']");
    browser.shows(&row(&second), "second").await;
    let waits = browser.text(&row(&second)).await;
    assert!(waits.starts_with("1 second") && waits.contains("1 job"), "{waits}");
    assert!(browser.text(&row(&third)).await.starts_with("2 third of ada"));
    browser.shows("#queue .metrics", "Waiting 2").await;
    browser.shows("#queue .metrics", "Under way 1 of 1").await;

    browser.run(&format!("const choice = document.getElementById('priority-{third}'); choice.value = 'urgent'; choice.dispatchEvent(new Event('change', {{bubbles: true}}))")).await;
    browser.shows("#toasts", "Priority changed").await;
    browser
        .when(&format!(
            "document.querySelector(\"{}\").textContent.trim().startsWith('1')",
            row(&third)
        ))
        .await;

    browser.click("#pause").await;
    browser.shows("#queue", "Paused").await;
    browser.click("#resume").await;
    browser.when("document.querySelector('#pause')").await;

    browser.click(&format!("[id='cancel-{second}']")).await;
    browser.click("dialog[open] button[value=yes]").await;
    browser.when(&format!("!document.querySelector(\"{}\")", row(&second))).await;
    assert_eq!(stage.daemon.job(&second).await["status"], "cancelled");

    browser.run("document.querySelector('[name=max_concurrent]').value = 4").await;
    browser.click("section[aria-labelledby=limits-title] button").await;
    browser.shows("#toasts", "Limits saved").await;
    browser.shows("#queue .metrics", "of 4").await;
    stage.end(&running, JobUpdate::status(Status::Succeeded)).await;
    browser.when("!document.body.textContent.includes('first')").await;
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn activity_is_filtered_by_kind_and_new_events_wait() {
    let stage = Stage::set().await;
    let (id, taken) = stage.running("cats", 100).await;
    stage.simulator.seed(&Seed::new(2, &[Status::Succeeded]));
    stage.daemon.sync().await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/activity")).await;
    browser.is_live().await;
    browser.shows(".activity", "synced replicate: 2 discovered").await;
    browser.click("#group-states").await;
    browser.when("location.search === '?type=states'").await;
    browser.is_live().await;
    let states = browser.text(".activity").await;
    assert!(states.contains("queued → running") && !states.contains("synced"), "{states}");
    stage.end(&taken, JobUpdate::status(Status::Succeeded)).await;
    browser.shows("#new-events", "1 new").await;
    browser.click("#new-events button").await;
    browser.shows(".activity li", "running → completed by webhook").await;
    browser.click(".activity li a").await;
    browser.when(&format!("location.pathname === '/jobs/{id}'")).await;
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn a_long_history_is_read_page_by_page() {
    let stage = Stage::set().await;
    stage
        .simulator
        .seed(&Seed { interval_milliseconds: 1_000, ..Seed::new(250, &[Status::Succeeded]) });
    stage.daemon.post_json("/api/cloud/jobs/sync", &json!({"all": true})).await.ok();
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/activity?type=jobs")).await;
    for events in [100, 100, 50] {
        browser
            .when(&format!("document.querySelectorAll('.activity li').length === {events}"))
            .await;
        if events == 100 {
            browser.click("a[rel=next]").await;
            browser.when("location.search.includes('before=')").await;
        }
    }
    assert_eq!(browser.count("a[rel=next]").await, 0);
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn health_tells_of_everything_that_may_go_wrong() {
    let stage = Stage::set().await;
    let (_, _) = stage.running("cats", 100).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/system")).await;
    browser.is_live().await;
    browser.shows("p.health", "Healthy").await;
    // Its own stream was not open yet when the page was made.
    browser.run("document.dispatchEvent(new CustomEvent('jobsyncd:refresh'))").await;
    browser.shows("#health", "Open streams 1").await;
    let health = browser.text("#health").await;
    for fact in [
        "Kind SQLite",
        "Calls left before reset",
        "Last webhook",
        "Reconciliation interval 5m 00s",
        "Least confirmed job",
        "Interval 1d 00h",
    ] {
        assert!(health.contains(fact), "{health} has no {fact}");
    }
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn settings_set_the_webhook_polling_and_a_limit_and_say_what_follows() {
    let stage = Stage::set().await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/settings")).await;
    browser.is_live().await;
    browser.shows("#polling-state", "It is on, no webhook is configured").await;
    let url = stage.daemon.webhook_url();
    browser.write("[name=webhook_url]", &url).await;
    browser.click("[data-test]").await;
    browser.shows("output", "It reached this daemon within").await;
    browser.click("form[data-api*='replicate/config'] button:not([type=button])").await;
    browser.shows("#toasts", "Webhook saved").await;
    browser.shows("#polling-state", "It is off, a webhook is configured").await;
    let config = stage.daemon.get("/api/cloud/providers/replicate/config").await.ok();
    assert_eq!(config["config"]["webhook_url"], json!(url));

    browser.click("input[name=enabled][value=true]").await;
    browser.shows("#polling-state", "It is on, as set by a user").await;
    assert_eq!(stage.daemon.polling().await["preference"], true);
    browser.click("input[name=enabled][value=null]").await;
    browser.shows("#polling-state", "It is off, a webhook is configured").await;

    browser.click("[name=cost_limit_enabled]").await;
    browser.write("[name=cost_limit_amount]", "12.50").await;
    browser.click("section[aria-labelledby=limit-title] form > button").await;
    browser.shows("#toasts", "Limit saved").await;
    let config = stage.daemon.get("/api/cloud/providers/replicate/config").await.ok();
    assert_eq!(config["config"]["cost_limit_amount"], 12.5);
    browser.when("document.querySelector('[name=cost_limit_amount]').value === '12.50'").await;
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn what_cannot_be_saved_says_why() {
    let stage = Stage::set().await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/settings")).await;
    browser.is_live().await;
    browser.write("[name=webhook_url]", "https://user:password@example.org/hook").await;
    browser.click("form[data-api*='replicate/config'] button:not([type=button])").await;
    browser.shows("#alerts", "a URL must not hold credentials").await;
    browser.abandon().await;
    stage.leave().await;
}
