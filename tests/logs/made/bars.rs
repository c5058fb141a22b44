//! Trainers that draw bars.

use jobsyncd::domain::progress::Stage;

use super::forms::{BARS, Form};
use super::log::{Log, bar};
use super::run::{Now, Run};

/// What those have in common whose bars begin again with each epoch.
const EPOCH_BARS: Form = Form { resumes_anywhere: false, ..BARS };

/// The lines with which the libraries of Hugging Face begin a run.
fn banner(log: &mut Log, run: &Run) {
    log.line("***** Running training *****");
    log.line(&format!("  Num examples = {}", run.batches * 8));
    log.line(&format!("  Num Epochs = {}", run.epochs));
    log.line("  Gradient Accumulation steps = 1");
    log.line(&format!("  Total optimization steps = {}", run.total()));
}

/// A frame of the bar of the whole run.
fn whole(log: &mut Log, run: &Run, now: &Now, description: &str, postfix: &str) {
    log.counts(now.step, Some(run.total()));
    log.bar(&bar(description, now.step, run.total(), postfix));
}

pub(super) const WITH_BARS: &[Form] = &[
    Form {
        name: "diffusers",
        begin: |log, run, start| {
            if run.tells_totals {
                banner(log, run);
            }
            whole(log, run, start, "Steps: ", "");
        },
        step: |log, run, now| {
            log.truth.epoch = Some(None);
            log.truth.total_epochs = Some(run.tells_totals.then_some(run.epochs as f64));
            whole(log, run, now, "Steps: ", "");
            log.loss_is(now);
            whole(log, run, now, "Steps: ", &format!(", loss={}, lr=0.0001", now.loss));
        },
        ..BARS
    },
    Form {
        name: "Hugging Face",
        begin: |log, run, start| {
            banner(log, run);
            log.truth.total_epochs = Some(Some(run.epochs as f64));
            whole(log, run, start, "", "");
        },
        step: |log, run, now| {
            whole(log, run, now, "", "");
            log.loss_is(now);
            let epoch = (now.step as f64 * 100.0 / run.batches as f64).round() / 100.0;
            log.truth.epoch = Some(Some(epoch));
            log.line(&format!(
                "{{'loss': {}, 'grad_norm': 1.136, 'learning_rate': 1e-05, 'epoch': {epoch:?}}}",
                now.loss
            ));
        },
        validate: |log, run, now| {
            log.says(Stage::Validation, "***** Running Evaluation *****");
            log.line("  Num examples = 408");
            log.line("  Batch size = 8");
            for done in [0, 20, 51] {
                log.bar_below(&bar("", done, 51, ""));
            }
            let epoch = (now.step as f64 * 100.0 / run.batches as f64).round() / 100.0;
            log.line(&format!(
                "{{'eval_loss': {}, 'eval_runtime': 4.12, 'epoch': {epoch:?}}}",
                now.loss
            ));
        },
        saves: "Saving model checkpoint to PATH",
        ..BARS
    },
    Form {
        name: "kohya",
        begin: |log, run, start| {
            log.says_something("running training");
            log.line(&format!("  num epochs: {}", run.epochs));
            log.line(&format!("  total optimization steps: {}", run.total()));
            log.truth.total_epochs = Some(Some(run.epochs as f64));
            whole(log, run, start, "steps: ", "");
        },
        epoch: |log, run, now| {
            log.end_bar();
            log.epoch_is(now.epoch + 1, Some(run.epochs));
            log.says(Stage::Training, &format!("epoch {}/{}", now.epoch + 1, run.epochs));
        },
        step: |log, run, now| {
            log.loss_is(now);
            whole(log, run, now, "steps: ", &format!(", avr_loss={}", now.loss));
        },
        prepares: &["prepare tokenizer", "loading image sizes."],
        ..BARS
    },
    Form {
        name: "epoch before a bar of all steps",
        step: |log, run, now| {
            log.loss_is(now);
            log.epoch_is(now.epoch + 1, Some(run.epochs));
            let description = format!("Epoch {}/{}, Steps: ", now.epoch + 1, run.epochs);
            whole(log, run, now, &description, &format!(", lr=9.5e-5, step_loss={}", now.loss));
        },
        ..BARS
    },
    Form {
        name: "a bar for each epoch",
        epoch: |log, run, now| {
            log.end_bar();
            log.unsure();
            let description = format!("Epoch {}/{}: ", now.epoch + 1, run.epochs);
            log.bar(&bar(&description, 0, run.batches, ""));
        },
        step: |log, run, now| {
            log.loss_is(now);
            log.epoch_is(now.epoch + 1, Some(run.epochs));
            log.counts_within(now, run);
            let description = format!("Epoch {}/{}: ", now.epoch + 1, run.epochs);
            log.bar(&bar(&description, now.batch, run.batches, &format!(", loss={}", now.loss)));
        },
        ..EPOCH_BARS
    },
    Form {
        name: "Lightning",
        begin: |log, run, _| {
            if run.tells_totals {
                log.line(&format!("trainer: {{max_epochs: {}, precision: 16}}", run.epochs));
            }
        },
        epoch: |log, run, now| {
            log.end_bar();
            log.unsure();
            log.bar(&bar(&format!("Epoch {}: ", now.epoch), 0, run.batches, ""));
        },
        step: |log, run, now| {
            log.loss_is(now);
            if run.tells_totals {
                log.counts_within(now, run);
            } else {
                log.counts_without_end();
            }
            log.truth.step = Some(Some(now.step as f64));
            if run.begins_late() {
                // Nothing shows that the first epoch is 0.
                (log.truth.step, log.truth.percent) = (None, None);
            }
            log.epoch_is(now.epoch, run.tells_totals.then_some(run.epochs));
            let postfix = format!(", v_num=0, train_loss={}", now.loss);
            let description = format!("Epoch {}: ", now.epoch);
            log.bar(&bar(&description, now.batch, run.batches, &postfix));
        },
        validate: |log, _, _| {
            log.truth.stage = Some(Some(Stage::Validation));
            for done in [0, 2, 5] {
                log.bar_below(&bar("Validation DataLoader 0: ", done, 5, ""));
            }
            log.end_bar();
        },
        ..EPOCH_BARS
    },
    Form {
        name: "Keras",
        may_have_ranks: false,
        epoch: heading,
        step: |log, run, now| {
            log.counts_within(now, run);
            log.loss_is(now);
            let done = "━".repeat((now.batch * 20 / run.batches) as usize);
            log.bar(&format!(
                "{}/{} {done:20} 3s 50ms/step - accuracy: 0.6929 - loss: {:.4}",
                now.batch, run.batches, now.loss
            ));
        },
        end_epoch: |log, _, _| log.end_bar(),
        ..EPOCH_BARS
    },
    Form {
        name: "Keras, a line an epoch",
        may_have_ranks: false,
        tells_steps: false,
        epoch: heading,
        end_epoch: |log, run, now| {
            log.counts_within(now, run);
            log.loss_is(now);
            log.line(&format!(
                "{}/{} - 14s - 359ms/step - accuracy: 0.7566 - loss: {:.4} - val_accuracy: 0.7100 - val_loss: 0.5841",
                run.batches, run.batches, now.loss
            ));
        },
        ..EPOCH_BARS
    },
    Form {
        name: "Ultralytics",
        may_have_ranks: false,
        begin: |log, run, _| {
            log.says_something(&format!("Starting training for {} epochs...", run.epochs))
        },
        epoch: |log, _, _| {
            log.line(
                "      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size",
            );
        },
        step: |log, run, now| {
            log.counts_within(now, run);
            log.epoch_is(now.epoch + 1, Some(run.epochs));
            let epoch = format!("{}/{}", now.epoch + 1, run.epochs);
            let description = format!(
                "{epoch:>11}      2.41G {:>10}       1.75      1.009         17        640: ",
                now.loss
            );
            log.truth.loss = None;
            log.bar(&bar(&description, now.batch, run.batches, ""));
        },
        end_epoch: |log, _, _| log.end_bar(),
        validate: |log, _, _| {
            log.truth.stage = Some(Some(Stage::Validation));
            for done in [0, 1, 3] {
                let description = "                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): ";
                log.bar(&bar(description, done, 3, ""));
            }
            log.end_bar();
        },
        ..EPOCH_BARS
    },
    Form {
        name: "a bar of epochs around one of batches",
        may_have_ranks: false,
        begin: |log, run, start| log.bar(&bar("Epochs: ", start.epoch, run.epochs, "")),
        step: |log, run, now| {
            log.counts_within(now, run);
            log.loss_is(now);
            (log.truth.epoch, log.truth.total_epochs) = (None, Some(Some(run.epochs as f64)));
            let inner = ["Batches: ", "Training: ", ""][run.batches as usize % 3];
            let postfix = format!(", loss={}", now.loss);
            log.bar_below(&bar(inner, now.batch, run.batches, &postfix));
        },
        end_epoch: |log, run, now| log.bar(&bar("Epochs: ", now.epoch + 1, run.epochs, "")),
        ..EPOCH_BARS
    },
];

/// The heading that Keras prints above an epoch.
fn heading(log: &mut Log, run: &Run, now: &Now) {
    log.end_bar();
    log.counts_within(now, run);
    log.epoch_is(now.epoch + 1, Some(run.epochs));
    log.line(&format!("Epoch {}/{}", now.epoch + 1, run.epochs));
}
