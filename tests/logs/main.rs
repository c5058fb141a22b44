//! Whole logs, as the trainers' own formatters write them, against the tables of what was true of the
//! run after which byte (`tests/logs/README.md`).

mod contradictions;
mod corpus;
mod hostile;
mod made;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use jobsyncd::domain::progress::{Progress, ProgressReader, parse_line};
use serde::Deserialize;

/// A row of a table.
struct Row {
    after_bytes: usize,
    stage: Cell<String>,
    /// Percent, step, total steps, epoch, total epochs, loss.
    numbers: [Cell<f64>; 6],
}

/// A cell of a table.
enum Cell<T> {
    /// `?`: people who know the trainer could disagree.
    Open,
    /// What is true; `-` where nobody can know, or there is none.
    True(Option<T>),
}

impl<T: std::str::FromStr> Cell<T> {
    fn read(text: &str) -> Self {
        match text {
            "?" => Self::Open,
            "-" => Self::True(None),
            text => Self::True(Some(text.parse().unwrap_or_else(|_| panic!("a cell: {text}")))),
        }
    }
}

const NUMBERS: [&str; 6] = ["percent", "step", "total_steps", "epoch", "total_epochs", "loss"];

impl Row {
    fn read(line: &str) -> Self {
        let mut cells = line.split('\t');
        let mut cell = || cells.next().expect("as many cells as the head has");
        let after_bytes = cell().parse().expect("a length");
        let stage = Cell::read(cell());
        let numbers = [(); 6].map(|()| Cell::read(cell()));
        Self { after_bytes, stage, numbers }
    }

    /// What is otherwise in `found`.
    fn differences(&self, found: &Progress) -> Vec<String> {
        let count = |count: Option<u64>| count.map(|count| count as f64);
        let numbers = [
            found.progress,
            count(found.step),
            count(found.total_steps),
            found.epoch,
            count(found.total_epochs),
            found.loss,
        ];
        let mut differences = Vec::new();
        let stage = found.stage.map(|stage| stage.to_string());
        if let Cell::True(wanted) = &self.stage
            && *wanted != stage
        {
            differences.push(format!("stage is {wanted:?} and was read as {stage:?}"));
        }
        for ((name, wanted), found) in NUMBERS.iter().zip(&self.numbers).zip(numbers) {
            if let Cell::True(wanted) = wanted
                && !is_same(*wanted, found)
            {
                differences.push(format!("{name} is {wanted:?} and was read as {found:?}"));
            }
        }
        differences
    }
}

fn is_same(wanted: Option<f64>, found: Option<f64>) -> bool {
    match (wanted, found) {
        (Some(wanted), Some(found)) if wanted.is_nan() => found.is_nan(),
        (Some(wanted), Some(found)) => (wanted - found).abs() <= 1e-6 * wanted.abs().max(1.0),
        (wanted, found) => wanted == found,
    }
}

fn logs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs");
    let files = fs::read_dir(folder).expect("the folder of the logs");
    let mut logs: Vec<_> = files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    logs.sort();
    assert!(logs.len() >= 13, "{logs:?}");
    logs
}

fn table_of(log: &Path) -> Vec<Row> {
    let table = fs::read_to_string(log.with_extension("tsv")).expect("the table of the log");
    let rows: Vec<_> = table.lines().skip(1).map(Row::read).collect();
    assert!(rows.len() > 5, "{log:?} has a table");
    rows
}

#[test]
fn whole_logs_of_real_formatters_are_read_as_their_runs_went() {
    let mut report = String::new();
    for path in logs() {
        let log = fs::read(&path).expect("a log");
        let mut reader = ProgressReader::default();
        let mut read = 0;
        let (mut rows, mut wrong) = (0, 0);
        for row in table_of(&path) {
            reader.push(&log[read..row.after_bytes]);
            let piece = String::from_utf8_lossy(&log[read..row.after_bytes]);
            read = row.after_bytes;
            rows += 1;
            let differences = row.differences(&reader.progress());
            if !differences.is_empty() {
                wrong += 1;
                _ = writeln!(report, "  byte {read}: {}\n    {piece:?}", differences.join("; "));
            }
        }
        if wrong > 0 {
            _ = writeln!(report, "{}: {wrong} of {rows} rows", path.display());
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn a_log_read_in_any_pieces_ends_the_same() {
    for path in logs() {
        let log = fs::read(&path).expect("a log");
        let mut whole = ProgressReader::default();
        whole.push(&log);
        for length in [1, 7, 100, 4_099] {
            let mut reader = ProgressReader::default();
            for end in (0..log.len()).step_by(length).chain([log.len()]) {
                reader.read(&log[..end]);
            }
            assert_eq!(reader.progress(), whole.progress(), "{path:?} in pieces of {length}");
            assert_eq!(reader.series(), whole.series(), "{path:?} in pieces of {length}");
        }
    }
}

#[test]
fn the_totals_at_the_end_of_a_log_were_not_contradicted_for_long() {
    let mut report = String::new();
    for path in logs() {
        let log = fs::read(&path).expect("a log");
        let pieces = log.split_inclusive(|byte| matches!(byte, b'\r' | b'\n'));
        let share = contradictions::share(pieces);
        if share > contradictions::SHARE_MAX {
            _ = writeln!(report, "{}: {:.1} % of the log", path.display(), share * 100.0);
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn progress_goes_back_in_no_log_but_that_of_a_run_that_began_again() {
    let mut report = String::new();
    for path in logs() {
        let log = fs::read(&path).expect("a log");
        let mut reader = ProgressReader::default();
        let (mut before, mut falls) = (None, Vec::new());
        let mut place = 0;
        for piece in log.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
            reader.push(piece);
            place += piece.len();
            let now = reader.progress().progress;
            // What is taken back was believed of a counter that proved to be another one.
            if now.is_some() && now < before {
                falls.push(format!("from {before:?} to {now:?} before byte {place}"));
            }
            before = now;
        }
        let began_again = path.ends_with("killed-and-begun-again.log");
        if falls.len() != usize::from(began_again) {
            _ = writeln!(report, "{}: {}", path.display(), falls.join("; "));
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

/// A line and what a person says of it.
#[derive(Deserialize)]
struct Labelled {
    line: String,
    stage: String,
    step: String,
    epoch: String,
    loss: String,
}

#[test]
fn lines_that_were_labelled_before_they_were_read_are_read_as_labelled() {
    let lines = include_str!("../data/held_out_lines.jsonl").lines();
    let part = |label: &str, at: usize| label.split('/').nth(at).and_then(|part| part.parse().ok());
    let mut wrong = Vec::new();
    for labelled in lines {
        let wanted: Labelled = serde_json::from_str(labelled).expect("a labelled line");
        let found = parse_line(&wanted.line);
        let stage =
            found.stage.map_or_else(|| "none".to_owned(), |stage| stage.to_string().to_lowercase());
        let stage = if stage == "saving checkpoint" { "checkpoint".to_owned() } else { stage };
        let count = |count: Option<u64>| count.map(|count| count as f64);
        let numbers = [
            (part(&wanted.step, 0), count(found.step)),
            (part(&wanted.step, 1), count(found.total_steps)),
            (part(&wanted.epoch, 0), found.epoch),
            (part(&wanted.epoch, 1), count(found.total_epochs)),
            (part(&wanted.loss, 0), found.loss),
        ];
        if stage != wanted.stage || numbers.iter().any(|(wanted, found)| !is_same(*wanted, *found))
        {
            wrong.push((wanted.line, stage, numbers));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
