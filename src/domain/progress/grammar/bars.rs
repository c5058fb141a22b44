//! Progress bars as tqdm, rich, Keras, notebooks and others draw them.

use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

use super::{Form, Table, contains, pattern};

/// A progress bar.
#[derive(Debug, PartialEq)]
pub(in super::super) struct Bar<'a> {
    /// What stands before the bar, without the drawing of the bar itself.
    pub(in super::super) description: &'a [u8],
    pub(in super::super) done: &'a [u8],
    pub(in super::super) total: Option<&'a [u8]>,
    /// The unit of the rate, as `it/s`; `None` if the bar shows no rate.
    pub(in super::super) unit: Option<&'a [u8]>,
    pub(in super::super) speed: Option<Speed<&'a [u8]>>,
    /// How long it has been drawn, as `1:51:48`.
    pub(in super::super) elapsed: Option<&'a [u8]>,
    pub(in super::super) is_first_frame: bool,
    /// A number that fastai shows without a name.
    pub(in super::super) loss: Option<&'a [u8]>,
    /// It is drawn by rich.
    pub(in super::super) is_rich: bool,
    /// It is drawn in a form that only evaluations have.
    pub(in super::super) is_of_evaluation: bool,
    /// It is drawn in a form that counts batches of an epoch.
    pub(in super::super) is_of_epoch: bool,
    /// What the trainer hung on: losses, rates.
    pub(in super::super) postfix: &'a [u8],
}

/// A number that says how fast it goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Speed<T> {
    pub(in super::super) number: T,
    pub(in super::super) unit: SpeedUnit,
}

/// What a [`Speed`] is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum SpeedUnit {
    SecondsPerStep,
    MillisecondsPerStep,
    StepsPerSecond,
    /// The time that a bar without a rate expects to need for the rest, as `1:51:48`.
    ClockLeft,
}

/// tqdm. Bytes (`1.2M/2.5M`) do not match: a count is whole and stands after a blank or a bar. A terminal
/// may have cut the bracket.
const TQDM: Form = Form {
    pattern: r"(?:^|[\s|])(?<done>\d+)(?:/(?<total>\d+|\?)|it)\s*
          \[(?<elapsed>\d+(?::\d\d)+|\?)(?:<(?<left>\d+(?::\d\d)+|\?))?
          (?:,\s*(?<rate>\d+(?:\.\d+)?(?:e[+-]?\d+)?|\?)\s*(?<unit>[^\s,\]\d]+/[^\s,\]]+))?
          (?<postfix>[^\]]*)(?:\]|$)",
    example: "Steps:  30%|███       | 600/2000 [00:12<00:29, 47.96it/s, loss=0.02]",
};

