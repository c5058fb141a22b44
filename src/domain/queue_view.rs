//! An entry of the queue as the contract shows it (`api.md`, "Queue").

use serde::Serialize;

use super::cost::to_usd;
use super::job::JobId;
use super::queue::{Priority, QueueEntry, QueueStatus, Schedule};
use super::timestamp::Timestamp;

/// An entry as clients see it at one moment.
#[derive(Debug, Serialize)]
pub struct EntryView<'a> {
    pub(crate) id: i64,
    pub(crate) job_id: &'a JobId,
    pub(crate) user_id: Option<&'a str>,
    pub(crate) provider: &'a str,
    pub(crate) config_name: Option<&'a str>,
    pub(crate) priority: Priority,
    pub(crate) priority_name: &'static str,
    pub(crate) priority_override: Option<Priority>,
    pub(crate) effective_priority: Priority,
    pub(crate) status: QueueStatus,
    /// From 1 on among those that wait; 0 for what waits no more.
    pub position: usize,
    pub(crate) queued_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) estimated_cost: Option<f64>,
    /// Always false: nothing here waits for somebody's approval, and existing clients read the field.
    pub(crate) requires_approval: bool,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) error_message: Option<&'a str>,
    pub(crate) retry_of: Option<&'a JobId>,
    pub(crate) not_before: Option<Timestamp>,
    /// For what it waits, as a stable word.
    pub waiting_for: Option<&'static str>,
    /// The same as a sentence.
    pub waiting_because: Option<String>,
    /// For about how long it will still wait, in seconds.
    pub estimated_wait_seconds: Option<f64>,
}

impl<'a> EntryView<'a> {
    /// The entry in its place.
    pub fn new(
        entry: &'a QueueEntry,
        schedule: &Schedule<'_>,
        estimated_wait_seconds: Option<f64>,
    ) -> Self {
        let reason = schedule.reason(&entry.job_id);
        Self {
            id: entry.id,
            job_id: &entry.job_id,
            user_id: entry.user_id.as_deref(),
            provider: &entry.provider,
            config_name: entry.config_name.as_deref(),
            priority: entry.priority,
            priority_name: entry.effective_priority().name(),
            priority_override: entry.priority_override,
            effective_priority: entry.effective_priority(),
            status: entry.status,
            position: schedule.position(&entry.job_id).unwrap_or(0),
            queued_at: entry.queued_at,
            started_at: entry.started_at,
            completed_at: entry.completed_at,
            estimated_cost: entry.estimated_cost_micro_usd.map(to_usd),
            requires_approval: false,
            attempt: entry.attempt,
            max_attempts: entry.max_attempts,
            error_message: entry.error_message.as_deref(),
            retry_of: entry.retry_of.as_ref(),
            not_before: entry.not_before.filter(|_| entry.status == QueueStatus::Pending),
            waiting_for: reason.map(|reason| reason.code()),
            waiting_because: reason.map(|reason| reason.in_words()),
            estimated_wait_seconds,
        }
    }
}

/// The median of some numbers; None of none.
pub fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
