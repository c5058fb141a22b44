//! What people are told outside of this daemon: which events are worth it, and how each service wants
//! to hear of them.

mod formats;
mod message;

use serde::{Deserialize, Serialize};

pub use self::formats::{Format, Rendered};
pub use self::message::Message;
use super::job::UnknownWord;

/// What a channel can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// A job ended well.
    Completed,
    /// A job ended with an error.
    Failed,
    /// A job was cancelled.
    Cancelled,
    /// A running job takes no more steps.
    Stalled,
    /// The provider does not know a job any more.
    Gone,
    /// The loss of a job is nan or infinite.
    LossNotFinite,
    /// A limit on spending is near, or reached.
    Budget,
}

impl Topic {
    /// Every topic with its name.
    pub const ALL: [(&'static str, Self); 7] = [
        ("completed", Self::Completed),
        ("failed", Self::Failed),
        ("cancelled", Self::Cancelled),
        ("stalled", Self::Stalled),
        ("gone", Self::Gone),
        ("loss_not_finite", Self::LossNotFinite),
        ("budget", Self::Budget),
    ];

    /// The kinds of events of which one may follow.
    pub const EVENT_KINDS: [&'static str; 7] = [
        "job_status_changed",
        "job_discovered",
        "job_stalled",
        "job_gone",
        "loss_not_finite",
        "budget_warning",
        "budget_exceeded",
    ];
}

impl std::str::FromStr for Topic {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        UnknownWord::look_up(word, &Self::ALL)
    }
}

/// How often a message is sent at most.
pub const ATTEMPTS_MAX: u32 = 9;

/// The pauses after attempts that failed, in multiples of the first one: 5 s by default, then 30 s, 2 min,
/// 10 min, 1 h, 4 h and twice 8 h.
const PAUSES: [u32; ATTEMPTS_MAX as usize - 1] = [1, 6, 24, 120, 720, 2_880, 5_760, 5_760];

/// How long to wait after the attempt with this number, from 1 on, has failed, in seconds; None after the
/// last one. What the receiver asks for is waited for, up to a day.
pub fn pause_seconds(attempt: u32, first_seconds: u64, asked_seconds: Option<u64>) -> Option<u64> {
    let index = usize::try_from(attempt.checked_sub(1)?).ok()?;
    let own = u64::from(*PAUSES.get(index)?).saturating_mul(first_seconds);
    Some(own.max(asked_seconds.unwrap_or(0).min(86_400)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_tried_for_about_a_day() {
        let pauses: Vec<_> = (1..=9).map(|attempt| pause_seconds(attempt, 5, None)).collect();
        let expected = [5, 30, 120, 600, 3_600, 14_400, 28_800, 28_800].map(Some);
        assert_eq!(pauses[..8], expected);
        assert_eq!(pauses[8], None);
        assert_eq!(pause_seconds(1, 5, Some(90)), Some(90));
        assert_eq!(pause_seconds(3, 5, Some(90)), Some(120));
    }
}
