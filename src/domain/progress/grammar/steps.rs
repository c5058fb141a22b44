//! Where a line in prose counts steps.

use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

use super::counters::{Count, Counted, Epochs};
use super::{Form, Table, contains, pattern};

/// Steps: `step` of `steps`; `whole` where they are told to be of the run; `batch` of `batches` where they
/// begin again in each epoch.
const STEPS: &[Form] = &[
    // NeMo counts the run, of which it names the last step.
    Form {
        pattern: r"\btraining\sepoch\s\d+,\siteration\s(?<whole>\d+)/(?<steps>\d+)",
        example: "Training epoch 0, iteration 126/149 | lr: 3e-05 | global_step: 126",
    },
    Form {
        pattern: r"^\W*total_timesteps\s+\|\s+(?<whole>\d+)\s",
        example: "|    total_timesteps      | 4096        |",
    },
    Form {
        pattern: r"\[train\]\s+epoch[:=]\s*\d+,\s+iter[:=]\s*(?<whole>\d+)/(?<steps>\d+)",
        example: "[INFO] [TRAIN] epoch: 1, iter: 20/500, loss: 2.0859, lr: 0.009657",
    },
    // Three counts: those that taught something, all, and all tries.
    Form {
        pattern: r"\bat\siteration\s\d+/(?<whole>\d+)/\d+\b",
        example: "At iteration 3400/3400/3401, mean rms=4.219%, delta=11.792%",
    },
    Form {
        pattern: r"^\W*tick\s+\d+\s+kimg\s+(?<whole>\d+)\.",
        example: "tick 1201  kimg 4919.3   time 1d 02h 07m  sec/tick 58.3",
    },
    // Of iterations and steps, the steps are those of the optimizer.
    Form {
        pattern: r"\biter\s\d+\s(?:\|\s)?step\s(?<whole>\d+)",
        example: "Epoch 4 | iter 964 step 964 | loss train: 1.133, val: 1.061",
    },
    Form {
        pattern: r#"\bglobal_step/max_steps["']?\s*[:=]\s*["']?(?<whole>\d+)/(?<steps>\d+)"#,
        example: "{'loss': 0.21, 'global_step/max_steps': '57/176'}",
    },
    Form {
        pattern: r"\bstep/total_steps?\s*[:=]\s*(?<batch>\d+)/(?<batches>\d+)",
        example: "Epoch 12, step/total_step: 20/60 33.33% Loss:1.4310",
    },
    Form {
        pattern: r#"\b(?:current_steps|global_step|step)["']?\s*[:=]\s*["']?(?<whole>\d+)["']?,?\s*["']?(?:total_steps|max_steps)["']?\s*[:=]\s*["']?(?<steps>\d+)"#,
        example: r#"{"current_steps": 10, "total_steps": 100, "loss": 1.2}"#,
    },
    Form {
        pattern: r#"(?:^|[^\w./-]|training/)(?:global[_\ ]?(?:step|iter(?:ation)?)|global_batch)s?["']?\s*(?:=|:|\ )\s*["']?(?<whole>NUMBER)(?:\s*/\s*(?<steps>NUMBER))?"#,
        example: "Epoch 99, global step 35399: val_wer reached 0.10433",
    },
    Form {
        pattern: r"/global_step=(?<whole>NUMBER)",
        example: "timer.py:260:stop] epoch=0/micro_step=40/global_step=40, RunningAvgSamplesPerSec=44.81",
    },
    Form {
        pattern: r#"(?:^|[^\w./-])(?:(?:valid_|train_)?num_updates|nupdates|updates?|acc_iter|n_iter)["']?\s*(?:=|:|\ )\s*["']?(?<whole>\d+(?:,\d{3})*)(?:\s*/\s*(?<steps>\d+(?:,\d{3})*))?(?:["',\s)\]|]|$)"#,
        example: "| epoch 001 | loss 5.3 | num_updates 1891 | lr 0.0001",
    },
    Form {
        pattern: r"\bsaving\scheckpoint\sat\s(?<whole>\d+)\siterations\b",
        example: "mmseg - INFO - Saving checkpoint at 4000 iterations",
    },
    Form {
        pattern: r"\|\s(?<whole>\d+)\supdates\s\|",
        example: "| epoch 010 | 0051070 updates | words/s    7650| trainloss     2.77",
    },
    Form {
        pattern: r"\bsaving\scheckpoints?\sfor\s(?<whole>\d+)\sinto\b|(?:\bafter|@)\s(?<updates>\d+)\supdates\b|\bbatch\s+(?<round>\d+)\s+training\stime\b",
        example: "INFO:tensorflow:Saving checkpoints for 466 into /data/model.ckpt.",
    },
    Form {
        pattern: r"(?:^|[\s:])\[(?:-?\d+\.\d+,\s)*(?<whole>\d+),\s\d+\.\d+(?:e-?\d+)?\]$",
        example: "INFO:Voice_Model:[4400, 9.990004373906418e-05]",
    },
    Form {
        pattern: r"^\s*(?<whole>\d+)\s+\(\d+(?:\.\d+)?%\)\s",
        example: "4310 (86.18%)       44.431 ms            30 s, 701.883 ms",
    },
    Form {
        pattern: r"^\s*(?<step>\d+)/(?<steps>\d+):\s+episode:|^\[(?<whole>\d+)\]\s(?:return|\w+_loss)\s",
        example: " 40606/50000: episode: 573, duration: 1.399s, episode steps: 270",
    },
    Form {
        pattern: r"\bsteps?:\s?(?<kilo>\d+)k\b",
        example: "INFO ts/train.py:232 step:32K smpl:256K ep:2K epch:9.96 loss:0.036",
    },
    Form {
        pattern: r"^(?<whole>\d+):\s+learn:?\s|(?:^|\s)\[(?<round>\d+)\]:?\s+(?:[a-z][\w@]*'s\s[\w@-]+|[a-z][\w@]*[-_][\w@'/-]*):\s*-?\d",
        example: "13:     learn 0.2893642169passed: 17.7 sec      total: 6m 57s",
    },
    Form {
        pattern: r"^\s*(?<whole>\d+)\s+\d+(?:\.\d+)?\sm?s\srun,",
        example: "   10 4.40 s run, 11.8750 loss, 0.000000000005 LR",
    },
    Form {
        pattern: r"^\s*(?<whole>\d+):\s+\d+\.\d+,\s\d+\.\d+\savg\b",
        example: " 100: 2.345, 2.456 avg loss, 0.001 rate, 3.2 seconds, 6400 images",
    },
    Form {
        pattern: r"\btrain\sloss\s(?<whole>\d+)\s\d+\.\d+\s",
        example: "Train loss 64999 0.314525 Grad Norm 0.615372 4.37s/it",
    },
    Form {
        pattern: r#"(?:总步数|総ステップ|全ステップ|총\s?스텝|всего\sшагов)\W{0,8}\d+
          | \b(?:accum\w*|inference|rebalance|sampl\w*|warm-?up|max|maximum|num|of|per|every|save|valid\w*|eval\w*|denoising|diffusion|logging|total(?:\s+\w+)?|optimi[sz]ation|gradient|epoch)\s+steps?\b
          | (?:^|[^\w./?&-]|[\x80-\xff])(?:train(?:ing)?[\ _]|learning\ )?(?<word>steps?|iter(?:ation)?s?|itr|schritte?|étapes?|Étapes?|etapas?|pasos?|passos?|шаг|Шаг|ステップ|스텝|步数|步骤|迭代)["']?(?:\(train\))?(?:\s+completed)?
            (?:[\s|:=\#\[]|：)*["']?(?<step>NUMBER)(?:\s*(?:/|\bof\b|\bvon\b|\bsur\b|\bde\b|из)\s*(?<steps>NUMBER))?
          | (?:^|[\s(\[])(?<before>NUMBER)\s*/\s*(?<beforetotal>NUMBER)\s+(?:steps|iterations|iters|updates)\b"#,
        example: " iteration     9999/   10000 | consumed samples:       639936",
    },
    Form {
        pattern: r#"(?:^|[^\w./-])(?:episode|round|generation)s?\s*[:=\#]?\s*\[?(?<step>\d+)\s*/\s*(?<steps>\d+)"#,
        example: "Episode 120/1000, reward: 21.5",
    },
    Form {
        pattern: r#"(?:^|[^\w./-]|/|[\x80-\xff])(?:batch(?:es)?|mini-?batch|micro[_-]step|micro[_\ ]batch|cur_iter|it|lote|lot|пакет|バッチ|배치|批次)["']?[\s|]*[:=\[]?\s*(?<batch>NUMBER)\s*(?:/|\bof\b)\s*(?<batches>NUMBER)"#,
        example: "Batch 12/500, loss 0.3",
    },
];

/// A count within the epoch without a total; only beside an epoch or a loss.
const BATCHES: Form = Form {
    pattern: r"(?:^|[^\w.-])(?:batch|micro_step)(?:\s*[:=]\s*|\s\[|\s+)(?:\d+-)?(?<batch>\d+)\]?(?:\s|,|:|/|$|\])",
    example: "INFO:sockeye.training] Epoch[0] Batch [2900]   Speed: 186.94 samples/sec",
};

/// `[100/1000] loss: 0.3`: a fraction alone, only read beside a loss. A date has three parts.
const LONE_FRACTION: Form = Form {
    pattern: r"(?:^|[\s\[(])(?<done>\d+)\s*/\s*(?<total>\d+)(?:[\s\]),:|-]|$)",
    example: "[100/1000] loss: 0.3",
};
static STEPS_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(STEPS));
static BATCH_PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern(BATCHES.pattern));
static FRACTION_PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern(LONE_FRACTION.pattern));

/// The expressions of the tables.
pub(super) fn patterns() -> impl Iterator<Item = &'static str> {
    STEPS.iter().chain(&[BATCHES, LONE_FRACTION]).map(|form| form.pattern)
}

/// What a line counts first, and the count of the whole run beside it.
type StepCounts<'a> = (Option<Count<&'a [u8]>>, Option<Count<&'a [u8]>>);

/// The counts of steps in a line in prose: what it counts first, and the count of the whole run beside it.
pub(in super::super) fn steps<'a>(
    line: &'a [u8],
    has_loss: bool,
    epochs: &Epochs<&'a [u8]>,
) -> StepCounts<'a> {
    let (mut first, mut whole) = (None, None::<Count<&[u8]>>);
    let tells_more = has_loss || epochs.epoch.is_some();
    for form in STEPS_TABLE.of(line) {
        let Some(count) =
            form.captures_iter(line).find_map(|found| steps_of(line, &found, tells_more))
        else {
            continue;
        };
        if matches!(count.counted, Counted::Whole | Counted::Rounds | Counted::Thousands) {
            whole = whole.or(Some(count));
        } else {
            first = first.or(Some(count));
        }
    }
    let is_same = |first: &Count<&[u8]>| {
        whole.is_some_and(|whole| whole.done.as_ptr() == first.done.as_ptr())
    };
    let first = first.filter(|first| !is_same(first));
    let is_beside = has_loss || epochs.epoch.is_some() || whole.is_some();
    let batch = || {
        let found = BATCH_PATTERN.captures_iter(line).last().filter(|_| is_beside)?;
        Some(Count {
            done: found.name("batch")?.as_bytes(),
            total: None,
            counted: Counted::Batches,
        })
    };
    let first = first.or_else(batch);
    let alone = || {
        FRACTION_PATTERN.captures_iter(line).filter(|_| has_loss).find_map(|found| {
            let (done, total) = (found.name("done")?.as_bytes(), found.name("total")?.as_bytes());
            let is_of_epochs = epochs.epoch.is_some_and(|epoch| epoch.as_ptr() == done.as_ptr());
            let count = Count { done, total: Some(total), counted: Counted::Bare };
            (!is_of_epochs).then_some(count)
        })
    };
    if first.is_none() && whole.is_none() { (alone(), None) } else { (first, whole) }
}

