//! The parser against labelled lines and whole runs.

mod counts;
pub(super) mod lines;
mod runs;
