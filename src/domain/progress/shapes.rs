//! Lines that differ in nothing but their numbers, and in words that no table knows, are read by where the
//! numbers were the last time.
//!
//! A training log is the same few lines ten thousand times over. To find out what a line says takes
//! dozens of regular expressions; to see that it has the shape of one that was read before takes a
//! comparison, and then only its numbers are left to be parsed. The result is the same, since
//! [`Claims`] depend on the shape alone.

use std::cell::RefCell;
use std::collections::HashMap;

use super::claims::Claims;
use super::layout::{Layout, Place};
use super::line::LineReading;
use super::shape::{Run, Shape, WordMemory, Words};

/// How many shapes are remembered by a thread, and how many of them are asked first. A trainer has a dozen in
/// all: a bar's rate turns from `s/it` to `it/s`, its loss from `0.1` to `1e-05`.
const SHAPES_MAX: usize = 1_024;
const RECENT_MAX: usize = 4;
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

/// The shapes that were read.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    known: Vec<Known>,
    by_text: HashMap<Box<[u8]>, Meaning>,
    /// Where those are in `known` that came last, the newest first.
    recent: [usize; RECENT_MAX],
    shape: Shape,
    words: WordMemory,
}

/// What is known of a shape.
#[derive(Debug, Clone, Copy)]
enum Meaning {
    /// Where its claims are.
    Claims(usize),
    /// What it claims hangs on more of its words.
    Words(Words),
}

/// What all lines of a shape claim.
#[derive(Debug)]
struct Known {
    claims: Claims<Place>,
    /// How lines of the shape were laid out.
    layouts: Vec<Layout>,
    /// The one that is replaced next.
    oldest: usize,
}

/// How many layouts of a shape are remembered: losses are of several lengths.
const LAYOUTS_MAX: usize = 4;

impl Known {
    fn reading(&self, line: &[u8], runs: &[Run]) -> LineReading {
        self.claims.values(|place| place.text(line, runs))
    }

    fn remember(&mut self, layout: Layout) {
        if self.layouts.len() < LAYOUTS_MAX {
            self.layouts.push(layout);
        } else {
            self.layouts[self.oldest] = layout;
            self.oldest = (self.oldest + 1) % LAYOUTS_MAX;
        }
    }
}

impl Shapes {
    /// Reads a line that holds neither ANSI sequences nor control characters.
    pub(super) fn read(&mut self, line: &[u8]) -> LineReading {
        if line.len() > LINE_BYTES_MAX {
            return Claims::of(line).reading();
        }
        if let Some((at, layout)) = self.find_recent(line) {
            let known = &self.known[at];
            return known.reading(line, &known.layouts[layout].runs);
        }
        if let Some(at) = self.find(line, Words::Known) {
            return self.known[at].reading(line, &self.shape.runs);
        }
        self.learn(line)
    }

    /// Where what is known of a line stands that is laid out as one that came a short while ago, and which
    /// of its layouts that is.
    fn find_recent(&mut self, line: &[u8]) -> Option<(usize, usize)> {
        for (nth, &at) in self.recent.iter().enumerate() {
            let Some(known) = self.known.get(at) else { continue };
            if let Some(layout) = known.layouts.iter().position(|layout| layout.fits(line)) {
                // One place further to the front each time.
                self.recent.swap(nth, nth.saturating_sub(1));
                return Some((at, layout));
            }
        }
        None
    }

    /// Where what is known of the shape of a line stands.
    fn find(&mut self, line: &[u8], words: Words) -> Option<usize> {
        self.shape.take(line, words, &mut self.words)?;
        match *self.by_text.get(&*self.shape.text)? {
            Meaning::Words(more) if words == Words::Known => self.find(line, more),
            Meaning::Words(_) => None,
            Meaning::Claims(at) => {
                if self.recent.contains(&at) {
                    self.known[at].remember(Layout::new(line, &self.shape.runs));
                } else {
                    self.recent[RECENT_MAX - 1] = at;
                }
                Some(at)
            }
        }
    }

