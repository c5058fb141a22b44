//! `jobsyncd sync`: discovers the jobs of an account.

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use actix_web::http::Method;
use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::api::{Answer, Api};
use super::bars::spinner;
use super::subscription::{News, Subscription};
use super::words::{clean, grouped};
use super::{ClientError, Common};

/// How long reading a page of an account may take.
const PAGE_WITHIN: Duration = Duration::from_secs(120);
/// How long reading all of it may take: a little more than the daemon gives itself.
const ALL_WITHIN: Duration = Duration::from_secs(3_660);

/// What is synced.
#[derive(Debug, Args)]
pub(in super::super) struct SyncOptions {
    /// Read the account to its end, and not only its newest page.
    #[arg(long)]
    all: bool,
    /// Whose account is read.
    #[arg(long, default_value = "replicate")]
    provider: String,
    #[command(flatten)]
    common: Common,
}

/// Syncs.
pub(in super::super) async fn run(options: &SyncOptions) -> Result<ExitCode, ClientError> {
    let api = options.common.api()?;
    let bar = options.all.then(spinner).filter(|bar| !bar.is_hidden());
    let answer = match &bar {
        Some(bar) => {
            bar.set_message(format!("{}: reading the account", options.provider));
            // Opened before the sync begins, so that the bar shows also the first pages.
            let events = events(&api).await;
            tokio::select! {
                never = show_progress(events, bar, &options.provider) => match never {},
                answer = sync(&api, options) => answer,
            }
        }
        None => sync(&api, options).await,
    };
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    options.common.print(&answer?, written)?;
    Ok(ExitCode::SUCCESS)
}

async fn sync(api: &Api, options: &SyncOptions) -> Result<Answer, ClientError> {
    let body = json!({"provider": options.provider, "all": options.all});
    let patience = if options.all { ALL_WITHIN } else { PAGE_WITHIN };
    api.call(Method::POST, &api.url(&["cloud", "jobs", "sync"], &[]), Some(&body), patience).await
}

/// The open stream of events; None where there is none to be had. The sync goes on all the same.
async fn events(api: &Api) -> Option<Subscription<'_>> {
    let events = Subscription::new(api, api.url(&["events"], &[]), |_| {});
    let mut events = events.with_patience(Duration::ZERO);
    events.next().await.is_ok().then_some(events)
}

/// Shows how far the daemon is, for as long as this is polled.
async fn show_progress(
    events: Option<Subscription<'_>>,
    bar: &ProgressBar,
    provider: &str,
) -> Infallible {
    if let Some(mut events) = events {
        while let Ok(news) = events.next().await {
            if let News::Event(event) = news
                && let Ok(event) = serde_json::from_str::<Value>(&event.data)
                && event["type"] == "sync_progress"
                && event["provider"] == provider
            {
                bar.set_message(progress(&event));
            }
        }
    }
    std::future::pending().await
}

/// How far a sync is.
fn progress(event: &Value) -> String {
    let number = |name: &str| grouped(event[name].as_u64().unwrap_or_default());
    let provider = clean(event["provider"].as_str().unwrap_or_default());
    let (pages, synced, updated) = (number("pages"), number("synced"), number("updated"));
    let plural = if pages == "1" { "page" } else { "pages" };
    format!("{provider}: {pages} {plural} read, {synced} new, {updated} updated")
}

/// What a sync has done.
fn written(answer: &Value) -> String {
    let number = |name: &str| grouped(answer[name].as_u64().unwrap_or_default());
    let message = clean(answer["message"].as_str().unwrap_or_default());
    let (updated, unchanged, calls) =
        (number("updated"), number("unchanged"), number("provider_calls"));
    let plural = if calls == "1" { "call" } else { "calls" };
    format!("{message}; {updated} updated, {unchanged} unchanged, in {calls} {plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_is_told_in_a_line_while_it_runs_and_in_a_line_when_it_is_done() {
        let event = json!({"provider": "replicate", "pages": 12, "synced": 1150, "updated": 3});
        assert_eq!(progress(&event), "replicate: 12 pages read, 1,150 new, 3 updated");
        let answer = json!({"message": "Discovered 3 new jobs from Replicate", "synced": 3,
            "updated": 0, "unchanged": 97, "provider_calls": 1});
        assert_eq!(
            written(&answer),
            "Discovered 3 new jobs from Replicate; 0 updated, 97 unchanged, in 1 call"
        );
    }
}
