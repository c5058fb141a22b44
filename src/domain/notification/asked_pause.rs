//! For how long a receiver asks to be left alone, in every form in which receivers are known to say it.

use serde_json::Value;

use crate::domain::timestamp::{self, Timestamp};

/// How far the clock of a receiver may be off for the date of its answer to be believed, in seconds.
const CLOCK_SECONDS_MAX: f64 = 86_400.0;

/// Numbers from this on are instants since the Unix epoch, not spans: it is 2001.
const EPOCH_SECONDS_MIN: f64 = 1e9;
/// Numbers from this on are such instants in milliseconds.
const EPOCH_MILLISECONDS_MIN: f64 = 1e12;

/// The pause that a refusal names, in seconds: by `Retry-After` (seconds, also with a fraction, or a date in
/// any form of HTTP), by `retry_after` in a body of JSON (Discord, Telegram), else by what it tells of its
/// limits. `headers` answers all values of a header, by its name in lower case.
pub fn after_refusal<'a>(
    headers: impl Fn(&str) -> Vec<&'a str>,
    body: &[u8],
    now: Timestamp,
) -> Option<f64> {
    let clock = receivers_clock(&headers, now);
    let told = headers("retry-after").into_iter().filter_map(|text| span(text, clock));
    let longest = told.chain(in_body(body)).reduce(f64::max);
    // A failure that has nothing to do with limits tells of them as well.
    // Where it does not say how many messages are left, it tells of a limit because that is reached.
    let is_spent = left(&headers).is_none_or(|left| left < 1.0);
    longest.or_else(|| is_spent.then(|| of_limits(&headers, clock)).flatten())
}

/// The pause that follows a message that was taken: where none further is allowed by now.
pub fn after_success<'a>(headers: impl Fn(&str) -> Vec<&'a str>, now: Timestamp) -> Option<f64> {
    let is_spent = left(&headers).is_some_and(|left| left < 1.0);
    let clock = receivers_clock(&headers, now);
    is_spent.then(|| of_limits(&headers, clock)).flatten()
}

/// How many further messages are allowed by now, where the receiver says so: by the strictest of its limits.
fn left<'a>(headers: &impl Fn(&str) -> Vec<&'a str>) -> Option<f64> {
    let told = |name| headers(name).first().and_then(|text| text.trim().parse::<f64>().ok());
    let names = ["x-ratelimit-remaining", "ratelimit-remaining"];
    names.into_iter().filter_map(told).reduce(f64::min)
}

/// The time by the receiver, since its dates are by its clock; ours where it tells none, or a strange one.
fn receivers_clock<'a>(headers: &impl Fn(&str) -> Vec<&'a str>, now: Timestamp) -> Timestamp {
    let told = headers("date").into_iter().find_map(date);
    let is_near = |told: &Timestamp| seconds_between(now, *told).abs() < CLOCK_SECONDS_MAX;
    told.filter(is_near).unwrap_or(now)
}

fn of_limits<'a>(headers: &impl Fn(&str) -> Vec<&'a str>, clock: Timestamp) -> Option<f64> {
    const NAMES: [&str; 3] = ["x-ratelimit-reset-after", "ratelimit-reset", "x-ratelimit-reset"];
    NAMES.iter().find_map(|name| headers(name).into_iter().find_map(|text| span(text, clock)))
}

/// A span, or an instant as the span until then.
fn span(text: &str, clock: Timestamp) -> Option<f64> {
    let text = text.trim();
    match text.parse::<f64>() {
        Ok(number) => of_number(number, clock),
        Err(_) => {
            let instant = date(text).or_else(|| timestamp::parse(text))?;
            Some(seconds_between(clock, instant).max(0.0))
        }
    }
}

fn of_number(number: f64, clock: Timestamp) -> Option<f64> {
    if !number.is_finite() || number < 0.0 {
        return None;
    }
    let since_epoch = clock.timestamp_micros() as f64 / 1e6;
    Some(match number {
        n if n >= EPOCH_MILLISECONDS_MIN => (n / 1e3 - since_epoch).max(0.0),
        n if n >= EPOCH_SECONDS_MIN => (n - since_epoch).max(0.0),
        n => n,
    })
}

