//! The poller: asks the providers about active jobs, by its timer and whenever a client wants the
//! list refreshed.
//!
//! Rounds never overlap and never pile up: the next one is scheduled when one ends, and whoever
//! wants a refresh while a round is under way gets the round after it, together with all others
//! who do. A slow reconciliation of jobs that nobody confirmed lately always runs, also where
//! webhooks make polling unnecessary: a webhook speeds things up, it never replaces looking. It also
//! reads the logs that nobody watches, since only they tell whether a job still gets on.

use std::collections::HashMap;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;
use tokio::sync::oneshot;
use url::Url;

use super::job_reader::{ListActiveJobs, Read};
use super::job_store::ChangeSetting;
use super::provider_client::{RefreshJobs, Refreshed};
use crate::db::error::StoreError;
use crate::db::jobs::ActiveJob;
use crate::db::settings::Setting;
use crate::domain::poll_round::RoundScope;
use crate::domain::polling_policy::{PollingInputs, PollingReason, decide};
use crate::domain::timestamp::{Timestamp, now};
use crate::domain::webhook_urls::WebhookUrls;

/// Refreshes every active cloud job. Answers when that is done.
#[derive(Debug, Message)]
#[rtype(result = "Result<Round, StoreError>")]
pub struct RefreshActiveJobs;

/// Whether the daemon polls.
#[derive(Debug, Message)]
#[rtype(result = "Result<PollingStatus, StoreError>")]
pub struct GetPollingStatus;

/// Turns polling on or off; None leaves it to the daemon again. Kept across restarts.
#[derive(Debug, Message)]
#[rtype(result = "Result<PollingStatus, StoreError>")]
pub struct SetPollingPreference {
    /// What the user wants.
    pub enabled: Option<bool>,
}

/// Sets the URL at which a provider reaches our webhook, or takes it away. Kept across restarts.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct SetWebhookUrl {
    /// Which provider.
    pub provider: &'static str,
    /// The URL; None for no webhook.
    pub url: Option<Url>,
}

/// The URL at which a provider reaches our webhook.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<Url>, StoreError>")]
pub struct GetWebhookUrl {
    /// Which provider.
    pub provider: &'static str,
}

/// Stops the timers. A round that is under way ends by itself.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StopPolling;

/// What a round of polling came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// Jobs that were asked about.
    pub asked: usize,
    /// What became of that.
    pub refreshed: Refreshed,
}

/// Whether the daemon polls, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollingStatus {
    /// Whether it does.
    pub is_active: bool,
    /// Why, or why not.
    pub reason: PollingReason,
    /// What a user has set; None for automatic.
    pub preference: Option<bool>,
    /// The pause between two rounds, in seconds.
    pub interval_seconds: u64,
    /// The pause between two reconciliations, in seconds.
    pub reconciliation_interval_seconds: u64,
    /// The last round.
    pub last_round: Option<Round>,
    /// When the next one is due.
    pub next_round_at: Option<Timestamp>,
}

/// The webhooks of a provider are silent, or come again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SetWebhooksSilent(pub bool);

/// What the poller needs from whoever starts it.
pub struct PollerOptions {
    /// What the configuration says of polling.
    pub configured: Option<bool>,
    /// The pause between two rounds, in seconds.
    pub interval_seconds: u64,
    /// The pause between two reconciliations, in seconds.
    pub reconciliation_interval_seconds: u64,
    /// What a user has set.
    pub preference: Option<bool>,
    /// Where each provider reaches our webhook.
    pub webhook_urls: WebhookUrls,
    /// Who knows which jobs are active.
    pub reader: Recipient<Read<ListActiveJobs>>,
    /// Who keeps the settings.
    pub settings: Recipient<ChangeSetting>,
    /// Who asks, by the provider's name.
    pub providers: HashMap<String, Recipient<RefreshJobs>>,
}

type RoundResult = Result<Round, StoreError>;

/// The actor. See the top of this file.
pub struct Poller {
    options: PollerOptions,
    is_running: bool,
    are_webhooks_silent: bool,
    /// Who waits for a round that has not begun yet.
    waiting: Vec<oneshot::Sender<RoundResult>>,
    last_round: Option<Round>,
    next_round: Option<(SpawnHandle, Timestamp)>,
    next_reconciliation: Option<SpawnHandle>,
    /// The time for a reconciliation came while a round was under way.
    is_reconciliation_due: bool,
    is_stopping: bool,
}

impl Poller {
    /// A poller, not yet started.
    pub fn new(options: PollerOptions) -> Self {
        Self {
            options,
            is_running: false,
            are_webhooks_silent: false,
            waiting: Vec::new(),
            last_round: None,
            next_round: None,
            next_reconciliation: None,
            is_reconciliation_due: false,
            is_stopping: false,
        }
    }

