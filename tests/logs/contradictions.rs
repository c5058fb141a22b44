//! How much of a log had passed while something was said that its end contradicts.

use jobsyncd::domain::progress::{Progress, ProgressReader};

/// The largest share of a log for which it may say what its end contradicts.
pub(crate) const SHARE_MAX: f64 = 0.05;

/// Other totals than at the end were named: those hold for the whole run, whenever they are told.
fn contradicts(now: &Progress, end: &Progress) -> bool {
    let differs = |now: Option<u64>, end: Option<u64>| end.is_some() && now.is_some() && now != end;
    differs(now.total_steps, end.total_steps) || differs(now.total_epochs, end.total_epochs)
}

/// The share of the log, from 0 to 1, for which its end is contradicted. It is cut after every line and frame.
pub(crate) fn share<'a>(pieces: impl Iterator<Item = &'a [u8]> + Clone) -> f64 {
    let mut reader = ProgressReader::default();
    pieces.clone().for_each(|piece| reader.push(piece));
    let end = reader.progress();
    let mut reader = ProgressReader::default();
    let (mut wrong, mut all) = (0, 0);
    for piece in pieces {
        // What was said before a piece was said until all of it had come.
        all += piece.len();
        wrong += if contradicts(&reader.progress(), &end) { piece.len() } else { 0 };
        reader.push(piece);
    }
    if all == 0 { 0.0 } else { wrong as f64 / all as f64 }
}
