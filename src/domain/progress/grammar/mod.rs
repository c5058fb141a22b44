//! What trainers print: each form of a bar, a count, a metric, an announcement and a phase stands in one
//! table, with a line that shows it. A new trainer costs lines in a table.
//!
//! Nothing here looks at what a number amounts to: what is found depends on the words alone, so that a
//! line of the same words is found the same way ([`super::shapes`]). For the same reason no pattern may
//! depend on how many digits a number has, or on what a word is that no table knows, or how long
//! ([`vocabulary`]).
//!
//! Every expression works on bytes (`(?-u)`), so that invalid UTF-8 costs nothing.

pub(super) mod announcements;
pub(super) mod bars;
pub(super) mod columns;
pub(super) mod counters;
pub(super) mod epochs;
mod loss_names;
pub(super) mod losses;
pub(super) mod metrics;
pub(super) mod percentages;
pub(super) mod phases;
pub(super) mod sources;
pub(super) mod steps;
pub(super) mod vocabulary;
pub(super) mod words;

use regex::bytes::{Regex, RegexSet, RegexSetBuilder};

/// A number as trainers write it: `23,040`, `1e-05`, `12.00`.
const NUMBER: &str = r"\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?";

/// An expression of a table: blanks in it mean nothing, letters match in either case, and `NUMBER` is one.
fn pattern(source: &str) -> Regex {
    Regex::new(&format!("(?ix-u){}", source.replace("NUMBER", NUMBER)))
        .unwrap_or_else(|error| panic!("a pattern of a table does not compile: {error}"))
}

/// A form that lines are searched for.
struct Form {
    pattern: &'static str,
    /// A line that has it.
    #[cfg_attr(not(test), allow(dead_code, reason = "the tests read every example"))]
    example: &'static str,
}

/// A table, ready to be searched for its forms.
struct Table {
    /// Finds in one pass which forms a line has: of a table it has one or two, if any.
    all: RegexSet,
    each: Vec<Regex>,
}

impl Table {
    fn new(forms: &[Form]) -> Self {
        let each: Vec<_> = forms.iter().map(|form| pattern(form.pattern)).collect();
        Self { all: set(each.iter().map(Regex::as_str)), each }
    }

    /// The forms that a line has, in the order of the table.
    fn of<'a>(&'a self, line: &[u8]) -> impl Iterator<Item = &'a Regex> {
        self.all.matches(line).into_iter().map(|row| &self.each[row])
    }
}

/// Whether a part of a line is exactly this.
pub(super) fn contains(line: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(line, part).is_some()
}

/// Expressions that are searched for together.
fn set<'a>(patterns: impl IntoIterator<Item = &'a str>) -> RegexSet {
    /// Where less is allowed, the states of a large table are made again and again.
    const STATES_BYTES_MAX: usize = 2 * 1024 * 1024;
    RegexSetBuilder::new(patterns)
        .dfa_size_limit(STATES_BYTES_MAX)
        .build()
        .unwrap_or_else(|error| panic!("the patterns of a table do not compile: {error}"))
}

#[cfg(test)]
fn assert_that_examples_match(forms: &[Form]) {
    for form in forms {
        let found = pattern(form.pattern).is_match(form.example.as_bytes());
        assert!(found, "{:?} is not found in {:?}", form.pattern, form.example);
    }
}
