//! The words that the tables know. Any other word could stand for any other: lines that differ in such words
//! alone claim the same.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::{
    announcements, bars, columns, epochs, loss_names, losses, metrics, percentages, phases,
    sources, steps,
};

/// What code looks for without a table.
const OF_CODE: [&str; 5] = ["ing", "tion", "remaining", "reduced", "stats"];

/// So many letters make a part of a word that an expression may find within a longer one.
const PART_LENGTH: usize = 3;

/// Whether an expression of a table, or code beside it, may tell this word from others: it has a part of one
/// that stands there, or is as short as one.
pub(in super::super) fn knows(word: &[u8]) -> bool {
    static PARTS: LazyLock<(AhoCorasick, BTreeSet<String>)> = LazyLock::new(|| {
        let (parts, short): (BTreeSet<_>, BTreeSet<_>) =
            words().partition(|word| word.len() >= PART_LENGTH);
        let parts = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(parts)
            .expect("a few thousand letters are not too many");
        (parts, short)
    });
    let (parts, short) = &*PARTS;
    if word.len() >= PART_LENGTH {
        parts.is_match(word)
    } else {
        short.contains(&*String::from_utf8_lossy(&word.to_ascii_lowercase()))
    }
}

/// Every run of letters that expressions name, in lower case.
fn words() -> impl Iterator<Item = String> {
    let patterns = announcements::patterns()
        .chain(bars::patterns())
        .chain(epochs::patterns())
        .chain(losses::patterns())
        .chain(metrics::patterns())
        .chain(percentages::patterns())
        .chain(phases::patterns())
        .chain(sources::patterns())
        .chain(steps::patterns())
        .map(without_syntax);
    let others = columns::names().chain(loss_names::words()).chain(OF_CODE).map(str::to_owned);
    patterns.chain(others).flat_map(|text| {
        let words = text.split(|letter: char| !letter.is_ascii_alphabetic());
        words.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect::<Vec<_>>()
    })
}

/// An expression without the letters that are not looked for: classes as `\w`, names of groups. What may be
/// missing, as in `steps?`, stands apart.
fn without_syntax(pattern: &str) -> String {
    let pattern = pattern.replace("NUMBER", "");
    let mut text = String::with_capacity(pattern.len());
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        let is_name = character == '?' && characters.peek() == Some(&'<');
        let may_be_missing = matches!(characters.peek(), Some('?' | '*' | '{'));
        match character {
            '\\' => _ = characters.next(),
            '?' if is_name => while characters.next().is_some_and(|within| within != '>') {},
            _ if may_be_missing => text.push(' '),
            _ => {}
        }
        text.push(if character == '\\' { ' ' } else { character });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_expressions_are_known_and_others_are_not() {
        for word in ["step", "Steps", "EPOCH", "checkpointing", "loss", "it", "lr", "caching"] {
            assert!(knows(word.as_bytes()), "{word}");
        }
        for word in ["qq", "xyz", "zebra", "portrait"] {
            assert!(!knows(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn only_what_is_looked_for_is_left_of_an_expression() {
        let text = without_syntax(r"\bepochs?\s(?<epoch>NUMBER)[a-z]");
        let words: Vec<_> = text.split(|letter: char| !letter.is_ascii_alphabetic()).collect();
        assert_eq!(
            words.join(" ").split_whitespace().collect::<Vec<_>>(),
            ["epoch", "s", "a", "z"]
        );
    }
}
