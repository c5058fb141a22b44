"""Logs of trainers of speech and text.

spaCy's console logger and tqdm (for Piper, which is Lightning's) are the real ones. The others are written out by
what their sources print: fairseq, ESPnet 2, Coqui TTS, RVC, OpenNMT-py and icefall.
"""

import types

import spacy.training.loggers as loggers
from wasabi import Printer

from play import ANY, march, share, wait


def fairseq(log, epochs=3, batches=800):
    """fairseq-train: updates are counted over the whole run, of how many is not told."""
    head = lambda name: log.clock("%Y-%m-%d %H:%M:%S | INFO | ") + name + " | "
    log.say(head("fairseq.tasks.translation") + "[de] dictionary: 8848 types", stage=ANY)
    log.say(head("fairseq_cli.train") + "num. shared model params: 36,741,120 (num. trained: 36,741,120)", stage=ANY)
    log.say(head("fairseq.trainer") + "No existing checkpoint found checkpoints/checkpoint_last.pt", stage=ANY)
    for epoch in range(1, epochs + 1):
        log.say(head("fairseq.trainer") + f"begin training epoch {epoch}", stage="Training", epoch=epoch, step=log.step or ANY, total=ANY)
        for batch in range(200, batches + 1, 200):
            wait(64)
            loss = log.falling(share(epoch, epochs, batch, batches) / 100) * 15
            step = (epoch - 1) * batches + batch
            line = f"epoch {epoch:03d}:    {batch} / {batches} loss={loss:.3f}, nll_loss={loss * 0.9:.3f}, ppl={2 ** loss:.2f}, wps=27410.2, "
            line += f"ups=7.81, wpb=3509.4, bsz=138.4, num_updates={step}, lr={step * 1.25e-07:.6g}, gnorm=1.204, train_wall=12, wall={step // 3}"
            log.say(head("train_inner") + line, step=step, loss=round(loss, 3))
        log.say(head("fairseq_cli.train") + 'begin validation on "valid" subset', stage="Validation")
        wait(6)
        line = f"epoch {epoch:03d} | valid on 'valid' subset | loss {loss * 0.97:.3f} | nll_loss {loss * 0.85:.3f} | ppl 61.2 | "
        log.say(head("valid") + line + f"wps 71204 | wpb 2840.1 | bsz 111.8 | num_updates {epoch * batches}")
        at = f"epoch {epoch} @ {epoch * batches} updates"
        log.say(head("fairseq.checkpoint_utils") + f"Preparing to save checkpoint for {at}", stage="Saving checkpoint")
        log.say(head("fairseq.trainer") + f"Saving checkpoint to /work/checkpoints/checkpoint{epoch}.pt")
        log.say(head("fairseq.checkpoint_utils") + f"Saved checkpoint checkpoints/checkpoint{epoch}.pt ({at}, score 6.01) (writing took 1.91 seconds)")
        log.say(head("fairseq_cli.train") + f"end of epoch {epoch} (average epoch stats below)", stage=ANY)
        # The mean of the epoch: whether it is the loss is anybody's guess.
        line = f"epoch {epoch:03d} | loss {loss * 1.2:.3f} | nll_loss {loss * 1.1:.3f} | ppl 240.1 | num_updates {epoch * batches} | wall 301"
        log.say(head("train") + line, loss=ANY)
    log.say(head("fairseq_cli.train") + "done training in 841.2 seconds", stage=ANY)


