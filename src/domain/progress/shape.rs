//! Lines that differ in nothing but their numbers are read by where the numbers were the last time.
//!
//! A training log is the same few lines ten thousand times over. To find out what a line says takes
//! dozens of regular expressions; to see that it has the shape of one that was read before takes a
//! comparison, and then only its numbers are left to be parsed. The result is the same, since
//! [`Findings`] depend on the shape alone.

use std::cell::RefCell;

use super::findings::Findings;
use super::line::LineReading;
use super::values::decimal;

/// How many shapes are remembered by a thread. A trainer has a dozen: a bar's rate turns from `s/it` to
/// `it/s`, its loss from `0.1` to `1e-05`.
const SHAPES_MAX: usize = 32;
/// The longest line whose shape is remembered, in bytes. Of a longer one the rules of stages see the
/// start alone, and how far that reaches hangs on the lengths of its numbers.
const LINE_BYTES_MAX: usize = 320;
/// The most runs of digits in such a line.
const RUNS_MAX: usize = 64;

/// Reads a line that holds neither ANSI sequences nor control characters.
pub(super) fn read(line: &[u8]) -> LineReading {
    thread_local! {
        static SHAPES: RefCell<Shapes> = RefCell::default();
    }
    if line.len() > LINE_BYTES_MAX {
        return Findings::of(line).values();
    }
    SHAPES.with_borrow_mut(|shapes| shapes.read(line))
}

/// The shapes that were read last, those that come often before the others.
#[derive(Debug, Default)]
struct Shapes {
    outline: Outline,
    known: Vec<Shape>,
}

#[derive(Debug)]
struct Shape {
    text: Box<[u8]>,
    findings: Findings<Place>,
}

impl Shapes {
    fn read(&mut self, line: &[u8]) -> LineReading {
        if !self.outline.trace(line) {
            return Findings::of(line).values();
        }
        let outline = &self.outline;
        if let Some(at) = self.known.iter().position(|shape| *shape.text == *outline.text) {
            let known = self.known[at].findings.try_map(|place| outline.text_at(*place, line));
            let reading = known.map(|findings| findings.values());
            // One place further to the front each time.
            self.known.swap(at, at.saturating_sub(1));
            return reading.unwrap_or_else(|| Findings::of(line).values());
        }
        let findings = Findings::of(line);
        if let Some(places) = findings.try_map(|text| outline.place_of(text, line)) {
            if self.known.len() == SHAPES_MAX {
                self.known.pop();
            }
            self.known.push(Shape { text: outline.text.as_slice().into(), findings: places });
        }
        findings.values()
    }
}

/// A number in a line of a known shape.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// From the first to the last of these runs of digits, with all that is between them.
    Runs {
        first: u8,
        last: u8,
        /// A sign stands before it.
        has_sign: bool,
    },
    /// Not in digits: nan or infinite.
    Word(&'static [u8]),
}

/// A line without its numbers: the shape of it, and where the runs of digits are.
#[derive(Debug, Default)]
struct Outline {
    text: Vec<u8>,
    runs: Vec<(u16, u16)>,
}

impl Outline {
    /// Traces a line. False where it has too many numbers.
    fn trace(&mut self, line: &[u8]) -> bool {
        self.text.clear();
        self.runs.clear();
        let mut at = 0;
        while let Some(&byte) = line.get(at) {
            if byte.is_ascii_digit() {
                let start = at;
                while line.get(at).is_some_and(u8::is_ascii_digit) {
                    at += 1;
                }
                if self.runs.len() == RUNS_MAX {
                    return false;
                }
                self.add_run(line, start, at);
            } else if byte == b'|' && self.text.last() == Some(&b'%') {
                self.text.push(byte);
                at += 1 + drawing_length(&line[at + 1..]);
            } else {
                self.text.push(byte);
                at += 1;
            }
        }
        true
    }

    fn add_run(&mut self, line: &[u8], start: usize, end: usize) {
        // Numbers are padded to a width, and how many blanks that takes says nothing.
        while self.text.ends_with(b"  ") {
            self.text.pop();
        }
        self.text.push(b'0');
        // Whether it is a part of a time of day or of a number with separators hangs on its length.
        if start > 0 && matches!(line[start - 1], b':' | b',') {
            self.text.push(b'0' + (end - start).min(9) as u8);
        }
        self.runs.push((start as u16, end as u16));
    }

