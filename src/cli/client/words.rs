//! How numbers, times and texts of others are written for people.

use jobsyncd::domain::timestamp::{Timestamp, parse};
use serde_json::Value;

/// What stands where nothing is known.
pub(super) const UNKNOWN: &str = "-";

/// A text of others as a terminal may have it: on one line, and without a character that could move
/// the cursor or change its colours.
pub(super) fn clean(text: &str) -> String {
    let spaced = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    let spaced: String = spaced.collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most so many characters of a text.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A time span in its two largest units.
pub(super) fn span(seconds: f64) -> String {
    if !seconds.is_finite() {
        return UNKNOWN.to_owned();
    }
    // Beyond any job's life a cast saturates, which is as good.
    let seconds = seconds.max(0.0) as u64;
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
        (0, hours, minutes, _) => format!("{hours}h {minutes:02}m"),
        (days, hours, _, _) => format!("{days}d {hours:02}h"),
    }
}

/// A time span in its largest unit.
pub(super) fn short_span(seconds: f64) -> String {
    span(seconds).split(' ').next().unwrap_or_default().to_owned()
}

/// How long ago an instant of the daemon's was.
pub(super) fn age(instant: &Value, now: Timestamp) -> String {
    let instant = instant.as_str().and_then(parse);
    instant.map_or(UNKNOWN.to_owned(), |instant| {
        short_span((now - instant).num_milliseconds() as f64 / 1e3)
    })
}

/// An amount of money; `~` says that it is an estimate.
pub(super) fn money(usd: &Value, is_estimate: bool) -> String {
    let mark = if is_estimate { "~" } else { "" };
    usd.as_f64().map_or(UNKNOWN.to_owned(), |usd| format!("{mark}${usd:.2}"))
}

/// A whole number with a comma every three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(0.4, "0s", "0s")]
    #[case(-3.0, "0s", "0s")]
    #[case(59.9, "59s", "59s")]
    #[case(61.0, "1m 01s", "1m")]
    #[case(3_600.0, "1h 00m", "1h")]
    #[case(90_000.0, "1d 01h", "1d")]
    #[case(f64::NAN, "-", "-")]
    fn a_time_span_is_written_in_its_largest_units(
        #[case] seconds: f64,
        #[case] two: &str,
        #[case] one: &str,
    ) {
        assert_eq!((span(seconds).as_str(), short_span(seconds).as_str()), (two, one));
    }

    #[test]
    fn an_instant_is_written_as_its_age() {
        let now = parse("2026-03-01T12:00:00Z").expect("an instant");
        assert_eq!(age(&json!("2026-03-01T10:30:00.5Z"), now), "1h");
        assert_eq!(age(&json!(null), now), "-");
    }

    #[rstest]
    #[case(0, "0")]
    #[case(999, "999")]
    #[case(1_000, "1,000")]
    #[case(12_345_678, "12,345,678")]
    fn large_numbers_are_grouped(#[case] number: u64, #[case] expected: &str) {
        assert_eq!(grouped(number), expected);
    }

    #[test]
    fn an_estimate_of_money_is_marked() {
        assert_eq!(money(&json!(1.005), true), "~$1.00");
        assert_eq!(money(&json!(12), false), "$12.00");
        assert_eq!(money(&json!(null), true), "-");
    }

    #[test]
    fn a_text_of_others_cannot_move_the_cursor() {
        assert_eq!(clean("a\u{1b}[2Jb\r\n  c\u{9b}d"), "a [2Jb c d");
    }

    #[rstest]
    #[case("abcdef", 6, "abcdef")]
    #[case("abcdef", 5, "abcd…")]
    #[case("abc def", 5, "abc…")]
    #[case("äöü", 3, "äöü")]
    fn a_text_that_is_too_long_is_cut_and_says_so(
        #[case] text: &str,
        #[case] chars_max: usize,
        #[case] expected: &str,
    ) {
        assert_eq!(cut(text, chars_max), expected);
    }
}