    /// Finds out what a line says, and remembers it for its shape.
    fn learn(&mut self, line: &[u8]) -> LineReading {
        let claims = Claims::of(line);
        let words = match () {
            () if claims.traits.loss_part != 0 => Words::All,
            () if claims.counter.is_bar => Words::UpToTimes,
            () => Words::Known,
        };
        self.remember(&claims, line, words);
        claims.reading()
    }

    /// Remembers what a line claims for its shape; `None` where it has none.
    fn remember(&mut self, claims: &Claims<&[u8]>, line: &[u8], words: Words) -> Option<()> {
        if self.by_text.len() >= SHAPES_MAX {
            // What comes often is soon back.
            self.by_text.clear();
            self.known.clear();
        }
        if words != Words::Known {
            self.shape.take(line, Words::Known, &mut self.words)?;
            self.by_text.insert(self.shape.text.as_slice().into(), Meaning::Words(words));
        }
        self.shape.take(line, words, &mut self.words)?;
        let runs = &self.shape.runs;
        let claims = claims.try_map(|text| Place::of(text, line, runs))?;
        self.by_text.insert(self.shape.text.as_slice().into(), Meaning::Claims(self.known.len()));
        self.known.push(Known { claims, layouts: Vec::new(), oldest: 0 });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::grammar::vocabulary;
    use super::*;
    use crate::domain::log::LogFold;

    /// Labelled lines, and those of the whole logs that differ in more than digits.
    fn lines() -> Vec<String> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/logs");
        let logs = std::fs::read_dir(folder).expect("the folder of the logs").flatten();
        let logs = logs.filter(|file| file.path().extension().is_some_and(|name| name == "log"));
        let mut lines = super::super::tests::lines::all_lines();
        let mut seen = BTreeSet::new();
        for log in logs {
            let log = std::fs::read(log.path()).expect("a log");
            LogFold::default().push(&log, |line| {
                let line = line.text().into_owned();
                let without_digits: String =
                    line.chars().filter(|letter| !letter.is_ascii_digit()).collect();
                if seen.insert(without_digits) {
                    lines.push(line);
                }
            });
        }
        lines.sort();
        lines
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

    /// The same line with other words in it, where no table knows them.
    fn with_other_words(line: &str, seed: &[u8]) -> String {
        const OTHERS: [&str; 6] = ["zebra", "qq", "Portrait", "jjjj", "hyzy", "QQ"];
        let mut seeds = seed.iter().cycle();
        let mut changed = String::new();
        let mut rest = line;
        while let Some(start) = rest.find(|letter: char| letter.is_ascii_alphabetic()) {
            let (before, from_word) = rest.split_at(start);
            let end = from_word.find(|letter: char| !letter.is_ascii_alphabetic());
            let (word, after) = from_word.split_at(end.unwrap_or(from_word.len()));
            let seed = usize::from(*seeds.next().expect("a cycle has no end"));
            changed.push_str(before);
            changed.push_str(if vocabulary::knows(word.as_bytes()) {
                word
            } else {
                OTHERS[seed % 6]
            });
            rest = after;
        }
        changed + rest
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
        for count in 1..3_000 {
            shapes.read(format!("{}step 1/2", "- ".repeat(count % 100)).as_bytes());
            shapes.read(format!("{} loss", "step".repeat(count % 70)).as_bytes());
            assert!(shapes.by_text.len() <= SHAPES_MAX + 1 && shapes.known.len() <= SHAPES_MAX);
        }
        let layouts = shapes.known.iter().map(|known| known.layouts.len());
        assert!(layouts.max() <= Some(LAYOUTS_MAX));
    }

    #[test]
    fn lines_that_differ_in_words_that_no_table_knows_have_one_shape() {
        let mut shapes = Shapes::default();
        for word in ["zebra", "portrait", "jj"] {
            shapes.read(format!("step 5/10 loss: 0.25 of {word}").as_bytes());
        }
        assert_eq!(shapes.known.len(), 1);
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
                let other = with_other_numbers(&line, &seed);
                for line in [with_other_words(&line, &seed), with_other_words(&other, &seed), line, other] {
                    let read = format!("{:?}", shapes.read(line.as_bytes()));
                    prop_assert_eq!(read, format!("{:?}", Claims::of(line.as_bytes()).reading()), "{}", line);
                }
            }
        }
    }
}
