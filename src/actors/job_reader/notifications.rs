//! Questions about messages on their way to people.

use super::Question;
use crate::db::connection::Connection;
use crate::db::error::StoreError;
use crate::db::notifications::{self, ChannelState, Outgoing};
use crate::domain::timestamp::Timestamp;

/// The next message that is due to a channel.
#[derive(Debug, Clone)]
pub struct GetNextDue {
    /// The channel's name.
    pub channel: String,
    /// The present.
    pub now: Timestamp,
}

impl Question for GetNextDue {
    type Answer = Option<Outgoing>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        notifications::next_due(connection, &self.channel, self.now)
    }
}

/// How channels do, in the order in which they are named.
#[derive(Debug, Clone)]
pub struct GetChannelStates(pub Vec<String>);

impl Question for GetChannelStates {
    type Answer = Vec<ChannelState>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        connection.read(|connection| {
            self.0.iter().map(|channel| notifications::state_of(connection, channel)).collect()
        })
    }
}

/// Messages that could not be delivered, the last one first.
#[derive(Debug, Clone)]
pub struct ListDeadLetters {
    /// How many at most.
    pub limit: i64,
}

impl Question for ListDeadLetters {
    type Answer = Vec<Outgoing>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        notifications::dead_letters(connection, self.limit)
    }
}
