"""Logs of the kohya family: sd-scripts, its window, musubi-tuner. The lines are those of rich's handler of `logging`."""

from play import ANY, PREPARING, SAVING, TRAINING, VALIDATING, january, shown, wait


def kohya_begin(log, say, images, repeats, epochs, total, unet):
    """sd-scripts from the announced steps to the first frame of the bar; returns the bar."""
    log.say(f"override steps. steps for {epochs} epochs is / 指定エポックまでのステップ数: {total}", total=ANY, epochs=ANY)
    log.say(f"enable LoRA for U-Net: {unet} modules")
    log.say("running training / 学習開始", stage=TRAINING)
    log.say(f"  num train images * repeats / 学習画像の数×繰り返し回数: {images * repeats}")
    log.say("  num reg images / 正則化画像の数: 0")
    log.say(f"  num batches per epoch / 1epochのバッチ数: {total // epochs}")
    log.say(f"  num epochs / epoch数: {epochs}", epochs=epochs)
    log.say(f"  batch size per device / バッチサイズ: {images * repeats * epochs // total}")
    log.say("  gradient accumulation steps / 勾配を合計するステップ数 = 1")
    log.say(f"  total optimization steps / 学習ステップ数: {total}", step=ANY, percent=ANY, total=total)
    bar = log.bar(total, desc="steps", smoothing=0)
    log.mark(step=0)
    return bar


def kohya_epoch(log, bar, epoch, epochs, every, seconds):
    """One epoch of sd-scripts' bar: each step is drawn twice, with the loss before and with its own."""
    log.say(f"\nepoch {epoch}/{epochs}", epoch=epoch, stage=TRAINING)
    last = epoch * bar.total // epochs
    for step in range(bar.n + every, last + 1, every):
        log.move(bar, step, seconds, stage=TRAINING, step=step)
        loss = log.next_loss(0.14)
        bar.set_postfix(avr_loss=loss)
        log.mark(loss=shown(loss))


def kohya_sdxl(log, epochs=4, total=240):
    """sd-scripts: sdxl_train_network.py with cached latents, pictures and a file at each second epoch."""
    say = log.rich("%Y-%m-%d %H:%M:%S")
    say("Loading settings from /workspace/cfg/fennec.toml...", "train_util.py:4431", stage=ANY)
    say("Using DreamBooth method.", "train_network.py:481")
    say("prepare images.", "train_util.py:1956", stage=PREPARING)
    say("found directory /workspace/img/6_fennec fox contains 20 image files", "train_util.py:1903")
    say("120 train images with repeats.", "train_util.py:1997")
    say("[Dataset 0]", "config_util.py:574")
    say("loading image sizes.", "train_util.py:923")
    log.aside("", 20, frames=1, seconds=0.001)
    say("make buckets", "train_util.py:946")
    say("bucket 0: resolution (832, 1216), count: 78", "train_util.py:979")
    say("bucket 1: resolution (1024, 1024), count: 42", "train_util.py:979")
    say("mean ar error (without repeats): 0.0183", "train_util.py:984")
    say("loading u-net from checkpoint", "sdxl_model_util.py:202")
    say("caching latents with caching strategy.", "train_util.py:1109")
    say("caching latents...", "train_util.py:1158")
    log.aside("", 20, frames=5, seconds=0.7)
    say("create LoRA network. base dim (rank): 16, alpha: 8.0", "lora.py:935")
    say("use AdamW8bit optimizer | {}", "train_util.py:4743")
    bar = kohya_begin(log, say, images=20, repeats=6, epochs=epochs, total=total, unet=722)
    for epoch in range(1, epochs + 1):
        kohya_epoch(log, bar, epoch, epochs, every=12, seconds=1.4)
        if epoch == 2:
            log.say("\nsaving checkpoint: /workspace/out/fennec-000002.safetensors", stage=SAVING)
            say("", "train_util.py:6063", stage=ANY)
            say(f"generating sample images at step / サンプル画像生成 ステップ: {epoch * 60}", "train_util.py:6064", stage=VALIDATING)
            say("prompt: a fennec fox on a dune, 3 moons in the sky", "train_util.py:6214")
            say("height: 1024", "train_util.py:6216")
            say("sample_steps: 24", "train_util.py:6218")
            log.aside("", 24, frames=4, seconds=0.3)
    log.say("\nsaving checkpoint: /workspace/out/fennec.safetensors", stage=SAVING)
    wait(2)
    say("model saved.", "train_network.py:1467", stage=ANY)
    bar.close()
    log.mark()


