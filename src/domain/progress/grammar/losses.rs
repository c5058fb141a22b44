//! Losses, and which of them are the training's.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::loss_names::{Standing, standing};
use super::{Form, Table, contains, pattern};

/// A name with `loss` in it and its number. What stands before the name within three words is part of it.
const LOSS: Form = Form {
    pattern: r#"(?<name>(?:(?<foreign>검증|検証|評価|验证|评估|测试|валидац\S*|валидационн\S*)[\s_]*)?(?:[a-z0-9]+[_\ ./-]+){0,4}[a-z0-9_]*(?:loss|verlust|perte|pérdida|perda|потеря|потери|Потеря|Потери|perdita|損失|损失|손실)(?:value|值|値|값)?(?<suffix>(?:[_/.\ ][a-z][a-z0-9]*){0,3}?))
        \s*(?:\([^)]*\))?["'\]]*\s*(?:(?:[:=|>]|：|\bis\b|\bof\b|\bwith\b)\s*)*["'\[]?(?:tensor\()?
        (?<loss>[-+]?(?:\d+(?:[.,]\d+)?(?:e[+-]?\d+)?|nan|inf(?:inity)?)\b)(?<rest>[.a-z%]?)"#,
    example: "Epoch 3 - train loss: 0.5 - val loss: 0.4",
};

/// The number before its name.
const LOSS_AFTER: Form = Form {
    pattern: r"(?<loss>\d+\.\d+(?:e[+-]?\d+)?)\sloss(?:,|$)",
    example: "   10 4.40 s run, 11.8750 loss, 0.000000000005 LR",
};

/// Losses that go by another name.
const OTHER_LOSSES: &[Form] = &[
    Form {
        pattern: r"\btrain\sloss\s\d+\s(?<loss>-?\d+\.\d+)\s",
        example: "Train loss 64999 0.314525 Grad Norm 0.615372 4.37s/it",
    },
    Form {
        pattern: r"\sUp\.\s\d+\s:.*\sCost\s(?<loss>\d+\.\d+)",
        example: "Ep. 1 : Up. 20000 : Sen. 1,212,903 : Cost 5.85167885 : Time 984.07s",
    },
    Form {
        pattern: r"^\d+:\s+learn:?\s(?<loss>-?\d+\.\d+(?:e[+-]?\d+)?)",
        example: "13:     learn 0.2893642169passed: 17.7 sec      total: 6m 57s",
    },
    Form {
        pattern: r"(?:^|\s)\[\d+\]:?\s+(?:\S+\s+)?train(?:ing)?(?:_loss)?(?:'s)?[\s-](?:rmse\w*|ma?pe|m[as]e|l[12]|huber|\w*log_?loss|\w*error|\w*loss|\w*entropy|quantile|poisson\w*|gamma\w*|tweedie\w*|cox\w*):\s*(?<loss>-?\d+\.\d+(?:e[+-]?\d+)?)",
        example: "[30]:   train's l2:0.0850142    valid's l2:0.0935492",
    },
    Form {
        pattern: r#"\{"name":\s*"loss",.*"value":\s*(?<loss>-?\d+\.\d+(?:e[+-]?\d+)?)"#,
        example: r#"{"name": "loss", "data": {"epoch": 0.01, "step": 1, "value": 3.9274}}"#,
    },
    Form {
        pattern: r"\bloss\s+at\s+(?:step|iteration|epoch)\s+\d+\s*[:=]\s*(?<loss>-?\d+\.\d+)",
        example: "loss at step 1400: 1.5333",
    },
    Form {
        pattern: r"\btrain[-_]loss:\s+(?<loss>-?\d+\.\d+)",
        example: "epoch: 24 | nupdates: 808591 | train-LOSS: 267.35995",
    },
];

static LOSS_PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern(LOSS.pattern));
static LOSS_AFTER_PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern(LOSS_AFTER.pattern));
static OTHER_LOSSES_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(OTHER_LOSSES));

/// The expressions of the tables.
pub(super) fn patterns() -> impl Iterator<Item = &'static str> {
    [LOSS, LOSS_AFTER].iter().chain(OTHER_LOSSES).map(|form| form.pattern)
}

/// A loss of the training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Loss<'a> {
    pub(in super::super) number: &'a [u8],
    /// The name of a part of the loss, which stands alone in its line; empty for the loss itself.
    pub(in super::super) part: &'a [u8],
    /// Its name says that it is the training's.
    pub(in super::super) says_training: bool,
}

