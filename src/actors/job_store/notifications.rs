//! What the job store does for the notifier.

use actix::prelude::*;
use uuid::Uuid;

use super::{JobStore, StoreError};
use crate::db::notifications::{self, Attempt, Listener, Noted};
use crate::domain::timestamp::now;

/// Notes what channels are to be told of the events since they were last looked through. Answers whether
/// there are more.
#[derive(Debug, Message)]
#[rtype(result = "Result<bool, StoreError>")]
pub struct PlanNotifications {
    /// The channels.
    pub listeners: Vec<Listener>,
}

/// Makes one message of those that wait for a receiver.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct CondenseNotifications {
    /// The channels that lead to it.
    pub channels: Vec<String>,
    /// The channel to which the one message goes.
    pub into: String,
}

/// Notes what an attempt to send a message came to. Answers what becomes of the message.
#[derive(Debug, Message)]
#[rtype(result = "Result<Noted, StoreError>")]
pub struct NoteAttempt(pub Attempt);

/// Has a dead letter sent again. Answers whether there is one of this number.
#[derive(Debug, Message)]
#[rtype(result = "Result<bool, StoreError>")]
pub struct ReviveDeadLetter {
    /// Which message.
    pub id: i64,
}

impl Handler<PlanNotifications> for JobStore {
    type Result = Result<bool, StoreError>;

    fn handle(&mut self, message: PlanNotifications, _: &mut Self::Context) -> Self::Result {
        let new_id = || Uuid::now_v7().to_string();
        self.with_connection(|connection, _| {
            notifications::plan(connection, &message.listeners, new_id, now())
        })
    }
}

impl Handler<CondenseNotifications> for JobStore {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, message: CondenseNotifications, _: &mut Self::Context) -> Self::Result {
        let CondenseNotifications { channels, into } = message;
        let new_id = || Uuid::now_v7().to_string();
        self.with_connection(|connection, _| {
            notifications::condense(connection, &channels, &into, new_id, now())
        })
    }
}

impl Handler<NoteAttempt> for JobStore {
    type Result = Result<Noted, StoreError>;

    fn handle(&mut self, message: NoteAttempt, _: &mut Self::Context) -> Self::Result {
        self.with_connection(|connection, _| {
            notifications::note_attempt(connection, &message.0, now())
        })
    }
}

impl Handler<ReviveDeadLetter> for JobStore {
    type Result = Result<bool, StoreError>;

    fn handle(&mut self, message: ReviveDeadLetter, _: &mut Self::Context) -> Self::Result {
        self.with_connection(|connection, _| notifications::revive(connection, message.id, now()))
    }
}