def espnet(log, epochs=3, batches=480):
    """ESPnet 2: epochs of a total, batches without one."""
    head = lambda line: f"[gpu07] {log.clock('%Y-%m-%d %H:%M:%S')},418 (trainer:{line}) INFO: "
    log.note(f"[gpu07] {log.clock()},118 (asr:500) INFO: Vocabulary size: 2008")
    log.say(f"[gpu07] {log.clock()},231 (abs_task:1231) INFO: Model summary: Class Name: ESPnetASRModel, 34.51 M parameters", stage=ANY)
    for epoch in range(1, epochs + 1):
        wait(1)
        left = "" if epoch == 1 else f". Estimated time to finish: {(epochs - epoch + 1) * 4} minutes and 12.31 seconds"
        log.say(head(280 if epoch == 1 else 274) + f"{epoch}/{epochs}epoch started{left}", stage="Training", epoch=epoch, epochs=epochs,
                step=ANY if epoch > 1 else None, total=ANY if epoch > 1 else None, percent=share(epoch, epochs, 0, batches))
        for batch in range(120, batches + 1, 120):
            wait(60)
            loss = log.falling(share(epoch, epochs, batch, batches) / 100) * 200
            line = f"{epoch}epoch:train:{batch - 119}-{batch}batch: iter_time=0.003, forward_time=0.141, loss_ctc={loss * 1.3:.3f}, "
            line += f"loss_att={loss * 0.87:.3f}, acc=0.41{epoch}, loss={loss:.3f}, backward_time=0.201, optim_step_time=0.019, "
            log.say(head(731) + line + "optim0_lr0=1.201e-04, train_time=1.511", step=ANY, total=ANY, percent=ANY, loss=round(loss, 3))
        line = f"{epoch}epoch results: [train] iter_time=0.003, loss_ctc={loss * 1.4:.3f}, loss={loss * 1.1:.3f}, "
        line += f"[valid] loss_ctc={loss * 1.2:.3f}, cer_ctc=0.31{epoch}, loss={loss * 0.9:.3f}, time=12.31 seconds, total_count={epoch * 24}"
        log.say(head(338) + line, stage=ANY, loss=ANY)
        log.say(head(386) + "The best model has been updated: valid.acc", stage=ANY)
    log.say(head(440) + f"The training was finished at {epochs} epochs ", stage=ANY)
    log.say(f"[gpu07] {log.clock()},77 (average_nbest_models:69) INFO: Averaging 3best models: criterion=\"valid.acc\": exp/asr/valid.acc.ave.pth", stage=ANY)


def coqui(log, epochs=3, batches=900):
    """Coqui's trainer with XTTS: epochs from 0, steps of the epoch and of the run, also from 0."""
    bold, end = "\x1b[1m", "\x1b[0m"
    log.note(">> DVAE weights restored from: /work/xtts/dvae.pth", " | > Found 1812 files in /work/data/reader")
    log.say("\n > Model has 518442047 parameters", stage=ANY)
    for epoch in range(epochs):
        begun = share(epoch + 1, epochs, 0, batches)
        log.say(f"\n\x1b[4m\x1b[1m > EPOCH: {epoch}/{epochs}{end}", stage=ANY, percent=begun, epoch=epoch, epochs=epochs,
                step=ANY, total=ANY)
        log.say(" --> /work/run/training/GPT_XTTS_FT-March-01-2026_10+00AM-4d1c0aa")
        log.say(f"\n{bold} > TRAINING ({log.clock()}) {end}", stage="Training")
        for batch in range(0, batches, 300):
            wait(140)
            done = epoch * batches + batch
            loss = log.falling(share(epoch + 1, epochs, batch, batches) / 100) * 8
            log.say(f"\n{bold}   --> TIME: {log.clock()} -- STEP: {batch}/{batches} -- GLOBAL_STEP: {done}{end}", step=done,
                    percent=share(epoch + 1, epochs, batch, batches), loss=log.loss if done else None)
            log.say(f"     | > loss_text_ce: {loss / 90:.16f}  ({loss / 88:.16f})", loss=ANY)
            log.say(f"     | > loss_mel_ce: {loss * 0.98:.16f}  ({loss:.16f})")
            log.say(f"     | > loss: {loss:.16f}  ({loss * 1.05:.16f})", loss=float(f"{loss:.16f}"))
            log.note("     | > current_lr: 5e-06 ", "     | > step_time: 0.4612  (0.4588)", "     | > loader_time: 0.0121  (0.0119)\n")
            log.mark()
        log.say(f"\n{bold} > EVALUATION {end}\n", stage="Validation", step=ANY, percent=ANY)
        log.note(f"{bold}   --> STEP: 0{end}", f"     | > loss: {loss * 1.3:.16f}  ({loss * 1.3:.16f})\n", f"\n  {bold}--> EVAL PERFORMANCE{end}")
        log.say(f"     | > avg_loss:\x1b[92m {loss * 1.31:.16f} {end}(-0.0412)\n")
        log.say(f" > BEST MODEL : /work/run/training/GPT_XTTS_FT/best_model_{done + 300}.pth", stage="Saving checkpoint")


