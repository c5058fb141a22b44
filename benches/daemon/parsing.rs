//! How fast logs are read, of the trainers that people use.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use jobsyncd::domain::progress::ProgressReader;

use super::Effort;
use super::figures::{Figure, Goal, in_ms, median};

/// How much of a log arrives at a time, in bytes.
const PIECE_BYTES: usize = 64 * 1024;
const MEGABYTE: usize = 1_000_000;
/// How long the log is that grows by a little.
const GROWN_BYTES: usize = 32 * MEGABYTE;

/// Writes what a trainer prints between two steps.
type Frame = fn(&mut String, Step);

/// A step of a run, as trainers show it.
#[derive(Clone, Copy)]
struct Step {
    step: u64,
    loss: f64,
    rate: f64,
    seconds: u64,
}

/// The logs, by what prints them.
const TRAINERS: [(&str, Frame); 6] = [
    ("SimpleTuner", |log, at| {
        let (bar, clock) = (bar(at), clock(at.seconds));
        let (Step { step, loss, rate, .. }, percent) = (at, at.percent());
        _ = write!(
            log,
            "\rEpoch 1/21, Steps: {percent:3}%|{bar}| {step}/{STEPS} [{clock}<1:29:05, {rate:.2}it/s, lr=9.5e-5, step_loss={loss:.4}]"
        );
    }),
    ("kohya-ss", |log, at| {
        let (bar, clock) = (bar(at), clock(at.seconds));
        let (Step { step, loss, rate, .. }, percent) = (at, at.percent());
        _ = write!(
            log,
            "\rsteps: {percent:3}%|{bar}| {step}/{STEPS} [{clock}<20:00, {rate:.2}s/it, avr_loss={loss:.3}]"
        );
    }),
    ("Hugging Face Trainer", |log, at| {
        let (bar, clock) = (bar(at), clock(at.seconds));
        let (Step { step, loss, rate, .. }, percent) = (at, at.percent());
        _ = write!(log, "\r{percent:3}%|{bar}| {step}/{STEPS} [{clock}<20:00, {rate:.2}it/s]");
        if step % 10 == 0 {
            let epoch = step as f64 / 500.0;
            _ = write!(
                log,
                "\n{{'loss': {loss:.4}, 'grad_norm': 1.2345678, 'learning_rate': 1.8e-05, 'epoch': {epoch:.2}}}\n"
            );
        }
    }),
    ("rich", |log, at| {
        let (Step { step, loss, rate, .. }, clock) = (at, clock(at.seconds));
        _ = write!(
            log,
            "\r\u{1b}[2K\u{1b}[37mEpoch 2/9\u{1b}[0m \u{1b}[38;2;98;6;224m━━━━━━━━\u{1b}[0m \u{1b}[37m{step}/{STEPS}\u{1b}[0m \u{1b}[37m0:{clock} • 0:00:02\u{1b}[0m \u{1b}[37m{rate:.2}it/s\u{1b}[0m \u{1b}[37mtrain_loss: {loss:.3}\u{1b}[0m"
        );
    }),
    ("Megatron", |log, at| {
        let Step { step, loss, .. } = at;
        _ = writeln!(
            log,
            " iteration {step:8}/{STEPS:8} | consumed samples: 2560 | elapsed time per iteration (ms): 936.0 | learning rate: 1.500E-04 | lm loss: {loss:.6E} | loss scale: 1.0 |"
        );
    }),
    ("plain lines", |log, at| {
        let Step { step, loss, .. } = at;
        _ = writeln!(log, "Step {step}/{STEPS} - loss: {loss:.4}");
    }),
];

/// Steps of the runs.
const STEPS: u64 = 500_000;

impl Step {
    fn percent(self) -> u64 {
        self.step * 100 / STEPS
    }
}

fn bar(at: Step) -> String {
    let full = (at.percent() / 10) as usize;
    format!("{}▌{}", "█".repeat(full), " ".repeat(9 - full.min(9)))
}

fn clock(seconds: u64) -> String {
    format!("{:02}:{:02}", seconds / 60 % 60, seconds % 60)
}

