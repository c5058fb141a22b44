//! Pictures of each view, as `make screenshots` puts them into `docs/screenshots/`.

use std::path::PathBuf;

use jobsyncd::simulator::{End, JobSpec, JobUpdate, Scenario, Status};
use serde_json::json;

use crate::browser::{Browser, Reader};
use crate::stage::{Stage, training_log};

/// Where they go: where nobody says so, beside what was built.
fn folder() -> PathBuf {
    let folder = std::env::var_os("SCREENSHOTS").map_or("target/screenshots".into(), PathBuf::from);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// An account in the middle of a working day.
async fn working_day() -> (Stage, String) {
    let stage = Stage::set_with(|builder| {
        builder
            .with("JOBSYNCD__QUEUE__MAX_CONCURRENT", "6")
            .with("SIMPLETUNER_JOB_POLL_INTERVAL", "30")
    })
    .await;
    for (number, minutes) in [1_900, 1_400, 640, 300, 150].into_iter().enumerate() {
        let end = match number {
            1 => End::Fail {
                error: "ValueError: no images found in the dataset".to_owned(),
                after_step: 0,
            },
            3 => End::RunUntilCancelled,
            _ => End::Succeed,
        };
        let scenario = Scenario { end, steps: 2_000, seconds_per_step: 0.9, ..Scenario::default() };
        let spec = JobSpec {
            version: format!(
                "simpletuner/advanced-trainer-{}",
                ["h100", "l40s", "h100-x2"][number % 3]
            ),
            created_at: Some(chrono::Utc::now() - chrono::Duration::minutes(minutes)),
            cancel_after_seconds: (number == 3).then_some(900),
            ..JobSpec::scripted(scenario)
        };
        stage.simulator.create_job(spec).expect("a job");
    }
    stage.daemon.sync().await;
    stage.daemon.logs_settled().await;
    let names = [
        "watercolour-lora",
        "product-photos",
        "pixel-sprites",
        "architecture-sketches",
        "portrait-style",
    ];
    let mut shown = String::new();
    for (name, step) in names.into_iter().zip([1_480, 320, 900, 60, 1_990]) {
        let (id, taken) = stage.running(name, step).await;
        // As long ago as so many steps take.
        let started_at =
            Some(chrono::Utc::now() - chrono::Duration::seconds(i64::from(step) / 4 + 20));
        stage
            .simulator
            .update_job(&taken, JobUpdate { started_at, ..JobUpdate::default() })
            .expect("a start");
        stage.tell(&taken).await;
        match name {
            "watercolour-lora" => shown = id,
            "pixel-sprites" => {
                let error = Some(
                    "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB"
                        .to_owned(),
                );
                stage.end(&taken, JobUpdate { error, ..JobUpdate::status(Status::Failed) }).await;
            }
            "portrait-style" => {
                stage
                    .simulator
                    .append_logs(&taken, &training_log(1_991, 2_000))
                    .expect("it prints");
                stage.end(&taken, JobUpdate::status(Status::Succeeded)).await;
            }
            _ => {}
        }
    }
    stage.submitted("botanical-plates").await;
    stage.daemon.post_json("/api/queue/concurrency", &json!({"max_concurrent": 4})).await.ok();
    for (name, priority) in
        [("night-sky", "normal"), ("typography-study-with-a-rather-long-name", "high")]
    {
        stage.daemon.submit(&json!({"config_name": name, "priority": priority})).await;
    }
    (stage, shown)
}

#[actix_web::test]
async fn every_view_has_its_picture() {
    let (stage, id) = working_day().await;
    let folder = folder();
    let job = format!("/jobs/{id}");
    let views = [
        ("jobs", "/"),
        ("job", &job),
        ("queue", "/queue"),
        ("activity", "/activity"),
        ("health", "/system"),
        ("settings", "/settings"),
    ];
    let browser = Browser::open(Reader::default()).await;
    let readers = [
        ("light", Reader::default()),
        ("dark", Reader::default().dark()),
        ("phone", Reader::phone()),
    ];
    for (kind, reader) in readers {
        browser.become_reader(&reader).await;
        for (name, path) in views {
            browser.go(&stage.url(path)).await;
            browser.is_live().await;
            if name == "job" {
                browser.when("document.querySelectorAll('#curves canvas').length === 3").await;
                browser.shows(".log-state", "lines").await;
            }
            let picture = browser.screenshot().await;
            assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000, "{name} {kind}");
            std::fs::write(folder.join(format!("{name}-{kind}.png")), picture).expect("a file");
        }
    }
    browser.close().await;
    stage.leave().await;
}
