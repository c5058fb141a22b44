//! Warnings that would otherwise come with every poll.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

/// How many warnings are remembered. Where there are more, all are forgotten, and may come once more.
const REMEMBERED_MAX: usize = 1_024;

static GIVEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// Logs a warning, unless it was logged before.
pub(super) fn warn_once(message: String) {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    if given.len() >= REMEMBERED_MAX {
        given.clear();
    }
    if !given.contains(&message) {
        log::warn!("{message}");
        given.insert(message);
    }
}