def piper(log, batches=40, first=1612):
    """Piper: an old Lightning, resumed from an epoch; how many there will be is not told till the end."""
    log.note("DEBUG:piper_train:Namespace(dataset_dir='/work/nora', batch_size=16, quality='medium')")
    log.say("INFO:pytorch_lightning.utilities.rank_zero:Restoring states from the checkpoint path at /work/nora/epoch=1611.ckpt", stage=ANY,
            epoch=ANY, step=ANY)
    for epoch in range(first, first + 4):
        bar = log.bar(range(batches), desc=f"Epoch {epoch}")
        for batch in range(8, batches + 1, 8):
            wait(log.some(4, 5))
            loss = float(f"{log.falling(0.9) * 200:.3g}")
            bar.set_postfix_str(f"loss={loss:.3g}, v_num=2", refresh=False)
            bar.update(8)
            log.mark(stage="Training", percent=ANY, step=ANY, total=ANY, epoch=epoch, loss=loss)
        bar.close()
        if epoch % 2:
            log.say(f"DEBUG:fsspec.local:open file: /work/nora/lightning_logs/version_2/checkpoints/epoch={epoch}-step={epoch * 80}.ckpt", stage=ANY)
    log.say(f"INFO:pytorch_lightning.utilities.rank_zero:`Trainer.fit` stopped: `max_epochs={first + 4}` reached.", stage=ANY, epochs=ANY)


def rvc(log, epochs=6):
    """RVC: the share of the epoch in brackets, the step without a name, five losses, and no total."""
    head = "INFO:mi-nora:"
    log.say(head + "{'data': {'sampling_rate': 40000}, 'train': {'log_interval': 200, 'batch_size': 8, 'lr_decay': 0.999875}}", stage=ANY)
    log.say(head + "loaded pretrained assets/pretrained_v2/f0G40k.pth", stage=ANY)
    step = 0
    for epoch in range(1, epochs + 1):
        for part in (0, 50):
            log.say(head + f"Train Epoch: {epoch} [{part}%]", stage="Training", epoch=epoch, step=ANY, total=ANY)
            log.say(head + f"[{step}, 9.9{9 - epoch}e-05]")
            log.say(head + f"loss_disc={log.some(3, 4):.3f}, loss_gen={log.some(3, 4):.3f}, loss_fm={log.some(7, 9):.3f},"
                    f"loss_mel={log.some(15, 19):.3f}, loss_kl={log.some(1, 2):.3f}", loss=ANY)
            step += 100
            wait(13)
        if epoch % 3 == 0:
            log.say(head + f"Saving model and optimizer state at epoch {epoch} to ./logs/mi-nora/G_2333333.pth", stage="Saving checkpoint")
            log.say(head + f"saving ckpt mi-nora_e{epoch}:Success.")
        log.say(head + f"====> Epoch: {epoch} [{log.clock()}] | (0:00:26.{epoch}1812)", stage=ANY)
    log.say(head + "Training is done. The program is closed.", stage=ANY, percent="100")
    log.say(head + "saving final ckpt:Success.", stage=ANY)


def spacy(log, bar, total=2000, every=200):
    """spaCy 3 train: its own console logger, as a table alone, or with the bar of the whole run between its rows."""
    messages = Printer(no_print=True)
    log.note(messages.info("Saving to output directory: model"), messages.info("Using GPU: 0"))
    log.note(messages.divider("Initializing pipeline", icon=None), messages.good("Initialized pipeline"))
    log.mark(stage="Preprocessing")
    log.note(messages.divider("Training pipeline"), messages.info("Pipeline: ['tok2vec', 'ner']"), messages.info("Initial learn rate: 0.001"))
    log.mark(stage=ANY)
    scores = {"ents_f": 0.5, "ents_p": 0.3, "ents_r": 0.2, "speed": None}
    training = {"max_steps": total, "eval_frequency": every, "score_weights": scores}
    pipes = [(name, types.SimpleNamespace(is_trainable=True)) for name in ("tok2vec", "ner")]
    # A bar is only drawn on a terminal.
    log.isatty = lambda: bar
    make = loggers.console_logger_v3(progress_bar="train" if bar else None)
    step_done, finish = make(types.SimpleNamespace(pipeline=pipes, config={"training": training}), stdout=log, stderr=log)
    log.mark()
    for step in range(total + 1):
        epoch, before = step // 430, len(log.bytes)
        # The bar is drawn each tenth of a second, which is about each fiftieth step.
        wait(0.0021)
        if step % every:
            step_done(None)
            if len(log.bytes) > before:
                log.mark(stage="Training", step=step, total=total, percent=step * 100 / total, loss=ANY)
            continue
        score = 0.9 * step / (step + 300)
        losses = {"tok2vec": log.some(90, 200), "ner": log.falling(step / total) * 9000}
        others = {"ents_f": score, "ents_p": score + 0.01, "ents_r": max(0.0, score - 0.01), "speed": 9000.0}
        step_done({"epoch": epoch, "step": step, "losses": losses, "other_scores": others, "score": score})
        # Where the bar stands is known from its first frame on.
        known = {"total": total, "percent": step * 100 / total} if bar else {"percent": None}
        log.mark(stage="Training" if step else ANY, step=step, epoch=epoch, loss=ANY, **known)
    finish()
    log.say(messages.good("Saved pipeline to output directory"), stage=ANY)
    log.say("model/model-last", stage=ANY)


