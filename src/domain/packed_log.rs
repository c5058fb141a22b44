//! A log as it is kept: compressed, unless it is so short that this would save nothing.

use std::fmt;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// Below this length a log is kept as it is: to set up the compression of one takes longer than
/// everything else that is done for it.
const PLAIN_BYTES_MAX: usize = 4 * 1024;
/// How every gzip file begins. No text does: in UTF-8 the second byte cannot follow the first.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A log, packed, and its length.
#[derive(Clone, PartialEq, Eq)]
pub struct PackedLog {
    log_bytes: u64,
    packed: Vec<u8>,
}

impl fmt::Debug for PackedLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PackedLog({} bytes)", self.log_bytes)
    }
}

impl PackedLog {
    /// Packs a log. Training logs repeat themselves: the fastest level of compression makes them
    /// ten times smaller.
    pub fn pack(log: &str) -> Self {
        let log_bytes = log.len() as u64;
        if log.len() <= PLAIN_BYTES_MAX {
            return Self { log_bytes, packed: log.as_bytes().to_vec() };
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let written = encoder.write_all(log.as_bytes()).and_then(|()| encoder.finish());
        Self { log_bytes, packed: written.expect("writing to memory does not fail") }
    }

    /// A log as it was stored.
    pub fn from_stored(log_bytes: u64, packed: Vec<u8>) -> Self {
        Self { log_bytes, packed }
    }

    /// The length of the log, in bytes.
    pub fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    /// The packed form, to be stored: gzip, or the text itself.
    pub fn as_stored(&self) -> &[u8] {
        &self.packed
    }

    /// The log itself; what cannot be unpacked of a damaged one is left out.
    pub fn unpack(&self) -> String {
        if !self.packed.starts_with(&GZIP_MAGIC) {
            return text_of(self.packed.clone());
        }
        let mut log = Vec::new();
        if let Err(error) = GzDecoder::new(self.packed.as_slice()).read_to_end(&mut log) {
            ::log::error!("a kept log is damaged: {error}");
        }
        text_of(log)
    }
}

fn text_of(log: Vec<u8>) -> String {
    String::from_utf8(log)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_survives_being_packed() {
        let line = "Steps:  30%|███       | 600/2000\r";
        for lines in [0, 1, PLAIN_BYTES_MAX / line.len(), PLAIN_BYTES_MAX / line.len() + 1, 1_000] {
            let log = line.repeat(lines);
            let packed = PackedLog::pack(&log);
            assert_eq!(packed.log_bytes(), log.len() as u64);
            assert_eq!(packed.unpack(), log);
        }
    }

    #[test]
    fn a_long_log_becomes_ten_times_smaller() {
        let log = "Steps:  30%|███       | 600/2000\r".repeat(1_000);
        assert!(PackedLog::pack(&log).as_stored().len() * 10 < log.len());
    }

    #[test]
    fn a_damaged_log_gives_what_is_left_of_it() {
        let mut stored = PackedLog::pack(&"line\n".repeat(2_000)).as_stored().to_vec();
        stored.truncate(stored.len() / 2);
        let left = PackedLog::from_stored(10_000, stored).unpack();
        assert!("line\n".repeat(2_000).starts_with(&left));
    }
}
