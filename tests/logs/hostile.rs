//! Logs that no trainer writes, or that mean harm: a reader of them stays small, quick and sane.
//!
//! `COUNTERS=1000000 cargo test --test logs hostile -- --nocapture` reads a million counters in prose, and as
//! many bars, each with another name, and prints what readers hold.

#![expect(clippy::print_stdout, reason = "what the readers hold is what it is run for")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::{env, fs, iter};

use jobsyncd::domain::log::LINE_LIMIT;
use jobsyncd::domain::progress::{PackedSeries, Progress, ProgressReader};

/// The most that a reader holds after whole lines, in bytes.
const HELD_MAX: usize = 60_000;
/// What the room for an unfinished line adds to that. It grows by doubling, and is kept for the next one.
const LINE_ROOM: usize = 2 * LINE_LIMIT;
/// So many bytes of each log are read to see what is held.
const LOG_BYTES: usize = 100_000;
/// So many counters of other names are read, unless the environment says otherwise.
const COUNTERS: u64 = 5_000;
/// The most by which a byte of a log may take longer than one of the first eighth of it.
const SLOWDOWN_MAX: f64 = 3.0;
/// The scheduler counts in steps of so many nanoseconds at most.
const TICK: u64 = 10_000_000;

/// The system's allocator, which also counts what each thread holds.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static HELD_BYTES: Cell<isize> = const { Cell::new(0) };
}

#[expect(unsafe_code, reason = "an allocator is so by its trait")]
// SAFETY: everything is asked of the system's allocator, with the arguments as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD_BYTES.set(HELD_BYTES.get() + layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD_BYTES.set(HELD_BYTES.get() - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

