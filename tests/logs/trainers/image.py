"""Logs of trainers of pictures.

The bars are tqdm's; the other lines are written out by what the trainers print. Numbers, names and prompts are made up.
"""

from play import ANY, PREPARING, SAVING, TRAINING, VALIDATING, january, shown, wait


def ai_toolkit_begin(log, folder):
    """ai-toolkit: what is loaded and counted before the first step."""
    log.lines(
        """
        Running  1 process
        Loading Flux model
        Loading transformer
        Quantizing transformer
        Loading VAE
        Loading T5
        """,
        stage=ANY,
    )
    log.aside("Loading checkpoint shards", 2, frames=2, stage=PREPARING)
    log.lines(
        f"""
        Loading CLIP
        Making pipe
        Preparing model
        create LoRA network. base dim (rank): 16, alpha: 16
        neuron dropout: p=None, rank dropout: p=None, module dropout: p=None
        create LoRA for Text Encoder: 0 modules.
        create LoRA for U-Net: 494 modules.
        enable LoRA for U-Net
        Dataset: {folder}
          -  Preprocessing image dimensions
        """
    )
    log.aside("", 12, frames=1, seconds=0.004)
    log.lines(
        f"""
          -  Found 12 images
        Bucket sizes for {folder}:
        576x448: 9 files
        512x512: 3 files
        2 buckets made
        """
    )


def ai_toolkit_steps(log, bar, steps, seconds, rate="1.0e-04"):
    for step in steps:
        loss = f"{log.next_loss(0.6):.3e}"
        bar.set_postfix_str(f"lr: {rate} loss: {loss}", refresh=False)
        log.move(bar, step, seconds, stage=TRAINING, step=step, loss=float(loss))


def ai_toolkit_flux(log, total=800, name="lantern_v2"):
    """ai-toolkit: run.py with latents on disk, pictures before the first step and at each half."""
    log.say("Running 1 job", stage=ANY)
    log.lines(
        """
        {
            "type": "sd_trainer",
            "training_folder": "/runs",
            "train": {
                "batch_size": 1,
                "steps": 800,
                "noise_scheduler": "flowmatch"
            }
        }
        """,
        stage=ANY,
        total=ANY,
    )
    ai_toolkit_begin(log, "/data/lantern")
    log.say("Caching latents for /data/lantern")
    log.say(" - Saving latents to disk")
    log.aside("Caching latents to disk", 12, frames=4, seconds=0.3)
    log.say("Generating baseline samples before training", stage=VALIDATING)
    log.aside("Generating Images", 3, frames=3, seconds=18)
    bar = log.bar(total, desc=name, leave=True)
    log.mark(stage=TRAINING, step=0, total=total)
    for half in (1, 2):
        first, last = (half - 1) * total // 2, half * total // 2
        ai_toolkit_steps(log, bar, range(first + 39, last, 40), 1.9)
        if half == 1:
            # The bar stands at 399 when step 400 is saved.
            log.say("")
            log.say(f"Saving at step {last}", stage=SAVING, step=ANY, percent=ANY)
            log.say(f"Saved checkpoint to /runs/{name}/{name}_{last:09}.safetensors")
            log.say(f"Saved optimizer to /runs/{name}/optimizer.pt")
            log.aside("Generating Images", 3, frames=3, seconds=18, stage=VALIDATING)
    ai_toolkit_steps(log, bar, [total], 1.9)
    bar.close()
    log.mark()
    log.aside("Generating Images", 3, frames=1, seconds=18, stage=VALIDATING)
    log.say("")
    log.say(f"Saved checkpoint to /runs/{name}/{name}.safetensors", stage=ANY)
    log.say("Result:")
    log.say(" - 1 completed job")


