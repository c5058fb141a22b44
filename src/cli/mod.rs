//! What the command line offers: one file a command.

mod check_config;
mod client;
mod demo;
mod handed_over;
mod outlived;
mod serve;
mod simulate;
mod token;
mod verify;

use std::fmt;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jobsyncd::config::{ConfigError, Flags};
use jobsyncd::daemon::StartError;
use jobsyncd::db::migration::SchemaError;

use client::{ClientError, JobsCommand, SyncOptions, ValidateOptions, WaitOptions, WatchOptions};

/// Keeps one true, durable copy of your cloud training jobs, and pushes every change the moment it
/// happens.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon.
    ///
    /// With REPLICATE_API_TOKEN set it needs no file: it tracks the account of that token, keeps its
    /// database under the user's state folder, and listens on http://127.0.0.1:8001.
    Serve(Flags),
    /// Run the daemon against a simulated Replicate, on a database that is thrown away.
    Demo(demo::Options),
    /// Run a simulated Replicate, for trying out clients and webhooks without an account.
    Simulate(simulate::Options),
    /// Read the configuration, say what is in force and where it comes from, or what is wrong.
    CheckConfig(Flags),
    /// Compare the stored jobs with the log of events, and tell every difference.
    ///
    /// It only reads, and a daemon may run meanwhile. It ends with 0 where there is no difference.
    Verify(Flags),
    /// Make up an API key, for server.api_keys.
    Token,
    /// List, show and change jobs of a running daemon.
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Watch all active jobs: a bar for each in a terminal, lines elsewhere.
    ///
    /// With --format json every event of the daemon is a line. It goes on until it is stopped.
    Watch(WatchOptions),
    /// Discover the jobs of an account, and bring the known ones up to date.
    Sync(SyncOptions),
    /// Say whether the daemon's token for a provider is good; it ends with 1 where it is not.
    Validate(ValidateOptions),
    /// Wait until a job has ended.
    ///
    /// It ends with 0 where the job is completed, 1 where it failed, 2 where it was cancelled, 3 where the
    /// daemon does not answer, 4 where there is no such job, 5 after any other trouble, and 64 where the
    /// command line makes no sense.
    Wait(WaitOptions),
}

/// Why a command failed: one line for the user.
type Failure = Box<dyn std::error::Error>;

/// How the program ends where trying again would end the same: a bad configuration, a damaged
/// database, or one of a newer program. It is `EX_CONFIG` of sysexits, and the systemd unit does not restart after it.
const LASTING: u8 = 78;

/// Reads the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // Nobody is left to tell where even this cannot be written.
            let _ = usage.print();
            // Not 2, as clap would: by that `wait` says that a job was cancelled.
            return ExitCode::from(if usage.use_stderr() { client::USAGE } else { 0 });
        }
    };
    run(cli).unwrap_or_else(|failure| report(&failure))
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Serve(flags) => serve::run(flags)?,
        Command::Demo(options) => demo::run(&options)?,
        Command::Simulate(options) => simulate::run(&options)?,
        Command::CheckConfig(flags) => check_config::run(flags)?,
        Command::Verify(flags) => verify::run(flags)?,
        Command::Token => token::run()?,
        Command::Jobs(command) => return Ok(client::run(client::jobs(&command))?),
        Command::Watch(options) => return Ok(client::run(client::watch(&options))?),
        Command::Sync(options) => return Ok(client::run(client::sync(&options))?),
        Command::Validate(options) => return Ok(client::run(client::validate(&options))?),
        Command::Wait(options) => return Ok(client::run(client::wait(&options))?),
    }
    Ok(ExitCode::SUCCESS)
}

/// Says why a command failed, and answers how the program ends.
fn report(failure: &Failure) -> ExitCode {
    if let Some(error) = failure.downcast_ref::<ClientError>() {
        client::report(error);
        return ExitCode::from(error.exit_code());
    }
    log::error!("{failure}");
    if is_lasting(failure) { ExitCode::from(LASTING) } else { ExitCode::FAILURE }
}

/// Whether a command would fail again until somebody has changed something.
fn is_lasting(failure: &Failure) -> bool {
    failure.is::<ConfigError>()
        || failure.is::<handed_over::HandedOverError>()
        || matches!(failure.downcast_ref(), Some(SchemaError::Unknown { .. }))
        || failure.downcast_ref::<StartError>().is_some_and(StartError::is_lasting)
}

/// Writes what a command was asked for to standard output. A reader that has closed the pipe has
/// seen enough.
fn print(text: impl fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}
