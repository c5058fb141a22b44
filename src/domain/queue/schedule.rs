//! Who is next, and why the others wait.

use std::collections::HashMap;

use chrono::Duration;

use super::entry::{QueueEntry, QueueStatus};
use crate::domain::job::JobId;
use crate::domain::timestamp::Timestamp;

/// How many jobs may be under way at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of all.
    pub max_concurrent: usize,
    /// Of one user.
    pub user_max_concurrent: usize,
    /// Nobody is next.
    pub is_paused: bool,
}

/// Why a job waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitReason {
    /// It does not: it is handed over when the queue is looked at next.
    Next,
    /// The queue is paused.
    Paused,
    /// An attempt failed, and the next one is not yet due.
    BackOff {
        /// When it is.
        until: Timestamp,
    },
    /// As many jobs are under way as may be.
    Limit {
        /// How many that are.
        max_concurrent: usize,
    },
    /// As many jobs of its user are under way as may be.
    UserLimit {
        /// How many that are.
        user_max_concurrent: usize,
    },
}

impl WaitReason {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Paused => "paused",
            Self::BackOff { .. } => "back_off",
            Self::Limit { .. } => "max_concurrent",
            Self::UserLimit { .. } => "user_max_concurrent",
        }
    }

    /// A sentence for people.
    pub fn in_words(&self) -> String {
        match self {
            Self::Next => "it is handed over when the queue is looked at next".to_owned(),
            Self::Paused => "the queue is paused".to_owned(),
            Self::BackOff { until } => {
                format!("the last attempt failed, the next one is due at {until}")
            }
            Self::Limit { max_concurrent } => {
                format!("{max_concurrent} jobs are under way, which is the limit")
            }
            Self::UserLimit { user_max_concurrent } => {
                format!("{user_max_concurrent} jobs of its user are under way, which is the limit")
            }
        }
    }
}

/// The order of those who wait.
#[derive(Debug)]
pub struct Schedule<'a> {
    /// In the order of the queue.
    waiting: Vec<(&'a QueueEntry, WaitReason)>,
    places: HashMap<&'a JobId, usize>,
}

impl<'a> Schedule<'a> {
    /// The order of `entries` at `now`.
    pub fn new(entries: &'a [QueueEntry], limits: Limits, now: Timestamp) -> Self {
        let mut under_way = 0;
        let mut by_user: HashMap<&str, usize> = HashMap::new();
        for entry in entries {
            if matches!(entry.status, QueueStatus::Submitting | QueueStatus::Running) {
                under_way += 1;
                if let Some(user) = entry.user_id.as_deref() {
                    *by_user.entry(user).or_default() += 1;
                }
            }
        }
        let mut waiting: Vec<_> =
            entries.iter().filter(|entry| entry.status == QueueStatus::Pending).collect();
        waiting.sort_by_key(|entry| (std::cmp::Reverse(entry.effective_priority()), entry.id));
        let mut judge = |entry: &'a QueueEntry| {
            let of_user = entry.user_id.as_deref().map(|user| by_user.entry(user).or_default());
            let is_user_full =
                of_user.as_ref().is_some_and(|count| **count >= limits.user_max_concurrent);
            if limits.is_paused {
                return WaitReason::Paused;
            }
            if let Some(until) = entry.not_before.filter(|until| *until > now) {
                return WaitReason::BackOff { until };
            }
            if under_way >= limits.max_concurrent {
                return WaitReason::Limit { max_concurrent: limits.max_concurrent };
            }
            if is_user_full {
                let user_max_concurrent = limits.user_max_concurrent;
                return WaitReason::UserLimit { user_max_concurrent };
            }
            under_way += 1;
            if let Some(count) = of_user {
                *count += 1;
            }
            WaitReason::Next
        };
        let waiting: Vec<_> = waiting.into_iter().map(|entry| (entry, judge(entry))).collect();
        let places =
            waiting.iter().enumerate().map(|(place, (entry, _))| (&entry.job_id, place)).collect();
        Self { waiting, places }
    }

    /// The ones to be handed over now, in their order.
    pub fn next(&self) -> impl Iterator<Item = &'a QueueEntry> {
        self.waiting
            .iter()
            .filter(|(_, reason)| *reason == WaitReason::Next)
            .map(|(entry, _)| *entry)
    }

    /// The place of a job among those who wait, from 1 on.
    pub fn position(&self, job_id: &JobId) -> Option<usize> {
        self.places.get(job_id).map(|place| place + 1)
    }

    /// Why a job waits.
    pub fn reason(&self, job_id: &JobId) -> Option<&WaitReason> {
        self.places.get(job_id).map(|place| &self.waiting[*place].1)
    }
}

/// The pause after the first attempt that failed.
const FIRST_PAUSE_SECONDS: i64 = 15;
/// The longest pause of our own choice.
const LONGEST_PAUSE_SECONDS: i64 = 900;

/// How long to wait after the attempt with this number, from 1 on, has failed: four times as long as
/// after the one before, and no shorter than the provider asked for.
pub fn back_off(attempt: u32, asked_seconds: Option<u64>) -> Duration {
    let own = FIRST_PAUSE_SECONDS << (2 * attempt.saturating_sub(1).min(8));
    let asked = asked_seconds.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(0);
    Duration::seconds(own.min(LONGEST_PAUSE_SECONDS).max(asked.min(86_400)))
}
