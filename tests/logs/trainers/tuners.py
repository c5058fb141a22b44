"""Logs of trainers of pictures on a terminal, with the real tqdm: SimpleTuner, diffusers, kohya-ss, ai-toolkit.

They were the first ones: their rows stand after any byte. The lines between the bars are written out by the sources.
"""

from play import ANY, loose, shown, wait


def simpletuner(log, total=2000, first=0, epochs=21, every=25):
    """SimpleTuner: helpers/training/trainer.py, and the stages of its runtime at Replicate."""
    log.say("[COG] Webhook receiver started on http://127.0.0.1:42205/webhook")
    log.say("2026-03-01 10:00:00,123 [INFO] Load VAE: black-forest-labs/FLUX.1-dev", stage="Preprocessing")
    log.say("[STAGE] ⏳ Configuring data backends: Configuring data backends... (this may take a while!)")
    log.work("Loading checkpoint shards", 3)
    log.say("2026-03-01 10:00:21,004 [INFO] (id=subject) Validating arguments for the data backend.")
    log.say("[STAGE] ⏳ Caching text embeddings (37.0%)")
    log.work("Caching VAE latents", 5)
    log.say("2026-03-01 10:01:00,500 [INFO] gradient_checkpointing=True, lr_warmup_steps=100, timestep_bias=none")
    if first:
        log.say(f"2026-03-01 10:01:01,000 [INFO] Resuming from checkpoint output/cog/checkpoint-{first}")
        log.say(f"[STAGE] ✓ Resume Checkpoint: Resumed from global_step {first}", stage="Preprocessing")
    log.say("2026-03-01 10:01:02,000 [INFO] ***** Running training *****", stage="Training")
    epoch = 1 + first * epochs // total
    bar = log.bar(range(total), initial=first, total=total, desc=f"Epoch {epoch}/{epochs} Steps", ncols=125)
    log.mark(step=first, total=total, epoch=epoch, epochs=epochs)
    for step in range(first + 1, total + 1):
        wait(log.random.uniform(1.0, 1.4))
        epoch = 1 + (step - 1) * epochs // total
        if step % every:
            continue
        bar.set_description(f"Epoch {epoch}/{epochs}, Steps", refresh=False)
        loss = log.loss_by_steps()
        bar.update(step - bar.n)
        bar.set_postfix(step_loss=loss, lr=9.5e-5)
        log.mark(stage="Training", step=step, epoch=epoch, loss=shown(loss))
        if step % 500 == 0:
            log.write("\n")
            log.say(f"[STAGE] ⏳ Saving Checkpoint: Saving checkpoint to output/cog/checkpoint-{step}", stage="Saving checkpoint")
            log.say(f"2026-03-01 11:00:00,000 [INFO] Saved state to output/cog/checkpoint-{step}")
            log.say("[STAGE] ⏳ Validation: Running validation prompts", stage="Validation")
            log.work("Generating Samples", 2, stage="Validation", seconds=30)
            log.work("", 20, stage="Validation", seconds=1.5)
    bar.close()
    log.say("2026-03-01 12:00:00,000 [INFO] Saving final LyCORIS checkpoint to output/cog", stage="Saving checkpoint")
    log.say("[STAGE] ✓ Training Complete: Training run complete.")