    /// Where `text` stands, which is a part of `line`; `None` where its ends are not those of runs.
    fn place_of(&self, text: &[u8], line: &[u8]) -> Option<Place> {
        if !text.iter().any(u8::is_ascii_digit) {
            let number = decimal(text)?;
            return Some(Place::Word(match number {
                number if number.is_nan() => b"nan",
                number if number > 0.0 => b"inf",
                _ => b"-inf",
            }));
        }
        let start = (text.as_ptr() as usize).checked_sub(line.as_ptr() as usize)?;
        let end = start + text.len();
        let has_sign = matches!(text.first(), Some(b'+' | b'-'));
        let first_digit = start + usize::from(has_sign);
        let first = self.runs.iter().position(|run| usize::from(run.0) == first_digit)?;
        let last = self.runs.iter().position(|run| usize::from(run.1) == end)?;
        Some(Place::Runs { first: first as u8, last: last as u8, has_sign })
    }

    fn text_at<'a>(&self, place: Place, line: &'a [u8]) -> Option<&'a [u8]> {
        match place {
            Place::Word(word) => Some(word),
            Place::Runs { first, last, has_sign } => {
                let (start, _) = *self.runs.get(usize::from(first))?;
                let (_, end) = *self.runs.get(usize::from(last))?;
                line.get(usize::from(start) - usize::from(has_sign)..usize::from(end))
            }
        }
    }
}

/// The length of what tqdm draws between its two bars, which only says again how far it is; 0 where
/// it is something else.
fn drawing_length(after_bar: &[u8]) -> usize {
    let is_drawn = |byte: &u8| *byte >= 0x80 || matches!(byte, b' ' | b'#' | b'1'..=b'9');
    let length = after_bar.iter().take_while(|byte| is_drawn(byte)).count();
    if after_bar.get(length) == Some(&b'|') { length } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines() -> Vec<String> {
        super::super::tests::all_lines()
    }

    /// The same line with other digits in it, and other widths of its numbers.
    fn with_other_numbers(line: &str, seed: &[u8]) -> String {
        let mut seeds = seed.iter().cycle();
        let mut next = || usize::from(*seeds.next().expect("a cycle has no end"));
        let mut changed = String::new();
        for character in line.chars() {
            match character {
                '0'..='9' => {
                    let digits = ["0", "7", "12", "500", "2000", "4", "9", "31"];
                    changed.push_str(digits[next() % digits.len()]);
                }
                ' ' if changed.ends_with("  ") && next() % 2 == 0 => {}
                other => changed.push(other),
            }
        }
        changed
    }

    #[test]
    fn lines_that_differ_in_their_numbers_have_one_shape() {
        let mut shapes = Shapes::default();
        for frame in [
            "Steps:   5%|▌         | 100/2000 [00:12<03:29, 9.06it/s, lr=9.5e-5, step_loss=0.0234]",
            "Steps:  30%|███       | 600/2000 [01:12<02:29, 9.6it/s, lr=8.5e-5, step_loss=0.1]",
            "Steps: 100%|██████████| 2000/2000 [03:12<00:00, 47.96it/s, lr=1.0e-5, step_loss=0.20]",
        ] {
            let reading = shapes.read(frame.as_bytes());
            assert_eq!(reading, Findings::of(frame.as_bytes()).values());
            assert_eq!(shapes.known.len(), 1);
        }
    }

    #[test]
    fn a_loss_that_is_no_number_is_another_shape() {
        let mut shapes = Shapes::default();
        for loss in ["0.5", "nan", "inf", "-inf", "-0.5", "0.25"] {
            let line = format!("step 5/10 loss: {loss}");
            let read = shapes.read(line.as_bytes()).loss.map(|loss| loss.to_string());
            let meant = loss.parse::<f64>().ok().map(|loss| loss.to_string());
            assert_eq!(read.map(|loss| loss.to_lowercase()), meant.map(|loss| loss.to_lowercase()));
        }
    }

    #[test]
    fn no_more_shapes_are_remembered_than_said() {
        let mut shapes = Shapes::default();
        for count in 1..200 {
            shapes.read(format!("{} step 1/2", "word ".repeat(count % 50)).as_bytes());
            shapes.read(b"step 1/2");
        }
        assert!(shapes.known.len() <= SHAPES_MAX);
        assert_eq!(&*shapes.known[0].text, b"step 0/0");
    }

    proptest! {
        #[test]
        fn a_known_shape_is_read_as_if_it_were_not(
            pairs in proptest::collection::vec(
                (proptest::sample::select(lines()), proptest::collection::vec(any::<u8>(), 1..20)),
                1..40,
            ),
        ) {
            let mut shapes = Shapes::default();
            for (line, seed) in pairs {
                for line in [line.clone(), with_other_numbers(&line, &seed)] {
                    let read = format!("{:?}", shapes.read(line.as_bytes()));
                    prop_assert_eq!(read, format!("{:?}", Findings::of(line.as_bytes()).values()), "{}", line);
                }
            }
        }
    }
}
