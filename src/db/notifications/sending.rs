//! Sending: what is due, and what an attempt came to.

use diesel::prelude::*;

use super::super::connection::Connection;
use super::super::error::StoreError;
use super::super::on_each_backend;
use super::super::schema::notifications;
use super::receivers::{end_rest, rest, set_rest};
use super::{DEAD, DELIVERED, PENDING};
use crate::domain::notification::{Failure, Message, WAITING_MAX};
use crate::domain::timestamp::{Timestamp, from_micros, to_micros};

/// A message that is to be sent, or could not be.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// Its number.
    pub id: i64,
    /// To which channel.
    pub channel: String,
    /// The identifier by which the receiver knows it when it comes again.
    pub message_id: String,
    /// What is told.
    pub message: Message,
    /// How often it was sent.
    pub attempts: u32,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was planned.
    pub created_at: Timestamp,
}

pub(super) type Row = (i64, String, String, String, i64, Option<String>, i64);

pub(super) fn outgoing(row: Row) -> Option<Outgoing> {
    let (id, channel, message_id, message, attempts, last_error, created_at) = row;
    let message = read(id, &message)?;
    Some(Outgoing {
        id,
        channel,
        message_id,
        message,
        attempts: attempts.try_into().unwrap_or(u32::MAX),
        last_error,
        created_at: from_micros(created_at),
    })
}

pub(super) fn read(id: i64, message: &str) -> Option<Message> {
    serde_json::from_str(message)
        .map_err(|error| log::error!("notification {id} cannot be read: {error}"))
        .ok()
}

macro_rules! columns {
    () => {
        (
            notifications::id,
            notifications::channel,
            notifications::message_id,
            notifications::message,
            notifications::attempts,
            notifications::last_error,
            notifications::created_at,
        )
    };
}
pub(super) use columns;

/// What there is to be sent to a receiver.
#[derive(Debug, Clone, PartialEq)]
pub enum Due {
    /// Nothing, or not now: the receiver is left alone.
    Nothing,
    /// This message.
    Message(Box<Outgoing>),
    /// So many that they are to become one: see [`condense`](super::condense).
    TooMany,
}

/// What is due to a receiver, to which these channels lead.
///
/// # Errors
/// Where the database fails.
pub fn next_due(
    connection: &mut Connection,
    receiver: &str,
    channels: &[String],
    now: Timestamp,
) -> Result<Due, StoreError> {
    let row: Option<Row> = on_each_backend!(&mut *connection, |c| {
        notifications::table
            .filter(notifications::status.eq(PENDING))
            .filter(notifications::channel.eq_any(channels))
            .filter(notifications::next_attempt_at.le(to_micros(now)))
            .order(notifications::id.asc())
            .select(columns!())
            .first(c)
            .optional()
    })?;
    let Some(row) = row else { return Ok(Due::Nothing) };
    if rest(connection, receiver)?.is_some_and(|(_, resumes_at)| resumes_at > to_micros(now)) {
        return Ok(Due::Nothing);
    }
    let waiting: i64 = on_each_backend!(connection, |c| {
        notifications::table
            .filter(notifications::status.eq(PENDING))
            .filter(notifications::channel.eq_any(channels))
            .filter(notifications::seq.gt(0))
            .count()
            .get_result(c)
    })?;
    if usize::try_from(waiting).is_ok_and(|waiting| waiting > WAITING_MAX) {
        return Ok(Due::TooMany);
    }
    Ok(outgoing(row).map_or(Due::Nothing, |one| Due::Message(Box::new(one))))
}

/// An attempt to send a message, or to try a receiver out.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The receiver.
    pub receiver: String,
    /// The message; None where it was only tried out.
    pub id: Option<i64>,
    /// What it came to.
    pub outcome: Outcome,
    /// The first pause after a failure.
    pub first_seconds: u64,
    /// By how much pauses are made longer, from 1 on: several receivers at one service need not all come
    /// back in the same second.
    pub spread: f64,
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It arrived.
    Delivered {
        /// For how long the receiver takes no further one, in seconds, where it says so.
        rest_seconds: Option<f64>,
    },
    /// It did not.
    Failed {
        /// What went wrong.
        words: String,
        /// For how long the receiver asks to be left alone, in seconds.
        asked_seconds: Option<f64>,
        /// Trying again would come to the same.
        is_lasting: bool,
        /// The receiver refuses this message; others may be taken.
        is_about_message: bool,
    },
}

