//! The queue.

use askama::Template;

use super::frame::Frame;
use super::text::{Ago, NONE, usd};
use crate::domain::queue::{Priority, QueueStatus};
use crate::domain::queue_view::EntryView;
use crate::domain::timestamp::Timestamp;
use crate::domain::words::span;

/// The whole page.
#[derive(Debug, Template)]
#[template(path = "queue.html")]
pub(crate) struct QueuePage {
    pub(crate) frame: Frame,
    pub(crate) queue: QueueDetails,
}

/// What of it changes.
#[derive(Debug, Template)]
#[template(path = "updates/queue.html")]
pub(crate) struct QueueUpdate {
    pub(crate) frame: Frame,
    pub(crate) queue: QueueDetails,
}

/// The queue at one moment.
#[derive(Debug)]
pub(crate) struct QueueDetails {
    pub(crate) entries: Vec<QueueRow>,
    pub(crate) numbers: Vec<(&'static str, String)>,
    pub(crate) is_paused: bool,
    pub(crate) is_enabled: bool,
    pub(crate) max_concurrent: usize,
    pub(crate) user_max_concurrent: usize,
    pub(crate) priorities: [&'static str; 5],
    /// How many entries are not shown, where some are not.
    pub(crate) more: Option<String>,
}

impl QueueDetails {
    /// The priorities that have a name.
    pub(crate) fn priorities() -> [&'static str; 5] {
        Priority::NAMED.map(|(name, _)| name)
    }
}

/// A place in the queue.
#[derive(Debug)]
pub(crate) struct QueueRow {
    pub(crate) job_id: String,
    pub(crate) name: String,
    pub(crate) user: Option<String>,
    pub(crate) place: String,
    pub(crate) why: String,
    pub(crate) attempts: Option<String>,
    pub(crate) priority: &'static str,
    pub(crate) is_waiting: bool,
    pub(crate) wait: String,
    pub(crate) cost: String,
    pub(crate) queued: Ago,
}

impl QueueRow {
    pub(crate) fn new(entry: &EntryView<'_>, now: Timestamp) -> Self {
        let is_waiting = entry.status == QueueStatus::Pending;
        let why = match (&entry.waiting_because, entry.status) {
            (Some(words), _) => words.clone(),
            (None, QueueStatus::Submitting) => "being handed over".to_owned(),
            (None, _) => "with the provider".to_owned(),
        };
        let attempts = (entry.attempt > 0 && is_waiting).then(|| {
            let words = format!("{} of {} attempts", entry.attempt, entry.max_attempts);
            match entry.error_message {
                Some(error) => format!("{words}; the last one: {error}"),
                None => words,
            }
        });
        Self {
            job_id: entry.job_id.0.clone(),
            name: entry.config_name.unwrap_or(&entry.job_id.0).to_owned(),
            user: entry.user_id.map(str::to_owned),
            place: if is_waiting { entry.position.to_string() } else { NONE.to_owned() },
            why,
            attempts,
            priority: entry.priority_name,
            is_waiting,
            wait: entry.estimated_wait_seconds.map_or_else(|| NONE.to_owned(), span),
            cost: entry.estimated_cost.map_or_else(|| NONE.to_owned(), |cost| usd(cost, true)),
            queued: Ago { at: entry.queued_at, now },
        }
    }
}
