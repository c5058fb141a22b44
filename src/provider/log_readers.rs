//! One incremental reader a log, shared by all who get to see logs: reading a log again then costs
//! what was appended to it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::observation::ProgressReading;
use crate::domain::packed_log::PackedLog;
use crate::domain::progress::{LogChange, PackedSeries, ProgressReader};
use crate::domain::timestamp::{Timestamp, to_micros};

/// How many logs are followed at a time. The one that was read longest ago makes room; reading it
/// again then starts at its beginning.
const READERS_MAX: usize = 256;

/// A log as it was seen.
#[derive(Debug, Clone, Copy)]
pub struct LogSeen<'a> {
    /// All of it, not empty.
    pub log: &'a [u8],
    /// When it came.
    pub at: Timestamp,
    /// When we asked for it; None where it was sent to us.
    pub asked_at: Option<Timestamp>,
    /// It will not grow any more.
    pub ended: bool,
}

/// The readers of the logs that are being followed.
#[derive(Debug)]
pub struct LogReaders {
    inner: Mutex<Inner>,
    kept_bytes_max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    readers: HashMap<String, (u64, ProgressReader)>,
    reads: u64,
}

impl LogReaders {
    /// No readers yet. Of a finished log `kept_bytes_max` are kept.
    pub fn new(kept_bytes_max: usize) -> Self {
        Self { inner: Mutex::default(), kept_bytes_max }
    }

    /// What is kept of a finished log.
    pub fn pack(&self, log: &str) -> PackedLog {
        PackedLog::pack_within(log, self.kept_bytes_max)
    }

    /// Reads the log of the job `key`.
    pub fn read(&self, key: &str, seen: LogSeen<'_>) -> ProgressReading {
        let LogSeen { log, at, asked_at, ended } = seen;
        // The reader is taken out while it works, so that a long log holds up no other.
        let mut reader =
            self.lock().readers.remove(key).map(|(_, reader)| reader).unwrap_or_default();
        // What was sent to us and is shorter was so before what is known was read, and only came late.
        let is_late = asked_at.is_none() && (log.len() as u64) < reader.log_bytes();
        let overtaken = is_late.then(|| std::mem::take(&mut reader));
        let is_rewritten = reader.read(log) == LogChange::Rewritten;
        if ended {
            // Nothing follows the last line any more, so that its last number is whole.
            reader.push(b"\n");
        } else {
            reader.look(to_micros(at) as f64 / 1e6);
        }
        let series = reader.series();
        let reading = ProgressReading {
            progress: reader.progress(),
            log_bytes: log.trim_ascii_end().len() as u64,
            generation: 0,
            asked_at,
            is_rewritten,
            // One point is no curve.
            series: (series.step.len() > 1).then(|| PackedSeries::pack(&series)),
        };
        let kept = if ended { overtaken } else { Some(overtaken.unwrap_or(reader)) };
        if let Some(reader) = kept {
            self.lock().put(key, reader);
        }
        reading
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A reader that panicked was taken out, so what is left is sound.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for LogReaders {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl Inner {
    fn put(&mut self, key: &str, reader: ProgressReader) {
        self.reads += 1;
        self.readers.insert(key.to_owned(), (self.reads, reader));
        if self.readers.len() > READERS_MAX {
            let oldest = self.readers.iter().min_by_key(|(_, (read, _))| *read);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.readers.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timestamp::from_micros;

    /// The log as it was asked for at this second.
    fn asked(log: &str, second: i64) -> LogSeen<'_> {
        let at = from_micros(second * 1_000_000);
        LogSeen { log: log.as_bytes(), at, asked_at: Some(at), ended: false }
    }

    fn sent(log: &str, second: i64) -> LogSeen<'_> {
        LogSeen { asked_at: None, ..asked(log, second) }
    }

    #[test]
    fn a_run_that_tells_no_time_is_timed_by_when_it_was_looked_at() {
        let readers = LogReaders::default();
        readers.read("job", asked("Step 100/1000 - loss: 0.5\n", 0));
        let log = "Step 100/1000 - loss: 0.5\nStep 120/1000 - loss: 0.4\n";
        let progress = readers.read("job", asked(log, 60)).progress;
        assert_eq!(progress.eta_seconds, Some(880.0 * 3.0));
        assert!(progress.eta_low_seconds < progress.eta_seconds, "{progress:?}");
    }

    #[test]
    fn a_log_that_comes_late_does_not_disturb_the_reader() {
        let readers = LogReaders::default();
        readers.read("job", asked("step 1/9\nstep 2/9\nstep 3/9\n", 0));
        let late = readers.read("job", sent("step 1/9\n", 1));
        assert_eq!((late.progress.step, late.is_rewritten), (Some(1), false));
        let next = readers.read("job", asked("step 1/9\nstep 2/9\nstep 3/9\nstep 4/9\n", 2));
        assert_eq!((next.progress.step, next.is_rewritten), (Some(4), false));
    }

    #[test]
    fn a_log_that_is_another_one_is_told_as_such() {
        let readers = LogReaders::default();
        assert!(!readers.read("job", asked("step 8/9\n", 0)).is_rewritten);
        assert!(readers.read("job", asked("step 1/9\nstep 2/9\n", 1)).is_rewritten);
        assert!(readers.read("job", asked("step 1/9\n", 2)).is_rewritten);
    }

    #[test]
    fn the_last_number_of_a_log_that_is_over_is_whole() {
        let readers = LogReaders::default();
        let log = "step 8/9 - loss: 0.25";
        assert_eq!(readers.read("job", asked(log, 0)).progress.loss, None);
        let over = LogSeen { ended: true, ..asked(log, 1) };
        assert_eq!(readers.read("job", over).progress.loss, Some(0.25));
    }

    #[test]
    fn no_more_readers_are_kept_than_said_and_the_oldest_makes_room() {
        let readers = LogReaders::default();
        for job in 0..=READERS_MAX {
            readers.read(&job.to_string(), asked("step 1/9\n", 0));
        }
        let kept = readers.lock().readers.len();
        assert_eq!((kept, readers.lock().readers.contains_key("0")), (READERS_MAX, false));
    }
}
