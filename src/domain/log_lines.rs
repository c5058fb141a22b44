//! The lines of a log, numbered as a terminal would show them: found, counted, and told as they come.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};
use serde::Serialize;

use super::growing_log::{Appended, GrowingLog};
use super::log::{Ending, LogFold};

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Its number, 1 for the first.
    pub number: u64,
    /// The text, without colours and overwritten frames.
    pub text: String,
}

/// Which lines of a log are asked for.
#[derive(Debug, Clone)]
pub struct LineQuery {
    /// Those after this one.
    pub after: u64,
    /// So many at most.
    pub limit: usize,
    /// Those that hold this text, whichever the case of its letters.
    text: Option<Regex>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundLines {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// How many lines the log has.
    pub total_lines: u64,
    /// How many lines of all hold the text; all, where none was asked for.
    pub matching_lines: u64,
    /// What to ask for as `after` to go on; None where nothing more is found.
    pub next_after: Option<u64>,
}

impl LineQuery {
    /// Lines after a number, with a text.
    pub fn new(after: u64, limit: usize, text: Option<&str>) -> Self {
        let literal = |text: &str| {
            RegexBuilder::new(&regex::escape(text))
                .case_insensitive(true)
                .size_limit(usize::MAX)
                .build()
                .expect("a text by itself is an expression")
        };
        Self { after, limit, text: text.map(literal) }
    }

    /// Looks through a whole log.
    pub fn find(&self, log: &[u8]) -> FoundLines {
        let mut found =
            FoundLines { lines: Vec::new(), total_lines: 0, matching_lines: 0, next_after: None };
        let mut is_more = false;
        for_each_line(log, |text| {
            found.total_lines += 1;
            if self.text.as_ref().is_some_and(|wanted| !wanted.is_match(&text)) {
                return;
            }
            found.matching_lines += 1;
            if found.total_lines <= self.after {
                return;
            }
            if found.lines.len() < self.limit {
                let (number, text) = (found.total_lines, text.into_owned());
                found.lines.push(LogLine { number, text });
            } else {
                is_more = true;
            }
        });
        found.next_after = found.lines.last().filter(|_| is_more).map(|line| line.number);
        found
    }
}

/// Calls `on_line` for each line that a terminal would show of a whole log. A last line without a newline
/// counts.
fn for_each_line(log: &[u8], mut on_line: impl FnMut(Cow<'_, str>)) {
    let mut fold = LogFold::default();
    fold.push(log, |line| {
        if line.ending == Ending::Newline {
            on_line(line.text());
        }
    });
    let tail = fold.partial();
    if !tail.bytes.is_empty() {
        on_line(tail.text());
    }
}

/// What a follower of a log is told next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A line.
    Line(LogLine),
    /// The log is another one now, and what follows begins with its first line.
    Reset,
}

/// Tells the lines of a growing log, each once and when it has ended.
#[derive(Debug, Default)]
pub struct LineFollower {
    known: GrowingLog,
    fold: LogFold,
    /// How many lines have ended.
    lines: u64,
    /// Lines up to this one were told before.
    after: u64,
}

impl LineFollower {
    /// A follower that was told the lines up to `after` before.
    pub fn new(after: u64) -> Self {
        Self { after, ..Self::default() }
    }

    /// Takes the whole log as it is now. Once it `is_over`, its last line needs no end.
    pub fn read(&mut self, log: &[u8], is_over: bool) -> Vec<Told> {
        let mut told = Vec::new();
        let is_first = self.known.bytes() == 0;
        match self.known.compare(log) {
            Appended::Nothing => {}
            Appended::Bytes(appended) => self.push(appended, &mut told),
            Appended::Rewritten => {
                told.push(Told::Reset);
                *self = Self::default();
                self.push(log, &mut told);
            }
        }
        if is_over && !self.fold.partial().bytes.is_empty() {
            self.push(b"\n", &mut told);
        }
        let was_rewritten_meanwhile = is_first && self.lines < self.after && !log.is_empty();
        if was_rewritten_meanwhile {
            let mut anew = vec![Told::Reset];
            *self = Self::default();
            anew.extend(self.read(log, is_over));
            return anew;
        }
        told
    }

