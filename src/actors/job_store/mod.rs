//! The job store: the only writer of the database, and the only one who announces changes.
//!
//! Diesel blocks, so it runs on a thread of its own. Every change goes the same way: one
//! transaction that holds the job and its events, the commit, the announcement, the answer.

pub mod notifications;
mod obstacle;
pub mod queue;
pub mod webhooks;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix::prelude::*;

pub use self::obstacle::StoreObstacle;
use super::broadcaster::Announce;
use super::dispatcher::LookAtQueue;
use super::job_reader::costs::BudgetTold;
use super::log_keeper::WantLogs;
use super::webhook_monitor::NoteWebhooks;
use crate::db::connection::Connection;
use crate::db::database::{ClaimError, Database, Session};
use crate::db::error::{Obstacle, StoreError};
use crate::db::events::{self, EventAppender};
use crate::db::jobs;
use crate::db::logs::{self, Absence};
use crate::db::migration::SchemaError;
use crate::db::observations::{Outcome, Recorded, Report, record};
use crate::db::retention::{self, Limits, Pruned, Stage};
use crate::db::settings::{self, Setting};
use crate::domain::budget::{Budget, Level, Spending};
use crate::domain::cost::{Prices, to_usd};
use crate::domain::event::{self, Event, LoggedEvent, Seq};
use crate::domain::job::JobId;
use crate::domain::job_view::JobView;
use crate::domain::timestamp::{Timestamp, now};

/// Merges observations into their jobs. Answers what became of each, once all of it is committed.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Outcome>, StoreError>")]
pub struct RecordReports {
    /// The observations, in the order in which they are merged.
    pub reports: Vec<Report>,
}

/// Deletes a finished job and its log.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct DeleteJob {
    /// Which job.
    pub job_id: JobId,
}

/// Sets a setting, or takes it back.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct ChangeSetting {
    /// Which setting.
    pub setting: Setting,
    /// Its value; None takes it back.
    pub value: Option<String>,
}

/// Writes to the log of events how a sync ended.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct RecordSync {
    /// Which provider was read.
    pub provider: String,
    /// Jobs that were not known before.
    pub synced: usize,
    /// Known jobs that changed.
    pub updated: usize,
    /// Known jobs that did not.
    pub unchanged: usize,
    /// Calls to the provider.
    pub provider_calls: u64,
    /// What went wrong, where something did.
    pub error: Option<String>,
}

/// Remembers that the log of a finished job could not be fetched, and tells it where that is news.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct MarkLogAbsent {
    /// Which job.
    pub job_id: JobId,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Whether it may still come.
    pub absence: Absence,
}

/// Forgets a little of what need not be kept, in one short transaction. Answers what was forgotten, and
/// how the sweep goes on.
#[derive(Debug, Message)]
#[rtype(result = "Result<(Pruned, Option<Stage>), StoreError>")]
pub struct Prune {
    /// How far the sweep has come.
    pub stage: Stage,
    /// What is kept.
    pub limits: Limits,
}

/// Sets what may be spent. It survives a restart.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct ChangeBudget(pub Budget);

/// Tells how a budget stands, and remembers that it was told.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct RecordBudget {
    /// The budget.
    pub budget: Budget,
    /// What was spent.
    pub spending: Spending,
    /// How far it is used up.
    pub level: Level,
}

/// Closes the database, so that another daemon may have it. Nothing is stored from then on.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct CloseStore;

/// Counts the changes of the store, so that a reader can tell whether what it remembers is stale.
#[derive(Debug, Clone, Default)]
pub struct StoreVersion(Arc<AtomicU64>);

