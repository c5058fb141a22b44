//! The job reader: answers questions about what is stored, on threads of its own, beside the
//! writer. It never writes.

pub mod costs;
pub mod dashboard;
pub mod notifications;
pub mod queue;

use std::sync::Arc;

use actix::prelude::*;

use crate::db::connection::Connection;
use crate::db::database::{Database, Session};
use crate::db::error::StoreError;
use crate::db::events::{self, Extent, LogBounds};
use crate::db::jobs::{self, ActiveJob};
use crate::db::logs::{self, KeptLog, WantedLog};
use crate::db::metrics::{self, DayOfJobs};
use crate::db::settings::{self, Setting};
use crate::db::{job_series, job_texts};
use crate::domain::event::{LoggedEvent, Seq};
use crate::domain::job::{Job, JobId};
use crate::domain::job_query::JobQuery;
use crate::domain::job_texts::JobText;
use crate::domain::poll_round::RoundScope;
use crate::domain::progress::PackedSeries;
use crate::domain::timeline::Timeline;
use crate::domain::timestamp::Timestamp;

/// How many questions are answered at a time.
const READERS: usize = 2;

/// A question about what is stored.
pub trait Question: Clone + Send + 'static {
    /// What is answered.
    type Answer: Send + 'static;

    /// Looks the answer up.
    ///
    /// # Errors
    /// Where there is none, or the database fails.
    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError>;
}

/// The message that carries a question.
#[derive(Debug)]
pub struct Read<Q>(pub Q);

impl<Q: Question> Message for Read<Q> {
    type Result = Result<Q::Answer, StoreError>;
}

/// One job.
#[derive(Debug, Clone)]
pub struct GetJob(pub JobId);

impl Question for GetJob {
    type Answer = Job;

    fn look_up(self, connection: &mut Connection) -> Result<Job, StoreError> {
        jobs::get(connection, &self.0)
    }
}

/// The identifier that is meant by what a client gave: the identifier itself, or its beginning.
#[derive(Debug, Clone)]
pub struct ResolveJobId(pub String);

impl Question for ResolveJobId {
    type Answer = JobId;

    fn look_up(self, connection: &mut Connection) -> Result<JobId, StoreError> {
        jobs::resolve(connection, self.0)
    }
}

/// A page of jobs, and how many match in all.
#[derive(Debug, Clone)]
pub struct ListJobs(pub JobQuery);

impl Question for ListJobs {
    type Answer = (Vec<Job>, i64);

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        jobs::list(connection, &self.0)
    }
}

/// The active jobs that a round of polling asks for.
#[derive(Debug, Clone)]
pub struct ListActiveJobs(pub RoundScope);

impl Question for ListActiveJobs {
    type Answer = Vec<ActiveJob>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        jobs::active(connection, &self.0)
    }
}

/// Where the log of events begins and ends.
#[derive(Debug, Clone)]
pub struct GetLogBounds;

impl Question for GetLogBounds {
    type Answer = LogBounds;

    fn look_up(self, connection: &mut Connection) -> Result<LogBounds, StoreError> {
        events::bounds(connection)
    }
}

/// Events after a position, oldest first.
#[derive(Debug, Clone)]
pub struct ListEvents {
    /// The position before the first one wanted.
    pub after: Seq,
    /// How many at most.
    pub limit: i64,
}

impl Question for ListEvents {
    type Answer = Vec<LoggedEvent>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        events::after(connection, self.after, self.limit)
    }
}

/// How a job came to be what it is.
#[derive(Debug, Clone)]
pub struct GetTimeline(pub JobId);

impl Question for GetTimeline {
    type Answer = Timeline;

    fn look_up(self, connection: &mut Connection) -> Result<Timeline, StoreError> {
        connection.read(|connection| {
            let job = jobs::get(connection, &self.0)?;
            let events = events::of_states(connection, &job.job_id)?;
            Ok(Timeline::new(&job, events.iter().map(String::as_str)))
        })
    }
}

/// What became of the log of a finished job.
#[derive(Debug, Clone)]
pub struct GetKeptLog(pub JobId);

