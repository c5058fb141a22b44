//! How many calls to a provider we may still make.
//!
//! The provider tells with every answer how many calls are left until when. Of what the whole
//! account has in that window, the daemon uses a configured share at most, so that the user's own
//! programs never meet a limit because of us.

use chrono::Duration;

use super::timestamp::Timestamp;

/// What the provider allows before its first answer told us (`provider.md`, "Limits").
const ASSUMED_CALLS_A_MINUTE: u64 = 3_000;

/// The calls of one provider in its present window.
#[derive(Debug, Clone)]
pub struct RateBudget {
    share: f64,
    /// Calls left to the whole account, as the provider said last.
    remaining: u64,
    /// Calls that we made in this window.
    used: u64,
    window_ends_at: Timestamp,
    /// No call before this: the provider said so by 429.
    blocked_until: Option<Timestamp>,
}

impl RateBudget {
    /// A budget of `share` (above 0, at most 1) of the provider's limit.
    pub fn new(share: f64, now: Timestamp) -> Self {
        Self {
            share,
            remaining: ASSUMED_CALLS_A_MINUTE,
            used: 0,
            window_ends_at: now + Duration::minutes(1),
            blocked_until: None,
        }
    }

    /// Takes one call out of the budget.
    ///
    /// # Errors
    /// How long to wait where nothing is left.
    pub fn take(&mut self, now: Timestamp) -> Result<(), Duration> {
        if let Some(until) = self.blocked_until.filter(|until| *until > now) {
            return Err(until - now);
        }
        if now >= self.window_ends_at {
            self.open_window(ASSUMED_CALLS_A_MINUTE, now + Duration::minutes(1));
        }
        if self.used >= self.allowance() {
            return Err(self.window_ends_at - now);
        }
        self.used += 1;
        self.remaining = self.remaining.saturating_sub(1);
        Ok(())
    }

    /// Notes what an answer said: `ratelimit-remaining`, and `ratelimit-reset` in seconds.
    pub fn learn(&mut self, remaining: u64, reset_seconds: u64, now: Timestamp) {
        let ends_at = now + seconds(reset_seconds);
        // Answers overtake each other, so a window's end wavers by the time that they took.
        if ends_at > self.window_ends_at + Duration::seconds(5) {
            self.used = 0;
        }
        self.remaining = remaining;
        self.window_ends_at = ends_at;
    }

    /// Notes that the provider refused a call (429) and for how long.
    pub fn block(&mut self, for_seconds: u64, now: Timestamp) {
        self.blocked_until = self.blocked_until.max(Some(now + seconds(for_seconds)));
    }

    /// How many calls we may still make in this window.
    pub fn left(&self) -> u64 {
        self.allowance().saturating_sub(self.used)
    }

    fn open_window(&mut self, remaining: u64, ends_at: Timestamp) {
        self.remaining = remaining;
        self.used = 0;
        self.window_ends_at = ends_at;
    }

    /// The share of what the account has in this window, at least one call: a daemon that may
    /// never ask could never learn that there is room again.
    fn allowance(&self) -> u64 {
        let window = (self.remaining + self.used) as f64;
        ((window * self.share) as u64).max(1)
    }
}

fn seconds(count: u64) -> Duration {
    // A provider that says "in a year" would be believed for a day at most.
    Duration::seconds(i64::try_from(count.min(86_400)).unwrap_or(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timestamp::parse;

    fn start() -> Timestamp {
        parse("2026-03-01T10:00:00Z").expect("an instant")
    }

    fn take_all(budget: &mut RateBudget, now: Timestamp) -> u64 {
        (0..).take_while(|_| budget.take(now).is_ok()).count() as u64
    }

    #[test]
    fn no_more_than_the_share_of_the_limit_is_used() {
        let mut budget = RateBudget::new(0.2, start());
        assert_eq!(take_all(&mut budget, start()), 600);
    }

    #[test]
    fn what_others_use_lessens_our_share() {
        let mut budget = RateBudget::new(0.2, start());
        budget.learn(100, 30, start());
        assert_eq!(take_all(&mut budget, start()), 20);
    }

    #[test]
    fn answers_do_not_give_back_what_was_used() {
        let mut budget = RateBudget::new(0.5, start());
        budget.learn(10, 30, start());
        let mut taken = 0;
        while budget.take(start()).is_ok() {
            taken += 1;
            budget.learn(10 - taken, 30, start());
        }
        assert_eq!(taken, 5);
    }

    #[test]
    fn a_new_window_brings_new_calls() {
        let mut budget = RateBudget::new(0.2, start());
        budget.learn(10, 30, start());
        assert_eq!(take_all(&mut budget, start()), 2);
        let wait = budget.take(start()).expect_err("used up");
        assert_eq!(wait, Duration::seconds(30));
        assert!(budget.take(start() + wait).is_ok());
    }

    #[test]
    fn after_a_429_nobody_calls_until_the_provider_said() {
        let mut budget = RateBudget::new(1.0, start());
        budget.block(7, start());
        assert_eq!(budget.take(start()), Err(Duration::seconds(7)));
        assert!(budget.take(start() + Duration::seconds(7)).is_ok());
    }

    #[test]
    fn one_call_is_always_possible_in_a_window() {
        let mut budget = RateBudget::new(0.2, start());
        budget.learn(0, 30, start());
        assert_eq!(take_all(&mut budget, start()), 1);
    }
}
