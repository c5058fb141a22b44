//! Messages on their way to where people hear of them: planned in the transaction that moves a channel's
//! place in the log of events, so that each event is told to each channel once, whatever ends when.

use std::collections::BTreeSet;

use diesel::prelude::*;

use super::connection::Connection;
use super::error::StoreError;
use super::schema::{events as event_table, notification_channels, notifications};
use super::{events, on_each_backend};
use crate::domain::event::Seq;
use crate::domain::notification::{Message, Topic};
use crate::domain::timestamp::{Timestamp, from_micros, to_micros};

/// How many events are looked through at a time.
const EVENTS_AT_ONCE: i64 = 500;

/// A channel, as far as planning needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name.
    pub channel: String,
    /// What it is told of.
    pub topics: BTreeSet<Topic>,
}

/// Has channels that were not there before begin with the next event: what happened before is history. Of
/// those that are not there any more the place is forgotten, and what they were to be told is dead.
///
/// # Errors
/// Where the database fails.
pub fn enlist(
    connection: &mut Connection,
    channels: &[&str],
    now: Timestamp,
) -> Result<(), StoreError> {
    connection.write(|connection| {
        let head = events::head(connection)?;
        let places = places(connection)?;
        for channel in channels {
            if !places.iter().any(|(known, _)| known == channel) {
                set_place(connection, channel, head)?;
            }
        }
        for (gone, _) in places.iter().filter(|(known, _)| !channels.contains(&known.as_str())) {
            dismiss(connection, gone, now)?;
        }
        Ok(())
    })
}

/// Forgets a channel that is configured no more.
fn dismiss(connection: &mut Connection, channel: &str, now: Timestamp) -> Result<(), StoreError> {
    on_each_backend!(&mut *connection, |c| {
        diesel::delete(notification_channels::table.find(channel)).execute(c)
    })?;
    let waiting = notifications::table
        .filter(notifications::channel.eq(channel))
        .filter(notifications::status.eq(PENDING));
    on_each_backend!(connection, |c| {
        diesel::update(waiting)
            .set((
                notifications::status.eq(DEAD),
                notifications::last_error.eq("the channel is not configured any more"),
                notifications::ended_at.eq(to_micros(now)),
            ))
            .execute(c)
    })?;
    Ok(())
}

/// Looks through the next events for each channel, and notes what it is to be told. Answers whether there
/// are more.
///
/// # Errors
/// Where the database fails.
pub fn plan(
    connection: &mut Connection,
    listeners: &[Listener],
    new_id: impl Fn() -> String,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let head = events::head(connection)?;
    let places = places(connection)?;
    let is_done = |listener: &Listener| {
        let place = places.iter().find(|(channel, _)| *channel == listener.channel);
        place.is_none_or(|(_, seq)| *seq >= head)
    };
    if listeners.iter().all(is_done) {
        return Ok(false);
    }
    connection.write(|connection| {
        let mut has_more = false;
        for listener in listeners {
            let place = places.iter().find(|(channel, _)| *channel == listener.channel);
            let Some((_, seq)) = place else { continue };
            let reached = plan_one(connection, listener, *seq, head, &new_id, now)?;
            set_place(connection, &listener.channel, reached)?;
            has_more |= reached < head;
        }
        Ok(has_more)
    })
}

/// Plans for one channel, and answers how far that has come.
fn plan_one(
    connection: &mut Connection,
    listener: &Listener,
    after: Seq,
    head: Seq,
    new_id: impl Fn() -> String,
    now: Timestamp,
) -> Result<Seq, StoreError> {
    let until = head.min(after + EVENTS_AT_ONCE);
    let told: Vec<(Seq, String)> = on_each_backend!(&mut *connection, |c| {
        event_table::table
            .filter(event_table::seq.gt(after))
            .filter(event_table::seq.le(until))
            .filter(event_table::kind.eq_any(Topic::EVENT_KINDS))
            .order(event_table::seq.asc())
            .select((event_table::seq, event_table::json))
            .load(c)
    })?;
    for (seq, json) in told {
        let message = Message::of_event(&json);
        let Some(message) = message.filter(|told| listener.topics.contains(&told.topic)) else {
            continue;
        };
        let row = (
            notifications::channel.eq(&listener.channel),
            notifications::seq.eq(seq),
            notifications::message_id.eq(new_id()),
            notifications::message.eq(as_json(&message)),
            notifications::status.eq(PENDING),
            notifications::attempts.eq(0_i64),
            notifications::next_attempt_at.eq(to_micros(now)),
            notifications::created_at.eq(to_micros(now)),
        );
        on_each_backend!(&mut *connection, |c| {
            diesel::insert_into(notifications::table)
                .values(row)
                .on_conflict_do_nothing()
                .execute(c)
        })?;
    }
    Ok(until)
}

