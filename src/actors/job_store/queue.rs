//! What the job store does for the queue: each message is one transaction, which is told once it is
//! committed.

use actix::prelude::*;

use super::{JobStore, StoreError};
use crate::actors::broadcaster::Announce;
use crate::actors::dispatcher::LookAtQueue;
use crate::db::queue::{self, Cancelled, Claim, NewSubmission, QueueSetting, Refusal};
use crate::domain::job::{Job, JobId};
use crate::domain::queue::{Limits, Priority, QueueEntry};
use crate::domain::timestamp::{Timestamp, now};

/// Stores a job that is to be submitted. Answers it, and whether it was there before.
#[derive(Debug, Message)]
#[rtype(result = "Result<(Job, bool), StoreError>")]
pub struct EnqueueJob(pub NewSubmission);

/// Takes the next jobs out of the queue, and stores that they are being handed over.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Claim>, StoreError>")]
pub struct ClaimJobs {
    /// The configured limits.
    pub limits: Limits,
    /// How many at most.
    pub at_most: usize,
}

/// Stores that the provider does not have a job that was being handed over.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct RefuseJob {
    /// Which job.
    pub job_id: JobId,
    /// What is done with it.
    pub refusal: Refusal,
    /// Why the provider does not have it.
    pub words: String,
}

/// Stores that a user wants a job to end.
#[derive(Debug, Message)]
#[rtype(result = "Result<Cancelled, StoreError>")]
pub struct RequestCancel {
    /// Which job.
    pub job_id: JobId,
}

/// Takes back that wish: the provider will not hear of it.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct WithdrawCancel {
    /// Which job.
    pub job_id: JobId,
}

/// Makes a job that waits more or less urgent. Answers its entry before and after.
#[derive(Debug, Message)]
#[rtype(result = "Result<(QueueEntry, QueueEntry), StoreError>")]
pub struct Prioritize {
    /// Which job.
    pub job_id: JobId,
    /// How urgent; None is as it was submitted.
    pub priority: Option<Priority>,
}

/// Changes a setting of the queue.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct ConfigureQueue(pub QueueSetting);

/// Deletes the entries of jobs that ended before an instant, and answers how many. The jobs stay.
#[derive(Debug, Message)]
#[rtype(result = "Result<usize, StoreError>")]
pub struct CleanUpQueue {
    /// The instant.
    pub before: Timestamp,
}

impl Handler<EnqueueJob> for JobStore {
    type Result = Result<(Job, bool), StoreError>;

    fn handle(&mut self, EnqueueJob(new): EnqueueJob, _: &mut Self::Context) -> Self::Result {
        let enqueued = self.with_connection(|connection, prices| {
            queue::enqueue(connection, &new, prices, now())
        })?;
        self.obstacle.is_gone();
        self.announce(Announce::events(enqueued.events));
        Ok((enqueued.job, enqueued.is_repeat))
    }
}

impl Handler<ClaimJobs> for JobStore {
    type Result = Result<Vec<Claim>, StoreError>;

    fn handle(&mut self, message: ClaimJobs, _: &mut Self::Context) -> Self::Result {
        let ClaimJobs { limits, at_most } = message;
        let (claims, events) =
            self.with_connection(|connection, _| queue::claim(connection, limits, at_most, now()))?;
        if !claims.is_empty() {
            self.announce(Announce::events(events));
        }
        Ok(claims)
    }
}

impl Handler<RefuseJob> for JobStore {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, message: RefuseJob, _: &mut Self::Context) -> Self::Result {
        let RefuseJob { job_id, refusal, words } = message;
        let recorded = self.with_connection(|connection, prices| {
            queue::refuse(connection, &job_id, &refusal, &words, prices, now())
        })?;
        self.tell(recorded);
        Ok(())
    }
}

impl Handler<RequestCancel> for JobStore {
    type Result = Result<Cancelled, StoreError>;

    fn handle(&mut self, message: RequestCancel, _: &mut Self::Context) -> Self::Result {
        let (cancelled, recorded) = self.with_connection(|connection, prices| {
            queue::cancel(connection, &message.job_id, prices, now())
        })?;
        self.tell(recorded);
        Ok(cancelled)
    }
}

impl Handler<WithdrawCancel> for JobStore {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, message: WithdrawCancel, _: &mut Self::Context) -> Self::Result {
        let recorded = self.with_connection(|connection, prices| {
            queue::withdraw_cancel(connection, &message.job_id, prices, now())
        })?;
        self.tell(recorded);
        Ok(())
    }
}

impl Handler<Prioritize> for JobStore {
    type Result = Result<(QueueEntry, QueueEntry), StoreError>;

    fn handle(&mut self, message: Prioritize, _: &mut Self::Context) -> Self::Result {
        let Prioritize { job_id, priority } = message;
        let (before, after, events) = self.with_connection(|connection, _| {
            queue::prioritize(connection, &job_id, priority, now())
        })?;
        self.announce(Announce::events(events));
        Ok((before, after))
    }
}

impl Handler<ConfigureQueue> for JobStore {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, message: ConfigureQueue, _: &mut Self::Context) -> Self::Result {
        let ConfigureQueue(setting) = message;
        let events =
            self.with_connection(|connection, _| queue::configure(connection, setting, now()))?;
        self.announce(Announce::events(events));
        // There may be room for more now.
        self.dispatcher.do_send(LookAtQueue::default());
        Ok(())
    }
}

impl Handler<CleanUpQueue> for JobStore {
    type Result = Result<usize, StoreError>;

    fn handle(&mut self, message: CleanUpQueue, _: &mut Self::Context) -> Self::Result {
        self.with_connection(|connection, _| {
            connection.write(|connection| queue::clean_up(connection, message.before))
        })
    }
}
