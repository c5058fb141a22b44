//! The parser against labelled lines and whole runs.

pub(super) mod lines;
mod runs;
