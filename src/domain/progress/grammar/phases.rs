//! The stage a line speaks of: which words say what is being done, and which only look so.
//!
//! The API page detects a stage by a word anywhere in the line. Real logs hold the same words in
//! paths (`checkpoint-1800`), options (`lr_warmup_steps=100`), settings and errors, so here a word
//! counts only as a word ([`plain_words`]) and only where no earlier row of [`RULES`] explains it.

use std::fmt;
use std::sync::LazyLock;

use regex::bytes::RegexSet;
use serde::{Deserialize, Serialize};

/// What a training run is doing (API page, section "Stage Detection").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// Loading models and data, caching, resuming.
    Preprocessing,
    /// Warming up before the actual training.
    Warmup,
    /// Taking optimisation steps.
    Training,
    /// Evaluating, or drawing samples.
    Validation,
    /// Writing a checkpoint or the final weights.
    #[serde(rename = "Saving checkpoint")]
    SavingCheckpoint,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preprocessing => "Preprocessing",
            Self::Warmup => "Warmup",
            Self::Training => "Training",
            Self::Validation => "Validation",
            Self::SavingCheckpoint => "Saving checkpoint",
        })
    }
}

/// What the words of a line amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The line says that this is being done.
    Is(Stage),
    /// The line is known to say nothing of a stage, and its numbers are no progress: a setting, an
    /// error, a transfer, an end.
    Nothing,
    /// No rule knows it; numbers may still tell.
    Unknown,
}

/// How much of a line is looked at, in bytes. What is being done stands at its start; what follows
/// is dumps, paths and lines glued on.
const HEAD_LENGTH: usize = 320;

