//! The key that webhooks are checked with: configured, or fetched from the provider and kept for a
//! while.
//!
//! One fetch serves all who need it, and nobody can make us fetch without end: anyone may send
//! something that is signed wrongly.

use std::time::Duration;

use actix::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::provider_client::FetchWebhookSecret;
use super::webhook_ingestor::IngestError;
use crate::domain::signature::SigningKey;
use crate::provider::ProviderError;

/// How long a secret that was fetched is used before it is fetched again.
const KEPT: Duration = Duration::from_secs(3_600);
/// How soon after a fetch a signature that does not match may lead to another. A provider that has
/// a new secret repeats its webhooks for about a minute.
const FETCHED_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How long a fetch that failed answers all who ask.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

/// Has the key. See the top of this file.
pub(super) struct WebhookKey {
    configured: Option<SecretString>,
    secrets: Recipient<FetchWebhookSecret>,
    /// Locked while a fetch is on its way, so that the others wait for its answer.
    fetched: Mutex<Fetched>,
}

#[derive(Default)]
struct Fetched {
    key: Option<SigningKey>,
    /// How the last fetch went, and when.
    last: Option<(Instant, Result<(), IngestError>)>,
}

impl Fetched {
    fn is_older_than(&self, age: Duration) -> bool {
        self.last.as_ref().is_none_or(|(at, _)| at.elapsed() >= age)
    }
}

impl WebhookKey {
    pub(super) fn new(
        configured: Option<SecretString>,
        secrets: Recipient<FetchWebhookSecret>,
    ) -> Self {
        Self { configured, secrets, fetched: Mutex::default() }
    }

    /// The key as far as it is known. One that cannot be fetched anew goes on to be used.
    pub(super) async fn current(&self) -> Result<SigningKey, IngestError> {
        if let Some(secret) = &self.configured {
            return read(secret);
        }
        let mut fetched = self.fetched.lock().await;
        let last_failed = matches!(fetched.last, Some((_, Err(_))));
        if fetched.is_older_than(if last_failed { FAILURE_KEPT } else { KEPT }) {
            self.fetch(&mut fetched).await;
        }
        match (&fetched.key, &fetched.last) {
            (Some(key), _) => Ok(key.clone()),
            (None, Some((_, Err(error)))) => Err(error.clone()),
            (None, _) => Err(IngestError::Stopping),
        }
    }

    /// The key as the provider has it now. None where it is not to be asked so soon again, or does
    /// not answer.
    pub(super) async fn fresh(&self) -> Option<SigningKey> {
        if self.configured.is_some() {
            return None;
        }
        let mut fetched = self.fetched.lock().await;
        if !fetched.is_older_than(FETCHED_AGAIN_AFTER) {
            // Somebody may have fetched it while we waited.
            return fetched.key.clone();
        }
        self.fetch(&mut fetched).await;
        fetched.key.clone()
    }

    async fn fetch(&self, fetched: &mut Fetched) {
        let answer = match self.secrets.send(FetchWebhookSecret).await {
            Ok(Ok(secret)) => read(&secret),
            Ok(Err(error @ ProviderError::NoToken { .. })) => Err(IngestError::NoSecret(error)),
            Ok(Err(error)) => Err(IngestError::SecretUnavailable(error)),
            Err(_) => Err(IngestError::Stopping),
        };
        let went = answer.map(|key| fetched.key = Some(key));
        fetched.last = Some((Instant::now(), went));
    }
}

fn read(secret: &SecretString) -> Result<SigningKey, IngestError> {
    SigningKey::from_secret(secret.expose_secret())
        .map_err(|error| IngestError::SecretUnavailable(ProviderError::Garbled(error.to_string())))
}
