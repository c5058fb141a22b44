//! The log keeper: fetches the log of every job that has ended, before the provider deletes it.
//!
//! An end can be learnt without the log: from a list, from the trainer, or while the daemon was down. The
//! store tells of each such end right after its commit; which logs were still wanted when the daemon
//! started, the database knows. Each is asked for until it is had, more and more rarely. After half an
//! hour that is told, and after the hour for which the provider keeps it the log is given up.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use actix::prelude::*;
use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::Instant;

use super::job_reader::{ListWantedLogs, Read};
use super::job_store::{MarkLogAbsent, RecordReports};
use super::provider_client::FetchJob;
use crate::db::error::StoreError;
use crate::db::logs::{Absence, PROVIDER_KEEPS, WantedLog};
use crate::db::observations::Report;
use crate::domain::job::JobId;
use crate::domain::observation::{Observation, Source};
use crate::domain::timestamp::{Timestamp, now};
use crate::provider::{ProviderError, Snapshot};

/// How long after the end it is told that a log is still missing.
const TOLD_AFTER: chrono::Duration = chrono::Duration::minutes(30);
/// The pause after the first attempt in vain; each one after that doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How many logs are fetched at a time.
const CONCURRENT_FETCHES: usize = 8;

/// These jobs have ended, and their logs are still to be fetched.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct WantLogs(pub Vec<WantedLog>);

/// How many logs are still to be fetched.
#[derive(Debug, Message)]
#[rtype(result = "Result<usize, StoreError>")]
pub struct CountWantedLogs;

/// Fetches no more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StopKeeping;

/// What the keeper needs from whoever starts it.
pub struct LogKeeperOptions {
    /// Who asks, by the provider's name.
    pub providers: HashMap<String, Recipient<FetchJob>>,
    /// Who stores.
    pub store: Recipient<RecordReports>,
    /// Who remembers what could not be fetched.
    pub absences: Recipient<MarkLogAbsent>,
    /// Who knows which logs were wanted when the daemon started.
    pub reader: Recipient<Read<ListWantedLogs>>,
}

/// The actor. See the top of this file.
pub struct LogKeeper {
    options: LogKeeperOptions,
    wanted: BTreeMap<JobId, Wanted>,
    timer: Option<SpawnHandle>,
    is_fetching: bool,
}

#[derive(Debug, Clone)]
struct Wanted {
    log: WantedLog,
    since: Timestamp,
    pause: Duration,
    due: Instant,
}

/// What an attempt came to.
enum Fetched {
    /// The log is stored.
    Kept,
    /// The provider has deleted it.
    Removed,
    /// Nothing can be fetched at all, which `/health` tells.
    NoToken,
    /// Perhaps the next time, but not before this pause.
    Failed { at_least: Duration },
}

impl LogKeeper {
    /// A keeper that wants nothing yet.
    pub fn new(options: LogKeeperOptions) -> Self {
        Self { options, wanted: BTreeMap::new(), timer: None, is_fetching: false }
    }

    fn want(&mut self, logs: Vec<WantedLog>, context: &mut Context<Self>) {
        for log in logs {
            let job_id = log.job_id.clone();
            self.wanted.entry(job_id).or_insert_with(|| Wanted::new(log, now()));
        }
        self.fetch(context);
    }

    /// Fetches what is due; then sets the timer for what is not.
    fn fetch(&mut self, context: &mut Context<Self>) {
        if self.is_fetching {
            return;
        }
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        let now = Instant::now();
        let due: Vec<_> = self
            .wanted
            .values()
            .filter(|wanted| wanted.due <= now)
            .map(|w| w.log.clone())
            .collect();
        if due.is_empty() {
            let next = self.wanted.values().map(|wanted| wanted.due).min();
            self.timer = next.map(|at| {
                context.run_later(at - now, |this, context| {
                    this.timer = None;
                    this.fetch(context);
                })
            });
            return;
        }
        self.is_fetching = true;
        let attempts = due.into_iter().map(|log| {
            let client = self.options.providers.get(&log.provider).cloned();
            let store = self.options.store.clone();
            async move {
                let fetched = fetch_one(client, &store, &log).await;
                (log, fetched)
            }
        });
        let attempts: Vec<_> = attempts.collect();
        let fetched =
            stream::iter(attempts).buffer_unordered(CONCURRENT_FETCHES).collect::<Vec<_>>();
        context.spawn(fetched.into_actor(self).map(|fetched, this, context| {
            this.settle(fetched, context);
        }));
    }

