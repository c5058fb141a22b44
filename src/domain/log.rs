//! A trainer's log as a terminal would show it, folded incrementally.
//!
//! Logs arrive as bytes, cut anywhere: inside a UTF-8 character, an escape sequence or a number. A
//! progress bar overwrites itself with `\r`, colours come as ANSI sequences, and one line can be 2 MB.
//! [`LogFold`] takes such pieces and hands on clean lines, keeping at most [`LINE_LIMIT`] bytes.

use std::borrow::Cow;

/// The longest line kept, in bytes. Of a longer one the first and the last [`KEPT_OF_LONG_LINE`]
/// bytes stay at least: the start says what it is, the end holds the newest frame of a bar.
pub const LINE_LIMIT: usize = 64 * 1024;

/// How much of each end of an overlong line survives, in bytes.
pub const KEPT_OF_LONG_LINE: usize = 16 * 1024;

/// Stands where the middle of an overlong line was, so that its ends never join to a false number.
const CUT_MARK: &[u8] = " … ".as_bytes();

/// What ended a piece of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// `\n`: the line stays on the screen.
    Newline,
    /// `\r` with more text after it: a frame that the next one overwrites.
    Overwritten,
    /// Nothing yet, or a `\r` of which we cannot know what follows: the tail of the log so far.
    Open {
        /// Whether a `\r` came already, so that the text itself is complete.
        is_whole: bool,
    },
}

/// One line or frame without ANSI sequences and control characters. The bytes may hold invalid
/// UTF-8 where the log did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldedLine<'a> {
    /// The clean bytes, without the ending.
    pub bytes: Cow<'a, [u8]>,
    /// What ended it.
    pub ending: Ending,
}

impl FoldedLine<'_> {
    /// The line as text, invalid UTF-8 replaced by U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// Where we are inside an escape sequence (ECMA-48).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    Outside,
    /// After ESC, or ESC and intermediate bytes.
    Started,
    /// After `ESC [`, up to the final byte.
    Control,
    /// Inside an operating system command or another string, up to BEL or `ESC \`.
    Text,
    /// After an ESC inside such a string.
    TextEnding,
}

impl Escape {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Outside, 0x1b) => Self::Started,
            (Self::Outside, _) => Self::Outside,
            (Self::Started, b'[') => Self::Control,
            (Self::Started, b']' | b'P' | b'X' | b'^' | b'_') => Self::Text,
            (Self::Started, 0x20..=0x2f | 0x1b) => Self::Started,
            (Self::Control, 0x40..=0x7e) => Self::Outside,
            (Self::Control, 0x1b) => Self::Started,
            (Self::Control, _) => Self::Control,
            (Self::Text, 0x1b) => Self::TextEnding,
            (Self::Text, 0x07) => Self::Outside,
            (Self::Text, _) => Self::Text,
            (Self::Started | Self::TextEnding, _) => Self::Outside,
        }
    }
}

/// Folds appended bytes into lines. Holds the unfinished line, at most [`LINE_LIMIT`] bytes, and
/// nothing else. The result does not depend on where the bytes were cut.
///
/// ```
/// # use jobsyncd::domain::log::LogFold;
/// let mut fold = LogFold::default();
/// let mut lines = Vec::new();
/// fold.push(b"\x1b[32mloading\x1b[", |line| lines.push(line.text().into_owned()));
/// fold.push(b"0m\nstep 1/", |line| lines.push(line.text().into_owned()));
/// assert_eq!(lines, ["loading"]);
/// assert_eq!(fold.partial().text(), "step 1/");
/// ```
#[derive(Debug, Clone, Default)]
pub struct LogFold {
    line: Vec<u8>,
    /// Where the next character goes, as so many bytes before the end of `line`: backspaces move it.
    back: usize,
    escape: Escape,
    /// A `\r` came after `line`: a `\n` ends the line as it is, any text overwrites it.
    returned: bool,
}

