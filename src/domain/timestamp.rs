//! Instants as this daemon keeps them: UTC, to the microsecond.
//!
//! SQLite would keep nanoseconds and PostgreSQL microseconds; truncating once, here, makes an
//! instant the same in memory, in either database and on the wire.

use chrono::{DateTime, Datelike, NaiveDateTime, SubsecRound, Utc};

/// An instant in UTC, truncated to microseconds.
pub type Timestamp = DateTime<Utc>;

/// The present instant, for the edges of the daemon. The domain itself takes time as an argument.
pub fn now() -> Timestamp {
    Utc::now().trunc_subsecs(6)
}

/// The forms of ISO 8601 in which clients print instants, besides RFC 3339: offsets without a colon or
/// without minutes, a space or a small `t` for the `T`, no seconds, and everything without separators.
const ZONED_FORMS: [&str; 4] =
    ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z", "%Y%m%dT%H%M%S%.f%#z", "%Y%m%dT%H%M%#z"];
/// The same without an offset, which is UTC.
const NAIVE_FORMS: [&str; 4] =
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y%m%dT%H%M%S%.f", "%Y%m%dT%H%M"];

/// The years in which jobs run. What is before is how a program writes that it has no time: Go as the year 1,
/// C as 1970, .NET as 1601.
const YEARS: std::ops::Range<i32> = 1990..2200;

/// Reads a provider's timestamp: RFC 3339, and ISO 8601 as clients print it; without an offset it is UTC
/// (`provider.md`: real answers are looser than the description). None where it is neither, or of a year in
/// which no job ran.
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = with_separators(text.trim());
    let zoned = ZONED_FORMS.iter().find_map(|form| DateTime::parse_from_str(&text, form).ok());
    let naive = || NAIVE_FORMS.iter().find_map(|f| NaiveDateTime::parse_from_str(&text, f).ok());
    zoned
        .map(|instant| instant.with_timezone(&Utc))
        .or_else(|| naive().map(|naive| naive.and_utc()))
        .filter(|instant| YEARS.contains(&instant.year()))
        .map(|instant| instant.trunc_subsecs(6))
}

/// The same text with a `T` before the time, a point before the fraction, and no space before the offset.
fn with_separators(text: &str) -> String {
    let mut words = text.splitn(2, ['T', 't', ' ', '_']);
    let date = words.next().unwrap_or_default();
    let Some(time) = words.next() else { return date.to_owned() };
    let time = time.trim().replace(',', ".").replace(" +", "+").replace(" -", "-");
    let time = time
        .strip_suffix("UTC")
        .or(time.strip_suffix("GMT"))
        .map_or(time.clone(), |time| format!("{}Z", time.trim_end()));
    format!("{date}T{time}")
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
    fn an_instant_is_read_in_every_form_in_which_clients_print_it() {
        for text in [
            "2026-03-01T10:00:00Z",
            "2026-03-01t10:00:00z",
            "2026-03-01T10:00:00+00:00",
            "2026-03-01T10:00:00-00:00",
            "2026-03-01T10:00:00+0000",
            "2026-03-01T11:00:00+0100",
            "2026-03-01T11:00:00+01",
            "2026-03-01T15:30:00+05:30",
            "2026-03-01T15:30:00+0530",
            "2026-03-01T10:00:00.000000000+0000",
            "2026-03-01T10:00:00,000Z",
            "2026-03-01 10:00:00",
            "2026-03-01 10:00:00Z",
            "2026-03-01 10:00:00+00",
            "2026-03-01 11:00:00 +0100",
            "2026-03-01 10:00:00.000 UTC",
            "2026-03-01T10:00Z",
            "2026-03-01T10:00",
            "20260301T100000Z",
            "20260301T110000+0100",
            " 2026-03-01T10:00:00Z\n",
        ] {
            let instant = parse(text).map(|instant| instant.timestamp());
            assert_eq!(instant, Some(1_772_359_200), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-03-01",
            "2026-13-01T00:00:00Z",
            "1772359200",
            "0001-01-01T00:00:00Z",
            "1970-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn storing_an_instant_loses_nothing() {
        let instant = parse("2026-03-01T10:00:00.123456789Z").expect("an instant");
        assert_eq!(from_micros(to_micros(instant)), instant);
    }
}
