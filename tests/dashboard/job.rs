//! The page of one job: curves, timeline, and what can be done with it.

use jobsyncd::simulator::{JobUpdate, Status};
use serde_json::json;

use crate::browser::{Browser, Reader};
use crate::stage::{Stage, training_log};

#[actix_web::test]
async fn a_job_shows_its_numbers_its_curves_and_its_checkpoints() {
    let stage = Stage::set().await;
    let (id, taken) = stage.running("botanical-plates", 1_200).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url(&format!("/jobs/{id}"))).await;
    browser.is_live().await;
    let numbers = browser.text("#job-head .numbers").await;
    for expected in [
        "Step 1,200 of 2,000",
        "Epoch 13 of 21",
        "Loss 0.",
        "Learning rate",
        "Speed",
        "Time left",
        "Cost",
    ] {
        assert!(numbers.contains(expected), "{numbers} has no {expected}");
    }
    browser.when("document.querySelectorAll('#curves canvas').length === 3").await;
    let words = browser.attribute("#curves [role=img]", "aria-label").await.expect("words");
    assert!(words.starts_with("Loss from 0.4"), "{words}");
    assert!(words.ends_with("checkpoints at 500, 1,000"), "{words}");
    browser.shows("#curves figcaption", "2 checkpoints, dashed").await;
    // What is drawn, by its colours: the line of each curve, and the marks.
    let drawn = "const style = getComputedStyle(document.documentElement);
        const parts = (name) => style.getPropertyValue(name).match(/[0-9a-f]{2}/g).map((part) => parseInt(part, 16));
        return [...document.querySelectorAll('#curves canvas')].map((canvas) => {
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {willReadFrequently: true});
            copy.drawImage(canvas, 0, 0);
            const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
            return ['--accent', '--waiting'].map((name) => {
                const [red, green, blue] = parts(name);
                let count = 0;
                for (let at = 0; at < data.length; at += 4) {
                    const isNear = Math.abs(data[at] - red) + Math.abs(data[at + 1] - green) + Math.abs(data[at + 2] - blue) < 60;
                    if (data[at + 3] > 120 && isNear) count += 1;
                }
                return count;
            });
        }).every(([line, marks]) => line > 100 && marks > 50)";
    browser.when(&format!("(() => {{ {drawn} }})()")).await;

    stage.simulator.append_logs(&taken, &training_log(1_201, 1_600)).expect("it prints");
    stage.tell(&taken).await;
    browser.shows("#job-head .numbers", "Step 1,600 of 2,000").await;
    browser.shows("#curves figcaption", "3 checkpoints, dashed").await;
    browser.when(&format!("(() => {{ {drawn} }})()")).await;
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn the_timeline_tells_who_told_us_and_how_late() {
    let stage = Stage::set().await;
    let (id, taken) = stage.running("cats", 100).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url(&format!("/jobs/{id}"))).await;
    browser.is_live().await;
    stage.end(&taken, JobUpdate::status(Status::Succeeded)).await;
    browser.shows(".timeline", "Completed").await;
    let timeline = browser.text(".timeline").await;
    assert!(timeline.starts_with("Pending"), "{timeline}");
    for step in ["by a user", "Running", "by webhook, known within a second"] {
        assert!(timeline.contains(step), "{timeline} has no {step}");
    }
    browser.shows("#job-head .job-status", "Completed").await;
    browser.click("#job-side > p a").await;
    browser.shows("h1", "Activity of cats").await;
    browser.shows(".activity", "running → completed").await;
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn a_job_is_cancelled_only_after_the_pages_own_question() {
    let stage = Stage::set().await;
    let (id, _) = stage.running("cats", 100).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url(&format!("/jobs/{id}"))).await;
    browser.is_live().await;
    browser.click("#cancel-job").await;
    browser.shows("dialog[open]", "cats stops where it is").await;
    browser.click("dialog[open] button[value=no]").await;
    browser.when("!document.querySelector('dialog[open]')").await;
    assert_eq!(stage.daemon.job(&id).await["status"], "running");
    browser.press("c").await;
    browser.click("dialog[open] button[value=yes]").await;
    browser.shows("#toasts", "Cancel requested").await;
    browser.shows("#job-head .job-status", "Cancelled").await;
    assert_eq!(stage.daemon.job(&id).await["status"], "cancelled");
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn a_finished_job_is_deleted_after_a_question_and_then_the_list_is_shown() {
    let stage = Stage::set().await;
    let (id, taken) = stage.running("cats", 100).await;
    stage.end(&taken, JobUpdate::status(Status::Succeeded)).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url(&format!("/jobs/{id}"))).await;
    browser.is_live().await;
    browser.click("#delete-job").await;
    browser.shows("dialog[open]", "is forgotten here").await;
    browser.click("dialog[open] button[value=yes]").await;
    browser.when("location.pathname === '/'").await;
    browser.shows("#jobs .empty", "No jobs yet").await;
    stage.daemon.get(&format!("/api/cloud/jobs/{id}")).await.error(404, "job_not_found");
    browser.go(&stage.url(&format!("/jobs/{id}"))).await;
    browser.shows("main", &format!("Job not found: {id}")).await;
    browser.abandon().await;
    stage.leave().await;
}

#[actix_web::test]
async fn a_job_is_copied_as_a_call_that_works() {
    let stage = Stage::set().await;
    let (id, _) = stage.submitted("cats").await;
    let browser = Browser::open(Reader::default()).await;
    let allow = json!({"permission": {"name": "clipboard-read"}, "setting": "granted"});
    browser.devtools("Browser.setPermission", allow).await;
    browser.go(&stage.url(&format!("/jobs/{id}"))).await;
    browser.is_live().await;
    browser.click("#copy-job").await;
    browser.shows("#toasts", "Copied").await;
    let copied = browser
        .run_async("navigator.clipboard.readText().then(arguments[0], (error) => arguments[0](String(error)))")
        .await;
    let command = copied.as_str().expect("a command").to_owned();
    assert_eq!(command, format!("curl '{}/api/cloud/jobs/{id}'", stage.daemon.url));
    browser.close().await;
    stage.leave().await;
}
