//! Where in a line its numbers are: bars, steps, epochs, losses, rates.
//!
//! Nothing here looks at what a number amounts to: what is found depends on the words alone, so that a
//! line of the same words is found the same way ([`super::shape`]).
//!
//! Every expression works on bytes (`(?-u)`), so that invalid UTF-8 costs nothing. Where a trap looks
//! like the thing itself ("gradient accumulation steps = 1"), the trap is the first alternative of the
//! same expression and has no capture: it is consumed, and the search goes on after it.

use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

/// A progress bar as tqdm, rich or Keras draw it.
#[derive(Debug, PartialEq)]
pub(super) struct Bar<'a> {
    /// What stands before the bar, with the numbers of the bar's own body.
    pub(super) description: &'a [u8],
    pub(super) done: &'a [u8],
    pub(super) total: Option<&'a [u8]>,
    /// The unit of the rate, as `it/s`; `None` if the bar shows no rate.
    pub(super) unit: Option<&'a [u8]>,
    pub(super) speed: Option<Speed<&'a [u8]>>,
    /// How long it has been drawn, as `1:51:48`.
    pub(super) elapsed: Option<&'a [u8]>,
    pub(super) is_first_frame: bool,
    /// What the trainer hung on: losses, rates.
    pub(super) postfix: &'a [u8],
}

/// A count in prose.
#[derive(Debug, PartialEq)]
pub(super) struct Count<'a> {
    pub(super) done: &'a [u8],
    pub(super) total: Option<&'a [u8]>,
    /// It says batch or iteration, which in most trainers begin again in each epoch.
    pub(super) is_of_batches: bool,
    /// No word says what is counted, so that a count beyond its own total is none.
    pub(super) is_bare: bool,
}

/// The epoch, and how many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Epochs<'a> {
    pub(super) epoch: Option<&'a [u8]>,
    pub(super) total: Option<&'a [u8]>,
}

/// A number that says how fast it goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Speed<T> {
    pub(super) number: T,
    pub(super) unit: SpeedUnit,
}

/// What a [`Speed`] is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpeedUnit {
    SecondsPerStep,
    MillisecondsPerStep,
    StepsPerSecond,
    /// The time that a bar without a rate expects to need for the rest, as `1:51:48`.
    ClockLeft,
}

const NUMBER: &str = r"\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?";

fn pattern(source: &str) -> Regex {
    Regex::new(&format!("(?ix-u){}", source.replace("NUMBER", NUMBER)))
        .expect("the patterns of this file compile")
}

/// tqdm: `600/2000 [00:12<00:29, 47.96it/s, loss=0.02]`, `0it [00:00, ?it/s]`. Bytes (`1.2M/2.5M`) do
/// not match: a count is whole and stands after a blank or a bar.
static TQDM: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:^|[\s|])(?<done>\d+)(?:/(?<total>\d+|\?)|it)\s*
          \[(?<elapsed>\d+(?::\d\d)+|\?)(?:<(?<left>\d+(?::\d\d)+|\?))?
          (?:,\s*(?<rate>\d+(?:\.\d+)?(?:e[+-]?\d+)?|\?)\s*(?<unit>[^\s,\]\d]+/[^\s,\]]+))?
          (?<postfix>[^\]]*)\]",
    )
});

/// rich, as Lightning uses it: `32/100 0:00:05 • 0:00:10 11.20it/s loss: 0.5`.
static RICH: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:^|\s)(?<done>\d+)/(?<total>\d+)\s+(?<elapsed>\d+:\d\d:\d\d)\s\xe2\x80\xa2\s\S+
          (?:\s+(?<rate>\d+(?:\.\d+)?)\s*(?<unit>it/s))?(?<postfix>.*)$",
    )
});

/// Keras: `12/100 [==>....] - ETA: 3s - loss: 0.3`, and newer `12/100 ━━━━ 3s 5ms/step - loss: 0.3`.
static KERAS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\s*(?<done>\d+)/(?<total>\d+)\s+(?:\[[=>.\s]+\]|(?:\xe2\x94[\x80-\xbf]|\xe2\x95[\x80-\xbf])+)
          (?<postfix>.*)$",
    )
});

/// The part of a bar's description that is its own drawing: `  30%|███   |`.
static DRAWING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"\s*(?:\d+(?:\.\d+)?%[^\[]*|\\?\|[^\w\[]*|(?:\xe2[\x94\x95][\x80-\xbf]|\s)+)$")
});

