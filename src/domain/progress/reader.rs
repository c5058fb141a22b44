//! Reads a growing log at the cost of what was appended.

use super::Progress;
use super::line::{read_clean, read_tail};
use super::run::Run;
use crate::domain::log::LogFold;

/// How many bytes at the start and at the end of what was read are kept, to recognise a log that
/// merely grew. Both are needed: a rewritten log may agree in either.
const FINGERPRINT_BYTES: usize = 4 * 1024;

/// Of lines alike in all but their numbers only the last one counts, and each of this many, so that
/// no burst hides for long what happened within it.
const READ_EACH: u32 = 16;

/// What [`ProgressReader::read`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogChange {
    /// The log is what it was, but perhaps for its trailing blanks, or empty: a log that the
    /// provider deleted says nothing.
    Same,
    /// Only this many new bytes were read.
    Grew {
        /// How many bytes were appended.
        bytes: u64,
    },
    /// The log is another one; all of it was read anew.
    Rewritten,
}

/// Turns a log that grows into [`Progress`].
///
/// Memory is bounded: at most [`LINE_LIMIT`](crate::domain::log::LINE_LIMIT) for the unfinished line,
/// as much for the newest finished one, and 8 KiB to recognise the log. The result does not depend on
/// how the log was cut.
///
/// ```
/// # use jobsyncd::domain::progress::ProgressReader;
/// let mut reader = ProgressReader::default();
/// reader.push(b"step 1500/5000 - loss: 0.02\nstep 15");
/// assert_eq!(reader.progress().progress, Some(30.0));
/// ```
#[derive(Debug, Clone, Default)]
pub struct ProgressReader {
    fold: LogFold,
    backlog: Backlog,
    head: Vec<u8>,
    tail: Vec<u8>,
    bytes: u64,
}

/// The run as of the last line that was read in full, and the newest line, which waits: most often
/// the next one replaces it.
#[derive(Debug, Clone, Default)]
struct Backlog {
    run: Run,
    newest: Vec<u8>,
    superseded: u32,
}

impl Backlog {
    fn take_line(&mut self, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        if self.superseded < READ_EACH && is_alike(&self.newest, line) {
            self.superseded += 1;
        } else {
            self.settle();
        }
        self.newest.clear();
        self.newest.extend_from_slice(line);
    }

    fn settle(&mut self) {
        self.superseded = 0;
        if !self.newest.is_empty() {
            self.run.apply(read_clean(&self.newest));
            self.run.set_last_log(&self.newest);
        }
    }
}

impl ProgressReader {
    /// Takes the bytes that were appended to the log.
    pub fn push(&mut self, appended: &[u8]) {
        let Self { fold, backlog, .. } = self;
        fold.push(appended, |line| backlog.take_line(&line.bytes));
        self.remember(appended);
    }

    /// Takes the whole log as the provider answers it now, and reads only what is new in it.
    pub fn read(&mut self, whole_log: &[u8]) -> LogChange {
        if whole_log.is_empty() || self.is_same_but_for_blanks(whole_log) {
            return LogChange::Same;
        }
        if let Some(appended) = self.appended_in(whole_log) {
            self.push(appended);
            return LogChange::Grew { bytes: appended.len() as u64 };
        }
        *self = Self::default();
        self.push(whole_log);
        LogChange::Rewritten
    }

    /// The progress after all that was read. A number at the very end of an unfinished line is not
    /// believed: its digits may go on. Of a log that is over, push a last newline.
    pub fn progress(&self) -> Progress {
        let Backlog { mut run, newest, .. } = self.backlog.clone();
        if !newest.is_empty() {
            run.apply(read_clean(&newest));
            run.set_last_log(&newest);
        }
        let tail = self.fold.partial();
        run.apply(read_tail(&tail.bytes, tail.ending));
        run.set_last_log(&tail.bytes);
        run.progress()
    }

    /// How many bytes of log were read.
    pub fn log_bytes(&self) -> u64 {
        self.bytes
    }

