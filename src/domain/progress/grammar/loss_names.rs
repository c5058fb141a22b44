//! What the name of a loss says of it.

/// How likely a loss is what the run minimises. Ordered: the first is the surest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// `loss`, and nothing else.
    Plain,
    /// It says that it is the training's.
    OfTraining,
    /// The sum or a mean of them.
    Total,
    /// Another name with loss in it, as `lm loss`.
    Named,
    /// A part of the loss, as `policy_loss`: the loss only where it stands alone.
    Part,
}

/// Words that say whose loss it is.
const OF_EVALUATION: [&str; 12] = [
    "val",
    "valid",
    "validation",
    "eval",
    "evaluation",
    "test",
    "dev",
    "best",
    "min",
    "lowest",
    "prior",
    "final",
];
const OF_TRAINING: [&str; 5] = ["train", "training", "tr", "batch", "step"];
const OF_ALL: [&str; 9] =
    ["total", "avr", "avg", "average", "mean", "smooth", "running", "overall", "epoch"];
/// Words of parts that add up to a loss.
const PARTS: [&str; 61] = [
    "policy",
    "value",
    "entropy",
    "kl",
    "nll",
    "vlb",
    "disc",
    "gen",
    "fm",
    "mel",
    "box",
    "obj",
    "cls",
    "dfl",
    "att",
    "ctc",
    "aux",
    "balancing",
    "moe",
    "shrink",
    "threshold",
    "binary",
    "reg",
    "l1",
    "l2",
    "recon",
    "adv",
    "gan",
    "d",
    "g",
    "pg",
    "simple",
    "vlb",
    "rpn",
    "mask",
    "bbox",
    "seg",
    "dur",
    "kld",
    "surrogate",
    "q1",
    "q2",
    "actor",
    "critic",
    "alpha",
    "unscaled",
    "iou",
    "conf",
    "hm",
    "wh",
    "off",
    "localization",
    "classification",
    "regularization",
    "tok2vec",
    "ner",
    "cbn",
    "z",
    "act",
    "cri",
    "unsuper",
];

/// The words that say whose a loss is.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    OF_EVALUATION.into_iter().chain(OF_TRAINING).chain(OF_ALL).chain(PARTS)
}

/// The standing of a loss by its name; `None` where it is none of the training's.
pub(super) fn standing(name: &[u8], suffix: &[u8]) -> Option<Standing> {
    let lower = name.to_ascii_lowercase();
    let words: Vec<&[u8]> = lower
        .split(|byte| !byte.is_ascii_alphanumeric() && *byte < 0x80)
        .filter(|word| !word.is_empty())
        .collect();
    let has =
        |list: &[&str]| words.iter().any(|word| list.iter().any(|one| one.as_bytes() == *word));
    let is_of_evaluation = |word: &&[u8]| word.starts_with(b"valid") || word.starts_with(b"eval");
    if has(&OF_EVALUATION) || words.iter().any(is_of_evaluation) {
        return None;
    }
    let suffix = suffix.to_ascii_lowercase();
    let is_known_suffix = [
        &b""[..],
        b"_step",
        b"_epoch",
        b"_avg",
        b"/train",
        b"_train",
        b"/train/total",
        b" train",
        b".item",
        b"_value",
        b" value",
        b"/total",
    ]
    .contains(&suffix.as_slice());
    if !is_known_suffix {
        return None;
    }
    if has(&PARTS) {
        return Some(Standing::Part);
    }
    if has(&OF_TRAINING) || suffix.ends_with(b"train") || suffix.starts_with(b"/train") {
        return Some(Standing::OfTraining);
    }
    if has(&OF_ALL) || suffix.ends_with(b"total") {
        return Some(Standing::Total);
    }
    // "epoch 1 - iter 21/219 - loss 14.28": of the words before, the pattern takes a few.
    let last = words.last().copied().unwrap_or_default();
    let is_plain = !last.is_ascii()
        || matches!(last, b"loss" | b"verlust" | b"perte" | b"perda" | b"lossvalue");
    let before =
        words.len().checked_sub(2).and_then(|at| words.get(at)).copied().unwrap_or_default();
    if is_plain && (before.is_empty() || before.iter().any(u8::is_ascii_digit)) {
        return Some(Standing::Plain);
    }
    Some(Standing::Named)
}