    fn decision(&self) -> (bool, PollingReason) {
        decide(PollingInputs {
            configured: self.options.configured,
            preference: self.options.preference,
            has_webhook: self.options.webhook_urls.are_complete(),
            are_webhooks_silent: self.are_webhooks_silent,
        })
    }

    fn status(&self) -> PollingStatus {
        let (is_active, reason) = self.decision();
        PollingStatus {
            is_active,
            reason,
            preference: self.options.preference,
            interval_seconds: self.options.interval_seconds,
            reconciliation_interval_seconds: self.options.reconciliation_interval_seconds,
            last_round: self.last_round.clone(),
            next_round_at: self.next_round.map(|(_, at)| at),
        }
    }

    /// Begins a round now, or makes the caller wait for the one after that which is under way.
    fn refresh(&mut self, context: &mut Context<Self>) -> oneshot::Receiver<RoundResult> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.push(sender);
        if !self.is_running {
            self.begin_round(RoundScope::everything(now()), context);
        }
        receiver
    }

    /// Asks about active jobs.
    fn begin_round(&mut self, scope: RoundScope, context: &mut Context<Self>) {
        self.is_running = true;
        let waiting = std::mem::take(&mut self.waiting);
        let round = run_round(self.options.reader.clone(), self.options.providers.clone(), scope);
        context.spawn(round.into_actor(self).map(|result, this, context| {
            this.end_round(result, waiting, context);
        }));
    }

    fn end_round(
        &mut self,
        result: RoundResult,
        waiting: Vec<oneshot::Sender<RoundResult>>,
        context: &mut Context<Self>,
    ) {
        match &result {
            Ok(round) => self.last_round = Some(round.clone()),
            Err(error) => log::error!("a round of polling failed: {error}"),
        }
        for asker in waiting {
            // Who has hung up meanwhile needs no answer.
            let _ = asker.send(result.clone());
        }
        self.is_running = false;
        if !self.waiting.is_empty() {
            self.begin_round(RoundScope::everything(now()), context);
        } else if std::mem::take(&mut self.is_reconciliation_due) && !self.is_stopping {
            self.begin_round(self.reconciliation(), context);
        }
        self.schedule(context);
    }

    /// Sets the timer of the next round, or takes it away where polling is off.
    fn schedule(&mut self, context: &mut Context<Self>) {
        if let Some((timer, _)) = self.next_round.take() {
            context.cancel_future(timer);
        }
        if self.is_stopping || !self.decision().0 {
            return;
        }
        let pause = Duration::from_secs(self.options.interval_seconds);
        let timer = context.run_later(pause, |this, context| {
            this.next_round = None;
            if !this.is_running {
                this.begin_round(RoundScope::routine(now()), context);
            }
        });
        self.next_round = Some((timer, now() + pause));
    }

    fn schedule_reconciliation(&mut self, context: &mut Context<Self>) {
        let pause = Duration::from_secs(self.options.reconciliation_interval_seconds);
        let timer = context.run_later(pause, move |this, context| {
            if this.is_running {
                this.is_reconciliation_due = true;
            } else {
                this.begin_round(this.reconciliation(), context);
            }
            this.schedule_reconciliation(context);
        });
        self.next_reconciliation = Some(timer);
    }

    fn reconciliation(&self) -> RoundScope {
        // The configuration allows a day at most.
        let pause = self.options.reconciliation_interval_seconds.cast_signed();
        RoundScope::reconciliation(now(), chrono::Duration::seconds(pause))
    }

    fn log_state(&self) {
        let (is_active, reason) = self.decision();
        log::info!(
            "job status polling {} ({}), every {} s; reconciliation every {} s",
            if is_active { "enabled" } else { "disabled" },
            reason.in_words(),
            self.options.interval_seconds,
            self.options.reconciliation_interval_seconds,
        );
    }
}

async fn run_round(
    reader: Recipient<Read<ListActiveJobs>>,
    providers: HashMap<String, Recipient<RefreshJobs>>,
    scope: RoundScope,
) -> RoundResult {
    let started_at = now();
    let active = match reader.send(Read(ListActiveJobs(scope))).await {
        Ok(active) => active?,
        Err(_) => Vec::new(),
    };
    let asked = active.len();
    let mut by_provider: HashMap<String, Vec<ActiveJob>> = HashMap::new();
    for job in active {
        by_provider.entry(job.provider.clone()).or_default().push(job);
    }
    let refreshes = by_provider.into_iter().map(|(name, jobs)| {
        let client = providers.get(&name);
        async move { refresh_at(client, &name, jobs).await }
    });
    let mut total = Refreshed::default();
    for refreshed in join_all(refreshes).await {
        total.changed += refreshed.changed;
        total.failed += refreshed.failed;
        total.calls += refreshed.calls;
        total.error = total.error.or(refreshed.error);
    }
    let duration_ms = (now() - started_at).num_milliseconds();
    Ok(Round { started_at, duration_ms, asked, refreshed: total })
}

