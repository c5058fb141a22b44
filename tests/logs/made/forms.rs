//! How trainers print their runs.

use jobsyncd::domain::progress::Stage;

use super::log::{Log, bar};
use super::run::{Now, Run};

/// Prints one event of a run.
pub(super) type Print = fn(&mut Log, &Run, &Now);

/// The way in which one trainer prints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) name: &'static str,
    /// Its counts go on where an epoch was left, so that a run may resume within one.
    pub(super) resumes_anywhere: bool,
    /// Its lines are made by a formatter of its own, so that no other prefix stands before them.
    pub(super) has_own_lines: bool,
    /// Each process of a run may print it.
    pub(super) may_have_ranks: bool,
    /// It tells more than that an epoch is over.
    pub(super) tells_steps: bool,
    /// What is said before the run.
    pub(super) prepares: &'static [&'static str],
    /// A run begins, or goes on.
    pub(super) begin: Print,
    /// An epoch begins.
    pub(super) epoch: Print,
    /// A step is reported.
    pub(super) step: Print,
    pub(super) end_epoch: Print,
    pub(super) validate: Print,
    /// What is said when a checkpoint is saved at `PATH`.
    pub(super) saves: &'static str,
    /// The last line.
    pub(super) ends: &'static str,
}

/// What most scripts have in common.
pub(super) const SCRIPT: Form = Form {
    name: "",
    resumes_anywhere: true,
    has_own_lines: false,
    may_have_ranks: true,
    tells_steps: true,
    prepares: &["Loading dataset from data/leaves", "Preprocessing images..."],
    begin: |_, _, _| {},
    epoch: |_, _, _| {},
    step: |_, _, _| {},
    end_epoch: |_, _, _| {},
    validate: validate_in_words,
    saves: "Saving checkpoint to PATH",
    ends: "Done.",
};

/// What most trainers with bars have in common.
pub(super) const BARS: Form = Form { may_have_ranks: false, validate: validate_with_bar, ..SCRIPT };

fn validate_in_words(log: &mut Log, _: &Run, now: &Now) {
    let loss = format!("Validation loss: {:.4}", now.loss + 0.1);
    log.validates(&["Running validation...", &loss]);
}

fn validate_with_bar(log: &mut Log, _: &Run, _: &Now) {
    log.end_bar();
    log.truth.stage = Some(Some(Stage::Validation));
    for done in [0, 2, 4] {
        log.bar(&bar("Validation: ", done, 4, ""));
    }
    log.end_bar();
}

