//! What became of the webhooks: the record tests and the control routes read.

use std::collections::VecDeque;

use serde::Serialize;

use super::status::Status;
use super::webhooks::WebhookEvent;

/// Deliveries that are remembered; older ones are forgotten.
const MOST_DELIVERIES: usize = 10_000;

/// What became of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The job it told of.
    pub job_id: String,
    /// What it told.
    pub event: WebhookEvent,
    /// The job's status in its body.
    pub status: Status,
    /// Its id, the same in every attempt.
    pub webhook_id: String,
    /// How often it was sent so far.
    pub attempts: u32,
    /// The HTTP status of the last answer; `None` if there was none.
    pub last_status: Option<u16>,
    /// How it ended.
    pub outcome: DeliveryOutcome,
}

/// How the delivery of a webhook ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryOutcome {
    /// It has not ended yet.
    UnderWay,
    /// The receiver took it.
    Delivered,
    /// It is not tried again.
    GivenUp,
    /// A fault swallowed it.
    Dropped,
}

/// Names a record for as long as it is remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeliveryNumber(usize);

/// The last deliveries, oldest first.
#[derive(Debug, Default)]
pub(super) struct DeliveryLog {
    entries: VecDeque<Delivery>,
    forgotten: usize,
}

impl DeliveryLog {
    pub(super) fn begin(&mut self, delivery: Delivery) -> DeliveryNumber {
        if self.entries.len() == MOST_DELIVERIES {
            self.entries.pop_front();
            self.forgotten += 1;
        }
        self.entries.push_back(delivery);
        DeliveryNumber(self.forgotten + self.entries.len() - 1)
    }

    /// The record, or `None` once it is forgotten.
    pub(super) fn get_mut(&mut self, number: DeliveryNumber) -> Option<&mut Delivery> {
        self.entries.get_mut(number.0.checked_sub(self.forgotten)?)
    }

    pub(super) fn all(&self) -> Vec<Delivery> {
        self.entries.iter().cloned().collect()
    }

    /// The first delivery of this event of this job that has ended.
    pub(super) fn finished(&self, job_id: &str, event: WebhookEvent) -> Option<Delivery> {
        let is_wanted = |delivery: &&Delivery| {
            delivery.job_id == job_id
                && delivery.event == event
                && delivery.outcome != DeliveryOutcome::UnderWay
        };
        self.entries.iter().find(is_wanted).cloned()
    }
}