def kohya_gui(log, epochs=3, total=405):
    """kohya_ss: the window's settings and arithmetic, then sd-scripts; an older one, in words of `print`."""
    say = log.rich("%H:%M:%S-%f", width=140, show_path=False)
    asked = {"stage": ANY, "total": ANY, "epochs": ANY}
    for line in [
        "Kohya_ss GUI version: v24.1.4",
        "Start training LoRA Standard ...",
        "Validating lr scheduler arguments...",
        "Headless mode, skipping verification if model already exist...",
        "resume not specified, skipping validation",
        "Folder 15_teapot: 18 images found",
        "Folder 15_teapot: 270 steps",
        "Regularisation images are not used.",
        "Total steps: 270",
        "Train batch size: 2",
        "Gradient accumulation steps: 1",
        "Epoch: 3",
        "max_train_steps (270 / 2 / 1 * 3 * 1) = 405",
        "lr_warmup_steps = 40",
        "Saving training config to /outputs/teapot_20260106-0900.json...",
        "Executing command: /venv/bin/accelerate launch --num_processes 1 /app/sd-scripts/train_network.py --config_file /outputs/config.toml",
    ]:
        wait(0.0037)
        say(line, **asked)
    log.lines(
        """
        prepare tokenizer
        Using DreamBooth method.
        found directory /dataset/images/15_teapot contains 18 image files
        """,
        stage=PREPARING,
    )
    log.aside("", 18, frames=1, seconds=0.002)
    log.say("caching latents.")
    log.aside("", 18, frames=3, seconds=0.3)
    log.say("import network module: networks.lora")
    bar = kohya_begin(log, say, images=18, repeats=15, epochs=epochs, total=total, unet=192)
    for epoch in range(1, epochs + 1):
        kohya_epoch(log, bar, epoch, epochs, every=27, seconds=0.45)
        if epoch < epochs:
            log.say(f"\nsaving checkpoint: /outputs/teapot-{epoch:06}.safetensors", stage=SAVING)
    log.say("\nsaving checkpoint: /outputs/teapot.safetensors", stage=SAVING)
    log.say("model saved.", stage=ANY)
    bar.close()
    say("Training has ended.")


def musubi(log, epochs=6, total=150):
    """musubi-tuner: two scripts that cache, with bars of no total, then wan_train_network.py."""
    info = lambda where, text, **true: log.say(f"INFO:musubi_tuner.{where}:{text}", **true)
    log.say("INFO:__main__:Load dataset config from /data/orchard.toml", stage=ANY)
    info("dataset.image_video_dataset", "glob videos in /data/orchard", stage=PREPARING)
    info("dataset.image_video_dataset", "found 25 videos")
    log.say("INFO:__main__:Encoding dataset [0]")
    with log.bar(None) as bar:
        for batch in range(0, 26, 5):
            log.move(bar, batch, 2.1)
    log.say("INFO:__main__:Encoding with T5")
    with log.bar(None) as bar:
        for batch in (1, 9, 13):
            log.move(bar, batch, 0.4)
    info("dataset.image_video_dataset", "bucket: (480, 320, 41), count: 25")
    info("dataset.image_video_dataset", "total batches: 25")
    info("hv_train_network", "preparing accelerator")
    info("wan_train_network", "Creating WanModel. I2V: False, FLF2V: False, V2.2: False, device: cuda")
    info("networks.lora", "create LoRA network. base dim (rank): 32, alpha: 16")
    info("hv_train_network", "use AdamW optimizer | {}")
    log.say("override steps. steps for 6 epochs is / 指定エポックまでのステップ数: 150", total=ANY, epochs=ANY)
    log.say("running training / 学習開始", stage=TRAINING)
    log.say("  num train items / 学習画像、動画数: 25")
    log.say("  num batches per epoch / 1epochのバッチ数: 25")
    log.say(f"  num epochs / epoch数: {epochs}", epochs=epochs)
    log.say("  batch size per device / バッチサイズ: 1")
    log.say("  gradient accumulation steps / 勾配を合計するステップ数 = 1")
    log.say(f"  total optimization steps / 学習ステップ数: {total}", step=ANY, percent=ANY, total=total)
    info("hv_train_network", "set DiT model name for metadata: /models/wan2.1_t2v_1.3B_bf16.safetensors")
    bar = log.bar(total, desc="steps", smoothing=0)
    log.mark(step=0)
    info("hv_train_network", "DiT dtype: torch.bfloat16, device: cuda:0")
    for epoch in range(1, epochs + 1):
        kohya_epoch(log, bar, epoch, epochs, every=5, seconds=6.3)
        if epoch % 3 == 0 and epoch < epochs:
            log.say(f"\nsaving checkpoint: /out/orchard-{epoch:06}.safetensors", stage=SAVING)
            info("hv_train_network", "", stage=ANY)
            info("hv_train_network", f"generating sample images at step / サンプル画像生成 ステップ: {bar.n}", stage=VALIDATING)
            info("hv_train_network", "prompt: an orchard in the wind")
            info("hv_train_network", "frame count: 41")
            log.aside("", 20, frames=4, seconds=3)
    log.say("\nsaving checkpoint: /out/orchard.safetensors", stage=SAVING)
    info("hv_train_network", "model saved.", stage=ANY)
    bar.close()
    log.mark()


LOGS = january({
    "kohya-sdxl": kohya_sdxl,
    "kohya-gui": kohya_gui,
    "musubi-tuner": musubi,
})
