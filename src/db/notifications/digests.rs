//! Many messages that wait for one receiver, as one.

use diesel::prelude::*;

use super::super::connection::Connection;
use super::super::error::StoreError;
use super::super::on_each_backend;
use super::super::schema::notifications;
use super::sending::read;
use super::{DIGESTED, PENDING, as_json};
use crate::domain::notification::Message;
use crate::domain::timestamp::{Timestamp, to_micros};

/// How many messages one digest holds at most.
const DIGEST_MESSAGES_MAX: i64 = 200;

/// Makes one message, to the channel `into`, of those that wait in `channels`. A digest is a message as any
/// other: it is sent again under its own identifier, and its position in the log of events is that of its last
/// message, below zero. A digest that waits itself stays as it is.
///
/// # Errors
/// Where the database fails.
pub fn condense(
    connection: &mut Connection,
    channels: &[String],
    into: &str,
    new_id: impl Fn() -> String,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection.write(|connection| {
        let waiting: Vec<(i64, String)> = on_each_backend!(&mut *connection, |c| {
            notifications::table
                .filter(notifications::status.eq(PENDING))
                .filter(notifications::channel.eq_any(channels))
                .filter(notifications::seq.gt(0))
                .order(notifications::id.asc())
                .limit(DIGEST_MESSAGES_MAX)
                .select((notifications::id, notifications::message))
                .load(c)
        })?;
        // The key of a digest is that of the last row that it stands for: each row is in one digest alone, whereas
        // channels of one receiver have rows of the same events.
        let Some(last) = waiting.last().map(|(id, ..)| *id) else { return Ok(()) };
        let ids: Vec<_> = waiting.iter().map(|(id, ..)| *id).collect();
        let messages: Vec<_> =
            waiting.iter().filter_map(|(id, message)| read(*id, message)).collect();
        on_each_backend!(&mut *connection, |c| {
            diesel::update(notifications::table.filter(notifications::id.eq_any(&ids)))
                .set((
                    notifications::status.eq(DIGESTED),
                    notifications::ended_at.eq(to_micros(now)),
                ))
                .execute(c)
        })?;
        let digest = Message::digest(&messages, now.to_rfc3339());
        let row = (
            notifications::channel.eq(into),
            notifications::seq.eq(-last),
            notifications::message_id.eq(new_id()),
            notifications::message.eq(as_json(&digest)),
            notifications::status.eq(PENDING),
            notifications::attempts.eq(0_i64),
            notifications::next_attempt_at.eq(to_micros(now)),
            notifications::created_at.eq(to_micros(now)),
        );
        on_each_backend!(connection, |c| {
            diesel::insert_into(notifications::table).values(row).execute(c)
        })?;
        Ok(())
    })
}
