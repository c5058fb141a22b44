//! Measures the whole daemon: `make bench`, or `cargo bench --bench daemon -- [subject] [--quick]`.
//!
//! Every figure is a median of several rounds, and where it is a ratio, both sides were measured
//! by turns in this one run. The figures are printed as a table with their goals; the program
//! fails where a goal is missed by more than [`figures::TOLERANCE`].

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

mod client;
mod figures;
mod lists;
mod parsing;
mod polling;
mod process;
mod stand;
mod streams;
mod time_left;
mod webhook;
mod webhooks;

use std::process::ExitCode;

use mimalloc::MiMalloc;

use figures::{Figure, TOLERANCE, Verdict};

/// The program's own, or something else would be measured than what runs.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Enough for a figure to be told.
    Full,
    /// Just enough to see whether a change was for the better.
    Quick,
}

impl Effort {
    /// How often each figure is measured.
    fn rounds(self) -> usize {
        self.choose(7, 3)
    }

    /// One of two amounts.
    fn choose<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

/// Measures one subject.
type Measure = fn(Effort) -> Vec<Figure>;

/// The subjects, by the names that choose them.
const SUBJECTS: [(&str, Measure); 7] = [
    ("lists", lists::measure),
    ("webhooks", webhooks::measure),
    ("streams", streams::measure),
    ("polling", polling::measure),
    ("parsing", parsing::measure),
    ("time-left", time_left::measure),
    ("process", process::measure),
];

fn main() -> ExitCode {
    // TLS needs a provider of cryptography before the first client is built.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // cargo adds `--bench` by itself.
    let arguments: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let effort =
        if arguments.iter().any(|word| word == "--quick") { Effort::Quick } else { Effort::Full };
    let wanted: Vec<_> = arguments.iter().filter(|word| !word.starts_with("--")).collect();
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));

    println!("| what | median | goal | | details |\n|---|---|---|---|---|");
    let mut missed = 0;
    for (_, measure) in SUBJECTS.iter().filter(|(name, _)| is_wanted(name)) {
        for figure in measure(effort) {
            println!("{figure}");
            missed += usize::from(figure.verdict() == Verdict::Missed);
        }
    }
    if missed == 0 {
        return ExitCode::SUCCESS;
    }
    println!("\n{missed} missed their goals by more than {:.0} %", TOLERANCE * 100.0);
    ExitCode::FAILURE
}
