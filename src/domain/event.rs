//! What the daemon tells the world: the events of the stream `/api/events`.

use std::sync::Arc;

use serde::Serialize;

use super::budget::{Action, Period};
use super::job::{JobId, JobStatus};
use super::job_view::JobView;
use super::observation::Source;
use super::progress::Progress;
use super::queue::QueueStatus;
use super::timestamp::Timestamp;

/// The position of an event in the log: 1 for the first, without gaps, never reused.
pub type Seq = i64;

/// An event of the log: written in the transaction that makes the change, told after its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    /// The position in the log, which is the SSE id.
    pub seq: Seq,
    /// The event as JSON, as it goes over the wire. Shared by all who get it.
    pub json: Arc<str>,
}

/// What happened, for the log.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event<'a> {
    /// A job changed its state.
    JobStatusChanged {
        /// Which job.
        job_id: &'a JobId,
        /// The state now.
        status: JobStatus,
        /// The state before.
        previous: JobStatus,
        /// How we learnt it.
        source: Source,
        /// The whole job.
        job: JobView<'a>,
    },
    /// A job that was not known before is.
    JobDiscovered {
        /// Which job.
        job_id: &'a JobId,
        /// The state now.
        status: JobStatus,
        /// How we learnt it.
        source: Source,
        /// The whole job.
        job: JobView<'a>,
    },
    /// Something else about a job changed: its cost, error, output or times.
    JobUpdated {
        /// Which job.
        job_id: &'a JobId,
        /// The state, which is as it was.
        status: JobStatus,
        /// How we learnt it.
        source: Source,
        /// The whole job.
        job: JobView<'a>,
    },
    /// The provider does not know a job any more. That is no state: it may be back.
    JobGone {
        /// Which job.
        job_id: &'a JobId,
        /// The state in which it was last seen.
        status: JobStatus,
        /// How we learnt it.
        source: Source,
        /// When the provider first did not know it.
        missing_since: Timestamp,
        /// The whole job.
        job: JobView<'a>,
    },
    /// A running job has taken no step for too long.
    JobStalled {
        /// Which job.
        job_id: &'a JobId,
        /// The state, which is as it was.
        status: JobStatus,
        /// How we learnt it.
        source: Source,
        /// When we first saw its last step.
        stalled_since: Timestamp,
        /// The whole job.
        job: JobView<'a>,
    },
    /// The loss of a job was nan or infinite. Told once a job.
    LossNotFinite {
        /// Which job.
        job_id: &'a JobId,
        /// The state, which is as it was.
        status: JobStatus,
        /// How we learnt it.
        source: Source,
        /// At which step it first was; 0 where no step was known.
        step: u64,
        /// The whole job.
        job: JobView<'a>,
    },
    /// The log of a job that ended half an hour ago cannot be fetched, or the provider has deleted it.
    /// Told once a job.
    JobLogMissing {
        /// Which job.
        job_id: &'a JobId,
        /// How it ended.
        status: JobStatus,
        /// Whether the provider has deleted it. Else it is still asked for.
        is_lost: bool,
        /// The whole job.
        job: JobView<'a>,
    },
    /// A job was deleted from the store.
    JobDeleted {
        /// Which job.
        job_id: &'a JobId,
        /// The job that it turned out to be, where it was only another name of one.
        #[serde(skip_serializing_if = "Option::is_none")]
        merged_into: Option<&'a JobId>,
    },
    /// The queue has changed.
    QueueChanged {
        /// What happened: `queued`, `submitting`, `accepted`, `retrying`, `cancel_requested`, `priority`,
        /// `ended`, `paused`, `resumed` or `limits`.
        change: &'static str,
        /// To which job, where it is about one.
        #[serde(skip_serializing_if = "Option::is_none")]
        job_id: Option<&'a JobId>,
        /// How far that one is.
        #[serde(skip_serializing_if = "Option::is_none")]
        queue_status: Option<QueueStatus>,
        /// What went wrong, where something did.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
        /// How many jobs wait.
        total_pending: i64,
        /// How many are under way.
        total_running: i64,
    },
    /// So much was spent that a limit is near. Told once a period.
    BudgetWarning(BudgetTold),
    /// A limit on spending is reached. Told once a period.
    BudgetExceeded(BudgetTold),
    /// No webhook came for changes of jobs that began with our webhook. Told once a silence.
    WebhooksSilent {
        /// Whose webhooks.
        provider: &'a str,
        /// The jobs whose changes were found by asking.
        job_ids: &'a [JobId],
        /// The same for people.
        message: &'static str,
    },
    /// A full sync has ended.
    SyncCompleted {
        /// Which provider was read.
        provider: &'a str,
        /// Jobs that were not known before.
        synced: usize,
        /// Known jobs that changed.
        updated: usize,
        /// Known jobs that did not.
        unchanged: usize,
        /// Calls to the provider.
        provider_calls: u64,
        /// What went wrong, where something did.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
    },
}

