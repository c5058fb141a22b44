//! What the numbers of a line amount to, once they are found.

use super::grammar::bars::{Speed, SpeedUnit};

/// So many digits name a whole number that a float names, too.
const EXACT_DIGITS: usize = 15;

/// A whole number, however written: `23,040`, `5e+04`, `12.00`.
pub(super) fn count(digits: &[u8]) -> Option<u64> {
    /// The largest range in which a float names every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(count) = short_count(digits) {
        return Some(count);
    }
    let value = if digits.contains(&b',') { without_separators(digits)? } else { finite(digits)? };
    (value.fract() == 0.0 && (0.0..=EXACT).contains(&value)).then_some(value as u64)
}

fn short_count(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > EXACT_DIGITS {
        return None;
    }
    digits.iter().try_fold(0, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u64::from(digit))
    })
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

/// The number that most are: digits with a point among them and a power of ten, all of which floats name,
/// so that their quotient or product is the nearest float.
fn short_decimal(text: &[u8]) -> Option<f64> {
    let (mut number, mut digits, mut decimals, mut is_fraction) = (0_u64, 0, 0, false);
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        match byte {
            b'0'..=b'9' => {
                number = number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                digits += 1;
                decimals += usize::from(is_fraction);
            }
            b'.' if !is_fraction => is_fraction = true,
            _ => break,
        }
        rest = after;
    }
    let lowered = match rest {
        [] => 0,
        [b'e' | b'E', b'-', power @ ..] if (1..=2).contains(&power.len()) => count(power)? as usize,
        _ => return None,
    };
    let divisor = POWERS.get(decimals + lowered)?;
    (1..=EXACT_DIGITS).contains(&digits).then(|| number as f64 / divisor)
}

/// The powers of ten that floats name.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

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
        fn a_number_is_what_the_standard_library_reads(text in r"[0-9]{0,9}(\.[0-9]{0,9})?(e-?[0-9]{1,3})?") {
            prop_assert_eq!(decimal(text.as_bytes()), text.parse().ok());
        }
    }
}
