//! Reads a growing log at the cost of what was appended.

use super::grammar::bars::end_of_bar;
use super::line::read_tail;
use super::run::Run;
use super::series::Curves;
use super::shapes::with_shapes;
use super::{Progress, Series};
use crate::domain::growing_log::{Appended, GrowingLog};
use crate::domain::log::LogFold;

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
/// and 8 KiB to recognise the log. The result does not depend on how the log was cut.
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
    run: Run,
    curves: Curves,
    /// The start of the newest line that is not blank, for display.
    newest: Vec<u8>,
    known: GrowingLog,
}

impl ProgressReader {
    /// Takes the bytes that were appended to the log.
    pub fn push(&mut self, appended: &[u8]) {
        let Self { fold, run, curves, newest, .. } = self;
        with_shapes(|shapes| {
            fold.push(appended, |line| {
                let line = &*line.bytes;
                let mut reading = shapes.read(line);
                let mut text = line;
                if reading.traits.has_text_behind_bar {
                    // A logger does not know that it writes behind a bar.
                    let bar;
                    (bar, text) = line.split_at(end_of_bar(line).unwrap_or(0));
                    run.apply(bar, &mut shapes.read(bar), curves);
                    reading = shapes.read(text);
                }
                run.apply(text, &mut reading, curves);
                keep_start(newest, text);
            });
        });
        self.known.append(appended);
    }

    /// Says that the log was as it is now at this time of the reader's clock, in seconds. Where a run does
    /// not tell how long its steps take, that is what it is timed by.
    pub fn look(&mut self, now_seconds: f64) {
        self.run.look(now_seconds);
    }

    /// Takes the whole log as the provider answers it now, and reads only what is new in it.
    pub fn read(&mut self, whole_log: &[u8]) -> LogChange {
        match self.known.compare(whole_log) {
            Appended::Nothing => LogChange::Same,
            Appended::Bytes(appended) => {
                self.push(appended);
                LogChange::Grew { bytes: appended.len() as u64 }
            }
            Appended::Rewritten => {
                *self = Self::default();
                self.push(whole_log);
                LogChange::Rewritten
            }
        }
    }

    /// The progress after all that was read. A number at the very end of an unfinished line is not
    /// believed: its digits may go on. Of a log that is over, push a last newline.
    pub fn progress(&self) -> Progress {
        let (mut run, mut newest) = (self.run.clone(), self.newest.clone());
        let tail = self.fold.partial();
        let mut reading = read_tail(&tail.bytes, tail.ending);
        run.apply(&tail.bytes, &mut reading, &mut Curves::default());
        keep_start(&mut newest, &tail.bytes);
        Progress { last_log: shortened(&newest), ..run.progress() }
    }

    /// The curves after all lines that have ended.
    pub fn series(&self) -> Series {
        self.curves.series()
    }

    /// How many bytes of log were read.
    pub fn log_bytes(&self) -> u64 {
        self.known.bytes()
    }
}

/// The most characters of the last line that are shown (API page, field `last_log`).
const LAST_LOG_CHARACTERS: usize = 80;
/// So many bytes hold them, whichever they are.
const LAST_LOG_BYTES: usize = LAST_LOG_CHARACTERS * 4;

/// Keeps as much of a line as is shown of it, unless it is blank.
fn keep_start(kept: &mut Vec<u8>, line: &[u8]) {
    let line = line.trim_ascii();
    if !line.is_empty() {
        kept.clear();
        kept.extend_from_slice(&line[..line.len().min(LAST_LOG_BYTES)]);
    }
}

/// A line for display, or `None` if it is blank.
fn shortened(line: &[u8]) -> Option<String> {
    let shown: String = String::from_utf8_lossy(line).chars().take(LAST_LOG_CHARACTERS).collect();
    (!shown.trim().is_empty()).then_some(shown)
}
