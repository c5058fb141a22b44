//! `jobsyncd jobs`: the list, one job, and what can be done to it.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jobsyncd::domain::timestamp::now;

use super::logs::{self, LogsOptions};
use super::submit::{self, SubmitOptions};
use super::words::clean;
use super::{ClientError, Common, columns, job_text, say};

/// What can be asked of jobs.
#[derive(Debug, Subcommand)]
pub(in super::super) enum JobsCommand {
    /// List jobs, newest first.
    #[command(visible_alias = "ls")]
    List(ListOptions),
    /// Show one job.
    Get(JobOptions),
    /// Print the log of a job, and go on while it grows.
    Logs(LogsOptions),
    /// Cancel a job at its provider.
    Cancel(JobOptions),
    /// Start a job.
    Submit(Box<SubmitOptions>),
}

/// Which jobs are listed.
#[derive(Debug, Args)]
pub(in super::super) struct ListOptions {
    /// Only jobs in this state, or in one of several with commas between them.
    #[arg(long)]
    status: Option<String>,
    /// Only jobs of this provider.
    #[arg(long)]
    provider: Option<String>,
    /// Only jobs with this text in id, name, model or error.
    #[arg(long, value_name = "TEXT")]
    query: Option<String>,
    /// The order: newest, oldest, cost or name.
    #[arg(long, value_name = "ORDER")]
    sort: Option<String>,
    /// How many jobs at most, 1 to 500 [default: 50].
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// How many matching jobs to skip first.
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: u32,
    /// Ask the provider how every active job is before listing.
    #[arg(long)]
    sync: bool,
    #[command(flatten)]
    common: Common,
}

/// Which job is meant.
#[derive(Debug, Args)]
pub(in super::super) struct JobOptions {
    /// The job's id.
    #[arg(value_parser = job_id)]
    job: String,
    #[command(flatten)]
    common: Common,
}

/// Refuses what would be another route: a URL drops such segments.
pub(super) fn job_id(text: &str) -> Result<String, String> {
    match text.trim() {
        "" | "." | ".." => Err("this is no id of a job".to_owned()),
        id => Ok(id.to_owned()),
    }
}

/// Runs one of them.
pub(in super::super) async fn run(command: &JobsCommand) -> Result<ExitCode, ClientError> {
    match command {
        JobsCommand::List(options) => list(options).await,
        JobsCommand::Get(options) => get(options).await,
        JobsCommand::Logs(options) => logs::run(options).await,
        JobsCommand::Cancel(options) => cancel(options).await,
        JobsCommand::Submit(options) => submit::run(options).await,
    }
}

async fn list(options: &ListOptions) -> Result<ExitCode, ClientError> {
    let api = options.common.api()?;
    let mut parameters = vec![("offset", options.offset.to_string())];
    let texts = [
        ("status", &options.status),
        ("provider", &options.provider),
        ("q", &options.query),
        ("sort", &options.sort),
    ];
    parameters.extend(texts.into_iter().filter_map(|(name, text)| Some((name, text.clone()?))));
    parameters.extend(options.limit.map(|limit| ("limit", limit.to_string())));
    parameters.extend(options.sync.then(|| ("sync_active", "true".to_owned())));
    let page = api.get(&api.url(&["cloud", "jobs"], &parameters)).await?;
    options
        .common
        .print(&page, |page| job_text::list(page, options.offset.into(), now(), columns()))?;
    // The list is answered all the same, but it may be old.
    if let Some(error) = page.json["sync"]["error"].as_str() {
        say(&format!("not every active job could be refreshed: {}", clean(error)));
    }
    Ok(ExitCode::SUCCESS)
}

async fn get(options: &JobOptions) -> Result<ExitCode, ClientError> {
    let api = options.common.api()?;
    let answer = api.get(&api.url(&["cloud", "jobs", &options.job], &[])).await?;
    options.common.print(&answer, |answer| job_text::detail(&answer["job"], now()))?;
    Ok(ExitCode::SUCCESS)
}

async fn cancel(options: &JobOptions) -> Result<ExitCode, ClientError> {
    let api = options.common.api()?;
    let url = api.url(&["cloud", "jobs", &options.job, "cancel"], &[]);
    let answer = api.post(&url, None).await?;
    options.common.print(&answer, |answer| {
        let said =
            format!("{} {}", job_text::word(&answer["job_id"]), job_text::word(&answer["status"]));
        // The provider may take its time to end it.
        match answer["message"].as_str() {
            Some(message) => format!("{said}: {}", clean(message)),
            None => said,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}
