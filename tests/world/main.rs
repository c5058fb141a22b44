//! The world outside: what other programs, proxies, clients and faults were seen to do to systems like this
//! one, each against the whole daemon. TESTING.md says which public reports the cases come from.

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod database_file;
mod notification_routes;
mod people;
mod proxies;
mod reading;
mod strange_values;
mod trainer_webhooks;
mod webhook_urls;
