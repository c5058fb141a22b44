//! One connection to either database, its settings and its transactions.

use std::fs::File;
use std::path::{Path, PathBuf};

use diesel::connection::{
    AnsiTransactionManager, Connection as _, SimpleConnection, TransactionManager,
};
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::error::{Obstacle, StoreError};
use crate::config::DatabaseUrl;

const SQLITE_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The key of PostgreSQL's advisory lock that the one daemon of a database holds: "jobsyncd" in
/// ASCII.
const ADVISORY_LOCK: i64 = 0x6a6f_6273_796e_6364;

/// How long a daemon waits for the one before it to be gone from a PostgreSQL database, in
/// milliseconds.
const CLAIM_WAIT_MS: u32 = 5_000;

/// How long SQLite waits for another process's lock, in milliseconds. It must stay below the time
/// that a request is given.
const BUSY_TIMEOUT_MS: u32 = 5_000;

/// A connection to the database that the configuration names.
pub enum Connection {
    /// A file on this machine.
    Sqlite(SqliteConnection),
    /// A server.
    Postgres(PgConnection),
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one connection that writes.
    Writer,
    /// A connection that only reads.
    Reader,
}

impl Connection {
    /// Opens a connection and sets it up for its role.
    ///
    /// # Errors
    /// Where the database cannot be reached or used.
    pub fn open(url: &DatabaseUrl, role: Role) -> Result<Self, StoreError> {
        match url {
            DatabaseUrl::Sqlite(path) => open_sqlite(path, role).map(Self::Sqlite),
            DatabaseUrl::Postgres(url) => {
                let mut connection = PgConnection::establish(url.expose())?;
                if role == Role::Reader {
                    connection.batch_execute("SET default_transaction_read_only = on")?;
                }
                Ok(Self::Postgres(connection))
            }
        }
    }

    /// Brings the tables up to date.
    ///
    /// # Errors
    /// Where a migration fails, which leaves the tables as they were.
    pub fn migrate(&mut self) -> Result<(), StoreError> {
        let migrated = match self {
            Self::Sqlite(connection) => {
                connection.run_pending_migrations(SQLITE_MIGRATIONS).map(drop)
            }
            Self::Postgres(connection) => {
                connection.run_pending_migrations(POSTGRES_MIGRATIONS).map(drop)
            }
        };
        migrated.map_err(|error| {
            log::error!("the database cannot be brought up to date: {error}");
            StoreError::Unavailable(Obstacle::of_message(&error.to_string()))
        })
    }

    /// Ends the use of the database: what is left of an SQLite database is one file, which can be
    /// copied, though readers may still have it open.
    pub fn close(mut self) {
        Claim::release_session(&mut self);
        if let Self::Sqlite(connection) = &mut self
            // A reader from outside must not hold up the stop for long.
            && let Err(error) = connection
                .batch_execute("PRAGMA busy_timeout = 500; PRAGMA wal_checkpoint(TRUNCATE)")
        {
            // The next start finds all of it in the log beside the file.
            log::debug!("the write-ahead log stays: {error}");
        }
    }

    /// Runs `work` in a transaction that may write. It is committed when `work` succeeds, and
    /// otherwise undone.
    ///
    /// # Errors
    /// Those of `work`, and those of the transaction.
    pub fn write<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // On SQLite a transaction that reads first and writes later fails where another process
        // wrote in between; one that takes the lock at once waits for it instead.
        self.transaction("BEGIN IMMEDIATE", work)
    }

    /// Runs `work` in a transaction, so that all that it reads is of one moment.
    ///
    /// # Errors
    /// Those of `work`, and those of the transaction.
    pub fn read<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.transaction("BEGIN", work)
    }

    fn transaction<T>(
        &mut self,
        begin_on_sqlite: &str,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self {
            Self::Sqlite(connection) => {
                AnsiTransactionManager::begin_transaction_sql(connection, begin_on_sqlite)?;
            }
            Self::Postgres(connection) => AnsiTransactionManager::begin_transaction_sql(
                connection,
                "BEGIN ISOLATION LEVEL REPEATABLE READ",
            )?,
        }
        let answer = work(self);
        let ended = match (&answer, &mut *self) {
            (Ok(_), Self::Sqlite(connection)) => {
                AnsiTransactionManager::commit_transaction(connection)
            }
            (Ok(_), Self::Postgres(connection)) => {
                AnsiTransactionManager::commit_transaction(connection)
            }
            (Err(_), Self::Sqlite(connection)) => {
                AnsiTransactionManager::rollback_transaction(connection)
            }
            (Err(_), Self::Postgres(connection)) => {
                AnsiTransactionManager::rollback_transaction(connection)
            }
        };
        // The first error says what went wrong; a failing rollback after it says no more.
        let answer = answer?;
        ended?;
        Ok(answer)
    }
}

