//! Where a line in prose tells a percentage.

use std::sync::LazyLock;

use super::counters::{Epochs, Percentage};
use super::{Form, Table};

/// Percentages in words. `epochs` are of epochs; the rest of the run, unless an epoch stands beside them.
const PERCENTAGES: &[Form] = &[
    Form {
        pattern: r"\bcompleted\s+(?<percent>NUMBER)\s*%\s+of\s+epochs",
        example: "#progress_metric: host=algo-1, completed 4 % of epochs",
    },
    Form {
        pattern: r"\bstep\s+\d+\s+\((?<ofrun>NUMBER)%\)|\bprogress:?\s*\|[^|]*\|\s*(?<drawn>NUMBER)%",
        example: "AutoML progress: |███████                                |  18%",
    },
    Form {
        pattern: r"^\s*\d+\s+\((?<percent>NUMBER)%\)\s",
        example: "4310 (86.18%)       44.431 ms            30 s, 701.883 ms",
    },
    Form {
        pattern: r"(?<percent>NUMBER)\s*%\s*(?:complete[d]?|done|finished)\b",
        example: "Iter: 86/959   Epoch: 1.79/20.0 (9.0% complete)",
    },
    Form {
        pattern: r#"\btrainable\s+percent(?:age)?\b|\bpercent(?:age)?["']?\s*[:=]\s*["']?(?<percent>NUMBER)"#,
        example: "'percentage': '32.39%', 'elapsed_time': '1h 24m 14s'",
    },
    Form {
        pattern: r#"\bprogress["']?\s*[:=]\s*["']?(?:at\s+)?(?<percent>NUMBER)\s*(?:%|,\s*")"#,
        example: "Progress: 86.2%  words/sec/thread: 5512  lr: 0.013768  loss: 0.175465",
    },
    Form {
        pattern: r"\btotal\s+\[[\#.]*\]\s+(?<percent>NUMBER)%",
        example: "     total [....................]  0.00%",
    },
];
static PERCENTAGES_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(PERCENTAGES));

/// The expressions of the tables.
pub(super) fn patterns() -> impl Iterator<Item = &'static str> {
    PERCENTAGES.iter().map(|form| form.pattern)
}

/// The percentage that a line in prose tells.
pub(in super::super) fn percentage<'a>(
    line: &'a [u8],
    epochs: &Epochs<&'a [u8]>,
) -> Option<Percentage<&'a [u8]>> {
    let found = PERCENTAGES_TABLE.of(line).find_map(|form| form.captures(line))?;
    let is_in_epoch = epochs.epoch.is_some_and(|epoch| !epoch.contains(&b'.'));
    let is_of_epoch = is_in_epoch && epochs.total.is_none() && found.name("ofrun").is_none();
    let number =
        found.name("percent").or_else(|| found.name("ofrun")).or_else(|| found.name("drawn"))?;
    Some(Percentage { number: number.as_bytes(), is_of_epoch })
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found_in_its_example() {
        super::super::assert_that_examples_match(PERCENTAGES);
    }
}
