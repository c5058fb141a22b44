//! How long a receiver is left alone, and when a message is sent again.
//!
//! A receiver that fails or asks for a pause is one receiver, whatever waits for it: nothing is sent to it
//! before the pause is over, so thirty messages are not thirty requests.

/// How often a message is sent at most.
const ATTEMPTS_MAX: u32 = 9;

/// How many messages may wait for one receiver before they become one digest.
pub const WAITING_MAX: usize = 20;

/// The longest that a receiver is obeyed, in seconds.
const ASKED_SECONDS_MAX: f64 = 86_400.0;

/// How often in a row a receiver that names a pause is tried again after just that pause. One that goes on
/// refusing after its own pauses is treated as one that fails.
const OBEYED_IN_A_ROW: u32 = 3;

/// The longest that a receiver is left alone where it did not ask for more, in seconds: who is back hears
/// of it within an hour.
const RECEIVER_SECONDS_MAX: f64 = 3_600.0;

/// The pauses after attempts that failed, in multiples of the first one: 5 s by default, then 30 s, 2 min,
/// 10 min, 1 h, 4 h and twice 8 h.
const PAUSES: [u32; ATTEMPTS_MAX as usize - 1] = [1, 6, 24, 120, 720, 2_880, 5_760, 5_760];

/// A message did not arrive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Failure {
    /// How often the message was sent by now.
    pub attempts: u32,
    /// How often the receiver has failed in a row by now.
    pub failures: u32,
    /// For how long the receiver asked to be left alone, in seconds.
    pub asked_seconds: Option<f64>,
    /// The receiver refuses this message; others may be taken.
    pub is_about_message: bool,
}

/// What follows from a failure, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pauses {
    /// How long nothing at all is sent to the receiver.
    pub receiver: f64,
    /// When the message is sent again; None where it was sent for the last time.
    pub message: Option<f64>,
}

impl Failure {
    /// The pauses after it, where the first one is `first_seconds`.
    pub fn pauses(self, first_seconds: u64) -> Pauses {
        let asked = self.asked_seconds.map(|asked| asked.clamp(0.0, ASKED_SECONDS_MAX));
        let own = own_pause(self.attempts, first_seconds);
        if let Some(asked) = asked.filter(|_| self.failures <= OBEYED_IN_A_ROW) {
            return Pauses { receiver: asked, message: own.map(|_| asked) };
        }
        let asked = asked.unwrap_or(0.0);
        let growing = own_pause(self.failures, first_seconds).unwrap_or(RECEIVER_SECONDS_MAX);
        let receiver = growing.min(RECEIVER_SECONDS_MAX).max(asked);
        // A message that is refused by itself lets those behind it go first.
        let behind = if self.is_about_message { receiver } else { 0.0 };
        Pauses { receiver, message: own.map(|own| own.max(asked) + behind) }
    }
}

/// The pause after so many attempts, from 1 on; None after the last one.
fn own_pause(attempts: u32, first_seconds: u64) -> Option<f64> {
    let index = usize::try_from(attempts.checked_sub(1)?).ok()?;
    Some(f64::from(*PAUSES.get(index)?) * first_seconds as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(attempts: u32, failures: u32, asked_seconds: Option<f64>) -> Pauses {
        Failure { attempts, failures, asked_seconds, is_about_message: false }.pauses(5)
    }

    #[test]
    fn a_message_is_tried_for_about_a_day() {
        let pauses: Vec<_> = (1..=9).map(|attempt| after(attempt, attempt, None).message).collect();
        let expected = [5, 30, 120, 600, 3_600, 14_400, 28_800, 28_800];
        assert_eq!(pauses[..8], expected.map(|seconds| Some(f64::from(seconds))));
        assert_eq!(pauses[8], None);
    }

    #[test]
    fn a_receiver_is_tried_at_least_once_an_hour() {
        let pauses: Vec<_> = (1..=12).map(|failures| after(1, failures, None).receiver).collect();
        assert_eq!(pauses[..5], [5.0, 30.0, 120.0, 600.0, 3_600.0]);
        assert!(pauses[5..].iter().all(|pause| *pause == 3_600.0), "{pauses:?}");
    }

    #[test]
    fn a_receiver_that_names_a_pause_is_obeyed_to_the_fraction_until_it_keeps_refusing() {
        for failures in 1..=3 {
            let pauses = after(1, failures, Some(0.35));
            assert_eq!(pauses, Pauses { receiver: 0.35, message: Some(0.35) });
        }
        assert_eq!(after(4, 4, Some(0.35)).receiver, 600.0);
        assert_eq!(after(4, 4, Some(9_000.0)).receiver, 9_000.0);
        assert_eq!(after(1, 1, Some(1e9)).receiver, 86_400.0);
    }

    #[test]
    fn a_message_that_is_refused_by_itself_lets_the_others_go_first() {
        let failure =
            Failure { attempts: 1, failures: 1, asked_seconds: None, is_about_message: true };
        let pauses = failure.pauses(5);
        assert!(pauses.message > Some(pauses.receiver), "{pauses:?}");
    }
}
