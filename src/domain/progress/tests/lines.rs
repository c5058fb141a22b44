//! Single lines: those that people labelled, and others of the same kinds.

use serde::Deserialize;

use super::super::*;

const LINES: &str = include_str!("../../../../tests/data/log_lines.jsonl");

#[derive(Debug, Deserialize)]
struct Labelled {
    line: String,
    stage: String,
    step: String,
    epoch: String,
    loss: String,
}

/// Every line that these tests know.
pub(in super::super) fn all_lines() -> Vec<String> {
    let labelled = LINES.lines().map(|line| serde_json::from_str::<Labelled>(line).unwrap().line);
    let more = MORE_LINES.iter().map(|(line, ..)| (*line).to_owned());
    labelled.chain(more).collect()
}

fn stage_of(label: &str) -> Option<Stage> {
    match label {
        "loading" | "preprocessing" => Some(Stage::Preprocessing),
        "warmup" => Some(Stage::Warmup),
        "training" => Some(Stage::Training),
        "validation" => Some(Stage::Validation),
        "checkpoint" => Some(Stage::SavingCheckpoint),
        _ => None,
    }
}

fn part(label: &str, at: usize) -> Option<f64> {
    label.split('/').nth(at)?.parse().ok()
}

fn is_near(found: Option<f64>, wanted: Option<f64>) -> bool {
    match (found, wanted) {
        (Some(found), Some(wanted)) => {
            (found.is_nan() && wanted.is_nan())
                || (found - wanted).abs() <= 1e-4 * wanted.abs().max(1.0)
        }
        (found, wanted) => found.is_none() && wanted.is_none(),
    }
}

#[test]
fn labelled_lines_are_read_as_people_read_them() {
    let lines: Vec<Labelled> =
        LINES.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (mut wrong_stages, mut wrong_numbers) = (Vec::new(), Vec::new());
    for wanted in &lines {
        let found = parse_line(&wanted.line);
        if found.stage != stage_of(&wanted.stage) {
            wrong_stages.push((&wanted.line, &wanted.stage, found.stage));
        }
        let numbers = [
            (found.step.map(|step| step as f64), part(&wanted.step, 0)),
            (found.total_steps.map(|total| total as f64), part(&wanted.step, 1)),
            (found.epoch, part(&wanted.epoch, 0)),
            (found.total_epochs.map(|total| total as f64), part(&wanted.epoch, 1)),
            (found.loss, part(&wanted.loss, 0)),
        ];
        if numbers.iter().any(|&(found, wanted)| !is_near(found, wanted)) {
            wrong_numbers.push((&wanted.line, numbers));
        }
    }
    assert!(wrong_numbers.is_empty(), "{wrong_numbers:#?}");
    assert!(wrong_stages.is_empty(), "{wrong_stages:#?}");
}

