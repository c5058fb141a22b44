//! What a test or a control call asks of a job: to exist, or to change.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::catalog;
use super::oddity::Oddity;
use super::scenario::Scenario;
use super::status::{JobKind, Status};
use super::webhooks::WebhookEvent;

/// A job to create.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobSpec {
    /// Which list it is on.
    pub kind: JobKind,
    /// `owner/name`, `owner/name:64hex` or `64hex`.
    pub version: String,
    /// The model a training writes to.
    pub destination: Option<String>,
    /// The input, shown as it is.
    pub input: Value,
    /// Where its webhooks go.
    pub webhook: Option<String>,
    /// Which webhooks are sent.
    pub webhook_events_filter: Vec<WebhookEvent>,
    /// When it was created; by default now. A scripted job created in the past is that much further.
    pub created_at: Option<DateTime<Utc>>,
    /// `Cancel-After`, in seconds.
    pub cancel_after_seconds: Option<u32>,
    /// What moves it; by default the scenario of the simulator's options.
    pub course: Option<Course>,
    /// What is strange about it.
    pub oddities: Vec<Oddity>,
}

impl Default for JobSpec {
    fn default() -> Self {
        Self {
            kind: JobKind::Prediction,
            version: catalog::DEFAULT_MODEL.to_owned(),
            destination: None,
            input: json!({}),
            webhook: None,
            webhook_events_filter: WebhookEvent::ALL.to_vec(),
            created_at: None,
            cancel_after_seconds: None,
            course: None,
            oddities: Vec::new(),
        }
    }
}

impl JobSpec {
    /// A prediction that moves only when it is told to.
    pub fn manual() -> Self {
        Self { course: Some(Course::Manual), ..Self::default() }
    }

    /// A prediction that follows a scenario.
    pub fn scripted(scenario: Scenario) -> Self {
        Self { course: Some(Course::Scenario(scenario)), ..Self::default() }
    }

    /// Sends its webhooks there.
    #[must_use]
    pub fn webhook(self, url: &str) -> Self {
        Self { webhook: Some(url.to_owned()), ..self }
    }
}

/// What moves a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// Time: the job follows the scenario.
    Scenario(Scenario),
    /// Nothing but [`JobUpdate`]s: a test decides, and needs no sleeping.
    Manual,
}

/// A change to a manual job; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobUpdate {
    /// The new status. Any is taken, also a step back: a test may want a provider gone mad.
    pub status: Option<Status>,
    /// Replaces the whole log, also by a shorter one.
    pub logs: Option<String>,
    /// Text to put at the end of the log; nothing is added, not even a newline.
    pub append_logs: Option<String>,
    /// The output.
    pub output: Option<Value>,
    /// The error text.
    pub error: Option<String>,
    /// When the run started; by default the moment of the first status but `starting`.
    pub started_at: Option<DateTime<Utc>>,
    /// When the run ended; by default the moment of the first terminal status.
    pub completed_at: Option<DateTime<Utc>>,
}

impl JobUpdate {
    /// A change of the status alone.
    pub fn status(status: Status) -> Self {
        Self { status: Some(status), ..Self::default() }
    }
}
