//! `jobsyncd wait`: until a job has ended, and how.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::api::{Answer, Api};
use super::jobs::job_id;
use super::subscription::{News, Subscription};
use super::{ClientError, Common, Format, job_text, say};

/// How often the job is read where there is no stream to be had.
const POLL_INTERVAL: Duration = Duration::from_secs(3);

/// Which job is waited for.
#[derive(Debug, Args)]
pub(in super::super) struct WaitOptions {
    /// The job's id.
    #[arg(value_parser = job_id)]
    job: String,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    common: Common,
}

/// How long a daemon that does not answer is waited for.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Patience {
    /// How long to wait for a daemon that has stopped answering, in seconds.
    #[arg(long = "patience-seconds", value_name = "SECONDS", default_value_t = 600)]
    seconds: u64,
}

/// Waits, and ends as the job did.
pub(in super::super) async fn run(options: &WaitOptions) -> Result<ExitCode, ClientError> {
    let api = options.common.api()?;
    wait(&api, &options.common, &options.job, options.patience).await
}

/// Waits for a job, prints how it ended, and answers what the process ends with.
pub(super) async fn wait(
    api: &Api,
    common: &Common,
    job: &str,
    patience: Patience,
) -> Result<ExitCode, ClientError> {
    let mut waiting = Waiting { api, job: job.to_owned(), is_quiet: common.format == Format::Json };
    let ended = waiting.until_ended(Duration::from_secs(patience.seconds)).await?;
    common.print(&ended, |answer| job_text::ending(&answer["job"]))?;
    exit_code(&ended.json["job"]["status"]).map(ExitCode::from).ok_or_else(|| {
        api.garbled(format!(
            "the job has ended in an unknown state, {}",
            ended.json["job"]["status"]
        ))
    })
}

/// What the process ends with after a job in this state.
fn exit_code(status: &Value) -> Option<u8> {
    match status.as_str()? {
        "completed" => Some(0),
        "failed" => Some(1),
        "cancelled" => Some(2),
        _ => None,
    }
}

struct Waiting<'a> {
    api: &'a Api,
    job: String,
    is_quiet: bool,
}

impl Waiting<'_> {
    async fn until_ended(&mut self, patience: Duration) -> Result<Answer, ClientError> {
        // Before anything else: a job that is not there, or a daemon, is not worth waiting for.
        let first = self.look().await?;
        // Events tell of it by its whole identifier, of which a part may have been given.
        if let Some(id) = first.json["job"]["job_id"].as_str() {
            id.clone_into(&mut self.job);
        }
        if has_ended(&first) {
            return Ok(first);
        }
        let url = self.api.url(&["events"], &[]);
        let mut events = Subscription::new(self.api, url, say).with_patience(patience);
        let mut told = None;
        loop {
            match events.next().await {
                Ok(News::Event(event)) if !self.calls_for_a_look(&event.data) => continue,
                // The job may have ended after it was read and before the stream was open.
                Ok(News::Opened | News::Event(_)) => {}
                Err(error) if error.is_connection_limit() => {
                    if told.is_none() {
                        say(&format!("{error}; looking every {} s", POLL_INTERVAL.as_secs()));
                    }
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
                Err(error) => return Err(error),
            }
            match self.look().await {
                Ok(answer) if has_ended(&answer) => return Ok(answer),
                Ok(answer) => {
                    events.settled();
                    self.tell(&answer.json["job"]["status"], &mut told);
                }
                Err(error) => events.broke(error).await?,
            }
        }
    }

    async fn look(&self) -> Result<Answer, ClientError> {
        self.api.get(&self.api.url(&["cloud", "jobs", &self.job], &[])).await
    }

    /// Whether an event may mean that the job is not what it was.
    fn calls_for_a_look(&mut self, data: &str) -> bool {
        let Ok(event) = serde_json::from_str::<Value>(data) else { return false };
        match event["type"].as_str() {
            Some("job_status_changed") => event["job_id"] == *self.job,
            Some("job_deleted") if event["job_id"] == *self.job => {
                // It was another name of a job that goes on.
                if let Some(job) = event["merged_into"].as_str() {
                    job.clone_into(&mut self.job);
                }
                true
            }
            Some("reset") => true,
            _ => false,
        }
    }

    /// Says in which state the job is, once for each.
    fn tell(&self, status: &Value, told: &mut Option<String>) {
        let status = job_text::word(status);
        if told.as_ref() != Some(&status) && !self.is_quiet {
            say(&format!("waiting for {}, which is {status}", self.job));
        }
        *told = Some(status);
    }
}

fn has_ended(answer: &Answer) -> bool {
    answer.json["job"]["is_terminal"] == true
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!("completed"), Some(0))]
    #[case(json!("failed"), Some(1))]
    #[case(json!("cancelled"), Some(2))]
    #[case(json!("exploded"), None)]
    #[case(json!(null), None)]
    fn each_end_has_a_code_of_its_own(#[case] status: Value, #[case] expected: Option<u8>) {
        assert_eq!(exit_code(&status), expected);
    }
}