impl LogFold {
    /// Takes the next bytes of the log and calls `on_line` for each line and each overwritten frame
    /// that they complete, in order. Empty ones are handed on too.
    pub fn push(&mut self, bytes: &[u8], mut on_line: impl FnMut(FoldedLine<'_>)) {
        self.push_raw(bytes, &mut |line, ending| {
            if has_rendered_controls(line) {
                unrender(line, ending, &mut on_line);
            } else {
                on_line(FoldedLine { bytes: Cow::Borrowed(line), ending });
            }
        });
    }

    /// The tail of the log that no newline has ended yet; empty right after one.
    pub fn partial(&self) -> FoldedLine<'_> {
        let ending = Ending::Open { is_whole: self.returned };
        let mut tail = FoldedLine { bytes: Cow::Borrowed(&self.line), ending };
        if has_rendered_controls(&self.line) {
            unrender(&self.line, ending, &mut |line| {
                tail = FoldedLine { bytes: Cow::Owned(line.bytes.into_owned()), ending };
            });
        }
        tail
    }

    fn push_raw(&mut self, bytes: &[u8], on_line: &mut impl FnMut(&[u8], Ending)) {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            // A newline ends even a broken escape sequence: it costs one line, not the log.
            if self.escape != Escape::Outside && !matches!(byte, b'\n' | b'\r') {
                self.escape = self.escape.after(byte);
                rest = &rest[1..];
                continue;
            }
            self.escape = Escape::Outside;
            if let Some(after) = after_control_sequence(rest) {
                rest = after;
                continue;
            }
            let (plain, after) = rest.split_at(plain_length(rest));
            // The common cases, a whole line or frame in one piece, are not copied.
            let is_whole = self.line.is_empty() && plain.len() <= LINE_LIMIT;
            if plain.is_empty() {
                self.control(byte, on_line);
                rest = &rest[1..];
            } else if let Some((ending, after)) = ending_of(after).filter(|_| is_whole) {
                self.returned = false;
                on_line(plain, ending);
                rest = after;
            } else {
                self.append(plain, on_line);
                rest = after;
            }
        }
    }

    fn control(&mut self, byte: u8, on_line: &mut impl FnMut(&[u8], Ending)) {
        match byte {
            b'\n' => {
                on_line(&self.line, Ending::Newline);
                self.line.clear();
                self.back = 0;
                self.returned = false;
            }
            b'\r' => self.returned = true,
            b'\t' => self.append(b"\t", on_line),
            0x08 if !self.returned => self.back = self.before_character(self.back),
            0x1b => self.escape = Escape::Started,
            // NUL, BEL and the like show nothing.
            _ => {}
        }
    }

    fn append(&mut self, mut plain: &[u8], on_line: &mut impl FnMut(&[u8], Ending)) {
        if self.returned {
            self.returned = false;
            self.back = 0;
            if !self.line.is_empty() {
                on_line(&self.line, Ending::Overwritten);
                self.line.clear();
            }
        }
        plain = self.overwrite(plain);
        // Filling exactly to the limit each time makes the cut independent of the pieces.
        while self.line.len() + plain.len() > LINE_LIMIT {
            let (fits, over) = plain.split_at(LINE_LIMIT - self.line.len());
            self.line.extend_from_slice(fits);
            let tail_start = self.line.len() - KEPT_OF_LONG_LINE;
            self.line.splice(KEPT_OF_LONG_LINE..tail_start, CUT_MARK.iter().copied());
            plain = over;
        }
        self.line.extend_from_slice(plain);
    }

    /// Writes over the characters behind which backspaces moved, and answers what is left of the text once
    /// the end of the line is reached. Byte by byte, so that a character may come in two pieces.
    fn overwrite<'a>(&mut self, mut text: &'a [u8]) -> &'a [u8] {
        while self.back > 0
            && let Some((&byte, rest)) = text.split_first()
        {
            text = rest;
            let start = self.line.len() - self.back;
            let replaced = match continues_character(byte) {
                // A line that is as long as can be takes no longer characters.
                true if self.line.len() >= LINE_LIMIT => continue,
                true => 0,
                false => character_length(&self.line[start..]),
            };
            self.line.splice(start..start + replaced, [byte]);
            self.back -= replaced;
        }
        text
    }

    /// One character further from the end of the line than `back` bytes.
    fn before_character(&self, back: usize) -> usize {
        let before = &self.line[..self.line.len() - back];
        let start = before.iter().rposition(|byte| !continues_character(*byte)).unwrap_or(0);
        self.line.len() - start
    }
}

/// What comes after the control sequence at the start, as of a colour: parameters, and the byte that ends it.
/// `None` where it is none, or goes on beyond these bytes.
fn after_control_sequence(bytes: &[u8]) -> Option<&[u8]> {
    let sequence = bytes.strip_prefix(b"\x1b[")?;
    let end = sequence.iter().position(|byte| !matches!(byte, 0x20..=0x3f))?;
    matches!(sequence[end], 0x40..=0x7e).then(|| &sequence[end + 1..])
}

