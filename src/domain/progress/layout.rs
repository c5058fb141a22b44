//! Where the numbers of a line are, and whether another line has them in the same places.

use super::shape::Run;
use super::values::decimal;

/// A number in a line of a known shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// From the first to the last of these runs of digits, with all that is between them.
    Runs {
        first: u8,
        last: u8,
        /// A sign stands before it.
        has_sign: bool,
    },
    /// Not in digits: this one of [`WORDS`].
    Word(u8),
}

/// What trainers print instead of numbers: nan, infinite, and less than all numbers.
const WORDS: [&[u8]; 3] = [b"nan", b"inf", b"-inf"];

impl Place {
    /// Where `text` stands, which is a part of `line`; `None` where its ends are not those of runs.
    pub(super) fn of(text: &[u8], line: &[u8], runs: &[Run]) -> Option<Self> {
        if !text.iter().any(u8::is_ascii_digit) {
            let number = decimal(text)?;
            return Some(Self::Word(match number {
                number if number.is_nan() => 0,
                number if number > 0.0 => 1,
                _ => 2,
            }));
        }
        let start = (text.as_ptr() as usize).checked_sub(line.as_ptr() as usize)?;
        let end = start + text.len();
        let has_sign = matches!(text.first(), Some(b'+' | b'-'));
        let first_digit = start + usize::from(has_sign);
        let first = runs.iter().position(|run| usize::from(run.0) == first_digit)?;
        let last = runs.iter().position(|run| usize::from(run.1) == end)?;
        Some(Self::Runs { first: first as u8, last: last as u8, has_sign })
    }

    pub(super) fn text<'a>(self, line: &'a [u8], runs: &[Run]) -> &'a [u8] {
        match self {
            Self::Word(word) => WORDS[usize::from(word)],
            Self::Runs { first, last, has_sign } => {
                let start = usize::from(runs[usize::from(first)].0) - usize::from(has_sign);
                &line[start..usize::from(runs[usize::from(last)].1)]
            }
        }
    }
}

/// A line, and which of its bytes are digits.
///
/// From one frame of a bar to the next a few digits change, and seldom how many there are. To see that takes a
/// fraction of the time that a [`Shape`](super::shape::Shape) takes, which is that of more lines.
#[derive(Debug)]
pub(super) struct Layout {
    line: Box<[u8]>,
    /// All bits set where a digit is, none elsewhere.
    mask: Box<[u8]>,
    pub(super) runs: Box<[Run]>,
}

impl Layout {
    /// Of a line with these runs of digits.
    pub(super) fn new(line: &[u8], runs: &[Run]) -> Self {
        let mut mask = vec![0; line.len()];
        for &(start, end) in runs {
            mask[usize::from(start)..usize::from(end)].fill(u8::MAX);
        }
        Self { line: line.into(), mask: mask.into(), runs: runs.into() }
    }

    /// Whether another line is the same but for its digits, of which each stands for one.
    pub(super) fn fits(&self, other: &[u8]) -> bool {
        if other.len() != self.line.len() {
            return false;
        }
        let lines = self.line.as_chunks().0.iter().zip(self.mask.as_chunks().0);
        let mut strides = other.as_chunks().0.iter().zip(lines);
        strides.all(|(other, (line, mask))| stride_fits(other, line, mask))
            && match (other.last_chunk(), self.line.last_chunk(), self.mask.last_chunk()) {
                (Some(other), Some(line), Some(mask)) => stride_fits(other, line, mask),
                _ => {
                    let bytes = other.iter().zip(&self.line).zip(&self.mask);
                    bytes.fold(true, |fits, ((byte, own), mask)| {
                        fits & byte_fits(*byte, *own, *mask)
                    })
                }
            }
    }
}

/// As many bytes as are compared together.
type Stride = [u8; 16];

/// Without a branch for each byte: the compiler makes vector code of it.
fn stride_fits(other: &Stride, line: &Stride, mask: &Stride) -> bool {
    (0..other.len()).fold(true, |fits, at| fits & byte_fits(other[at], line[at], mask[at]))
}

fn byte_fits(byte: u8, own: u8, mask: u8) -> bool {
    let is_same = (byte ^ own) & !mask == 0;
    is_same & (byte.is_ascii_digit() | (mask == 0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::shape::{Shape, WordMemory, Words};
    use super::*;

    fn shape(line: &str) -> Shape {
        let mut shape = Shape::default();
        shape.take(line.as_bytes(), Words::All, &mut WordMemory::default()).expect("few numbers");
        shape
    }

    fn layout(line: &str) -> Layout {
        Layout::new(line.as_bytes(), &shape(line).runs)
    }

    #[test]
    fn digits_may_differ_and_nothing_else() {
        let bar = layout("steps:  12%| 120/1000 [00:12<01:29, loss=0.25]");
        assert!(bar.fits(b"steps:  99%| 987/6543 [98:76<54:32, loss=1.00]"));
        assert!(!bar.fits(b"steps:  99%| 987/6543 [98:76<54:32, loss=1.00"));
        assert!(!bar.fits(b"steps:  99%| 987/6543 [98:76<54:32, loss=1.0 "));
        assert!(!bar.fits(b"steps:  99%| 987/6543 [98:76<54:32, lost=1.00]"));
        assert!(!bar.fits(b"steps:  99%| 98 /6543 [98:76<54:32, loss=1.00]"));
        assert!(layout("7").fits(b"8") && !layout("7").fits(b"x") && !layout("x").fits(b"7"));
    }

    proptest! {
        #[test]
        fn lines_of_one_layout_have_one_shape(
            one in "[1-3 .:,a|%]{0,40}",
            other in "[0-3 .:,a|%]{0,40}",
            changed in proptest::collection::vec("[0-9]", 1..9),
        ) {
            let mut digits = changed.iter().cycle();
            let near: String =
                one.chars().map(|c| if c == '2' { digits.next().unwrap().to_owned() } else { c.into() }).collect();
            for next in [near, other] {
                if layout(&one).fits(next.as_bytes()) {
                    prop_assert_eq!(shape(&one).text, shape(&next).text);
                }
            }
        }
    }
}
