//! Whether anybody else wrote into the file of the database. A copy over it in place keeps device and inode, but not
//! length and time.

use std::fs::Metadata;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// What changes with whatever is written into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Signature {
    length_bytes: u64,
    modified_at: Option<SystemTime>,
}

impl Signature {
    fn of(metadata: &Metadata) -> Self {
        Self { length_bytes: metadata.len(), modified_at: metadata.modified().ok() }
    }
}

/// What is known of the content of the file.
#[derive(Debug, Default)]
pub(super) struct FileContent(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// As the daemon has left it, or has found it to be right.
    good: Option<Signature>,
    /// As the daemon has found it to be wrong.
    bad: Option<Signature>,
}

/// How a file is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// As it was left.
    Untouched,
    /// Changed by somebody else, and not looked at yet.
    Changed,
    /// Changed, and not the database any more.
    Wrong,
}

impl FileContent {
    pub(super) fn find(&self, file: &Metadata) -> Found {
        let (known, now) = (self.lock(), Signature::of(file));
        if known.bad == Some(now) {
            Found::Wrong
        } else if known.good.is_none_or(|good| good == now) {
            Found::Untouched
        } else {
            Found::Changed
        }
    }

    /// Remembers the file as it is now.
    pub(super) fn is(&self, is_good: bool, file: &Metadata) {
        let now = Some(Signature::of(file));
        let mut known = self.lock();
        if is_good {
            *known = Known { good: now, bad: None };
        } else {
            known.bad = now;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
