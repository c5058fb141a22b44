//! The actors: one file each, with its purpose, its messages and its handlers.
//!
//! Only `daemon.rs` names them all. An actor names others as `Recipient<Message>`, so that a test
//! can stand in for any of them.

pub mod accountant;
pub mod broadcaster;
pub mod canceller;
pub mod dispatcher;
mod event_replay;
pub mod job_reader;
pub mod job_store;
pub mod log_keeper;
pub mod log_watcher;
pub mod notifier;
pub mod poller;
pub mod provider_client;
pub mod pruner;
pub mod syncer;
pub mod webhook_ingestor;
mod webhook_key;
pub mod webhook_monitor;
