//! For about how long those who wait will wait: the queue is played through with the time that jobs
//! usually take.

use std::collections::HashMap;

use chrono::Duration;

use super::entry::{QueueEntry, QueueStatus};
use super::schedule::{Limits, Schedule};
use crate::domain::job::JobId;
use crate::domain::timestamp::Timestamp;

/// For how many of those who wait it is estimated; further down a number would mean little.
const ESTIMATED_MAX: usize = 200;
/// What is left, of the usual time, of a job that has run for longer than usual.
const OVERDUE_SHARE: f64 = 0.25;

/// How long each waits until it is handed over, in seconds, if every job takes `usual_seconds`. Empty where
/// that is not known, or the queue is paused; who stands too far behind is left out.
pub fn estimate_waits(
    entries: &[QueueEntry],
    limits: Limits,
    now: Timestamp,
    usual_seconds: Option<f64>,
) -> HashMap<JobId, f64> {
    let mut waits = HashMap::new();
    let Some(usual_seconds) = usual_seconds.filter(|_| !limits.is_paused) else { return waits };
    let mut entries = entries.to_vec();
    // When each that is under way will end, by its place in `entries`.
    let mut ends: HashMap<usize, f64> = HashMap::new();
    for (place, entry) in entries.iter().enumerate() {
        if entry.status != QueueStatus::Pending {
            ends.insert(place, remaining_seconds(entry, now, usual_seconds));
        }
    }
    let mut elapsed = 0.0;
    while waits.len() < ESTIMATED_MAX {
        let at = now + Duration::milliseconds((elapsed * 1e3) as i64);
        let next: Vec<_> =
            Schedule::new(&entries, limits, at).next().map(|entry| entry.job_id.clone()).collect();
        for (place, entry) in entries.iter_mut().enumerate() {
            if next.contains(&entry.job_id) {
                entry.status = QueueStatus::Running;
                ends.insert(place, elapsed + usual_seconds);
                waits.insert(entry.job_id.clone(), elapsed);
            }
        }
        let Some(next_at) = next_moment(&entries, &ends, now, elapsed) else { break };
        elapsed = next_at;
        ends.retain(|place, end| {
            let is_over = *end <= elapsed;
            if is_over {
                entries[*place].status = QueueStatus::Completed;
            }
            !is_over
        });
    }
    waits
}

/// When the next one ends, or the back-off of one that waits.
fn next_moment(
    entries: &[QueueEntry],
    ends: &HashMap<usize, f64>,
    now: Timestamp,
    elapsed: f64,
) -> Option<f64> {
    let waiting = entries.iter().filter(|entry| entry.status == QueueStatus::Pending);
    let dues = waiting.filter_map(|entry| Some(seconds(entry.not_before? - now)));
    let is_anyone_waiting = entries.iter().any(|entry| entry.status == QueueStatus::Pending);
    let moments = ends.values().copied().chain(dues.filter(|due| *due > elapsed));
    moments.min_by(f64::total_cmp).filter(|_| is_anyone_waiting).map(|at| at.max(elapsed))
}

fn remaining_seconds(entry: &QueueEntry, now: Timestamp, usual_seconds: f64) -> f64 {
    entry.remaining_seconds.unwrap_or_else(|| {
        let since = entry.started_at.or(entry.submitted_at).unwrap_or(now);
        let left = usual_seconds - seconds(now - since);
        left.max(usual_seconds * OVERDUE_SHARE).min(usual_seconds)
    })
}

fn seconds(duration: Duration) -> f64 {
    duration.num_milliseconds() as f64 / 1e3
}
