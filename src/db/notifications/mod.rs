//! Messages on their way to where people hear of them: planned in the transaction that moves a channel's
//! place in the log of events, so that each event is told to each channel once, whatever ends when.

use std::collections::BTreeSet;

mod digests;
mod receivers;
mod sending;
mod states;

use diesel::prelude::*;

pub use self::digests::condense;
pub use self::sending::{Attempt, Due, Noted, Outcome, Outgoing, next_due, note_attempt, revive};
pub use self::states::{
    ChannelState, Letter, LetterState, Totals, dead_letters, history, prune, state_of, totals,
};
use super::connection::Connection;
use super::error::StoreError;
use super::schema::{
    events as event_table, notification_channels, notification_receivers, notifications,
};
use super::{events, on_each_backend};
use crate::domain::event::Seq;
use crate::domain::notification::{Message, Topic};
use crate::domain::timestamp::{Timestamp, to_micros};

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
/// those that are not there any more the place is forgotten, and what they were to be told is dead; so is the
/// pause of a receiver to which no channel leads any more.
///
/// # Errors
/// Where the database fails.
pub fn enlist(
    connection: &mut Connection,
    channels: &[&str],
    receivers: &[String],
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
        let gone = notification_receivers::table
            .filter(notification_receivers::receiver.ne_all(receivers));
        on_each_backend!(connection, |c| diesel::delete(gone).execute(c))?;
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
/// It is part of a digest, which is a message of its own.
const DIGESTED: &str = "digested";

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
