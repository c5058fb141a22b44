//! Write-ahead logs without their databases. SQLite deletes one that it finds beside an empty file, and applies
//! one to whatever else has the name of its database.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::database_file::with_suffix;
use crate::domain::timestamp::{now, to_micros};

/// How much of two files is compared at a time.
const COMPARED_BYTES: usize = 1 << 20;

/// Keeps the write-ahead log of a database that is not there any more, which SQLite would delete beside a new one:
/// it may hold the last that was acknowledged.
pub(super) fn keep_from_new(database: &Path) -> io::Result<()> {
    let log = with_suffix(database, "-wal");
    let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    if length(database) > 0 || length(&log) == 0 {
        return Ok(());
    }
    set_aside(&log)
}

/// Takes a write-ahead log out of the way of a database to which it does not belong.
pub(super) fn set_aside(log: &Path) -> io::Result<()> {
    let kept = with_suffix(log, &format!(".orphaned-{}", to_micros(now())));
    fs::rename(log, &kept)?;
    log::warn!(
        "{} belonged to another database than has that name now: it is kept as {}",
        log.display(),
        kept.display()
    );
    Ok(())
}

/// Whether the file at `path` is a copy of `original`.
pub(super) fn is_copy(path: &Path, original: &File) -> io::Result<bool> {
    let copy = File::open(path)?;
    if copy.metadata()?.len() != original.metadata()?.len() {
        return Ok(false);
    }
    let (mut ours, mut theirs) = (vec![0; COMPARED_BYTES], vec![0; COMPARED_BYTES]);
    let mut offset = 0;
    loop {
        let read = original.read_at(&mut ours, offset)?;
        if read == 0 {
            return Ok(true);
        }
        copy.read_exact_at(&mut theirs[..read], offset)?;
        if ours[..read] != theirs[..read] {
            return Ok(false);
        }
        offset += read as u64;
    }
}
