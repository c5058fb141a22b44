//! What commits show of webhooks.

use actix::prelude::*;

use super::JobStore;
use crate::actors::webhook_monitor::NoteWebhooks;
use crate::db::error::StoreError;
use crate::db::observations::{Outcome, Report};
use crate::domain::event::Event;
use crate::domain::job::JobId;
use crate::domain::observation::Source;
use crate::domain::webhook_silence::FoundByAsking;

/// Writes to the log of events that webhooks are silent.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct RecordWebhooksSilent {
    /// Whose webhooks.
    pub provider: String,
    /// The jobs whose changes were found by asking.
    pub jobs: Vec<JobId>,
}

/// What a silence of webhooks means, for people.
const WEBHOOKS_SILENT: &str = "jobs have changed and no webhook told of it: unless it is switched off, polling stands in until they come again";

impl JobStore {
    /// Tells what webhooks told, and what they should have told.
    pub(super) fn tell_of_webhooks(
        &self,
        reports: &[Report],
        outcomes: &[Outcome],
        found: Vec<FoundByAsking>,
    ) {
        let heard = reports.iter().zip(outcomes).filter_map(|(report, outcome)| {
            let said = &report.observation;
            let is_webhook = said.source == Source::Webhook && said.by_provider;
            is_webhook.then(|| (said.provider.clone(), outcome.job_id.clone()))
        });
        let heard: Vec<_> = heard.collect();
        if !heard.is_empty() || !found.is_empty() {
            self.webhook_monitor.do_send(NoteWebhooks { found, heard });
        }
    }
}

impl Handler<RecordWebhooksSilent> for JobStore {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, message: RecordWebhooksSilent, _: &mut Self::Context) -> Self::Result {
        self.record_event(&Event::WebhooksSilent {
            provider: &message.provider,
            job_ids: &message.jobs,
            message: WEBHOOKS_SILENT,
        })
    }
}
