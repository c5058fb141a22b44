//! The log watcher: gets the logs of jobs that someone looks at.
//!
//! Any number of clients who ask within the time to live share one call to the provider, and what
//! it finds also refreshes the job in the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::job_store::RecordReports;
use super::provider_client::FetchJob;
use crate::db::observations::Report;
use crate::domain::observation::{Observation, ProgressReading, Source};
use crate::domain::timestamp::Timestamp;
use crate::provider::{ProviderError, Snapshot};

/// Gets the log of a job from its provider, or from a fetch that is not too old.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Message)]
#[rtype(result = "Result<Sighting, ProviderError>")]
pub struct LookAtLog {
    /// The provider's name.
    pub provider: String,
    /// The provider's identifier of the job.
    pub provider_job_id: String,
}

/// What the provider said when its log was fetched last.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// The whole log; None where the provider has none.
    pub log: Option<Arc<str>>,
    /// What the log says.
    pub progress: Option<ProgressReading>,
    /// When that was.
    pub seen_at: Timestamp,
}

type SightingResult = Result<Sighting, ProviderError>;

/// What is known of one log.
enum Entry {
    /// It is being fetched for these.
    Fetching(Vec<oneshot::Sender<SightingResult>>),
    /// It was fetched.
    Fetched { at: Instant, result: Box<SightingResult> },
}

/// The actor. See the top of this file.
pub struct LogWatcher {
    providers: HashMap<String, Recipient<FetchJob>>,
    store: Recipient<RecordReports>,
    time_to_live: Duration,
    entries: HashMap<LookAtLog, Entry>,
}

impl LogWatcher {
    /// A watcher that asks `providers`, by their names, and believes an answer for `time_to_live`.
    pub fn new(
        providers: HashMap<String, Recipient<FetchJob>>,
        store: Recipient<RecordReports>,
        time_to_live: Duration,
    ) -> Self {
        Self { providers, store, time_to_live, entries: HashMap::new() }
    }

    fn fetch(&mut self, wanted: LookAtLog, context: &mut Context<Self>) {
        let client = self.providers.get(&wanted.provider).cloned();
        let store = self.store.clone();
        let id = wanted.provider_job_id.clone();
        let fetch = async move {
            let client =
                client.ok_or_else(|| ProviderError::NotFound("unknown provider".into()))?;
            let answer = client.send(FetchJob { provider_job_id: id }).await;
            let snapshot = answer
                .unwrap_or(Err(ProviderError::Unreachable("the daemon is stopping".into())))?;
            Ok(record(&store, snapshot).await)
        };
        context.spawn(fetch.into_actor(self).map(move |result, this, context| {
            this.finish(wanted, result, context);
        }));
    }

    fn finish(&mut self, wanted: LookAtLog, result: SightingResult, context: &mut Context<Self>) {
        let entry = Entry::Fetched { at: Instant::now(), result: Box::new(result.clone()) };
        if let Some(Entry::Fetching(waiting)) = self.entries.insert(wanted.clone(), entry) {
            for asker in waiting {
                // Who has hung up meanwhile needs no answer.
                let _ = asker.send(result.clone());
            }
        }
        // A log can be large, so it is let go as soon as it may not be used any more.
        context.run_later(self.time_to_live, move |this, _| {
            let time_to_live = this.time_to_live;
            let is_old = |entry: &Entry| match entry {
                Entry::Fetched { at, .. } => at.elapsed() >= time_to_live,
                Entry::Fetching(_) => false,
            };
            if this.entries.get(&wanted).is_some_and(is_old) {
                this.entries.remove(&wanted);
            }
        });
    }
}

/// Hands to the store what a fetch found.
async fn record(store: &Recipient<RecordReports>, snapshot: Snapshot) -> Sighting {
    let Snapshot { observation, log, .. } = snapshot;
    let sighting = Sighting {
        log: log.map(Arc::from),
        progress: observation.progress.clone(),
        seen_at: observation.observed_at,
    };
    let report = Report::of_call(Observation { source: Source::Poll, ..observation }, false);
    if !matches!(store.send(RecordReports { reports: vec![report] }).await, Ok(Ok(_))) {
        log::warn!("what the provider said about a job could not be stored");
    }
    sighting
}

impl Actor for LogWatcher {
    type Context = Context<Self>;
}

impl Handler<LookAtLog> for LogWatcher {
    type Result = ResponseFuture<SightingResult>;

    fn handle(&mut self, wanted: LookAtLog, context: &mut Self::Context) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        match self.entries.get_mut(&wanted) {
            Some(Entry::Fetched { at, result }) if at.elapsed() < self.time_to_live => {
                return Box::pin(std::future::ready(result.as_ref().clone()));
            }
            Some(Entry::Fetching(waiting)) => waiting.push(sender),
            Some(Entry::Fetched { .. }) | None => {
                self.entries.insert(wanted.clone(), Entry::Fetching(vec![sender]));
                self.fetch(wanted, context);
            }
        }
        Box::pin(async move {
            // The sender is only dropped with the whole actor.
            receiver
                .await
                .unwrap_or(Err(ProviderError::Unreachable("the daemon is stopping".into())))
        })
    }
}
