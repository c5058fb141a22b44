//! The signature of a webhook: believed exactly where a second, plain verifier believes it.
//!
//! The first four lines are key, id, timestamp and signatures, the rest is the body. In the signatures
//! `SIGNED` stands for the right one, which no fuzzer guesses.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jobsyncd::domain::signature::{SignatureHeaders, SigningKey, verify};
use sha2::{Digest, Sha256};

use super::observed;

/// The block of SHA-256, in bytes.
const BLOCK_BYTES: usize = 64;
const TOLERANCE_SECONDS: u128 = 300;

pub fn check(data: &[u8]) {
    let parts: Vec<_> = data.splitn(5, |&byte| byte == b'\n').collect();
    let &[key, id, timestamp, signatures, body] = parts.as_slice() else { return };
    let texts = [id, timestamp, signatures].map(std::str::from_utf8);
    let [Ok(id), Ok(timestamp), Ok(signatures)] = texts else { return };
    if key.is_empty() {
        return;
    }

    let message = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let right = STANDARD.encode(hmac(key, &message));
    let signatures = signatures.replace("SIGNED", &right);
    let is_right = is_recent(timestamp)
        && signatures.split(' ').any(|signature| signature == format!("v1,{right}"));

    let key = SigningKey::from_secret(&format!("whsec_{}", STANDARD.encode(key))).expect("a key");
    assert_eq!(key.sign(id, timestamp, body), right);
    let headers =
        SignatureHeaders { id: Some(id), timestamp: Some(timestamp), signature: Some(&signatures) };
    let verdict = verify(&key, headers, body, observed::now());
    assert_eq!(verdict.is_ok(), is_right, "{headers:?}: {verdict:?}");
    for incomplete in [
        SignatureHeaders { id: None, ..headers },
        SignatureHeaders { timestamp: None, ..headers },
        SignatureHeaders { signature: None, ..headers },
    ] {
        assert!(verify(&key, incomplete, body, observed::now()).is_err());
    }
}

fn is_recent(timestamp: &str) -> bool {
    let now = i128::from(observed::now().timestamp());
    timestamp.parse().is_ok_and(|sent_at: i128| sent_at.abs_diff(now) <= TOLERANCE_SECONDS)
}

/// HMAC as RFC 2104 writes it.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK_BYTES];
    if key.len() > BLOCK_BYTES {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::digest([&block.map(|byte| byte ^ 0x36), message].concat());
    Sha256::digest([&block.map(|byte| byte ^ 0x5c), inner.as_slice()].concat()).into()
}
