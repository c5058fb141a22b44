//! A log as it is kept: compressed.

use std::fmt;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// A compressed log and its length.
#[derive(Clone, PartialEq, Eq)]
pub struct PackedLog {
    log_bytes: u64,
    gzip: Vec<u8>,
}

impl fmt::Debug for PackedLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PackedLog({} bytes)", self.log_bytes)
    }
}

impl PackedLog {
    /// Compresses a log. Training logs repeat themselves: the fastest level makes them ten times
    /// smaller.
    pub fn pack(log: &str) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let written = encoder.write_all(log.as_bytes()).and_then(|()| encoder.finish());
        Self {
            log_bytes: log.len() as u64,
            gzip: written.expect("writing to memory does not fail"),
        }
    }

    /// A log as it was stored.
    pub fn from_stored(log_bytes: u64, gzip: Vec<u8>) -> Self {
        Self { log_bytes, gzip }
    }

    /// The length of the log, in bytes.
    pub fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    /// The compressed form, to be stored.
    pub fn as_gzip(&self) -> &[u8] {
        &self.gzip
    }

    /// The log itself; what cannot be unpacked of a damaged one is left out.
    pub fn unpack(&self) -> String {
        let mut log = Vec::new();
        if let Err(error) = GzDecoder::new(self.gzip.as_slice()).read_to_end(&mut log) {
            ::log::error!("a kept log is damaged: {error}");
        }
        String::from_utf8(log)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_survives_being_packed() {
        let log = "Steps:  30%|███       | 600/2000\r".repeat(1_000);
        let packed = PackedLog::pack(&log);
        assert_eq!(packed.log_bytes(), log.len() as u64);
        assert!(packed.as_gzip().len() * 10 < log.len());
        assert_eq!(packed.unpack(), log);
    }

    #[test]
    fn a_damaged_log_gives_what_is_left_of_it() {
        let packed = PackedLog::from_stored(5, b"no gzip".to_vec());
        assert_eq!(packed.unpack(), "");
    }
}
