//! The database of a daemon: claimed by one daemon at a time, and opened as often as it takes.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::connection::{Connection, Role};
use super::database_file::{Counted, DatabaseFile};
use super::error::{Obstacle, StoreError};
use super::events;
use super::file_content::Found;
use super::migration::SchemaError;
use crate::config::{self, DatabaseUrl};
use crate::domain::event::Seq;

/// Why a database is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another process holds the claim.
    #[error("another jobsyncd uses this database")]
    Taken,
    /// The folder of the database is missing, and so is the one in which it would be made.
    #[error(
        "there is no folder {}: of the path to a database only the last folder is made",
        missing.display()
    )]
    NoFolder {
        /// The folder that would have to be there.
        missing: PathBuf,
    },
    /// A file or folder cannot be made or opened.
    #[error("cannot open or make {}: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// This program does not know the tables.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

impl From<StoreError> for ClaimError {
    fn from(error: StoreError) -> Self {
        Self::Schema(error.into())
    }
}

/// The database that this daemon has claimed. Two daemons on one database would each tell only half of what
/// happens.
pub struct Database {
    url: DatabaseUrl,
    /// Of an SQLite database.
    file: Option<DatabaseFile>,
    idle_readers: Mutex<Vec<Session>>,
}

/// Where it is.
impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Database({})", self.url)
    }
}

/// Keeps other daemons away from the database until it is dropped.
#[derive(Debug)]
pub struct Claim(Arc<Database>);

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(file) = &self.0.file {
            file.release();
        }
    }
}

/// An open connection of the daemon.
pub struct Session {
    // Closed before it stops to count.
    connection: Connection,
    _counted: Option<Counted>,
}

impl Session {
    pub(super) fn counted(connection: Connection, counted: Counted) -> Self {
        Self { connection, _counted: Some(counted) }
    }
}

impl Deref for Session {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Database {
    /// Claims the database. That of a PostgreSQL database is the claim of the session that writes.
    ///
    /// # Errors
    /// Where another daemon has it, or its file cannot be made.
    pub fn claim(config: &config::Database) -> Result<(Arc<Self>, Claim), ClaimError> {
        let file = match &config.url {
            DatabaseUrl::Sqlite(path) => {
                make_folder(path, config.folders_within.as_deref())?;
                Some(DatabaseFile::claim(path)?)
            }
            DatabaseUrl::Postgres(_) => None,
        };
        let idle_readers = Mutex::default();
        let database = Arc::new(Self { url: config.url.clone(), file, idle_readers });
        let claim = Claim(database.clone());
        Ok((database, claim))
    }

    /// Opens the one connection that writes.
    ///
    /// # Errors
    /// Where another daemon has the database, or it fails.
    pub fn writer(&self) -> Result<Session, ClaimError> {
        let mut writer = self.open(Role::Writer)?;
        writer.claim_session()?;
        Ok(writer)
    }

    /// Opens a connection that reads.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn reader(&self) -> Result<Session, StoreError> {
        self.open(Role::Reader)
    }

    /// A connection that reads and is open already.
    pub fn idle_reader(&self) -> Option<Session> {
        self.lock_idle_readers().pop()
    }

    /// Gives such a connection back.
    pub fn rest(&self, reader: Session) {
        self.lock_idle_readers().push(reader);
    }

    /// Looks whether the file that has the name is the one that is open, and still the database. It takes a few
    /// microseconds.
    ///
    /// # Errors
    /// Where it is not.
    pub fn check(&self) -> Result<(), StoreError> {
        self.file.as_ref().map_or(Ok(()), DatabaseFile::check)
    }

    /// The same after something was written, so that it may be acknowledged.
    ///
    /// # Errors
    /// Where it may not.
    pub fn check_written(&self) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        file.check()?;
        file.content_is(true);
        Ok(())
    }

    /// The same before something is written. It mends what can be, by closing `writer` or opening it anew. A file
    /// into which somebody else wrote is looked through: it must be sound, and know the event `newest`.
    ///
    /// # Errors
    /// Where nothing may be written.
    pub fn mend(&self, writer: &mut Option<Session>, newest: Seq) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        file.mend(writer, &self.idle_readers)?;
        match file.find_content() {
            Found::Untouched => return Ok(()),
            Found::Wrong => return Err(StoreError::Unavailable(Obstacle::Overwritten)),
            Found::Changed => {}
        }
        let is_good = self.is_still_ours(file, newest, writer.is_some());
        file.content_is(is_good);
        if !is_good {
            return Err(StoreError::Unavailable(Obstacle::Overwritten));
        }
        log::warn!("somebody else wrote into the database, which is sound");
        // The open connections remember what was there before.
        let fresh = file.open(Role::Writer)?;
        self.lock_idle_readers().clear();
        *writer = Some(fresh);
        Ok(())
    }

    /// Looks through a file into which somebody else wrote.
    fn is_still_ours(&self, file: &DatabaseFile, newest: Seq, is_open: bool) -> bool {
        let Ok(mut reader) = file.open(Role::Reader) else { return false };
        let is_sound = reader.is_sound().unwrap_or(false)
            && events::bounds(&mut reader).is_ok_and(|bounds| bounds.newest >= newest);
        if !is_sound && !is_open {
            // The last connection would write into the file as it is closed.
            std::mem::forget(reader);
        }
        is_sound
    }

    /// Ends the use of the database, of which the event `newest` is the last.
    pub fn close(&self, writer: Session, newest: Seq) {
        let mut writer = Some(writer);
        let place = self.mend(&mut writer, newest);
        self.lock_idle_readers().clear();
        let Some(mut writer) = writer else { return };
        match (&self.file, place) {
            (Some(file), Err(StoreError::Unavailable(obstacle))) => {
                file.close(writer, Err(obstacle));
            }
            (Some(file), _) => file.close(writer, Ok(())),
            (None, _) => writer.release_session(),
        }
    }

    fn open(&self, role: Role) -> Result<Session, StoreError> {
        match &self.file {
            Some(file) => file.open(role),
            None => {
                let connection = Connection::open(&self.url, role)?;
                Ok(Session { connection, _counted: None })
            }
        }
    }

    fn lock_idle_readers(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the folder of the database at `path`: the last one of a path that somebody has written, all that are
/// missing within `within` where the place was chosen by ourselves.
fn make_folder(path: &Path, within: Option<&Path>) -> Result<(), ClaimError> {
    let failed = |path: &Path, error| ClaimError::File { path: path.to_owned(), error };
    let path = std::path::absolute(path).map_err(|error| failed(path, error))?;
    let Some(folder) = path.parent() else { return Ok(()) };
    if folder.is_dir() {
        return Ok(());
    }
    match within.or(folder.parent()) {
        Some(within) if !within.exists() => {
            Err(ClaimError::NoFolder { missing: within.to_owned() })
        }
        Some(_) | None => std::fs::create_dir_all(folder).map_err(|error| failed(folder, error)),
    }
}
