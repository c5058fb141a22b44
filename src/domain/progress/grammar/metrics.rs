//! Learning rates and speeds, and which metrics are those of an evaluation or of a summary.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::bars::{Speed, SpeedUnit, speed_unit};
use super::{Form, contains, pattern};

const LEARNING_RATE: Form = Form {
    pattern: r#"(?:^|[^\w-])(?:train_)?(?:lr|learning[\ _]rate)["']?\s*(?:[:=|]\s*)?["'\[]*(?<rate>\d+(?:\.\d+)?(?:e[+-]?\d+)?)"#,
    example: "step=2, skipped=0, lr=[2.4242424242424244e-09, 2.4e-09]",
};

const STEP_TIME: Form = Form {
    pattern: r"(?:iter(?:ation)?|step)\s+time\s*(?:\((?<unit>m?s)\))?\s*[:=]\s*(?<time>\d+(?:\.\d+)?)\s*(?<after>ms|s\b)?
          | time\s+per\s+iteration\s*\((?<perunit>m?s)\)\s*[:=]\s*(?<pertime>\d+(?:\.\d+)?)
          | \b(?<speed>\d+(?:\.\d+)?)\s*(?<speedunit>it/s|s/it|steps?/s|s/step|sec/step)",
    example: "[INFO] [Rank 0] step=9698, skipped=0, iter time (s): 2.0",
};

/// The report at the end of a run; its loss is the mean of the run.
const RUN_SUMMARY: Form = Form {
    pattern: r#"["']train_runtime["']"#,
    example: "{'train_runtime': 120.5, 'train_loss': 0.4, 'epoch': 3.0}",
};

const EVALUATION_REPORT: Form = Form {
    pattern: r#"\b(?:eval|val|valid|validation|test)[_/]\w*(?:loss|acc\w*|f1|score|runtime|perplexity|ppl|bleu|rouge\w*|wer|fid|clip_?score|mse|mae|auc|psnr|ssim)["']?\s*[:=]"#,
    example: "{'eval_loss': 0.71, 'eval_runtime': 3.2, 'epoch': 2.0}",
};

/// Of methods that learn by reinforcement.
const TRAINING_REPORT: Form = Form {
    pattern: r"\b(?:actor|critic|perf)/\w+\S*:\s*-?\d",
    example: "step:40 - val-core/acc/mean@32:0.5 - actor/pg_loss:0.1",
};

const FIRST_SUBJECT: Form = Form {
    pattern: r"(?<foreign>валидац|Валидац|验证|評価|検証|검증|évaluation)|обучен|训练|訓練|学習|훈련|\b(?:(?<evaluation>valid\w*|eval\w*|val|test|dev|cv)|train\w*|loss)(?:\b|_)",
    example: "validation loss at iteration 500 | lm loss value: 2.470915E+00",
};

const ALL: [Form; 6] =
    [LEARNING_RATE, STEP_TIME, RUN_SUMMARY, EVALUATION_REPORT, TRAINING_REPORT, FIRST_SUBJECT];

static LEARNING_RATE_PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern(LEARNING_RATE.pattern));
static STEP_TIME_PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern(STEP_TIME.pattern));
static RUN_SUMMARY_PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern(RUN_SUMMARY.pattern));
static EVALUATION_REPORT_PATTERN: LazyLock<Regex> =
    LazyLock::new(|| pattern(EVALUATION_REPORT.pattern));
static TRAINING_REPORT_PATTERN: LazyLock<Regex> =
    LazyLock::new(|| pattern(TRAINING_REPORT.pattern));
static FIRST_SUBJECT_PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern(FIRST_SUBJECT.pattern));

/// The expressions of the tables.
pub(super) fn patterns() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|form| form.pattern)
}

pub(in super::super) fn learning_rate(text: &[u8]) -> Option<&[u8]> {
    Some(LEARNING_RATE_PATTERN.captures(text)?.name("rate")?.as_bytes())
}

/// The time of a step in prose.
pub(in super::super) fn speed(line: &[u8]) -> Option<Speed<&[u8]>> {
    let found = STEP_TIME_PATTERN.captures(line)?;
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

/// The report at the end of a run. Some trainers write its fields in each line of losses.
pub(in super::super) fn is_run_summary(line: &[u8]) -> bool {
    let has_own_loss = contains(line, b"'loss':") || contains(line, b"\"loss\":");
    RUN_SUMMARY_PATTERN.is_match(line) && !has_own_loss
}

pub(in super::super) fn is_evaluation_report(line: &[u8]) -> bool {
    EVALUATION_REPORT_PATTERN.is_match(line) && !TRAINING_REPORT_PATTERN.is_match(line)
}

/// Whether a line that speaks of both training and evaluation is about the latter.
pub(in super::super) fn speaks_of_evaluation_first(line: &[u8]) -> bool {
    FIRST_SUBJECT_PATTERN
        .captures(line)
        .is_some_and(|found| found.name("evaluation").or_else(|| found.name("foreign")).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found_in_its_example() {
        super::super::assert_that_examples_match(&ALL);
    }
}