static STEP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"\b(?:accum\w*|inference|sampl\w*|warm-?up|max|maximum|num|of|per|every|save|valid\w*|eval\w*|denoising|diffusion|logging|total(?:\s+\w+)?|optimi[sz]ation)\s+steps?\b
          | (?:^|[^\w./-])(?:global[\ _]|train(?:ing)?[\ _])?(?<word>steps?|iter(?:ation)?s?)["']?(?:\s+completed)?
            [\s|]*[:=\#\[]?[\s|]*["']?(?<done>NUMBER)(?:\s*(?:/|\bof\b)\s*(?<total>NUMBER))?
          | (?:^|[^\w./-])(?<batch>batch(?:es)?|it)["']?[\s|]*[:=\[]?\s*(?<batchdone>NUMBER)\s*/\s*(?<batchtotal>NUMBER)
          | (?:^|[\s(\[])(?<before>NUMBER)\s*/\s*(?<beforetotal>NUMBER)\s+(?:steps|iterations)\b"#,
    )
});

/// `[100/1000] loss: 0.3`: a fraction alone, only read beside a loss. A date has three parts.
static LONE_FRACTION: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:^|[\s\[(])(?<done>\d+)\s*/\s*(?<total>\d+)(?:[\s\]),:|-]|$)"));

static TOTAL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?:total\s+(?:number\s+of\s+)?|number\s+of\s+)(?:optimi[sz]ation\s+|train(?:ing)?\s+)?(?:steps|iterations)\b
          (?<between>[^:=\d]{0,60})[:=]\s*(?<total>NUMBER)\s*(?:$|[^\w/%])",
    )
});

static EPOCH: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"\b(?:per|every|last|each|of)\s+epochs?\b
          | \bnum(?:ber\s+of)?\s+epochs?\b[^:=\d]{0,40}[:=]\s*(?<epochs>NUMBER)
          | (?:^|[^\w.\\-])(?<word>epochs?)["']?[\s|]*[:=\#\[]?[\s|]*["']?(?<epoch>NUMBER)(?:\s*(?:/|\bof\b)\s*(?<total>NUMBER))?"#,
    )
});

static LOSS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:^|[^a-z])(?:val|valid|validation|eval|evaluation|test|dev|best|min|lowest|prior)[\ _/]?(?:\w+[\ _])?loss(?:_\w+)?\b
          | (?:^|[^a-z0-9])(?:\w+_|train/)?loss(?:_step|_epoch)?["']?\s*(?:[:=|]\s*|is\s+)?["']?(?<loss>[-+]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|nan|inf(?:inity)?)\b)(?<rest>[.a-z%]?)"#,
    )
});

static LEARNING_RATE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:^|[^\w-])(?:lr|learning[\ _]rate)["']?\s*(?:[:=|]\s*)?["']?(?<rate>\d+(?:\.\d+)?(?:e[+-]?\d+)?)"#,
    )
});

static STEP_TIME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:iter(?:ation)?|step)\s+time\s*(?:\((?<unit>m?s)\))?\s*[:=]\s*(?<time>\d+(?:\.\d+)?)\s*(?<after>ms|s\b)?
          | time\s+per\s+iteration\s*\((?<perunit>m?s)\)\s*[:=]\s*(?<pertime>\d+(?:\.\d+)?)
          | \b(?<speed>\d+(?:\.\d+)?)\s*(?<speedunit>it/s|s/it|steps?/s|s/step|sec/step)",
    )
});

static ANNOUNCES_RUN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"\brunning\s+training\b|\bresum(?:ed|ing)\b|\bcontinuing\s+training\s+from\b")
});

static RUN_SUMMARY: LazyLock<Regex> = LazyLock::new(|| pattern(r#"["']train_runtime["']"#));

static EVALUATION_REPORT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"\b(?:eval|val|valid|validation|test)[_/]\w*(?:loss|acc\w*|f1|score|runtime|perplexity|ppl|bleu|rouge\w*|wer|fid|clip\w*|mse|mae|auc|psnr|ssim)["']?\s*[:=]"#,
    )
});

static FIRST_SUBJECT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?:(?<evaluation>valid\w*|eval\w*|val)|epochs?|steps?|iter\w*|train\w*|loss)(?:\b|_)",
    )
});

