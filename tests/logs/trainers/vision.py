"""Logs of trainers of vision models.

Keras, Lightning and fastai are in bars.py. Ultralytics draws by the real tqdm. The others are written out by what
their sources print: MMEngine, detectron2, Paddle, timm, torchvision's references, DeiT, and PyTorch's example.
"""

from play import ANY, march, share, span, wait


def mmengine(log, epochs=3, batches=200):
    """MMEngine by epochs; its configuration, and with it the number of epochs, is cut off."""
    head = lambda: log.clock("%m/%d %H:%M:%S - mmengine - INFO - ")
    log.say(head() + "Distributed training is not used, all SyncBatchNorm (SyncBN) layers in the model will be reverted", stage=ANY)
    log.say(head() + "Load checkpoint from checkpoints/faster-rcnn_r50_fpn.pth", stage=ANY)
    log.say(head() + "Checkpoints will be saved to /work/work_dirs/parcels.", stage=ANY)
    for epoch in range(1, epochs + 1):
        for batch in range(50, batches + 1, 50):
            wait(15)
            loss = log.falling(share(epoch, epochs, batch, batches) / 100)
            left = span(((epochs - epoch + 1) * batches - batch) * 0.3)
            line = f"Epoch(train)   [{epoch}][{batch:3d}/{batches}]  lr: 2.0000e-02  eta: {left}  time: 0.3021  "
            line += f"data_time: 0.0082  memory: 3871  loss: {loss:.4f}  loss_rpn_cls: {loss / 9:.4f}  "
            log.say(head() + line + f"loss_bbox: {loss / 2:.4f}  acc: 91.0156", stage="Training", step=ANY, total=ANY,
                    epoch=epoch, loss=round(loss, 4))
        log.say(head() + "Exp name: faster-rcnn_parcels_20260301_100000", stage=ANY)
        log.say(head() + f"Saving checkpoint at {epoch} epochs", stage="Saving checkpoint")
        for batch in (20, 40):
            log.say(head() + f"Epoch(val)   [{epoch}][{batch}/40]    eta: 0:00:02  time: 0.0612  data_time: 0.0021  memory: 801",
                    stage="Validation")
        log.say(head() + f"Epoch(val) [{epoch}][40/40]    coco/bbox_mAP: 0.2{epoch}10  data_time: 0.0019  time: 0.0608")


def mmengine_iterations(log, total=8000):
    """MMEngine by iterations: the number of the last one stands in each line."""
    head = lambda: log.clock("%m/%d %H:%M:%S - mmengine - INFO - ")
    log.say(head() + "Checkpoints will be saved to /work/work_dirs/pspnet.", stage=ANY)
    for step in range(500, total + 1, 500):
        wait(120)
        loss = log.falling(step / total)
        line = f"Iter(train) [{step:4d}/{total}]  base_lr: 9.1000e-03 lr: 9.1000e-03  eta: {span((total - step) * 0.24)}  "
        line += f"time: 0.2391  data_time: 0.0061  memory: 5120  loss: {loss:.4f}  decode.loss_ce: {loss * 0.7:.4f}"
        log.say(head() + line, stage="Training", step=step, total=total, percent=step * 100 / total, loss=round(loss, 4))
        if step % 4000 == 0:
            log.say(head() + f"Saving checkpoint at {step} iterations", stage="Saving checkpoint")
            log.say(head() + "Iter(val) [ 50/120]    eta: 0:00:08  time: 0.1201  data_time: 0.0011  memory: 1990", stage="Validation")
            log.say(head() + "Iter(val) [120/120]    aAcc: 84.1200  mIoU: 52.3300  mAcc: 63.0100  time: 0.1187")