/// A log: its name, and its pieces by their number.
type Log = (&'static str, fn(u64) -> Vec<u8>);

/// Logs of lines and frames.
const LOGS: &[Log] = &[
    ("counters in prose", |at| {
        format!("{} epoch {at} step {at}/{} loss: 0.5\n", word(at), at * 7 + 3).into()
    }),
    ("bars", |at| bar(&word(at), at, at * 7 + 3)),
    ("bars of a hundred totals", |at| bar("Train", at, at % 100 + 1)),
    ("a thousand bars within one another", |at| {
        bar(&format!("\n{}{}", "\x1b[A".repeat(at as usize % 7), at % 1_000), at, 9_000)
    }),
    ("steps up and down", |at| format!("step {}/9999 loss: 1\n", random(at) % 9_999).into()),
    ("totals of twenty digits", |at| {
        format!("step 1{at:019}/99999999999999999999 loss: 0.5\n").into()
    }),
    ("the last of all epochs", |at| {
        let last = ["18446744073709551615", "9007199254740992"][at as usize % 2];
        format!("Epoch {last}/{last} loss: 0.5\n").into()
    }),
    ("nothing of nothing", |_| b"Epoch 0/0\nstep 0/0 loss: 0\n0%| | 0/0 [00:00<?, ?it/s]\n".into()),
    ("losses that are none", |at| {
        let losses = ["nan", "-nan", "inf", "-inf", "-1e300", "-3.5", "1e300", "1e999"];
        format!("step {at}/1000 loss: {} lr: 1e-999\n", losses[at as usize % 8]).into()
    }),
    ("restarts", |at| {
        let runs = "***** Running training *****\nResuming from it\nKilled\nstep ";
        format!("{runs}{}/50\n", random(at) % 50).into()
    }),
    ("epochs begun again", |at| format!("Epoch {}/9\n1/5 loss: 1\n", at % 3).into()),
    ("evaluations and checkpoints", |at| {
        format!("Evaluating at step {at}\nSaved checkpoint at step {at}\nstep {at}\n").into()
    }),
    ("characters cut in two", |at| {
        let mut line = format!("Époque {at}/9 █▌ 損失: 0.5 學習\n").into_bytes();
        line.truncate(line.len() - (at % 9) as usize);
        line
    }),
    ("tables of ten thousand columns", |at| match at % 9 {
        0 => format!("epoch  loss{}\n", "  c".repeat(10_000)).into(),
        _ => format!("{at}  0.5{}\n", "  1".repeat(10_000)).into(),
    }),
    ("all of it with any numbers", |at| {
        let numbers = ["0", "1", "7", "99", "9007199254740992", "1e300", "1e-300", "1e15", "0.5"];
        let any = |part| numbers[random(at * 8 + part) as usize % numbers.len()];
        let [a, b, c, d, e] = [1, 2, 3, 4, 5].map(any);
        let line = match random(at) % 4 {
            0 => format!("Epoch {a}/{b} step {c}/{d} loss: -{e}\n"),
            1 => format!("{a}/{b} [{c}:00<?, {d}s/it, loss={e}]\r"),
            2 => format!("epoch  step  loss\n{a}  {b}  {c}\n"),
            _ => format!("epochs: {a}, {b}% done\nepoch {c} step:{d}K\n"),
        };
        line.into()
    }),
];

/// Logs of a single line that never ends.
const STORMS: &[Log] = &[
    ("one line", |at| format!("step {at}/1000000 loss: 0.5, ").into()),
    ("frames on one line", |at| format!("{at}/99999999 [00:01<00:09, 1.00it/s]").into()),
    ("carriage returns", |at| format!("step {at}/1000000{}", "\r".repeat(100)).into()),
    ("backspaces", |at| vec![[8, b'7'][usize::from(at % 20 == 0)]; LINE_LIMIT]),
    ("carriage returns by another name", |at| format!("#015{at}/9#010").into()),
    ("an escape sequence", |at| format!("\x1b]{at}").into()),
];

/// A word that no other number has.
fn word(number: u64) -> String {
    let letters = format!("{number}").into_bytes();
    letters.into_iter().map(|digit| char::from(digit - b'0' + b'k')).collect()
}

fn bar(name: &str, done: u64, total: u64) -> Vec<u8> {
    format!("\r{name}:  10%|█ | {done}/{total} [00:01<00:09, 1.00it/s, loss=0.5]").into()
}

/// A number as if by chance, the same each time.
fn random(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

fn written(piece: fn(u64) -> Vec<u8>, bytes: usize) -> Vec<u8> {
    (0..).flat_map(piece).take(bytes).collect()
}

fn assert_sane(progress: &Progress, log: &str) {
    let percent = progress.progress.unwrap_or_default();
    assert!((0.0..=100.0).contains(&percent), "{log}: {progress:?}");
    let numbers = [
        progress.epoch,
        progress.loss,
        progress.learning_rate,
        progress.seconds_per_step,
        progress.median_seconds_per_step,
        progress.eta_low_seconds,
        progress.eta_seconds,
        progress.eta_high_seconds,
    ];
    assert!(numbers.iter().flatten().all(|number| number.is_finite()), "{log}: {progress:?}");
}

/// Reads a log in pieces, holds what is told after each to what can be, and answers how many bytes the reader
/// holds: itself, and what is freed with it.
fn held_after(name: &str, pieces: impl Iterator<Item = impl AsRef<[u8]>>) -> usize {
    let mut reader = ProgressReader::default();
    let (mut lines, mut restarts) = (1, 0);
    for piece in pieces {
        let piece = piece.as_ref();
        reader.push(piece);
        let progress = reader.progress();
        assert_sane(&progress, name);
        lines += piece.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count();
        assert!((restarts..=lines).contains(&(progress.restarts as usize)), "{name}: {progress:?}");
        restarts = progress.restarts as usize;
    }
    let before = HELD_BYTES.get();
    drop(reader);
    let held = size_of::<ProgressReader>() + (before - HELD_BYTES.get()) as usize;
    println!("{held:>7} bytes: {name}");
    held
}

#[test]
fn a_reader_stays_small_and_sane_whatever_it_reads() {
    for (name, piece) in LOGS {
        let held = held_after(name, written(*piece, LOG_BYTES).chunks(999));
        assert!(held <= HELD_MAX, "{name}: {held} bytes");
    }
}

#[test]
fn a_line_that_never_ends_takes_no_more_room_than_said() {
    for (name, piece) in STORMS {
        let log = [&written(*piece, 2_000_000)[..], b"\nstep 1/2\n"].concat();
        let held = held_after(name, log.chunks(LINE_LIMIT - 1));
        assert!(held <= HELD_MAX + LINE_ROOM, "{name}: {held} bytes");
    }
}

#[test]
fn a_run_of_a_hundred_thousand_frames_and_four_hundred_checkpoints_is_held_in_little() {
    let frame = |at: u64| {
        let (percent, minutes, seconds, loss) = (at / 1_000, at / 60, at % 60, 1.0 / at as f64);
        let saved = ["", "\nSaved checkpoint\n"][usize::from(at.is_multiple_of(250))];
        format!(
            "\rSteps: {percent}%|█| {at}/100000 [{minutes}:{seconds:02}<9:00, 1.00it/s, \
             loss={loss:.4}, lr=1e-4]{saved}"
        )
    };
    let frames = |at: u64| (at * 100 + 1..=at * 100 + 100).map(frame).collect::<String>();
    let held = held_after("100,000 frames of tqdm", (0..1_000).map(frames));
    assert!(held <= HELD_MAX, "{held} bytes");
}

#[test]
fn any_number_of_counters_leaves_a_reader_as_small_as_one() {
    let counters = env::var("COUNTERS").map_or(COUNTERS, |text| text.parse().expect("a number"));
    for (name, piece) in &LOGS[..2] {
        let held = held_after(&format!("{counters} {name}"), (0..counters).map(piece));
        assert!(held <= HELD_MAX, "{name}: {held} bytes");
    }
    println!("{:>7} bytes: the thread, with what it remembers of lines", HELD_BYTES.get());
}

/// How long this thread has had a processor, in nanoseconds: that other threads have work does not count.
fn processor_time() -> u64 {
    let times = fs::read_to_string("/proc/thread-self/schedstat").expect("times of the scheduler");
    times.split(' ').next().and_then(|time| time.parse().ok()).expect("a time")
}

fn reading_time(log: &[u8], times: u32) -> u64 {
    let start = processor_time();
    for _ in 0..times {
        let mut reader = ProgressReader::default();
        reader.push(log);
        assert_sane(&reader.progress(), "a log that is timed");
    }
    (processor_time() - start).max(TICK)
}

fn assert_linear((name, piece): &Log, bytes: usize) {
    let log = written(*piece, bytes);
    let start = &log[..bytes / 8];
    // The first time, tables are made that are kept.
    reading_time(start, 1);
    let slowdown = reading_time(&log, 1) as f64 / 4.0 / reading_time(start, 2) as f64;
    println!("a byte takes {slowdown:.2} times as long: {name}");
    assert!(slowdown < SLOWDOWN_MAX, "{name}: {slowdown}");
}

#[test]
fn the_time_to_read_a_log_grows_with_its_length_and_no_faster() {
    for log in LOGS {
        let is_quick = reading_time(&written(log.1, LOG_BYTES), 1) <= TICK;
        assert_linear(log, if is_quick { 4_000_000 } else { 800_000 });
    }
}

#[test]
fn the_time_to_read_an_endless_line_grows_with_its_length_and_no_faster() {
    STORMS.iter().for_each(|log| assert_linear(log, 8_000_000));
}

#[test]
fn characters_that_are_longer_than_those_they_overwrite_fit_a_line() {
    let long = [&[b'a'; LINE_LIMIT][..], b"\x08\x08", "é".as_bytes()].concat();
    let loose = [b"a\x08", &[0x80; LINE_LIMIT][..]].concat();
    let held = [long, loose].map(|log| held_after("a line written over", iter::once(log)));
    assert!(held.iter().all(|held| *held <= HELD_MAX + LINE_ROOM), "{held:?}");
}

#[test]
fn an_epoch_beyond_all_numbers_ends_like_any_other() {
    held_after("a table", iter::once("epoch  loss\n1e999  0.5\n"));
    let bars = [10, 0].map(|done| bar("Epoch 99999999999999999999", done, 10));
    held_after("bars of the last epoch", bars.iter());
}

#[test]
fn curves_of_huge_losses_are_kept_as_they_are() {
    let mut reader = ProgressReader::default();
    reader.push(b"step 1/10 loss: 1e300 lr: 1e300\nstep 2/10 loss: 0.5\n");
    assert_eq!(PackedSeries::pack(&reader.series()).unpack(), reader.series());
}

#[test]
fn steps_as_far_apart_as_can_be_are_thinned_out() {
    let lines = |at: u64| {
        let bar = bar("Epoch 99999999999999999999", 2_000 + at, 900_719_925_474_099);
        [format!("\nglobal_step: {at} loss: 0.5\n").into(), bar.repeat(6)].concat()
    };
    let log: Vec<u8> = (0..700).flat_map(lines).collect();
    let held = held_after("steps far apart", log.chunks(999));
    assert!(held <= HELD_MAX, "{held}");
}

#[test]
fn the_time_to_read_a_line_of_many_epochs_grows_with_its_length_and_no_faster() {
    assert_linear(&("epochs", |_| b"epoch: 1a ".into()), LINE_LIMIT - 100);
}
