//! Totals that are told before they are counted, and where runs begin.

use std::sync::LazyLock;

use super::{Form, Table};

/// What a run will take, as far as a line tells.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in super::super) struct Announced<T> {
    /// Steps of the run.
    pub(in super::super) steps: Option<T>,
    /// Steps that a setting asks for: believed only beside a count of steps without a total.
    pub(in super::super) asked_steps: Option<T>,
    /// Epochs of the run.
    pub(in super::super) epochs: Option<T>,
    /// Epochs that a setting asks for: believed only where nothing else tells how many there are.
    pub(in super::super) asked_epochs: Option<T>,
    /// Batches of one epoch.
    pub(in super::super) batches: Option<T>,
}

/// Each names what it finds: `steps`, `asked`, `epochs`, `askedepochs`, `batches`.
const TOTALS: &[Form] = &[
    Form {
        // The GUI of kohya-ss estimates before it knows of epochs, and is overruled by the trainer.
        pattern: r"^\d+:\d+:\d+-\d+\s+info\s+total\s+steps:
          | \b(?:total\s+(?:number\s+of\s+)?|number\s+of\s+)(?:optimi[sz]ation\s+|train(?:ing)?\s+)?(?:steps|iterations|updates)\b
          (?<between>[^:=\d]*)[:=]\s*(?:\d+/)?(?<steps>NUMBER)\s*(?:$|[^\w/%])",
        example: "  Total optimization steps = 1,500",
    },
    Form {
        pattern: r"\btotal\s+steps\s+(?<steps>NUMBER)\s*\(|\bnum\s+steps\s+=\s+(?<iters>NUMBER)$|\bepochs:\s*\d+;\s+iters:\s*(?<ofiters>NUMBER)",
        example: "sequence length 2048, total steps 1000 (warmup 40)",
    },
    Form {
        pattern: r"\bmaximum\s+training\s+steps\s+at\s+(?<steps>NUMBER)\s+because\s+we\s+have\s+(?<epochs>NUMBER)\s+epochs\s+and\s+(?<batches>NUMBER)\s+steps",
        example: "Calculated our maximum training steps at 2808 because we have 2 epochs and 1404 steps per epoch.",
    },
    Form {
        pattern: r"\btotal\s+epochs\s+needed:\s*(?<epochs>NUMBER)\s+for\s+iters\s+(?<steps>NUMBER)|\btraining\s+for\s+(?<iters>NUMBER)\s+kimg\b",
        example: "23-05-05 21:25:40.000 - INFO: Total epochs needed: 98 for iters 600,000",
    },
    Form {
        pattern: r"\bstarting\s+training\W+iters:\s*(?<steps>NUMBER)\b|\bmax:\s*(?<iters>NUMBER)\s+iters\b",
        example: "mmseg - INFO - workflow: [('train', 1)], max: 40000 iters",
    },
    Form {
        pattern: r"\btrain(?:ing)?\s+(?:\w+\s+)?for\s+(?<steps>NUMBER)\s+(?:steps|iterations|iters|updates)\b",
        example: "Training for 1000 steps",
    },
    Form {
        pattern: r#"(?:^|[\s'"`{(,]|--(?:\w+\.)?)max_(?:train_|num_)?(?:iters?|iterations|steps|updates?)["']?(?:\s*[:=]\s*|\s["']?)(?<asked>NUMBER)\b|\bmaximum\s+steps\s*=\s*(?<most>NUMBER)|\bcfg\.steps=(?<configured>NUMBER)\b"#,
        example: "max_iter: 110000",
    },
    Form {
        pattern: r"\btotal\s+number\s+of\s+epochs|\bnum(?:ber\s+of)?\s+(?:training\s+)?epochs?\b(?<between>[^:=\d]*)[:=]\s*(?<epochs>NUMBER)",
        example: "  num epochs / epoch数: 20",
    },
    Form {
        pattern: r"\bmax:\s*(?<epochs>NUMBER)\s+epochs\b|\b(?:train\w*|start\w*|run\w*|fit\w*|steps|learn\w*)\b[^.;=]*\bfor\s+(?:up\s+to\s+)?(?<forepochs>NUMBER)\s+(?:meta\s+)?epochs?\b",
        example: "Starting MAML for 20 meta epoch(s)",
    },
    Form {
        pattern: r#"(?:^|[^\w.\\-]|\btrainer\.)(?:scheduled\s+|training\s+|total\s+|num_(?:train_)?|max_|n_|total_)?epochs["']?\s*[:=]\s*["']?(?<askedepochs>NUMBER)\b"#,
        example: "Scheduled epochs: 310. LR stepped per epoch.",
    },
    Form {
        pattern: r#"\s--(?:\w+\.)?(?:num_train_|num_|max_train_|max_)?epochs[=\s]["']?(?<askedepochs>NUMBER)\b"#,
        example: "accelerate launch train.py --num_train_epochs 10 --lr 1e-4",
    },
    Form {
        pattern: r#"\b(?:max|total)_epoch["']?[\s:=]+(?<askedepochs>NUMBER)\b"#,
        example: "max_epoch: 1177",
    },
    Form {
        pattern: r"合計\s*(?<japanese>NUMBER)\s*ステップ|共\s*(?<chinese>NUMBER)\s*步|총\s*(?<korean>NUMBER)\s*(?:스텝|단계)",
        example: "学習を開始します（3エポック、合計300ステップ）",
    },
    Form {
        pattern: r"(?:总步数|総ステップ数?|총\s*(?:스텝|단계)\s?수?)\W{0,8}(?<steps>NUMBER)|\binsgesamt\s(?<iters>NUMBER)\sschritte|всего\sшагов\W{0,3}(?<ofiters>NUMBER)",
        example: "Training beginnt: 3 Epochen, insgesamt 300 Schritte",
    },
    Form {
        pattern: r"(?<steps>NUMBER)\s(?:pasos|passos|étapes)\s(?:en|no|au)\stotal|\btotal\sd[e']\s?(?:pasos|passos|étapes)\W{0,4}(?<iters>NUMBER)",
        example: "Inicio del entrenamiento: 3 épocas, 300 pasos en total",
    },
    Form {
        pattern: r"(?:\bbeginnt|обучения|entrenamiento|treinamento|entraînement)\W{1,4}(?<epochs>NUMBER)\s(?:epochen|эпох|épocas|époques)",
        example: "Начало обучения: 3 эпохи, всего шагов 300",
    },
    Form {
        pattern: r"\(\s*(?<epochs>NUMBER)\s+(?:epochs|époques|épocas|Epochen|эпох|エポック|에포크|轮)\s*\)|共\s*(?<ofepochs>\d+)\s*轮|(?:über|für)\s+(?<germanepochs>\d+)\s+epochen",
        example: "Début de l'entraînement (5 époques)",
    },
    Form {
        pattern: r"\b(?:num(?:ber\s+of)?\s+(?:training\s+)?batches(?:\s+(?:per|each|in\san)\s+epoch)?\b[^:=]*[:=]|(?:steps|batches|iters|iterations)\s+per\s+epoch\s*[:=]|total\s+(?:micro|generation)\s+batches)\s*(?<batches>NUMBER)",
        example: "  num batches per epoch / 1epochのバッチ数: 246",
    },
];