/// How a budget stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetTold {
    /// For how long the limit holds: `daily`, `weekly` or `monthly`.
    pub period: Period,
    /// When the present period began.
    pub period_started_at: Timestamp,
    /// The limit, in dollars.
    pub limit_usd: f64,
    /// What was spent in the period, in dollars: running jobs by an estimate.
    pub spent_usd: f64,
    /// What happens now: `warn` or `block`.
    pub action: Action,
    /// The same for people.
    pub message: String,
}

impl Event<'_> {
    /// The kinds of which the states of a job follow.
    pub const OF_STATES: [&'static str; 2] = ["job_discovered", "job_status_changed"];

    /// The name of the kind of event, as in `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::JobStatusChanged { .. } => "job_status_changed",
            Self::JobDiscovered { .. } => "job_discovered",
            Self::JobUpdated { .. } => "job_updated",
            Self::JobGone { .. } => "job_gone",
            Self::JobStalled { .. } => "job_stalled",
            Self::LossNotFinite { .. } => "loss_not_finite",
            Self::JobLogMissing { .. } => "job_log_missing",
            Self::JobDeleted { .. } => "job_deleted",
            Self::QueueChanged { .. } => "queue_changed",
            Self::BudgetWarning(_) => "budget_warning",
            Self::BudgetExceeded(_) => "budget_exceeded",
            Self::WebhooksSilent { .. } => "webhooks_silent",
            Self::SyncCompleted { .. } => "sync_completed",
        }
    }

    /// The job that it is about.
    pub fn job_id(&self) -> Option<&JobId> {
        match self {
            Self::JobStatusChanged { job_id, .. }
            | Self::JobDiscovered { job_id, .. }
            | Self::JobUpdated { job_id, .. }
            | Self::JobGone { job_id, .. }
            | Self::JobStalled { job_id, .. }
            | Self::LossNotFinite { job_id, .. }
            | Self::JobLogMissing { job_id, .. }
            | Self::JobDeleted { job_id, .. } => Some(job_id),
            Self::QueueChanged { job_id, .. } => *job_id,
            Self::BudgetWarning(_)
            | Self::BudgetExceeded(_)
            | Self::WebhooksSilent { .. }
            | Self::SyncCompleted { .. } => None,
        }
    }

    /// The event as it is stored and sent, with its position and time.
    pub fn to_json(&self, seq: Seq, at: Timestamp) -> String {
        #[derive(Serialize)]
        struct Stamped<'a> {
            #[serde(flatten)]
            event: &'a Event<'a>,
            seq: Seq,
            at: Timestamp,
        }
        serde_json::to_string(&Stamped { event: self, seq, at })
            .expect("an event has only string keys and finite numbers")
    }
}

/// What is told to those who listen now, and to nobody later.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Notice {
    /// A running job has got on.
    JobProgress {
        /// Which job.
        job_id: JobId,
        /// How far it is.
        #[serde(flatten)]
        progress: Box<Progress>,
    },
    /// A full sync has read one more page.
    SyncProgress {
        /// Which provider is read.
        provider: String,
        /// Pages read so far.
        pages: u64,
        /// Jobs that were not known before, so far.
        synced: usize,
        /// Known jobs that changed, so far.
        updated: usize,
    },
    /// A provider stopped answering, or answers again.
    ProviderDegraded {
        /// Which provider.
        provider: String,
        /// Whether it is out of order; false when it is back.
        degraded: bool,
        /// What it said last.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

impl Notice {
    /// The notice as it is sent.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a notice has only string keys and finite numbers")
    }
}
