//! What can go wrong in the store. The database's own words go to the daemon's log and no further.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::result::{ConnectionError, DatabaseErrorKind, Error as DieselError};

use crate::domain::job::{JobId, JobStatus};
use crate::domain::queue::QueueStatus;

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such job.
    #[error("Job not found: {0}")]
    NotFound(JobId),
    /// Several jobs have an identifier that begins like this.
    #[error("several jobs begin with {prefix}: {}", some_of(candidates))]
    Ambiguous {
        /// What was given.
        prefix: String,
        /// The jobs that it could be, at most ten.
        candidates: Vec<JobId>,
    },
    /// Only a finished job can be deleted.
    #[error("Job {job_id} is {status}: only a finished job can be deleted, cancel it first")]
    StillActive {
        /// Which job.
        job_id: JobId,
        /// Its state.
        status: JobStatus,
    },
    /// The job was not submitted through the queue, or its entry was cleaned up.
    #[error("Job not found in queue: {0}")]
    NotInQueue(JobId),
    /// What was asked for takes a job that still waits.
    #[error("Job {job_id} is {status} in the queue: only a job that waits can be moved")]
    NotWaiting {
        /// Which job.
        job_id: JobId,
        /// How far it is.
        status: QueueStatus,
    },
    /// The key came before, with another request.
    #[error(
        "idempotency_key came before with another request, which is job {0}: repeat that request, or take another key"
    )]
    KeyReused(JobId),
    /// As many jobs wait as may.
    #[error("{pending} jobs wait in the queue, which is the limit: cancel some, or submit later")]
    QueueFull {
        /// How many wait.
        pending: i64,
    },
    /// A job that has ended cannot be cancelled.
    #[error("Job {job_id} is {status} and cannot be cancelled")]
    Finished {
        /// Which job.
        job_id: JobId,
        /// Its state.
        status: JobStatus,
    },
    /// The daemon is stopping, and stores nothing any more.
    #[error("the daemon is stopping")]
    Stopping,
    /// The database cannot be used now. Nothing was changed.
    #[error("the database cannot be used now: {0}")]
    Unavailable(Obstacle),
}

fn some_of(candidates: &[JobId]) -> String {
    let ids: Vec<_> = candidates.iter().map(|id| id.0.as_str()).collect();
    ids.join(", ")
}

impl StoreError {
    /// Whether the connection that answered this had better be opened again.
    pub fn loses_connection(&self) -> bool {
        match self {
            // A commit that failed may have left its transaction open. Only a lock is met before
            // anything has begun.
            Self::Unavailable(obstacle) => {
                *obstacle != Obstacle::Locked && !obstacle.is_displacement()
            }
            Self::NotFound(_)
            | Self::Ambiguous { .. }
            | Self::StillActive { .. }
            | Self::NotInQueue(_)
            | Self::NotWaiting { .. }
            | Self::QueueFull { .. }
            | Self::KeyReused(_)
            | Self::Stopping
            | Self::Finished { .. } => false,
        }
    }
}

/// What stands in the way of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// Another process holds a lock.
    #[error("it is locked by another process")]
    Locked,
    /// No space is left.
    #[error("the disk is full")]
    Full,
    /// The file system failed. SQLite says so also where there is no room for the files beside its own.
    #[error("its disk is full, or failing")]
    Disk,
    /// It may not be written.
    #[error("it is read-only")]
    ReadOnly,
    /// The file is no database, or damaged.
    #[error("it is damaged, or no database of this daemon")]
    Damaged,
    /// There is no connection to the server, or no file.
    #[error("there is no connection to it")]
    Disconnected,
    /// Nothing has the name of the file that is open.
    #[error(
        "its file was moved or removed: put it back, and the daemon goes on by itself (a restart makes a new, empty \
         database)"
    )]
    Gone,
    /// Another file has the name of the one that is open.
    #[error(
        "another file stands in the place of the one that the daemon has open: put that one back, and the daemon goes \
         on by itself, or restart it to use the file that is there"
    )]
    Replaced,
    /// Somebody else wrote into the file, and what is there is not what the daemon stored.
    #[error(
        "another program wrote into its file, which does not hold any more what the daemon stored: put back what was \
         there, and the daemon goes on by itself, or restart it to use what is there now"
    )]
    Overwritten,
    /// The names beside the database lead to other files than those that are open.
    #[error(
        "the -wal or -shm file beside it was moved, removed or replaced: put it back, or wait, the daemon makes new \
         ones as soon as nobody reads"
    )]
    LogLost,
    /// Anything else; the daemon's log has it.
    #[error("it failed, see the daemon's log")]
    Other,
}

impl Obstacle {
    /// Whether the database is well, and not where it is looked for.
    pub fn is_displacement(self) -> bool {
        matches!(self, Self::Gone | Self::Replaced | Self::Overwritten | Self::LogLost)
    }

    /// SQLite tells these apart only by words, which have been the same for many years.
    pub(super) fn of_message(message: &str) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if has(&["is locked", "table is locked"]) {
            Self::Locked
        } else if has(&["is full", "No space left"]) {
            Self::Full
        } else if has(&["disk I/O error"]) {
            Self::Disk
        } else if has(&["readonly", "read-only"]) {
            Self::ReadOnly
        } else if has(&["malformed", "not a database", "file is encrypted"]) {
            Self::Damaged
        } else if has(&[
            "unable to open",
            "server closed",
            "could not connect",
            "connection",
            "no connection",
        ]) {
            Self::Disconnected
        } else {
            Self::Other
        }
    }
}

/// How long the same words of the database are not repeated in the log.
const SILENCE: Duration = Duration::from_secs(60);

/// Writes the database's own words to the log. Every request may meet the same failure, and one line
/// each would bury all others.
fn log_once_a_minute(words: String) {
    static LAST: Mutex<Option<(Instant, String)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let is_known = |(at, said): &(Instant, String)| *said == words && at.elapsed() < SILENCE;
    if last.as_ref().is_some_and(is_known) {
        log::debug!("{words}");
    } else {
        log::error!("{words}");
        *last = Some((Instant::now(), words));
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        log_once_a_minute(format!("the database failed: {error}"));
        Self::Unavailable(match &error {
            DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, _) => {
                Obstacle::Disconnected
            }
            DieselError::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _) => {
                Obstacle::ReadOnly
            }
            DieselError::BrokenTransactionManager => Obstacle::Disconnected,
            other => Obstacle::of_message(&other.to_string()),
        })
    }
}

impl From<ConnectionError> for StoreError {
    fn from(error: ConnectionError) -> Self {
        log_once_a_minute(format!("the database cannot be opened: {error}"));
        match error {
            ConnectionError::CouldntSetupConfiguration(error) => error.into(),
            other => match Obstacle::of_message(&other.to_string()) {
                Obstacle::Other => Self::Unavailable(Obstacle::Disconnected),
                obstacle => Self::Unavailable(obstacle),
            },
        }
    }
}