/// Regular expressions over [`plain_words`], ordered: the first that matches decides. There, `~` is
/// a path, an identifier or an option, `0` a number and `0/0` a fraction.
const RULES: &[(Verdict, &str)] = &[
    // How a run ended.
    (
        Verdict::Nothing,
        r"\b(training|run|job|fine-?tuning|status|trainer)\b\W*(\b(loop|run|job|process|is|was|has|been)\b\W*)*\b(abort\w*|cancel\w*|interrupt\w*|complete[d]?|finished|done|ended|stopp\w+|fail\w*|success\w*)\b",
    ),
    (
        Verdict::Nothing,
        r"\b(finished|completed|ended|stopped|end of) (the )?(model )?(training|fine-?tuning)\b",
    ),
    (Verdict::Nothing, r"\b(abort(ed|ing)?|cancel(l?ed|l?ing)|keyboardinterrupt)\b|^~ stopped"),
    // Errors and warnings, which name what they could not do.
    (
        Verdict::Nothing,
        r"\b\w*(error|exception|warning)\b:|\b(error|fatal|critical|traceback|failed|failure|exitcode|sigterm|killed)\b|\bout of memory\b",
    ),
    (
        Verdict::Nothing,
        r"\b(could not|couldn't|cannot|can't|unable to|does not exist|doesn't exist|not found|no such|(is|are) (deprecated|incompatible|recommended|ignored|disabled|enabled)|not supported|will be ignored|unavailable)\b",
    ),
    (Verdict::Nothing, r"^file ~\W+line 0\b"),
    // Transfers: their bars count bytes or files.
    (
        Verdict::Nothing,
        r"\b((up|down)load(s|ed|ing)?|fetch(ed|ing)?|push(ed|ing)? (to|model|checkpoint|commit))\b",
    ),
    // Settings and phrases that hold a stage's word.
    (Verdict::Nothing, r"\b(gradient|grad|activation|selective|block|unsloth) checkpoint\w*"),
    (
        Verdict::Nothing,
        r"\bcheckpoint(s|ing)? (dir\w*|path|interval|frequency|every|steps?|limit|name|folder|format|callback|strategy|enabled|disabled)\b|\b(no|without|from scratch\w* no) checkpoint",
    ),
    (Verdict::Nothing, r"^\W*(info\W+)?checkpoint\w*\s*[:=]\s*(true|false|none|~|0)\s*$"),
    (
        Verdict::Nothing,
        r"\bwarm-?up( (steps?|ratio|epochs?|iters?|iterations?|type|fraction|lr|init|period|schedule\w*|strategy))?\s*[:=]\s*(0|none|true|false|~|\w+)\s*%?$|\b(with|no|without|constant|linear|cosine|num|number of|using) (\w+ )?warm-?up\b|\bwarm-?up (ratio|schedule\w*)\b|\b0 warm-?up steps\b",
    ),
    (
        Verdict::Nothing,
        r"\b(validat(e|ed|ing)|check(ed|ing)?) (the |your |that |if |\w+ )?((lr|learning|optimi[sz]er|scheduler|training|cli|command|input|user|api|model|network|data|dataset|config)\W+)*(arg\w*|config\w*|setting\w*|inputs?|param\w*|options?|paths?|credential\w*|tokens?|keys?|schema|files?|environment|licen[cs]e|account|urls?|request|director\w+|folders?|installation|requirements|dependenc\w+|existence|data ?sets?|captions?|types?|versions?|hardware|gpus?|~)",
    ),
    (
        Verdict::Nothing,
        r"^(\W|0|~|info|debug|rank)*validation (prompts?|steps?|epochs?|interval|frequency|every|seed|split|resolution|guidance|dataset|data|set|samples?|images?|ratio|size|negative|sampler|scheduler|batch|disabled|enabled)\b[^:=/]{0,30}[:=]",
    ),
    (
        Verdict::Nothing,
        r"\b(no|skip\w*|disabl\w*|enabl\w*|without) (the )?(validations?|sampling|evaluation|checkpoint\w*|warm-?up)\b",
    ),
    (
        Verdict::Nothing,
        r"\b(eval|train|training) mode\b|\bcache (location|dir\w*|path|file)\b|\binvalidated\b",
    ),
    // The banner of a run, in SimpleTuner a list with dashes or arrows.
    (
        Verdict::Is(Stage::Training),
        r"^\W*-\W+(num (batches|epochs|examples)|current epoch|total (train )?batch|instantaneous batch|gradient accumulation|total optimi[sz]ation|steps completed|(number of )?trainable param)",
    ),
    (
        Verdict::Is(Stage::Training),
        r"\bresum\w+ (training )?(from|at) (the )?(global )?(step|epoch) 0",
    ),
    (
        Verdict::Nothing,
        r"\b(reducer|gradient|allreduce) buckets?\b|\b(gradient|grad|gradients) accum\w*|\b(steps|batches|iterations|images) per\b|\b(save|saving|log|logging|eval|evaluate|sample|validate|print)\w* (\w+ ){0,3}every\b|\bevery (0 |n )(steps?|epochs?)|\b(inference|denoising|diffusion|sampling|sample) steps\b",
    ),
    (
        Verdict::Nothing,
        r"\b(total|train|training|max|num|number of|effective) (train )?(batch size|batches|samples|examples|images)\b",
    ),
    // Loading and resuming; before saving, for checkpoints are loaded too.
    (
        Verdict::Is(Stage::Preprocessing),
        r"\b(resum(e|es|ed|ing)|restor(e|ed|ing)|continuing (training )?from)\b",
    ),
    (Verdict::Is(Stage::Preprocessing), r"\b(re)?load(ed|ing)\b|^(\W|0|info|debug)*(re)?load\b"),
    // The encoders leave the memory once what they had to encode is cached.
    (
        Verdict::Is(Stage::Preprocessing),
        r"\bunload(ed|ing) (the )?(text.?encoders?|vae|~encoders?)\b",
    ),
    // What is saved decides: caches, pictures, settings, or the weights.
    (
        Verdict::Is(Stage::Preprocessing),
        r"\b(sav|writ)(e|es|ed|ing) [^.]*\b(caches?|latents?|(text|prompt|image|caption|encoder|vae)s?[ -]embed\w*|embeds|buckets?|metadata|captions?)\b",
    ),
    (
        Verdict::Is(Stage::Validation),
        r"\bsav(e|es|ed|ing) (the |\w+ ){0,2}(images?|samples?|videos?|previews?|grids?)\b",
    ),
    (
        Verdict::Nothing,
        r"\bsav(e|es|ed|ing) (the |\w+ )?(args|arguments|config|logs?|settings|plots?|metrics)\b",
    ),
    (
        Verdict::Is(Stage::SavingCheckpoint),
        r"\b(sav(e|ed|ing)|writ(e|ing|ten)|export(ed|ing)?|stor(e|ed|ing)|remov(ed|ing)|delet(ed|ing)) [^.]*\b(models?|weights?|states?|loras?|adapters?|networks?|optimi[sz]er|scheduler|pipeline|tokenizer|unet|transformer|text encoders?|ema|embeddings?|parameters|file)\b",
    ),
    (
        Verdict::Is(Stage::SavingCheckpoint),
        r"\b(models?|weights?|states?|loras?|adapters?|configuration|tokenizer|tokens|scheduler|optimi[sz]er|pipeline|ema)\b[^.]*\bsaved\b",
    ),
    (Verdict::Is(Stage::SavingCheckpoint), r"\bsav(ing|ed) (at|after|to|final)\b|^\W*saving\b"),
    (Verdict::Is(Stage::SavingCheckpoint), r"\bcheckpoint(s|ed|ing)?\b"),
    (Verdict::Is(Stage::Warmup), r"\bwarming[ -]up\b|\bwarm-?up\b"),
    // Caching, measuring and arranging the data.
    (
        Verdict::Is(Stage::Preprocessing),
        r"\bpre-?(process|comput|cach|encod|par)\w*|\bprepar(e|ing) (the )?(data\w*|tokenizer|images|latents|prompts|model|text|unet|embed\w*|metadata|captions)",
    ),
    (
        Verdict::Is(Stage::Preprocessing),
        r"\bcach(ing|ed)\b|\bcaches? (initiali[sz]|build|generat|creat|warm|written|complete)|\b(build|generat|creat|writ|scan|initiali[sz]|updat)\w* [^.]*\bcaches?\b",
    ),
    (
        Verdict::Is(Stage::Preprocessing),
        r"\b(tokeni[sz](e|ing)|scanning|bucketing|buckets?|encoding|quanti[sz]ing|captioning|re-?sizing|filtering|shuffling|indexing|discovering|extracting|unzipping)\b|\bconfiguring data|\bimage sizes?\b|\btrain images with\b|\breg images\b|\bfound directory\b",
    ),
    (
        Verdict::Is(Stage::Preprocessing),
        r"\b(build|collect|creat|comput|convert|calculat|process|generat|initiali[sz]|configur|pack|split|group|mapp|gather|read|pars)\w*( the| \w+){0,3} (data ?sets?|data|data ?loaders?|latents?|embed\w*|captions?|metadata|examples|split|backends?|aspect|tokens|index)\b",
    ),
    (Verdict::Is(Stage::Preprocessing), r"^\W*rank\W+0\W+\|"),
    // Evaluating and drawing samples.
    (
        Verdict::Is(Stage::Validation),
        r"\bvalidat(e|ed|es|ing|ion|ions)\b|\beval(uat(e|ed|ing|ion))?\b|\bval\b|\bvalid (steps?|loss|epochs?|acc\w*|batch\w*)\b",
    ),
    (
        Verdict::Is(Stage::Validation),
        r"\b(generat|render|sampl|draw)(e|ed|ing) (\S+ ){0,3}(samples?|images?|videos?|previews?|grids?)\b|^\W*(info\W+)?sampling\b|\bbenchmark\w*|\bsanity check|\b(running|run) inference\b",
    ),
    // Training, said in words.
    (
        Verdict::Is(Stage::Training),
        r"\b(running|start|starting|started|begin|beginning|began|commencing|entering) (the )?(model |main |actual |lora |fine-?)?(training|tuning)\b|\btraining (has |is )?(started|starts|begins|began|running|in progress)\b|^\W*(info\W+)?training( (the |a )?(model|lora|network|adapter|unet|transformer))?\W*$|^\[training\]|\bnum epochs\b",
    ),
];

