//! A folder of whole logs that people labelled, read and scored: `CORPUS=DIR cargo test --test logs corpus`.
//!
//! Each `NAME.log` has a `NAME.json` with what a careful person says is true at its end. A field that is
//! not there may be anything; `not` lists values that must not be said for a field. Each log is also cut
//! after every frame and line, and held to what must be true at any moment.

#![expect(clippy::print_stdout, reason = "the scores are what it is run for")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use jobsyncd::domain::progress::{Progress, ProgressReader};
use serde_json::{Map, Value};

use crate::contradictions;

/// How much of the logs must be read entirely as they are labelled.
const GOAL: f64 = 0.95;

/// What is wrong with one log: the field, and what was read instead.
type Misses = Vec<(String, String)>;

#[test]
fn a_corpus_of_labelled_logs_is_read_as_a_careful_person_would() {
    let Ok(folder) = env::var("CORPUS") else {
        println!("CORPUS names no folder, so that no log but those of the repository was read");
        return;
    };
    let mut scores: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let (mut right, mut logs) = (0, 0);
    for label_path in labels(Path::new(&folder)) {
        let label = fs::read_to_string(&label_path).expect("a label");
        let label: Map<String, Value> = serde_json::from_str(&label).expect("a label is JSON");
        let log = fs::read(label_path.with_extension("log")).expect("the log of a label");
        let mut misses = compare(&label, &read(&log), &mut scores);
        let mut broken = broken_promises(&label, &log);
        let contradicted = contradictions::share(pieces(&log));
        if contradicted > contradictions::SHARE_MAX {
            let percent = contradicted * 100.0;
            broken.push(("totals".into(), format!("contradicted for {percent:.0} % of the log")));
        }
        logs += 1;
        right += u32::from(misses.is_empty());
        misses.extend(broken);
        let name = label_path.file_stem().unwrap_or_default().to_string_lossy();
        for (field, miss) in misses {
            println!("{name}: {field}: {miss}");
        }
    }
    for (field, (right, all)) in scores {
        println!("{field:>14}: {right} of {all}");
    }
    let share = f64::from(right) / f64::from(logs);
    println!("entirely right: {right} of {logs} ({:.1} %)", share * 100.0);
    assert!(share >= GOAL, "{right} of {logs} logs are entirely right");
}

fn labels(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).expect("the folder that CORPUS names");
    let mut labels: Vec<_> = files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    labels.sort();
    labels
}

/// The lines and frames of a log.
fn pieces(log: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    log.split_inclusive(|byte| matches!(byte, b'\r' | b'\n'))
}

fn read(log: &[u8]) -> Progress {
    let mut reader = ProgressReader::default();
    reader.push(log);
    reader.progress()
}

/// What the daemon says for the fields of a label.
fn said(progress: &Progress, field: &str) -> Option<Value> {
    Some(match field {
        "stage" => progress.stage.map_or(Value::Null, |stage| stage.to_string().into()),
        "step" => progress.step.into(),
        "total_steps" => progress.total_steps.into(),
        "epoch" => progress.epoch.into(),
        "total_epochs" => progress.total_epochs.into(),
        "percent" => progress.progress.into(),
        "restarts" => progress.restarts.into(),
        "loss" if progress.loss.is_none() && progress.loss_not_finite_step.is_some() => {
            "nan".into()
        }
        "loss" => progress.loss.into(),
        _ => return None,
    })
}

fn compare(
    label: &Map<String, Value>,
    progress: &Progress,
    scores: &mut BTreeMap<String, (u32, u32)>,
) -> Misses {
    let mut misses = Misses::new();
    for (field, wanted) in label {
        let Some(said) = said(progress, field) else { continue };
        let is_right = is_same(wanted, &said, tolerance(label, field, wanted));
        let score = scores.entry(field.clone()).or_default();
        score.0 += u32::from(is_right);
        score.1 += 1;
        if !is_right {
            misses.push((field.clone(), format!("{said} instead of {wanted}")));
        }
    }
    for (field, values) in label.get("not").and_then(Value::as_object).into_iter().flatten() {
        let Some(said) = said(progress, field) else { continue };
        let is_forbidden = |value: &&Value| is_same(value, &said, 1e-6);
        if let Some(value) = values.as_array().into_iter().flatten().find(is_forbidden) {
            misses.push((field.clone(), format!("{value}, which must not be said")));
        }
    }
    misses
}

fn tolerance(label: &Map<String, Value>, field: &str, wanted: &Value) -> f64 {
    let said = label.get("tolerance").and_then(|all| all.get(field)).and_then(Value::as_f64);
    said.unwrap_or_else(|| match field {
        "percent" => 0.1,
        "loss" => wanted.as_f64().unwrap_or_default().abs() * 1e-3,
        _ => 1e-6,
    })
}

fn is_same(wanted: &Value, said: &Value, tolerance: f64) -> bool {
    match (wanted.as_f64(), said.as_f64()) {
        (Some(wanted), Some(said)) => (wanted - said).abs() <= tolerance + 1e-9,
        _ => wanted == said,
    }
}

/// What must hold at every moment of a log, and did not.
fn broken_promises(label: &Map<String, Value>, log: &[u8]) -> Misses {
    let at_end = read(log).progress;
    let may_end =
        label.get("percent").and_then(Value::as_f64).is_none_or(|percent| percent >= 99.9);
    let mut reader = ProgressReader::default();
    let mut before = Progress::default();
    let mut misses = Misses::new();
    let mut position = 0;
    for piece in pieces(log) {
        reader.push(piece);
        position += piece.len();
        let now = reader.progress();
        let mut miss = |what: String| misses.push((format!("byte {position}"), what));
        if now.restarts == before.restarts && now.progress < before.progress {
            miss(format!("percent goes from {:?} to {:?}", before.progress, now.progress));
        }
        let is_over = now.progress == Some(100.0) && at_end != Some(100.0);
        if before.progress != now.progress && (is_over || (now.progress == Some(100.0) && !may_end))
        {
            miss("100 percent before the end".to_owned());
        }
        before = now;
    }
    misses
}