/// A run begins: what was told before were settings, or an earlier run.
const BEGINNINGS: &[Form] = &[
    Form { pattern: r"\brunning\s+training\b", example: "***** Running training *****" },
    Form {
        pattern: r"\b(?:resum(?:ed|ing)|continuing\s+training\s+from)\b",
        example: "Resuming from checkpoint checkpoint-1000",
    },
    Form {
        pattern: r"\bstart(?:ing)?\s\w+\sfor\s\d+\smeta\sepoch",
        example: "Starting MAML for 20 meta epoch(s)",
    },
];

/// A program died: what is counted next may be another run.
const DEATHS: &[Form] = &[
    Form {
        pattern: r"(?:^|\s)killed\b|\bcore\s+dumped\b|\bsig(?:kill|term|segv)\b",
        example: "Killed",
    },
    Form {
        pattern: r"\btraceback\s+\(most\s+recent|^\W*(?:\w+\.)*\w*(?:error|exception|interrupt)\b",
        example: "torch.cuda.OutOfMemoryError: CUDA out of memory.",
    },
    Form {
        pattern: r"\bexit(?:ed|s)?\s?(?:with\s)?(?:code|status)|\bexitcode\b",
        example: "main process exited with code 137",
    },
];

/// The run is over, in words that say first what is done now.
const ENDS: &[Form] = &[
    Form {
        pattern: r"\bsaving\s+final\s+epoch\b",
        example: "INFO:torchtune.utils._logging:Saving final epoch checkpoint.",
    },
    Form {
        pattern: r"\btrainer\.fit`?\s+stopped\b",
        example: "`Trainer.fit` stopped: `max_steps=400000` reached.",
    },
    Form {
        pattern: r"^shrink\s+model\s+to\s+first\s+\d+\s+iterations",
        example: "Shrink model to first 250 iterations. (min iterations for best model = 250)",
    },
];

