//! Durable storage: connections, schema, and queries as plain functions.
//!
//! The same functions run on SQLite and PostgreSQL. Diesel checks every query against the types of
//! one backend, so [`on_each_backend!`] writes a query once and expands it for both.

pub mod audit;
pub mod connection;
pub mod costs;
pub mod database;
mod database_file;
pub mod deliveries;
pub mod error;
pub mod events;
mod file_content;
pub mod job_search;
pub mod job_series;
pub mod job_texts;
pub mod jobs;
pub mod logs;
pub mod metrics;
pub mod migration;
pub mod notifications;
pub mod observations;
mod orphaned_log;
pub mod queue;
pub mod retention;
mod row;
mod schema;
pub mod settings;

/// Runs an expression on whichever connection there is: `on_each_backend!(connection, |c| …)`.
macro_rules! on_each_backend {
    ($connection:expr, |$inner:ident| $query:expr) => {
        match $connection {
            $crate::db::connection::Connection::Sqlite($inner) => $query,
            $crate::db::connection::Connection::Postgres($inner) => $query,
        }
    };
}
pub(crate) use on_each_backend;
