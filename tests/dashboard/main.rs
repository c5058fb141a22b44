//! The dashboard in a real browser, on a real daemon and a simulated account.

#[path = "../support/mod.rs"]
mod support;

mod browser;
mod connection;
mod everyone;
mod hostile;
mod job;
mod jobs;
mod log;
mod screenshots;
mod speed;
mod stage;
mod states;
mod views;