impl StoreVersion {
    /// A number that is different after every change.
    pub fn current(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn advance(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// How many events that were missed are read at a time.
const MISSED_AT_ONCE: i64 = 500;

/// The actor. See the top of this file.
pub struct JobStore {
    database: Arc<Database>,
    connection: Option<Session>,
    is_closed: bool,
    /// The last event that was announced.
    announced: Seq,
    /// Whether a transaction may have been committed of which nobody was told.
    has_unannounced: bool,
    prices: Arc<Prices>,
    version: StoreVersion,
    obstacle: StoreObstacle,
    announcements: Recipient<Announce>,
    log_keeper: Recipient<WantLogs>,
    dispatcher: Recipient<LookAtQueue>,
    webhook_monitor: Recipient<NoteWebhooks>,
}

/// What the store needs from whoever starts it.
pub struct JobStoreOptions {
    /// The claimed database, to open it again.
    pub database: Arc<Database>,
    /// The connection that writes, to the tables of today.
    pub connection: Session,
    /// The last event of the log.
    pub newest_event: Seq,
    /// What jobs cost.
    pub prices: Arc<Prices>,
    /// Advanced at every change.
    pub version: StoreVersion,
    /// Says how the database is.
    pub obstacle: StoreObstacle,
    /// Told what has changed, after the commit.
    pub announcements: Recipient<Announce>,
    /// Told which jobs have ended without their logs, after the commit.
    pub log_keeper: Recipient<WantLogs>,
    /// Told which jobs have left the queue, after the commit: others may have their places.
    pub dispatcher: Recipient<LookAtQueue>,
    /// Told what webhooks told, and what they should have told, after the commit.
    pub webhook_monitor: Recipient<NoteWebhooks>,
}

impl JobStore {
    /// Starts the store on its own thread.
    pub fn start(options: JobStoreOptions) -> Addr<Self> {
        let JobStoreOptions {
            database,
            connection,
            newest_event,
            prices,
            version,
            obstacle,
            announcements,
            log_keeper,
            dispatcher,
            webhook_monitor,
        } = options;
        // The arbiter could start several; there is one, and it takes the connection.
        let connection = Mutex::new(Some(connection));
        SyncArbiter::start(1, move || Self {
            database: database.clone(),
            connection: connection.lock().unwrap_or_else(PoisonError::into_inner).take(),
            is_closed: false,
            announced: newest_event,
            has_unannounced: false,
            prices: prices.clone(),
            version: version.clone(),
            obstacle: obstacle.clone(),
            announcements: announcements.clone(),
            log_keeper: log_keeper.clone(),
            dispatcher: dispatcher.clone(),
            webhook_monitor: webhook_monitor.clone(),
        })
    }

    /// Runs `work` on the connection, which is opened again where the last one was lost.
    fn with_connection<T>(
        &mut self,
        work: impl FnOnce(&mut Connection, &Prices) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let answer = self.try_with_connection(work);
        if let Err(StoreError::Unavailable(obstacle)) = &answer {
            self.obstacle.is(*obstacle);
        }
        answer
    }

    fn try_with_connection<T>(
        &mut self,
        work: impl FnOnce(&mut Connection, &Prices) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.is_closed {
            return Err(StoreError::Stopping);
        }
        self.database.mend(&mut self.connection, self.announced)?;
        self.obstacle.is_no_displacement();
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.reopen()?,
        };
        let answer = self
            .announce_missed(&mut connection)
            .and_then(|()| work(&mut connection, &self.prices));
        if answer.as_ref().is_err_and(StoreError::loses_connection) {
            self.has_unannounced = true;
        } else {
            self.connection = Some(connection);
        }
        let answer = answer?;
        // What was committed to a file that has lost its name meanwhile may not be acknowledged.
        self.database.check_written().inspect_err(|_| self.has_unannounced = true)?;
        Ok(answer)
    }

    fn reopen(&self) -> Result<Session, StoreError> {
        self.database.writer().map_err(|error| match error {
            ClaimError::Schema(SchemaError::Store(error)) => error,
            error => {
                log::error!("the database cannot be claimed again: {error}");
                StoreError::Unavailable(Obstacle::Locked)
            }
        })
    }

    /// Tells the events of a transaction that was committed without anybody's knowing: the end of it could not be
    /// seen, or the file was not in its place when it was.
    fn announce_missed(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        while self.has_unannounced {
            let missed = events::after(connection, self.announced, MISSED_AT_ONCE)?;
            self.has_unannounced = !missed.is_empty();
            self.announce(Announce::events(missed));
        }
        Ok(())
    }

    /// Tells what is committed. Announcements go out in the order of commits, since they all come
    /// from this one thread.
    fn announce(&mut self, announcement: Announce) {
        self.version.advance();
        if let Some(event) = announcement.events.last() {
            self.announced = event.seq;
        }
        if !announcement.is_empty() {
            self.announcements.do_send(announcement);
        }
    }

    /// Tells what was recorded to all whom it concerns.
    fn tell(&mut self, recorded: Recorded) {
        let Recorded { events, notices, ended, left_queue, wanted_logs, has_written, .. } =
            recorded;
        if has_written {
            self.obstacle.is_gone();
        }
        if !left_queue.is_empty() {
            self.dispatcher.do_send(LookAtQueue { ended: left_queue });
        }
        self.announce(Announce { events, notices, ended });
        if !wanted_logs.is_empty() {
            self.log_keeper.do_send(WantLogs(wanted_logs));
        }
    }

    fn record_event(&mut self, event: &Event<'_>) -> Result<(), StoreError> {
        let events = self.with_connection(|connection, _| {
            connection.write(|connection| append_one(connection, event))
        })?;
        self.announce(Announce::events(events));
        Ok(())
    }
}

fn append_one(
    connection: &mut Connection,
    event: &Event<'_>,
) -> Result<Vec<LoggedEvent>, StoreError> {
    let mut log = EventAppender::lock(connection, now())?;
    log.append(connection, event)?;
    log.finish(connection)
}

impl Actor for JobStore {
    type Context = SyncContext<Self>;
}

impl Handler<RecordReports> for JobStore {
    type Result = Result<Vec<Outcome>, StoreError>;

    fn handle(&mut self, message: RecordReports, _: &mut Self::Context) -> Self::Result {
        let mut recorded = self.with_connection(|connection, prices| {
            record(connection, &message.reports, prices, now())
        })?;
        let outcomes = std::mem::take(&mut recorded.outcomes);
        let found = std::mem::take(&mut recorded.found_by_asking);
        self.tell(recorded);
        self.tell_of_webhooks(&message.reports, &outcomes, found);
        Ok(outcomes)
    }
}

impl Handler<DeleteJob> for JobStore {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, message: DeleteJob, _: &mut Self::Context) -> Self::Result {
        let events = self.with_connection(|connection, _| {
            connection.write(|connection| {
                let job = jobs::delete(connection, &message.job_id)?;
                append_one(
                    connection,
                    &Event::JobDeleted { job_id: &job.job_id, merged_into: None },
                )
            })
        })?;
        self.announce(Announce::events(events));
        Ok(())
    }
}

impl Handler<MarkLogAbsent> for JobStore {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, message: MarkLogAbsent, _: &mut Self::Context) -> Self::Result {
        let MarkLogAbsent { job_id, ended_at, absence } = message;
        let events = self.with_connection(|connection, prices| {
            connection.write(|connection| {
                let mut log = EventAppender::lock(connection, now())?;
                // A job that was deleted meanwhile has no log to miss.
                let Some(job) = jobs::find(connection, &job_id)? else { return Ok(Vec::new()) };
                if logs::mark_absent(connection, &job_id, ended_at, absence, now())? {
                    log.append(
                        connection,
                        &Event::JobLogMissing {
                            job_id: &job_id,
                            status: job.status,
                            is_lost: absence == Absence::Lost,
                            job: JobView::new(&job, prices, now()),
                        },
                    )?;
                }
                log.finish(connection)
            })
        })?;
        self.announce(Announce::events(events));
        Ok(())
    }
}

