//! The file of an SQLite database, known by device and inode and not by how its path is spelt.
//!
//! SQLite goes on writing to the file that it has open, also where that has lost its name, and it finds the
//! write-ahead log (`-wal`) and the index of that (`-shm`) by name. What is written to a file without a name is gone
//! after a restart. So before anything is acknowledged, the names must lead to the files that are open.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::connection::{Connection, Role};
use super::database::{ClaimError, Session};
use super::error::{Obstacle, StoreError};
use super::file_content::{FileContent, Found};
use super::orphaned_log;

/// How long a checkpoint waits for readers, in milliseconds: neither those who ask for health nor a daemon that
/// stops may be held up by them for long.
const CHECKPOINT_WAIT_MS: u32 = 500;

/// How every SQLite database begins.
const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// What a file is, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// The file to which `path` leads now.
    fn at(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|metadata| Self::of(&metadata))
    }

    /// What has the name `path` itself, be it a link.
    fn of_entry(path: &Path) -> io::Result<Self> {
        fs::symlink_metadata(path).map(|metadata| Self::of(&metadata))
    }
}

/// The file of a claimed database.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    /// As it was configured, made absolute. Symbolic links in it are followed at each look.
    path: PathBuf,
    /// The same without symbolic links.
    real_path: PathBuf,
    /// Where SQLite keeps the write-ahead log and its index.
    beside: [PathBuf; 2],
    /// It is open for as long as SQLite may have it open: closing it would take away the locks that SQLite has
    /// on it.
    file: File,
    /// What keeps another daemon away from the names beside the database.
    lock_file: File,
    id: FileId,
    open_connections: Arc<AtomicUsize>,
    content: FileContent,
    /// The files beside the database that the open connections use.
    in_use: Mutex<[Option<FileId>; 2]>,
}

