//! What can be wrong with a configuration: one line each, made to be read by whoever wrote it.

use std::path::PathBuf;

/// Why the daemon does not start with this configuration.
///
/// Each message names the source (a file, a variable, a flag), the key, and what is allowed. No
/// message holds a secret: a text that may be one is never repeated.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is missing, or may not be read.
    #[error("{}: cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The text is not YAML (or not TOML).
    #[error("{origin}: cannot be understood: {reason}")]
    Syntax {
        /// Where the text stands.
        origin: String,
        /// What the parser said, with line and column.
        reason: String,
    },
    /// The key is not one of ours.
    #[error("{origin}: unknown key `{key}`; {hint}")]
    UnknownKey {
        /// Where the key stands.
        origin: String,
        /// The whole key.
        key: String,
        /// The nearest key, or the allowed ones.
        hint: String,
    },
    /// The value has the wrong type, or is out of bounds.
    #[error("{origin}: `{key}` must be {allowed}, not {found}")]
    Invalid {
        /// Where the value stands.
        origin: String,
        /// The whole key.
        key: String,
        /// What the value may be.
        allowed: String,
        /// What it is, unless that may be a secret.
        found: String,
    },
    /// The value is understood, and refused for a reason.
    #[error("{origin}: `{key}` {reason}")]
    Refused {
        /// Where the value stands.
        origin: String,
        /// The whole key.
        key: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The embedded defaults lack a key that the daemon reads: a fault of the build, which the tests
    /// look for.
    #[error("embedded defaults: `{0}` is missing")]
    MissingDefault(String),
}

/// What a parser of one value finds wrong, before it is known whose value it is.
#[derive(Debug)]
pub(super) enum Problem {
    /// The value must be this, and may be repeated in the message.
    MustBe(String),
    /// The value is refused for this reason (a predicate: "has credentials in it, …"), and is not
    /// repeated.
    Refused(String),
}

impl Problem {
    pub(super) fn must_be(allowed: &str) -> Self {
        Self::MustBe(allowed.to_owned())
    }

    pub(super) fn refused(reason: &str) -> Self {
        Self::Refused(reason.to_owned())
    }
}
