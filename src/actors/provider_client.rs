//! The provider client: makes every call to one provider, in an arbiter of its own.
//!
//! An HTTP client of awc belongs to its thread, so the calls of one provider share one thread,
//! where they run concurrently under one rate budget and one circuit breaker.

use std::collections::HashMap;
use std::rc::Rc;

use actix::prelude::*;
use futures_util::StreamExt;
use futures_util::stream;
use secrecy::SecretString;

use super::job_store::RecordReports;
use crate::db::jobs::ActiveJob;
use crate::db::observations::{Effect, Report};
use crate::domain::job::JobId;
use crate::domain::observation::{Observation, Source};
use crate::domain::poll_round::{Density, PollRound};
use crate::domain::timestamp::{Timestamp, now};
use crate::provider::{
    Account, CallerHealth, CandidatePage, NewJob, Page, Provider, ProviderError, Recalled,
    SharedProvider, Snapshot, SubmitError,
};

/// What is said where a list is asked for and there is none.
const NO_LIST: ProviderError =
    ProviderError::Unsupported("this provider keeps no list of its jobs");
/// How many calls of one round are under way at a time.
const CONCURRENT_CALLS: usize = 32;

/// Whose account the token is of.
#[derive(Debug, Message)]
#[rtype(result = "Result<Account, ProviderError>")]
pub struct FetchAccount;

/// One job, with its log.
#[derive(Debug, Message)]
#[rtype(result = "Result<Snapshot, ProviderError>")]
pub struct FetchJob {
    /// The provider's identifier.
    pub provider_job_id: String,
}

/// A page of the provider's list, newest first.
#[derive(Debug, Message)]
#[rtype(result = "Result<Page, ProviderError>")]
pub struct FetchPage {
    /// Which page; None for the first.
    pub cursor: Option<String>,
}

/// Begins a job.
#[derive(Debug, Message)]
#[rtype(result = "Result<Snapshot, SubmitError>")]
pub struct SubmitAtProvider(pub NewJob);

/// A page of the jobs among which a submission is looked for, newest first.
#[derive(Debug, Message)]
#[rtype(result = "Result<CandidatePage, ProviderError>")]
pub struct FetchCandidates {
    /// Only jobs that were created at this time, by the provider's clock, or later.
    pub since: Option<Timestamp>,
    /// Which page; None for the first.
    pub cursor: Option<String>,
}

/// Asks a provider without a list after a submission whose outcome is unknown.
#[derive(Debug, Message)]
#[rtype(result = "Result<Recalled, ProviderError>")]
pub struct RecallJob {
    /// Our identifier.
    pub job_id: JobId,
}

/// Ends a job.
#[derive(Debug, Message)]
#[rtype(result = "Result<Snapshot, ProviderError>")]
pub struct CancelAtProvider {
    /// The provider's identifier.
    pub provider_job_id: String,
}

/// The secret that the provider signs webhooks with.
#[derive(Debug, Message)]
#[rtype(result = "Result<SecretString, ProviderError>")]
pub struct FetchWebhookSecret;

/// How the connection to the provider is.
#[derive(Debug, Message)]
#[rtype(result = "Result<CallerHealth, ProviderError>")]
pub struct GetProviderHealth;

/// Asks for the present state of jobs, by the cheapest set of calls, and hands what is found to
/// the store as it comes.
#[derive(Debug, Message)]
#[rtype(result = "Result<Refreshed, ProviderError>")]
pub struct RefreshJobs {
    /// The jobs.
    pub jobs: Vec<ActiveJob>,
}

/// What a refresh came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Jobs that changed.
    pub changed: usize,
    /// Jobs about which nothing could be learnt.
    pub failed: usize,
    /// Calls to the provider.
    pub calls: u64,
    /// What went wrong first, where something did.
    pub error: Option<String>,
}

/// The actor. See the top of this file.
pub struct ProviderClient {
    provider: SharedProvider,
    store: Recipient<RecordReports>,
    /// What the last round learnt of the provider's list.
    density: Density,
}

impl ProviderClient {
    /// A client of `provider`, to be started in the arbiter in which the provider was made.
    pub fn new(provider: Rc<dyn Provider>, store: Recipient<RecordReports>) -> Self {
        Self { provider, store, density: Density::default() }
    }
}

