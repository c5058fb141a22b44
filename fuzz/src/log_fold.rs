//! The fold of a log into lines: the same however the log is cut, clean, and bounded.
//!
//! The first byte says how long the pieces are, the second how often the rest is repeated: `*` makes
//! a log of it that is longer than any line may be.

use jobsyncd::domain::log::{Ending, LINE_LIMIT, LogFold};
use jobsyncd::domain::log_lines::LineQuery;

const REPEATED: usize = 64;
const PIECES_MAX: usize = 1_024;

pub fn check(data: &[u8]) {
    let [piece, repeat, log @ ..] = data else { return };
    let log = if *repeat == b'*' { log.repeat(REPEATED) } else { log.to_vec() };

    let whole = folded([log.as_slice()]);
    // A long log in short pieces takes long, and shows no more.
    let piece = usize::from(*piece).max(log.len() / PIECES_MAX).max(1);
    assert_eq!(folded(log.chunks(piece)), whole, "the cut shows");
    for (line, _) in &whole {
        assert!(line.len() <= LINE_LIMIT, "a line has {} bytes", line.len());
        let control = line.iter().find(|&&byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f);
        assert_eq!(control, None, "{line:?}");
    }
    check_displayed(&log, &whole);
}

/// The lines and frames, and what is left at the end.
fn folded<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(Vec<u8>, Ending)> {
    let mut fold = LogFold::default();
    let mut lines = Vec::new();
    for piece in pieces {
        fold.push(piece, |line| lines.push((line.bytes.into_owned(), line.ending)));
    }
    let tail = fold.partial();
    lines.push((tail.bytes.into_owned(), tail.ending));
    lines
}

fn check_displayed(log: &[u8], folded: &[(Vec<u8>, Ending)]) {
    let found = LineQuery::new(0, usize::MAX, None).find(log);
    let displayed: Vec<_> = found.lines.into_iter().map(|line| line.text).collect();
    assert_eq!(found.total_lines, displayed.len() as u64);
    let newlines = folded.iter().filter(|(_, ending)| *ending == Ending::Newline).count();
    assert!((newlines..=newlines + 1).contains(&displayed.len()), "{displayed:?}");
    // Of a log in which nothing is special, the standard library says what the lines are.
    let is_plain = |byte: &u8| matches!(byte, b'\n' | b' '..=b'"' | b'$'..=b'~');
    if log.iter().all(is_plain)
        && let Ok(text) = std::str::from_utf8(log)
        && text.lines().all(|line| line.len() <= LINE_LIMIT)
    {
        assert!(displayed.iter().map(String::as_str).eq(text.lines()), "{displayed:?}");
    }
}