fn in_body(body: &[u8]) -> Option<f64> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let told = body.get("retry_after").or_else(|| body.pointer("/parameters/retry_after"))?;
    let number = told.as_f64().or_else(|| told.as_str()?.trim().parse().ok())?;
    Some(number).filter(|number| number.is_finite() && *number >= 0.0)
}

/// A date of HTTP, in any of its three forms.
fn date(text: &str) -> Option<Timestamp> {
    let instant = httpdate::parse_http_date(text.trim()).ok()?;
    Some(Timestamp::from(instant))
}

fn seconds_between(from: Timestamp, until: Timestamp) -> f64 {
    (until - from).num_milliseconds() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 784111777 s after the epoch: the date that RFC 9110 takes as its example, 40 s before.
    fn now() -> Timestamp {
        timestamp::parse("1994-11-06T08:48:57Z").expect("an instant")
    }

    fn refused(headers: &[(&str, &'static str)], body: &str) -> Option<f64> {
        let of = |name: &str| {
            let values = headers.iter().filter(|(key, _)| *key == name);
            values.map(|(_, value)| *value).collect()
        };
        after_refusal(of, body.as_bytes(), now())
    }

    #[test]
    fn every_form_of_the_header_is_read() {
        for (value, seconds) in [
            ("20", 20.0),
            (" 20 ", 20.0),
            ("0", 0.0),
            ("1.337", 1.337),
            ("0.35", 0.35),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 40.0),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 40.0),
            ("Sun Nov  6 08:49:37 1994", 40.0),
            ("1994-11-06T08:49:37Z", 40.0),
            ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ] {
            assert_eq!(refused(&[("retry-after", value)], ""), Some(seconds), "{value}");
        }
        for value in ["", "soon", "-5", "NaN", "inf", "20 seconds"] {
            assert_eq!(refused(&[("retry-after", value)], ""), None, "{value}");
        }
    }

    #[test]
    fn a_date_is_by_the_receivers_own_clock() {
        let headers = [
            ("retry-after", "Sun, 06 Nov 1994 08:59:37 GMT"),
            ("date", "Sun, 06 Nov 1994 08:59:07 GMT"),
        ];
        assert_eq!(refused(&headers, ""), Some(30.0));
        let strange = [
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ];
        assert_eq!(refused(&strange, ""), Some(40.0));
    }

    #[test]
    fn the_longest_of_header_and_body_counts() {
        let discord = r#"{"message": "You are being rate limited.", "retry_after": 64.57}"#;
        assert_eq!(refused(&[], discord), Some(64.57));
        assert_eq!(refused(&[("retry-after", "64")], discord), Some(64.57));
        assert_eq!(refused(&[("retry-after", "65")], discord), Some(65.0));
        let telegram = r#"{"ok": false, "parameters": {"retry_after": 7}}"#;
        assert_eq!(refused(&[], telegram), Some(7.0));
        assert_eq!(refused(&[], "rate_limited"), None);
        assert_eq!(refused(&[], r#"{"retry_after": null}"#), None);
    }

    #[test]
    fn what_it_tells_of_its_limits_counts_where_it_says_nothing_else() {
        assert_eq!(refused(&[("x-ratelimit-reset-after", "1.25")], ""), Some(1.25));
        assert_eq!(refused(&[("ratelimit-reset", "30")], ""), Some(30.0));
        let both = [("retry-after", "2"), ("x-ratelimit-reset-after", "3600")];
        assert_eq!(refused(&both, ""), Some(2.0));
    }

    #[test]
    fn a_number_that_is_an_instant_is_a_span_until_then() {
        let now = timestamp::parse("2026-03-01T10:00:00Z").expect("an instant");
        for value in ["1772359248.5", "1772359248500"] {
            let of = |name: &str| match name {
                "x-ratelimit-reset" => vec![value],
                _ => Vec::new(),
            };
            assert_eq!(after_refusal(of, b"", now), Some(48.5), "{value}");
        }
    }

    #[test]
    fn who_takes_the_last_message_that_is_allowed_is_left_alone_after_it() {
        let told = |remaining: &'static str| {
            let of = move |name: &str| match name {
                "x-ratelimit-remaining" => vec![remaining],
                "x-ratelimit-reset-after" => vec!["1.5"],
                _ => Vec::new(),
            };
            after_success(of, now())
        };
        assert_eq!((told("0"), told("4")), (Some(1.5), None));
        assert_eq!(after_success(|_| Vec::new(), now()), None);
    }
}
