//! What is the same in all lines that claim the same.

use super::grammar::vocabulary;

/// The most runs of digits in a line that has a shape.
const RUNS_MAX: usize = 64;

/// Where a run of digits begins and ends.
pub(super) type Run = (u16, u16);

/// Which words of a line are a part of its shape. Those that a table knows always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// No others.
    Known,
    /// All up to the times of a bar: its description names what it counts.
    UpToTimes,
    /// All.
    All,
}

/// Marks in the text of a shape, which no line has: control characters are gone.
mod mark {
    pub(super) const NUMBER: u8 = 0x01;
    /// Numbers are padded to a width, and how many blanks that takes says nothing.
    pub(super) const PADDED_NUMBER: u8 = 0x02;
    /// What tqdm draws between its two bars.
    pub(super) const DRAWING: u8 = 0x03;
    /// A word that no table knows, and one with capitals.
    pub(super) const WORD: u8 = 0x04;
    pub(super) const CAPITAL_WORD: u8 = 0x05;
    /// Plus how many digits a number has, 9 for more. Whether a number is a part of a time of day or has
    /// separators hangs on that; elsewhere it says nothing.
    pub(super) const DIGITS: u8 = 0x10;
}

/// The shape of a line: its text with marks for what may differ.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) text: Vec<u8>,
    /// The runs of digits of the line.
    pub(super) runs: Vec<Run>,
}

impl Shape {
    /// Becomes the shape of a line; `None` where that has too many numbers.
    pub(super) fn take(
        &mut self,
        line: &[u8],
        words: Words,
        memory: &mut WordMemory,
    ) -> Option<()> {
        self.text.clear();
        self.runs.clear();
        let literal_end = match words {
            Words::Known => 0,
            Words::UpToTimes => start_of_times(line).unwrap_or(line.len()),
            Words::All => line.len(),
        };
        let mut at = 0;
        while let Some(&byte) = line.get(at) {
            match byte {
                b'0'..=b'9' => at = self.take_number(line, at)?,
                b'a'..=b'z' | b'A'..=b'Z' => {
                    let end = end_of(line, at, u8::is_ascii_alphabetic);
                    let word = &line[at..end];
                    if at < literal_end
                        || is_part_of_other_alphabet(line, at, end)
                        || memory.knows(word)
                    {
                        self.text.extend_from_slice(word);
                    } else {
                        let has_capitals = word.iter().any(u8::is_ascii_uppercase);
                        self.text.push(if has_capitals { mark::CAPITAL_WORD } else { mark::WORD });
                    }
                    at = end;
                }
                b'|' if self.text.last() == Some(&b'%') => {
                    self.text.push(byte);
                    let length = drawing_length(&line[at + 1..]);
                    if length > 0 {
                        self.text.push(mark::DRAWING);
                    }
                    at += 1 + length;
                }
                _ => {
                    self.text.push(byte);
                    at += 1;
                }
            }
        }
        Some(())
    }

    fn take_number(&mut self, line: &[u8], start: usize) -> Option<usize> {
        let end = end_of(line, start, u8::is_ascii_digit);
        let length = self.text.len();
        while self.text.last() == Some(&b' ') {
            self.text.pop();
        }
        let is_padded = self.text.len() < length;
        self.text.push(if is_padded { mark::PADDED_NUMBER } else { mark::NUMBER });
        if start > 0 && matches!(line[start - 1], b':' | b',') {
            self.text.push(mark::DIGITS + (end - start).min(9) as u8);
        }
        self.runs.push((start as u16, end as u16));
        (self.runs.len() <= RUNS_MAX).then_some(end)
    }
}

/// Whether letters that are not ASCII stand beside a word, as in `Época`: this is a part of one, then.
fn is_part_of_other_alphabet(line: &[u8], start: usize, end: usize) -> bool {
    let is_beyond = |byte: Option<&u8>| byte.is_some_and(|byte| *byte >= 0x80);
    is_beyond(line[..start].last()) || is_beyond(line.get(end))
}

/// Where the last bracket opens that has a time in it, as `[00:12<01:29, 9.06it/s]`: a bar is described before it.
fn start_of_times(line: &[u8]) -> Option<usize> {
    memchr::memrchr_iter(b'[', line).find(|&at| {
        let number = end_of(line, at + 1, u8::is_ascii_digit);
        number > at + 1 && line.get(number) == Some(&b':')
    })
}

/// Where bytes end that begin here.
fn end_of(line: &[u8], start: usize, is_one: fn(&u8) -> bool) -> usize {
    line[start..].iter().position(|byte| !is_one(byte)).map_or(line.len(), |length| start + length)
}

/// The length of what tqdm draws between its two bars, which only says again how far it is; 0 where
/// it is something else.
fn drawing_length(after_bar: &[u8]) -> usize {
    let is_drawn = |byte: &u8| *byte >= 0x80 || matches!(byte, b' ' | b'#' | b'0'..=b'9');
    let length = memchr::memchr(b'|', after_bar).unwrap_or_default();
    if after_bar[..length].iter().all(is_drawn) { length } else { 0 }
}

/// Which words were known when they were looked up last: the same few come in every line.
#[derive(Debug)]
pub(super) struct WordMemory {
    places: Box<[(u64, bool)]>,
}

impl Default for WordMemory {
    fn default() -> Self {
        const PLACES: usize = 1_024;
        Self { places: vec![(0, false); PLACES].into() }
    }
}

impl WordMemory {
    fn knows(&mut self, word: &[u8]) -> bool {
        let name = number_of(word);
        let nth = (name.wrapping_mul(MIX) >> 32) as usize % self.places.len();
        let place = &mut self.places[nth];
        if place.0 != name {
            *place = (name, vocabulary::knows(word));
        }
        place.1
    }
}

/// An odd number whose product with another spreads its bits.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// A number for a word: its letters themselves where they are eight at most, and mixed where they are more.
fn number_of(word: &[u8]) -> u64 {
    let (whole, rest) = word.as_chunks();
    let mixed = whole.iter().fold(0, |sum: u64, letters| {
        sum.wrapping_mul(MIX).rotate_left(29) ^ u64::from_le_bytes(*letters)
    });
    let last = rest.iter().fold(0, |sum, letter| sum << 8 | u64::from(*letter));
    if rest.is_empty() { mixed } else { mixed.wrapping_mul(MIX).rotate_left(29) ^ last }
}
