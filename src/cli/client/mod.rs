//! The client: commands that ask a running daemon.
//!
//! What a command prints is made by pure functions ([`table`], [`words`], [`job_text`], [`board`]);
//! [`api`] and [`subscription`] alone talk to the daemon. Data goes to standard output, everything that is said
//! about it to standard error, and how a command ends tells a script what it wants to know
//! ([`failure`]).

mod api;
mod bars;
mod board;
mod failure;
mod job_text;
mod jobs;
mod logs;
mod screen;
mod settings;
mod sse;
mod submit;
mod subscription;
mod sync;
mod table;
mod validate;
mod wait;
mod watch;
mod words;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;

pub(super) use failure::{ClientError, USAGE};
pub(super) use jobs::{JobsCommand, run as jobs};
pub(super) use sync::{SyncOptions, run as sync};
pub(super) use validate::{ValidateOptions, run as validate};
pub(super) use wait::{WaitOptions, run as wait};
pub(super) use watch::{WatchOptions, run as watch};

use api::{Answer, Api};
use settings::{Connection, Settings};

/// How wide a table may be where nobody says how wide the terminal is.
const TERMINAL_COLUMNS: usize = 80;

/// What every command of the client takes.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// How to print: a table for people, or the daemon's JSON for programs.
    #[arg(
        long,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "table|json"
    )]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// Aligned columns for people.
    #[default]
    Table,
    /// The daemon's JSON as it is.
    Json,
}

impl Common {
    fn api(&self) -> Result<Api, ClientError> {
        Ok(Api::new(Settings::from_process(&self.connection)?))
    }

    /// Prints an answer of the daemon as it was asked for.
    fn print(
        &self,
        answer: &Answer,
        table: impl FnOnce(&Value) -> String,
    ) -> Result<(), ClientError> {
        match self.format {
            Format::Table => print(&table(&answer.json)),
            Format::Json => print(&answer.text),
        }
    }
}

/// Runs a command of the client to its end.
pub(super) fn run<T: Future<Output = Result<ExitCode, ClientError>>>(
    command: T,
) -> Result<ExitCode, ClientError> {
    // An error means that the process has a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    actix_rt::System::new().block_on(command)
}

/// Writes to standard output. Where nobody reads it any more the command is done: it may have been one
/// that goes on for as long as there is something to tell.
fn print(text: &str) -> Result<(), ClientError> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{text}").and_then(|()| output.flush()).map_err(|_| ClientError::NobodyReads)
}

/// Says why a command failed.
pub(super) fn report(error: &ClientError) {
    if !matches!(error, ClientError::NobodyReads) {
        say(&error.to_string());
    }
}

/// Says something about what is going on, to people.
fn say(text: &str) {
    // Whoever closed it does not want to know.
    let _ = writeln!(std::io::stderr(), "jobsyncd: {text}");
}

/// How many columns a table may have: what the terminal has, or any number where it goes elsewhere.
fn columns() -> Option<usize> {
    std::io::stdout().is_terminal().then(|| {
        let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        told.unwrap_or(TERMINAL_COLUMNS)
    })
}