static RULE_SET: LazyLock<RegexSet> =
    LazyLock::new(|| compiled(RULES.iter().map(|(_, rule)| *rule)));

/// Work on data as bars are described. Only for bars: in prose these words mean anything.
static DATA_WORK: LazyLock<RegexSet> = LazyLock::new(|| {
    compiled([
        r"^\W*(0\W+)*(map|filter|flatten|pack|tokeni[sz]|generating|process|extract|encod|comput|creat|scan|prepar|group|resiz|convert|check|collect|calculat|read|index|build|cast|quanti[sz]|discover|crop|caption|cach|load|pars|merg|split|sort|count|hash|verif|unpack|copy|mov|import|init)(|e|s|es|ing|ping|ting|ning|y|ying)\b",
        r"\b(shards|latents|embeddings?|captions?|cache|files|images|components|tokens|metadata|buckets?|dataset|weights)\W*$",
    ])
});

static EVALUATION_WORK: LazyLock<RegexSet> = LazyLock::new(|| {
    compiled([
        r"^\W*(test|testing|predict|predicting|prediction|inference|sample|samples|sampling|sanity)\b",
    ])
});

fn compiled<'a>(rules: impl IntoIterator<Item = &'a str>) -> RegexSet {
    RegexSet::new(rules.into_iter().map(|rule| format!("(?-u){rule}")))
        .expect("the rules of this file compile")
}

