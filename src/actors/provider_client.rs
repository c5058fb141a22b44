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
use crate::domain::observation::{Observation, Source};
use crate::domain::poll_plan::cheapest_page_count;
use crate::provider::{
    Account, CallerHealth, Page, Provider, ProviderError, SharedProvider, Snapshot,
};

/// How many calls of one round are under way at a time.
const CONCURRENT_CALLS: usize = 32;
/// The most entries of the provider's list that are assumed to stand between two known ones.
const LISTED_PER_KNOWN_MAX: f64 = 10_000.0;

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
    /// How many entries of the provider's list there are for each one that we know: an account's
    /// inference stands between its trainings.
    listed_per_known: f64,
}

impl ProviderClient {
    /// A client of `provider`, to be started in the arbiter in which the provider was made.
    pub fn new(provider: Rc<dyn Provider>, store: Recipient<RecordReports>) -> Self {
        Self { provider, store, listed_per_known: 1.0 }
    }
}

/// A refresh under way.
struct Refresh {
    provider: SharedProvider,
    store: Recipient<RecordReports>,
    /// The jobs still to be found, with the number of newer ones that we know.
    wanted: HashMap<String, Option<usize>>,
    outcome: Refreshed,
    /// See [`ProviderClient`]. Every page that is read tells it better.
    listed_per_known: f64,
    /// How many entries of the list were read.
    listed: usize,
}

impl Refresh {
    async fn run(&mut self) {
        let mut cursor = None;
        let mut has_read = false;
        // How deep the jobs stand is only guessed before a page shows it, so each page is decided
        // on by what those before it showed.
        while self.saves_calls_by_a_page() {
            let page = self.provider.page(cursor.as_deref()).await;
            self.outcome.calls += u64::from(was_made(&page));
            match page {
                Ok(page) => {
                    has_read = true;
                    cursor = page.next;
                    let found = self.pick(page.observations);
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
        if !has_read {
            // Nothing was measured, and what was may be out of date.
            self.listed_per_known *= 0.9;
        }
        self.ask_one_by_one().await;
        if let Some(error) = &self.outcome.error {
            // One line, not one a job: a provider that is down would fill the log.
            log::warn!("{} jobs could not be refreshed: {error}", self.outcome.failed);
        }
    }

    /// Whether reading the list further costs less than asking for each job by itself.
    fn saves_calls_by_a_page(&self) -> bool {
        let place = |newer: usize| {
            ((newer as f64 * self.listed_per_known) as usize).saturating_sub(self.listed)
        };
        let positions: Vec<_> = self.wanted.values().map(|newer| newer.map(place)).collect();
        cheapest_page_count(&positions) > 0
    }

    /// Takes the wanted jobs out of a page, and measures how deep in the list they stand.
    fn pick(&mut self, page: Vec<Observation>) -> Vec<Observation> {
        let mut found = Vec::new();
        let mut measured = None;
        for seen in page {
            self.listed += 1;
            let Some(newer_jobs) = self.wanted.remove(&seen.provider_job_id) else { continue };
            if let Some(newer_jobs) = newer_jobs {
                measured = Some(self.listed as f64 / (newer_jobs + 1) as f64);
            }
            found.push(seen);
        }
        // A page that shows none of the jobs tells that they stand deeper than was thought.
        self.listed_per_known =
            measured.unwrap_or(self.listed_per_known * 2.0).clamp(1.0, LISTED_PER_KNOWN_MAX);
        found
    }

    async fn ask_one_by_one(&mut self) {
        let provider = self.provider.clone();
        let calls = std::mem::take(&mut self.wanted).into_keys().map(move |id| {
            let provider = provider.clone();
            async move { provider.job(&id).await }
        });
        let mut answers =
            stream::iter(calls).buffer_unordered(CONCURRENT_CALLS).ready_chunks(CONCURRENT_CALLS);
        while let Some(answers) = answers.next().await {
            let mut found = Vec::with_capacity(answers.len());
            for answer in answers {
                self.outcome.calls += u64::from(was_made(&answer));
                match answer {
                    Ok(snapshot) => found.push(snapshot.observation),
                    Err(error) => {
                        self.outcome.failed += 1;
                        self.note(&error);
                    }
                }
            }
            self.record(found).await;
        }
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
        Box::pin(async move { provider.page(message.cursor.as_deref()).await })
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
        let mut refresh = Refresh {
            provider: self.provider.clone(),
            store: self.store.clone(),
            wanted: message
                .jobs
                .into_iter()
                .map(|job| (job.provider_job_id, job.newer_jobs))
                .collect(),
            outcome: Refreshed::default(),
            listed_per_known: self.listed_per_known,
            listed: 0,
        };
        let run = async move {
            refresh.run().await;
            refresh
        };
        Box::pin(run.into_actor(self).map(move |refresh, this, _| {
            this.listed_per_known = refresh.listed_per_known.max(1.0);
            Ok(refresh.outcome)
        }))
    }
}