/// A refresh under way.
struct Refresh {
    provider: SharedProvider,
    store: Recipient<RecordReports>,
    round: PollRound,
    /// The jobs whose log is to be read: only asking for one by itself shows it.
    unread: Vec<String>,
    /// Since when the provider has not known a job, of those that it did not know the last time.
    missing_since: HashMap<String, Timestamp>,
    outcome: Refreshed,
}

impl Refresh {
    fn new(client: &ProviderClient, jobs: Vec<ActiveJob>) -> Self {
        let missing_since = jobs
            .iter()
            .filter_map(|job| Some((job.provider_job_id.clone(), job.missing_since?)))
            .collect();
        let (unread, listed): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.wants_log);
        let listed = listed.into_iter().map(|job| (job.provider_job_id, job.newer_jobs));
        Self {
            provider: client.provider.clone(),
            store: client.store.clone(),
            round: PollRound::new(listed, client.density),
            unread: unread.into_iter().map(|job| job.provider_job_id).collect(),
            missing_since,
            outcome: Refreshed::default(),
        }
    }

    async fn run(&mut self) {
        let mut cursor = None;
        while self.round.saves_calls_by_a_page() {
            // Where there is no list, each job is asked for by itself.
            let Some(list) = self.provider.list() else { break };
            let page = list.page(cursor.as_deref()).await;
            self.outcome.calls += u64::from(was_made(&page));
            match page {
                Ok(page) => {
                    cursor = page.next;
                    let found = self.round.take_page(page.observations);
                    self.record(found).await;
                }
                Err(error) => {
                    // Without the list, each job is asked for by itself; a provider that is out of
                    // order refuses that just as fast.
                    self.note(&error);
                    break;
                }
            }
            if cursor.is_none() {
                break;
            }
        }
        self.ask_one_by_one().await;
        if let Some(error) = &self.outcome.error {
            // One line, not one a job: a provider that is down would fill the log.
            log::warn!("{} jobs could not be refreshed: {error}", self.outcome.failed);
        }
    }

    async fn ask_one_by_one(&mut self) {
        let provider = self.provider.clone();
        let mut wanted = self.round.take_rest();
        wanted.append(&mut self.unread);
        let calls = wanted.into_iter().map(move |id| {
            let provider = provider.clone();
            async move {
                let answer = provider.job(&id).await;
                (id, answer)
            }
        });
        let mut answers =
            stream::iter(calls).buffer_unordered(CONCURRENT_CALLS).ready_chunks(CONCURRENT_CALLS);
        while let Some(answers) = answers.next().await {
            let mut found = Vec::with_capacity(answers.len());
            for (id, answer) in answers {
                self.outcome.calls += u64::from(was_made(&answer));
                match answer {
                    Ok(snapshot) => found.push(snapshot.observation),
                    // It answers, and that is all there is to know: nothing has failed.
                    Err(ProviderError::Untold(_)) => {}
                    Err(error) => {
                        if matches!(error, ProviderError::NotFound(_)) {
                            found.push(self.missing(&id));
                        }
                        self.outcome.failed += 1;
                        self.note(&error);
                    }
                }
            }
            self.record(found).await;
        }
    }

    /// What the provider's word means that it does not know a job.
    fn missing(&self, id: &str) -> Observation {
        let since = self.missing_since.get(id).copied();
        Observation::missing(self.provider.name(), id, now(), since)
    }

    async fn record(&mut self, found: Vec<Observation>) {
        if found.is_empty() {
            return;
        }
        let count = found.len();
        let reports = found
            .into_iter()
            .map(|seen| Report::of_call(Observation { source: Source::Poll, ..seen }, false))
            .collect();
        match self.store.send(RecordReports { reports }).await {
            Ok(Ok(outcomes)) => {
                let changed = |effect: &Effect| matches!(effect, Effect::Changed(_));
                self.outcome.changed +=
                    outcomes.iter().filter(|outcome| changed(&outcome.effect)).count();
            }
            Ok(Err(error)) => {
                self.outcome.failed += count;
                self.outcome.error.get_or_insert(error.to_string());
            }
            Err(_) => self.outcome.failed += count,
        }
    }

    fn note(&mut self, error: &ProviderError) {
        self.outcome.error.get_or_insert(error.to_string());
    }
}

