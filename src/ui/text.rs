//! How values read on a page.

use askama::Template;
use chrono::SecondsFormat;

use crate::domain::timestamp::Timestamp;
use crate::domain::words::{grouped, short_span};

/// What stands where nothing is known.
pub(crate) const NONE: &str = "–";

/// An instant, in UTC until a script writes it in the reader's own zone.
#[derive(Debug, Clone, Copy, Template)]
#[template(
    source = r#"<time datetime="{{ self.machine() }}" title="{{ self.utc() }}" data-time="instant">{{ self.utc() }}</time>"#,
    ext = "html"
)]
pub(crate) struct Instant(pub(crate) Timestamp);

/// How long ago an instant was, or when it will be. A script goes on counting.
#[derive(Debug, Clone, Copy, Template)]
#[template(
    source = r#"<time datetime="{{ self.at().machine() }}" title="{{ self.at().utc() }}" data-time="ago">{{ self.words() }}</time>"#,
    ext = "html"
)]
pub(crate) struct Ago {
    pub(crate) at: Timestamp,
    pub(crate) now: Timestamp,
}

impl Instant {
    fn machine(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    fn utc(self) -> String {
        self.0.format("%Y-%m-%d %H:%M:%S UTC").to_string()
    }
}

impl Ago {
    fn at(self) -> Instant {
        Instant(self.at)
    }

    fn words(self) -> String {
        let seconds = (self.now - self.at).num_milliseconds() as f64 / 1e3;
        if seconds > -1.0 {
            format!("{} ago", short_span(seconds))
        } else {
            format!("in {}", short_span(-seconds))
        }
    }
}

/// An amount of money; `~` says that it is an estimate. Less than a cent is not nothing.
pub(crate) fn usd(usd: f64, is_estimate: bool) -> String {
    let mark = if is_estimate { "~" } else { "" };
    if usd > 0.0 && usd < 0.005 {
        return "<$0.01".to_owned();
    }
    let cents = (usd.max(0.0) * 100.0).round() as u64;
    format!("{mark}${}.{:02}", grouped(cents / 100), cents % 100)
}

/// A count.
pub(crate) fn count(number: i64) -> String {
    grouped(number.max(0).unsigned_abs())
}

/// A percentage, with one decimal where that tells something. It is cut and not rounded: all but one in ten
/// thousand are not all.
pub(crate) fn percent(percent: f64) -> String {
    let tenths = (percent * 10.0 + 1e-6).floor() / 10.0;
    if tenths > 0.0 && tenths < 100.0 { format!("{tenths:.1} %") } else { format!("{tenths:.0} %") }
}

/// A loss, a learning rate or a time: three significant digits.
pub(crate) fn significant(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude == 0.0 {
        "0".to_owned()
    } else if (1e-3..1e4).contains(&magnitude) {
        let decimals = (2.0 - magnitude.log10().floor()).max(0.0) as usize;
        format!("{number:.decimals$}")
    } else {
        format!("{number:.2e}")
    }
}

/// A word with a capital first letter.
pub(crate) fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// An address that a link may lead to: of others only http and https.
pub(crate) fn safe_link(url: &str) -> Option<&str> {
    let parsed = url::Url::parse(url).ok()?;
    matches!(parsed.scheme(), "http" | "https").then_some(url)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0.0, false, "$0.00")]
    #[case(0.001, true, "<$0.01")]
    #[case(1_234.5, true, "~$1,234.50")]
    fn money_is_written_to_the_cent(
        #[case] amount: f64,
        #[case] estimate: bool,
        #[case] text: &str,
    ) {
        assert_eq!(usd(amount, estimate), text);
    }

    #[rstest]
    #[case(0.023_44, "0.0234")]
    #[case(1.5, "1.50")]
    #[case(123.4, "123")]
    #[case(9.5e-5, "9.50e-5")]
    fn small_numbers_keep_three_digits(#[case] number: f64, #[case] text: &str) {
        assert_eq!(significant(number), text);
    }

    #[test]
    fn a_link_leads_to_the_web_or_nowhere() {
        assert_eq!(safe_link("https://replicate.com/p/x"), Some("https://replicate.com/p/x"));
        for hostile in
            ["javascript:alert(1)", "data:text/html,x", " JavaScript:alert(1)", "//x", "x"]
        {
            assert_eq!(safe_link(hostile), None, "{hostile}");
        }
    }

    #[test]
    fn hundred_percent_is_not_said_before_the_end() {
        let cases =
            [(99.99, "99.9 %"), (100.0, "100 %"), (0.0, "0 %"), (0.04, "0 %"), (13.8, "13.8 %")];
        for (number, text) in cases {
            assert_eq!(percent(number), text);
        }
    }
}
