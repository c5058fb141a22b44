//! Lines that differ in nothing but their numbers are read by where the numbers were the last time.
//!
//! A training log is the same few lines ten thousand times over. To find out what a line says takes
//! dozens of regular expressions; to see that it has the shape of one that was read before takes a
//! comparison, and then only its numbers are left to be parsed. The result is the same, since
//! [`Claims`] depend on the shape alone.

use std::cell::RefCell;

use super::claims::Claims;
use super::layout::Layout;
use super::line::LineReading;
use super::shape::{Run, Shape};
use super::values::decimal;

/// How many shapes that begin and end alike are remembered by a thread. A trainer has a dozen in all: a
/// bar's rate turns from `s/it` to `it/s`, its loss from `0.1` to `1e-05`.
const SHAPES_MAX: usize = 16;
/// By how they begin and end, shapes are put into so many groups.
const GROUPS: usize = 32;
/// The longest line whose shape is remembered, in bytes. Of a longer one the rules of stages see the
/// start alone, and how far that reaches hangs on the lengths of its numbers.
const LINE_BYTES_MAX: usize = 320;

/// Lends the shapes that this thread remembers.
pub(super) fn with_shapes<T>(read: impl FnOnce(&mut Shapes) -> T) -> T {
    thread_local! {
        static SHAPES: RefCell<Shapes> = RefCell::default();
    }
    SHAPES.with_borrow_mut(read)
}

/// The shapes that were read last, in each group those that come often before the others.
#[derive(Debug)]
pub(super) struct Shapes {
    #[expect(clippy::vec_box, reason = "they change places all the time, and are large")]
    groups: [Vec<Box<Known>>; GROUPS],
    /// The runs of digits of the line at hand.
    runs: Vec<Run>,
    /// Where the shape is that was read last: its group, and its place there.
    newest: (usize, usize),
}

#[derive(Debug)]
struct Known {
    shape: Shape,
    claims: Claims<Place>,
    /// How lines of the shape were laid out that came last.
    layouts: Vec<Layout>,
    /// The one that fitted last, and the one that is replaced next.
    newest: usize,
    oldest: usize,
}

/// How many layouts of a shape are remembered: losses are of several lengths.
const LAYOUTS_MAX: usize = 4;

impl Known {
    fn new(shape: Shape, claims: Claims<Place>, line: &[u8], runs: &[Run]) -> Self {
        Self { shape, claims, layouts: vec![Layout::new(line, runs)], newest: 0, oldest: 0 }
    }

    /// Whether a line is laid out as the last one of the shape was.
    fn fits(&self, line: &[u8]) -> bool {
        self.layouts[self.newest].fits(line)
    }

    /// Whether a line has this shape; then its layout is the newest.
    fn has(&mut self, line: &[u8], runs: &mut Vec<Run>) -> bool {
        if let Some(fitting) = self.layouts.iter().position(|layout| layout.fits(line)) {
            self.newest = fitting;
            return true;
        }
        let has_shape = self.shape.has(line, runs);
        if has_shape {
            self.remember(Layout::new(line, runs));
        }
        has_shape
    }

    fn remember(&mut self, layout: Layout) {
        if self.layouts.len() < LAYOUTS_MAX {
            self.newest = self.layouts.len();
            self.layouts.push(layout);
        } else {
            self.newest = self.oldest;
            self.layouts[self.newest] = layout;
            self.oldest = (self.oldest + 1) % LAYOUTS_MAX;
        }
    }

    fn reading(&self, line: &[u8]) -> LineReading {
        let runs = &self.layouts[self.newest].runs;
        self.claims.values(|place| place.text(line, runs))
    }
}

impl Default for Shapes {
    fn default() -> Self {
        Self { groups: [const { Vec::new() }; GROUPS], newest: (0, 0), runs: Vec::new() }
    }
}

impl Shapes {
    /// Reads a line that holds neither ANSI sequences nor control characters.
    pub(super) fn read(&mut self, line: &[u8]) -> LineReading {
        if line.len() > LINE_BYTES_MAX {
            return Claims::of(line).reading();
        }
        let (group, at) = self.newest;
        if let Some(known) = self.groups[group].get(at)
            && known.fits(line)
        {
            return known.reading(line);
        }
        let nth = group_of(line);
        let (group, runs) = (&mut self.groups[nth], &mut self.runs);
        if let Some(at) = group.iter_mut().position(|known| known.has(line, runs)) {
            // One place further to the front each time.
            let before = at.saturating_sub(1);
            group.swap(at, before);
            self.newest = (nth, before);
            return group[before].reading(line);
        }
        let claims = Claims::of(line);
        if let Some(shape) = Shape::of(line, runs)
            && let Some(claims) = claims.try_map(|text| Place::of(text, line, runs))
        {
            if group.len() == SHAPES_MAX {
                group.pop();
            }
            group.push(Box::new(Known::new(shape, claims, line, runs)));
        }
        claims.reading()
    }
}

/// The group of a line, which is that of all lines of its shape.
fn group_of(line: &[u8]) -> usize {
    const LETTERS: usize = 8;
    const PRIME: usize = 31;
    let start = line.iter().take(LETTERS).take_while(|byte| !matches!(byte, b' ' | b'0'..=b'9'));
    let last = line.last().filter(|byte| !byte.is_ascii_digit());
    let mix = |sum: usize, byte: &u8| sum.wrapping_mul(PRIME).wrapping_add(usize::from(*byte));
    start.chain(last).fold(0, mix) % GROUPS
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

impl Place {
    /// Where `text` stands, which is a part of `line`; `None` where its ends are not those of runs.
    fn of(text: &[u8], line: &[u8], runs: &[Run]) -> Option<Self> {
        if !text.iter().any(u8::is_ascii_digit) {
            let number = decimal(text)?;
            return Some(Self::Word(match number {
                number if number.is_nan() => b"nan",
                number if number > 0.0 => b"inf",
                _ => b"-inf",
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

    fn text<'a>(self, line: &'a [u8], runs: &[Run]) -> &'a [u8] {
        match self {
            Self::Word(word) => word,
            Self::Runs { first, last, has_sign } => {
                let start = usize::from(runs[usize::from(first)].0) - usize::from(has_sign);
                &line[start..usize::from(runs[usize::from(last)].1)]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines() -> Vec<String> {
        let prefixed = [
            "2026-03-01 10:00:00 4310 (86.18%)       44.431 ms            30 s, 701.883 ms",
            "trainer-1  | 2026-03-01T10:00:00.123Z [rank1]: 17epoch:train:6376-6750batch: loss=0.5",
        ];
        super::super::tests::all_lines().into_iter().chain(prefixed.map(str::to_owned)).collect()
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
            assert_eq!(reading, Claims::of(frame.as_bytes()).reading());
            assert_eq!(shapes.groups.iter().map(Vec::len).sum::<usize>(), 1);
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
        assert!(shapes.groups.iter().all(|group| group.len() <= SHAPES_MAX));
        assert_eq!(&*shapes.groups[group_of(b"step 1/2")][0].shape.text, b"step/");
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
                    prop_assert_eq!(read, format!("{:?}", Claims::of(line.as_bytes()).reading()), "{}", line);
                }
            }
        }
    }
}
