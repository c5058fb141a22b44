//! `jobsyncd` keeps a true, durable copy of an account's cloud training jobs and tells everyone who
//! cares the moment something changes.

pub mod actors;
pub mod config;
pub mod daemon;
pub mod db;
pub mod domain;
pub mod http;
pub mod listener;
pub mod notification;
pub mod outgoing;
pub mod provider;
pub mod simulator;
mod ui;
