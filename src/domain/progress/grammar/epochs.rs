//! Where a line tells the epoch.

use std::sync::LazyLock;

use regex::bytes::Captures;

use super::counters::{Count, Counted, Counters, EpochForm, Epochs, Percentage};
use super::{Form, Table};

/// Where an epoch stands: `epoch`, `epochs`; in the same words also `batch` of `batches`, with `share` if
/// these count examples, and `part`, a percentage of the epoch. Where a trap looks like the thing itself, it
/// is the first alternative and has no name: it is consumed, and the search goes on after it.
const EPOCHS: &[Form] = &[
    // Lightning's names of checkpoints.
    Form {
        pattern: r"\bepoch=(?<epoch>\d+)-step=(?<step>\d+)\.ckpt",
        example: "DEBUG:fsspec.local:open file: /out/checkpoints/epoch=814-step=994942.ckpt",
    },
    Form {
        pattern: r"(?:^|[\s:\]])(?<epoch>\d+)\|(?<step>\d+)\|loss:",
        example: "1|90|Loss: 0.9356",
    },
    Form {
        pattern: r"(?:^|\s)(?<epoch>\d+)(?:/(?<epochs>\d+))?epoch(?:(?<begins>\sstarted)|(?<done>\sresults)|:train:\d+-(?<batch>\d+)batch|:)",
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
        pattern: r"^\s*stage\s(?<epoch>\d+)/(?:(?<epochs>\d+)|∞)\s*$", example: "stage 2/∞"
    },
    Form {
        pattern: r"\sepch:(?<epoch>NUMBER)",
        example: "INFO ot_train.py:357 step:3K smpl:96K ep:304 epch:7.59 loss:0.238",
    },
    // A tutorial of PyTorch.
    Form {
        pattern: r"^\[(?<epoch>\d+),\s+(?<batch>\d+)\]\s+loss:",
        example: "[2,  4000] loss: 1.849",
    },
    Form {
        pattern: r"\[ep:\s*(?<epoch>\d+)\]",
        example: "Rank: 0; [ep: 0] iter: 57; lr: 1.11174; loss: 2.94718",
    },
    Form {
        pattern: r"^\W*ep\s(?<epoch>\d+)[\s|,:]+(?:iter|step|batch)\s",
        example: "Ep 1 | iter 120 | step 30: loss train (curr): 1.199",
    },
    Form {
        pattern: r"\btrain:\s*\[?(?<epoch>\d+)(?:/(?<epochs>\d+))?\]?\s*(?:\(\s*\d+%\)\s*)?\[\s*(?<batch>\d+)\s*/\s*(?<batches>\d+)",
        example: "Train:    1/3 ( 33%) [ 149/323 ( 46%)]  Loss: 28.79 (45.1)",
    },
    Form {
        pattern: r"\[(?<epoch>\d+)/(?<epochs>\d+)\]\s?\[(?<batch>\d+)/(?<batches>\d+)\]\s*(?:loss|lr)",
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
            (?<word>epochs?|epoche|epocas?|épo(?:que|ca)s?|Épo(?:que|ca)s?|эпоха|Эпоха|эпохи|エポック|에포크|에폭|轮次|训练轮数)["']?\s*(?:\((?:train|val)\)|\.+\s\()?
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
/// In how many places of a line an epoch is looked for; no line of a trainer has as many.
const PLACES_MAX: usize = 16;

static EPOCHS_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(EPOCHS));

/// The expressions of the tables.
pub(super) fn patterns() -> impl Iterator<Item = &'static str> {
    EPOCHS.iter().map(|form| form.pattern)
}

/// The epoch of a line, and what stands in the same words.
pub(in super::super) fn epochs(line: &[u8]) -> Counters<&[u8]> {
    EPOCHS_TABLE
        .of(line)
        .find_map(|form| {
            form.captures_iter(line).take(PLACES_MAX).find_map(|found| epochs_of(line, &found))
        })
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
        super::super::assert_that_examples_match(EPOCHS);
    }
}