def detectron2(log, total=240):
    """detectron2's CommonMetricPrinter: the number of the last iteration is not told, but for the hook at the end."""
    head = lambda name: f"\x1b[32m[{log.clock('%m/%d %H:%M:%S')} d2.{name}]: \x1b[0m"
    log.say(head("data.build") + "Distribution of instances among all 3 categories: 412, 310, 97", stage=ANY)
    log.say(head("checkpoint.c2_model_loading") + "Following weights matched with model: backbone.bottom_up, 53 of 53", stage="Preprocessing")
    log.say(head("engine.train_loop") + "Starting training from iteration 0", stage="Training", step=ANY, percent=ANY)
    for step in range(19, total, 20):
        wait(9)
        loss = log.falling(step / total) * 4
        line = f" eta: {span((total - step) * 0.45)}  iter: {step}  total_loss: {loss:.3f}  loss_cls: {loss / 3:.4f}  "
        line += f"loss_box_reg: {loss / 4:.4f}  loss_rpn_cls: {loss / 50:.5f}  time: 0.4512  last_time: 0.4388  lr: 0.00025  max_mem: 2790M"
        log.say(head("utils.events") + line, stage="Training", step=step, percent=None, loss=round(loss, 3))
    log.say(head("engine.hooks") + "Overall training speed: 238 iterations in 0:01:47 (0.4511 s / it)", stage=ANY, percent=ANY, total=ANY)
    log.say(f"\x1b[32m[{log.clock('%m/%d %H:%M:%S')} fvcore.common.checkpoint]: \x1b[0mSaving checkpoint to ./output/model_final.pth",
            stage="Saving checkpoint")
    log.say(head("evaluation.evaluator") + "Start inference on 61 batches", stage="Validation")
    log.say(head("evaluation.evaluator") + "Inference done 11/61. Inference: 0.0711 s/iter. Total: 0.0937 s/iter. ETA=0:00:04")
    log.say(head("evaluation.testing") + "copypaste: 31.2044,52.1190,33.0817", stage=ANY)


def yolo(log, new, epochs=3, batches=24):
    """Ultralytics: YOLOv8 counts its epochs from 1, YOLOv5 from 0."""
    scan = "train: Scanning /data/hives/labels/train... 384 images, 6 backgrounds, 0 corrupt"
    log.note("Ultralytics YOLOv8.3.9 🚀 Python-3.11 torch-2.5.1+cu124 CUDA:0 (RTX A5000)" if new else "YOLOv5 🚀 v7.0 torch-2.1.0 CUDA:0")
    log.work(scan, 2, bar_format="{l_bar}{bar:10}{r_bar}")
    log.say(f"Starting training for {epochs} epochs...", stage=ANY, percent=ANY, epochs=epochs if new else ANY)
    names = ["box_loss", "cls_loss", "dfl_loss"] if new else ["box_loss", "obj_loss", "cls_loss"]
    for epoch in range(1, epochs + 1):
        log.say("\n" + ("%11s" * 7) % ("Epoch", "GPU_mem", *names, "Instances", "Size"), stage=ANY)
        bar = log.bar(range(batches), bar_format="{l_bar}{bar:10}{r_bar}")
        for batch in range(6, batches + 1, 6):
            wait(1.4)
            losses = [log.falling(share(epoch, epochs, batch, batches) / 100) * scale for scale in (3, 4, 2)]
            place = f"{epoch}/{epochs}" if new else f"{epoch - 1}/{epochs - 1}"
            bar.set_description(("%11s" * 2 + "%11.4g" * 5) % (place, "2.41G", *losses, 17, 640), refresh=False)
            bar.update(6)
            log.mark(stage="Training", step=ANY, total=ANY, epoch=epoch - (not new), epochs=epochs if new else ANY,
                     percent=share(epoch, epochs, batch, batches), loss=ANY)
        bar.close()
        box = "Box(P" if new else "P"
        head = ("%22s" + "%11s" * 6) % ("Class", "Images", "Instances", box, "R", "mAP50", "mAP50-95" + ")" * new)
        log.work(head, 3, stage="Validation", bar_format="{l_bar}{bar:10}{r_bar}")
        log.say(("%22s" + "%11i" * 2 + "%11.3g" * 4) % ("all", 96, 241, 0.61, 0.52, 0.55, 0.31))
    log.say(f"\n{epochs} epochs completed in 0.006 hours.", stage=ANY)
    log.say("Optimizer stripped from runs/train/exp3/weights/last.pt, 6.3MB", stage=ANY)
    log.say("Results saved to runs/train/exp3")