def flux_dev_lora_trainer(log, total=1000, name="flux_train_replicate"):
    """Replicate's flux-dev-lora-trainer: captions by LLaVA, then ai-toolkit."""
    log.lines(
        """
        Environment language: Not set
        Updated environment language: en_US.UTF-8
        Downloading base weights
        Downloaded base weights in 41.7s
        Extracted 12 files from zip to input_images
        """,
        stage=ANY,
    )
    log.aside("Loading checkpoint shards", 3, frames=3, seconds=2.5, stage=ANY)
    for picture in range(1, 13, 3):
        wait(2)
        log.say(f"Captioning image input_images/kettle_{picture}.jpg", stage=PREPARING)
        log.say(f"Caption: a photo of TOK, a red kettle beside {picture}/12 cups on a step")
    log.say("Starting train job", stage=ANY)
    ai_toolkit_begin(log, "input_images")
    bar = log.bar(total, desc=name, leave=True)
    log.mark(stage=TRAINING, step=0, total=total)
    ai_toolkit_steps(log, bar, range(25, total + 1, 25), 0.52, rate="4.0e-04")
    bar.close()
    log.mark()
    log.say("")
    log.say(f"Saved to output/{name}/optimizer.pt", stage=ANY)
    log.say(f"output/{name}/lora.safetensors")
    log.say("./captions/kettle_1.txt")


def onetrainer(log, epochs=5, batches=32):
    """OneTrainer: the bar of the epochs over one of the steps of each; pictures, a backup, a validation."""
    log.lines(
        """
        Clearing cache directory /workspace/cache! You can disable this if you want to continue using the same cache.
        Starting Tensorboard on port 6006
        Selected layers: 722
        Deselected layers: 0
        """,
        stage=ANY,
    )
    outer = log.bar(epochs, desc="epoch")
    log.mark(epochs=epochs, percent=ANY, epoch=ANY, step=ANY, total=ANY)
    log.aside("enumerating sample paths", 2, frames=1, seconds=0.01)
    log.aside("caching", 64, frames=4, seconds=0.2, stage=PREPARING)
    for epoch in range(epochs):
        inner = log.bar(batches, desc="step")
        part = lambda batch: (epoch * batches + batch) * 100 / (epochs * batches)
        log.mark(stage=TRAINING, percent=part(0), epoch=ANY)
        smooth = 0.21 - epoch * 0.012
        for batch in range(4, batches + 1, 4):
            loss = log.next_loss(0.4)
            log.move(inner, batch, 1.37, stage=TRAINING, percent=part(batch))
            inner.set_postfix({"loss": loss, "smooth loss": smooth})
            log.mark(loss=shown(loss))
            if batch == 16 and epoch == 1:
                log.aside("sampling", 20, frames=2, seconds=0.4, stage=VALIDATING, leave=False)
                log.print_above("Creating Backup /workspace/run/backup/2026-01-09_09-02-18-backup-48-1-16", stage=SAVING)
            if batch == 28 and epoch == 3:
                log.aside("validation_step", 6, frames=2, seconds=0.6, stage=VALIDATING, leave=False)
        inner.close()
        log.mark()
        log.move(outer, epoch + 1, 0, stage=TRAINING, percent=(epoch + 1) * 100 / epochs, epoch=epoch + 1)
    outer.close()
    log.mark(stage=ANY)
    log.say("Saving /workspace/models/heron.safetensors", stage=SAVING)


