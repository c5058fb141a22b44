//! The webhook monitor: notices that the webhooks that should come do not.
//!
//! The store reports what was found by asking and what webhooks told. Where webhooks are silent, an event says
//! so once, `/health` for as long as it lasts, and the poller polls until they come again.

use std::collections::BTreeMap;

use actix::prelude::*;

use super::job_store::webhooks::RecordWebhooksSilent;
use super::poller::SetWebhooksSilent;
use crate::db::error::StoreError;
use crate::domain::job::JobId;
use crate::domain::timestamp::{Timestamp, now};
use crate::domain::webhook_silence::{FoundByAsking, WebhookSilence};

/// What a commit shows of webhooks.
#[derive(Debug, Default, Message)]
#[rtype(result = "()")]
pub struct NoteWebhooks {
    /// Changes that were found by asking, of jobs that began with our webhook.
    pub found: Vec<FoundByAsking>,
    /// Webhooks that came and were believed: the provider's name, and the job.
    pub heard: Vec<(String, JobId)>,
}

/// Whether the webhooks of a provider are silent: since when, and of how many jobs none came.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<(Timestamp, usize)>, StoreError>")]
pub struct GetWebhookSilence {
    /// Which provider.
    pub provider: &'static str,
}

/// What the monitor needs from whoever starts it.
pub struct WebhookMonitorOptions {
    /// Who writes the event.
    pub store: Recipient<RecordWebhooksSilent>,
    /// Who polls while webhooks are silent.
    pub poller: Recipient<SetWebhooksSilent>,
}

/// The actor. See the top of this file.
pub struct WebhookMonitor {
    options: WebhookMonitorOptions,
    started_at: Timestamp,
    providers: BTreeMap<String, WebhookSilence>,
    timer: Option<SpawnHandle>,
}

impl WebhookMonitor {
    /// A monitor that has seen nothing yet.
    pub fn new(options: WebhookMonitorOptions) -> Self {
        Self { options, started_at: now(), providers: BTreeMap::new(), timer: None }
    }

    fn heard(&mut self, provider: String, job_id: &JobId) {
        if self.providers.get_mut(&provider).is_some_and(|webhooks| webhooks.heard(job_id)) {
            log::info!("webhooks of {provider} come again");
            self.tell_poller();
        }
    }

    fn tell_poller(&self) {
        let is_silent = self.providers.values().any(|webhooks| webhooks.since().is_some());
        self.options.poller.do_send(SetWebhooksSilent(is_silent));
    }

    fn judge(&mut self, context: &mut Context<Self>) {
        let now = now();
        let mut silent = Vec::new();
        for (provider, webhooks) in &mut self.providers {
            if let Some(jobs) = webhooks.judge(now) {
                silent.push(RecordWebhooksSilent { provider: provider.clone(), jobs });
            }
        }
        if !silent.is_empty() {
            self.tell_poller();
        }
        for message in silent {
            let provider = message.provider.clone();
            log::warn!("no webhook of {provider} came for changes of {} jobs", message.jobs.len());
            let recorded = self.options.store.send(message);
            context.spawn(recorded.into_actor(self).map(move |recorded, _, _| {
                if !matches!(recorded, Ok(Ok(()))) {
                    log::error!("that webhooks of {provider} are silent could not be recorded");
                }
            }));
        }
        self.set_timer(context);
    }

    fn set_timer(&mut self, context: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        let next = self.providers.values().filter_map(WebhookSilence::next_judgement_at).min();
        self.timer = next.map(|at| {
            let pause = (at - now()).to_std().unwrap_or_default();
            context.run_later(pause, |this, context| {
                this.timer = None;
                this.judge(context);
            })
        });
    }
}

impl Actor for WebhookMonitor {
    type Context = Context<Self>;
}

impl Handler<NoteWebhooks> for WebhookMonitor {
    type Result = ();

    fn handle(&mut self, message: NoteWebhooks, context: &mut Self::Context) {
        for (provider, job_id) in message.heard {
            self.heard(provider, &job_id);
        }
        // What happened while the daemon was down nobody could tell it.
        let started_at = self.started_at;
        let is_new = |found: &FoundByAsking| found.happened_at.is_none_or(|at| at >= started_at);
        let mut has_found = false;
        for found in message.found.into_iter().filter(is_new) {
            self.providers.entry(found.provider).or_default().found(found.job_id, now());
            has_found = true;
        }
        if has_found {
            self.set_timer(context);
        }
    }
}

impl Handler<GetWebhookSilence> for WebhookMonitor {
    type Result = Result<Option<(Timestamp, usize)>, StoreError>;

    fn handle(&mut self, message: GetWebhookSilence, _: &mut Self::Context) -> Self::Result {
        let webhooks = self.providers.get(message.provider);
        Ok(webhooks.and_then(|webhooks| Some((webhooks.since()?, webhooks.missed()))))
    }
}
