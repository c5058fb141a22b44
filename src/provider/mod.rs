//! The providers: what the daemon asks of a cloud, and how each cloud is asked.

use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use secrecy::SecretString;
use serde::Serialize;

use crate::domain::job::JobId;
use crate::domain::observation::Observation;
use crate::domain::submission::{Candidate, Order, SecretInputs};
use crate::domain::timestamp::Timestamp;

mod caller;
pub mod cog;
pub mod json;
pub mod log_readers;
pub mod registry;
pub mod replicate;
pub mod token;
mod trainer_event;
mod warn_once;
pub mod webhook_body;

pub use caller::{Caller, CallerHealth, HealthListener};

/// What a call to a provider comes to.
pub type Answer<'a, T> = LocalBoxFuture<'a, Result<T, ProviderError>>;

/// A cloud that runs jobs. Another one costs one file that implements this.
pub trait Provider {
    /// The name of the provider in routes and jobs.
    fn name(&self) -> &'static str;

    /// Whose account the token is of.
    fn account(&self) -> Answer<'_, Account>;

    /// One job, with its log.
    fn job<'a>(&'a self, provider_job_id: &'a str) -> Answer<'a, Snapshot>;

    /// Its list of jobs. None where it keeps none: then nothing can be found there that it does not tell of.
    fn list(&self) -> Option<&dyn JobList>;

    /// Begins a job. It is asked for once: whether it is asked for again is not decided here.
    fn submit<'a>(&'a self, job: &'a NewJob) -> LocalBoxFuture<'a, Result<Snapshot, SubmitError>>;

    /// Asks after a submission whose outcome is unknown. Only a provider without a list is asked, and must not
    /// begin the job by that.
    fn recall<'a>(&'a self, job_id: &'a JobId) -> Answer<'a, Recalled> {
        let _ = job_id;
        let words = "the jobs of this provider are searched for on its list";
        Box::pin(async move { Err(ProviderError::Unsupported(words)) })
    }

    /// Ends a job.
    fn cancel<'a>(&'a self, provider_job_id: &'a str) -> Answer<'a, Snapshot>;

    /// The secret that the provider signs webhooks with.
    fn webhook_secret(&self) -> Answer<'_, SecretString>;

    /// How the connection to the provider is.
    fn health(&self) -> CallerHealth;
}

/// A provider's list of jobs.
pub trait JobList {
    /// A page of all jobs, newest first, without logs. None is the first page.
    fn page<'a>(&'a self, cursor: Option<&'a str>) -> Answer<'a, Page>;

    /// A page of the jobs that were created at `since`, by the provider's clock, or later, newest first:
    /// as much of them as tells whether one is a submission of ours.
    fn candidates<'a>(
        &'a self,
        since: Option<Timestamp>,
        cursor: Option<&'a str>,
    ) -> Answer<'a, CandidatePage>;
}

/// What a provider without a list knows of a submission.
#[derive(Debug, Clone, PartialEq)]
pub enum Recalled {
    /// It runs it.
    Taken(Box<Snapshot>),
    /// It does not run it, and does not know whether it ever did.
    NotRunning,
}

/// A provider as its actor holds it.
pub type SharedProvider = Rc<dyn Provider>;

/// What the provider says about a job at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// What is merged into the job.
    pub observation: Observation,
    /// The log so far, where the provider gave one.
    pub log: Option<String>,
}

/// A page of a provider's list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The jobs, newest first.
    pub observations: Vec<Observation>,
    /// What to ask for to get the next page; None on the last one.
    pub next: Option<String>,
    /// How much could not be read: entries without an identifier, and fields of the others.
    pub skipped: usize,
}

/// A job as a provider is asked to begin it.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Our identifier, which goes along so that the provider's job can be told from others.
    pub job_id: JobId,
    /// What to run.
    pub order: Order,
    /// The secrets that the order has no words for.
    pub secrets: SecretInputs,
}

/// Why a job was not begun, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmitError {
    /// What went wrong.
    pub error: ProviderError,
    /// The provider may have begun the job all the same: the request reached it, and its answer did not
    /// reach us, or was none to go by.
    pub may_be_taken: bool,
}