async fn refresh_at(
    client: Option<&Recipient<RefreshJobs>>,
    provider: &str,
    jobs: Vec<ActiveJob>,
) -> Refreshed {
    let failed = jobs.len();
    let nobody = |error: String| Refreshed { failed, error: Some(error), ..Refreshed::default() };
    let Some(client) = client else {
        return nobody(format!("no provider is called {provider}"));
    };
    match client.send(RefreshJobs { jobs }).await {
        Ok(Ok(refreshed)) => refreshed,
        Ok(Err(error)) => nobody(error.to_string()),
        Err(error) => nobody(error.to_string()),
    }
}

impl Actor for Poller {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.log_state();
        // What happened while the daemon was down is worth knowing at once, also beside webhooks:
        // those that were sent meanwhile are lost.
        self.begin_round(RoundScope::everything(now()), context);
        self.schedule_reconciliation(context);
    }
}

impl Handler<RefreshActiveJobs> for Poller {
    type Result = ResponseFuture<RoundResult>;

    fn handle(&mut self, _: RefreshActiveJobs, context: &mut Self::Context) -> Self::Result {
        let round = self.refresh(context);
        Box::pin(async move {
            // The sender is only dropped with the whole actor.
            round.await.unwrap_or(Err(StoreError::Stopping))
        })
    }
}

impl Handler<GetPollingStatus> for Poller {
    type Result = Result<PollingStatus, StoreError>;

    fn handle(&mut self, _: GetPollingStatus, _: &mut Self::Context) -> Self::Result {
        Ok(self.status())
    }
}

impl Handler<GetWebhookUrl> for Poller {
    type Result = Result<Option<Url>, StoreError>;

    fn handle(&mut self, message: GetWebhookUrl, _: &mut Self::Context) -> Self::Result {
        Ok(self.options.webhook_urls.of(message.provider))
    }
}

impl Handler<SetPollingPreference> for Poller {
    type Result = ResponseActFuture<Self, Result<PollingStatus, StoreError>>;

    fn handle(&mut self, message: SetPollingPreference, _: &mut Self::Context) -> Self::Result {
        let value = message.enabled.map(|enabled| enabled.to_string());
        let saved = save(self.options.settings.clone(), Setting::PollingPreference, value);
        Box::pin(saved.into_actor(self).map(move |saved, this, context| {
            saved?;
            this.options.preference = message.enabled;
            this.log_state();
            this.schedule(context);
            Ok(this.status())
        }))
    }
}

impl Handler<SetWebhookUrl> for Poller {
    type Result = ResponseActFuture<Self, Result<(), StoreError>>;

    fn handle(&mut self, message: SetWebhookUrl, _: &mut Self::Context) -> Self::Result {
        // An empty value is kept: it says that there is to be none, whatever the configuration.
        let value = message.url.as_ref().map_or_else(String::new, Url::to_string);
        let setting = Setting::WebhookUrl(message.provider);
        let saved = save(self.options.settings.clone(), setting, Some(value));
        Box::pin(saved.into_actor(self).map(move |saved, this, context| {
            saved?;
            this.options.webhook_urls.choose(message.provider, message.url);
            this.log_state();
            this.schedule(context);
            Ok(())
        }))
    }
}

impl Handler<SetWebhooksSilent> for Poller {
    type Result = ();

    fn handle(
        &mut self,
        SetWebhooksSilent(are_silent): SetWebhooksSilent,
        context: &mut Self::Context,
    ) {
        self.are_webhooks_silent = are_silent;
        self.log_state();
        self.schedule(context);
    }
}

impl Handler<StopPolling> for Poller {
    type Result = ();

    fn handle(&mut self, _: StopPolling, context: &mut Self::Context) {
        self.is_stopping = true;
        self.schedule(context);
        if let Some(timer) = self.next_reconciliation.take() {
            context.cancel_future(timer);
        }
    }
}

async fn save(
    settings: Recipient<ChangeSetting>,
    setting: Setting,
    value: Option<String>,
) -> Result<(), StoreError> {
    settings.send(ChangeSetting { setting, value }).await.unwrap_or(Err(StoreError::Stopping))
}
