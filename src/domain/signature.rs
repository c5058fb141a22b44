//! Verification of signed webhooks (Standard Webhooks, symmetric keys: `v1`).
//!
//! The signature is HMAC-SHA256 over `id.timestamp.body`, with the raw bytes of the body, and is
//! compared in constant time. Only `v1` signatures count: an asymmetric `v1a` is another scheme.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::timestamp::Timestamp;

/// How far a webhook's timestamp may be from our clock, in seconds, either way.
pub const TOLERANCE_SECONDS: i64 = 300;

/// The key that a provider signs with.
#[derive(Clone)]
pub struct SigningKey(Vec<u8>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKey(…)")
    }
}

/// A secret that is not the base64 of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is base64, usually after whsec_")]
pub struct MalformedSecret;

impl SigningKey {
    /// Reads a secret as providers give it out: base64, usually after `whsec_`.
    ///
    /// # Errors
    /// Where that is not base64, or nothing is left of it.
    pub fn from_secret(secret: &str) -> Result<Self, MalformedSecret> {
        let encoded = secret.trim();
        let encoded = encoded.strip_prefix("whsec_").unwrap_or(encoded);
        match STANDARD.decode(encoded) {
            Ok(key) if !key.is_empty() => Ok(Self(key)),
            _ => Err(MalformedSecret),
        }
    }

    /// The `v1` signature of a message, as it stands in the header after `v1,`.
    pub fn sign(&self, id: &str, timestamp_seconds: &str, body: &[u8]) -> String {
        STANDARD.encode(self.mac(id, timestamp_seconds, body).finalize().into_bytes())
    }

    fn mac(&self, id: &str, timestamp_seconds: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        for part in [id.as_bytes(), b".", timestamp_seconds.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }
}

/// The headers of a signed webhook, as they came. None where one was missing or no text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SignatureHeaders<'a> {
    /// `webhook-id`: stays the same when the same message is sent again.
    pub id: Option<&'a str>,
    /// `webhook-timestamp`: seconds since the Unix epoch.
    pub timestamp: Option<&'a str>,
    /// `webhook-signature`: space-separated `v1,<base64>`.
    pub signature: Option<&'a str>,
}

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header is missing.
    #[error(
        "the webhook is not signed: webhook-id, webhook-timestamp and webhook-signature are needed"
    )]
    Missing,
    /// The timestamp is no whole number of seconds.
    #[error("webhook-timestamp is not a number of seconds")]
    MalformedTimestamp,
    /// The timestamp is too old or too new.
    #[error("webhook-timestamp is more than {TOLERANCE_SECONDS} s from this machine's clock")]
    OutsideTolerance,
    /// No signature in the header is right.
    #[error("webhook-signature does not match")]
    Mismatch,
}

/// What can be said without a key: answers id, timestamp and signatures where all are there and the
/// timestamp is near enough to `now`.
///
/// # Errors
/// Why not.
pub fn require_recent(
    headers: SignatureHeaders<'_>,
    now: Timestamp,
) -> Result<[&str; 3], SignatureError> {
    let (Some(id), Some(timestamp), Some(signatures)) =
        (headers.id, headers.timestamp, headers.signature)
    else {
        return Err(SignatureError::Missing);
    };
    let sent_at: i64 = timestamp.parse().map_err(|_| SignatureError::MalformedTimestamp)?;
    if sent_at.abs_diff(now.timestamp()) > TOLERANCE_SECONDS.unsigned_abs() {
        return Err(SignatureError::OutsideTolerance);
    }
    Ok([id, timestamp, signatures])
}

/// Whether `body` was signed with `key` for these `headers`, near enough to `now`.
///
/// # Errors
/// Why not.
pub fn verify(
    key: &SigningKey,
    headers: SignatureHeaders<'_>,
    body: &[u8],
    now: Timestamp,
) -> Result<(), SignatureError> {
    let [id, timestamp, signatures] = require_recent(headers, now)?;
    let mac = key.mac(id, timestamp, body);
    signatures
        .split(' ')
        .filter_map(|signature| signature.strip_prefix("v1,"))
        .filter_map(|encoded| STANDARD.decode(encoded).ok())
        .any(|signature| mac.clone().verify_slice(&signature).is_ok())
        .then_some(())
        .ok_or(SignatureError::Mismatch)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;

    use super::*;
    use crate::domain::timestamp::from_micros;

    #[derive(Deserialize)]
    struct Case {
        name: String,
        secret: String,
        headers: HashMap<String, String>,
        body_base64: String,
        now: i64,
        expected: String,
    }

    impl Case {
        fn header(&self, name: &str) -> Option<&str> {
            let (_, value) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some(value)
        }
    }

    #[test]
    fn a_key_does_not_show_itself() {
        let key = SigningKey::from_secret("whsec_c2VjcmV0").expect("a secret");
        assert_eq!(format!("{key:?}"), "SigningKey(…)");
    }

    #[test]
    fn every_vector_gets_the_reference_librarys_verdict() {
        let vectors = include_str!("../../tests/data/webhook_signature_vectors.json");
        let cases: Vec<Case> = serde_json::from_str(vectors).expect("the vectors are JSON");
        assert_eq!(cases.len(), 32);
        for case in cases {
            let key = SigningKey::from_secret(&case.secret).expect("a usable secret");
            let headers = SignatureHeaders {
                id: case.header("webhook-id"),
                timestamp: case.header("webhook-timestamp"),
                signature: case.header("webhook-signature"),
            };
            let body = STANDARD.decode(&case.body_base64).expect("base64");
            let verdict = verify(&key, headers, &body, from_micros(case.now * 1_000_000));
            assert_eq!(verdict.is_ok(), case.expected == "valid", "{}: {verdict:?}", case.name);
        }
    }

    #[test]
    fn what_we_sign_we_believe() {
        let key = SigningKey::from_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key");
        let signature = format!("v1,{}", key.sign("msg_1", "1795457000", b"{}"));
        let headers = SignatureHeaders {
            id: Some("msg_1"),
            timestamp: Some("1795457000"),
            signature: Some(&signature),
        };
        let now = from_micros(1_795_457_000_000_000);
        assert_eq!(verify(&key, headers, b"{}", now), Ok(()));
        assert_eq!(verify(&key, headers, b"{ }", now), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_secret_that_is_no_key_is_refused() {
        for secret in ["", "whsec_", "whsec_not base64!"] {
            assert_eq!(SigningKey::from_secret(secret).err(), Some(MalformedSecret), "{secret:?}");
        }
    }
}