    fn push(&mut self, appended: &[u8], told: &mut Vec<Told>) {
        let Self { known, fold, lines, after } = self;
        known.append(appended);
        fold.push(appended, |line| {
            if line.ending != Ending::Newline {
                return;
            }
            *lines += 1;
            if *lines > *after {
                let (number, text) = (*lines, line.text().into_owned());
                told.push(Told::Line(LogLine { number, text }));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(told: &[Told]) -> Vec<String> {
        let text = |told: &Told| match told {
            Told::Line(line) => format!("{} {}", line.number, line.text),
            Told::Reset => "reset".to_owned(),
        };
        told.iter().map(text).collect()
    }

    #[test]
    fn a_log_shows_as_on_a_terminal() {
        let log = b"start\r\n\r 50%\r100%\nbar\r   \rtext\n\nlast";
        let found = LineQuery::new(0, 10, None).find(log);
        let shown: Vec<_> = found.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(shown, ["start", "100%", "text", "", "last"]);
        assert_eq!((found.total_lines, found.matching_lines, found.next_after), (5, 5, None));
        assert_eq!(LineQuery::new(0, 10, None).find(b"").total_lines, 0);
    }

    #[test]
    fn lines_with_a_text_are_counted_in_the_whole_log_and_paged() {
        let log: String = (1..=100)
            .map(|n| format!("Línea {n}: {}\n", if n % 10 == 0 { "LOSS" } else { "x" }))
            .collect();
        let page = |after| LineQuery::new(after, 3, Some("loss")).find(log.as_bytes());
        let first = page(0);
        let numbers =
            |found: &FoundLines| found.lines.iter().map(|line| line.number).collect::<Vec<_>>();
        assert_eq!((numbers(&first), first.next_after), (vec![10, 20, 30], Some(30)));
        assert_eq!((first.total_lines, first.matching_lines), (100, 10));
        let last = page(90);
        assert_eq!((numbers(&last), last.next_after, last.matching_lines), (vec![100], None, 10));
        let accented = LineQuery::new(0, 1, Some("LÍNEA 1: (x")).find(log.as_bytes());
        assert_eq!(accented.matching_lines, 0, "a text is no expression");
        assert_eq!(LineQuery::new(0, 1, Some("LÍNEA 1:")).find(log.as_bytes()).matching_lines, 1);
    }

    #[test]
    fn a_line_is_told_once_and_when_it_has_ended() {
        let mut follower = LineFollower::default();
        assert_eq!(texts(&follower.read(b"one\ntw", false)), ["1 one"]);
        assert!(follower.read(b"one\ntw", false).is_empty());
        assert_eq!(texts(&follower.read(b"one\ntwo\n 1%\r 2%", false)), ["2 two"]);
        assert_eq!(texts(&follower.read(b"one\ntwo\n 1%\r 2%", true)), ["3  2%"]);
        assert!(follower.read(b"one\ntwo\n 1%\r 2%", true).is_empty());
    }

    #[test]
    fn who_comes_back_goes_on_where_it_was() {
        assert_eq!(texts(&LineFollower::new(1).read(b"one\ntwo\nthr", false)), ["2 two"]);
        assert_eq!(texts(&LineFollower::new(2).read(b"one\ntwo", true)), [""; 0]);
    }

    #[test]
    fn a_log_that_was_rewritten_begins_again() {
        let mut follower = LineFollower::default();
        follower.read(b"one\ntwo\n", false);
        assert_eq!(texts(&follower.read(b"other\n", false)), ["reset", "1 other"]);
        assert_eq!(texts(&follower.read(b"other\nmore\n", false)), ["2 more"]);
        let mut back = LineFollower::new(5);
        assert_eq!(texts(&back.read(b"one\ntwo\n", false)), ["reset", "1 one", "2 two"]);
    }

    proptest! {
        #[test]
        fn however_a_log_grows_its_lines_are_told_in_order_and_once(
            log in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a'), Just(b' ')], 0..200),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..5),
        ) {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(log.len() + 1)).collect();
            cuts.sort_unstable();
            let mut follower = LineFollower::default();
            let mut told = Vec::new();
            for cut in cuts {
                told.extend(follower.read(&log[..cut], false));
            }
            told.extend(follower.read(&log, true));
            let lines = LineQuery::new(0, usize::MAX, None).find(&log).lines;
            prop_assert_eq!(told, lines.into_iter().map(Told::Line).collect::<Vec<_>>());
        }
    }
}
