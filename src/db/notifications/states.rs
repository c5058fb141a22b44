//! How channels do, and what became of messages.

use diesel::dsl::{count_star, max};
use diesel::prelude::*;

use super::super::connection::Connection;
use super::super::error::StoreError;
use super::super::on_each_backend;
use super::super::schema::{notification_receivers, notifications};
use super::sending::{Outgoing, Row, columns, outgoing, read};
use super::{DEAD, DELIVERED, DIGESTED, PENDING};
use crate::domain::notification::Message;
use crate::domain::timestamp::{Timestamp, from_micros, to_micros};

/// Messages that could not be delivered, the last one first.
///
/// # Errors
/// Where the database fails.
pub fn dead_letters(connection: &mut Connection, limit: i64) -> Result<Vec<Outgoing>, StoreError> {
    let rows: Vec<Row> = on_each_backend!(connection, |c| {
        notifications::table
            .filter(notifications::status.eq(DEAD))
            .order(notifications::id.desc())
            .limit(limit)
            .select(columns!())
            .load(c)
    })?;
    Ok(rows.into_iter().filter_map(outgoing).collect())
}

/// How a channel does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelState {
    /// Messages that wait.
    pub pending: i64,
    /// Messages that could not be delivered.
    pub dead: i64,
    /// When one arrived last.
    pub delivered_at: Option<Timestamp>,
    /// What went wrong with the newest that waits or is dead, where something did.
    pub last_error: Option<String>,
    /// Until when nothing is sent to its receiver, which failed or asked for it.
    pub rests_until: Option<Timestamp>,
}

/// How a channel does.
///
/// # Errors
/// Where the database fails.
pub fn state_of(
    connection: &mut Connection,
    channel: &str,
    receiver: &str,
    now: Timestamp,
) -> Result<ChannelState, StoreError> {
    let counts: Vec<(String, i64, Option<i64>)> = on_each_backend!(&mut *connection, |c| {
        notifications::table
            .filter(notifications::channel.eq(channel))
            .group_by(notifications::status)
            .select((notifications::status, count_star(), max(notifications::ended_at)))
            .load(c)
    })?;
    let last_error: Option<Option<String>> = on_each_backend!(&mut *connection, |c| {
        notifications::table
            .filter(notifications::channel.eq(channel))
            .filter(notifications::status.eq_any([PENDING, DEAD]))
            .filter(notifications::last_error.is_not_null())
            .order(notifications::id.desc())
            .select(notifications::last_error)
            .first(c)
            .optional()
    })?;
    let resumes_at: Option<i64> = on_each_backend!(connection, |c| {
        notification_receivers::table
            .find(receiver)
            .select(notification_receivers::resumes_at)
            .first(c)
            .optional()
    })?;
    let mut state = ChannelState {
        last_error: last_error.flatten(),
        rests_until: resumes_at.map(from_micros).filter(|until| *until > now),
        ..ChannelState::default()
    };
    for (status, count, ended_at) in counts {
        match status.as_str() {
            PENDING => state.pending = count,
            DEAD => state.dead = count,
            DIGESTED => {}
            _ => state.delivered_at = ended_at.map(from_micros),
        }
    }
    Ok(state)
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterState {
    /// It waits.
    Waiting,
    /// It arrived.
    Delivered,
    /// It could not be delivered.
    Dead,
    /// It became part of a digest.
    Digested,
}

/// A message as the history tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// Its number.
    pub id: i64,
    /// To which channel.
    pub channel: String,
    /// What is told.
    pub message: Message,
    /// What became of it.
    pub state: LetterState,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When it arrived, or was given up.
    pub ended_at: Option<Timestamp>,
}

/// The messages of these channels, about one job or about anything, the last one first, whatever became of
/// them.
///
/// # Errors
/// Where the database fails.
pub fn history(
    connection: &mut Connection,
    channels: &[String],
    job_id: Option<&str>,
    limit: i64,
) -> Result<Vec<Letter>, StoreError> {
    type Row = (i64, String, String, String, Option<String>, i64, Option<i64>);
    // A message is stored as it is told, so its job stands in it in one way only.
    let about = job_id.map(|id| format!("\"job_id\":{}", serde_json::json!(id)));
    let pattern = about.map_or_else(|| "%".to_owned(), |about| format!("%{}%", literal(&about)));
    let rows: Vec<Row> = on_each_backend!(connection, |c| {
        notifications::table
            .filter(notifications::channel.eq_any(channels))
            .filter(notifications::message.like(&pattern).escape('!'))
            .order(notifications::id.desc())
            .limit(limit)
            .select((
                notifications::id,
                notifications::channel,
                notifications::message,
                notifications::status,
                notifications::last_error,
                notifications::created_at,
                notifications::ended_at,
            ))
            .load(c)
    })?;
    let letter = |row: Row| {
        let (id, channel, message, status, last_error, created_at, ended_at) = row;
        Some(Letter {
            id,
            channel,
            message: read(id, &message)?,
            state: match status.as_str() {
                DELIVERED => LetterState::Delivered,
                DEAD => LetterState::Dead,
                DIGESTED => LetterState::Digested,
                _ => LetterState::Waiting,
            },
            last_error,
            created_at: from_micros(created_at),
            ended_at: ended_at.map(from_micros),
        })
    };
    Ok(rows.into_iter().filter_map(letter).collect())
}

/// A text that a pattern finds as it is.
fn literal(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

/// How many messages there are that became what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Arrived.
    pub delivered: i64,
    /// Could not be delivered.
    pub dead: i64,
    /// Wait.
    pub waiting: i64,
}

/// How many messages to these channels became what since an instant.
///
/// # Errors
/// Where the database fails.
pub fn totals(
    connection: &mut Connection,
    channels: &[String],
    since: Timestamp,
) -> Result<Totals, StoreError> {
    let counts: Vec<(String, i64)> = on_each_backend!(connection, |c| {
        notifications::table
            .filter(notifications::channel.eq_any(channels))
            .filter(notifications::created_at.ge(to_micros(since)))
            .group_by(notifications::status)
            .select((notifications::status, count_star()))
            .load(c)
    })?;
    let of = |word| counts.iter().find(|(status, _)| status == word).map_or(0, |(_, count)| *count);
    Ok(Totals { delivered: of(DELIVERED), dead: of(DEAD), waiting: of(PENDING) })
}

/// Deletes up to `limit` messages that were planned before an instant, whatever became of them.
///
/// # Errors
/// Where the database fails.
pub fn prune(
    connection: &mut Connection,
    before: Timestamp,
    limit: i64,
) -> Result<usize, StoreError> {
    let old: Vec<i64> = on_each_backend!(&mut *connection, |c| {
        notifications::table
            .filter(notifications::created_at.lt(to_micros(before)))
            .order(notifications::id.asc())
            .limit(limit)
            .select(notifications::id)
            .load(c)
    })?;
    if old.is_empty() {
        return Ok(0);
    }
    Ok(on_each_backend!(connection, |c| {
        diesel::delete(notifications::table.filter(notifications::id.eq_any(old))).execute(c)
    })?)
}