def paddle(log, epochs=3, batches=90):
    """Paddle's Model.fit with verbose=2: the evaluation's lines look like the training's."""
    log.note("The loss value printed in the log is the current step, and the metric is the average value of previous steps.")
    for epoch in range(1, epochs + 1):
        log.say(f"Epoch {epoch}/{epochs}", stage="Training", step=ANY, total=ANY, epoch=epoch, epochs=epochs,
                percent=share(epoch, epochs, 0, batches))
        for batch in range(15, batches + 1, 15):
            loss = log.falling(share(epoch, epochs, batch, batches) / 100)
            log.say(f"step {batch}/{batches} - loss: {loss:.4f} - acc: {1 - loss / 2:.4f} - 21ms/step",
                    percent=share(epoch, epochs, batch, batches), loss=round(loss, 4))
        log.say(f"save checkpoint at /root/work/output/{epoch - 1}", stage="Saving checkpoint")
        log.say("Eval begin...", stage="Validation")
        for batch in (10, 20):
            log.say(f"step {batch}/20 - loss: {loss * 1.3:.4f} - acc: 0.8120 - 12ms/step")
        log.say("Eval samples: 640")
    log.say("save checkpoint at /root/work/output/final", stage="Saving checkpoint")


def paddle_detection(log, epochs=3, batches=80):
    """PaddleDetection: epochs from 0, of how many is not told."""
    head = lambda name: f"[{log.clock('%m/%d %H:%M:%S')}] ppdet.{name} INFO: "
    log.say(head("utils.checkpoint") + "Finish loading model weights: /root/.cache/paddle/weights/picodet_s.pdparams", stage=ANY)
    for epoch in range(epochs):
        for batch in range(0, batches, 20):
            wait(9)
            loss = log.falling(share(epoch + 1, epochs, batch, batches) / 100) * 3
            line = f"Epoch: [{epoch}] [{batch:2d}/{batches}] learning_rate: 0.010000 loss_vfl: {loss / 2:.6f} loss: {loss:.6f} "
            left = span(((epochs - epoch) * batches - batch) * 0.45)
            log.say(head("engine") + line + f"eta: {left} batch_cost: 0.4502 data_cost: 0.0007 ips: 17.7700 images/s",
                    stage="Training", step=ANY, total=ANY, epoch=epoch, loss=round(loss, 6))
        log.say(head("utils.checkpoint") + f"Save checkpoint: output/picodet_s/{epoch}.pdparams", stage="Saving checkpoint")
        log.say(head("engine") + "Eval iter: 0", stage="Validation")
        log.say(head("engine") + "Total sample number: 120, average FPS: 41.7", stage=ANY)


