//! What people are told outside of this daemon: which events are worth it, and how each service wants
//! to hear of them.

pub mod asked_pause;
mod backoff;
mod digest;
mod event_types;
mod fit;
mod formats;
mod message;

use serde::{Deserialize, Serialize};

pub use self::backoff::{Failure, Pauses, WAITING_MAX};
pub use self::event_types::EventType;
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
