//! Logs that are made from a grammar of trainers, of runs whose truth is known because they were played.
//!
//! A [`run::Run`] is drawn at random; a [`forms::Form`] prints it with preparation, validation, checkpoints,
//! crashes, ranks, and noise between. The seeds are fixed, so that each log is the same each time.

#![expect(clippy::print_stdout, reason = "the shares are what it is run for")]

mod bars;
mod forms;
mod log;
mod noise;
mod run;
mod scripts;
mod trainers;

use std::collections::BTreeMap;

use jobsyncd::domain::progress::{Progress, ProgressReader};

use self::forms::Form;
use self::log::Frame;
use self::run::{Random, made_log};
use crate::contradictions;

/// How many logs are made.
const LOGS: u64 = 2_000;
/// How much of them must be read entirely as their runs went.
const GOAL: f64 = 0.98;
/// How far a percentage may be ahead of the counter that it is computed from.
const TOLERANCE: f64 = 0.1;

/// What is wrong with a log after one of its frames.
struct Miss {
    form: &'static str,
    /// The last lines before it.
    end_of_log: String,
    what: String,
}

fn forms() -> Vec<Form> {
    [forms::LINES, trainers::TRAINERS, bars::WITH_BARS, scripts::SCRIPTS].concat()
}

/// Each form and a log that it printed.
fn logs() -> impl Iterator<Item = (Form, Vec<Frame>, Random)> {
    let forms = forms();
    (0..LOGS).map(move |seed| {
        let form = forms[seed as usize % forms.len()];
        (form, made_log(&form, seed), Random(!seed))
    })
}

fn miss(form: &Form, frames: &[Frame], at: usize, what: String) -> Miss {
    let text: String = frames[..=at].iter().map(|frame| frame.text.as_str()).collect();
    let lines: Vec<_> = text.split(['\r', '\n']).filter(|line| !line.trim().is_empty()).collect();
    let end_of_log = lines[lines.len().saturating_sub(6)..].join("\n    ");
    Miss { form: form.name, end_of_log, what }
}

/// The shortest examples, of as many forms as there are.
fn print_examples(misses: &mut [Miss]) {
    misses.sort_by_key(|miss| miss.end_of_log.len());
    let mut shown: Vec<&str> = Vec::new();
    for miss in misses.iter() {
        if shown.len() < 5 && !shown.contains(&miss.form) {
            shown.push(miss.form);
            println!("{}: {}\n    {}", miss.form, miss.what, miss.end_of_log);
        }
    }
}

/// The first frame, of some at random and the last, after which something else is read than is true.
fn first_miss(form: &Form, frames: &[Frame], random: &mut Random) -> Option<Miss> {
    let mut reader = ProgressReader::default();
    for (at, frame) in frames.iter().enumerate() {
        reader.push(frame.text.as_bytes());
        if at + 1 < frames.len() && !random.chance(30) {
            continue;
        }
        let differences = frame.truth.differences(&reader.progress());
        if !differences.is_empty() {
            return Some(miss(form, frames, at, differences.join("; ")));
        }
    }
    None
}

#[test]
fn logs_made_from_a_grammar_of_trainers_are_read_as_their_runs_went() {
    let mut scores: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let mut misses = Vec::new();
    for (form, frames, mut random) in logs() {
        let missed = first_miss(&form, &frames, &mut random);
        let score = scores.entry(form.name).or_default();
        score.0 += u32::from(missed.is_none());
        score.1 += 1;
        misses.extend(missed);
    }
    let share = 1.0 - misses.len() as f64 / LOGS as f64;
    let right = LOGS - misses.len() as u64;
    println!("made logs entirely right: {right} of {LOGS} ({:.1} %)", share * 100.0);
    for (form, (right, all)) in scores {
        let share = f64::from(right) / f64::from(all);
        if share < GOAL {
            println!("  {form}: {right} of {all} ({:.1} %)", share * 100.0);
        }
    }
    print_examples(&mut misses);
    assert!(share >= GOAL, "{right} of {LOGS} made logs are read entirely right");
}

/// What must never be said between two frames, and was. `before` is the percentage, and what was done when
/// it was first told.
fn broken_promise(
    frame: &Frame,
    now: &Progress,
    before: Option<(f64, f64)>,
    has_crashed: bool,
) -> Option<String> {
    if now.restarts > u32::from(has_crashed) {
        return Some(format!("{} restarts, of {}", now.restarts, u32::from(has_crashed)));
    }
    let percent = now.progress?;
    if percent >= 100.0 && frame.done < 100.0 {
        return Some(format!("100 percent where {:.1} are done", frame.done));
    }
    let (before, done) = before?;
    if percent < before - 1e-9 {
        return Some(format!("percent falls from {before} to {percent}"));
    }
    let rise = percent - before;
    let allowed = frame.done - done + TOLERANCE;
    (rise > allowed).then(|| format!("percent jumps by {rise:.2}, its counter by {allowed:.2}"))
}

#[test]
fn percentages_of_made_logs_end_with_the_run_and_never_fall_or_jump() {
    let mut misses = Vec::new();
    for (form, frames, _) in logs() {
        let mut reader = ProgressReader::default();
        let mut before: Option<(f64, f64)> = None;
        let mut has_crashed = false;
        for (at, frame) in frames.iter().enumerate() {
            reader.push(frame.text.as_bytes());
            let now = reader.progress();
            before = before.filter(|_| !frame.is_restart);
            has_crashed |= frame.is_restart;
            if let Some(what) = broken_promise(frame, &now, before, has_crashed) {
                misses.push(miss(&form, &frames, at, what));
                break;
            }
            let is_moved = before.is_none_or(|(percent, _)| now.progress != Some(percent));
            if let Some(percent) = now.progress.filter(|_| is_moved && !frame.is_restart) {
                before = Some((percent, frame.done));
            }
        }
    }
    print_examples(&mut misses);
    assert!(misses.is_empty(), "{} made logs break a promise", misses.len());
}

#[test]
fn the_totals_at_the_end_of_a_made_log_were_not_contradicted_for_long() {
    let mut misses = Vec::new();
    for (form, frames, _) in logs() {
        let share = contradictions::share(frames.iter().map(|frame| frame.text.as_bytes()));
        if share > contradictions::SHARE_MAX {
            let what = format!("contradicted for {:.0} % of the log", share * 100.0);
            misses.push(miss(&form, &frames, frames.len() - 1, what));
        }
    }
    print_examples(&mut misses);
    assert!(misses.is_empty(), "{} made logs are contradicted by their ends", misses.len());
}

#[test]
fn no_stage_of_a_made_log_lasts_less_than_a_line() {
    let mut misses = Vec::new();
    for (form, frames, mut random) in logs() {
        let mut reader = ProgressReader::default();
        for (at, frame) in frames.iter().enumerate() {
            let before = reader.progress().stage;
            let mut cut = reader.clone();
            reader.push(frame.text.as_bytes());
            let after = reader.progress().stage;
            if !random.chance(20) {
                continue;
            }
            let end = random.below(frame.text.len() as u64) as usize;
            cut.push(&frame.text.as_bytes()[..end]);
            let within = cut.progress().stage;
            if within != before && within != after {
                let what = format!(
                    "{within:?} {end} bytes into the last one, between {before:?} and {after:?}"
                );
                misses.push(miss(&form, &frames, at, what));
                break;
            }
        }
    }
    print_examples(&mut misses);
    assert!(misses.is_empty(), "{} made logs have such a stage", misses.len());
}
