//! The body of a webhook: refused for a reason, or an observation that is one.

use jobsyncd::provider::log_readers::LogReaders;
use jobsyncd::provider::webhook_body::{BodyError, WebhookBody, read};
use serde_json::Value;

use super::observed;

pub fn check(body: &[u8]) {
    let readers = LogReaders::default();
    let said = read("replicate", body, observed::now(), &readers);
    match &said {
        Ok(WebhookBody::Provider { said, .. } | WebhookBody::Trainer(said)) => {
            observed::check(said)
        }
        Ok(WebhookBody::Nameless) => {}
        Err(BodyError::NotJson(problem)) => {
            let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
            let value = serde_json::from_slice::<Value>(body);
            assert!(value.is_err(), "{problem}: {value:?}");
        }
        Err(BodyError::NoId) => {}
        Err(BodyError::CutOff) => assert!(serde_json::from_slice::<Value>(body).is_err()),
    }
    // The log of a job that runs is remembered, so that only what is new in it is read the next time.
    assert_eq!(read("replicate", body, observed::now(), &readers), said, "the second time");
}