fn as_json(message: &Message) -> String {
    serde_json::to_string(message).expect("a message has only string keys and finite numbers")
}

const PENDING: &str = "pending";
const DELIVERED: &str = "delivered";
const DEAD: &str = "dead";

fn places(connection: &mut Connection) -> Result<Vec<(String, Seq)>, StoreError> {
    Ok(on_each_backend!(connection, |c| notification_channels::table.load(c))?)
}

fn set_place(connection: &mut Connection, channel: &str, seq: Seq) -> Result<(), StoreError> {
    on_each_backend!(connection, |c| {
        diesel::insert_into(notification_channels::table)
            .values((notification_channels::name.eq(channel), notification_channels::seq.eq(seq)))
            .on_conflict(notification_channels::name)
            .do_update()
            .set(notification_channels::seq.eq(seq))
            .execute(c)
    })?;
    Ok(())
}

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

type Row = (i64, String, String, String, i64, Option<String>, i64);

fn outgoing(row: Row) -> Option<Outgoing> {
    let (id, channel, message_id, message, attempts, last_error, created_at) = row;
    let message = serde_json::from_str(&message)
        .map_err(|error| log::error!("notification {id} cannot be read: {error}"))
        .ok()?;
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

/// The next message of a channel that is due, if there is one.
///
/// # Errors
/// Where the database fails.
pub fn next_due(
    connection: &mut Connection,
    channel: &str,
    now: Timestamp,
) -> Result<Option<Outgoing>, StoreError> {
    let row: Option<Row> = on_each_backend!(connection, |c| {
        notifications::table
            .filter(notifications::status.eq(PENDING))
            .filter(notifications::channel.eq(channel))
            .filter(notifications::next_attempt_at.le(to_micros(now)))
            .order(notifications::id.asc())
            .select(columns!())
            .first(c)
            .optional()
    })?;
    Ok(row.and_then(outgoing))
}

/// What an attempt to send a message came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// It arrived.
    Delivered,
    /// It did not, and is sent again.
    Again {
        /// When.
        at: Timestamp,
        /// What went wrong.
        words: String,
    },
    /// It did not, and is not sent again by itself.
    Dead {
        /// What went wrong.
        words: String,
    },
}

/// Notes what an attempt came to.
///
/// # Errors
/// Where the database fails.
pub fn note_attempt(
    connection: &mut Connection,
    id: i64,
    attempt: &Attempt,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (status, next, words) = match attempt {
        Attempt::Delivered => (DELIVERED, now, None),
        Attempt::Again { at, words } => (PENDING, *at, Some(words)),
        Attempt::Dead { words } => (DEAD, now, Some(words)),
    };
    let ended_at = (status != PENDING).then(|| to_micros(now));
    on_each_backend!(connection, |c| {
        diesel::update(notifications::table.find(id))
            .set((
                notifications::status.eq(status),
                notifications::attempts.eq(notifications::attempts + 1),
                notifications::next_attempt_at.eq(to_micros(next)),
                notifications::last_error.eq(words),
                notifications::ended_at.eq(ended_at),
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
    /// What went wrong with the oldest that waits or is dead, where something did.
    pub last_error: Option<String>,
}

/// How a channel does.
///
/// # Errors
/// Where the database fails.
pub fn state_of(connection: &mut Connection, channel: &str) -> Result<ChannelState, StoreError> {
    let counts: Vec<(String, i64, Option<i64>)> = on_each_backend!(&mut *connection, |c| {
        notifications::table
            .filter(notifications::channel.eq(channel))
            .group_by(notifications::status)
            .select((
                notifications::status,
                diesel::dsl::count_star(),
                diesel::dsl::max(notifications::ended_at),
            ))
            .load(c)
    })?;
    let last_error: Option<Option<String>> = on_each_backend!(connection, |c| {
        notifications::table
            .filter(notifications::channel.eq(channel))
            .filter(notifications::status.ne(DELIVERED))
            .filter(notifications::last_error.is_not_null())
            .order(notifications::id.desc())
            .select(notifications::last_error)
            .first(c)
            .optional()
    })?;
    let mut state = ChannelState { last_error: last_error.flatten(), ..ChannelState::default() };
    for (status, count, ended_at) in counts {
        match status.as_str() {
            PENDING => state.pending = count,
            DEAD => state.dead = count,
            _ => state.delivered_at = ended_at.map(from_micros),
        }
    }
    Ok(state)
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