impl From<ProviderError> for SubmitError {
    /// An error of a call by which no job could begin.
    fn from(error: ProviderError) -> Self {
        Self { error, may_be_taken: false }
    }
}

/// Jobs among which a submission is looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidatePage {
    /// The jobs, newest first.
    pub candidates: Vec<Candidate>,
    /// What to ask for to get the next page; None on the last one.
    pub next: Option<String>,
}

/// An account at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// The name by which the provider knows the account.
    pub username: String,
    /// `user` or `organization`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The name for people.
    pub name: Option<String>,
    /// The account's page at GitHub.
    pub github_url: Option<String>,
}

/// Why a provider did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// No token is configured.
    #[error("no API token is configured for {provider}: set {variable}")]
    NoToken {
        /// The provider's name for people.
        provider: &'static str,
        /// The environment variable to set.
        variable: &'static str,
    },
    /// The provider says, in its own words, that it does not know the job.
    #[error("the provider does not know it: {0}")]
    NotFound(String),
    /// The provider runs as many jobs as it can.
    #[error("{0}")]
    Occupied(String),
    /// The provider answers, and does not tell what it was asked.
    #[error("the provider does not tell: {0}")]
    Untold(String),
    /// The provider has nothing of the kind.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The provider refused.
    #[error("{detail} (the provider answered {status})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The provider's words.
        detail: String,
    },
    /// The provider is out of order.
    #[error("{detail} (the provider answered {status})")]
    Failing {
        /// The HTTP status.
        status: u16,
        /// The provider's words.
        detail: String,
    },
    /// The provider refused because its rate limit is used up.
    #[error("{detail} (the provider answered 429)")]
    Throttled {
        /// When to try again.
        retry_after_seconds: u64,
        /// The provider's words.
        detail: String,
    },
    /// Our share of the provider's rate limit is used up.
    #[error("our share of the provider's rate limit is used up for {retry_after_seconds} s")]
    BudgetSpent {
        /// When to try again.
        retry_after_seconds: u64,
    },
    /// The provider failed so often that it is left alone for a while.
    #[error(
        "the provider is out of order, the next attempt is in {retry_after_seconds} s: {last_error}"
    )]
    OutOfOrder {
        /// When to try again.
        retry_after_seconds: u64,
        /// What it said when it failed last.
        last_error: String,
    },
    /// There is no connection to the provider.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(String),
    /// The connection broke after the question was sent.
    #[error("the connection to the provider broke: {0}")]
    CutOff(String),
    /// The provider did not answer in time.
    #[error("the provider did not answer within {seconds} s")]
    Timeout {
        /// How long we waited.
        seconds: u64,
    },
    /// The provider's answer is not what it documents.
    #[error("the provider's answer cannot be read: {0}")]
    Garbled(String),
}

impl ProviderError {
    /// Whether what was asked for may have been done all the same.
    fn leaves_open(&self) -> bool {
        match self {
            Self::Failing { .. } | Self::CutOff(_) | Self::Timeout { .. } | Self::Garbled(_) => {
                true
            }
            Self::NoToken { .. }
            | Self::NotFound(_)
            | Self::Occupied(_)
            | Self::Untold(_)
            | Self::Unsupported(_)
            | Self::Refused { .. }
            | Self::Throttled { .. }
            | Self::BudgetSpent { .. }
            | Self::OutOfOrder { .. }
            | Self::Unreachable(_) => false,
        }
    }

    /// Whether the provider itself is at fault, rather than what it was asked.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Failing { .. }
            | Self::OutOfOrder { .. }
            | Self::Unreachable(_)
            | Self::CutOff(_)
            | Self::Timeout { .. }
            | Self::Garbled(_) => true,
            Self::NoToken { .. }
            | Self::NotFound(_)
            | Self::Occupied(_)
            | Self::Untold(_)
            | Self::Unsupported(_)
            | Self::Refused { .. }
            | Self::Throttled { .. }
            | Self::BudgetSpent { .. } => false,
        }
    }
}
