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

    /// Packs what is to be kept of a log: all of it, or of one longer than `bytes_max` the first quarter
    /// of that and the last three quarters, at the ends of lines. Its length stays that of the whole.
    pub fn pack_within(log: &str, bytes_max: usize) -> Self {
        match shortened(log, bytes_max) {
            None => Self::pack(log),
            Some(short) => Self { log_bytes: log.len() as u64, ..Self::pack(&short) },
        }
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

/// Both ends of a log that is too long, and between them how much was left out. A line that is longer than
/// either end is cut.
fn shortened(log: &str, bytes_max: usize) -> Option<String> {
    if log.len() <= bytes_max {
        return None;
    }
    let first = &log[..log.floor_char_boundary(bytes_max / 4)];
    let last = &log[log.ceil_char_boundary(log.len() - (bytes_max - bytes_max / 4))..];
    let is_end = |character| matches!(character, '\n' | '\r');
    let first = first.rfind(is_end).map_or(first, |end| &first[..=end]);
    let last = last.find(is_end).map_or(last, |end| &last[end + 1..]);
    let left_out = log.len() - first.len() - last.len();
    Some(format!("{first}\n… {left_out} bytes of this log are not kept …\n{last}"))
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
    fn of_a_log_that_is_too_long_both_ends_are_kept_in_whole_lines() {
        let log: String = (0..1_000).map(|line| format!("line {line} é\n")).collect();
        let packed = PackedLog::pack_within(&log, 1_000);
        let kept = packed.unpack();
        assert_eq!(packed.log_bytes(), log.len() as u64);
        assert!(kept.len() < 1_100, "{kept}");
        assert!(kept.starts_with("line 0 é\nline 1 é\n") && kept.ends_with("\nline 999 é\n"));
        let (first, rest) = kept.split_once("\n… ").expect("a line between");
        let (left_out, last) =
            rest.split_once(" bytes of this log are not kept …\n").expect("how much");
        assert_eq!(left_out.parse(), Ok(log.len() - first.len() - last.len()));
        assert!(first.lines().chain(last.lines()).all(|line| log.contains(&format!("{line}\n"))));
        assert_eq!(PackedLog::pack_within(&log, log.len()).unpack(), log);
    }

    #[test]
    fn a_log_of_one_endless_line_is_cut() {
        let kept = PackedLog::pack_within(&"é".repeat(5_000), 1_001).unpack();
        assert!(kept.len() < 1_100 && kept.starts_with('é') && kept.ends_with('é'));
    }

    #[test]
    fn a_damaged_log_gives_what_is_left_of_it() {
        let mut stored = PackedLog::pack(&"line\n".repeat(2_000)).as_stored().to_vec();
        stored.truncate(stored.len() / 2);
        let left = PackedLog::from_stored(10_000, stored).unpack();
        assert!("line\n".repeat(2_000).starts_with(&left));
    }
}
