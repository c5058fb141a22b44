//! Lines that say nothing of how far a run is.

use super::log::{Log, bar};

/// What libraries and machines print at any time.
const LINES: &[&str] = &[
    "UserWarning: torch.utils.checkpoint: please pass use_reentrant explicitly",
    "output_dir=/runs/validation-04/checkpoint-1800",
    "08/21 [02:37:18] scheduler: cosine",
    "gpu memory: 11.2/24.0 GB",
    "node-3:1412:1530 [1] NCCL INFO Channel 00/02 : 0 1",
    "node-3:1412:1530 [1] NCCL INFO Connected all rings",
    "wandb: Run data is kept in wandb/run-20260301_100000",
    "10.0.0.7 - - \"GET /metrics?step=3 HTTP/1.1\" 200",
    "gradient norm clipped to 1.0",
    "throughput: 812.4 tokens/s",
    "GPU 0: 71C, fan 40%, 24064MiB / 24564MiB",
    "retry 2/5 after a timeout of the metrics server",
    "Skipped 3/40 images that could not be decoded",
    "dataloader worker 2/8 is slow",
    "W0301 10:00:00.000000 140 torch/distributed/run.py:793] OMP_NUM_THREADS is 1",
    "FutureWarning: `evaluation_strategy` will go, say `eval_strategy`",
    "[W] 3 of 20 requests to the object store were slow",
];

/// What is printed of a run's settings before it begins.
const SETTINGS: &[&str] = &[
    "  checkpoint_every: 500",
    "validation_steps=250, checkpointing_steps=500",
    "--eval_strategy=steps --save_strategy=epoch --seed 42",
    "gradient_checkpointing: true",
    "lr_warmup_steps=100",
    "resume_from_checkpoint: null",
    "mixed_precision=bf16, batch_size=8, loss=mse",
    "data: /data/train/step_900/validation",
    "save_total_limit: 3",
];

/// A line of noise.
pub(super) fn line(log: &mut Log) {
    if log.random.chance(10) {
        // People disagree what a run does that downloads something meanwhile.
        let stage = log.truth.stage.take();
        log.end_bar();
        log.bar(&bar("Downloading: ", 3, 3, ""));
        log.end_bar();
        log.truth.stage = stage;
        return;
    }
    let line = log.random.pick(LINES);
    log.line(line);
}

/// Settings before the run.
pub(super) fn settings(log: &mut Log, percent: u64) {
    for setting in SETTINGS {
        if log.random.chance(percent) {
            log.line(setting);
        }
    }
}
