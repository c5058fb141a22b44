//! How the values of the daemon's answers are written for people.

use jobsyncd::domain::timestamp::{Timestamp, parse};
pub(super) use jobsyncd::domain::words::{UNKNOWN, clean, cut, grouped, short_span, span};
use serde_json::Value;

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_instant_is_written_as_its_age() {
        let now = parse("2026-03-01T12:00:00Z").expect("an instant");
        assert_eq!(age(&json!("2026-03-01T10:30:00.5Z"), now), "1h");
        assert_eq!(age(&json!(null), now), "-");
    }

    #[test]
    fn an_estimate_of_money_is_marked() {
        assert_eq!(money(&json!(1.005), true), "~$1.00");
        assert_eq!(money(&json!(12), false), "$12.00");
        assert_eq!(money(&json!(null), true), "-");
    }
}
