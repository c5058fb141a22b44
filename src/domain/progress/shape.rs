//! A line without its numbers, and whether another line is the same but for those.

/// The most runs of digits in a line that has a shape.
const RUNS_MAX: usize = 64;

/// Where a run of digits begins and ends.
pub(super) type Run = (u16, u16);

/// A line without its numbers.
#[derive(Debug, PartialEq)]
pub(super) struct Shape {
    /// The texts of all parts, one after the other.
    pub(super) text: Box<[u8]>,
    parts: Box<[Part]>,
}

/// A text that is the same in every line of a shape, and what comes after it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    text_length: u16,
    after: After,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum After {
    Number {
        /// Numbers are padded to a width, and how many blanks that takes says nothing.
        is_padded: bool,
        /// How many digits it has, 9 for more. Whether a number is a part of a time of day or has
        /// separators hangs on that; elsewhere it says nothing.
        digits: Option<u8>,
    },
    /// What tqdm draws between its two bars.
    Drawing,
    End,
}

impl Shape {
    /// The shape of a line, whose runs of digits are put into `runs`; `None` where it has too many.
    pub(super) fn of(line: &[u8], runs: &mut Vec<Run>) -> Option<Self> {
        runs.clear();
        let mut text = Vec::with_capacity(line.len());
        let mut parts = Vec::new();
        let mut part_start = 0;
        let mut at = 0;
        while let Some(&byte) = line.get(at) {
            let after = if byte.is_ascii_digit() {
                let before = text.len();
                while text.len() > part_start && text.last() == Some(&b' ') {
                    text.pop();
                }
                let end = end_of_digits(line, at);
                let hangs_on_length = at > 0 && matches!(line[at - 1], b':' | b',');
                let digits = hangs_on_length.then_some((end - at).min(9) as u8);
                runs.push((at as u16, end as u16));
                at = end;
                After::Number { is_padded: text.len() < before, digits }
            } else {
                let is_second_bar =
                    byte == b'|' && text.len() > part_start && text.last() == Some(&b'%');
                text.push(byte);
                at += 1;
                if !is_second_bar {
                    continue;
                }
                at += drawing_length(&line[at..]);
                After::Drawing
            };
            parts.push(Part { text_length: (text.len() - part_start) as u16, after });
            part_start = text.len();
        }
        parts.push(Part { text_length: (text.len() - part_start) as u16, after: After::End });
        (runs.len() <= RUNS_MAX).then(|| Self { text: text.into(), parts: parts.into() })
    }

    /// Whether a line has this shape; then its runs of digits are put into `runs`.
    pub(super) fn has(&self, line: &[u8], runs: &mut Vec<Run>) -> bool {
        runs.clear();
        let (mut text, mut at) = (&*self.text, 0);
        for part in &self.parts {
            let (own, others) = text.split_at(usize::from(part.text_length));
            if !line[at..].starts_with(own) {
                return false;
            }
            text = others;
            at += own.len();
            match part.after {
                After::Drawing => at += drawing_length(&line[at..]),
                After::End => return at == line.len(),
                After::Number { is_padded, digits } => {
                    let start = if is_padded { end_of_blanks(line, at) } else { at };
                    let end = end_of_digits(line, start);
                    let is_other_length =
                        digits.is_some_and(|digits| usize::from(digits) != (end - start).min(9));
                    if end == start || (is_padded && start == at) || is_other_length {
                        return false;
                    }
                    runs.push((start as u16, end as u16));
                    at = end;
                }
            }
        }
        false
    }
}

fn end_of_digits(line: &[u8], mut at: usize) -> usize {
    while line.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

fn end_of_blanks(line: &[u8], mut at: usize) -> usize {
    while line.get(at) == Some(&b' ') {
        at += 1;
    }
    at
}

/// The length of what tqdm draws between its two bars, which only says again how far it is; 0 where
/// it is something else.
fn drawing_length(after_bar: &[u8]) -> usize {
    let is_drawn = |byte: &u8| *byte >= 0x80 || matches!(byte, b' ' | b'#' | b'0'..=b'9');
    let length = memchr::memchr(b'|', after_bar).unwrap_or_default();
    if after_bar[..length].iter().all(is_drawn) { length } else { 0 }
}
