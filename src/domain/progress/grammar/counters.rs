//! Counts in prose: epochs, steps, batches, percentages.

use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

use super::{Form, Table, pattern};

/// Which epoch, as the words around it have it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) enum EpochForm {
    /// This epoch is under way, or something was measured in it.
    #[default]
    Under,
    /// A heading: the epoch begins.
    Begins,
    /// So many epochs are done, fractions of them too.
    Done,
    /// This epoch has ended.
    Ended,
}

/// What a count in prose counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) enum Counted {
    /// Steps, without a word on whether they begin again in each epoch.
    #[default]
    Steps,
    /// Iterations, which are as likely those of an epoch.
    Iterations,
    /// Steps over the whole run.
    Whole,
    /// Batches, which begin again in each epoch.
    Batches,
    /// Examples of one epoch.
    Examples,
    /// Rounds of boosting, over the whole run.
    Rounds,
    /// Thousands of steps of the whole run.
    Thousands,
    /// No word says what, so that a count beyond its own total is none.
    Bare,
}

/// A count and what it goes up to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in super::super) struct Count<T> {
    pub(in super::super) done: T,
    pub(in super::super) total: Option<T>,
    pub(in super::super) counted: Counted,
}

/// The epoch, and how many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in super::super) struct Epochs<T> {
    pub(in super::super) epoch: Option<T>,
    pub(in super::super) total: Option<T>,
    pub(in super::super) form: EpochForm,
}

/// A percentage that the trainer itself tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Percentage<T> {
    pub(in super::super) number: T,
    /// It is of one epoch.
    pub(in super::super) is_of_epoch: bool,
}

/// All counts of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in super::super) struct Counters<T> {
    pub(in super::super) epochs: Epochs<T>,
    /// A count within the epoch, in the same words as the epoch.
    pub(in super::super) batches: Option<Count<T>>,
    pub(in super::super) steps: Option<Count<T>>,
    pub(in super::super) percentage: Option<Percentage<T>>,
}