/// The other bars, of which a line holds one at most.
const OTHER: &[Form] = &[
    // rich, as Lightning uses it.
    Form {
        pattern: r"(?:^|\s)(?<done>\d+)/(?<total>\d+)\s+(?<elapsed>\d+:\d\d:\d\d)\s(?<bullet>\xe2\x80\xa2)\s\S+
          (?:\s+(?<rate>\d+(?:\.\d+)?)\s*(?<unit>it/s))?(?<postfix>.*)$",
        example: "Epoch 2/9 ━━━━ 32/100 0:00:05 • 0:00:10 11.20it/s loss: 0.5",
    },
    // rich before it had bullets: the time left, and then what has passed.
    Form {
        pattern: r"(?<bullet>\xe2[\x94\x95][\x80-\xbf])\s+(?<done>\d+)/(?<total>\d+)\s+(?:\d+:\d\d:\d\d|-:--:--)\s(?<elapsed>\d+:\d\d:\d\d)
          (?:\s+(?<rate>\d+(?:\.\d+)?)\s*(?<unit>it/s))?(?<postfix>.*)$",
        example: "stage 112/∞ ━━━━━━━━━━━━ 0/7366 -:--:-- 0:00:00  early_stopping: 20/20",
    },
    // Keras, old and new; in the first epoch it may not know how many there are.
    Form {
        pattern: r"^\s*(?<ofepoch>)(?<done>\d+)/(?:(?<total>\d+)|unknown)\s+
          (?:\[[=>.\s]+\]|(?:\xe2[\x94\x95][\x80-\xbf])(?:\xe2[\x94\x95][\x80-\xbf]|\s)*\d|-\s\d+s|\d+m?s\s\d+[mu]?s/step\b)(?<postfix>.*)$",
        example: " 12/100 [==>...........................] - ETA: 3s - loss: 0.312",
    },
    // The counter of a notebook.
    Form {
        pattern: r"\[\s*(?<done>\d+)/(?<total>\d+)\s+(?<elapsed>\d+(?::\d\d)+)(?:\s*<\s*(?:(?<left>\d+(?::\d\d)+)|\?)|(?<comma>,))
          (?:,?\s*(?<rate>\d+(?:\.\d+)?(?:e[+-]?\d+)?|\?)\s*(?<unit>it/s)|\s+(?<loss>\d+\.\d+))?(?<postfix>[^\]]*)(?:\]|$)",
        example: " [2000/4000 4:31:07 < 4:31:15, 0.12 it/s, Epoch 4.88/10]",
    },
    // Ultralytics, since its version 8.3.
    Form {
        pattern: r"(?<drawing>\d+%\s+(?:\xe2[\x94\x95][\x80-\xbf]|\s)+)\s(?<done>\d+)/(?<total>\d+)\s+
          (?<rate>\d+(?:\.\d+)?)(?<unit>it/s|s/it)\s+\d+(?:\.\d+|:\d\d)+s?(?<postfix>)",
        example: "1/300  0G  3.702  640: 12% ━╸────────── 1/8 0.1it/s 10.1s<1:11",
    },
    // progressbar2.
    Form {
        pattern: r"\d+%\s+\((?<done>\d+)\s+of\s+(?<total>\d+)\)\s*\|[^|]*\|\s*
          elapsed\stime:\s*(?<elapsed>\d+(?::\d\d)+)(?<postfix>.*)$",
        example: "100% (5115 of 5115) |######| Elapsed Time: 0:33:02 Time:  0:33:02",
    },
    // Ignite's tqdm: the count before the bar, no rate.
    Form {
        pattern: r"\[(?<done>\d+)/(?<total>\d+)\]\s+\d+%\|[^,\[]*(?<postfix>[^\[]*)\[(?<elapsed>\d+(?::\d\d)+)<(?:(?<left>\d+(?::\d\d)+)|\?)",
        example: "Epoch [2/20]: [421/938]  45%|████▍     , loss=0.184 [00:04<00:05]",
    },
    // A bar that ends with its count.
    Form {
        pattern: r"^\s*(?<drawing>\[[=>.\s]+\])\s+(?<postfix>step:.*)\s(?<done>\d+)/(?<total>\d+)\s*$",
        example: " [====>....]  Step: 51ms | Tot: 10s | Loss: 1.2 | Acc: 50.0% (640/1280) 10/391",
    },
];

/// mmcv draws it over the images of an evaluation.
const EVALUATION: Form = Form {
    pattern: r"^\s*\[[>\s]*\]\s(?<done>\d+)/(?<total>\d+),\s(?:\d+(?:\.\d+)?\stask/s,\s)?elapsed:(?<postfix>)",
    example: "[>>>>>>>>      ] 3217/3849, 4.0 task/s, elapsed: 799s, ETA:   157s",
};

static TQDM_PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern(TQDM.pattern));
static EVALUATION_PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern(EVALUATION.pattern));
static OTHER_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(OTHER));

/// The part of a bar's description that is its own drawing: `  30%|███   |`.
static DRAWING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\s*(?:\|[^\w|]*\|\s*\d+(?:\.\d+)?%\s*|\d+(?:\.\d+)?%[^\[]*|\\?\|[^\w\[]*|(?:\xe2[\x94\x95][\x80-\xbf]|\s)+)$",
    )
});

/// The expressions of the tables.
pub(super) fn patterns() -> impl Iterator<Item = &'static str> {
    [TQDM, EVALUATION].iter().chain(OTHER).map(|form| form.pattern)
}

/// The last bar of a line; frames can be glued to one another, and log lines to frames.
pub(in super::super) fn last_bar(line: &[u8]) -> Option<Bar<'_>> {
    let mut before = 0;
    let mut last = None;
    for found in TQDM_PATTERN.captures_iter(line) {
        let elapsed = found.name("elapsed").map_or(0, |elapsed| elapsed.end());
        if is_timed(line, elapsed) {
            last = bar(line, before, &found, false).or(last);
        }
        before = found.get_match().end();
    }
    last.or_else(|| {
        let found = OTHER_TABLE.of(line).find_map(|form| form.captures(line))?;
        bar(line, 0, &found, false)
    })
    .or_else(|| bar(line, 0, &EVALUATION_PATTERN.captures(line)?, true))
}

/// Whether what looks like the time of a bar is one, and not that of a date: `08/21 [02:37:18]`.
fn is_timed(line: &[u8], end_of_elapsed: usize) -> bool {
    matches!(line.get(end_of_elapsed), None | Some(b'<' | b','))
}