    /// Takes in what the attempts came to, and tells what is missing or lost.
    fn settle(&mut self, fetched: Vec<(WantedLog, Fetched)>, context: &mut Context<Self>) {
        let mut absent = Vec::new();
        for (log, fetched) in fetched {
            let absence = match &fetched {
                Fetched::Kept | Fetched::NoToken => {
                    self.wanted.remove(&log.job_id);
                    continue;
                }
                Fetched::Removed => Some(Absence::Lost),
                Fetched::Failed { .. } => {
                    self.wanted.get(&log.job_id).and_then(|wanted| wanted.absence(now()))
                }
            };
            if let Some(wanted) = self.wanted.get_mut(&log.job_id) {
                wanted.put_off(&fetched);
            }
            if let Some(absence) =
                absence.filter(|absence| *absence == Absence::Lost || !log.is_told)
            {
                absent.push((log, absence));
            }
        }
        let absences = self.options.absences.clone();
        let told = stream::iter(absent).then(move |(log, absence)| {
            let told = tell(absences.clone(), log.clone(), absence);
            async move { (log, absence, told.await) }
        });
        context.spawn(told.collect::<Vec<_>>().into_actor(self).map(|told, this, context| {
            for (log, absence, _) in told.into_iter().filter(|(.., is_stored)| *is_stored) {
                if absence == Absence::Lost {
                    this.wanted.remove(&log.job_id);
                } else if let Some(wanted) = this.wanted.get_mut(&log.job_id) {
                    wanted.log.is_told = true;
                }
            }
            this.is_fetching = false;
            this.fetch(context);
        }));
    }
}

impl Wanted {
    fn new(log: WantedLog, since: Timestamp) -> Self {
        Self { log, since, pause: PAUSE_MIN, due: Instant::now() }
    }

    /// What it means that the log could not be fetched at this time. It is given up when the provider has
    /// none any more, but not before it was tried for as long.
    fn absence(&self, now: Timestamp) -> Option<Absence> {
        if now - self.log.ended_at.max(self.since) >= PROVIDER_KEEPS {
            Some(Absence::Lost)
        } else if now - self.log.ended_at >= TOLD_AFTER {
            Some(Absence::Missing)
        } else {
            None
        }
    }

    fn put_off(&mut self, fetched: &Fetched) {
        if let Fetched::Failed { at_least } = fetched {
            self.due = Instant::now() + self.pause.max(*at_least);
        } else {
            self.due = Instant::now() + self.pause;
        }
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }
}

async fn fetch_one(
    client: Option<Recipient<FetchJob>>,
    store: &Recipient<RecordReports>,
    log: &WantedLog,
) -> Fetched {
    let failed = Fetched::Failed { at_least: Duration::ZERO };
    let Some(client) = client else { return failed };
    if log.is_removed {
        return Fetched::Removed;
    }
    let provider_job_id = log.provider_job_id.clone();
    let observation = match client.send(FetchJob { provider_job_id }).await {
        Ok(Ok(Snapshot { observation, .. })) => observation,
        Ok(Err(ProviderError::NoToken { .. })) => return Fetched::NoToken,
        Ok(Err(error)) => {
            log::debug!("the log of job {} cannot be fetched now: {error}", log.job_id);
            return Fetched::Failed { at_least: pause_after(&error) };
        }
        Err(_) => return failed,
    };
    let (has_log, log_is_removed) = (observation.logs.is_some(), observation.log_is_removed);
    let report = Report::of_call(Observation { source: Source::Poll, ..observation }, false);
    match store.send(RecordReports { reports: vec![report] }).await {
        Ok(Ok(_)) if has_log => Fetched::Kept,
        Ok(Ok(_)) if log_is_removed => Fetched::Removed,
        // The provider does not know of the end yet, or the store could not keep it.
        _ => failed,
    }
}

