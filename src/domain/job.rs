//! What a job is.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::job_texts::{CutTexts, JobText, OUTPUT_URL_BYTES_MAX};
use super::liveness::Liveness;
use super::observation::{Provenance, Source};
use super::progress::Progress;
use super::timestamp::Timestamp;

/// The identifier of a job in this daemon. For a job that was discovered at a provider it is the
/// provider's own identifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub String);

impl fmt::Display for JobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<&str> for JobId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Where a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobType {
    /// At a cloud provider.
    Cloud,
    /// On the machine of the user.
    Local,
}

impl JobType {
    /// Every type, in the order in which errors list them.
    pub const ALL: [Self; 2] = [Self::Cloud, Self::Local];

    /// The word on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Local => "local",
        }
    }
}

/// The state of a job, as the page names the states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Submitted but not yet started.
    Pending,
    /// Data upload in progress.
    Uploading,
    /// Waiting in the provider's queue.
    Queued,
    /// Training in progress.
    Running,
    /// Ended well.
    Completed,
    /// Ended with an error.
    Failed,
    /// Ended by the user, or before it started.
    Cancelled,
}

impl JobStatus {
    /// Every status, in the order of a job's life.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Uploading,
        Self::Queued,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The states in which a job may still change (page, "Active States").
    pub const ACTIVE: [Self; 4] = [Self::Pending, Self::Uploading, Self::Queued, Self::Running];

    /// The states in which a job stays.
    pub const TERMINAL: [Self; 3] = [Self::Completed, Self::Failed, Self::Cancelled];

    /// The word on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Uploading => "uploading",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether a job in this state never changes its state again.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Uploading | Self::Queued | Self::Running => false,
            Self::Completed | Self::Failed | Self::Cancelled => true,
        }
    }

    /// Whether a job in this state may still change it.
    pub fn is_active(self) -> bool {
        !self.is_terminal()
    }

    /// How far along its life a job in this state is: a status never goes back to a lower rank.
    pub fn rank(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Uploading => 1,
            Self::Queued => 2,
            Self::Running => 3,
            Self::Completed | Self::Failed | Self::Cancelled => 4,
        }
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A word that is none of the allowed ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not one of: {}", allowed.join(", "))]
pub struct UnknownWord {
    /// What was given.
    pub word: String,
    /// What is allowed.
    pub allowed: Vec<&'static str>,
}

impl UnknownWord {
    /// The value that goes by `word`.
    ///
    /// # Errors
    /// Where none does.
    pub fn look_up<T: Copy>(word: &str, all: &[(&'static str, T)]) -> Result<T, Self> {
        let found = all.iter().find(|(name, _)| *name == word);
        found.map(|(_, value)| *value).ok_or_else(|| Self {
            word: word.to_owned(),
            allowed: all.iter().map(|(name, _)| *name).collect(),
        })
    }
}

impl FromStr for JobStatus {
    type Err = UnknownWord;

    /// Reads a status; the American `canceled` is taken too.
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let asked = if word == "canceled" { "cancelled" } else { word };
        UnknownWord::look_up(asked, &Self::ALL.map(|status| (status.as_str(), status)))
    }
}

impl FromStr for JobType {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        UnknownWord::look_up(word, &Self::ALL.map(|kind| (kind.as_str(), kind)))
    }
}

/// One training job, as all that was said about it adds up.
///
/// Only [`merge`](super::observation::merge) changes a job that a source speaks about.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Our identifier.
    pub job_id: JobId,
    /// Where it runs.
    pub job_type: JobType,
    /// The provider's name, for example `replicate`.
    pub provider: String,
    /// The provider's identifier, once the provider knows the job.
    pub provider_job_id: Option<String>,
    /// The state.
    pub status: JobStatus,
    /// The provider's own word for the state, also where we do not know the word.
    pub provider_status: Option<String>,
    /// The name of the training configuration, where the submitter gave one.
    pub config_name: Option<String>,
    /// What the run is called in the configuration itself, where it has a name.
    pub run_name: Option<String>,
    /// The provider's name of what runs, for example `simpletuner/advanced-trainer`.
    pub model: Option<String>,
    /// The version of what runs.
    pub version: Option<String>,
    /// The hardware, where it follows from the model or the configuration.
    pub hardware_type: Option<String>,
    /// Whose job it is, where that is known.
    pub user_id: Option<String>,
    /// The page about the job on the provider's site.
    pub web_url: Option<String>,
    /// When the provider says the job was created; until it says so, when we first heard of it.
    pub created_at: Timestamp,
    /// When the provider created the job, by the provider's clock.
    pub provider_created_at: Option<Timestamp>,
    /// When we first heard of the job.
    pub first_seen_at: Timestamp,
    /// When the job started, by the provider's clock.
    pub started_at: Option<Timestamp>,
    /// When the job ended, by the provider's clock.
    pub completed_at: Option<Timestamp>,
    /// When a user asked for the job's end, where one did. The provider is asked until it has ended.
    pub cancel_requested_at: Option<Timestamp>,
    /// When the present state was first reported to us, by our clock.
    pub status_since: Option<Timestamp>,
    /// When the provider last confirmed the present state, by our clock.
    pub confirmed_at: Option<Timestamp>,
    /// How long the job was computing, in microseconds, as the provider bills it.
    pub predict_time_micros: Option<i64>,
    /// The cost in millionths of a dollar, where hardware and time are known.
    pub cost_micro_usd: Option<i64>,
    /// What went wrong.
    pub error_message: Option<String>,
    /// Where the result is.
    pub output_url: Option<String>,
    /// The last known progress.
    pub progress: Option<Progress>,
    /// Which observation each of the disputable values is from.
    pub provenance: Provenance,
    /// Whether the provider still has it, and whether it still gets on.
    pub liveness: Liveness,
}