fn bar<'a>(
    line: &'a [u8],
    before: usize,
    found: &Captures<'a>,
    is_of_evaluation: bool,
) -> Option<Bar<'a>> {
    let done = found.name("done")?;
    let text = |name| found.name(name).map(|text| text.as_bytes());
    let known = |name| text(name).filter(|text| *text != b"?");
    let unit = text("unit");
    // Without a rate, the time that the bar expects to need gives one.
    let speed = match unit {
        Some(unit) => known("rate").map(|number| Speed { number, unit: speed_unit(unit) }),
        None => known("left").map(|number| Speed { number, unit: SpeedUnit::ClockLeft }),
    };
    Some(Bar {
        description: match found.name("drawing") {
            Some(drawing) => line[before..drawing.start()].trim_ascii(),
            None => without_drawing(&line[before..done.start()]),
        },
        done: done.as_bytes(),
        total: known("total"),
        unit,
        speed,
        elapsed: known("elapsed"),
        is_first_frame: text("rate") == Some(b"?"),
        loss: text("loss"),
        is_rich: found.name("bullet").is_some(),
        is_of_evaluation,
        is_of_epoch: found.name("ofepoch").is_some(),
        postfix: text("postfix").unwrap_or_default(),
    })
}

pub(super) fn speed_unit(unit: &[u8]) -> SpeedUnit {
    if unit.starts_with(b"s/") || unit.starts_with(b"sec/") {
        SpeedUnit::SecondsPerStep
    } else {
        SpeedUnit::StepsPerSecond
    }
}

fn without_drawing(description: &[u8]) -> &[u8] {
    let drawn = DRAWING.find(description).map_or(description.len(), |drawing| drawing.start());
    description[..drawn].trim_ascii()
}

/// Keras writes of a checkpoint right behind the number that its bar ends with.
static BEHIND_NUMBER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\d(?<text>Epoch\s\d+:\s\w+\s(?:improved|did|reached))"));

/// Where a bar ends that something was printed after on the same line; `None` where nothing was.
pub(in super::super) fn end_of_bar(line: &[u8]) -> Option<usize> {
    // Nearly every line is told apart by one of these, which cost little.
    if contains(line, b"Epoch ") && contains(line, b" - l") {
        let found = BEHIND_NUMBER.captures(line).and_then(|found| found.name("text"));
        if found.is_some() {
            return found.map(|text| text.start());
        }
    }
    let brackets = line.iter().filter(|byte| **byte == b'[').count();
    if brackets == 0 || (brackets == 1 && line.last() == Some(&b']')) || !looks_like_bar(line) {
        return None;
    }
    let end = TQDM_PATTERN.find_iter(line).last().or_else(|| EVALUATION_PATTERN.find(line))?.end();
    line[end..].iter().any(u8::is_ascii_alphabetic).then_some(end)
}

/// Whether an unfinished line is a bar that is still being drawn.
pub(in super::super) fn looks_like_bar(line: &[u8]) -> bool {
    line.windows(2).any(|pair| matches!(pair, b"%|" | b"% " | b"it" | b">]" | b"|%"))
        && line.iter().any(|byte| matches!(byte, b'|' | b'[' | b'%'))
}

/// The unit of a rate in which steps of optimisation are counted.
pub(in super::super) fn is_step_unit(unit: &[u8]) -> bool {
    let of = match unit.strip_prefix(b"s/").or_else(|| unit.strip_suffix(b"/s")) {
        Some(of) => of,
        None => return false,
    };
    let of = of.strip_suffix(b"s").unwrap_or(of);
    matches!(of, b"it" | b"step" | b"batch" | b"batche" | b"ba" | b"iter" | b"update" | b"epoch")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found_in_its_example() {
        super::super::assert_that_examples_match(OTHER);
        super::super::assert_that_examples_match(&[TQDM, EVALUATION]);
    }

    fn bar_of(line: &str) -> (String, String, Option<String>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let bar = last_bar(line.as_bytes()).expect("a bar");
        (text(bar.description), text(bar.done), bar.total.map(text))
    }

    #[test]
    fn a_bar_is_told_from_its_description() {
        let total = |total: &str| Some(total.to_owned());
        for (line, description, done, of) in [
            (
                "Progress:|██  | 35% 226/650 [03:18<06:13,  1.14it/s]",
                "Progress:",
                "226",
                total("650"),
            ),
            ("100% 98/98 [01:13<00:00,  1.33it/s]", "", "98", total("98")),
            (
                "     5/249  0.8G  640: 100%|█| 211/211 [00:48<00:",
                "5/249  0.8G  640:",
                "211",
                total("211"),
            ),
            ("    428/Unknown - 4s 9ms/step - loss: 0.49", "", "428", None),
            ("  1/1600 ━━━━━━━━ 1:12:04 3s/step - loss: 12.98", "", "1", total("1600")),
        ] {
            assert_eq!(bar_of(line), (description.into(), done.into(), of), "{line}");
        }
    }
}
