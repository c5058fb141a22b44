//! Names with values, as lists of facts show them.

use super::text::{Ago, Instant};

/// A name and its value.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub(crate) name: String,
    pub(crate) value: FactValue,
}

/// The value of a fact.
#[derive(Debug, Clone)]
pub(crate) enum FactValue {
    Text(String),
    /// An address of the web: see [`safe_link`](super::text::safe_link).
    Link(String),
    Instant(Instant),
    /// An instant, and who said so.
    Ago(Ago, Option<&'static str>),
}

impl Fact {
    pub(crate) fn text(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), value: FactValue::Text(text.into()) }
    }
}
