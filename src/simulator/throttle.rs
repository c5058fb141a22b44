//! The provider's rate limits: so many calls a minute, counted apart for creates and for the rest.

use chrono::{DateTime, TimeDelta, Utc};

const WINDOW: TimeDelta = TimeDelta::seconds(60);

/// What is left of a limit; the values of the headers `ratelimit-remaining` and `ratelimit-reset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) remaining: u32,
    pub(super) reset_seconds: i64,
}

/// One limit over a fixed window that begins with the first call in it.
#[derive(Clone, Debug)]
pub(super) struct Throttle {
    limit: u32,
    used: u32,
    window_started_at: DateTime<Utc>,
}

impl Throttle {
    pub(super) fn new(limit_per_minute: u32) -> Self {
        Self { limit: limit_per_minute, used: 0, window_started_at: DateTime::UNIX_EPOCH }
    }

    /// Counts a call; the error says what is left (nothing) when it was one too many.
    pub(super) fn take(&mut self, now: DateTime<Utc>) -> Result<Quota, Quota> {
        if now - self.window_started_at >= WINDOW {
            self.window_started_at = now;
            self.used = 0;
        }
        let is_allowed = self.used < self.limit;
        self.used += u32::from(is_allowed);
        let window_left = self.window_started_at + WINDOW - now;
        let quota = Quota {
            remaining: self.limit - self.used,
            // Rounded up: a client that waits this long must find the window open.
            reset_seconds: (window_left.num_milliseconds() + 999) / 1000,
        };
        if is_allowed { Ok(quota) } else { Err(quota) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_too_many_is_refused_until_the_window_is_over() {
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::days(1) + TimeDelta::seconds(seconds);
        let mut throttle = Throttle::new(2);
        assert_eq!(throttle.take(at(0)), Ok(Quota { remaining: 1, reset_seconds: 60 }));
        assert!(throttle.take(at(20)).is_ok());
        assert_eq!(throttle.take(at(30)), Err(Quota { remaining: 0, reset_seconds: 30 }));
        assert!(throttle.take(at(60)).is_ok());
    }
}