/// The last bar of a line; frames can be glued to one another, and log lines to frames.
pub(super) fn last_bar(line: &[u8]) -> Option<Bar<'_>> {
    let mut before = 0;
    let mut last = None;
    for found in TQDM.captures_iter(line) {
        last = tqdm_bar(line, before, &found).or(last);
        before = found.get_match().end();
    }
    last.or_else(|| other_bar(line))
}

fn tqdm_bar<'a>(line: &'a [u8], before: usize, found: &Captures<'a>) -> Option<Bar<'a>> {
    let done = found.name("done")?;
    let known = |name| found.name(name).map(|text| text.as_bytes()).filter(|text| *text != b"?");
    let unit = found.name("unit").map(|unit| unit.as_bytes());
    // Without a rate, the time that the bar expects to need gives one.
    let speed = match unit {
        Some(unit) => known("rate").map(|number| Speed { number, unit: speed_unit(unit) }),
        None => known("left").map(|number| Speed { number, unit: SpeedUnit::ClockLeft }),
    };
    Some(Bar {
        description: without_drawing(&line[before..done.start()]),
        done: done.as_bytes(),
        total: known("total"),
        unit,
        speed,
        elapsed: known("elapsed"),
        is_first_frame: found.name("rate").is_some_and(|rate| rate.as_bytes() == b"?"),
        postfix: found.name("postfix").map_or(b"", |postfix| postfix.as_bytes()),
    })
}

fn other_bar(line: &[u8]) -> Option<Bar<'_>> {
    let found = RICH.captures(line).or_else(|| KERAS.captures(line))?;
    let done = found.name("done")?;
    let text = |name| found.name(name).map(|text| text.as_bytes());
    let unit = text("unit");
    let speed = text("rate").zip(unit);
    Some(Bar {
        description: without_drawing(&line[..done.start()]),
        done: done.as_bytes(),
        total: text("total"),
        unit,
        speed: speed.map(|(number, unit)| Speed { number, unit: speed_unit(unit) }),
        elapsed: text("elapsed"),
        is_first_frame: false,
        postfix: text("postfix").unwrap_or_default(),
    })
}

fn speed_unit(unit: &[u8]) -> SpeedUnit {
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

/// Where a bar ends that something was printed after on the same line; `None` where nothing was.
pub(super) fn end_of_bar(line: &[u8]) -> Option<usize> {
    // Nearly every line is told apart by one of these, which cost little.
    if !line.contains(&b'|') || line.last() == Some(&b']') || !looks_like_bar(line) {
        return None;
    }
    let end = TQDM.find_iter(line).last()?.end();
    line[end..].iter().any(u8::is_ascii_alphabetic).then_some(end)
}

/// Whether an unfinished line is a bar that is still being drawn.
pub(super) fn looks_like_bar(line: &[u8]) -> bool {
    line.windows(2).any(|pair| pair == b"%|")
}

/// The line without the number at its very end, which may go on in bytes yet to come.
pub(super) fn without_last_number(line: &[u8]) -> &[u8] {
    let mut sure = line;
    while let [rest @ .., last] = sure {
        let is_exponent =
            matches!(last, b'e' | b'E') && rest.last().is_some_and(u8::is_ascii_digit);
        if !is_exponent && !matches!(last, b'0'..=b'9' | b'.' | b',' | b'+' | b'-') {
            break;
        }
        sure = rest;
    }
    sure
}

/// Whether a line with an epoch may yet become `Epoch 1/21, Steps: …`.
pub(super) fn may_become_step_bar(line: &[u8]) -> bool {
    let after_digits = line.iter().rposition(u8::is_ascii_digit).map_or(0, |at| at + 1);
    let word: Vec<u8> = line[after_digits..]
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .map(u8::to_ascii_lowercase)
        .collect();
    b"steps".starts_with(&word)
}

/// The step count of a line in prose, if it has one; `epoch` is the count of epochs in the same line.
pub(super) fn step<'a>(line: &'a [u8], has_loss: bool, epoch: Option<&[u8]>) -> Option<Count<'a>> {
    let in_words = STEP.captures_iter(line).find_map(|found| {
        let pairs = [
            ("done", "total", false),
            ("batchdone", "batchtotal", true),
            ("before", "beforetotal", false),
        ];
        let (done, total, is_batch) = pairs.into_iter().find_map(|(done, total, is_batch)| {
            Some((found.name(done)?, found.name(total), is_batch))
        })?;
        let is_measure = total.is_none()
            && line
                .get(done.end())
                .is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'%' | b'_'));
        if is_measure {
            return None;
        }
        let is_iteration = found
            .name("word")
            .is_some_and(|word| word.as_bytes().to_ascii_lowercase().starts_with(b"iter"));
        Some(Count {
            done: done.as_bytes(),
            total: total.map(|total| total.as_bytes()),
            is_of_batches: is_batch || is_iteration,
            is_bare: false,
        })
    });
    let alone = || {
        let found = LONE_FRACTION.captures_iter(line).filter(|_| has_loss).find_map(|found| {
            let (done, total) = (found.name("done")?.as_bytes(), found.name("total")?.as_bytes());
            let is_of_epochs = epoch.is_some_and(|epoch| epoch.as_ptr() == done.as_ptr());
            (!is_of_epochs).then_some((done, total))
        });
        let (done, total) = found?;
        Some(Count { done, total: Some(total), is_of_batches: false, is_bare: true })
    };
    in_words.or_else(alone)
}