/// Counts an open connection for as long as it lives.
#[derive(Debug)]
pub(super) struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(open_connections: &Arc<AtomicUsize>) -> Self {
        open_connections.fetch_add(1, Ordering::AcqRel);
        Self(open_connections.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl DatabaseFile {
    /// Claims the file at `path`, which is made where it is missing.
    ///
    /// # Errors
    /// Where another daemon has it under any name, or it cannot be made.
    pub(super) fn claim(path: &Path) -> Result<Self, ClaimError> {
        let failed = |error| ClaimError::File { path: path.to_owned(), error };
        let real_path = real_path(path).map_err(failed)?;
        // By name first. Opening the file of a daemon in this very process, and closing it again, would take away
        // the locks that SQLite has on it.
        let lock_file = open(&with_suffix(&real_path, ".lock"))?;
        lock(&lock_file, path)?;
        orphaned_log::keep_from_new(&real_path).map_err(failed)?;
        let file = open(&real_path)?;
        // There it does not concern the locks of SQLite, which are of another kind. Elsewhere it would.
        if cfg!(target_os = "linux") {
            lock(&file, path)?;
        }
        let metadata = file.metadata().map_err(failed)?;
        if metadata.nlink() > 1 {
            log::warn!(
                "{} has {} names (hard links): always start with this one, since the write-ahead log beside it goes by name",
                real_path.display(),
                metadata.nlink()
            );
        }
        let id = FileId::of(&metadata);
        Ok(Self {
            path: std::path::absolute(path).map_err(failed)?,
            beside: [with_suffix(&real_path, "-wal"), with_suffix(&real_path, "-shm")],
            real_path,
            file,
            lock_file,
            id,
            open_connections: Arc::default(),
            content: FileContent::default(),
            in_use: Mutex::default(),
        })
    }

    /// Lets another daemon have it.
    pub(super) fn release(&self) {
        for file in [&self.file, &self.lock_file] {
            if let Err(error) = file.unlock() {
                log::debug!("a lock stays until the process ends: {error}");
            }
        }
    }

    /// Opens a connection to the very file that was claimed. It is never made anew, nor opened where
    /// somebody has emptied it: SQLite would throw away the write-ahead log that it finds beside an empty file.
    ///
    /// # Errors
    /// Where the names lead to other files, or the database fails.
    pub(super) fn open(&self, role: Role) -> Result<Session, StoreError> {
        let mut in_use = self.lock_in_use();
        self.require(*in_use)?;
        if self.find_content() != Found::Untouched && !self.has_header() {
            return Err(StoreError::Unavailable(Obstacle::Overwritten));
        }
        let connection = Connection::open_file(&self.real_path, role)?;
        self.require_name()?;
        if self.open_connections() == 0 {
            *in_use = self.beside.each_ref().map(|path| FileId::at(path).ok());
        }
        Ok(Session::counted(connection, Counted::new(&self.open_connections)))
    }

    /// Looks whether the names lead to the files that are open, and whether the file is known to hold something
    /// else by now.
    ///
    /// # Errors
    /// Where they do not, or it does.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let in_use = *self.lock_in_use();
        self.require(in_use)?;
        match self.find_content() {
            Found::Wrong => Err(StoreError::Unavailable(Obstacle::Overwritten)),
            Found::Changed | Found::Untouched => Ok(()),
        }
    }

    /// How the content of the file is found.
    pub(super) fn find_content(&self) -> Found {
        self.file.metadata().map_or(Found::Changed, |file| self.content.find(&file))
    }

    /// Whether it begins as an SQLite database does.
    fn has_header(&self) -> bool {
        let mut header = [0; HEADER.len()];
        self.file.read_exact_at(&mut header, 0).is_ok() && header == *HEADER
    }

    /// Remembers the content of the file as it is now.
    pub(super) fn content_is(&self, is_good: bool) {
        match self.file.metadata() {
            Ok(file) => self.content.is(is_good, &file),
            Err(error) => log::error!("{}: {error}", self.real_path.display()),
        }
    }

    /// The same, and makes new files beside the database where only those were lost: what the lost ones hold goes
    /// into the database first, and every connection is closed. `writer` is None after that.
    ///
    /// # Errors
    /// Where the database itself is not in its place, or somebody still reads.
    pub(super) fn mend(
        &self,
        writer: &mut Option<Session>,
        idle_readers: &Mutex<Vec<Session>>,
    ) -> Result<(), StoreError> {
        let in_use = self.lock_in_use();
        let lost = StoreError::Unavailable(Obstacle::LogLost);
        match self.require(*in_use) {
            Err(error) if error == lost => {}
            intact_or_displaced => return intact_or_displaced,
        }
        if self.find_content() != Found::Untouched {
            return Err(StoreError::Unavailable(Obstacle::Overwritten));
        }
        if let Some(writer) = writer
            && !writer.checkpoint(CHECKPOINT_WAIT_MS)?
        {
            return Err(lost);
        }
        idle_readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if self.open_connections() > usize::from(writer.is_some()) {
            return Err(lost);
        }
        *writer = None;
        log::warn!(
            "the files beside {} were removed or replaced; what they held is in the database, and new ones are made",
            self.real_path.display()
        );
        Ok(())
    }

    /// Closes the last connection, and leaves all of the database in one file, which is found in its `place` or
    /// not.
    pub(super) fn close(&self, mut writer: Session, place: Result<(), Obstacle>) {
        // What was removed is gone for good, and the log beside its name is all that is left of the last commits.
        let is_removed = self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0);
        let is_complete = !is_removed
            && place != Err(Obstacle::Overwritten)
            && writer.checkpoint(CHECKPOINT_WAIT_MS).unwrap_or_else(|error| {
                // The next start finds all of it in the log beside the file.
                log::debug!("the write-ahead log stays: {error}");
                false
            });
        if !matches!(place, Err(Obstacle::Gone | Obstacle::Replaced | Obstacle::Overwritten)) {
            return;
        }
        // Closing would delete the files beside the name, which may be somebody else's by now, or write into a
        // file that is.
        std::mem::forget(writer);
        if place != Err(Obstacle::Gone) && !is_complete {
            self.withdraw_log();
        }
    }

    /// Keeps our log from the database that has our name now, unless that is a copy of ours: SQLite would apply it
    /// to whatever is there.
    fn withdraw_log(&self) {
        let [log, _] = &self.beside;
        let is_ours = FileId::at(log).ok() == self.lock_in_use()[0];
        let is_copied = self.require_name().is_err()
            && orphaned_log::is_copy(&self.real_path, &self.file).unwrap_or(false);
        if !is_ours || is_copied {
            return;
        }
        if let Err(error) = orphaned_log::set_aside(log) {
            log::error!("{} belongs to another database than is there now: {error}", log.display());
        }
    }

    fn require(&self, in_use: [Option<FileId>; 2]) -> Result<(), StoreError> {
        self.require_name()?;
        if self.open_connections() == 0 {
            // SQLite deletes them with the last connection, and makes new ones with the next.
            return Ok(());
        }
        for (path, used) in self.beside.iter().zip(in_use) {
            if used.is_some() && FileId::at(path).ok() != used {
                return Err(StoreError::Unavailable(Obstacle::LogLost));
            }
        }
        Ok(())
    }

    /// Both as it is configured and without symbolic links: SQLite works beside the latter, and the next start
    /// takes the former.
    fn require_name(&self) -> Result<(), StoreError> {
        // Where a link has taken the place of the file, SQLite would look for the log beside what that leads to.
        for (path, found) in [
            (&self.path, FileId::at(&self.path)),
            (&self.real_path, FileId::of_entry(&self.real_path)),
        ] {
            let obstacle = match found {
                Ok(id) if id == self.id => continue,
                Ok(_) => Obstacle::Replaced,
                Err(error) => {
                    log::debug!("{}: {error}", path.display());
                    Obstacle::Gone
                }
            };
            return Err(StoreError::Unavailable(obstacle));
        }
        Ok(())
    }

    fn open_connections(&self) -> usize {
        self.open_connections.load(Ordering::Acquire)
    }

    fn lock_in_use(&self) -> MutexGuard<'_, [Option<FileId>; 2]> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `path` without symbolic links, as SQLite resolves it. A file that is missing is made first: a symbolic link may
/// lead to where it is to be.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // With the permissions that SQLite would give it.
            File::options().create(true).append(true).mode(0o644).open(path)?;
            fs::canonicalize(path)
        }
        found => found,
    }
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn open(path: &Path) -> Result<File, ClaimError> {
    let opened = File::options().create(true).read(true).append(true).mode(0o644).open(path);
    opened.map_err(|error| ClaimError::File { path: path.to_owned(), error })
}

/// Locks a file as a whole, by `flock`.
fn lock(file: &File, database: &Path) -> Result<(), ClaimError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(fs::TryLockError::WouldBlock) => Err(ClaimError::Taken),
        Err(fs::TryLockError::Error(error)) => {
            Err(ClaimError::File { path: database.to_owned(), error })
        }
    }
}