/// What a line in prose says is being done.
pub(super) fn verdict_of_text(line: &[u8]) -> Verdict {
    first_rule(&plain_words(line))
}

/// What a progress bar counts, by the description before it: the name of the job in some trainers.
pub(super) fn verdict_of_bar(description: &[u8]) -> Verdict {
    let words = plain_words(description);
    match first_rule(&words) {
        Verdict::Unknown if EVALUATION_WORK.is_match(&words) => Verdict::Is(Stage::Validation),
        Verdict::Unknown if DATA_WORK.is_match(&words) => Verdict::Is(Stage::Preprocessing),
        verdict => verdict,
    }
}

fn first_rule(words: &[u8]) -> Verdict {
    RULE_SET.matches(words).iter().next().map_or(Verdict::Unknown, |row| RULES[row].0)
}

/// The start of a line in lower case with everything masked that is no word: identifiers, options
/// and paths become `~`, numbers and dates `0`, fractions `0/0`.
pub(super) fn plain_words(line: &[u8]) -> Vec<u8> {
    let head = &line[..line.len().min(HEAD_LENGTH)];
    let mut words = Vec::with_capacity(head.len());
    let mut rest = head;
    while let Some(&byte) = rest.first() {
        if is_separator(byte) {
            // One blank is as good as many, and keeps the rules readable.
            if byte != b' ' || words.last() != Some(&b' ') {
                words.push(if byte == b'\t' { b' ' } else { byte });
            }
            rest = &rest[1..];
            continue;
        }
        let length = rest.iter().position(|&byte| is_separator(byte)).unwrap_or(rest.len());
        push_masked(&rest[..length], &mut words);
        rest = &rest[length..];
    }
    words
}

fn is_separator(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t'
            | b':'
            | b'|'
            | b','
            | b';'
            | b'('
            | b')'
            | b'['
            | b']'
            | b'{'
            | b'}'
            | b'<'
            | b'>'
            | b'"'
            | b'\''
            | b'`'
            | b'!'
            | b'?'
            | b'*'
            | b'#'
    )
}

fn push_masked(token: &[u8], words: &mut Vec<u8>) {
    // Dots after a word are the end of a sentence, not a part of a name.
    let core_length = token.iter().rposition(|&byte| byte != b'.').map_or(0, |last| last + 1);
    let (core, dots) = token.split_at(core_length);
    let has = |wanted: u8| core.contains(&wanted);
    let is_number = core.iter().any(u8::is_ascii_digit)
        && core.iter().all(|&byte| {
            matches!(byte, b'0'..=b'9' | b'.' | b'/' | b'%' | b'+' | b'-' | b'e' | b'E')
        });
    let is_lone_sign = core.len() == 1 && !core[0].is_ascii_alphanumeric();
    if is_number {
        words.extend_from_slice(if has(b'/') { b"0/0" } else { b"0" });
    } else if is_lone_sign || !core.iter().any(u8::is_ascii_alphabetic) {
        words.extend_from_slice(core);
    } else if core
        .iter()
        .any(|byte| matches!(byte, b'_' | b'/' | b'\\' | b'=' | b'@' | b'.' | b'0'..=b'9'))
        || core.starts_with(b"--")
    {
        words.push(b'~');
    } else {
        words.extend(core.iter().map(u8::to_ascii_lowercase));
    }
    words.extend_from_slice(dots);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> String {
        String::from_utf8(plain_words(line.as_bytes())).unwrap()
    }

    #[test]
    fn only_words_are_left_of_paths_options_and_numbers() {
        assert_eq!(words("Saving  to out/checkpoint-500: 12.5%"), "saving to ~: 0");
        assert_eq!(
            words("lr_warmup_steps=100, --validation-steps step 3/10..."),
            "~, ~ step 0/0..."
        );
    }

    #[test]
    fn stages_read_and_write_as_the_page_names_them() {
        for stage in [
            Stage::Preprocessing,
            Stage::Warmup,
            Stage::Training,
            Stage::Validation,
            Stage::SavingCheckpoint,
        ] {
            let json = serde_json::to_string(&stage).unwrap();
            assert_eq!(json, format!("\"{stage}\""));
            assert_eq!(serde_json::from_str::<Stage>(&json).unwrap(), stage);
        }
        assert_eq!(Stage::SavingCheckpoint.to_string(), "Saving checkpoint");
    }
}
