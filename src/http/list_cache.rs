//! Answers to lists, remembered until the store changes.
//!
//! Many clients ask for the same list again and again. The answer's bytes are kept for as long as
//! the store does not change, but not longer than a second, since running jobs last longer and cost
//! more by the second. Clients that ask for the same while it is looked up share one look-up.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use tokio::sync::OnceCell;

use super::error::ApiError;
use crate::actors::job_store::StoreVersion;
use crate::domain::job_query::JobQuery;

/// How long an answer is kept at most.
const KEPT_FOR: Duration = Duration::from_secs(1);
/// How many different lists are kept at a time.
const LISTS_MAX: usize = 64;

/// The remembered answers.
pub(super) struct ListCache {
    version: StoreVersion,
    lists: Mutex<HashMap<JobQuery, Arc<Entry>>>,
}

struct Entry {
    version: u64,
    made_at: Instant,
    answer: OnceCell<Bytes>,
}

impl ListCache {
    /// A cache of answers from the store whose changes `version` counts.
    pub(super) fn new(version: StoreVersion) -> Self {
        Self { version, lists: Mutex::default() }
    }

    /// The remembered answer to `query`, or what `look_up` answers. An error is not remembered.
    pub(super) async fn get<F>(
        &self,
        query: &JobQuery,
        look_up: impl FnOnce() -> F,
    ) -> Result<Bytes, ApiError>
    where
        F: Future<Output = Result<Bytes, ApiError>>,
    {
        let entry = self.entry(query);
        entry.answer.get_or_try_init(look_up).await.cloned()
    }

    /// The entry to use for `query` now. The version is read before the look-up begins, so a
    /// change in between makes the answer count as stale, never as fresh.
    fn entry(&self, query: &JobQuery) -> Arc<Entry> {
        let version = self.version.current();
        let is_fresh =
            |entry: &Entry| entry.version == version && entry.made_at.elapsed() < KEPT_FOR;
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = lists.get(query).filter(|entry| is_fresh(entry)) {
            return entry.clone();
        }
        if lists.len() >= LISTS_MAX {
            lists.retain(|_, entry| is_fresh(entry));
        }
        if lists.len() >= LISTS_MAX {
            lists.clear();
        }
        let entry = Arc::new(Entry { version, made_at: Instant::now(), answer: OnceCell::new() });
        lists.insert(query.clone(), entry.clone());
        entry
    }
}