impl Question for GetKeptLog {
    type Answer = Option<KeptLog>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        logs::get(connection, &self.0)
    }
}

/// The jobs that have ended since an instant, and whose logs are still to be fetched.
#[derive(Debug, Clone)]
pub struct ListWantedLogs {
    /// The instant.
    pub since: Timestamp,
}

impl Question for ListWantedLogs {
    type Answer = Vec<WantedLog>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        logs::wanted(connection, self.since)
    }
}

/// The curves of a job.
#[derive(Debug, Clone)]
pub struct GetSeries(pub JobId);

impl Question for GetSeries {
    type Answer = Option<PackedSeries>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        job_series::get(connection, &self.0)
    }
}

/// The whole of one of a job's texts; None where it has none.
#[derive(Debug, Clone)]
pub struct GetText {
    /// Which job.
    pub job_id: JobId,
    /// Which text.
    pub text: JobText,
}

impl Question for GetText {
    type Answer = Option<String>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        connection.read(|connection| {
            let job = jobs::get(connection, &self.job_id)?;
            let whole = match job.cut_texts().bytes(self.text) {
                Some(_) => job_texts::get(connection, &self.job_id, self.text)?,
                None => None,
            };
            Ok(whole.or_else(|| job.text(self.text).map(str::to_owned)))
        })
    }
}

/// How much room is taken by what is pruned.
#[derive(Debug, Clone)]
pub struct GetSizes;

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// How many events there are.
    pub events: i64,
    /// How large they are, in bytes of JSON.
    pub event_bytes: i64,
    /// How much the logs of finished jobs take, in bytes as they are stored.
    pub log_bytes: i64,
}

impl Question for GetSizes {
    type Answer = Sizes;

    fn look_up(self, connection: &mut Connection) -> Result<Sizes, StoreError> {
        connection.read(|connection| {
            let Extent { bounds, bytes } = events::extent(connection)?;
            Ok(Sizes {
                events: bounds.newest + 1 - bounds.oldest,
                event_bytes: bytes,
                log_bytes: logs::kept_bytes(connection)?,
            })
        })
    }
}

/// A setting.
#[derive(Debug, Clone)]
pub struct GetSetting(pub Setting);

impl Question for GetSetting {
    type Answer = Option<String>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        settings::get(connection, self.0)
    }
}

/// Sums over the jobs that were created since an instant.
#[derive(Debug, Clone)]
pub struct SumByDay {
    /// The first instant that counts.
    pub since: Timestamp,
    /// Only jobs of this provider.
    pub provider: Option<String>,
}

impl Question for SumByDay {
    type Answer = Vec<DayOfJobs>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        metrics::by_day(connection, self.since, self.provider.as_deref())
    }
}

/// The actor. See the top of this file.
pub struct JobReader {
    database: Arc<Database>,
}

impl JobReader {
    /// Starts the readers. Each opens a connection when it is asked and none is idle.
    pub fn start(database: Arc<Database>) -> Addr<Self> {
        SyncArbiter::start(READERS, move || Self { database: database.clone() })
    }
}

impl Actor for JobReader {
    type Context = SyncContext<Self>;
}

impl JobReader {
    fn look_up<Q: Question>(
        &self,
        mut session: Session,
        question: Q,
    ) -> Result<Q::Answer, StoreError> {
        let answer = question.look_up(&mut session);
        if !answer.as_ref().is_err_and(StoreError::loses_connection) {
            self.database.rest(session);
        }
        answer
    }
}

impl<Q: Question> Handler<Read<Q>> for JobReader {
    type Result = Result<Q::Answer, StoreError>;

    fn handle(&mut self, Read(question): Read<Q>, _: &mut Self::Context) -> Self::Result {
        if let Some(session) = self.database.idle_reader() {
            let answer = self.look_up(session, question.clone());
            // That a connection was lost is only noticed by asking, and whoever asks first is not to blame. A
            // look-up changes nothing, so it may be repeated.
            if !answer.as_ref().is_err_and(StoreError::loses_connection) {
                return answer;
            }
        }
        self.look_up(self.database.reader()?, question)
    }
}
