//! Faults by the million: a provider, a network, clocks and crashes of one seed around the domain and
//! store code that runs in production, and an auditor who knows the truth.
//!
//! `make simulate-faults` runs new seeds until it is stopped, `make simulate-faults SEED=…` one again.

#![allow(clippy::print_stdout, reason = "a long run shows how far it is")]

mod auditor;
mod climate;
mod daemon;
mod provider;
mod simulation;
mod tally;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use simulation::Simulation;
use tally::Tally;

/// How many jobs a provider has in one world.
const JOBS: usize = 300;
/// How many true transitions a run has where nothing else is asked for.
const TRANSITIONS: u64 = 10_000;
/// How much of what happened is shown of a run that failed.
const TRACE_LINES: usize = 50;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

/// Runs one world. Where a promise is broken, it runs once more and tells what happened.
fn run(seed: u64) -> Tally {
    let simulate = || Simulation::new(seed, JOBS, false).run();
    match catch_unwind(AssertUnwindSafe(simulate)) {
        Ok(Ok(tally)) => tally,
        Ok(Err(objection)) => {
            let mut again = Simulation::new(seed, JOBS, true);
            let objection_again = again.run().expect_err("a seed is a whole run");
            assert_eq!(objection_again, objection, "a seed is a whole run");
            let about = objection.job.as_deref().unwrap_or("the daemon");
            let is_about = |line: &&String| line.contains(about) || line.contains("the daemon");
            let lines: Vec<_> = again.trace().iter().filter(is_about).collect();
            for line in &lines[lines.len().saturating_sub(TRACE_LINES)..] {
                println!("{line}");
            }
            panic!("{about}: {}; again by: make simulate-faults SEED={seed}", objection.words);
        }
        Err(panic) => {
            println!("again by: make simulate-faults SEED={seed}");
            resume_unwind(panic);
        }
    }
}

/// Runs worlds from `first` on, on every core, until they have had so many true transitions.
fn run_many(first: u64, transitions: u64) {
    let begun = Instant::now();
    let next = AtomicU64::new(first);
    let has_failed = AtomicBool::new(false);
    let total = Mutex::new((Tally::default(), Instant::now()));
    let work = || {
        loop {
            let is_enough = |sum: &Tally| sum.transitions >= transitions;
            if has_failed.load(Ordering::Relaxed) || is_enough(&total.lock().expect("a sum").0) {
                return;
            }
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let tally = catch_unwind(AssertUnwindSafe(|| run(seed))).unwrap_or_else(|panic| {
                // The other cores need not go on.
                has_failed.store(true, Ordering::Relaxed);
                resume_unwind(panic)
            });
            let (sum, shown_at) = &mut *total.lock().expect("a sum");
            sum.add(tally);
            if shown_at.elapsed() > Duration::from_secs(5) {
                *shown_at = Instant::now();
                println!("{} {sum:?}", seed - first + 1);
            }
        }
    };
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    let worlds = next.load(Ordering::Relaxed) - first;
    let (sum, _) = total.into_inner().expect("no world failed");
    println!("{worlds} worlds from seed {first} in {:.0?}: {sum:?}", begun.elapsed());
}

#[test]
fn what_the_daemon_knows_and_tells_is_true_whatever_fails_and_whole_when_the_faults_stop() {
    match number("SEED") {
        Some(seed) => println!("{:?}", run(seed)),
        None => {
            let first = number("FIRST_SEED").unwrap_or(0);
            run_many(first, number("TRANSITIONS").unwrap_or(TRANSITIONS));
        }
    }
}

#[test]
fn a_seed_is_a_whole_run() {
    let run = || {
        let mut simulation = Simulation::new(7, 30, true);
        let tally = simulation.run().expect("no promise is broken");
        (tally, simulation.trace().to_vec())
    };
    assert_eq!(run(), run());
}
