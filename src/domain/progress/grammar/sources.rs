//! What stands before a line that a program printed: the container, the time, the logger, the rank.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::{Form, contains, pattern};

/// Prefixes, each of which may come once more after another.
const PREFIXES: &[Form] = &[
    Form { pattern: r"^[a-z][\w.]*(?:-[\w.]+)*-\d+\s+\|\s", example: "trainer-1  | Step 5" },
    Form {
        pattern: r"^\[?\d+[-/]\d+[-/]\d+[T\ ]\d+:\d+:\d+(?:[.,]\d+)?(?:Z|\s?[+-]\d+(?::\d+)?)?\]?[:,]?(?:\s+|$)",
        example: "2026-03-01T10:00:00.123456789Z Step 5",
    },
    Form {
        pattern: r"^[-|:]?\s*\[?(?:debug|info|warning|warn|error|critical)\s*\]?\s*(?:(?:-\s*[\w.]+|\|\s*[\w.]+(?::[\w.<>]+)?:\d+)\s+)?(?:-|\||:)\s+",
        example: "- INFO - __main__ - Step 5",
    },
    Form {
        pattern: r"^(?:\[\s*(?:debug|info|warning|warn|error|critical)\s*\]\s|(?:debug|info|warning|error|critical)\s\s)\s*",
        example: "[INFO] INFO     Step 5",
    },
    Form { pattern: r"^\[rank\s?\d+\]:?\s+", example: "[rank1]: Step 5" },
    // mpirun.
    Form {
        pattern: r"^\[\d+,[^\]\s]*\]<std(?:out|err)>:\s*",
        example: "[1,mpirank:0,algo-1]<stdout>:Step 5",
    },
];

static EACH: LazyLock<Vec<Regex>> =
    LazyLock::new(|| PREFIXES.iter().map(|form| pattern(form.pattern)).collect());

/// The expressions of the tables.
pub(super) fn patterns() -> impl Iterator<Item = &'static str> {
    PREFIXES.iter().map(|form| form.pattern)
}

/// The container that `docker compose` names before a line, `trainer-1  | Step 5`: its name with the number.
pub(in super::super) fn container(line: &[u8]) -> Option<&[u8]> {
    let end = line.iter().position(|byte| *byte == b' ')?;
    let (name, rest) = line.split_at(end);
    let is_name = name.first().is_some_and(u8::is_ascii_alphabetic);
    let is_numbered =
        is_name && name.last().is_some_and(u8::is_ascii_digit) && name.contains(&b'-');
    (is_numbered && rest.trim_ascii_start().starts_with(b"| ")).then_some(name)
}

/// What the program itself printed.
pub(in super::super) fn message(line: &[u8]) -> &[u8] {
    const PREFIXES_MAX: usize = 4;
    let mut rest = line;
    for _ in 0..PREFIXES_MAX {
        let Some(found) = EACH.iter().find_map(|prefix| prefix.find(rest)) else { break };
        rest = &rest[found.end()..];
    }
    within_panel(rest)
}

/// What stands in a panel that holds a bar, as rich draws one around its progress.
fn within_panel(line: &[u8]) -> &[u8] {
    const SIDE: &[u8] = "│".as_bytes();
    const BAR: &[u8] = "━".as_bytes();
    match line.trim_ascii().strip_prefix(SIDE) {
        Some(inner) if contains(inner, BAR) => {
            inner.strip_suffix(SIDE).unwrap_or(inner).trim_ascii()
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_containers_are_sources() {
        assert_eq!(container(b"trainer-1  | Step 5"), Some(b"trainer-1".as_slice()));
        assert_eq!(container(b"trainer  | Step 5"), None);
        assert_eq!(container(b"2026-03-01 10:00:00 | Step 5"), None);
    }

    #[test]
    fn every_prefix_is_found_in_its_example() {
        for form in PREFIXES {
            assert_eq!(message(form.example.as_bytes()), b"Step 5", "{}", form.example);
        }
        let all = b"trainer-1  | 2026-03-01 10:00:00,123 - INFO - __main__ - [rank1]: Step 5";
        assert_eq!(message(all), b"Step 5");
        assert_eq!(
            message(b"2026-03-01 10:04:22 | INFO | valid | epoch 001"),
            b"valid | epoch 001"
        );
    }
}
