//! The real binary, killed at any moment, and on storage that fails.

#[path = "../support/mod.rs"]
mod support;

mod killed;
mod storage;
