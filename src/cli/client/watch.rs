//! `jobsyncd watch`: what every active job is doing, as it does it.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::api::Api;
use super::board::Board;
use super::screen::Screen;
use super::subscription::{News, Subscription};
use super::{ClientError, Common, Format, print};

/// The states of jobs that are watched.
const ACTIVE: &str = "pending,uploading,queued,running";
/// How many jobs are read at once.
const PAGE: usize = 500;

/// How jobs are watched.
#[derive(Debug, Args)]
pub(in super::super) struct WatchOptions {
    #[command(flatten)]
    common: Common,
}

/// Watches until it is stopped.
pub(in super::super) async fn run(options: &WatchOptions) -> Result<ExitCode, ClientError> {
    let api = options.common.api()?;
    let is_json = options.common.format == Format::Json;
    let mut screen = if is_json { Screen::None } else { Screen::of_process() };
    let mut board = Board::default();
    // Before anything else: a daemon that is not there is not worth waiting for.
    read(&api, &mut board, &mut screen).await?;
    let messages = screen.messages();
    let url = api.url(&["events"], &[]);
    let mut events = Subscription::new(&api, url, move |text| messages.say(text));
    loop {
        let is_anew = match events.next().await? {
            News::Opened => true,
            // What has a name is for SimpleTuner's page, and so is what repeats a change for it.
            News::Event(event) if event.event != "message" => false,
            News::Event(told) => {
                let event = serde_json::from_str::<Value>(&told.data).unwrap_or_default();
                if is_json && event["type"] != "cloud_job_update" {
                    print(&told.data)?;
                }
                if let Some(change) = board.apply(&event) {
                    screen.show(&board, &change)?;
                }
                event["type"] == "reset"
            }
        };
        // Events of before it may have been missed.
        if is_anew {
            match read(&api, &mut board, &mut screen).await {
                Ok(()) => events.settled(),
                Err(error) => events.broke(error).await?,
            }
        }
        screen.summarize(&board);
    }
}

/// Reads which jobs are active, and how those have ended that were.
async fn read(api: &Api, board: &mut Board, screen: &mut Screen) -> Result<(), ClientError> {
    let jobs = list(api).await?;
    let (changes, missing) = board.load(&jobs);
    for change in &changes {
        screen.show(board, change)?;
    }
    for id in missing {
        let change = match api.get(&api.url(&["cloud", "jobs", &id], &[])).await {
            Ok(answer) => board.put(&answer.json["job"]),
            Err(error) if error.is_unknown_job() => board.remove(&id),
            Err(error) => return Err(error),
        };
        if let Some(change) = change {
            screen.show(board, &change)?;
        }
    }
    screen.summarize(board);
    Ok(())
}

/// All active jobs. A job that ends while the pages are read may be missed by them, but not by the
/// stream, which is open by then.
async fn list(api: &Api) -> Result<Vec<Value>, ClientError> {
    let mut jobs: Vec<Value> = Vec::new();
    loop {
        let parameters = [
            ("status", ACTIVE.to_owned()),
            ("sort", "oldest".to_owned()),
            ("limit", PAGE.to_string()),
            ("offset", jobs.len().to_string()),
        ];
        let mut answer = api.get(&api.url(&["cloud", "jobs"], &parameters)).await?;
        let Value::Array(page) = answer.json["jobs"].take() else {
            return Err(api.garbled("a list without jobs"));
        };
        let is_last = page.len() < PAGE;
        jobs.extend(page);
        if is_last {
            return Ok(jobs);
        }
    }
}