    fn remember(&mut self, appended: &[u8]) {
        let missing = FINGERPRINT_BYTES.saturating_sub(self.head.len()).min(appended.len());
        self.head.extend_from_slice(&appended[..missing]);
        let newest = &appended[appended.len().saturating_sub(FINGERPRINT_BYTES)..];
        let surplus = (self.tail.len() + newest.len()).saturating_sub(FINGERPRINT_BYTES);
        self.tail.drain(..surplus);
        self.tail.extend_from_slice(newest);
        self.bytes += appended.len() as u64;
    }

    /// What `whole_log` has beyond the bytes that were read, if it begins with them.
    fn appended_in<'a>(&self, whole_log: &'a [u8]) -> Option<&'a [u8]> {
        let known = usize::try_from(self.bytes).ok()?;
        let (before, appended) = whole_log.split_at_checked(known)?;
        (before.starts_with(&self.head) && before.ends_with(&self.tail)).then_some(appended)
    }

    /// Archived logs lose their last newline; that is no other log.
    fn is_same_but_for_blanks(&self, whole_log: &[u8]) -> bool {
        let Some(lost) =
            usize::try_from(self.bytes).ok().and_then(|known| known.checked_sub(whole_log.len()))
        else {
            return false;
        };
        let Some((kept, blanks)) =
            self.tail.len().checked_sub(lost).and_then(|at| self.tail.split_at_checked(at))
        else {
            return false;
        };
        let head = &self.head[..self.head.len().min(whole_log.len())];
        blanks.iter().all(u8::is_ascii_whitespace)
            && whole_log.starts_with(head)
            && whole_log.ends_with(kept)
    }
}

/// Whether the later of two lines says all that the earlier did: they differ only in numbers and
/// blanks, and no count in them fell. A fall may be a restart or a new epoch, so both are then read.
fn is_alike(earlier: &[u8], later: &[u8]) -> bool {
    match (bar_parts(earlier), bar_parts(later)) {
        (Some((name, counts)), Some((later_name, later_counts))) => {
            name == later_name && is_alike_text(counts, later_counts)
        }
        (None, None) => is_alike_text(earlier, later),
        _ => false,
    }
}

/// Name and counts of a tqdm bar, without the percentage and the drawing between them.
fn bar_parts(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let name_end = line.iter().position(|&byte| byte == b'%')?;
    let clock = line.iter().rposition(|&byte| byte == b'[')?;
    let counts =
        line[..clock].trim_ascii_end().iter().rposition(|byte| matches!(byte, b' ' | b'|'))?;
    let is_bar = line.get(name_end + 1) == Some(&b'|') && name_end < counts;
    let name = &line[..name_end];
    let percentage =
        name.iter().rev().take_while(|byte| matches!(byte, b'0'..=b'9' | b'.' | b' ')).count();
    is_bar.then(|| (&name[..name.len() - percentage], &line[counts + 1..]))
}

fn is_alike_text(earlier: &[u8], later: &[u8]) -> bool {
    let (mut earlier, mut later) = (earlier, later);
    loop {
        earlier = earlier.trim_ascii_start();
        later = later.trim_ascii_start();
        match (earlier.first(), later.first()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a.is_ascii_digit() && b.is_ascii_digit() => {
                let (before, after) = (number_at(earlier), number_at(later));
                let are_counts = before.iter().chain(after).all(u8::is_ascii_digit);
                if are_counts && (after.len(), after) < (before.len(), before) {
                    return false;
                }
                earlier = &earlier[before.len()..];
                later = &later[after.len()..];
            }
            (Some(a), Some(b)) if a == b => {
                earlier = &earlier[1..];
                later = &later[1..];
            }
            _ => return false,
        }
    }
}

/// The number, date or time of day at the start of a text.
fn number_at(text: &[u8]) -> &[u8] {
    let is_part = |&byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b':' | b'e' | b'+' | b'-');
    let length = text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len());
    // The milliseconds of a time of day belong to it, as in Python's "07:26:53,615".
    let is_time = text[..length].contains(&b':');
    let milliseconds = text[length..].strip_prefix(b",").filter(|_| is_time);
    let digits =
        milliseconds.map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
    &text[..if digits > 0 { length + 1 + digits } else { length }]
}