/// Lines of the same kinds that are not in the file: stage, step/total, epoch/total, loss.
const MORE_LINES: &[(&str, &str, &str, &str, &str)] = &[
    // The page's own examples.
    ("Step 1500/5000 - loss: 0.0234", "training", "1500/5000", "-", "0.0234"),
    ("epoch 3/10", "training", "-", "3/10", "-"),
    ("warming up", "warmup", "-", "-", "-"),
    ("Warmup started", "warmup", "-", "-", "-"),
    ("Saving checkpoint", "checkpoint", "-", "-", "-"),
    ("Validating…", "validation", "-", "-", "-"),
    ("Validating...", "validation", "-", "-", "-"),
    ("preprocessing images", "preprocessing", "-", "-", "-"),
    ("Loading model", "loading", "-", "-", "-"),
    // SimpleTuner.
    ("[TRAINING] Step 500/2000 (25.0%) Status: running", "training", "500/2000", "-", "-"),
    ("[CHECKPOINT] Checkpoint saved", "checkpoint", "-", "-", "-"),
    ("[STAGE] • VAE Cache initialising (12/100)", "preprocessing", "-", "-", "-"),
    (
        "[STAGE] ✓ VAE Cache initialising (100.0%): VAE cache initialization complete",
        "preprocessing",
        "-",
        "-",
        "-",
    ),
    (
        "[STAGE] ⏳ Loading base model: Loading model: `black-forest-labs/FLUX.1-dev`...",
        "loading",
        "-",
        "-",
        "-",
    ),
    ("[STAGE] ⏳ Running validation", "validation", "-", "-", "-"),
    ("[STAGE] ✓ Training Complete: Training complete.", "completed", "-", "-", "-"),
    ("[ERROR] Training failed: CUDA out of memory at step 12/100", "failed", "-", "-", "-"),
    ("-  Num batches = 1000", "training", "-", "-", "-"),
    ("-  Num Epochs = 21", "training", "-", "-/21", "-"),
    ("  - Gradient Accumulation steps = 1", "training", "-", "-", "-"),
    ("-  Total optimization steps = 2000", "training", "-/2000", "-", "-"),
    ("-  Total optimization steps remaining = 1500", "training", "-", "-", "-"),
    ("  - Instantaneous batch size per device = 1", "training", "-", "-", "-"),
    ("(Rank: 0)  | 1.0        | 12          ", "preprocessing", "-", "-", "-"),
    ("lr_warmup_steps=100", "none", "-", "-", "-"),
    ("Invalidated cache", "none", "-", "-", "-"),
    ("Validating arguments", "none", "-", "-", "-"),
    ("Validating lr scheduler arguments...", "none", "-", "-", "-"),
    ("Enabling gradient checkpointing", "none", "-", "-", "-"),
    ("gradient_checkpointing: true", "none", "-", "-", "-"),
    ("checkpointing_steps = 500", "none", "-", "-", "-"),
    ("validation_steps: 100", "none", "-", "-", "-"),
    ("Warmup steps: 100", "none", "-", "-", "-"),
    ("Uploading model to the hub", "none", "-", "-", "-"),
    ("Uploading: 100%|██████████| 12.3M/12.3M [00:02<00:00, 5.1MB/s]", "none", "-", "-", "-"),
    (
        "model.safetensors:  45%|████▌     | 1.23M/2.50M [00:01<00:01, 1.10MB/s]",
        "none",
        "-",
        "-",
        "-",
    ),
    ("Fetching 7 files:  14%|█▍        | 1/7 [00:01<00:07,  1.20s/it]", "none", "-", "-", "-"),
    (
        "/usr/lib/python3.10/torch/utils/checkpoint.py:429: UserWarning: torch.utils.checkpoint: please pass in use_reentrant",
        "none",
        "-",
        "-",
        "-",
    ),
    (
        "RuntimeError: Error(s) in loading state_dict for UNet2DConditionModel:",
        "failed",
        "-",
        "-",
        "-",
    ),
    ("Checkpoint 'latest' does not exist. Starting a new training run.", "none", "-", "-", "-"),
    ("GPU memory 6.3G/14.0G", "none", "-", "-", "-"),
    // diffusers.
    (
        "Loading checkpoint shards: 100%|██████████| 2/2 [00:01<00:00,  1.50it/s]",
        "loading",
        "-",
        "-",
        "-",
    ),
    (
        "Loading pipeline components...:  57%|█████▋    | 4/7 [00:00<00:00, 12.06it/s]",
        "loading",
        "-",
        "-",
        "-",
    ),
    ("11/20/2024 10:00:00 - INFO - __main__ -   Num Epochs = 84", "training", "-", "-/84", "-"),
    (
        "11/20/2024 10:00:00 - INFO - __main__ -   Gradient Accumulation steps = 4",
        "none",
        "-",
        "-",
        "-",
    ),
    ("11/20/2024 10:00:00 - INFO - __main__ - Running validation... ", "validation", "-", "-", "-"),
    (
        "11/20/2024 10:00:00 - INFO - accelerate.accelerator - Saving current state to out/checkpoint-500",
        "checkpoint",
        "-",
        "-",
        "-",
    ),
    (
        "Model weights saved in out/checkpoint-500/pytorch_lora_weights.safetensors",
        "checkpoint",
        "-",
        "-",
        "-",
    ),
    ("Configuration saved in out/checkpoint-500/config.json", "checkpoint", "-", "-", "-"),
    // kohya-ss.
    ("running training / 学習開始", "training", "-", "-", "-"),
    ("saving checkpoint: /out/last-000002.safetensors", "checkpoint", "-", "-", "-"),
    ("model saved.", "checkpoint", "-", "-", "-"),
    ("epoch is incremented. current_epoch: 0, epoch: 1", "training", "-", "1/-", "-"),
    ("load StableDiffusion checkpoint: /models/v1-5.ckpt", "loading", "-", "-", "-"),
    ("  num batches per epoch / 1epochのバッチ数: 160", "none", "-", "-", "-"),
    (
        "generating sample images at step / サンプル画像生成 ステップ: 250",
        "validation",
        "-",
        "-",
        "-",
    ),
    (
        "steps:  25%|██▌       | 400/1600 [06:40<20:00,  1.00s/it, avr_loss=0.0912]",
        "training",
        "400/1600",
        "-",
        "0.0912",
    ),
    // ai-toolkit.
    ("Saving at step 500", "checkpoint", "500/-", "-", "-"),
    ("Saved checkpoint to /out/x_000000500.safetensors", "checkpoint", "-", "-", "-"),
    (
        "my_validation_lora:  10%|█         | 200/2000 [03:20<30:00,  1.00s/it, lr: 1.0e-04 loss: 3.2e-01]",
        "training",
        "200/2000",
        "-",
        "0.32",
    ),
    // Hugging Face Trainer.
    ("{'eval_loss': 0.71, 'eval_runtime': 3.2, 'epoch': 2.0}", "validation", "-", "2/-", "-"),
    ("{'train_runtime': 120.5, 'train_loss': 0.4, 'epoch': 3.0}", "completed", "-", "-", "-"),
    (
        "{'loss': nan, 'grad_norm': nan, 'learning_rate': 0.0, 'epoch': 0.5}",
        "training",
        "-",
        "0.5/-",
        "nan",
    ),
    ("  Total optimization steps = 1,500", "training", "-/1500", "-", "-"),
    (
        "Tokenizing train dataset:  40%|████      | 400/1000 [00:01<00:01, 300.00 examples/s]",
        "preprocessing",
        "-",
        "-",
        "-",
    ),
    // Lightning, PyTorch, Keras, Megatron.
    (
        "Sanity Checking DataLoader 0: 100%|██████████| 2/2 [00:01<00:00,  1.90it/s]",
        "validation",
        "-",
        "-",
        "-",
    ),
    (
        "Epoch 0: :  65%|██████▌   | 13/20 [03:25<01:50, reduced_train_loss=3.850, global_step=12.00]",
        "training",
        "13/20",
        "0/-",
        "3.85",
    ),
    (
        "Epoch 2/9 ━━━━━━━━━━━━━━━━ 16/32 0:00:01 • 0:00:02 11.20it/s v_num: 0.000 train_loss: 0.51",
        "training",
        "16/32",
        "2/9",
        "0.51",
    ),
    ("Epoch [2/5], Step [100/600], Loss: 0.3412", "training", "100/600", "2/5", "0.3412"),
    (
        " 12/100 [==>...........................] - ETA: 3s - loss: 0.312",
        "training",
        "12/100",
        "-",
        "0.312",
    ),
    (
        " iteration       10/  500000 | consumed samples: 2560 | elapsed time per iteration (ms): 936.0 | learning rate: 1.500E-04 | lm loss: 1.042E+01 |",
        "training",
        "10/500000",
        "-",
        "10.42",
    ),
    ("Epoch 3 - train loss: 0.5 - val loss: 0.4", "training", "-", "3/-", "0.5"),
    ("Total training steps: 1000", "training", "-/1000", "-", "-"),
    ("[INFO] (validation) Running validation prompts: 1/4", "validation", "-", "-", "-"),
    ("Continuing from checkpoint", "loading", "-", "-", "-"),
    ("Loss is nan at step 100", "training", "100/-", "-", "nan"),
    (
        "Epoch 1:  50%|█████     | 50/100 [00:10<00:10,  5.00it/s, v_num=0, val_loss_epoch=0.5, train_loss_step=0.123]",
        "training",
        "50/100",
        "1/-",
        "0.123",
    ),
    ("validation loss: 0.412", "validation", "-", "-", "-"),
    ("Trainer was stopped after 10 epochs", "none", "-", "-", "-"),
    ("`Trainer.fit` stopped: `max_epochs=5` reached.", "completed", "-", "-", "-"),
];

#[test]
fn lines_of_the_same_kinds_are_read_as_well() {
    let mut wrong = Vec::new();
    for &(line, stage, step, epoch, loss) in MORE_LINES {
        let found = parse_line(line);
        let number = |count: Option<u64>| count.map(|count| count as f64);
        let is_right = found.stage == stage_of(stage)
            && is_near(number(found.step), part(step, 0))
            && is_near(number(found.total_steps), part(step, 1))
            && is_near(found.epoch, part(epoch, 0))
            && is_near(number(found.total_epochs), part(epoch, 1))
            && is_near(found.loss, part(loss, 0));
        if !is_right {
            wrong.push((line, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
