//! Instants as this daemon keeps them: UTC, to the microsecond.
//!
//! SQLite would keep nanoseconds and PostgreSQL microseconds; truncating once, here, makes an
//! instant the same in memory, in either database and on the wire.

use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};

/// An instant in UTC, truncated to microseconds.
pub type Timestamp = DateTime<Utc>;

/// The present instant, for the edges of the daemon. The domain itself takes time as an argument.
pub fn now() -> Timestamp {
    Utc::now().trunc_subsecs(6)
}

/// Reads a provider's timestamp: RFC 3339 with 0–9 fractional digits, and also without a zone,
/// which is taken as UTC (`provider.md`: real answers are looser than the description).
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    DateTime::parse_from_rfc3339(text)
        .map(|instant| instant.with_timezone(&Utc))
        .or_else(|_| {
            NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|naive| naive.and_utc())
        })
        .ok()
        .map(|instant| instant.trunc_subsecs(6))
}

/// Microseconds since the Unix epoch: how both databases store an instant.
pub fn to_micros(instant: Timestamp) -> i64 {
    instant.timestamp_micros()
}

/// The instant `micros` microseconds after the Unix epoch. Values outside chrono's range, which
/// only a damaged database can hold, become the epoch.
pub fn from_micros(micros: i64) -> Timestamp {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_of_two_to_nine_digits_are_read() {
        for (text, micros) in [
            ("2026-03-01T10:00:00.12Z", 120_000),
            ("2026-03-01T10:00:00.123456789Z", 123_456),
            ("2026-03-01T11:00:00.5+01:00", 500_000),
            ("2026-03-01T10:00:00.25", 250_000),
            ("2026-03-01T10:00:00Z", 0),
        ] {
            let instant = parse(text).expect(text);
            assert_eq!(instant.timestamp(), 1_772_359_200, "{text}");
            assert_eq!(instant.timestamp_subsec_micros(), micros, "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "1772359200"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn storing_an_instant_loses_nothing() {
        let instant = parse("2026-03-01T10:00:00.123456789Z").expect("an instant");
        assert_eq!(from_micros(to_micros(instant)), instant);
    }
}