fn open_sqlite(path: &Path, role: Role) -> Result<SqliteConnection, StoreError> {
    let mut connection = SqliteConnection::establish(&path.to_string_lossy())?;
    // The wait for locks comes first: already the next setting may meet one.
    connection.batch_execute(&format!("PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}"))?;
    connection.batch_execute(match role {
        // FULL: what was answered with 200 must survive a power cut. The pages that change most are
        // copied from the log to the file at every checkpoint, so a longer log, of up to 16 MB,
        // saves most of that work. A reader that looks at one moment for long, as `verify` does, makes it
        // grow; when that is over it is cut to 64 MB.
        Role::Writer => {
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864"
        }
        Role::Reader => "PRAGMA query_only = ON",
    })?;
    Ok(connection)
}

/// What keeps a second daemon away from the same database for as long as it lives.
#[derive(Debug)]
pub struct Claim {
    /// SQLite: a locked file beside the database. PostgreSQL: the lock is the writer's session's.
    _lock_file: Option<File>,
}

/// A second daemon is there already.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another process holds the claim.
    #[error("another jobsyncd uses this database")]
    Taken,
    /// The lock file cannot be made.
    #[error("cannot create {path}: {error}")]
    LockFile {
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Claim {
    /// Claims the file of an SQLite database, before it is opened. Two daemons on one database
    /// would each tell only half of what happens.
    ///
    /// # Errors
    /// Where another daemon has it, or the lock file cannot be made.
    pub fn of_file(url: &DatabaseUrl) -> Result<Self, ClaimError> {
        let DatabaseUrl::Sqlite(database) = url else {
            return Ok(Self { _lock_file: None });
        };
        let path = lock_path(database);
        let open = || {
            if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty())
            {
                std::fs::create_dir_all(folder)?;
            }
            File::options().create(true).truncate(false).write(true).open(&path)
        };
        let file = open().map_err(|error| ClaimError::LockFile { path: path.clone(), error })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _lock_file: Some(file) }),
            Err(std::fs::TryLockError::WouldBlock) => Err(ClaimError::Taken),
            Err(std::fs::TryLockError::Error(error)) => Err(ClaimError::LockFile { path, error }),
        }
    }

    /// Claims a PostgreSQL database for the session of `writer`. It waits a few seconds: the server
    /// may take that long to notice that the daemon before this one was killed.
    ///
    /// # Errors
    /// Where another daemon has it, or the database fails.
    pub fn of_session(writer: &mut Connection) -> Result<(), ClaimError> {
        let Connection::Postgres(connection) = writer else { return Ok(()) };
        let wait = format!(
            "SET lock_timeout = {CLAIM_WAIT_MS}; SELECT pg_advisory_lock({ADVISORY_LOCK});
             RESET lock_timeout"
        );
        let Err(waited) = connection.batch_execute(&wait) else { return Ok(()) };
        // What failed has undone the whole of it, and why is told only in the server's language.
        let claimed = diesel::select(pg_try_advisory_lock(ADVISORY_LOCK))
            .get_result::<bool>(connection)
            .map_err(|_| StoreError::from(waited))?;
        claimed.then_some(()).ok_or(ClaimError::Taken)
    }

    /// Gives up the claim of the session of `writer`, which is about to be closed. A server notices
    /// a closed connection only a moment later, and until then the next daemon would be refused.
    fn release_session(writer: &mut Connection) {
        let Connection::Postgres(connection) = writer else { return };
        let released =
            diesel::select(pg_advisory_unlock(ADVISORY_LOCK)).get_result::<bool>(connection);
        if let Err(error) = released {
            // The session is lost, and its claim with it.
            log::debug!("the database's claim cannot be released: {error}");
        }
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// PostgreSQL's `pg_try_advisory_lock(bigint)`.
    fn pg_try_advisory_lock(key: diesel::sql_types::BigInt) -> diesel::sql_types::Bool;
    /// PostgreSQL's `pg_advisory_unlock(bigint)`.
    fn pg_advisory_unlock(key: diesel::sql_types::BigInt) -> diesel::sql_types::Bool;
}