/// How long the provider asks to be left alone.
fn pause_after(error: &ProviderError) -> Duration {
    Duration::from_secs(match error {
        ProviderError::Throttled { retry_after_seconds, .. }
        | ProviderError::BudgetSpent { retry_after_seconds }
        | ProviderError::OutOfOrder { retry_after_seconds, .. } => *retry_after_seconds,
        _ => 0,
    })
}

/// Has it remembered, and so told, that a log is missing or lost. Answers whether that is stored.
async fn tell(absences: Recipient<MarkLogAbsent>, log: WantedLog, absence: Absence) -> bool {
    match absence {
        Absence::Missing => log::warn!("the log of job {} cannot be fetched yet", log.job_id),
        Absence::Lost => log::error!("the log of job {} is lost", log.job_id),
    }
    let WantedLog { job_id, ended_at, .. } = log;
    matches!(absences.send(MarkLogAbsent { job_id, ended_at, absence }).await, Ok(Ok(())))
}

impl Actor for LogKeeper {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let reader = self.options.reader.clone();
        let left = async move {
            reader.send(Read(ListWantedLogs { since: now() - PROVIDER_KEEPS })).await
        };
        context.spawn(left.into_actor(self).map(|left, this, context| match left {
            Ok(Ok(left)) => this.want(left, context),
            Ok(Err(error)) => log::error!("which logs are wanted cannot be read: {error}"),
            // The daemon is stopping.
            Err(_) => {}
        }));
    }
}

impl Handler<WantLogs> for LogKeeper {
    type Result = ();

    fn handle(&mut self, WantLogs(logs): WantLogs, context: &mut Self::Context) {
        self.want(logs, context);
    }
}

impl Handler<CountWantedLogs> for LogKeeper {
    type Result = Result<usize, StoreError>;

    fn handle(&mut self, _: CountWantedLogs, _: &mut Self::Context) -> Self::Result {
        Ok(self.wanted.len())
    }
}

impl Handler<StopKeeping> for LogKeeper {
    type Result = ();

    fn handle(&mut self, _: StopKeeping, context: &mut Self::Context) {
        context.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(ended_at: Timestamp, since: Timestamp) -> Wanted {
        let log = WantedLog {
            job_id: JobId::from("job"),
            provider: "replicate".to_owned(),
            provider_job_id: "job".to_owned(),
            ended_at,
            is_told: false,
            is_removed: false,
        };
        Wanted::new(log, since)
    }

    fn minutes(minutes: i64) -> chrono::Duration {
        chrono::Duration::minutes(minutes)
    }

    #[test]
    fn a_log_is_missing_after_half_an_hour_and_lost_after_one() {
        let end = now();
        let wanted = wanted(end, end);
        let after = |passed| wanted.absence(end + minutes(passed));
        assert_eq!((after(29), after(30)), (None, Some(Absence::Missing)));
        assert_eq!((after(59), after(60)), (Some(Absence::Missing), Some(Absence::Lost)));
    }

    #[test]
    fn a_log_that_is_wanted_late_is_tried_for_an_hour_all_the_same() {
        let end = now();
        let wanted = wanted(end, end + minutes(300));
        let after = |passed| wanted.absence(end + minutes(passed));
        assert_eq!((after(300), after(359)), (Some(Absence::Missing), Some(Absence::Missing)));
        assert_eq!(after(360), Some(Absence::Lost));
    }

    #[test]
    fn attempts_come_more_and_more_rarely_and_not_before_the_provider_allows() {
        let mut wanted = wanted(now(), now());
        let mut pauses = Vec::new();
        for at_least in [0, 0, 90, 0, 0, 0, 0, 0] {
            let before = Instant::now();
            wanted.put_off(&Fetched::Failed { at_least: Duration::from_secs(at_least) });
            pauses.push((wanted.due - before).as_secs());
        }
        assert_eq!(pauses, [1, 2, 90, 8, 16, 32, 60, 60]);
    }
}