def timm(log, epochs=3, batches=720):
    """timm's train.py: the batch, counted from 0, and its share of the epoch in brackets."""
    log.note("Training with a single process on 1 device (cuda:0).", "Model resnet26d created, param count:16013480")
    log.say(f"Scheduled epochs: {epochs} (epochs + cooldown_epochs). Warmup within epochs when warmup_prefix=False. LR stepped per epoch.",
            stage=ANY, percent=ANY, epochs=epochs)
    for epoch in range(epochs):
        for batch in [*range(0, batches, 240), batches - 1]:
            loss = log.falling(share(epoch + 1, epochs, batch, batches) / 100) * 9
            part = 100 * (batch + 1) / batches
            line = f"Train: {epoch} [{batch:>4d}/{batches} ({part:>3.0f}%)]  Loss: {loss:#.3g} ({loss * 1.04:#.3g})  "
            line += "Time: 0.412s,  310.68/s  (0.420s,  304.76/s)  LR: 5.000e-02  Data: 0.011 (0.014)"
            log.say(line, stage="Training", step=ANY, total=ANY, epoch=epoch, loss=float(f"{loss:#.3g}"),
                    percent=share(epoch + 1, epochs, batch + 1, batches))
        for batch in (0, 31):
            log.say(f"Test: [{batch:>4d}/31]  Time: 0.201 (0.233)  Loss: {loss * 0.9:>7.3f} ({loss * 0.93:>6.3f})  "
                    "Acc@1:  61.719 ( 58.320)  Acc@5:  84.375 ( 83.101)", stage="Validation")
        log.note("Current checkpoints:")
        log.say(f" ('./output/train/resnet26d/checkpoint-{epoch}.pth.tar', 58.{epoch}2)", stage=ANY)
    log.say(f"*** Best metric: 58.22 (epoch {epochs - 1})", stage=ANY, epoch=ANY)


def metric_logger(log, epochs, batches, told):
    """MetricLogger, of torchvision's references or of DeiT, which says how many epochs there will be."""
    log.say("Creating data loaders" if not told else "Creating model: deit_tiny_patch16_224", stage="Preprocessing")
    log.say(f"Start training for {epochs} epochs" if told else "Start training", stage="Training", percent=ANY,
            epochs=epochs if told else None)
    for epoch in range(epochs):
        for batch in [*range(0, batches, batches // 4), batches - 1]:
            loss = log.falling(share(epoch + 1, epochs, batch, batches) / 100) * 9
            line = f"Epoch: [{epoch}]  [{batch:4d}/{batches}]  eta: {span((batches - batch) * 0.21)}  lr: 0.0005  "
            line += f"loss: {loss:.4f} ({loss * 1.05:.4f})  time: 0.2114  data: 0.0003  max mem: 4211"
            percent = share(epoch + 1, epochs, batch + 1, batches) if told else None
            log.say(line, stage="Training", step=ANY, total=ANY, epoch=epoch, percent=percent, loss=round(loss, 4))
        log.say(f"Epoch: [{epoch}] Total time: 0:04:24 (0.2114 s / it)", stage=ANY)
        for batch in (0, 20):
            log.say(f"Test:  [{batch:2d}/21]  eta: 0:00:09  loss: {loss * 0.8:.4f} ({loss * 0.81:.4f})  acc1: 41.2 (40.8)  time: 0.4411  data: 0.3120",
                    stage="Validation")
        log.say("* Acc@1 41.300 Acc@5 68.220 loss 2.911", stage=ANY)
    log.say("Training time 0:13:48", stage=ANY)


def pytorch_example(log, epochs=3, images=12000):
    """PyTorch's example for MNIST: images of one epoch, of how many epochs is not told."""
    for epoch in range(1, epochs + 1):
        for image in range(0, images, 1600):
            loss = log.falling(share(epoch, epochs, image, images) / 100)
            log.say(f"Train Epoch: {epoch} [{image}/{images} ({100 * image / images:.0f}%)]\tLoss: {loss:.6f}",
                    stage="Training", step=ANY, total=ANY, epoch=epoch, loss=round(loss, 6))
        log.say(f"\nTest set: Average loss: {loss * 0.8:.4f}, Accuracy: {1700 + epoch * 70}/2000 ({85 + epoch * 3}%)\n", stage="Validation")


LOGS = march({
    "mmengine": mmengine,
    "mmengine-iterations": mmengine_iterations,
    "detectron2": detectron2,
    "yolov8": lambda log: yolo(log, True),
    "yolov5": lambda log: yolo(log, False),
    "paddle": paddle,
    "paddle-detection": paddle_detection,
    "timm": timm,
    "torchvision": lambda log: metric_logger(log, 3, 400, False),
    "deit": lambda log: metric_logger(log, 3, 1251, True),
    "pytorch-example": pytorch_example,
})
