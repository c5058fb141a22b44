//! Forgets what is too old or too much: events, the logs of finished jobs, and the ids of webhooks.
//!
//! A sweep goes through all of them in portions, each a short transaction of its own, so that whoever
//! writes next never waits for long. Jobs themselves are never pruned.

use super::connection::Connection;
use super::error::StoreError;
use super::{deliveries, events, logs, notifications};
use crate::domain::timestamp::Timestamp;

/// The most events that one portion deletes. In SQLite the index by job is scattered, so that each may
/// cost a page of its own.
const EVENTS_AT_ONCE: i64 = 500;
/// The most logs that one portion empties.
const LOGS_AT_ONCE: i64 = 100;
/// The most ids of webhooks that one portion looks at.
const DELIVERIES_AT_ONCE: i64 = 1_000;
/// The most messages to people that one portion deletes.
const NOTIFICATIONS_AT_ONCE: i64 = 500;
/// A portion that has come to so many bytes goes no further: 4 MB.
pub(super) const BYTES_AT_ONCE: i64 = 4 * 1024 * 1024;

/// What is kept of something: nothing from before an instant, and not more than so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// What is older is let go.
    pub since: Timestamp,
    /// The oldest is let go until the rest has no more than this, in bytes.
    pub max_bytes: i64,
}

/// What is kept of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of the log of events, in bytes of JSON.
    pub events: Keep,
    /// Of the logs of finished jobs, by the jobs' ends, in bytes as they are stored.
    pub logs: Keep,
    /// Webhooks whose ids were noted before this may be forgotten.
    pub deliveries_since: Timestamp,
}

/// How far a sweep has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stage {
    /// At the events.
    #[default]
    Events,
    /// At the logs.
    Logs,
    /// At the ids of webhooks, after this one.
    Deliveries(Option<String>),
    /// At the messages to people.
    Notifications,
}

/// What was pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Events.
    pub events: usize,
    /// Logs of finished jobs.
    pub logs: usize,
    /// Ids of webhooks.
    pub deliveries: usize,
    /// Messages to people.
    pub notifications: usize,
}

impl std::ops::AddAssign for Pruned {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.logs += other.logs;
        self.deliveries += other.deliveries;
        self.notifications += other.notifications;
    }
}

/// Prunes one portion, and answers how the sweep goes on; None at its end.
///
/// # Errors
/// Where the database fails. Nothing has changed then.
pub fn prune(
    connection: &mut Connection,
    stage: Stage,
    limits: &Limits,
    now: Timestamp,
) -> Result<(Pruned, Option<Stage>), StoreError> {
    let none = Pruned::default();
    connection.write(|connection| match stage {
        Stage::Events => {
            let events = events::prune(connection, limits.events, EVENTS_AT_ONCE)?;
            // Only a portion of nothing is surely the last: one can also be full by its bytes.
            let next = if events > 0 { Stage::Events } else { Stage::Logs };
            Ok((Pruned { events, ..none }, Some(next)))
        }
        Stage::Logs => {
            let logs = logs::prune(connection, limits.logs, LOGS_AT_ONCE, now)?;
            let next = if logs > 0 { Stage::Logs } else { Stage::Deliveries(None) };
            Ok((Pruned { logs, ..none }, Some(next)))
        }
        Stage::Deliveries(after) => {
            let before = limits.deliveries_since;
            let walked =
                deliveries::prune(connection, before, after.as_deref(), DELIVERIES_AT_ONCE)?;
            let next = match walked.next {
                Some(id) => Stage::Deliveries(Some(id)),
                None => Stage::Notifications,
            };
            Ok((Pruned { deliveries: walked.pruned, ..none }, Some(next)))
        }
        Stage::Notifications => {
            let since = limits.events.since;
            let notifications = notifications::prune(connection, since, NOTIFICATIONS_AT_ONCE)?;
            let next = (notifications > 0).then_some(Stage::Notifications);
            Ok((Pruned { notifications, ..none }, next))
        }
    })
}
