//! The session of a browser: what stands in its cookie instead of the API key.
//!
//! A session is nothing but an instant at which it ends, signed with an API key. So nothing is stored, a
//! restart ends no session, and a key that is taken away ends its own.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::timestamp::Timestamp;

/// For how long a session holds, in seconds.
pub const LASTS_SECONDS: i64 = 7 * 86_400;

/// A session that begins now, by the key that was shown for it.
pub fn issue(key: &str, now: Timestamp) -> String {
    let ends_at = now.timestamp() + LASTS_SECONDS;
    let signature = signature(key, ends_at).finalize().into_bytes();
    format!("{ends_at}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Whether a session was issued for this key, and still holds.
pub fn holds(session: &str, key: &str, now: Timestamp) -> bool {
    let parts = session.split_once('.').and_then(|(ends_at, signature)| {
        Some((ends_at.parse::<i64>().ok()?, URL_SAFE_NO_PAD.decode(signature).ok()?))
    });
    parts.is_some_and(|(ends_at, given)| {
        // In a time that says nothing about the signature.
        ends_at > now.timestamp() && signature(key, ends_at).verify_slice(&given).is_ok()
    })
}

fn signature(key: &str, ends_at: i64) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    // No webhook begins like that, so no signature of the one kind is one of the other.
    mac.update(format!("jobsyncd session until {ends_at}").as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::*;
    use crate::domain::timestamp::parse;

    fn now() -> Timestamp {
        parse("2026-03-01T10:00:00Z").expect("an instant")
    }

    #[test]
    fn a_session_holds_for_its_key_and_its_time_alone() {
        let session = issue("key", now());
        assert!(holds(&session, "key", now()));
        assert!(!holds(&session, "other", now()));
        let end = now() + Duration::seconds(LASTS_SECONDS);
        assert!(holds(&session, "key", end - Duration::seconds(1)));
        assert!(!holds(&session, "key", end));
    }

    #[test]
    fn a_session_cannot_be_made_longer() {
        let session = issue("key", now());
        let (ends_at, signature) = session.split_once('.').expect("two parts");
        let later = ends_at.parse::<i64>().expect("a number") + 1;
        assert!(!holds(&format!("{later}.{signature}"), "key", now()));
        for nonsense in ["", ".", "1.", "9999999999.AAAA", "x.y"] {
            assert!(!holds(nonsense, "key", now()), "{nonsense}");
        }
    }
}
