//! The log of a simulated training run, in the form SimpleTuner on Replicate prints it: lines of its own
//! webhook receiver (`[STAGE] …`) and a tqdm bar whose frames are separated by `\r`, not `\n`.
//!
//! Pure and prefix-stable: the text at an earlier moment is always a prefix of the text at a later one.

use super::scenario::{End, Scenario};

/// The most bar frames a run prints: keeps a log under half a megabyte whatever the number of steps.
const MOST_FRAMES: u32 = 4000;
/// tqdm draws no two frames closer than this.
const FRAME_INTERVAL_SECONDS: f64 = 0.1;
/// The line a run prints when it is told to stop.
pub(super) const ABORTED_LINE: &str = "\n[STAGE] ✓ Training Aborted: Aborting training run.\n";

/// What the run has printed `elapsed_seconds` (simulated) after the creation of its job.
pub(super) fn text(scenario: &Scenario, elapsed_seconds: f64) -> String {
    let mut log = Log { elapsed_seconds, text: String::new() };
    if scenario.end != End::Abort {
        prepare(&mut log, scenario);
        train(&mut log, scenario);
        finish(&mut log, scenario);
    }
    log.text
}

/// Collects what was printed up to a moment.
struct Log {
    elapsed_seconds: f64,
    text: String,
}

impl Log {
    fn reaches(&self, at_seconds: f64) -> bool {
        at_seconds <= self.elapsed_seconds
    }

    fn line(&mut self, at_seconds: f64, line: &str) {
        if self.reaches(at_seconds) {
            self.text.push_str(line);
            self.text.push('\n');
        }
    }
}

fn prepare(log: &mut Log, scenario: &Scenario) {
    let at = |share: f64| scenario.queue_seconds + share * scenario.setup_seconds;
    let at_start = at(0.0);
    log.line(at_start, "[COG] Webhook receiver started on http://127.0.0.1:42205/webhook");
    log.line(at(0.05), "[STAGE] ⏳ Configuring data backends: Configuring data backends... (this may take a while!)");
    for (share, percent) in [(0.2, 12.5), (0.3, 37.0), (0.45, 71.5), (0.55, 100.0)] {
        log.line(at(share), &format!("[STAGE] ⏳ Caching text embeddings ({percent:.1}%)"));
    }
    log.line(at(0.7), "Loading checkpoint shards: 100%|██████████| 3/3 [00:02<00:00,  1.31it/s]");
    log.line(at(0.8), "Unloading text encoders, as they are not being trained.");
    log.line(at(0.9), "***** Running training *****");
    log.line(at(0.9), &format!("-  Total optimization steps = {}", scenario.steps));
    if scenario.starting_step > 0 {
        let resumed = format!(
            "[STAGE] ✓ Resume Checkpoint: Resumed from global_step {}",
            scenario.starting_step
        );
        log.line(at(0.95), &resumed);
    }
}

fn train(log: &mut Log, scenario: &Scenario) {
    let training_at = scenario.training_at_seconds();
    if !log.reaches(training_at) {
        return;
    }
    log.text.push_str(&first_frame(scenario));
    let stride = frame_stride(scenario);
    let last = scenario.last_step();
    for step in scenario.starting_step + 1..=last {
        let done_at = scenario.step_done_at_seconds(step);
        if !log.reaches(done_at) {
            return;
        }
        let pauses = scenario.validates_after(step) || scenario.saves_after(step);
        if step.is_multiple_of(stride) || step == last || pauses {
            log.text.push_str(&frame(scenario, step));
        }
        if pauses {
            pause(log, scenario, step, done_at);
        }
    }
}

/// What stands between two steps: a validation, a checkpoint, or both in this order.
fn pause(log: &mut Log, scenario: &Scenario, step: u32, done_at: f64) {
    let mut at = done_at;
    log.text.push('\n');
    if scenario.validates_after(step) {
        log.line(at, "[STAGE] ⏳ Validation: Generating validation images");
        log.line(
            at + scenario.validation_seconds / 2.0,
            "\rEvaluating batch of 1 sample:  60%|██████    | 3/5 [00:01<00:01,  1.52it/s]",
        );
        at += scenario.validation_seconds;
    }
    if scenario.saves_after(step) {
        let saving = format!(
            "[STAGE] ⏳ Saving Checkpoint: Saving checkpoint to output/cog/cog-1a2b/checkpoint-{step}"
        );
        log.line(at, &saving);
    }
}

fn finish(log: &mut Log, scenario: &Scenario) {
    match &scenario.end {
        End::Succeed => {
            let at = scenario.steps_done_at_seconds();
            if log.reaches(at) {
                log.text.push('\n');
            }
            log.line(at, "Training complete!");
            log.line(at, "[STAGE] ⏳ Saving Checkpoint: Saving final model");
            log.line(
                at + scenario.finish_seconds / 2.0,
                "Uploading output.zip: 100%|██████████| 164M/164M [00:03<00:00, 52.1MB/s]",
            );
            log.line(at + scenario.finish_seconds, "[COG] Webhook receiver stopped");
        }
        End::Fail { error, .. } => {
            let at = scenario.step_done_at_seconds(scenario.last_step());
            if log.reaches(at) {
                log.text.push('\n');
            }
            log.line(at, &format!("[ERROR] Training failed: {error}"));
            log.line(at, "Traceback (most recent call last):");
            log.line(at, "  File \"/src/predict.py\", line 88, in predict");
            log.line(at, error);
        }
        End::Abort | End::RunUntilCancelled => {}
    }
}

