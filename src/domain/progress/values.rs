//! What the numbers of a line amount to, once they are found.

use super::numbers::{Speed, SpeedUnit};

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
    let value = finite(digits)?;
    (value.fract() == 0.0 && (0.0..=EXACT).contains(&value)).then_some(value as u64)
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
    let text = std::str::from_utf8(digits).ok()?;
    if text.contains(',') { text.replace(',', "").parse().ok() } else { text.parse().ok() }
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