def opennmt(log, total=2000):
    """OpenNMT-py 3: steps of a total, no loss but a cross entropy."""
    head = lambda: f"[{log.clock()},214 INFO] "
    log.say(head() + "encoder: 18820096", stage=ANY)
    log.say(head() + "* number of parameters: 44042672", stage=ANY)
    log.say(head() + "Start training loop and validate every 1000 steps...", stage="Training", percent=ANY)
    for step in range(100, total + 1, 100):
        wait(21)
        xent = log.falling(step / total) * 12
        log.say(head() + f"Step {step}/{total}; acc: {60 - xent * 5:.1f}; ppl: {2.718 ** xent:6.1f}; xent: {xent:.1f}; lr: 0.00062; sents: {6210 + step}; "
                f"bsz: 3012/2841/31; 61211/57103 tok/s; {step // 5:6d} sec;", stage="Training", step=step, total=total, percent=step * 100 / total, loss=ANY)
        if step % 1000 == 0:
            log.say(head() + "valid stats calculation", stage=ANY)
            log.note("                           took: 4.118 s.")
            log.note(head() + f"Train perplexity: {2.718 ** xent * 1.4:.3f}", head() + f"Validation perplexity: {2.718 ** xent:.3f}")
            log.say(head() + "Validation accuracy: 52.114", stage="Validation")
            log.say(head() + f"Saving checkpoint run/de-cs_step_{step}.pt", stage="Saving checkpoint")


def icefall(log, epochs=2, batches=600):
    """icefall: the loss of the batch beside the running mean, from each of two ranks."""
    head = lambda rank, line: f"{log.clock()},61{rank} INFO [train.py:{line}] ({rank}/2) "
    log.say(head(0, 1081) + "Training started", stage=ANY)
    log.say(head(0, 1099) + "About to create model", stage=ANY)
    log.say(head(0, 1103) + "Number of model parameters: 65549011", stage=ANY)
    for epoch in range(1, epochs + 1):
        for batch in range(0, batches, 150):
            wait(55)
            for rank in (0, 1):
                loss = log.falling(share(epoch, epochs, batch, batches) / 100)
                line = f"Epoch {epoch}, batch {batch}, loss[loss={loss:.4g}, simple_loss={loss * 1.2:.4g}, pruned_loss={loss * 0.9:.4g}, over 11810.00 frames. ], "
                line += f"tot_loss[loss={loss * 1.1:.4g}, simple_loss={loss * 1.3:.4g}, pruned_loss={loss:.4g}, over 2310411.72 frames. ], "
                log.say(head(rank, 1027) + line + "batch size: 36, lr: 3.91e-02, grad_scale: 8.0", stage="Training", epoch=epoch, step=ANY, total=ANY, loss=ANY)
        log.say(head(0, 1050) + "Computing validation loss", stage="Validation")
        log.say(head(0, 1059) + f"Epoch {epoch}, validation: loss=0.2{epoch}41, simple_loss=0.3012, pruned_loss=0.1998, over 944034.00 frames. ")
        log.say(head(0, 1060) + "Maximum memory allocated so far is 17110MB", stage=ANY)
        log.say(f"{log.clock()},902 INFO [checkpoint.py:75] (0/2) Saving checkpoint to zipformer/exp/epoch-{epoch}.pt", stage="Saving checkpoint")
    log.say(head(0, 1288) + "Done!", stage=ANY)


LOGS = march({
    "fairseq": fairseq,
    "espnet-2": espnet,
    "coqui-xtts": coqui,
    "piper": piper,
    "rvc": rvc,
    "spacy": lambda log: spacy(log, False),
    "spacy-bar": lambda log: spacy(log, True),
    "opennmt": opennmt,
    "icefall": icefall,
})
