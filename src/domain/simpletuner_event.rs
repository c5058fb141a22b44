//! What SimpleTuner's own page listens for on the stream of events, made of what the log says.
//!
//! Its page makes its messages to people of `cloud_job_update` alone, and takes a stream for dead on which no
//! event named `heartbeat` came for a minute. Neither is stored, and neither has an id: the log stays the one truth,
//! and a client that comes back goes on from the same place whether it reads them or not.

use chrono::Duration;
use serde::{Deserialize, Serialize};

use super::timestamp::Timestamp;

/// The name of the event that says that the stream is alive.
pub const HEARTBEAT: &str = "heartbeat";
/// How old a change may be that is told again to a page which was away, in minutes. What is older is in the list, and
/// a night's worth of messages is of no use to anybody.
const NEWS_FOR_MINUTES: i64 = 5;

/// A change of a job's state, as the log tells it.
#[derive(Debug, Deserialize)]
struct StatusChange {
    at: Timestamp,
    job_id: String,
    status: String,
    previous: Option<String>,
    #[serde(default)]
    job: ChangedJob,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ChangedJob {
    config_name: Option<String>,
    cost_usd: Option<f64>,
    error_message: Option<String>,
}

/// The same change for SimpleTuner's page.
#[derive(Debug, Serialize)]
struct CloudJobUpdate<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    job_id: &'a str,
    status: &'a str,
    /// Another name of the same that parts of the page read.
    new_status: &'a str,
    previous_status: Option<&'a str>,
    config_name: Option<&'a str>,
    cost_usd: Option<f64>,
    error_message: Option<&'a str>,
}

/// What goes beside an event of the log, given as JSON: a `cloud_job_update` beside each `job_status_changed`,
/// unless that is no news any more at `now`.
pub fn cloud_job_update(event: &str, now: Timestamp) -> Option<String> {
    // The type stands first in what we write, and most events are of another one.
    if !event.starts_with(r#"{"type":"job_status_changed""#) {
        return None;
    }
    let change: StatusChange = serde_json::from_str(event).ok()?;
    if now - change.at > Duration::minutes(NEWS_FOR_MINUTES) {
        return None;
    }
    let update = CloudJobUpdate {
        kind: "cloud_job_update",
        job_id: &change.job_id,
        status: &change.status,
        new_status: &change.status,
        previous_status: change.previous.as_deref(),
        config_name: change.job.config_name.as_deref(),
        cost_usd: change.job.cost_usd,
        error_message: change.job.error_message.as_deref(),
    };
    serde_json::to_string(&update).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::timestamp::parse;

    const CHANGED: &str = r#"{"type":"job_status_changed","job_id":"p1","status":"failed","previous":"running",
        "source":"poll","job":{"config_name":"cats","cost_usd":1.5,"error_message":"no memory"},
        "seq":9,"at":"2026-03-01T10:00:00Z"}"#;

    fn beside(event: &str, now: &str) -> Option<Value> {
        let update = cloud_job_update(event, parse(now).expect("an instant"))?;
        Some(serde_json::from_str(&update).expect("JSON"))
    }

    #[test]
    fn a_change_of_state_is_told_to_the_page_while_it_is_news() {
        let expected = json!({
            "type": "cloud_job_update", "job_id": "p1", "status": "failed", "new_status": "failed",
            "previous_status": "running", "config_name": "cats", "cost_usd": 1.5, "error_message": "no memory",
        });
        assert_eq!(beside(CHANGED, "2026-03-01T10:05:00Z"), Some(expected));
        assert_eq!(beside(CHANGED, "2026-03-01T10:05:01Z"), None);
    }

    #[test]
    fn nothing_else_is() {
        let other = CHANGED.replace("job_status_changed", "job_updated");
        assert_eq!(beside(&other, "2026-03-01T10:00:00Z"), None);
    }
}