/// Trainers that print a line for a report.
pub(super) const LINES: &[Form] = &[
    Form {
        name: "step of steps",
        step: |log, run, now| {
            log.counts(now.step, Some(run.total()));
            log.has_no_epochs();
            log.loss_is(now);
            log.row(&format!("Step {}/{} - loss: {:.4}", now.step, run.total(), now.loss));
        },
        ..SCRIPT
    },
    Form {
        name: "epoch and step in brackets",
        resumes_anywhere: false,
        step: |log, run, now| {
            log.counts_within(now, run);
            log.epoch_is(now.epoch + 1, Some(run.epochs));
            log.loss_is(now);
            let (epoch, epochs) = (now.epoch + 1, run.epochs);
            let (batch, batches) = (now.batch, run.batches);
            log.row(&format!(
                "Epoch [{epoch}/{epochs}], Step [{batch}/{batches}], Loss: {:.4}",
                now.loss
            ));
        },
        ..SCRIPT
    },
    Form {
        name: "bare brackets",
        step: |log, run, now| {
            log.counts(now.step, Some(run.total()));
            log.has_no_epochs();
            log.loss_is(now);
            log.row(&format!("[{}/{}] loss={:.4} lr=1.0e-04", now.step, run.total(), now.loss));
        },
        ..SCRIPT
    },
    Form {
        name: "MLX",
        begin: |log, run, _| {
            log.says_something(&format!("Starting training..., iters: {}", run.total()));
        },
        step: |log, run, now| {
            log.counts(now.step, Some(run.total()));
            log.has_no_epochs();
            log.loss_is(now);
            log.row(&format!(
                "Iter {}: Train loss {:.4}, Learning Rate 1.000e-05, It/sec 0.763, Peak mem 11.207 GB",
                now.step, now.loss
            ));
        },
        validate: |log, _, now| {
            let line = format!("Iter {}: Val loss {:.3}, Val took 4.001s", now.step, now.loss);
            log.says(Stage::Validation, &line);
        },
        ..SCRIPT
    },
    Form {
        name: "step without end",
        step: |log, _, now| {
            log.counts(now.step, None);
            log.loss_is(now);
            log.epoch_is(now.epoch, None);
            log.row(&format!("Epoch {} | Step {} | loss {:.4}", now.epoch, now.step, now.loss));
        },
        ..SCRIPT
    },
    Form {
        name: "nanoGPT",
        begin: |log, run, _| {
            if run.tells_totals {
                log.says_something(&format!("max_iters: {}", run.total()));
            }
        },
        step: |log, run, now| {
            log.counts(now.step, run.tells_totals.then_some(run.total()));
            log.has_no_epochs();
            log.loss_is(now);
            log.row(&format!("iter {}: loss {:.4}, time 33.66ms, mfu 17.31%", now.step, now.loss));
        },
        ..SCRIPT
    },
    Form {
        name: "JSON lines",
        has_own_lines: true,
        may_have_ranks: false,
        step: |log, run, now| {
            log.counts(now.step, Some(run.total()));
            log.has_no_epochs();
            log.loss_is(now);
            log.line(&format!(
                "{{\"event\": \"train\", \"step\": {}, \"total_steps\": {}, \"loss\": {}, \"lr\": 0.0003}}",
                now.step,
                run.total(),
                now.loss
            ));
        },
        validate: |log, _, now| {
            log.truth.stage = Some(Some(Stage::Validation));
            log.line(&format!("{{\"event\": \"validation\", \"val_loss\": {}}}", now.loss));
        },
        saves: "{\"event\": \"saving checkpoint\", \"path\": \"PATH\"}",
        ..SCRIPT
    },
    Form {
        name: "logfmt",
        has_own_lines: true,
        step: |log, run, now| {
            log.counts(now.step, Some(run.total()));
            log.has_no_epochs();
            log.loss_is(now);
            log.row(&format!(
                "time=2026-03-01T10:00:00Z level=info msg=train step={} total_steps={} loss={}",
                now.step,
                run.total(),
                now.loss
            ));
        },
        validate: |log, _, now| {
            log.truth.stage = Some(Some(Stage::Validation));
            log.line(&format!("level=info msg=\"running validation\" val_loss={}", now.loss));
        },
        saves: "level=info msg=\"saving checkpoint\" path=PATH",
        ..SCRIPT
    },
    Form {
        name: "a line an epoch",
        resumes_anywhere: false,
        tells_steps: false,
        may_have_ranks: false,
        end_epoch: |log, run, now| {
            log.counts_within(now, run);
            log.epoch_is(now.epoch + 1, Some(run.epochs));
            log.loss_is(now);
            log.line(&format!(
                "epoch {}/{} - train loss: {:.4} - val loss: 0.4127",
                now.epoch + 1,
                run.epochs,
                now.loss
            ));
        },
        ..SCRIPT
    },
    Form {
        name: "a line an epoch without end",
        resumes_anywhere: false,
        tells_steps: false,
        may_have_ranks: false,
        end_epoch: |log, _, now| {
            log.counts_without_end();
            log.epoch_is(now.epoch + 1, None);
            log.loss_is(now);
            log.line(&format!(
                "Epoch {}: train_loss={:.4}, val_loss=0.4127, time=12.5s",
                now.epoch + 1,
                now.loss
            ));
        },
        ..SCRIPT
    },
];
