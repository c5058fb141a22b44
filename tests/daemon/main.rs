//! The whole daemon, on a real socket and a real database, against the simulator.

#[path = "../support/mod.rs"]
mod support;

mod polling;
mod progress;
mod sync;
mod sync_active;