/// Whether a call reached out to the provider at all.
fn was_made<T>(answer: &Result<T, ProviderError>) -> bool {
    !matches!(
        answer,
        Err(ProviderError::NoToken { .. }
            | ProviderError::OutOfOrder { .. }
            | ProviderError::BudgetSpent { .. })
    )
}

impl Actor for ProviderClient {
    type Context = Context<Self>;
}

impl Handler<FetchAccount> for ProviderClient {
    type Result = ResponseFuture<Result<Account, ProviderError>>;

    fn handle(&mut self, _: FetchAccount, _: &mut Self::Context) -> Self::Result {
        let provider = self.provider.clone();
        Box::pin(async move { provider.account().await })
    }
}

impl Handler<FetchJob> for ProviderClient {
    type Result = ResponseFuture<Result<Snapshot, ProviderError>>;

    fn handle(&mut self, message: FetchJob, _: &mut Self::Context) -> Self::Result {
        let provider = self.provider.clone();
        Box::pin(async move { provider.job(&message.provider_job_id).await })
    }
}

impl Handler<FetchPage> for ProviderClient {
    type Result = ResponseFuture<Result<Page, ProviderError>>;

    fn handle(&mut self, message: FetchPage, _: &mut Self::Context) -> Self::Result {
        let provider = self.provider.clone();
        Box::pin(async move {
            let list = provider.list().ok_or(NO_LIST)?;
            list.page(message.cursor.as_deref()).await
        })
    }
}

impl Handler<SubmitAtProvider> for ProviderClient {
    type Result = ResponseFuture<Result<Snapshot, SubmitError>>;

    fn handle(&mut self, message: SubmitAtProvider, _: &mut Self::Context) -> Self::Result {
        let provider = self.provider.clone();
        Box::pin(async move { provider.submit(&message.0).await })
    }
}

impl Handler<FetchCandidates> for ProviderClient {
    type Result = ResponseFuture<Result<CandidatePage, ProviderError>>;

    fn handle(&mut self, message: FetchCandidates, _: &mut Self::Context) -> Self::Result {
        let provider = self.provider.clone();
        let FetchCandidates { since, cursor } = message;
        Box::pin(async move {
            let list = provider.list().ok_or(NO_LIST)?;
            list.candidates(since, cursor.as_deref()).await
        })
    }
}

impl Handler<RecallJob> for ProviderClient {
    type Result = ResponseFuture<Result<Recalled, ProviderError>>;

    fn handle(&mut self, message: RecallJob, _: &mut Self::Context) -> Self::Result {
        let provider = self.provider.clone();
        Box::pin(async move { provider.recall(&message.job_id).await })
    }
}

impl Handler<CancelAtProvider> for ProviderClient {
    type Result = ResponseFuture<Result<Snapshot, ProviderError>>;

    fn handle(&mut self, message: CancelAtProvider, _: &mut Self::Context) -> Self::Result {
        let provider = self.provider.clone();
        Box::pin(async move { provider.cancel(&message.provider_job_id).await })
    }
}

impl Handler<FetchWebhookSecret> for ProviderClient {
    type Result = ResponseFuture<Result<SecretString, ProviderError>>;

    fn handle(&mut self, _: FetchWebhookSecret, _: &mut Self::Context) -> Self::Result {
        let provider = self.provider.clone();
        Box::pin(async move { provider.webhook_secret().await })
    }
}

impl Handler<GetProviderHealth> for ProviderClient {
    type Result = Result<CallerHealth, ProviderError>;

    fn handle(&mut self, _: GetProviderHealth, _: &mut Self::Context) -> Self::Result {
        Ok(self.provider.health())
    }
}

impl Handler<RefreshJobs> for ProviderClient {
    type Result = ResponseActFuture<Self, Result<Refreshed, ProviderError>>;

    fn handle(&mut self, message: RefreshJobs, _: &mut Self::Context) -> Self::Result {
        let mut refresh = Refresh::new(self, message.jobs);
        let run = async move {
            refresh.run().await;
            refresh
        };
        Box::pin(run.into_actor(self).map(move |refresh, this, _| {
            this.density = refresh.round.density();
            Ok(refresh.outcome)
        }))
    }
}