impl Job {
    /// A job of which nothing is known but that `provider` has it under `provider_job_id`.
    pub fn unheard_of(provider: &str, provider_job_id: &str, first_seen_at: Timestamp) -> Self {
        Self {
            job_id: JobId(provider_job_id.to_owned()),
            job_type: JobType::Cloud,
            provider: provider.to_owned(),
            provider_job_id: Some(provider_job_id.to_owned()),
            status: JobStatus::Pending,
            provider_status: None,
            config_name: None,
            run_name: None,
            model: None,
            version: None,
            hardware_type: None,
            user_id: None,
            web_url: None,
            created_at: first_seen_at,
            provider_created_at: None,
            first_seen_at,
            started_at: None,
            completed_at: None,
            cancel_requested_at: None,
            status_since: None,
            confirmed_at: None,
            predict_time_micros: None,
            cost_micro_usd: None,
            error_message: None,
            output_url: None,
            progress: None,
            provenance: Provenance::default(),
            liveness: Liveness::default(),
        }
    }

    /// A job that was just submitted here: no provider knows it yet.
    pub fn submitted(job_id: JobId, provider: &str, at: Timestamp) -> Self {
        Self {
            provider_job_id: None,
            status_since: Some(at),
            ..Self { job_id, ..Self::unheard_of(provider, "", at) }
        }
    }

    /// Whether it was submitted through this daemon: it then has an identifier of ours.
    pub fn is_submitted(&self) -> bool {
        self.provider_job_id.as_deref() != Some(&self.job_id.0)
    }

    /// What people know the job by: the name of its configuration or of its run, else its model and when it was made.
    /// None where not even its model is known.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        if let Some(name) = self.config_name.as_deref().or(self.run_name.as_deref()) {
            return Some(name.into());
        }
        let model = self.model.as_deref()?;
        let model = model.rsplit('/').next().unwrap_or(model);
        Some(format!("{model} {}", self.created_at.format("%Y-%m-%d %H:%M")).into())
    }

    /// When it began to wait: since then it waits here, or at its provider where others submitted it.
    pub fn queued_at(&self) -> Option<Timestamp> {
        if self.is_submitted() { Some(self.first_seen_at) } else { self.provider_created_at }
    }

    /// What the provider calls the job's state; of a job that it does not know any more, `gone`.
    pub fn provider_word(&self) -> Option<&str> {
        self.gone_since().map_or(self.provider_status.as_deref(), |_| Some("gone"))
    }

    /// How the provider last confirmed the present state, where it did.
    pub fn confirmed_by(&self) -> Option<Source> {
        self.provenance.confirmed_by
    }

    /// How long the texts are of which the job carries a part.
    pub fn cut_texts(&self) -> CutTexts {
        self.provenance.cut
    }

    /// One of its texts, or as much of it as it carries.
    pub fn text(&self, text: JobText) -> Option<&str> {
        match text {
            JobText::ErrorMessage => self.error_message.as_deref(),
            JobText::OutputUrl => self.output_url.as_deref(),
        }
    }

    /// Where the result is, where it carries all of that.
    pub fn whole_output_url(&self) -> Option<&str> {
        // An earlier version has stored it whole however long it was.
        let is_whole = |url: &&str| {
            self.provenance.cut.output_url.is_none() && url.len() <= OUTPUT_URL_BYTES_MAX
        };
        self.output_url.as_deref().filter(is_whole)
    }

    /// When the job came into `status` by the provider's clock, where that is known.
    pub fn entered_at(&self, status: JobStatus) -> Option<Timestamp> {
        match status {
            JobStatus::Pending | JobStatus::Uploading | JobStatus::Queued => {
                self.provider_created_at
            }
            JobStatus::Running => self.started_at,
            JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled => {
                self.completed_at.filter(|_| status == self.status)
            }
        }
    }

    /// When the job ended: by the provider's word or, where an end was only reported without a
    /// time, when we heard of it. None while the job is active.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.completed_at.or(self.status_since).filter(|_| self.status.is_terminal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_survives_being_written_and_read() {
        for status in JobStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!("canceled".parse(), Ok(JobStatus::Cancelled));
    }

    #[test]
    fn an_unknown_status_is_refused_with_the_allowed_ones() {
        let refused = "done".parse::<JobStatus>().expect_err("not a status");
        assert_eq!(
            refused.to_string(),
            "\"done\" is not one of: pending, uploading, queued, running, completed, failed, cancelled"
        );
    }

    #[test]
    fn exactly_the_states_before_the_end_are_active() {
        for status in JobStatus::ALL {
            assert_eq!(status.is_active(), JobStatus::ACTIVE.contains(&status));
            assert_eq!(status.is_terminal(), JobStatus::TERMINAL.contains(&status));
            assert_eq!(status.is_terminal(), status.rank() == 4);
        }
    }
}