impl<'a> Loss<'a> {
    pub(in super::super) fn of(number: &'a [u8]) -> Self {
        Self { number, part: b"", says_training: false }
    }
}

/// The training loss. A number that ends in a bare dot is not finished, as in a log cut at `loss: 0.`
pub(in super::super) fn loss(text: &[u8]) -> Option<Loss<'_>> {
    // The metric logger of torchvision prints the means of an epoch as it prints its steps.
    if contains(text, b"Averaged stats:") {
        return None;
    }
    let mut best: Option<(Standing, Loss<'_>)> = None;
    let (mut parts, mut others) = (0, 0);
    for found in LOSS_PATTERN.captures_iter(text) {
        // A sentence may end behind the number; a number that ends with the text may go on.
        let after = found.name("rest").map_or(text.len(), |rest| rest.end());
        let is_whole = match &found["rest"] {
            b"" => true,
            b"." => text.get(after).is_some_and(u8::is_ascii_whitespace),
            _ => false,
        };
        let Some(number) = found.name("loss").filter(|_| is_whole) else { continue };
        let is_foreign = found.name("foreign").is_some();
        let Some(standing) = standing(&found["name"], &found["suffix"]).filter(|_| !is_foreign)
        else {
            others += 1;
            continue;
        };
        parts += u32::from(standing == Standing::Part);
        if best.is_none_or(|(known, _)| standing < known) {
            let name = found.name("name").filter(|_| standing == Standing::Part);
            let part = name.map_or(&b""[..], |name| name.as_bytes());
            let lower = found["name"].to_ascii_lowercase();
            let says_training = contains(&lower, b"train");
            best = Some((standing, Loss { number: number.as_bytes(), part, says_training }));
        }
    }
    if let Some(found) = OTHER_LOSSES_TABLE.of(text).find_map(|form| form.captures(text)) {
        return Some(Loss::of(found.name("loss")?.as_bytes()));
    }
    match best {
        // Parts side by side say nothing of their sum.
        Some((Standing::Part, _)) if parts > 1 || others > 0 => None,
        Some((_, loss)) => Some(loss),
        None if others > 0 => None,
        None => Some(Loss::of(LOSS_AFTER_PATTERN.captures(text)?.name("loss")?.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found_in_its_example() {
        super::super::assert_that_examples_match(&[LOSS, LOSS_AFTER]);
        super::super::assert_that_examples_match(OTHER_LOSSES);
    }

    #[test]
    fn the_training_loss_is_told_from_the_others() {
        for (line, wanted) in [
            ("loss: 1.3762, loss_ins: 0.9, loss_cate: 0.4", Some("1.3762")),
            ("loss_ins: 0.9, loss_cate: 0.4, loss: 1.37", Some("1.37")),
            ("train_loss:2.0413 train_time:1ms", Some("2.0413")),
            ("step 250: train loss 1.9688, val loss 2.0714", Some("1.9688")),
            ("loss_disc=4.060, loss_gen=2.972, loss_fm=7.563", None),
            (
                "losses/total_loss: 1.15 | losses/policy_loss: 1.05 | losses/value_loss: 0.00",
                Some("1.15"),
            ),
            (
                "lm loss: 2.72E+00 | load_balancing_loss: 1.02E+00 | loss scale: 1.0 |",
                Some("2.72E+00"),
            ),
            ("Attempted loss scale: 65536, reducing to 32768", None),
            ("11.8750 loss, 0.0 LR", Some("11.8750")),
            ("{'loss': '-0.0007894', 'kl': '0.0006565'}", Some("-0.0007894")),
            ("Epoch 3, Train Loss: 0.51, Val Loss: 0.44", Some("0.51")),
            (
                "loss[ctc_loss=1.005, att_loss=0.8781, loss=0.9034, over 2403 frames.]",
                Some("0.9034"),
            ),
            ("loss: 0.0978(0.0978), time: 1.4", Some("0.0978")),
            ("loss train: 1.174, val: 1.061", Some("1.174")),
            ("validation loss: 0.412", None),
            ("Verlust: 0,512", Some("0,512")),
            ("epoch 1 - iter 21/219 - loss 14.28931536 - samples/sec: 19.11", Some("14.28931536")),
        ] {
            let found =
                loss(line.as_bytes()).map(|loss| String::from_utf8_lossy(loss.number).into_owned());
            assert_eq!(found.as_deref(), wanted, "{line}");
        }
    }
}
