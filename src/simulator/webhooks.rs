//! Which webhooks a job owes, and how they are signed. Pure: sending them is the courier's work.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// `output` and `logs` are sent no closer than this.
const PARTIAL_INTERVAL: TimeDelta = TimeDelta::milliseconds(500);

/// What a webhook tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookEvent {
    /// The run has started.
    Start,
    /// There is new output.
    Output,
    /// There are new log lines.
    Logs,
    /// The job has ended; the only one that is retried.
    Completed,
}

impl WebhookEvent {
    /// All events: what is sent when no filter is given.
    pub const ALL: [Self; 4] = [Self::Start, Self::Output, Self::Logs, Self::Completed];
}

/// Who wants to hear of a job, and what they heard already.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) url: String,
    pub(super) events: Vec<WebhookEvent>,
    /// When its job is looked at next.
    pub(super) next_look_at: Option<DateTime<Utc>>,
    told: Told,
}

#[derive(Clone, Debug, Default)]
struct Told {
    start: bool,
    completed: bool,
    output: bool,
    log_bytes: usize,
    last_partial_at: Option<DateTime<Utc>>,
}

/// What there is to tell of a job at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct News {
    pub(super) is_running: bool,
    pub(super) has_ended: bool,
    pub(super) has_output: bool,
    pub(super) log_bytes: usize,
}

/// What to do about the news.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) events: Vec<WebhookEvent>,
    /// When news that came too soon after the last may be told.
    pub(super) again_at: Option<DateTime<Utc>>,
}

impl Subscription {
    pub(super) fn new(url: String, events: Vec<WebhookEvent>) -> Self {
        Self { url, events, next_look_at: None, told: Told::default() }
    }

    pub(super) fn wants(&self, event: WebhookEvent) -> bool {
        self.events.contains(&event)
    }

    /// The events that are due now. They count as told.
    pub(super) fn take_due(&mut self, news: News, now: DateTime<Utc>) -> Due {
        let mut due = Due::default();
        if news.has_ended {
            if !std::mem::replace(&mut self.told.completed, true) {
                due.events.push(WebhookEvent::Completed);
            }
        } else if news.is_running {
            if !std::mem::replace(&mut self.told.start, true) {
                due.events.push(WebhookEvent::Start);
            }
            self.take_partial(news, now, &mut due);
        }
        due.events.retain(|event| self.wants(*event));
        due
    }

    fn take_partial(&mut self, news: News, now: DateTime<Utc>, due: &mut Due) {
        let has_output = news.has_output && !self.told.output && self.wants(WebhookEvent::Output);
        let has_logs = news.log_bytes != self.told.log_bytes && self.wants(WebhookEvent::Logs);
        if !has_output && !has_logs {
            return;
        }
        let allowed_at = self.told.last_partial_at.map(|last| last + PARTIAL_INTERVAL);
        if let Some(allowed_at) = allowed_at.filter(|at| *at > now) {
            due.again_at = Some(allowed_at);
            return;
        }
        // One body holds both, so that one webhook tells both.
        due.events.push(if has_output { WebhookEvent::Output } else { WebhookEvent::Logs });
        self.told.output |= has_output;
        self.told.log_bytes = news.log_bytes;
        self.told.last_partial_at = Some(now);
    }

    /// When to look again at a running job whose log grows by itself.
    pub(super) fn next_partial_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.wants(WebhookEvent::Logs).then(|| now + PARTIAL_INTERVAL)
    }
}

/// Why a webhook secret cannot sign.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The prefix is missing.
    #[error("a webhook secret starts with `whsec_`")]
    Prefix,
    /// What follows the prefix is not a key.
    #[error("what follows `whsec_` must be base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// The key has a length HMAC cannot take.
    #[error(transparent)]
    Key(#[from] hmac::digest::InvalidLength),
}

/// Signs webhooks by the Standard Webhooks scheme: HMAC-SHA256 over `id.timestamp.body`.
#[derive(Clone)]
pub(super) struct Signer {
    mac: Hmac<Sha256>,
}

impl Signer {
    pub(super) fn from_secret(secret: &str) -> Result<Self, SecretError> {
        let encoded = secret.strip_prefix("whsec_").ok_or(SecretError::Prefix)?;
        let key = BASE64_STANDARD.decode(encoded)?;
        Ok(Self { mac: Hmac::new_from_slice(&key)? })
    }

    /// The value of the header `webhook-signature`.
    pub(super) fn sign(&self, webhook_id: &str, timestamp_seconds: i64, body: &[u8]) -> String {
        let mut mac = self.mac.clone();
        mac.update(format!("{webhook_id}.{timestamp_seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds)
    }

    fn running(log_bytes: usize) -> News {
        News { is_running: true, log_bytes, ..News::default() }
    }

    #[test]
    fn a_signature_is_the_one_of_the_reference_library() {
        // The example of the Standard Webhooks specification.
        let signer =
            Signer::from_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a valid secret");
        let signature =
            signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn logs_are_told_at_most_twice_a_second() {
        let mut subscription = Subscription::new(String::new(), vec![WebhookEvent::Logs]);
        assert_eq!(subscription.take_due(running(1), at(0)).events, [WebhookEvent::Logs]);
        let early = subscription.take_due(running(2), at(499));
        assert_eq!(early, Due { events: vec![], again_at: Some(at(500)) });
        assert_eq!(subscription.take_due(running(2), at(500)).events, [WebhookEvent::Logs]);
    }

    #[test]
    fn start_and_completed_are_told_once_and_only_if_asked_for() {
        let mut subscription = Subscription::new(String::new(), vec![WebhookEvent::Completed]);
        let ended = News { has_ended: true, ..running(0) };
        assert!(subscription.take_due(running(0), at(0)).events.is_empty());
        assert_eq!(subscription.take_due(ended, at(1)).events, [WebhookEvent::Completed]);
        assert!(subscription.take_due(ended, at(2)).events.is_empty());
    }
}
