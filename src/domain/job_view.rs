//! A job as the contract shows it (`api.md`, "Job object").

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::SerializeMap;

use super::cost::{Prices, to_usd};
use super::job::{Job, JobId, JobStatus, JobType};
use super::job_texts::{CutTexts, ERROR_BYTES_MIN, TOGETHER_BYTES_MAX, json_bytes, shortened};
use super::observation::Source;
use super::progress::{Progress, Stage};
use super::timestamp::Timestamp;

/// A job as clients see it at one moment.
#[derive(Debug, Serialize)]
pub struct JobView<'a> {
    pub(crate) job_id: &'a JobId,
    pub(crate) job_type: JobType,
    pub(crate) provider: &'a str,
    pub(crate) status: JobStatus,
    /// What people know the job by ([`Job::name`]).
    pub(crate) config_name: Option<Cow<'a, str>>,
    pub(crate) created_at: Timestamp,
    /// When it began to wait.
    pub(crate) queued_at: Option<Timestamp>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) cost_usd: Option<f64>,
    pub(crate) hardware_type: Option<&'a str>,
    pub(crate) error_message: Option<Cow<'a, str>>,
    pub(crate) output_url: Option<&'a str>,
    /// Whether a text is not shown whole.
    pub(crate) is_cut: bool,
    /// How long the texts are that are not, in bytes.
    #[serde(skip_serializing_if = "CutTexts::is_empty")]
    pub(crate) cut_bytes: CutTexts,
    /// Always null: nothing is uploaded through this daemon, and existing clients read the field.
    pub(crate) upload_token: Option<&'a str>,
    pub(crate) user_id: Option<&'a str>,
    metadata: Metadata<'a>,
    pub(crate) is_terminal: bool,
    pub(crate) is_active: bool,
    pub(crate) duration_seconds: Option<f64>,
    /// The same as `completed_at`; the existing command line reads it.
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) provider_status: Option<&'a str>,
    /// Since when a running job has taken no step, where that is too long.
    pub(crate) stalled_since: Option<Timestamp>,
    /// Since when the provider is asked to end the job, until it has.
    pub(crate) cancel_requested_at: Option<Timestamp>,
    pub(crate) cost_is_estimate: bool,
    pub(crate) confirmed_at: Option<Timestamp>,
    pub(crate) confirmed_by: Option<Source>,
    pub(crate) progress: Option<Cow<'a, Progress>>,
    /// What the trainer says of its failure, until the provider confirms how the job ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trainers_failure: Option<TrainersFailure<'a>>,
    /// Left out of events.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    now: Option<Now>,
}

/// A failure by the trainer's word alone.
#[derive(Debug, Serialize)]
pub(crate) struct TrainersFailure<'a> {
    /// What went wrong; may be empty.
    pub(crate) message: &'a str,
    /// When it told so, by its clock.
    at: Timestamp,
}

impl<'a> JobView<'a> {
    /// The job as it is at `now`: a running job lasts longer and costs more by the second.
    pub fn new(job: &'a Job, prices: &Prices, now: Timestamp) -> Self {
        let ended_at = job.ended_at();
        let estimate = match job.cost_micro_usd {
            None => prices.running_cost_micro_usd(job, now),
            Some(_) => None,
        };
        let (error_message, cut_bytes) = error_that_fits(job);
        let lasted = job.started_at.map(|started_at| ended_at.unwrap_or(now) - started_at);
        Self {
            job_id: &job.job_id,
            job_type: job.job_type,
            provider: &job.provider,
            status: job.status,
            config_name: job.name(),
            created_at: job.created_at,
            queued_at: job.queued_at(),
            started_at: job.started_at,
            completed_at: ended_at,
            cost_usd: job.cost_micro_usd.or(estimate).map(to_usd),
            hardware_type: job.hardware_type.as_deref(),
            error_message,
            output_url: job.whole_output_url(),
            is_cut: !cut_bytes.is_empty(),
            cut_bytes,
            upload_token: None,
            user_id: job.user_id.as_deref(),
            metadata: Metadata(job),
            is_terminal: job.status.is_terminal(),
            is_active: job.status.is_active(),
            duration_seconds: lasted.map(|lasted| (lasted.num_milliseconds().max(0) as f64) / 1e3),
            finished_at: ended_at,
            provider_status: job.provider_word(),
            stalled_since: job.stalled_since(),
            cancel_requested_at: job.cancel_requested_at.filter(|_| job.status.is_active()),
            cost_is_estimate: estimate.is_some(),
            confirmed_at: job.confirmed_at,
            confirmed_by: job.confirmed_by(),
            progress: job.shown_progress(),
            trainers_failure: job
                .trainers_failure()
                .map(|told| TrainersFailure { message: &told.value, at: told.at() }),
            now: None,
        }
    }
}

