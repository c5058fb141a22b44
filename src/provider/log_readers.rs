//! One incremental reader a log, shared by all who get to see logs: reading a log again then costs
//! what was appended to it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::observation::ProgressReading;
use crate::domain::progress::{Progress, ProgressReader};

/// How many logs are followed at a time. The one that was read longest ago makes room; reading it
/// again then starts at its beginning.
const READERS_MAX: usize = 256;

/// The readers of the logs that are being followed.
#[derive(Debug, Default)]
pub struct LogReaders {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    readers: HashMap<String, (u64, ProgressReader)>,
    reads: u64,
}

impl LogReaders {
    /// Reads the log of the job `key` as it is now. `ended` says that it will not grow any more.
    pub fn read(&self, key: &str, log: &str, ended: bool) -> ProgressReading {
        if log.is_empty() {
            return ProgressReading { progress: Progress::default(), log_bytes: 0 };
        }
        // The reader is taken out while it works, so that a long log holds up no other.
        let mut reader =
            self.lock().readers.remove(key).map(|(_, reader)| reader).unwrap_or_default();
        reader.read(log.as_bytes());
        let reading = ProgressReading { progress: reader.progress(), log_bytes: log.len() as u64 };
        if !ended {
            self.lock().put(key, reader);
        }
        reading
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A reader that panicked was taken out, so what is left is sound.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
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