/// Every how many steps a frame is drawn.
fn frame_stride(scenario: &Scenario) -> u32 {
    let by_time = if scenario.seconds_per_step > 0.0 {
        (FRAME_INTERVAL_SECONDS / scenario.seconds_per_step).ceil()
    } else {
        1.0
    };
    // A float to integer cast saturates, so that an absurd pace still yields a stride.
    (by_time as u32).max(scenario.steps / MOST_FRAMES + 1)
}

/// The frame before the first step: tqdm does not know its pace yet, and SimpleTuner prints no comma.
fn first_frame(scenario: &Scenario) -> String {
    let (step, steps) = (scenario.starting_step, scenario.steps);
    format!(
        "\rEpoch {}/{} Steps: {} {step}/{steps} [00:00<?, ?it/s]",
        epoch(scenario, step + 1),
        scenario.epochs,
        bar(step, steps),
    )
}

fn frame(scenario: &Scenario, step: u32) -> String {
    let steps = scenario.steps;
    let training_seconds = scenario.step_done_at_seconds(step) - scenario.training_at_seconds();
    let remaining_seconds = f64::from(steps.saturating_sub(step)) * scenario.seconds_per_step;
    format!(
        "\rEpoch {}/{}, Steps: {} {step}/{steps} [{}<{}, {}, lr={}, step_loss={}]",
        epoch(scenario, step),
        scenario.epochs,
        bar(step, steps),
        clock(training_seconds),
        clock(remaining_seconds),
        pace(scenario.seconds_per_step),
        significant(learning_rate(step, steps)),
        significant(loss(step, steps)),
    )
}

fn epoch(scenario: &Scenario, step: u32) -> u64 {
    let done = u64::from(step.saturating_sub(1)) * u64::from(scenario.epochs);
    let epoch = 1 + done / u64::from(scenario.steps.max(1));
    epoch.min(u64::from(scenario.epochs.max(1)))
}

/// Percentage and a bar of ten characters, drawn in eighths.
fn bar(step: u32, steps: u32) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let filled = u64::from(step) * 80 / u64::from(steps.max(1));
    let (whole, part) = ((filled / 8) as usize, EIGHTHS[(filled % 8) as usize]);
    let percent = u64::from(step) * 100 / u64::from(steps.max(1));
    format!("{percent:3}%|{:<10}|", "█".repeat(whole.min(10)) + part)
}

/// `MM:SS`, or `H:MM:SS` from an hour on.
fn clock(seconds: f64) -> String {
    let seconds = seconds as u64;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes:02}:{rest:02}"),
        _ => format!("{hours}:{minutes:02}:{rest:02}"),
    }
}

/// Steps a second, or seconds a step where that is the larger number.
fn pace(seconds_per_step: f64) -> String {
    if seconds_per_step > 1.0 {
        format!("{seconds_per_step:5.2}s/it")
    } else {
        format!("{:5.2}it/s", 1.0 / seconds_per_step.max(1e-6))
    }
}

fn learning_rate(step: u32, steps: u32) -> f64 {
    let share = f64::from(step) / f64::from(steps.max(1));
    1e-4 * (1.0 - 0.5 * share)
}

/// Falls from 0.37 towards 0.02, with a small ripple that depends on nothing but the step.
fn loss(step: u32, steps: u32) -> f64 {
    let share = f64::from(step) / f64::from(steps.max(1));
    let ripple = f64::from(step.wrapping_mul(2_654_435_761) >> 16) / 65536.0 - 0.5;
    (0.35 * (-3.0 * share).exp() + 0.02) * (1.0 + 0.1 * ripple)
}

/// Three significant digits as tqdm prints them: `0.0234`, `9.5e-5`.
fn significant(value: f64) -> String {
    let trimmed = |digits: &str| digits.trim_end_matches('0').trim_end_matches('.').to_owned();
    let scientific = format!("{value:.2e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(power @ -4..=2) => trimmed(&format!("{value:.*}", (2 - power) as usize)),
        _ => format!("{}e{exponent}", trimmed(mantissa)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_step(step: u32) -> String {
        let scenario = Scenario {
            validation_interval_steps: 0,
            checkpoint_interval_steps: 0,
            ..Scenario::default()
        };
        let text = text(&scenario, scenario.step_done_at_seconds(step) + 0.01);
        text.rsplit('\r').next().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_frame_has_the_form_of_the_real_ones() {
        let frame = at_step(600);
        assert!(
            frame.starts_with("Epoch 7/21, Steps:  30%|███       | 600/2000 [01:00<02:20, 10.00it/s, lr=8.5e-5, step_loss=0."),
            "{frame}"
        );
    }

    #[test]
    fn the_log_of_an_earlier_moment_is_a_prefix_of_a_later_one() {
        let scenario = Scenario {
            steps: 40,
            validation_interval_steps: 10,
            checkpoint_interval_steps: 20,
            ..Scenario::default()
        };
        let whole = text(&scenario, 1e9);
        let mut length = 0;
        for tenth in 0..600 {
            let part = text(&scenario, f64::from(tenth) / 10.0);
            assert!(whole.starts_with(&part) && part.len() >= length);
            length = part.len();
        }
        assert_eq!(length, whole.len());
    }

    #[test]
    fn a_million_steps_stay_under_a_megabyte() {
        let scenario = Scenario {
            steps: 1_000_000,
            validation_interval_steps: 0,
            checkpoint_interval_steps: 0,
            ..Scenario::default()
        };
        assert!(text(&scenario, 1e9).len() < 1_000_000);
    }

    #[test]
    fn a_failure_prints_its_error() {
        let end = End::Fail { error: "CUDA out of memory".to_owned(), after_step: 3 };
        let text = text(&Scenario { end, ..Scenario::default() }, 1e9);
        assert!(
            text.contains("3/2000")
                && !text.contains("4/2000")
                && text.ends_with("CUDA out of memory\n")
        );
    }
}