impl<'a> JobView<'a> {
    /// The same, with what only holds at this moment: the job's place in the queue, where it has one, and how far it is
    /// where it runs.
    #[must_use]
    pub fn at(self, place: Option<Place>) -> Self {
        let inline = self.progress.as_deref().filter(|_| self.status == JobStatus::Running);
        let now = Now {
            queue_position: place.map(|place| place.position),
            estimated_wait_seconds: place.and_then(|place| place.estimated_wait_seconds),
            inline_stage: inline.and_then(|progress| progress.stage),
            inline_log: inline.and_then(|progress| progress.last_log.clone()),
            inline_progress: inline.and_then(|progress| progress.progress),
        };
        Self { now: Some(now), ..self }
    }
}

/// The error as far as the other texts leave room for it, and how long the texts are that are not shown whole.
fn error_that_fits(job: &Job) -> (Option<Cow<'_, str>>, CutTexts) {
    let mut cut = job.cut_texts();
    if let (Some(url), None) = (&job.output_url, job.whole_output_url()) {
        cut.output_url = cut.output_url.or(Some(url.len() as u64));
    }
    let Some(error) = job.error_message.as_deref() else { return (None, cut) };
    let others = [
        job.whole_output_url(),
        job.model.as_deref(),
        job.version.as_deref(),
        job.web_url.as_deref(),
        job.provider_status.as_deref(),
    ];
    let taken: usize = others.into_iter().flatten().map(json_bytes).sum();
    let room = TOGETHER_BYTES_MAX.saturating_sub(taken).max(ERROR_BYTES_MIN);
    match shortened(error, room) {
        Some(shorter) => {
            cut.error_message = cut.error_message.or(Some(error.len() as u64));
            (Some(Cow::Owned(shorter)), cut)
        }
        None => (Some(Cow::Borrowed(error)), cut),
    }
}

impl JobView<'_> {
    /// The job's place in the queue, where it has one and this was looked up.
    pub(crate) fn queue_position(&self) -> Option<usize> {
        self.now.as_ref()?.queue_position
    }
}

/// The place of a job in the queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Which one it is, from 1.
    pub position: usize,
    /// For about how long it will still wait, in seconds.
    pub estimated_wait_seconds: Option<f64>,
}

/// What holds of a job at one moment, and is in no event: SimpleTuner's page shows it beside the job.
#[derive(Debug, Serialize)]
struct Now {
    queue_position: Option<usize>,
    estimated_wait_seconds: Option<f64>,
    inline_stage: Option<Stage>,
    inline_log: Option<String>,
    inline_progress: Option<f64>,
}

/// What the provider tells of a job besides the common fields. Unknown values are left out.
#[derive(Debug)]
struct Metadata<'a>(&'a Job);

impl Serialize for Metadata<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(job) = self;
        let entries = [
            ("prediction_id", &job.provider_job_id),
            ("model", &job.model),
            ("version", &job.version),
            ("web_url", &job.web_url),
            // Two names of one thing, of which clients read either.
            ("tracker_run_name", &job.run_name),
            ("run_name", &job.run_name),
        ];
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in entries {
            if let Some(value) = value {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}
