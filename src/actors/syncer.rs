//! The syncer: reads a provider's list and brings the store in line with it.
//!
//! Every page is kept as it comes, so what was read before a failure is not lost.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use actix::prelude::*;

use super::broadcaster::Announce;
use super::job_store::{RecordReports, RecordSync};
use super::provider_client::FetchPage;
use crate::db::error::StoreError;
use crate::db::observations::{Effect, Report};
use crate::domain::event::Notice;
use crate::domain::model_filter::ModelFilter;
use crate::domain::observation::{Observation, Source};
use crate::domain::timestamp::now;
use crate::provider::{Page, ProviderError};

/// How often a full reading waits for the provider's rate limit before it gives up.
const WAITS_MAX: u32 = 20;

/// Reads a provider's list. Answers when that is done.
#[derive(Debug, Message)]
#[rtype(result = "Result<Synced, SyncError>")]
pub struct SyncJobs {
    /// Which provider.
    pub provider: String,
    /// Whether to read to the end of the list, rather than its newest page.
    pub all: bool,
}

/// What a sync came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Synced {
    /// Jobs that were not known before.
    pub synced: usize,
    /// Known jobs that changed.
    pub updated: usize,
    /// Known jobs that did not.
    pub unchanged: usize,
    /// How much of the list could not be read: entries without an identifier, and fields of the others.
    pub skipped: usize,
    /// Calls to the provider.
    pub provider_calls: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
}

/// Why a sync did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// There is no such provider.
    #[error("Unknown provider: {0}")]
    UnknownProvider(String),
    /// One is under way.
    #[error("a sync of {0} is under way already; its progress is on the event stream")]
    UnderWay(String),
    /// The provider failed. What was read before is kept.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store failed. What was stored before is kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the syncer needs to read one provider.
#[derive(Clone)]
pub struct SyncSource {
    /// Who asks the provider.
    pub client: Recipient<FetchPage>,
    /// Which models are tracked: it keeps an account's inference out of the list.
    pub models: ModelFilter,
}

/// The actor. See the top of this file.
pub struct Syncer {
    sources: HashMap<String, SyncSource>,
    under_way: HashSet<String>,
    store: Recipient<RecordReports>,
    sync_log: Recipient<RecordSync>,
    notices: Recipient<Announce>,
}

impl Syncer {
    /// A syncer of `sources`, by the providers' names.
    pub fn new(
        sources: HashMap<String, SyncSource>,
        store: Recipient<RecordReports>,
        sync_log: Recipient<RecordSync>,
        notices: Recipient<Announce>,
    ) -> Self {
        Self { sources, under_way: HashSet::new(), store, sync_log, notices }
    }
}

/// A sync under way.
struct Sync {
    provider: String,
    source: SyncSource,
    store: Recipient<RecordReports>,
    notices: Recipient<Announce>,
    done: Synced,
}

impl Sync {
    async fn run(&mut self, all: bool) -> Result<(), SyncError> {
        let mut cursor = None;
        let mut pages = 0;
        loop {
            let page = self.fetch(cursor, all).await?;
            self.done.skipped += page.skipped;
            self.record(page.observations).await?;
            pages += 1;
            cursor = page.next;
            if !all || cursor.is_none() {
                return Ok(());
            }
            self.notices.do_send(Announce::notice(Notice::SyncProgress {
                provider: self.provider.clone(),
                pages,
                synced: self.done.synced,
                updated: self.done.updated,
            }));
        }
    }

    /// A page. Reading a long list to its end can use up the rate limit; that is worth waiting
    /// for, where a short sync had better answer at once.
    async fn fetch(&mut self, cursor: Option<String>, patient: bool) -> Result<Page, SyncError> {
        let mut waits = 0;
        loop {
            self.done.provider_calls += 1;
            let answer = self.source.client.send(FetchPage { cursor: cursor.clone() }).await;
            match answer.unwrap_or(Err(ProviderError::Unreachable("the daemon is stopping".into())))
            {
                Err(
                    ProviderError::Throttled { retry_after_seconds, .. }
                    | ProviderError::BudgetSpent { retry_after_seconds },
                ) if patient && waits < WAITS_MAX => {
                    waits += 1;
                    self.done.provider_calls -= 1;
                    log::info!("the sync waits {retry_after_seconds} s for the rate limit");
                    tokio::time::sleep(Duration::from_secs(retry_after_seconds)).await;
                }
                answer => return Ok(answer?),
            }
        }
    }

    async fn record(&mut self, page: Vec<Observation>) -> Result<(), SyncError> {
        let reports: Vec<_> = page
            .into_iter()
            .map(|seen| {
                // Jobs that we know are kept up to date whatever their model.
                let creates = self.source.models.matches(seen.model.as_deref());
                Report::of_call(Observation { source: Source::Sync, ..seen }, creates)
            })
            .collect();
        let outcomes = self
            .store
            .send(RecordReports { reports })
            .await
            .unwrap_or(Err(StoreError::Stopping))?;
        for outcome in outcomes {
            match outcome.effect {
                Effect::Created(_) => self.done.synced += 1,
                Effect::Changed(_) => self.done.updated += 1,
                Effect::Unchanged => self.done.unchanged += 1,
                Effect::Duplicate | Effect::UnknownJob => {}
            }
        }
        Ok(())
    }
}

impl Actor for Syncer {
    type Context = Context<Self>;
}

impl Handler<SyncJobs> for Syncer {
    type Result = ResponseActFuture<Self, Result<Synced, SyncError>>;

    fn handle(&mut self, message: SyncJobs, _: &mut Self::Context) -> Self::Result {
        let provider = message.provider;
        let Some(source) = self.sources.get(&provider).cloned() else {
            return Box::pin(actix::fut::ready(Err(SyncError::UnknownProvider(provider))));
        };
        if !self.under_way.insert(provider.clone()) {
            return Box::pin(actix::fut::ready(Err(SyncError::UnderWay(provider))));
        }
        let mut sync = Sync {
            provider: provider.clone(),
            source,
            store: self.store.clone(),
            notices: self.notices.clone(),
            done: Synced::default(),
        };
        let sync_log = self.sync_log.clone();
        let run = async move {
            let started_at = now();
            let ended = sync.run(message.all).await;
            sync.done.duration_ms = (now() - started_at).num_milliseconds();
            record_end(&sync_log, &sync, ended.as_ref().err()).await;
            ended.map(|()| sync.done)
        };
        Box::pin(run.into_actor(self).map(move |result, this, _| {
            this.under_way.remove(&provider);
            result
        }))
    }
}

/// Tells on the event stream how a sync ended.
async fn record_end(sync_log: &Recipient<RecordSync>, sync: &Sync, error: Option<&SyncError>) {
    let Synced { synced, updated, unchanged, provider_calls, .. } = sync.done;
    let provider = sync.provider.clone();
    let error = error.map(ToString::to_string);
    let message = RecordSync { provider, synced, updated, unchanged, provider_calls, error };
    if !matches!(sync_log.send(message).await, Ok(Ok(()))) {
        log::error!("the end of a sync could not be recorded");
    }
}
