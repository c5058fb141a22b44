//! How numbers, time spans and texts of others are written for people, in a terminal and on a page.

/// What stands where nothing is known.
pub const UNKNOWN: &str = "-";

/// A text of others as a terminal may have it: on one line, and without a character that could move
/// the cursor or change its colours.
pub fn clean(text: &str) -> String {
    let spaced = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    let spaced: String = spaced.collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most so many characters of a text.
pub fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A time span in its two largest units.
pub fn span(seconds: f64) -> String {
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
pub fn short_span(seconds: f64) -> String {
    span(seconds).split(' ').next().unwrap_or_default().to_owned()
}

/// A whole number with a comma every three digits.
pub fn grouped(number: u64) -> String {
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

    #[rstest]
    #[case(0, "0")]
    #[case(999, "999")]
    #[case(1_000, "1,000")]
    #[case(12_345_678, "12,345,678")]
    fn large_numbers_are_grouped(#[case] number: u64, #[case] expected: &str) {
        assert_eq!(grouped(number), expected);
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
