//! What a webhook's body says: the provider's own object, or an event of the trainer inside the
//! job (`api.md`, "Webhooks").

use serde::de::IgnoredAny;
use serde_json::Value;

use super::json::Fields;
use super::log_readers::LogReaders;
use super::replicate::{Heard, Prediction};
use super::trainer_event;
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
    },
    /// The trainer speaks about the job that it runs in.
    Trainer(Box<Observation>),
    /// A trainer speaks that does not know its job, or the id can be no job's: there is nothing to do.
    Nameless,
}

/// Why a body says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is not JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// It was cut off. Half of what ended a job would be taken for all of it, and nobody would ask again.
    #[error("the body was cut off: send it again")]
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
    let mut fields = Fields::salvage(body).ok_or_else(|| says_nothing(body))?;
    let names = Names::of(&mut fields);
    if names.is_trainers() {
        return match trainer_event::read(provider, &fields.into_value(), now) {
            Some(event) => Ok(WebhookBody::Trainer(Box::new(event))),
            None if names.is_event() => Ok(WebhookBody::Nameless),
            None => Err(says_nothing(body)),
        };
    }
    let is_cut = fields.is_cut();
    let has_id = fields.peek(ID, usize::MAX).is_some_and(|id: String| !id.is_empty());
    let prediction = match Prediction::of(fields) {
        Some(prediction) => prediction,
        // One that can be no job's is named all the same, and shall not be sent again.
        None if names.is_event() || has_id => return Ok(WebhookBody::Nameless),
        None => return Err(says_nothing(body)),
    };
    if is_cut {
        return Err(BodyError::CutOff);
    }
    let skipped = prediction.skipped();
    let heard = Heard { provider, source: Source::Webhook, at: now, asked_at: None };
    let snapshot = prediction.into_snapshot(heard, readers);
    Ok(WebhookBody::Provider { said: Box::new(snapshot.observation), skipped })
}

/// The longest text in which a name is looked for, in bytes.
const ID_TEXT_BYTES_MAX: usize = 1_000;

/// The field that names the job in the provider's own object.
const ID: &str = "id";

/// Why a body in which no job is named says nothing.
fn says_nothing(body: &[u8]) -> BodyError {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match serde_json::from_slice::<IgnoredAny>(body) {
        Ok(_) => BodyError::NoId,
        Err(error) => BodyError::NotJson(error.to_string()),
    }
}

/// What tells the trainer's event from the provider's object. An event may have an `id`, too: its
/// own, which is no job's. A trainer that does not know its job says so with null.
#[derive(Debug, Clone, Copy)]
struct Names {
    names_a_job: bool,
    has_id: bool,
    /// There is a text for an id, and none of another job.
    is_of_its_id: bool,
    kind: Option<Kind>,
}

/// What an event calls itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One word, as the short ones of Cog do.
    Word,
    /// A name with a dot, as `training.status`: no other program's events have those here.
    Dotted,
}

impl Names {
    fn of(fields: &mut Fields) -> Self {
        let mut kind = |name| {
            let name: String = fields.take::<Value>(name)?.as_str()?.to_owned();
            let kind = if name.contains('.') { Kind::Dotted } else { Kind::Word };
            Some(kind).filter(|_| !name.is_empty())
        };
        let kind = kind("event_type").or_else(|| kind("type"));
        let text =
            |name| fields.peek(name, ID_TEXT_BYTES_MAX).filter(|text: &String| !text.is_empty());
        let (id, job) = (text(ID), text("job_id").or_else(|| text("prediction_id")));
        Self {
            names_a_job: fields.names("job_id") || fields.names("prediction_id"),
            has_id: fields.names(ID),
            is_of_its_id: id.is_some() && job.is_none_or(|job| Some(job) == id),
            kind,
        }
    }

    /// Whether the body is of the trainer's form.
    fn is_trainers(self) -> bool {
        // The provider's object may come with names of ours beside its own.
        if self.kind.is_none() && self.is_of_its_id {
            return false;
        }
        self.names_a_job || (!self.has_id && self.kind.is_some())
    }

    /// Whether it is an event of a trainer, though perhaps of one that does not know its job: it then says
    /// null, or nothing at all.
    fn is_event(self) -> bool {
        match self.kind {
            Some(Kind::Dotted) => true,
            Some(Kind::Word) => self.names_a_job,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::job::JobStatus;

    fn read_json(body: &Value) -> Result<WebhookBody, BodyError> {
        let now = crate::domain::timestamp::from_micros(0);
        read("replicate", body.to_string().as_bytes(), now, &LogReaders::default())
    }

    fn status_of(body: &Value) -> Option<JobStatus> {
        match read_json(body).expect("a body") {
            WebhookBody::Trainer(said) => said.status,
            other => panic!("not the trainer's: {other:?}"),
        }
    }

    #[test]
    fn the_providers_own_object_is_told_by_its_id() {
        let body = read_json(&json!({"id": "p1", "status": "processing"})).expect("a body");
        let WebhookBody::Provider { said, .. } = body else { panic!("not the trainer's") };
        assert_eq!((said.status, said.by_provider), (Some(JobStatus::Running), true));
    }

    #[test]
    fn an_object_with_an_id_is_the_providers_also_where_a_job_is_named_beside_it() {
        for job in [json!(null), json!(""), json!(5), json!("p1")] {
            let body =
                json!({"id": "p1", "job_id": job, "prediction_id": null, "status": "succeeded"});
            assert!(matches!(read_json(&body), Ok(WebhookBody::Provider { .. })), "{body}");
        }
        let event = json!({"id": "e1", "job_id": "p1", "status": "running"});
        assert!(matches!(read_json(&event), Ok(WebhookBody::Trainer(_))));
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
    fn an_event_of_a_trainer_that_does_not_know_its_job_is_told_from_a_body_that_says_nothing() {
        for body in [
            json!({"type": "training.status", "job_id": null, "data": {"status": "running"}}),
            // Its own id is no job's.
            json!({"id": "e1", "type": "notification", "job_id": null, "status": "succeeded"}),
            json!({"event_type": "completed", "job_id": null}),
            json!({"type": "lifecycle.stage", "job_id": "", "stage": {"key": "x"}}),
            json!({"type": "lifecycle.stage", "stage": {"key": "validation", "status": "running"}}),
        ] {
            assert_eq!(read_json(&body), Ok(WebhookBody::Nameless), "{body}");
        }
    }

    #[test]
    fn a_body_without_any_id_is_refused() {
        for body in [
            json!({}),
            json!([]),
            json!({"id": ""}),
            json!({"id": 5}),
            json!({"status": "x"}),
            json!({"type": "completed"}),
        ] {
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
