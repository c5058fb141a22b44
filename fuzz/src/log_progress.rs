//! The progress that a log tells: the same whether it is read at once or as it grows, and sensible.
//!
//! The first byte says how long the pieces are in which the log grows.

use jobsyncd::domain::progress::{Progress, ProgressReader};

/// How much of the last line is shown, in characters.
const LAST_LOG_CHARS_MAX: usize = 80;
const PIECES_MAX: usize = 32;

pub fn check(data: &[u8]) {
    let [piece, log @ ..] = data else { return };
    let mut at_once = ProgressReader::default();
    at_once.read(log);
    let progress = at_once.progress();

    let mut appended = ProgressReader::default();
    let mut asked_again = ProgressReader::default();
    let mut length = 0;
    // A long log in short pieces takes long, and shows no more.
    let piece = usize::from(*piece).max(log.len() / PIECES_MAX).max(1);
    for piece in log.chunks(piece) {
        length += piece.len();
        appended.push(piece);
        asked_again.read(&log[..length]);
        check_values(&appended.progress());
    }
    assert_eq!(appended.progress(), progress, "a log that was pushed in pieces tells otherwise");
    assert_eq!(asked_again.progress(), progress, "a log that was asked for again tells otherwise");
    assert_eq!(asked_again.log_bytes(), log.len() as u64);
    check_stored(progress);
}

fn check_values(progress: &Progress) {
    if let Some(percent) = progress.progress {
        assert!((0.0..=100.0).contains(&percent), "{progress:?}");
    }
    let times = [progress.eta_low_seconds, progress.eta_seconds, progress.eta_high_seconds];
    for number in [progress.epoch, progress.seconds_per_step].iter().chain(&times) {
        assert!(number.is_none_or(|number| number.is_finite() && number >= 0.0), "{progress:?}");
    }
    assert!(times.iter().flatten().is_sorted(), "{progress:?}");
    for number in [progress.loss, progress.learning_rate] {
        assert!(number.is_none_or(f64::is_finite), "{progress:?}");
    }
    if let Some(line) = &progress.last_log {
        assert!(line.chars().count() <= LAST_LOG_CHARS_MAX, "{progress:?}");
        assert!(!line.trim().is_empty(), "{progress:?}");
    }
}

/// A progress is stored as JSON, and is the same when it is read again.
fn check_stored(progress: Progress) {
    let json = serde_json::to_string(&progress).expect("a progress is JSON");
    let stored: Progress = serde_json::from_str(&json).expect("what was stored can be read");
    assert_eq!(stored, progress, "{json}");
}