fn log_of(frame: Frame, bytes: usize) -> Vec<u8> {
    let mut log = String::with_capacity(bytes + 1024);
    let mut step = 0;
    while log.len() < bytes {
        step = step % STEPS + 1;
        let loss = 0.05 + ((step * 7_919) % 1_000) as f64 / 5_000.0;
        let rate = 1.0 + ((step * 104_729) % 100) as f64 / 100.0;
        frame(&mut log, Step { step, loss, rate, seconds: step / 2 });
    }
    log.into_bytes()
}

/// How long it takes to read a log that grows by pieces, in seconds.
fn reading_seconds(log: &[u8]) -> f64 {
    let began = Instant::now();
    let mut reader = ProgressReader::default();
    for piece in log.chunks(PIECE_BYTES) {
        reader.push(piece);
    }
    assert!(black_box(reader.progress()).step.is_some(), "it was understood");
    began.elapsed().as_secs_f64()
}

/// How long it takes to find the ends of the same log's lines and frames, and no more.
fn splitting_seconds(log: &[u8]) -> f64 {
    let began = Instant::now();
    let lines: usize = log
        .chunks(PIECE_BYTES)
        .map(|piece| memchr::memchr2_iter(b'\r', b'\n', piece).map(black_box).count())
        .sum();
    black_box(lines);
    began.elapsed().as_secs_f64()
}

pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let bytes = effort.choose(32, 8) * MEGABYTE;
    let mut figures: Vec<_> = TRAINERS
        .iter()
        .map(|(name, frame)| speed(&format!("a log of {name}"), &log_of(*frame, bytes), effort))
        .collect();
    figures.push(speed("lines of which no two are alike", &strange_log(), effort));
    figures.push(growth(&log_of(TRAINERS[0].1, GROWN_BYTES), effort));
    figures
}

/// The labelled lines in turn, each time with another word, so that no shape comes twice.
fn strange_log() -> Vec<u8> {
    const ROUNDS: usize = 20;
    let labelled = include_str!("../../tests/data/log_lines.jsonl").lines();
    let lines: Vec<String> = labelled
        .map(|labelled| {
            let labelled: serde_json::Value =
                serde_json::from_str(labelled).expect("a labelled line");
            labelled["line"].as_str().expect("a line").to_owned()
        })
        .collect();
    let all = lines.iter().cycle().take(lines.len() * ROUNDS).enumerate();
    all.map(|(at, line)| format!("{line} {}\n", word(at))).collect::<String>().into_bytes()
}

/// Another word for each number.
fn word(mut number: usize) -> String {
    const LETTERS: usize = 26;
    let mut word = String::new();
    while word.is_empty() || number > 0 {
        word.push(char::from(b'a' + (number % LETTERS) as u8));
        number /= LETTERS;
    }
    word
}

fn speed(what: &str, log: &[u8], effort: Effort) -> Figure {
    let mut rates = Vec::new();
    let mut shares = Vec::new();
    for _ in 0..effort.rounds() {
        let (reading, splitting) = (reading_seconds(log), splitting_seconds(log));
        rates.push(log.len() as f64 / MEGABYTE as f64 / reading);
        shares.push(splitting / reading);
    }
    let lines = log.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count();
    Figure {
        what: format!("reading {what}, of finding where its lines end"),
        median: median(&shares),
        unit: "times",
        goal: Goal::Told,
        details: format!(
            "{:.0} MB/s, {} bytes a line, every one of them read",
            median(&rates),
            log.len() / lines
        ),
    }
}

/// What a look at a long log costs, of which a little is new, against reading all of it.
fn growth(log: &[u8], effort: Effort) -> Figure {
    const APPENDED_BYTES: usize = 1_000;
    let mut looks = Vec::new();
    let mut ratios = Vec::new();
    for _ in 0..effort.rounds() {
        let whole = reading_seconds(log);
        let mut reader = ProgressReader::default();
        reader.read(&log[..log.len() - APPENDED_BYTES]);
        let began = Instant::now();
        reader.read(log);
        black_box(reader.progress());
        let look = began.elapsed();
        looks.push(in_ms(look));
        ratios.push(look.as_secs_f64() / whole);
    }
    Figure {
        what: "a look at a log that grew by 1 kB, of reading all of it".into(),
        median: median(&ratios) * 1e6,
        unit: "millionths",
        goal: Goal::AtMost(1_000.0),
        details: format!("{:.3} ms, of {} MB", median(&looks), log.len() / MEGABYTE),
    }
}
