//! A circuit breaker: stops hammering a provider that is out of order, and looks again by itself.

use chrono::Duration;

use super::timestamp::Timestamp;

/// Failures in a row after which the breaker opens.
const FAILURES_TO_OPEN: u32 = 5;
/// How long the breaker stays open at first; it doubles with every failed trial.
const FIRST_PAUSE_SECONDS: i64 = 5;
/// The longest that the breaker stays open between two trials.
const LONGEST_PAUSE_SECONDS: i64 = 120;

/// The breaker of one provider.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    failures: u32,
    pause_seconds: i64,
    next_trial_at: Option<Timestamp>,
    /// Whether a trial is on its way. Other failures are of calls from before it opened.
    is_on_trial: bool,
}

/// What the last outcome did to the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerChange {
    /// It opened: the provider counts as out of order.
    Opened,
    /// It closed again: the provider is back.
    Closed,
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerState {
    /// `closed`: calls go through; `open`: none does; `half_open`: one tries.
    pub state: &'static str,
    /// Failures in a row.
    pub failures: u32,
    /// In how many seconds the next call may be tried, where none goes through.
    pub retry_after_seconds: Option<u64>,
}

impl Breaker {
    /// Whether a call may be made. When the pause is over, one trial call may; while that is on
    /// its way the others wait for another pause.
    ///
    /// # Errors
    /// How long until the next trial.
    pub fn admit(&mut self, now: Timestamp) -> Result<(), Duration> {
        match self.next_trial_at {
            Some(trial_at) if now < trial_at => Err(trial_at - now),
            Some(_) => {
                self.next_trial_at = Some(now + Duration::seconds(self.pause_seconds));
                self.is_on_trial = true;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Notes an answer: any answer that shows the provider at work, also a refusal.
    pub fn succeeded(&mut self) -> Option<BreakerChange> {
        let was_open = self.is_open();
        *self = Self::default();
        was_open.then_some(BreakerChange::Closed)
    }

    /// Notes a failure: no connection, no answer in time, or 5xx.
    pub fn failed(&mut self, now: Timestamp) -> Option<BreakerChange> {
        self.failures += 1;
        if self.failures < FAILURES_TO_OPEN {
            return None;
        }
        let was_open = self.is_open();
        if was_open && !std::mem::take(&mut self.is_on_trial) {
            // Calls that were on their way together fail together; that says no more than the first.
            return None;
        }
        self.pause_seconds =
            (self.pause_seconds * 2).clamp(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS);
        self.next_trial_at = Some(now + Duration::seconds(self.pause_seconds));
        (!was_open).then_some(BreakerChange::Opened)
    }

    /// How it stands, for people and their monitors.
    pub fn state(&self, now: Timestamp) -> BreakerState {
        let state = match self.next_trial_at {
            None => "closed",
            Some(_) if self.is_on_trial => "half_open",
            Some(_) => "open",
        };
        let wait = self.next_trial_at.map(|trial_at| (trial_at - now).num_milliseconds());
        let retry_after_seconds = wait.map(|wait| wait.max(0).unsigned_abs().div_ceil(1_000));
        BreakerState { state, failures: self.failures, retry_after_seconds }
    }

    /// Whether the provider counts as out of order.
    pub fn is_open(&self) -> bool {
        self.next_trial_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timestamp::parse;

    fn start() -> Timestamp {
        parse("2026-03-01T10:00:00Z").expect("an instant")
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 1..FAILURES_TO_OPEN {
            assert_eq!(breaker.failed(start()), None);
        }
        assert_eq!(breaker.failed(start()), Some(BreakerChange::Opened));
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::default();
        for _ in 0..20 {
            breaker.failed(start());
            assert_eq!(breaker.succeeded(), None);
        }
        assert!(breaker.admit(start()).is_ok());
        assert!(opened().admit(start()).is_err());
    }

    #[test]
    fn after_the_pause_one_trial_is_let_through() {
        let mut breaker = opened();
        let pause = breaker.admit(start()).expect_err("open");
        assert!(breaker.admit(start() + pause).is_ok());
        assert!(breaker.admit(start() + pause).is_err());
    }

    #[test]
    fn a_trial_that_succeeds_closes_it() {
        let mut breaker = opened();
        assert_eq!(breaker.succeeded(), Some(BreakerChange::Closed));
        assert!(breaker.admit(start()).is_ok());
    }

    #[test]
    fn calls_that_fail_together_open_it_no_longer_than_one() {
        let mut breaker = opened();
        for _ in 0..30 {
            assert_eq!(breaker.failed(start()), None);
        }
        assert_eq!(breaker.admit(start()), Err(Duration::seconds(FIRST_PAUSE_SECONDS)));
    }

    #[test]
    fn every_failed_trial_doubles_the_pause_up_to_a_bound() {
        let mut breaker = opened();
        let mut now = start();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = breaker.admit(now).expect_err("open");
            pauses.push(pause.num_seconds());
            now += pause;
            assert!(breaker.admit(now).is_ok());
            assert_eq!(breaker.failed(now), None);
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 120, 120, 120]);
    }
}
