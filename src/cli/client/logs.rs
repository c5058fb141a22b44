//! `jobsyncd jobs logs`: what a job has printed, and what it prints.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::api::Api;
use super::jobs::job_id;
use super::sse::SseEvent;
use super::subscription::{News, Subscription};
use super::words::clean;
use super::{ClientError, Common, Format, print, say};

/// Which lines are printed.
#[derive(Debug, Args)]
pub(in super::super) struct LogsOptions {
    /// The job's id.
    #[arg(value_parser = job_id)]
    job: String,
    /// Go on as the job prints, until it has ended. With --format json, a line is an object.
    #[arg(long, short)]
    follow: bool,
    /// Only lines after this one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u32,
    /// Only lines with this text, whichever the case of its letters.
    #[arg(long, value_name = "TEXT")]
    query: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Prints them.
pub(super) async fn run(options: &LogsOptions) -> Result<ExitCode, ClientError> {
    let api = options.common.api()?;
    match (options.follow, options.common.format) {
        (true, _) => follow(&api, options).await?,
        (false, Format::Table) => print_lines(&api, options).await?,
        (false, Format::Json) => {
            let answer = api.get(&options.url(&api, options.after)).await?;
            options.common.print(&answer, |_| String::new())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl LogsOptions {
    /// The route of the lines after one. Asked for by line they come as a terminal would show them, and
    /// without what could change that terminal.
    fn url(&self, api: &Api, after: u32) -> url::Url {
        let mut parameters = vec![("after", after.to_string())];
        parameters.extend(self.query.clone().map(|text| ("q", text)));
        api.url(&["cloud", "jobs", &self.job, "logs"], &parameters)
    }

    fn is_wanted(&self, line: &str) -> bool {
        let text = self.query.as_deref().unwrap_or_default();
        line.to_lowercase().contains(&text.to_lowercase())
    }
}

/// Prints the lines that there are, page by page.
async fn print_lines(api: &Api, options: &LogsOptions) -> Result<(), ClientError> {
    let mut after = options.after;
    loop {
        let answer = api.get(&options.url(api, after)).await?;
        for line in answer.json["lines"].as_array().into_iter().flatten() {
            print(line["text"].as_str().unwrap_or_default())?;
        }
        match answer.json["next_after"].as_u64().and_then(|next| u32::try_from(next).ok()) {
            Some(next) if next > after => after = next,
            _ => return Ok(()),
        }
    }
}

/// Prints lines as they come, until the job has ended.
async fn follow(api: &Api, options: &LogsOptions) -> Result<(), ClientError> {
    // A job that is not there, or a daemon, is not worth waiting for.
    api.get(&api.url(&["cloud", "jobs", &options.job], &[])).await?;
    let after = [("after", options.after.to_string())];
    let url = api.url(&["cloud", "jobs", &options.job, "logs", "stream"], &after);
    let mut lines = Subscription::new(api, url, say);
    loop {
        match lines.next().await? {
            News::Opened => lines.settled(),
            News::Event(SseEvent { event, data, id }) => match event.as_str() {
                "done" => {
                    say(&format!("the job is {}", clean(&data)));
                    return Ok(());
                }
                "reset" => {
                    say(&clean(&data));
                    lines.forget_place();
                }
                "message" if options.is_wanted(&data) => {
                    print(&written(options.common.format, &data, id.as_deref()))?;
                }
                _ => {}
            },
        }
    }
}

fn written(format: Format, text: &str, number: Option<&str>) -> String {
    match format {
        Format::Table => text.to_owned(),
        Format::Json => {
            let number = number.and_then(|number| number.parse::<u64>().ok());
            let number = number.map_or(Value::Null, Value::from);
            json!({"number": number, "text": text}).to_string()
        }
    }
}