/// How a line ends before these bytes, and what comes then; `None` where that needs more thought.
fn ending_of(after: &[u8]) -> Option<(Ending, &[u8])> {
    match after {
        [b'\n', rest @ ..] => Some((Ending::Newline, rest)),
        [b'\r', rest @ ..] if rest.first().is_some_and(|next| !is_control(next)) => {
            Some((Ending::Overwritten, rest))
        }
        _ => None,
    }
}

fn is_control(byte: &u8) -> bool {
    *byte < 0x20 || *byte == 0x7f
}

/// Whether a byte only goes on with a character of UTF-8: 10xxxxxx.
fn continues_character(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// How many bytes the first character has.
fn character_length(text: &[u8]) -> usize {
    1 + text.iter().skip(1).take_while(|byte| continues_character(**byte)).count()
}

/// How many bytes at the start are neither control characters nor DEL.
fn plain_length(bytes: &[u8]) -> usize {
    let (strides, rest) = bytes.as_chunks();
    for (at, stride) in strides.iter().enumerate() {
        let controls = controls_in(u64::from_le_bytes(*stride));
        if controls != 0 {
            return at * 8 + controls.trailing_zeros() as usize / 8;
        }
    }
    bytes.len() - rest.len() + rest.iter().position(is_control).unwrap_or(rest.len())
}

/// The lowest bit that is set in the answer is in the first of eight bytes that is a control character or DEL.
fn controls_in(bytes: u64) -> u64 {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHEST: u64 = EACH << 7;
    let below = |bytes: u64, limit: u64| bytes.wrapping_sub(EACH * limit) & !bytes;
    (below(bytes, 0x20) | below(bytes ^ (EACH * 0x7f), 1)) & HIGHEST
}

/// Some log shippers (rsyslog, SageMaker) write control characters as `#` and three octal digits.
/// Only a carriage return or the start of an ANSI sequence counts: `#012` may be a colour or an issue.
fn has_rendered_controls(line: &[u8]) -> bool {
    memchr::memchr_iter(b'#', line)
        .any(|at| line[at..].starts_with(b"#015") || line[at..].starts_with(b"#033["))
}

/// Turns such renderings back into what they stand for, and folds the result.
fn unrender(line: &[u8], ending: Ending, on_line: &mut dyn FnMut(FoldedLine<'_>)) {
    const RENDERED: [(&[u8], u8); 5] =
        [(b"#015", b'\r'), (b"#033", 0x1b), (b"#012", b'\n'), (b"#011", b'\t'), (b"#010", 0x08)];
    let mut raw = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(&byte) = rest.first() {
        let (taken, meant) = RENDERED
            .iter()
            .find(|(rendered, _)| rest.starts_with(rendered))
            .map_or((1, byte), |&(rendered, meant)| (rendered.len(), meant));
        raw.push(meant);
        rest = &rest[taken..];
    }
    let mut fold = LogFold::default();
    fold.push_raw(&raw, &mut |piece, ending| {
        on_line(FoldedLine { bytes: Cow::Borrowed(piece), ending });
    });
    on_line(FoldedLine { bytes: Cow::Borrowed(&fold.line), ending });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folded(pieces: &[&[u8]]) -> (Vec<(String, Ending)>, String) {
        let mut fold = LogFold::default();
        let mut lines = Vec::new();
        for piece in pieces {
            fold.push(piece, |line| lines.push((line.text().into_owned(), line.ending)));
        }
        let tail = fold.partial().text().into_owned();
        (lines, tail)
    }

    fn line(text: &str) -> (String, Ending) {
        (text.to_owned(), Ending::Newline)
    }

    fn frame(text: &str) -> (String, Ending) {
        (text.to_owned(), Ending::Overwritten)
    }

    #[test]
    fn frames_come_before_the_line_that_overwrites_them() {
        let (lines, tail) = folded(&[b"\r  0%\r 50%\r100%\ndone"]);
        assert_eq!(lines, [frame("  0%"), frame(" 50%"), line("100%")]);
        assert_eq!(tail, "done");
    }

    #[test]
    fn a_carriage_return_before_a_newline_overwrites_nothing() {
        assert_eq!(folded(&[b"one\r", b"\ntwo\r\r\n"]).0, [line("one"), line("two")]);
    }

    #[test]
    fn a_frame_that_waits_for_its_successor_is_whole() {
        let mut fold = LogFold::default();
        fold.push(b"step 1/2\r", |_| {});
        assert_eq!(fold.partial().ending, Ending::Open { is_whole: true });
        assert_eq!(fold.partial().text(), "step 1/2");
    }

    #[test]
    fn escape_sequences_vanish_wherever_they_are_cut() {
        let (lines, _) =
            folded(&[b"\x1b[3", b"2mgreen\x1b", b"[0m \x1b]0;title\x07ti", b"\x1b(Btle\n"]);
        assert_eq!(lines, [line("green title")]);
    }

    #[test]
    fn a_broken_escape_sequence_costs_no_more_than_its_line() {
        assert_eq!(folded(&[b"a\x1b]0;never ended\nnext\n"]).0, [line("a"), line("next")]);
    }

    #[test]
    fn backspaces_go_back_by_whole_characters_and_nul_is_nothing() {
        assert_eq!(folded(&["ab█\u{8}c\0d\n".as_bytes()]).0, [line("abcd")]);
    }

    #[test]
    fn what_is_behind_a_backspace_stays_until_it_is_written_over() {
        assert_eq!(folded(&[b"[==>..] 1/9\x08\x08\x082\n"]).0, [line("[==>..] 2/9")]);
        let (lines, _) = folded(&[b"1/10 loss: 2\x08\x08\x08\x08\r2/10 loss: 1\n"]);
        assert_eq!(lines, [frame("1/10 loss: 2"), line("2/10 loss: 1")]);
        assert_eq!(folded(&[b"\x08\x08a\x08\x08\x08bc\n"]).0, [line("bc")]);
    }

    #[test]
    fn invalid_utf8_is_replaced_and_cut_characters_are_whole_again() {
        assert_eq!(folded(&[b"a\xffb \xe2", b"\x96\x88\n"]).0, [line("a\u{fffd}b █")]);
    }

    #[test]
    fn rendered_carriage_returns_and_colours_are_meant_as_such() {
        let (lines, tail) =
            folded(&[b"<stdout>:#015Epoch 0: 50%#015Epoch 0: #033[1m99%#033[0m\n#01", b"5x"]);
        assert_eq!(lines, [frame("<stdout>:"), frame("Epoch 0: 50%"), line("Epoch 0: 99%")]);
        assert_eq!(tail, "x");
        assert_eq!(folded(&[b"colour #012345 |####|\n"]).0, [line("colour #012345 |####|")]);
    }

    #[test]
    fn two_megabytes_without_a_newline_stay_within_the_limit() {
        let mut fold = LogFold::default();
        for _ in 0..2048 {
            fold.push(&[b'7'; 1024], |_| {});
            assert!(fold.line.len() <= LINE_LIMIT);
        }
        fold.push(b" the end\n", |line| {
            assert!(line.text().starts_with("777") && line.text().ends_with("7 the end"));
            assert!(line.text().contains(" … "));
        });
    }

    proptest! {
        #[test]
        fn a_text_is_plain_up_to_its_first_control_character(
            text in proptest::collection::vec(prop_oneof![30 => any::<u8>(), 1 => Just(0x7f)], 0..40),
        ) {
            let first = text.iter().position(is_control);
            prop_assert_eq!(plain_length(&text), first.unwrap_or(text.len()));
        }

        #[test]
        fn where_the_bytes_are_cut_changes_nothing(
            log in proptest::collection::vec(
                prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(0x1b), Just(b'['), Just(b'#'), Just(8)],
                0..400,
            ),
            cut in any::<proptest::sample::Index>(),
        ) {
            let (left, right) = log.split_at(cut.index(log.len() + 1));
            prop_assert_eq!(folded(&[left, right]), folded(&[&log]));
        }

        #[test]
        fn a_long_line_is_cut_the_same_way_in_any_pieces(length in 60_000usize..200_000, piece in 1usize..90_000) {
            let log: Vec<u8> = (0..length).map(|at| b'a' + (at % 23) as u8).collect();
            let pieces: Vec<&[u8]> = log.chunks(piece).collect();
            prop_assert_eq!(folded(&pieces), folded(&[&log]));
        }
    }
}
