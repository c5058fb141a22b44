//! Why a command of the client failed, and how the process ends then.

use std::time::Duration;

/// How the process ends where nobody answered.
const NO_ANSWER: u8 = 3;
/// How it ends where there is no such job.
const NO_SUCH_JOB: u8 = 4;
/// How it ends after any other trouble.
const OTHER_TROUBLE: u8 = 5;
/// How it ends where the command line makes no sense: `EX_USAGE` of sysexits.
pub(in super::super) const USAGE: u8 = 64;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum ClientError {
    /// The flags, the environment or a file that they name.
    #[error("{0}")]
    Usage(String),
    /// No connection, or one that broke.
    #[error("cannot reach {server}: is the daemon running? ({cause})")]
    Unreachable { server: String, cause: String },
    /// A connection, and nothing that came over it.
    #[error("no answer from {server} within {} s", patience.as_secs())]
    NoAnswer { server: String, patience: Duration },
    /// The server answered an error.
    #[error("{detail}{}", hint.unwrap_or_default())]
    Refused {
        status: u16,
        /// The stable name of the error, empty where another server than ours answered.
        name: String,
        detail: String,
        hint: Option<&'static str>,
        retry_after: Option<Duration>,
    },
    /// The answer is not what this server answers.
    #[error("{server} answered something that is not the daemon's: {problem}")]
    Garbled { server: String, problem: String },
    /// Standard output is closed.
    #[error("nobody reads standard output")]
    NobodyReads,
}

impl ClientError {
    /// How the process ends.
    pub(in super::super) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Unreachable { .. } | Self::NoAnswer { .. } => NO_ANSWER,
            Self::Refused { .. } if self.is_unknown_job() => NO_SUCH_JOB,
            Self::Refused { .. } | Self::Garbled { .. } => OTHER_TROUBLE,
            // Whoever closed it had seen enough.
            Self::NobodyReads => 0,
        }
    }

    /// Whether the same may well succeed a little later: the daemon is being started again, or a proxy
    /// before it says that it is.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NoAnswer { .. } => true,
            Self::Refused { status, .. } => matches!(status, 429 | 502..=504),
            Self::Usage(_) | Self::Garbled { .. } | Self::NobodyReads => false,
        }
    }

    /// Whether there are as many streams as there may be.
    pub(super) fn is_connection_limit(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if name == "connection_limit_reached")
    }

    /// Whether there is no such job.
    pub(super) fn is_unknown_job(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if name == "job_not_found")
    }

    /// When the server wants to be asked again.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
