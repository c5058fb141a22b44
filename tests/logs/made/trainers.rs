//! Trainers that print lines of their own kind.

use jobsyncd::domain::progress::Stage;

use super::forms::{Form, SCRIPT};

/// What they have in common.
const TRAINER: Form = Form { has_own_lines: true, may_have_ranks: false, ..SCRIPT };

/// What those have in common that count within epochs of which nobody knows how many there are.
const ENDLESS: Form = Form { resumes_anywhere: false, ..TRAINER };

pub(super) const TRAINERS: &[Form] = &[
    Form {
        name: "MMEngine, epochs",
        step: |log, run, now| {
            log.counts_without_end();
            log.epoch_is(now.epoch + 1, None);
            log.loss_is(now);
            log.line(&format!(
                "03/01 10:00:15 - mmengine - INFO - Epoch(train)   [{}][{:3}/{}]  lr: 2.0000e-02  eta: 0:02:45  time: 0.3021  data_time: 0.0082  memory: 3871  loss: {:.4}  loss_bbox: 0.2461",
                now.epoch + 1, now.batch, run.batches, now.loss
            ));
        },
        validate: |log, _, now| {
            log.says(
                Stage::Validation,
                &format!(
                    "03/01 10:01:00 - mmengine - INFO - Epoch(val)   [{}][20/40]    eta: 0:00:02  time: 0.0612  memory: 801",
                    now.epoch + 1
                ),
            );
        },
        ..ENDLESS
    },
    Form {
        name: "MMEngine, iterations",
        step: |log, run, now| {
            log.counts(now.step, Some(run.total()));
            log.has_no_epochs();
            log.loss_is(now);
            log.line(&format!(
                "03/01 10:02:00 - mmengine - INFO - Iter(train) [{:4}/{}]  base_lr: 9.1000e-03 lr: 9.1000e-03  eta: 0:30:00  time: 0.2391  memory: 5120  loss: {:.4}  decode.loss_ce: 0.3419",
                now.step, run.total(), now.loss
            ));
        },
        validate: |log, _, _| {
            log.says(
                Stage::Validation,
                "03/01 10:16:00 - mmengine - INFO - Iter(val) [ 50/120]    eta: 0:00:08  time: 0.1201  memory: 1990",
            );
        },
        ..TRAINER
    },
    Form {
        name: "detectron2",
        begin: |log, _, start| {
            let line = format!(
                "[03/01 10:00:00 d2.engine.train_loop]: Starting training from iteration {}",
                start.step
            );
            log.says_something(&line);
        },
        step: |log, _, now| {
            log.counts(now.step - 1, None);
            log.has_no_epochs();
            log.loss_is(now);
            log.line(&format!(
                "[03/01 10:00:09 d2.utils.events]:  eta: 0:01:39  iter: {}  total_loss: {:.4}  loss_cls: 0.5229  loss_box_reg: 0.3922  time: 0.4512  last_time: 0.4388  lr: 0.00025  max_mem: 4010M",
                now.step - 1, now.loss
            ));
        },
        validate: |log, _, _| {
            log.says(
                Stage::Validation,
                "[03/01 10:01:48 d2.evaluation.evaluator]: Start inference on 61 batches",
            );
            log.says(
                Stage::Validation,
                "[03/01 10:01:49 d2.evaluation.evaluator]: Inference done 11/61. Inference: 0.0711 s/iter. ETA=0:00:04",
            );
        },
        saves: "[03/01 10:01:48 fvcore.common.checkpoint]: Saving checkpoint to PATH.pth",
        ..TRAINER
    },
    Form {
        name: "Megatron",
        begin: |log, _, _| log.says_something("training ..."),
        step: |log, run, now| {
            log.counts(now.step, Some(run.total()));
            log.has_no_epochs();
            log.loss_is(now);
            log.line(&format!(
                " [2026-01-12 09:00:41] iteration {:8}/{:8} | consumed samples: {:12} | elapsed time per iteration (ms): 415.0 | learning rate: 1.412E-04 | global batch size:   256 | lm loss: {:.6E} | loss scale: 1.0 |",
                now.step, run.total(), now.step * 256, now.loss
            ));
        },
        validate: |log, _, now| {
            log.says(Stage::Validation, "Evaluating on 2560 samples");
            log.says(
                Stage::Validation,
                &format!(" validation loss at iteration {} | lm loss value: 3.100017E+00 | lm loss PPL: 3.091782E+01 |", now.step),
            );
        },
        ..TRAINER
    },
    Form {
        name: "fairseq",
        epoch: |log, _, now| {
            log.epoch_is(now.epoch + 1, None);
            log.says(
                Stage::Training,
                &format!(
                    "2026-03-01 10:00:00 | INFO | fairseq.trainer | begin training epoch {}",
                    now.epoch + 1
                ),
            );
        },
        step: |log, run, now| {
            log.counts_without_end();
            log.epoch_is(now.epoch + 1, None);
            log.truth.step = Some(Some(now.step as f64));
            log.loss_is(now);
            log.line(&format!(
                "2026-03-01 10:01:04 | INFO | train_inner | epoch {:03}: {:6} / {} loss={:.4}, nll_loss=6.205, ppl=118.98, wps=27410.2, ups=7.81, wpb=3509.4, bsz=138.4, num_updates={}, lr=2.5e-05, gnorm=1.204, train_wall=25, wall=64",
                now.epoch + 1, now.batch, run.batches, now.loss, now.step
            ));
        },
        validate: |log, _, now| {
            log.says(
                Stage::Validation,
                "2026-03-01 10:04:16 | INFO | fairseq_cli.train | begin validation on \"valid\" subset",
            );
            log.says(
                Stage::Validation,
                &format!("2026-03-01 10:04:22 | INFO | valid | epoch {:03} | valid on 'valid' subset | loss 4.286 | ppl 61.2 | num_updates {}", now.epoch + 1, now.step),
            );
        },
        saves: "2026-03-01 10:04:22 | INFO | fairseq.trainer | Saving checkpoint to PATH.pt",
        ..ENDLESS
    },
    Form {
        name: "torchvision",
        step: |log, run, now| {
            log.counts_without_end();
            log.epoch_is(now.epoch, None);
            log.loss_is(now);
            log.line(&format!(
                "Epoch: [{}]  [{:4}/{}]  eta: 0:01:24  lr: 0.0005  loss: {:.4} (5.8876)  time: 0.2114  data: 0.0003  max mem: 4211",
                now.epoch, now.batch - 1, run.batches, now.loss
            ));
        },
        validate: |log, _, now| {
            log.says(
                Stage::Validation,
                &format!("Test:  [ 0/21]  eta: 0:00:09  loss: {:.4} (1.8192)  acc1: 41.2 (40.8)  time: 0.4411", now.loss),
            );
        },
        ..ENDLESS
    },
    Form {
        name: "timm",
        step: |log, run, now| {
            log.counts_without_end();
            log.epoch_is(now.epoch, None);
            log.loss_is(now);
            log.line(&format!(
                "Train: {} [{:4}/{} ({:3}%)]  Loss: {:.4} (3.21)  Time: 0.231s, 1108.2/s  LR: 1.000e-04  Data: 0.010",
                now.epoch, now.batch - 1, run.batches, (now.batch - 1) * 100 / run.batches, now.loss
            ));
        },
        validate: |log, _, now| {
            log.says(
                Stage::Validation,
                &format!(
                    "Test: [   0/30]  Time: 6.602 (6.602)  Loss: {:.4} (6.731)  Acc@1: 41.2 (41.2)",
                    now.loss
                ),
            );
        },
        ..ENDLESS
    },
    Form {
        name: "PyTorch's example",
        step: |log, run, now| {
            log.counts_without_end();
            log.epoch_is(now.epoch + 1, None);
            log.loss_is(now);
            log.line(&format!(
                "Train Epoch: {} [{}/{} ({}%)]\tLoss: {:.6}",
                now.epoch + 1,
                now.batch * 64,
                run.batches * 64,
                now.batch * 100 / run.batches,
                now.loss
            ));
        },
        validate: |log, _, _| {
            log.says(
                Stage::Validation,
                "Test set: Average loss: 0.0481, Accuracy: 9841/10000 (98%)",
            );
        },
        ..ENDLESS
    },
    Form {
        name: "XGBoost",
        step: |log, _, now| {
            log.counts(now.step - 1, None);
            log.has_no_epochs();
            log.loss_is(now);
            log.line(&format!(
                "[{}]\ttrain-logloss:{:.4}\tvalid-logloss:0.51232",
                now.step - 1,
                now.loss
            ));
        },
        ..TRAINER
    },
];
