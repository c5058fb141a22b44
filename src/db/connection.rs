//! One connection to either database, its settings and its transactions.

use std::path::Path;

use diesel::connection::{
    AnsiTransactionManager, Connection as _, SimpleConnection, TransactionManager,
};
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};

use super::database::ClaimError;
use super::error::StoreError;
use crate::config::DatabaseUrl;

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
    /// Opens a connection and sets it up for its role. Who writes makes the file of an SQLite database that is
    /// missing.
    ///
    /// # Errors
    /// Where the database cannot be reached or used.
    pub fn open(url: &DatabaseUrl, role: Role) -> Result<Self, StoreError> {
        match url {
            DatabaseUrl::Sqlite(path) if role == Role::Writer => {
                open_sqlite(&path.to_string_lossy(), role).map(Self::Sqlite)
            }
            DatabaseUrl::Sqlite(path) => Self::open_file(path, role),
            DatabaseUrl::Postgres(url) => {
                let mut connection = PgConnection::establish(url.expose())?;
                if role == Role::Reader {
                    connection.batch_execute("SET default_transaction_read_only = on")?;
                }
                Ok(Self::Postgres(connection))
            }
        }
    }

    /// Opens an SQLite database that is there.
    ///
    /// # Errors
    /// Where it is not, or cannot be used.
    pub(super) fn open_file(path: &Path, role: Role) -> Result<Self, StoreError> {
        open_sqlite(&existing(path), role).map(Self::Sqlite)
    }

    /// Looks through the whole of an SQLite database. Answers whether it is sound.
    ///
    /// # Errors
    /// Where the database fails.
    pub(super) fn is_sound(&mut self) -> Result<bool, StoreError> {
        let Self::Sqlite(connection) = self else { return Ok(true) };
        let found: IntegrityCheck =
            diesel::sql_query("PRAGMA integrity_check(1)").get_result(connection)?;
        Ok(found.integrity_check == "ok")
    }

    /// Copies what is in the write-ahead log of an SQLite database into its file, and waits so long for who
    /// reads. Answers whether all of it could be copied.
    ///
    /// # Errors
    /// Where the database fails.
    pub(super) fn checkpoint(&mut self, wait_ms: u32) -> Result<bool, StoreError> {
        let Self::Sqlite(connection) = self else { return Ok(true) };
        connection.batch_execute(&format!("PRAGMA busy_timeout = {wait_ms}"))?;
        let checkpoint: Checkpoint =
            diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result(connection)?;
        connection.batch_execute(&format!("PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}"))?;
        Ok(checkpoint.busy == 0)
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

/// The first that SQLite finds wrong.
#[derive(QueryableByName)]
struct IntegrityCheck {
    /// `ok` where there is nothing.
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

/// What SQLite says of a checkpoint.
#[derive(QueryableByName)]
struct Checkpoint {
    /// 1 where others were in the way.
    #[diesel(sql_type = Integer)]
    busy: i32,
}

/// How SQLite is told to open a file and not to make one.
fn existing(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri + "?mode=rw"
}

fn open_sqlite(name: &str, role: Role) -> Result<SqliteConnection, StoreError> {
    let mut connection = SqliteConnection::establish(name)?;
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
    // The write-ahead log is opened with the first look into the database.
    connection.batch_execute("SELECT count(*) FROM sqlite_schema")?;
    Ok(connection)
}

impl Connection {
    /// Claims a PostgreSQL database for the session of this connection. It waits a few seconds: the server
    /// may take that long to notice that the daemon before this one was killed.
    ///
    /// # Errors
    /// Where another daemon has it, or the database fails.
    pub(super) fn claim_session(&mut self) -> Result<(), ClaimError> {
        let Self::Postgres(connection) = self else { return Ok(()) };
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

    /// Gives up the claim of this session, which is about to be closed. A server notices
    /// a closed connection only a moment later, and until then the next daemon would be refused.
    pub(super) fn release_session(&mut self) {
        let Self::Postgres(connection) = self else { return };
        let released =
            diesel::select(pg_advisory_unlock(ADVISORY_LOCK)).get_result::<bool>(connection);
        if let Err(error) = released {
            // The session is lost, and its claim with it.
            log::debug!("the database's claim cannot be released: {error}");
        }
    }
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// PostgreSQL's `pg_try_advisory_lock(bigint)`.
    fn pg_try_advisory_lock(key: diesel::sql_types::BigInt) -> diesel::sql_types::Bool;
    /// PostgreSQL's `pg_advisory_unlock(bigint)`.
    fn pg_advisory_unlock(key: diesel::sql_types::BigInt) -> diesel::sql_types::Bool;
}
