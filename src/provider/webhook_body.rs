//! What a webhook's body says: the provider's own object, or an event of the trainer inside the
//! job (`api.md`, "Webhooks").

use serde::de::IgnoredAny;
use serde_json::Value;

use super::json::{self, Fields};
use super::log_readers::LogReaders;
use super::replicate::{self, Heard, Prediction};
use crate::domain::job::JobStatus;
use crate::domain::observation::{Observation, Source};
use crate::domain::timestamp::Timestamp;

/// A body that was understood.
#[derive(Debug, Clone, PartialEq)]
pub enum WebhookBody {
    /// The provider speaks about one of its jobs.
    Provider {
        /// What it says.
        said: Box<Observation>,
        /// How many fields of the body could not be read.
        skipped: usize,
        /// The body was cut off: the message says more than was understood, and may come again.
        is_cut: bool,
    },
    /// The trainer speaks about the job that it runs in.
    Trainer(Box<Observation>),
}

/// Why a body says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is not JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// It was cut off before it said anything.
    #[error("the body was cut off before it says how the job is: send it again")]
    CutOff,
    /// It names no job.
    #[error("the body names no job: it has neither id nor job_id nor prediction_id")]
    NoId,
}

/// Reads a body of `provider`, as much of it as can be read.
///
/// # Errors
/// Where no job is named in what can be read.
pub fn read(
    provider: &'static str,
    body: &[u8],
    now: Timestamp,
    readers: &LogReaders,
) -> Result<WebhookBody, BodyError> {
    // A list could be read as the fields of an object, and has no names for them.
    let fields = Fields::salvage(body).ok_or_else(|| says_nothing(body))?;
    // An event of the trainer may have an `id`, too: its own, which is no job's.
    if fields.has("job_id") || fields.has("prediction_id") {
        let event = trainer_event(provider, &fields.into_value(), now);
        let event = event.ok_or_else(|| says_nothing(body))?;
        return Ok(WebhookBody::Trainer(Box::new(event)));
    }
    let is_cut = fields.is_cut();
    let prediction = Prediction::of(fields).ok_or_else(|| says_nothing(body))?;
    if is_cut && prediction.status.is_none() {
        return Err(BodyError::CutOff);
    }
    let skipped = prediction.skipped();
    let heard = Heard { provider, source: Source::Webhook, at: now, asked_at: None };
    let snapshot = prediction.into_snapshot(heard, readers);
    Ok(WebhookBody::Provider { said: Box::new(snapshot.observation), skipped, is_cut })
}

/// Why a body in which no job is named says nothing.
fn says_nothing(body: &[u8]) -> BodyError {
    match json::read::<IgnoredAny>(body) {
        Ok(_) => BodyError::NoId,
        Err(error) => BodyError::NotJson(error.to_string()),
    }
}

fn trainer_event(provider: &str, body: &Value, now: Timestamp) -> Option<Observation> {
    let text = |keys: &[&str]| {
        let mut found = keys.iter().filter_map(|key| body.get(*key)?.as_str());
        found.find(|text| !text.is_empty())
    };
    let job_id = text(&["job_id", "prediction_id"]).filter(|id| replicate::is_plausible_id(id))?;
    let status =
        trainer_status(text(&["event_type", "type"]).unwrap_or_default(), text(&["status"]));
    let error = text(&["error", "message"]).filter(|_| status == Some(JobStatus::Failed));
    let output = body.get("output");
    Some(Observation {
        by_provider: false,
        status,
        error_message: error.map(str::to_owned),
        output_url: output.and_then(replicate::output_url),
        ..Observation::silent(provider, job_id, Source::Webhook, now)
    })
}

/// The state that an event of the trainer stands for.
fn trainer_status(event_type: &str, status: Option<&str>) -> Option<JobStatus> {
    let said = status.and_then(|word| word.parse().ok().or_else(|| replicate::status_of(word)));
    match event_type {
        "completed" => Some(JobStatus::Completed),
        "failed" | "error" => Some(JobStatus::Failed),
        "canceled" | "cancelled" => Some(JobStatus::Cancelled),
        // The end of a stage is not the end of the job.
        "lifecycle.stage" => said.filter(|status| status.is_active()),
        "training.checkpoint" => None,
        _ => said,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_json(body: &Value) -> Result<WebhookBody, BodyError> {
        let now = crate::domain::timestamp::from_micros(0);
        read("replicate", body.to_string().as_bytes(), now, &LogReaders::default())
    }

    fn status_of(body: &Value) -> Option<JobStatus> {
        match read_json(body).expect("a body") {
            WebhookBody::Trainer(said) => said.status,
            WebhookBody::Provider { said, .. } => panic!("not the provider's: {said:?}"),
        }
    }

    #[test]
    fn the_providers_own_object_is_told_by_its_id() {
        let body = read_json(&json!({"id": "p1", "status": "processing"})).expect("a body");
        let WebhookBody::Provider { said, .. } = body else { panic!("not the trainer's") };
        assert_eq!((said.status, said.by_provider), (Some(JobStatus::Running), true));
    }

    #[test]
    fn the_trainers_events_mean_what_they_say() {
        let of = |kind: &str, status: Value| {
            status_of(&json!({"event_type": kind, "job_id": "p1", "status": status}))
        };
        assert_eq!(of("completed", Value::Null), Some(JobStatus::Completed));
        assert_eq!(of("error", Value::Null), Some(JobStatus::Failed));
        assert_eq!(of("canceled", Value::Null), Some(JobStatus::Cancelled));
        assert_eq!(of("training.status", json!("running")), Some(JobStatus::Running));
        assert_eq!(of("training.status", json!("succeeded")), Some(JobStatus::Completed));
        assert_eq!(of("training.checkpoint", json!("completed")), None);
    }

    #[test]
    fn the_end_of_a_stage_is_not_the_end_of_the_job() {
        let of = |status| {
            status_of(&json!({"type": "lifecycle.stage", "job_id": "p1", "status": status}))
        };
        assert_eq!(of("completed"), None);
        assert_eq!(of("running"), Some(JobStatus::Running));
    }

    #[test]
    fn a_body_without_any_id_is_refused() {
        for body in
            [json!({}), json!([]), json!({"id": ""}), json!({"id": 5}), json!({"status": "x"})]
        {
            assert_eq!(read_json(&body), Err(BodyError::NoId), "{body}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let now = crate::domain::timestamp::from_micros(0);
        for body in [&b""[..], b"{", b"id=5", b"\xff\xfe"] {
            let read = read("replicate", body, now, &LogReaders::default());
            assert!(matches!(read, Err(BodyError::NotJson(_))), "{body:?}");
        }
    }
}
