//! The log of events, as a person reads it: what happened, to which job, and who told us.

use serde::Deserialize;
use serde_json::Value;

use super::event::Seq;
use super::job::JobId;
use super::observation::Source;
use super::timestamp::Timestamp;
use super::words::{UNKNOWN, grouped};

/// Kinds of events that belong together, by the name under which people look for them.
pub const GROUPS: [(&str, &[&str]); 6] = [
    ("states", &["job_status_changed"]),
    ("jobs", &["job_discovered", "job_updated", "job_deleted"]),
    (
        "alarms",
        &["job_gone", "job_stalled", "loss_not_finite", "job_log_missing", "webhooks_silent"],
    ),
    ("queue", &["queue_changed"]),
    ("money", &["budget_warning", "budget_exceeded"]),
    ("sync", &["sync_completed"]),
];

/// Which events are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActivityQuery {
    /// Of these kinds; of all where there are none.
    pub kinds: Vec<&'static str>,
    /// About this job.
    pub job_id: Option<JobId>,
    /// Those before this position; the newest where it is None.
    pub before: Option<Seq>,
    /// How many at most.
    pub limit: usize,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// Its position in the log.
    pub seq: Seq,
    /// When it was stored.
    pub at: Timestamp,
    /// The kind of event.
    pub kind: String,
    /// The job that it is about.
    pub job_id: Option<JobId>,
    /// Who told us, where somebody did.
    pub source: Option<Source>,
    /// What happened, as a sentence without its subject.
    pub words: String,
}

/// What every event has.
#[derive(Debug, Deserialize)]
struct Told {
    seq: Seq,
    at: Timestamp,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    job_id: Option<JobId>,
    #[serde(default)]
    source: Value,
    #[serde(flatten)]
    rest: Value,
}

impl Activity {
    /// Reads an event of the log; None where it cannot be read.
    pub fn read(json: &str) -> Option<Self> {
        let told: Told = serde_json::from_str(json).ok()?;
        let words = words(&told.kind, &told.rest);
        Some(Self {
            seq: told.seq,
            at: told.at,
            kind: told.kind,
            job_id: told.job_id,
            // A newer daemon may know sources that we do not.
            source: serde_json::from_value(told.source).ok(),
            words,
        })
    }
}

fn words(kind: &str, told: &Value) -> String {
    let text = |field: &str| told[field].as_str().unwrap_or(UNKNOWN).to_owned();
    let number = |field: &str| grouped(told[field].as_u64().unwrap_or_default());
    let and_reason = |words: String| match told["reason"].as_str().or(told["error"].as_str()) {
        Some(reason) => format!("{words}: {reason}"),
        None => words,
    };
    match kind {
        "job_status_changed" => {
            let words = format!("{} → {}", text("previous"), text("status"));
            match told["job"]["error_message"].as_str() {
                Some(error) if told["status"] == "failed" => format!("{words}: {error}"),
                _ => words,
            }
        }
        "job_discovered" => format!("discovered, {}", text("status")),
        "job_updated" => format!("more is known, still {}", text("status")),
        "job_gone" => "the provider does not know it any more".to_owned(),
        "job_stalled" => "takes no more steps".to_owned(),
        "loss_not_finite" => format!("the loss is no number since step {}", number("step")),
        "job_log_missing" if told["is_lost"] == true => "its log is lost".to_owned(),
        "job_log_missing" => "its log could not be fetched yet".to_owned(),
        "job_deleted" => match told["merged_into"].as_str() {
            Some(other) => format!("turned out to be {other}"),
            None => "deleted".to_owned(),
        },
        "queue_changed" => {
            let change = text("change").replace('_', " ");
            let (waiting, under_way) = (number("total_pending"), number("total_running"));
            and_reason(format!("queue: {change}; {waiting} waiting, {under_way} under way"))
        }
        "budget_warning" | "budget_exceeded" => text("message"),
        "webhooks_silent" => {
            format!("webhooks of {} are silent: {}", text("provider"), text("message"))
        }
        "sync_completed" => and_reason(format!(
            "synced {}: {} discovered, {} updated, {} unchanged, {} calls",
            text("provider"),
            number("synced"),
            number("updated"),
            number("unchanged"),
            number("provider_calls"),
        )),
        // A newer daemon has written it.
        other => other.replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(event: Value) -> Activity {
        Activity::read(&event.to_string()).expect("an event")
    }

    #[test]
    fn an_event_reads_as_a_sentence_about_its_job() {
        let failed = read(json!({
            "type": "job_status_changed", "seq": 7, "at": "2026-03-01T10:00:00Z", "job_id": "p1",
            "previous": "running", "status": "failed", "source": "webhook",
            "job": {"error_message": "out of memory"},
        }));
        assert_eq!(failed.words, "running → failed: out of memory");
        assert_eq!(failed.job_id, Some(JobId::from("p1")));
        assert_eq!(failed.source, Some(Source::Webhook));
        let synced = read(json!({
            "type": "sync_completed", "seq": 8, "at": "2026-03-01T10:00:00Z", "provider": "replicate",
            "synced": 1200, "updated": 1, "unchanged": 0, "provider_calls": 13, "error": "cut off",
        }));
        assert_eq!(
            synced.words,
            "synced replicate: 1,200 discovered, 1 updated, 0 unchanged, 13 calls: cut off"
        );
    }

    #[test]
    fn an_event_of_an_unknown_kind_is_shown_and_a_broken_one_left_out() {
        let odd = read(json!({"type": "moon_rose", "seq": 1, "at": "2026-03-01T10:00:00Z"}));
        assert_eq!((odd.words.as_str(), odd.job_id), ("moon rose", None));
        assert_eq!(Activity::read("{"), None);
    }
}
