//! Questions about messages on their way to people.

use super::Question;
use crate::db::connection::Connection;
use crate::db::error::StoreError;
use crate::db::notifications::{self, ChannelState, Due, Letter, Outgoing, Totals};
use crate::domain::timestamp::Timestamp;

/// What is due to a receiver.
#[derive(Debug, Clone)]
pub struct GetNextDue {
    /// The receiver.
    pub receiver: String,
    /// The channels that lead to it.
    pub channels: Vec<String>,
    /// The present.
    pub now: Timestamp,
}

impl Question for GetNextDue {
    type Answer = Due;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        notifications::next_due(connection, &self.receiver, &self.channels, self.now)
    }
}

/// How channels do, in the order in which they are named.
#[derive(Debug, Clone)]
pub struct GetChannelStates {
    /// Each channel and its receiver.
    pub channels: Vec<(String, String)>,
    /// The present.
    pub now: Timestamp,
}

impl Question for GetChannelStates {
    type Answer = Vec<ChannelState>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        let Self { channels, now } = self;
        connection.read(|connection| {
            let state = |(channel, receiver): &(String, String)| {
                notifications::state_of(connection, channel, receiver, now)
            };
            channels.iter().map(state).collect()
        })
    }
}

/// What became of messages, the last one first.
#[derive(Debug, Clone)]
pub struct ListLetters {
    /// Of which channels.
    pub channels: Vec<String>,
    /// About which job; about anything where it is None.
    pub job_id: Option<String>,
    /// How many at most.
    pub limit: i64,
}

impl Question for ListLetters {
    type Answer = Vec<Letter>;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        notifications::history(connection, &self.channels, self.job_id.as_deref(), self.limit)
    }
}

/// How many messages became what.
#[derive(Debug, Clone)]
pub struct CountLetters {
    /// Of which channels.
    pub channels: Vec<String>,
    /// Planned since when.
    pub since: Timestamp,
}

impl Question for CountLetters {
    type Answer = Totals;

    fn look_up(self, connection: &mut Connection) -> Result<Self::Answer, StoreError> {
        notifications::totals(connection, &self.channels, self.since)
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
