//! What the numbers of a line amount to, once they are found.

use super::grammar::bars::{Speed, SpeedUnit};

/// A whole number, however written: `23,040`, `5e+04`, `12.00`.
pub(super) fn count(digits: &[u8]) -> Option<u64> {
    /// The largest range in which a float names every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    /// So many digits name nothing beyond that range.
    const EXACT_DIGITS: usize = 15;
    if digits.len() <= EXACT_DIGITS && digits.iter().all(u8::is_ascii_digit) && !digits.is_empty() {
        let number = |number: u64, digit: &u8| number * 10 + u64::from(digit - b'0');
        return Some(digits.iter().fold(0, number));
    }
    let value = if digits.contains(&b',') { without_separators(digits)? } else { finite(digits)? };
    (value.fract() == 0.0 && (0.0..=EXACT).contains(&value)).then_some(value as u64)
}

fn without_separators(digits: &[u8]) -> Option<f64> {
    std::str::from_utf8(digits).ok()?.replace(',', "").parse().ok()
}

/// How many there are of something of which there must be some.
pub(super) fn total(digits: &[u8]) -> Option<u64> {
    count(digits).filter(|&total| total > 0)
}

/// A number that is one: JSON has no others, and one that is not equal to itself would be news for ever.
pub(super) fn finite(digits: &[u8]) -> Option<f64> {
    decimal(digits).filter(|number| number.is_finite())
}

/// A number, or what a trainer prints instead of one when it has diverged.
pub(super) fn decimal(digits: &[u8]) -> Option<f64> {
    if let Some(number) = short_decimal(digits) {
        return Some(number);
    }
    let text = std::str::from_utf8(digits).ok()?;
    let Some((before, after)) = text.split_once(',') else { return text.parse().ok() };
    // `0,512` and `12,5` are decimals in many languages; `23,040` are thousands.
    let is_decimal = !text.contains('.') && (before == "0" || before == "-0" || after.len() != 3);
    text.replace(',', if is_decimal { "." } else { "" }).parse().ok()
}

/// The number that most are: digits with a point among them, few enough that the quotient of two whole
/// numbers is the nearest float.
fn short_decimal(digits: &[u8]) -> Option<f64> {
    const DIGITS_MAX: usize = 15;
    const POWERS: [f64; DIGITS_MAX + 1] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let (mut number, mut point) = (0_u64, None);
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => number = number * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() && digits.len() > 1 => point = Some(at),
            _ => return None,
        }
    }
    let decimals = point.map_or(0, |point| digits.len() - 1 - point);
    Some(number as f64 / POWERS[decimals])
}

/// `1:51:48` or `05:33` in seconds; hours may exceed a day.
pub(super) fn clock_seconds(clock: &[u8]) -> Option<f64> {
    clock
        .split(|&byte| byte == b':')
        .try_fold(0.0, |seconds, part| Some(seconds * 60.0 + count(part)? as f64))
        .filter(|seconds: &f64| seconds.is_finite())
}

/// Seconds for one step, of which `steps_left` are still to be taken.
pub(super) fn seconds_per_step(speed: Speed<&[u8]>, steps_left: Option<u64>) -> Option<f64> {
    let seconds = match speed.unit {
        SpeedUnit::SecondsPerStep => finite(speed.number)?,
        SpeedUnit::MillisecondsPerStep => finite(speed.number)? / 1e3,
        SpeedUnit::StepsPerSecond => 1.0 / finite(speed.number)?,
        SpeedUnit::ClockLeft => clock_seconds(speed.number)? / steps_left? as f64,
    };
    (seconds.is_finite() && seconds > 0.0).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_number_is_what_the_standard_library_reads(text in r"[0-9]{0,9}(\.[0-9]{0,9})?(e-?[0-9]{1,2})?") {
            prop_assert_eq!(decimal(text.as_bytes()), text.parse().ok());
        }
    }
}
