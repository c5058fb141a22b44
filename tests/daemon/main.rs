//! The whole daemon, on a real socket and a real database, against the simulator.

#[path = "../support/mod.rs"]
mod support;

mod access;
mod activity;
mod cancel;
mod costs;
mod curves;
mod errors;
mod events;
mod ingestor;
mod jobs;
mod last_log;
mod liveness;
mod logs;
mod notifications;
mod polling;
mod progress;
mod providers;
mod queue;
mod retention;
mod sessions;
mod submit;
mod sync;
mod sync_active;
mod timeline;
mod trainings;
mod webhooks;
