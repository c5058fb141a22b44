//! A lively account for `jobsyncd demo`: jobs of every end behind it, several running, more to come.

use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::json;

use super::options::SimulatorError;
use super::scenario::{End, Scenario};
use super::spec::JobSpec;
use super::state::Shared;
use super::webhooks::WebhookEvent;

/// A new job appears this often.
const ARRIVAL_INTERVAL: Duration = Duration::from_secs(20);
/// How long ago the jobs of the demo's history were created.
const HISTORY_MINUTES: [i64; 5] = [170, 95, 50, 40, 25];

/// How long ago the jobs that are under way were created: long enough for a newcomer's first look to
/// find them training.
const PRESENT_SECONDS: i64 = 20;

/// Who is training what in the demo: a name, the machine, the number of steps.
const RUNS: [(&str, &str, u32); 6] = [
    ("watercolour-lora", "h100", 2000),
    ("product-photos", "l40s", 3000),
    ("pixel-sprites", "h100-x2", 5000),
    ("architecture-sketches", "l40s-x4", 1500),
    ("portrait-style", "h100", 4000),
    ("botanical-plates", "l40s", 1000),
];

/// Puts the first jobs into the account.
pub(super) fn populate(shared: &Shared, webhook: Option<&str>) -> Result<(), SimulatorError> {
    // Nobody hears of the history by webhook: it is there to be discovered.
    let present = present().into_iter().map(|spec| heard_at(spec, webhook));
    for spec in history().into_iter().chain(present) {
        shared.create(spec, false)?;
    }
    Ok(())
}

/// Adds a job every now and then for as long as the simulator lives.
pub(super) async fn keep_arriving(shared: Arc<Shared>, webhook: Option<String>) {
    for number in 0_usize.. {
        tokio::time::sleep(ARRIVAL_INTERVAL).await;
        if let Err(error) = shared.create(heard_at(arrival(number), webhook.as_deref()), false) {
            log::warn!("the demo could not add a job: {error}");
        }
    }
}

/// Jobs of the last hours, one for each way to end.
fn history() -> Vec<JobSpec> {
    let failed = End::Fail {
        error: "CUDA out of memory. Tried to allocate 2.50 GiB".to_owned(),
        after_step: 731,
    };
    let ends = [End::Succeed, failed, End::Abort, End::Succeed, End::RunUntilCancelled];
    let specs =
        ends.into_iter().zip(HISTORY_MINUTES).enumerate().map(|(number, (end, minutes))| {
            // Deadlines are how a run that ends nowhere came to be cancelled.
            let cancel_after_seconds = (end == End::RunUntilCancelled).then_some(400);
            let created_at = Some(Utc::now() - TimeDelta::minutes(minutes));
            JobSpec {
                created_at,
                cancel_after_seconds,
                ..spec(number, Scenario { end, ..Scenario::default() })
            }
        });
    specs.collect()
}

/// Running at different paces, one warming up, one waiting, and one that fails in a minute.
fn present() -> Vec<JobSpec> {
    let paced = |seconds_per_step| Scenario { seconds_per_step, ..Scenario::default() };
    let waiting = Scenario { queue_seconds: 90.0, ..paced(0.3) };
    let warming_up = Scenario { setup_seconds: 45.0, ..paced(0.2) };
    let error = "RuntimeError: Expected all tensors to be on the same device".to_owned();
    let failing = Scenario { end: End::Fail { error, after_step: 250 }, ..paced(0.2) };
    let endless = Scenario { end: End::RunUntilCancelled, ..paced(0.5) };
    let scenarios = [paced(0.05), paced(0.12), paced(0.6), endless, failing, warming_up, waiting];
    let created_at = Some(Utc::now() - TimeDelta::seconds(PRESENT_SECONDS));
    let specs = scenarios.into_iter().enumerate();
    specs.map(|(number, scenario)| JobSpec { created_at, ..spec(number, scenario) }).collect()
}

/// The jobs to come take turns in pace and end.
fn arrival(number: usize) -> JobSpec {
    let end = match number % 5 {
        3 => End::Fail {
            error: "ValueError: no images found in the dataset".to_owned(),
            after_step: 0,
        },
        4 => End::Abort,
        _ => End::Succeed,
    };
    let seconds_per_step = [0.02, 0.05, 0.1][number % 3];
    spec(number, Scenario { queue_seconds: 6.0, seconds_per_step, end, ..Scenario::default() })
}

fn spec(number: usize, scenario: Scenario) -> JobSpec {
    let (name, machine, steps) = RUNS[number % RUNS.len()];
    JobSpec {
        version: format!("simpletuner/advanced-trainer-{machine}"),
        input: json!({"config_name": name, "tracker_run_name": name, "max_train_steps": steps}),
        ..JobSpec::scripted(Scenario { steps, ..scenario })
    }
}

/// With the logs, so that a demonstration moves before one's eyes. A real account had better send
/// start and end alone: each of the others carries the whole log so far.
fn heard_at(spec: JobSpec, webhook: Option<&str>) -> JobSpec {
    JobSpec {
        webhook: webhook.map(str::to_owned),
        webhook_events_filter: vec![
            WebhookEvent::Start,
            WebhookEvent::Logs,
            WebhookEvent::Completed,
        ],
        ..spec
    }
}