/// "Total optimization steps = 29": the steps of the run, announced before they are taken.
pub(super) fn announced_total(line: &[u8]) -> Option<&[u8]> {
    let found = TOTAL.captures(line)?;
    let is_of_the_rest =
        found["between"].windows(9).any(|window| window.eq_ignore_ascii_case(b"remaining"));
    found.name("total").filter(|_| !is_of_the_rest).map(|total| total.as_bytes())
}

/// The epoch and how many there are.
pub(super) fn epochs(line: &[u8]) -> Epochs<'_> {
    let found = EPOCH.captures_iter(line).find_map(|found| {
        let text = |name| found.name(name).map(|text| text.as_bytes());
        if let Some(epochs) = text("epochs") {
            return Some(Epochs { epoch: None, total: Some(epochs) });
        }
        let (word, epoch, total) = (text("word")?, text("epoch")?, text("total"));
        // "epochs: 10" is how many, "epoch: 3" is which.
        let is_plural = word.len() > "epoch".len();
        Some(match total {
            None if is_plural => Epochs { epoch: None, total: Some(epoch) },
            total => Epochs { epoch: Some(epoch), total },
        })
    });
    found.unwrap_or_default()
}

/// The training loss: the first that is not one of validation. A number that ends in a bare dot is
/// not finished, as in a log cut at `loss: 0.`
pub(super) fn loss(text: &[u8]) -> Option<&[u8]> {
    LOSS.captures_iter(text).find_map(|found| {
        let loss = found.name("loss")?;
        found["rest"].is_empty().then_some(loss.as_bytes())
    })
}

pub(super) fn learning_rate(text: &[u8]) -> Option<&[u8]> {
    Some(LEARNING_RATE.captures(text)?.name("rate")?.as_bytes())
}

/// The time of a step in prose.
pub(super) fn speed(line: &[u8]) -> Option<Speed<&[u8]>> {
    let found = STEP_TIME.captures(line)?;
    let text = |name| found.name(name).map(|text| text.as_bytes());
    if let Some(number) = text("time").or_else(|| text("pertime")) {
        let unit = ["unit", "after", "perunit"].into_iter().find_map(text);
        let is_milli = unit.is_some_and(|unit| unit.eq_ignore_ascii_case(b"ms"));
        let unit =
            if is_milli { SpeedUnit::MillisecondsPerStep } else { SpeedUnit::SecondsPerStep };
        return Some(Speed { number, unit });
    }
    Some(Speed { number: text("speed")?, unit: speed_unit(text("speedunit")?) })
}

pub(super) fn announces_run(line: &[u8]) -> bool {
    ANNOUNCES_RUN.is_match(line)
}

/// The report that the Hugging Face Trainer prints at the end; its loss is the mean of the run.
pub(super) fn is_run_summary(line: &[u8]) -> bool {
    RUN_SUMMARY.is_match(line)
}

pub(super) fn is_evaluation_report(line: &[u8]) -> bool {
    EVALUATION_REPORT.is_match(line)
}

/// Whether a line that speaks of both training and evaluation is about the latter.
pub(super) fn speaks_of_evaluation_first(line: &[u8]) -> bool {
    FIRST_SUBJECT.captures(line).is_some_and(|found| found.name("evaluation").is_some())
}
