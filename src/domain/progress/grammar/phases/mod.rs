//! Which words say what is being done, and which only look so.
//!
//! The API page detects a stage by a word anywhere in the line. Real logs hold the same words in
//! paths (`checkpoint-1800`), options (`lr_warmup_steps=100`), settings, metrics' names and errors, so
//! here a word counts only as a word ([`plain_words`]) and only where no earlier row explains it.

mod first;
mod stages;

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexSet};

use super::super::stage::Stage;
use super::words::plain_words;

/// What the words of a line amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Verdict {
    /// The line says that this is being done.
    Is(Stage),
    /// The line is known to say nothing of a stage: a setting, a transfer, a metric.
    Nothing,
    /// It speaks of a trouble; the counts in it were told before.
    Trouble,
    /// The run is over.
    Over,
    /// No rule knows it; numbers may still tell.
    Unknown,
}

/// A row: what a line is whose words match the expression, and a line that is so.
struct Rule(Verdict, &'static str, #[allow(dead_code, reason = "the tests read it")] &'static str);

const PREPROCESSING: Verdict = Verdict::Is(Stage::Preprocessing);
const WARMUP: Verdict = Verdict::Is(Stage::Warmup);
const TRAINING: Verdict = Verdict::Is(Stage::Training);
const VALIDATION: Verdict = Verdict::Is(Stage::Validation);
const SAVING: Verdict = Verdict::Is(Stage::SavingCheckpoint);

/// Regular expressions over [`plain_words`], ordered: the first that matches decides. There, `~` is
/// a path, an identifier or an option, `0` a number and `0/0` a fraction.
fn rules() -> impl Iterator<Item = &'static Rule> {
    first::RULES.iter().chain(stages::RULES)
}

static VERDICTS: LazyLock<Vec<Verdict>> = LazyLock::new(|| rules().map(|rule| rule.0).collect());

/// How many rules are searched for together. All at once would have a state for each combination of what
/// the words so far may become, and those have no end.
const RULES_AT_ONCE: usize = 8;
static RULE_SETS: LazyLock<Vec<RegexSet>> = LazyLock::new(|| {
    let patterns: Vec<_> = rules().map(|rule| rule.1).collect();
    patterns.chunks(RULES_AT_ONCE).map(|some| compiled(some.iter().copied())).collect()
});

/// Work on data as bars are described. Only for bars: in prose these words mean anything.
static DATA_WORK: LazyLock<RegexSet> = LazyLock::new(|| {
    compiled([
        r"^\W*(0\W+)*(map|filter|flatten|pack|tokeni[sz]|generating|process|extract|encod|comput|creat|scan|prepar|group|resiz|convert|check|collect|calculat|read|index|build|cast|quanti[sz]|discover|crop|caption|cach|load|pars|merg|split|sort|count|hash|verif|unpack|copy|mov|import|init|format|resolv|enumerat|captur|add|gather|compil|fetch|pull|sav|writ|clean|delet|remov|make|making|format|render)(|e|s|es|ed|ing|ping|ting|ning|ging|y|ying)\b",
        r"\b(shards|latents|embeddings?|captions?|cache|files|images|components|tokens|metadata|buckets?|dataset|weights|prompts|extraction|split|examples|rollouts?|experience|layers)\W*$|\bcorrupt(ed)?\b|\blabel\(s\) found\b|\blabels? found\b",
    ])
});

static EVALUATION_WORK: LazyLock<RegexSet> = LazyLock::new(|| {
    compiled([
        r"^\W*(test|testing|predict|predicting|prediction|inference|inferencing|sample|samples|sampling|sanity|evaluat\w*|eval|dev|class)\b|\bsampler\b|\btest\W*$",
    ])
});

/// Whether something was saved, and that is all, or is being saved: the first word that says either decides.
const TENSE: &str = r"\b(?:(?<past>loaded|saved|wrote|written|stored|exported|removed|deleted)|saving|writing|storing|exporting|removing|deleting|about to)\b";
static TENSE_PATTERN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!("(?-u){TENSE}")).expect("the expression compiles"));

/// Whether what is over was not all done, or is not said to have been the training.
const INCOMPLETE: &str = r"\b(abort|cancel|interrupt|fail|stopped|early|terminat|kill)\w*|^\W*(done|finished)\W*(0\W*)?(steps\W*)?$";
static INCOMPLETE_PATTERN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!("(?-u){INCOMPLETE}")).expect("the expression compiles"));

/// The expressions for prose.
pub(super) fn patterns() -> impl Iterator<Item = &'static str> {
    rules().map(|rule| rule.1).chain([TENSE, INCOMPLETE])
}

fn compiled<'a>(rules: impl IntoIterator<Item = &'a str>) -> RegexSet {
    let rules: Vec<_> = rules.into_iter().map(|rule| format!("(?-u){rule}")).collect();
    super::set(rules.iter().map(String::as_str))
}

/// Whether the [`plain_words`] of a line say that something was saved, not that it is being saved.
pub(in super::super) fn is_past(words: &[u8]) -> bool {
    TENSE_PATTERN.captures(words).is_some_and(|found| found.name("past").is_some())
}

/// Whether the [`plain_words`] of a line that says that a run is over say that it ended before all was done, or
/// nothing but that something is done.
pub(in super::super) fn is_incomplete(words: &[u8]) -> bool {
    INCOMPLETE_PATTERN.is_match(words)
}

/// What a progress bar counts, by the description before it: the name of the job in some trainers.
pub(in super::super) fn verdict_of_bar(description: &[u8]) -> Verdict {
    let words = plain_words(description);
    match verdict_of_words(&words) {
        Verdict::Unknown if EVALUATION_WORK.is_match(&words) => VALIDATION,
        Verdict::Unknown if DATA_WORK.is_match(&words) => PREPROCESSING,
        verdict => verdict,
    }
}

/// What the [`plain_words`] of a line in prose say is being done.
pub(in super::super) fn verdict_of_words(words: &[u8]) -> Verdict {
    let first = RULE_SETS.iter().enumerate().find_map(|(at, some)| {
        some.matches(words).iter().next().map(|row| at * RULES_AT_ONCE + row)
    });
    first.map_or(Verdict::Unknown, |row| VERDICTS[row])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_decides_its_example() {
        for Rule(verdict, pattern, example) in rules() {
            // Of a bar, the description alone is looked at.
            let text = example.split(": 100%").next().unwrap_or(example);
            assert_eq!(
                verdict_of_words(&plain_words(text.as_bytes())),
                *verdict,
                "{pattern}: {example}"
            );
        }
    }
}
