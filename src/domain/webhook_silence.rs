//! Whether webhooks that should come do not: a URL with no route behind it, a firewall, a wrong secret.
//!
//! Who is told by webhooks does not poll, so their silence must be noticed. Reconciliation asks now and then all
//! the same. Where it finds that a job has changed that began with our webhook, a webhook should have told of it,
//! or will within moments. Where none does, for one job after another, webhooks are silent.

use std::collections::{BTreeMap, BTreeSet};

use super::job::JobId;
use super::timestamp::Timestamp;

/// How many jobs must have changed without a webhook, with none of any job between them: one may have been lost
/// on its way.
pub const MISSED_JOBS: usize = 2;
/// How long after a change was found its webhook may still come. Asking can be faster by a moment.
pub const GRACE: chrono::Duration = chrono::Duration::seconds(5);

/// A change of a job that was found by asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundByAsking {
    /// The provider's name.
    pub provider: String,
    /// Which job.
    pub job_id: JobId,
    /// When it happened by the provider's clock, where that is known.
    pub happened_at: Option<Timestamp>,
}

/// The webhooks of one provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookSilence {
    /// The jobs of which a change was found by asking, and when, while their webhook may still come.
    found: BTreeMap<JobId, Timestamp>,
    /// The jobs of which none came.
    missed: BTreeSet<JobId>,
    since: Option<Timestamp>,
}

impl WebhookSilence {
    /// A change of a job was found at `now`.
    pub fn found(&mut self, job_id: JobId, now: Timestamp) {
        self.found.entry(job_id).or_insert(now);
    }

    /// A webhook about a job has come. Answers whether that ends a silence.
    pub fn heard(&mut self, job_id: &JobId) -> bool {
        self.found.remove(job_id);
        self.missed.clear();
        self.since.take().is_some()
    }

    /// Decides at `now` of the jobs whose webhooks had time to come. Answers the jobs of which none came where
    /// that is a silence that was not there before.
    pub fn judge(&mut self, now: Timestamp) -> Option<Vec<JobId>> {
        let (missed, found) =
            std::mem::take(&mut self.found).into_iter().partition(|(_, at)| now - *at >= GRACE);
        self.found = found;
        let missed: BTreeMap<JobId, Timestamp> = missed;
        self.missed.extend(missed.into_keys());
        if self.missed.len() < MISSED_JOBS || self.since.is_some() {
            return None;
        }
        self.since = Some(now);
        Some(self.missed.iter().cloned().collect())
    }

    /// When there will be something to decide; None where there is not.
    pub fn next_judgement_at(&self) -> Option<Timestamp> {
        self.found.values().min().map(|at| *at + GRACE)
    }

    /// Since when webhooks are silent, where they are.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Of how many jobs no webhook came since the last one.
    pub fn missed(&self) -> usize {
        self.missed.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timestamp::from_micros;

    fn second(second: i64) -> Timestamp {
        from_micros(second * 1_000_000)
    }

    fn job(number: usize) -> JobId {
        JobId(format!("job-{number}"))
    }

    #[test]
    fn jobs_that_change_one_after_the_other_without_a_webhook_are_a_silence() {
        let mut webhooks = WebhookSilence::default();
        webhooks.found(job(1), second(0));
        assert_eq!(webhooks.judge(second(5)), None, "one may be lost");
        webhooks.found(job(2), second(300));
        assert_eq!(webhooks.judge(second(304)), None, "it may still come");
        assert_eq!(webhooks.next_judgement_at(), Some(second(305)));
        assert_eq!(webhooks.judge(second(305)), Some(vec![job(1), job(2)]));
        webhooks.found(job(3), second(400));
        assert_eq!(webhooks.judge(second(500)), None, "it is told once");
        assert_eq!((webhooks.since(), webhooks.missed()), (Some(second(305)), 3));
    }

    #[test]
    fn the_same_job_again_is_no_other_job() {
        let mut webhooks = WebhookSilence::default();
        for begin in [0, 100, 200] {
            webhooks.found(job(1), second(begin));
            assert_eq!(webhooks.judge(second(begin + 10)), None);
        }
    }

    #[test]
    fn a_webhook_ends_the_silence_and_what_counted_towards_it() {
        let mut webhooks = WebhookSilence::default();
        webhooks.found(job(1), second(0));
        webhooks.judge(second(5));
        assert!(!webhooks.heard(&job(9)), "it had not come to that");
        webhooks.found(job(2), second(10));
        assert_eq!(webhooks.judge(second(15)), None);
        webhooks.found(job(3), second(20));
        assert!(webhooks.judge(second(25)).is_some());
        assert!(webhooks.heard(&job(3)));
        assert_eq!((webhooks.since(), webhooks.missed()), (None, 0));
    }

    #[test]
    fn asking_may_be_faster_than_the_webhook() {
        let mut webhooks = WebhookSilence::default();
        for number in 0..10 {
            webhooks.found(job(number), second(0));
            webhooks.heard(&job(number));
        }
        assert_eq!((webhooks.judge(second(60)), webhooks.next_judgement_at()), (None, None));
    }
}