/// One of several trainings begins or ends, and how many there are in all nobody knows.
const PARTS: &[Form] = &[
    Form {
        pattern: r"\brunning\s+trial\s+\#?\d+|^\W*trial\s+\#?\d+\s+(?:complete|started|finished)|\btrial\s+\d+\s+finished\s+with\s+value",
        example: "Search: Running Trial #63",
    },
    Form {
        pattern: r"^\W*(?:(?:running|starting|training)\s+)?(?:cv\s+)?fold\s*[:\#]?\s*\d+(?:\s*(?:/|of)\s*\d+)?\W*$",
        example: "===== Fold 2 =====",
    },
];

static TOTALS_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(TOTALS));
static DEATHS_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(DEATHS));
static ENDS_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(ENDS));
static PARTS_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(PARTS));
static BEGINNINGS_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(BEGINNINGS));

/// The expressions of the tables.
pub(super) fn patterns() -> impl Iterator<Item = &'static str> {
    [TOTALS, BEGINNINGS, DEATHS, ENDS, PARTS].into_iter().flatten().map(|form| form.pattern)
}

/// What a line announces.
pub(in super::super) fn announced(line: &[u8]) -> Announced<&[u8]> {
    let mut all = Announced::default();
    for form in TOTALS_TABLE.of(line) {
        let Some(found) = form.captures(line) else { continue };
        let text = |name| found.name(name).map(|text| text.as_bytes());
        let is_of_the_rest = text("between").is_some_and(|between| {
            between.windows(9).any(|window| window.eq_ignore_ascii_case(b"remaining"))
        });
        if is_of_the_rest {
            continue;
        }
        all.steps = all.steps.or_else(|| {
            ["steps", "iters", "ofiters", "chinese", "japanese", "korean"]
                .into_iter()
                .find_map(text)
        });
        all.asked_steps =
            all.asked_steps.or_else(|| ["asked", "most", "configured"].into_iter().find_map(text));
        let epochs = ["epochs", "forepochs", "ofepochs", "germanepochs"].into_iter().find_map(text);
        all.epochs = all.epochs.or(epochs);
        all.asked_epochs = all.asked_epochs.or_else(|| text("askedepochs"));
        all.batches = all.batches.or_else(|| text("batches"));
    }
    all
}

/// Whether a line says that what is trained is one of several.
pub(in super::super) fn tells_part(line: &[u8]) -> bool {
    PARTS_TABLE.all.is_match(line)
}

/// Whether a line says that the run is over, whatever else it says.
pub(in super::super) fn tells_end(line: &[u8]) -> bool {
    ENDS_TABLE.all.is_match(line)
}

/// Whether a line says that a program died.
pub(in super::super) fn tells_death(line: &[u8]) -> bool {
    DEATHS_TABLE.all.is_match(line)
}

/// Whether a line says that a run begins or resumes.
pub(in super::super) fn begins_run(line: &[u8]) -> bool {
    BEGINNINGS_TABLE.all.is_match(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found_in_its_example() {
        for forms in [TOTALS, PARTS, DEATHS, ENDS, BEGINNINGS] {
            super::super::assert_that_examples_match(forms);
        }
    }
}