/// The count at a place, where it is one. `tells_more`: the line tells a loss or an epoch, too.
fn steps_of<'a>(line: &'a [u8], found: &Captures<'a>, tells_more: bool) -> Option<Count<&'a [u8]>> {
    const PLACES: [(&str, &str, Counted); 7] = [
        ("step", "steps", Counted::Steps),
        ("whole", "steps", Counted::Whole),
        ("round", "steps", Counted::Rounds),
        ("kilo", "steps", Counted::Thousands),
        ("updates", "steps", Counted::Whole),
        ("before", "beforetotal", Counted::Steps),
        ("batch", "batches", Counted::Batches),
    ];
    let (done, total, counted) = PLACES
        .into_iter()
        .find_map(|(done, total, counted)| Some((found.name(done)?, found.name(total), counted)))?;
    let next = line.get(done.end());
    let is_measure = total.is_none()
        && counted != Counted::Thousands
        && next.is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'%' | b'_'));
    // "iterations: 20000" is how many there will be; "steps: 200 loss: 5.5" is how many there were.
    let is_plural = found.name("word").is_some_and(|word| {
        word.as_bytes().to_ascii_lowercase().ends_with(b"s") && total.is_none() && !tells_more
    });
    let is_completed = contains(&found.get_match().as_bytes().to_ascii_lowercase(), b"completed");
    // A count is whole. A logger of floats writes `global_step=12.00`.
    let is_fraction = counted != Counted::Whole && done.as_bytes().contains(&b'.');
    let is_iteration = found
        .name("word")
        .is_some_and(|word| word.as_bytes().to_ascii_lowercase().starts_with(b"it"));
    let counted = if is_iteration { Counted::Iterations } else { counted };
    let is_part_of_script = found.name("step").is_some()
        && total.is_none()
        && !tells_more
        && heads_text(&line[done.end()..]);
    let is_none = is_measure || (is_plural && !is_completed) || is_fraction || is_part_of_script;
    (!is_none).then_some(Count {
        done: done.as_bytes(),
        total: total.map(|total| total.as_bytes()),
        counted,
    })
}

/// Whether what follows a number is a text without another one: "Step 4: Loading GPT2" is a part of a script, not a step of a training.
fn heads_text(after: &[u8]) -> bool {
    let Some(text) = after.strip_prefix(b":") else { return false };
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte >= 0x80;
    let begins_number =
        |pair: &[u8]| pair[1].is_ascii_digit() && !pair[0].is_ascii_digit() && !is_letter(&pair[0]);
    text.trim_ascii_start().first().is_some_and(is_letter) && !text.windows(2).any(begins_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found_in_its_example() {
        super::super::assert_that_examples_match(STEPS);
        super::super::assert_that_examples_match(&[BATCHES, LONE_FRACTION]);
    }
}