/// Where an epoch stands: `epoch`, `epochs`; in the same words also `batch` of `batches`, with `share` if
/// these count examples, and `part`, a percentage of the epoch. Where a trap looks like the thing itself, it
/// is the first alternative and has no name: it is consumed, and the search goes on after it.
const EPOCHS: &[Form] = &[
    Form {
        pattern: r"(?:^|[\s:\]])(?<epoch>\d+)\|(?<step>\d+)\|loss:",
        example: "1|90|Loss: 0.9356",
    },
    Form {
        pattern: r"(?:^|\s)(?<epoch>\d+)(?:/(?<epochs>\d+))?epoch(?:(?<begins>\sstarted)|(?<done>\sresults)|:)",
        example: "17epoch:train:6376-6750batch: iter_time=0.001",
    },
    Form {
        pattern: r"\bstep/epoch\s\[(?<step>\d+)/(?<epoch>\d+)\]\[(?<batch>\d+)/(?<batches>\d+)\]",
        example: "Step/Epoch [2440/2][1180/1260]:total_eta: 1 day, 1:40:31",
    },
    Form {
        pattern: r"(?<step>\d+)\siter,\s(?<epoch>\d+)\sepoch\s/\s(?<epochs>\d+)\sepochs",
        example: "       200 iter, 0 epoch / 100 epochs",
    },
    Form {
        pattern: r"\bEp\.\s(?<epoch>\d+)\s:\sUp\.\s(?<step>\d+)",
        example: "Ep. 1 : Up. 20000 : Sen. 1,212,903 : Cost 5.85",
    },
    Form {
        pattern: r"\btrain\sbatch\s(?<epoch>\d+)/(?<batch>\d+)\sloss\s",
        example: "DEBUG TRAIN Batch 4/203800 loss 25.618004 loss_att 20.509174 rank 0",
    },
    Form {
        pattern: r"\[ep:\s*(?<epoch>\d+)\]",
        example: "Rank: 0; [ep: 0] iter: 57; lr: 1.11174; loss: 2.94718",
    },
    Form {
        pattern: r"^\W*ep\s(?<epoch>\d+)\s\|\siter\s",
        example: "Ep 1 | iter 120 | step 30: loss train (curr): 1.199",
    },
    Form {
        pattern: r"\btrain:\s*\[?(?<epoch>\d+)(?:/(?<epochs>\d+))?\]?\s*(?:\(\s*\d+%\)\s*)?\[\s*(?<batch>\d+)\s*/\s*(?<batches>\d+)",
        example: "Train:    1/3 ( 33%) [ 149/323 ( 46%)]  Loss: 28.79 (45.1)",
    },
    Form {
        pattern: r"\[(?<epoch>\d+)/(?<epochs>\d+)\]\[(?<batch>\d+)/(?<batches>\d+)\]\s*(?:loss|lr)",
        example: "[0/25][150/1583]\tLoss_D: 0.3",
    },
    Form {
        pattern: r"\b(?:saved?|saving|checkpoint)\b.*\bat\s(?<ended>\d+)\sepochs?\b",
        example: "mmcls - INFO - Saving checkpoint at 1 epochs",
    },
    Form {
        pattern: r"第\s*(?<epoch>\d+)\s*(?:(?:/|／)\s*(?<epochs>\d+)\s*)?(?:轮|个?\s?epoch|周期)|第?\s*(?<epochword>\d+)\s*/\s*(?<epochtotal>\d+)\s*(?:轮|エポック|에포크|epochs\b)",
        example: "第 3/10 轮，损失: 0.52",
    },
    Form {
        pattern: r#"\b(?:per|every|last|each|best|early|eval|total\s+number\s+of)\s+epochs?\b
          | \bnum(?:ber\s+of)?\s+epochs?\b
          | \bepoch(?:s|_\w+)?\s+(?:time|size|steps|duration|length|took)\b
          | (?:^|[^\w.\\/=-]|[\x80-\xff])(?:meta[-\s]|train(?:ing)?/|(?<ends>(?:end\sof|finish(?:ed|ing)?|complet(?:ed|ing))\s(?:epoch\s)?))?
            (?<word>epochs?|epoche|epocas?|épo(?:que|ca)s?|Épo(?:que|ca)s?|эпоха|Эпоха|эпохи|エポック|에포크|에폭|轮次|训练轮数)["']?\s*(?:\(train\))?
            (?:[\s|:=\#\[(]|：)*(?:-\s)?["']?(?<epoch>NUMBER)["']?
            (?:\s*(?:/|\bof\b|\bout\sof\b|\bvon\b|\bsur\b|\bde\b|из)\s*(?<epochs>NUMBER))?
            (?<after>[\s\]:,|()-]*(?:
              \[?\s*(?<batch>\d+)\s*/\s*(?<batches>\d+)(?<share>\s*\(\s*\d+(?:\.\d+)?\s*%)?
              | \[\s*(?<part>NUMBER)\s*%\]
              | \bprogress:\s+at\s+(?<progress>NUMBER)%
              | (?<done>(?:done|finished|completed|ended|average|complete|finish|results|training\stakes|has\sended|abgeschlossen|beendet|terminée?|completada|concluída)\b|完了|完成|结束|완료|завершена|окончена)
              | (?<begins>(?:start(?:s|ed|ing)?|begins?|beginnt|commence|comienza|começa)\b|開始|开始|시작|начало|начинается)
            ))?"#,
        example: "Epoch: [0]  [40/1504]  lr: 0.000003",
    },
];

/// Steps: `step` of `steps`; `whole` where they are told to be of the run; `batch` of `batches` where they
/// begin again in each epoch.
const STEPS: &[Form] = &[
    // NeMo counts the run, of which it names the last step.
    Form {
        pattern: r"\btraining\sepoch\s\d+,\siteration\s(?<whole>\d+)/(?<steps>\d+)",
        example: "Training epoch 0, iteration 126/149 | lr: 3e-05 | global_step: 126",
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
        pattern: r#"(?:^|[^\w./-]|training/)global[_\ ](?:step|iter(?:ation)?|batch)s?["']?\s*(?:=|:|\ )\s*["']?(?<whole>NUMBER)(?:\s*/\s*(?<steps>NUMBER))?"#,
        example: "Epoch 99, global step 35399: val_wer reached 0.10433",
    },
    Form {
        pattern: r"/global_step=(?<whole>NUMBER)",
        example: "timer.py:260:stop] epoch=0/micro_step=40/global_step=40, RunningAvgSamplesPerSec=44.81",
    },
    Form {
        pattern: r#"(?:^|[^\w./-])(?:num_updates|nupdates|updates?|acc_iter|n_iter)["']?\s*(?:=|:|\ )\s*["']?(?<whole>\d+(?:,\d{3})*)(?:\s*/\s*(?<steps>\d+(?:,\d{3})*))?(?:["',\s)\]|]|$)"#,
        example: "| epoch 001 | loss 5.3 | num_updates 1891 | lr 0.0001",
    },
    Form {
        pattern: r"\bsaving\scheckpoints?\sfor\s(?<whole>\d+)\sinto\b|(?:\bafter|@)\s(?<updates>\d+)\supdates\b|\bbatch\s+(?<round>\d+)\s+training\stime\b",
        example: "INFO:tensorflow:Saving checkpoints for 466 into /data/model.ckpt.",
    },
    Form {
        pattern: r"^(?:\S+:)?\[(?:-?\d+\.\d+,\s)*(?<whole>\d+),\s\d+\.\d+(?:e-?\d+)?\]$",
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
        pattern: r"^(?<whole>\d+):\s+learn:?\s|(?:^|\s)\[(?<round>\d+)\]:?\s+(?:[a-z][\w@'/-]*\s)?[a-z][\w@'/-]*:\s*-?\d",
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
        pattern: r#"(?:总步数|総ステップ|全ステップ|총\s?스텝|всего\sшагов)\D{0,8}\d+
          | \b(?:accum\w*|inference|sampl\w*|warm-?up|max|maximum|num|of|per|every|save|valid\w*|eval\w*|denoising|diffusion|logging|total(?:\s+\w+)?|optimi[sz]ation|gradient|epoch)\s+steps?\b
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
        pattern: r#"(?:^|[^\w./-]|/|[\x80-\xff])(?:batch(?:es)?|mini-?batch|micro[_-]step|micro[_\ ]batch|cur_iter|it|lote|lot|пакет|バッチ|배치|批次)["']?[\s|]*[:=\[]?\s*(?<batch>NUMBER)\s*/\s*(?<batches>NUMBER)"#,
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
        pattern: r#"\bpercent(?:age)?["']?\s*[:=]\s*["']?(?<percent>NUMBER)"#,
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

static EPOCHS_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(EPOCHS));
static STEPS_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(STEPS));
static PERCENTAGES_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(PERCENTAGES));
static BATCH_PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern(BATCHES.pattern));
static FRACTION_PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern(LONE_FRACTION.pattern));

/// The epoch of a line, and what stands in the same words.
pub(in super::super) fn epochs(line: &[u8]) -> Counters<&[u8]> {
    EPOCHS_TABLE
        .of(line)
        .find_map(|form| form.captures_iter(line).find_map(|found| epochs_of(line, &found)))
        .unwrap_or_default()
}

fn epochs_of<'a>(line: &'a [u8], found: &Captures<'a>) -> Option<Counters<&'a [u8]>> {
    let text = |name| found.name(name).map(|text| text.as_bytes());
    let mut counters = Counters::default();
    if let Some(ended) = text("ended") {
        counters.epochs = Epochs { epoch: Some(ended), total: None, form: EpochForm::Ended };
        return Some(counters);
    }
    let epoch = found.name("epoch").or_else(|| found.name("epochword"))?;
    let total = text("epochs").or_else(|| text("epochtotal"));
    let is_plural = text("word").is_some_and(|word| word.eq_ignore_ascii_case(b"epochs"));
    if is_plural && total.is_none() {
        // "epochs: 10" is how many, "epoch: 3" is which.
        return None;
    }
    if is_of_nested_object(line, epoch.start()) {
        return None;
    }
    let is_measure = total.is_none()
        && text("word").is_some()
        && line.get(epoch.end()).is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    if is_measure {
        return None;
    }
    let form = if text("ends").is_some() || text("done").is_some() {
        EpochForm::Ended
    } else if text("begins").is_some()
        || is_heading(line, found.get_match().start(), found.get_match().end())
    {
        EpochForm::Begins
    } else {
        EpochForm::Under
    };
    counters.epochs = Epochs { epoch: Some(epoch.as_bytes()), total, form };
    if let Some(done) = text("batch") {
        let counted = if text("share").is_some() { Counted::Examples } else { Counted::Batches };
        counters.batches = Some(Count { done, total: text("batches"), counted });
    }
    counters.steps = text("step").map(|done| Count { done, total: None, counted: Counted::Whole });
    counters.percentage = text("part")
        .or_else(|| text("progress"))
        .map(|number| Percentage { number, is_of_epoch: true });
    Some(counters)
}

/// Whether a place in a line is within an object of an object, or of a variable: `epoch_stats={"epoch": 8}`.
fn is_of_nested_object(line: &[u8], place: usize) -> bool {
    let mut opened = [0; 2];
    let mut depth = 0;
    for (at, byte) in line[..place].iter().enumerate() {
        match byte {
            b'{' => {
                if let Some(slot) = opened.get_mut(depth) {
                    *slot = at;
                }
                depth += 1;
            }
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth > 1 || (depth == 1 && line[..opened[0]].ends_with(b"="))
}

/// Whether a line says nothing after its epoch, and before it only what heads do.
fn is_heading(line: &[u8], start: usize, end: usize) -> bool {
    let is_blank = |byte: &u8| !byte.is_ascii_alphanumeric();
    let before = &line[..start];
    let is_start = before.ends_with(b"eginning ") || before.ends_with(b"tarting ");
    // The page reads "epoch 3/10" as 30 %.
    let is_pages_form = line.iter().all(|byte| !byte.is_ascii_uppercase() && byte.is_ascii());
    (line[end..].iter().all(is_blank) && !is_pages_form)
        || is_start
        || before.to_ascii_lowercase().ends_with(b"start train ")
        || before.ends_with(b"egin training ")
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
    for form in STEPS_TABLE.of(line) {
        let Some(count) =
            form.captures_iter(line).find_map(|found| steps_of(line, &found, has_loss))
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
        let counted = if epochs.epoch.is_some() { Counted::Batches } else { Counted::Steps };
        Some(Count { done: found.name("batch")?.as_bytes(), total: None, counted })
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

fn steps_of<'a>(line: &'a [u8], found: &Captures<'a>, has_loss: bool) -> Option<Count<&'a [u8]>> {
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
        word.as_bytes().to_ascii_lowercase().ends_with(b"s") && total.is_none() && !has_loss
    });
    let is_completed = found
        .get_match()
        .as_bytes()
        .to_ascii_lowercase()
        .windows(9)
        .any(|word| word == b"completed");
    // A count is whole. A logger of floats writes `global_step=12.00`.
    let is_fraction = counted != Counted::Whole && done.as_bytes().contains(&b'.');
    let is_iteration = found
        .name("word")
        .is_some_and(|word| word.as_bytes().to_ascii_lowercase().starts_with(b"it"));
    let counted = if is_iteration { Counted::Iterations } else { counted };
    let is_none = is_measure || (is_plural && !is_completed) || is_fraction;
    (!is_none).then_some(Count {
        done: done.as_bytes(),
        total: total.map(|total| total.as_bytes()),
        counted,
    })
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

/// The epoch at the head of a row of columns before a bar: `3/49  11.9G  0.0217 …`.
pub(in super::super) fn epoch_of_row(description: &[u8]) -> Option<Epochs<&[u8]>> {
    let mut columns =
        description.split(u8::is_ascii_whitespace).filter(|column| !column.is_empty());
    let first = columns.next()?;
    let slash = first.iter().position(|byte| *byte == b'/')?;
    let (epoch, total) = (&first[..slash], &first[slash + 1..]);
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let is_row = columns.filter(|column| column[0].is_ascii_digit()).count() >= 3;
    (is_row && is_number(epoch) && is_number(total)).then_some(Epochs {
        epoch: Some(epoch),
        total: Some(total),
        form: EpochForm::Under,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found_in_its_example() {
        for forms in [EPOCHS, STEPS, PERCENTAGES] {
            super::super::assert_that_examples_match(forms);
        }
        super::super::assert_that_examples_match(&[BATCHES, LONE_FRACTION]);
    }
}