/// What became of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// It arrived, or there is none.
    Done,
    /// It is sent again.
    Again {
        /// The number of the attempt that failed.
        attempt: u32,
        /// When.
        at: Timestamp,
    },
    /// It is not sent again by itself.
    Dead,
}

/// Notes what an attempt came to: for the message, and for its receiver.
///
/// # Errors
/// Where the database fails.
pub fn note_attempt(
    connection: &mut Connection,
    attempt: &Attempt,
    now: Timestamp,
) -> Result<Noted, StoreError> {
    let later = |seconds: f64| to_micros(now).saturating_add((seconds * 1e6).ceil() as i64);
    let receiver = &attempt.receiver;
    connection.write(|connection| match &attempt.outcome {
        Outcome::Delivered { rest_seconds } => {
            match rest_seconds {
                Some(seconds) => set_rest(connection, receiver, 0, later(*seconds))?,
                None => end_rest(connection, receiver)?,
            }
            let Some(id) = attempt.id else { return Ok(Noted::Done) };
            close(connection, id, DELIVERED, None, now)?;
            Ok(Noted::Done)
        }
        Outcome::Failed { words, asked_seconds, is_lasting, is_about_message } => {
            let known = rest(connection, receiver)?;
            let failures = known.map_or(0, |(failures, _)| failures).saturating_add(1);
            let attempts = attempt.id.map_or(Ok(0), |id| attempts_of(connection, id))? + 1;
            let pauses = Failure {
                attempts,
                failures: failures.try_into().unwrap_or(u32::MAX),
                asked_seconds: *asked_seconds,
                is_about_message: *is_about_message,
            }
            .pauses(attempt.first_seconds);
            let resumes_at = later(pauses.receiver * attempt.spread);
            // What it asked for before still holds.
            let resumes_at = known.map_or(resumes_at, |(_, known)| known.max(resumes_at));
            set_rest(connection, receiver, failures, resumes_at)?;
            let Some(id) = attempt.id else { return Ok(Noted::Done) };
            match pauses.message.filter(|_| !is_lasting) {
                Some(seconds) => {
                    let at = later(seconds * attempt.spread);
                    postpone(connection, id, at, words)?;
                    Ok(Noted::Again { attempt: attempts, at: from_micros(at) })
                }
                None => {
                    close(connection, id, DEAD, Some(words), now)?;
                    Ok(Noted::Dead)
                }
            }
        }
    })
}

fn attempts_of(connection: &mut Connection, id: i64) -> Result<u32, StoreError> {
    let attempts: Option<i64> = on_each_backend!(connection, |c| {
        notifications::table.find(id).select(notifications::attempts).first(c).optional()
    })?;
    Ok(attempts.unwrap_or(0).try_into().unwrap_or(u32::MAX - 1))
}

fn postpone(connection: &mut Connection, id: i64, at: i64, words: &str) -> Result<(), StoreError> {
    on_each_backend!(connection, |c| {
        diesel::update(notifications::table.find(id))
            .set((
                notifications::attempts.eq(notifications::attempts + 1),
                notifications::next_attempt_at.eq(at),
                notifications::last_error.eq(words),
            ))
            .execute(c)
    })?;
    Ok(())
}

fn close(
    connection: &mut Connection,
    id: i64,
    status: &str,
    words: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    on_each_backend!(connection, |c| {
        diesel::update(notifications::table.find(id))
            .set((
                notifications::status.eq(status),
                notifications::attempts.eq(notifications::attempts + 1),
                notifications::last_error.eq(words),
                notifications::ended_at.eq(to_micros(now)),
            ))
            .execute(c)
    })?;
    Ok(())
}

/// Has a dead letter sent again. Answers whether there is one with this number.
///
/// # Errors
/// Where the database fails.
pub fn revive(connection: &mut Connection, id: i64, now: Timestamp) -> Result<bool, StoreError> {
    let dead = notifications::table.find(id).filter(notifications::status.eq(DEAD));
    let revived = on_each_backend!(connection, |c| {
        diesel::update(dead)
            .set((
                notifications::status.eq(PENDING),
                notifications::attempts.eq(0_i64),
                notifications::next_attempt_at.eq(to_micros(now)),
                notifications::ended_at.eq(None::<i64>),
            ))
            .execute(c)
    })?;
    Ok(revived > 0)
}