def diffusers(log, total=1000):
    """diffusers: examples/text_to_image/train_text_to_image_lora.py."""
    prefix = "03/01/2026 10:00:00 - INFO - __main__ - "
    log.say(prefix + "Distributed environment: NO")
    log.work("Downloading data", 3, stage=None, unit="files")
    log.work("Generating train split", 400, stage="Preprocessing", unit=" examples", seconds=0.001, miniters=100)
    for line in [
        "***** Running training *****",
        "  Num examples = 833",
        "  Num Epochs = 10",
        "  Instantaneous batch size per device = 1",
        "  Total train batch size (w. parallel, distributed & accumulation) = 4",
        "  Gradient Accumulation steps = 4",
    ]:
        log.write(prefix + line + "\n")
    log.say(prefix + f"  Total optimization steps = {total}", stage="Training", total=total, epochs=10)
    bar = log.bar(range(total), desc="Steps")
    log.mark(step=0)
    for step in range(1, total + 1):
        wait(log.random.uniform(0.4, 0.6))
        if step % 20:
            continue
        loss = log.loss_by_steps()
        bar.update(step - bar.n)
        bar.set_postfix(step_loss=loss, lr=1e-4)
        log.mark(stage="Training", step=step, loss=shown(loss))
        if step % 500 == 0:
            log.say("")
            log.say(prefix + f"Saved state to /out/checkpoint-{step}", stage=ANY)
            log.stage = "Training"
        if step % 400 == 0:
            log.say("")
            log.say(prefix + "Running validation... ", stage="Validation")
            log.work("", 30, stage="Validation", seconds=0.1)
    bar.close()
    log.say("Model weights saved in /out/pytorch_lora_weights.safetensors", stage=ANY)


def kohya(log, total=800, epochs=8):
    """kohya-ss/sd-scripts: train_network.py."""
    log.say("prepare tokenizer", stage="Preprocessing")
    log.say("Using DreamBooth method.")
    log.say("found directory /data/img/20_subject contains 5 image files")
    log.work("caching latents", 5)
    log.say("gradient checkpointing enabled")
    log.say("running training / 学習開始", stage="Training")
    log.say("  num train images * repeats / 学習画像の数×繰り返し回数: 100")
    log.say("  num epochs / epoch数: 8", epochs=epochs)
    log.say("  total optimization steps / 学習ステップ数: 800", total=total)
    bar = log.bar(range(total), desc="steps", smoothing=0)
    log.mark(step=0)
    per_epoch = total // epochs
    for epoch in range(1, epochs + 1):
        log.say(f"\nepoch {epoch}/{epochs}", epoch=epoch, stage="Training")
        for step in range((epoch - 1) * per_epoch + 1, epoch * per_epoch + 1):
            wait(log.random.uniform(1.1, 1.3))
            if step % 20:
                continue
            loss = log.loss_by_steps()
            bar.update(step - bar.n)
            bar.set_postfix(avr_loss=loss)
            log.mark(stage="Training", step=step, loss=shown(loss))
        if epoch % 4 == 0:
            log.say(f"\nsaving checkpoint: /out/last-{epoch:06}.safetensors", stage="Saving checkpoint")
            log.say("generating sample images at step / サンプル画像生成 ステップ: 400", stage="Validation")
            log.work("", 28, stage="Validation", seconds=0.3)
    bar.close()
    log.say("model saved.", stage=ANY)


def ai_toolkit(log, total=1000):
    """ai-toolkit: jobs/process/BaseSDTrainProcess.py."""
    log.say("Running 1 job")
    log.say("Loading Flux model", stage="Preprocessing")
    log.work("Caching latents to disk", 8)
    log.work("Generating baseline samples before training", 4, stage="Validation", seconds=20)
    bar = log.bar(range(total), desc="my_first_flux_lora_v1", leave=True)
    log.mark(stage="Training", step=0, total=total)
    for step in range(1, total + 1):
        wait(log.random.uniform(2.0, 2.3))
        if step % 20:
            continue
        loss = log.loss_by_steps()
        bar.update(step - bar.n)
        bar.set_postfix_str(f"lr: 1.0e-04 loss: {loss:.3e}")
        log.mark(stage="Training", step=step, total=total, loss=float(f"{loss:.3e}"))
        if step % 250 == 0:
            log.say("")
            log.say(f"Saving at step {step}", stage="Saving checkpoint")
            log.say(f"Saved checkpoint to /out/my_first_flux_lora_v1_{step:09}.safetensors")
            log.work("Generating Images", 4, stage="Validation", seconds=15)
    bar.close()
    log.mark(stage="Training")


LOGS = loose({
    "simpletuner": simpletuner,
    "simpletuner-resumed": lambda log: simpletuner(log, first=900),
    "diffusers": diffusers,
    "kohya": kohya,
    "ai-toolkit": ai_toolkit,
}, first_seed=0)