def diffusion_pipe(log, epochs=3, batches=14):
    """diffusion-pipe under DeepSpeed: steps without a total, epochs that are only counted."""
    info = lambda where, text, **true: log.say(f"[{log.clock('%Y-%m-%d %H:%M:%S,%3f')}] [INFO] [{where}] {text}", **true)
    info("real_accelerator.py:254:get_accelerator", "Setting ds_accelerator to cuda (auto detect)", stage=ANY)
    info("comm.py:669:init_distributed", "cdb=None")
    log.say("caching metadata", stage=PREPARING)
    log.aside("Map (num_proc=8)", 56, frames=2, seconds=0.01, unit=" examples")
    log.say("caching latents: /data/glass/cache_1.33_1")
    log.aside("caching latents: (1024, 768, 1)", 56, frames=3, seconds=0.4, unit=" examples")
    log.say("caching text embeddings: /data/glass")
    log.aside("caching text embeddings 1", 56, frames=2, seconds=0.05, unit=" examples")
    info("logging.py:107:log_dist", "[Rank 0] DeepSpeed info: version=0.17.0, git-hash=unknown, git-branch=unknown")
    step = 0
    for epoch in range(1, epochs + 1):
        for _ in range(batches):
            step += 1
            loss = log.next_loss(0.3)
            wait(7.2)
            info("logging.py:107:log_dist", f"[Rank 0] step={step}, skipped=0, lr=[2e-05], mom=[0.0]", stage=TRAINING, step=step)
            log.say(f"steps: {step} loss: {loss:.4f} iter time (s): {7.1 + loss:.3f} samples/sec: 0.{139 - epoch}", loss=shown(loss, ".4f"))
        if epoch == 2:
            info("logging.py:107:log_dist", f"[Rank 0] [Torch] Checkpoint global_step{step} is about to be saved!", stage=SAVING)
            log.say(f"Saving model to directory epoch{epoch}")
        if epoch < epochs:
            log.say(f"Started new epoch: {epoch + 1}", epoch=epoch + 1, stage=TRAINING)
        log.say("Running eval", stage=VALIDATING)
        log.aside("", 18, frames=2, seconds=0.8)
    log.say(f"Saving model to directory epoch{epochs}", stage=SAVING)
    log.say("TRAINING COMPLETE!", stage=ANY, percent="100")


def diffusers_dreambooth(log, epochs=50, total=300):
    """diffusers: train_dreambooth_lora_flux.py, class pictures first, validation bars among the steps."""
    say = lambda text, **true: log.say(f"{log.clock('%m/%d/%Y %H:%M:%S')} - INFO - __main__ - {text}", **true)
    say("Distributed environment: DistributedType.NO", stage=ANY)
    log.aside("Loading pipeline components...", 7, frames=2, stage=ANY)
    say("Number of class images to sample: 40.")
    log.aside("Generating class images", 10, frames=3, seconds=14, stage=PREPARING)
    log.aside("Loading checkpoint shards", 2, frames=1)
    log.say("You set `add_prefix_space`. The tokenizer needs to be converted from the slow tokenizers")
    say("***** Running training *****", stage=TRAINING)
    say("  Num examples = 24")
    say("  Num batches each epoch = 24")
    say(f"  Num Epochs = {epochs}", epochs=epochs)
    say("  Instantaneous batch size per device = 1")
    say("  Total train batch size (w. parallel, distributed & accumulation) = 4")
    say("  Gradient Accumulation steps = 4")
    say(f"  Total optimization steps = {total}", total=total, step=ANY, percent=ANY)
    bar = log.bar(total, desc="Steps")
    log.mark(step=0)
    for step in range(10, total + 1, 10):
        loss = log.next_loss(0.5)
        log.move(bar, step, 2.6, stage=TRAINING, step=step)
        bar.set_postfix(loss=loss, lr=1.0)
        log.mark(loss=shown(loss))
        if step % 100 == 0:
            log.say("")
            say(f"Saved state to /out/dog/checkpoint-{step}", stage=ANY)
            log.aside("Loading pipeline components...", 7, frames=1, stage=ANY, leave=False)
            say("Running validation... ", stage=VALIDATING)
            log.say(" Generating 2 images with prompt: a sks dog in a bucket of 5 apples.")
            for _ in range(2):
                log.aside("", 28, frames=2, seconds=0.7, leave=False)
            log.mark(stage=ANY)
    bar.close()
    log.mark(stage=ANY)
    log.say("Model weights saved in /out/dog/pytorch_lora_weights.safetensors")


LOGS = january({
    "ai-toolkit-flux": ai_toolkit_flux,
    "onetrainer": onetrainer,
    "diffusion-pipe": diffusion_pipe,
    "diffusers-dreambooth": diffusers_dreambooth,
    "flux-dev-lora-trainer": flux_dev_lora_trainer,
}, first_day=3)
