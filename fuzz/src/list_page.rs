//! A page of the provider's list: every entry that can be read is, whatever the others are, and says
//! what it would say in a webhook.

use jobsyncd::domain::observation::{Observation, Source};
use jobsyncd::provider::json;
use jobsyncd::provider::log_readers::LogReaders;
use jobsyncd::provider::replicate::PredictionPage;
use jobsyncd::provider::webhook_body::{WebhookBody, read};
use serde_json::Value;

use super::observed;

pub fn check(answer: &[u8]) {
    let parse = || json::read::<PredictionPage>(answer).ok();
    let Some(page) = parse() else { return };
    let page = page.into_page(None, "replicate", observed::now(), &LogReaders::default());
    page.observations.iter().for_each(observed::check);

    if let (Some(next), Some(again)) = (&page.next, parse()) {
        let again =
            again.into_page(Some(next), "replicate", observed::now(), &LogReaders::default());
        assert_eq!(again.next, None, "the page that is its own next is read for ever");
        assert_eq!(again.observations, page.observations);
    }
    // What is no JSON in a field that nobody reads is passed over.
    if let Ok(answer) = serde_json::from_slice::<Value>(answer) {
        assert_eq!(page.observations, told_by_webhooks(&answer["results"]));
    }
}

/// What each entry says as the body of a webhook.
fn told_by_webhooks(entries: &Value) -> Vec<Observation> {
    let readers = LogReaders::default();
    let tell = |entry: &Value| {
        let mut entry = entry.clone();
        // These would make it an event of the trainer.
        if let Some(fields) = entry.as_object_mut() {
            fields.retain(|name, _| name != "job_id" && name != "prediction_id");
        }
        match read("replicate", entry.to_string().as_bytes(), observed::now(), &readers) {
            Ok(WebhookBody::Provider { said, .. }) => {
                Some(Observation { source: Source::Poll, ..*said })
            }
            Ok(WebhookBody::Trainer(_) | WebhookBody::Nameless) | Err(_) => None,
        }
    };
    entries.as_array().into_iter().flatten().filter_map(tell).collect()
}