impl Handler<ChangeSetting> for JobStore {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, message: ChangeSetting, _: &mut Self::Context) -> Self::Result {
        self.with_connection(|connection, _| {
            connection.write(|connection| {
                settings::set(connection, message.setting, message.value.as_deref())
            })
        })
    }
}

impl Handler<ChangeBudget> for JobStore {
    type Result = Result<(), StoreError>;

    fn handle(
        &mut self,
        ChangeBudget(budget): ChangeBudget,
        _: &mut Self::Context,
    ) -> Self::Result {
        let json = serde_json::to_string(&budget).expect("plain data has a JSON form");
        self.with_connection(|connection, _| {
            connection.write(|connection| settings::set(connection, Setting::Budget, Some(&json)))
        })
    }
}

impl Handler<RecordBudget> for JobStore {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, message: RecordBudget, _: &mut Self::Context) -> Self::Result {
        let RecordBudget { budget, spending, level } = message;
        let Some(event) = budget_event(&budget, spending, level, now()) else { return Ok(()) };
        let told = BudgetTold::new(&budget, level, now());
        let told = serde_json::to_string(&told).expect("plain data has a JSON form");
        let events = self.with_connection(|connection, _| {
            connection.write(|connection| {
                settings::set(connection, Setting::BudgetTold, Some(&told))?;
                append_one(connection, &event)
            })
        })?;
        self.announce(Announce::events(events));
        Ok(())
    }
}

fn budget_event(
    budget: &Budget,
    spending: Spending,
    level: Level,
    now: Timestamp,
) -> Option<Event<'static>> {
    let told = event::BudgetTold {
        period: budget.period,
        period_started_at: budget.period.around(now).0,
        limit_usd: to_usd(budget.limit()?),
        spent_usd: to_usd(spending.total_micro_usd()),
        action: budget.action,
        message: budget.in_words(spending)?,
    };
    match level {
        Level::Fine => None,
        Level::Warning => Some(Event::BudgetWarning(told)),
        Level::Exceeded => Some(Event::BudgetExceeded(told)),
    }
}

impl Handler<RecordSync> for JobStore {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, message: RecordSync, _: &mut Self::Context) -> Self::Result {
        self.record_event(&Event::SyncCompleted {
            provider: &message.provider,
            synced: message.synced,
            updated: message.updated,
            unchanged: message.unchanged,
            provider_calls: message.provider_calls,
            error: message.error.as_deref(),
        })
    }
}

impl Handler<CloseStore> for JobStore {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, _: CloseStore, _: &mut Self::Context) -> Self::Result {
        self.is_closed = true;
        if let Some(connection) = self.connection.take() {
            self.database.close(connection, self.announced);
        }
        Ok(())
    }
}

impl Handler<Prune> for JobStore {
    type Result = Result<(Pruned, Option<Stage>), StoreError>;

    fn handle(&mut self, message: Prune, _: &mut Self::Context) -> Self::Result {
        self.with_connection(|connection, _| {
            retention::prune(connection, message.stage, &message.limits, now())
        })
    }
}
