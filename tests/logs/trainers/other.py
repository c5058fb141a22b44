"""Logs of trainers of other things: games, tables, scenes; and of structured loggers.

XGBoost, LightGBM and CatBoost really train, on a small synthetic set (only CatBoost's times are played); tqdm is the
real one. The others are written out by what their sources print: Stable-Baselines3, rsl_rl, nerfstudio, 3D Gaussian
splatting; or are loggers of nobody in particular.
"""

import io
import json
import types

import catboost
import lightgbm
import numpy
import xgboost
from rich.console import Console
from rich.panel import Panel

from play import ANY, march, wait


def stable_baselines(log, size=2048):
    """Stable-Baselines3: tables without a total; how many steps are done stands there in two ways."""
    log.note("Using cuda device", "Wrapping the env with a `Monitor` wrapper", "Wrapping the env in a DummyVecEnv.")
    log.say("Logging to ./tensorboard/PPO_4", stage=ANY)
    for turn in range(1, 8):
        loss = round(log.falling(turn / 7) * 40, 1)
        rows = {"rollout/": "", "   ep_len_mean": f"{90 + turn * 11}", "   ep_rew_mean": f"{turn * 11.7:.3g}", "time/": "", "   fps": "1210",
                "   iterations": turn, "   time_elapsed": turn * 2, "   total_timesteps": turn * size}
        if turn > 1:
            rows |= {"train/": "", "   approx_kl": f"{log.some(0.004, 0.02):.8f}", "   entropy_loss": f"-1.{turn}1", "   learning_rate": "0.0003",
                     "   loss": f"{loss:.3g}", "   n_updates": turn * 10 - 10, "   policy_gradient_loss": "-0.0118", "   value_loss": f"{loss * 2:.3g}"}
        left, right = (max(len(str(cell)) for cell in cells) for cells in (rows, rows.values()))
        dashes = "-" * (left + right + 7)
        log.note(dashes, *(f"| {key:{left}} | {value!s:{right}} |" for key, value in rows.items()))
        log.say(dashes, stage="Training", step=turn * size, loss=loss if turn > 1 else None)
        if turn % 4 == 0:
            log.say(f"Eval num_timesteps={turn * 2000}, episode_reward=171.20 +/- 11.31", stage="Validation")
            log.note("Episode length: 171.20 +/- 11.31", "New best mean reward!")
    log.say("Saving the model to models/ppo_cartpole.zip", stage="Saving checkpoint")


def rsl_rl(log, first=1494, total=1500, wide=80, pad=35):
    """rsl_rl: the end of a run that was resumed; iterations from 0, and a loss of each kind."""
    log.note("[INFO]: Loading model checkpoint from: logs/rsl_rl/go2_flat/model_1494.pt", "[INFO] Time taken for simulation start : 2.113 seconds")
    log.mark(stage=ANY, step=ANY)
    for turn in range(first, total):
        wait(1.9)
        log.note("#" * wide)
        log.say(f" \x1b[1m Learning iteration {turn}/{total} \x1b[0m ".center(wide), stage="Training", step=turn, total=total, percent=turn * 100 / total)
        cells = {"Computation": "52104 steps/s (collection: 1.611s, learning 0.276s)", "Mean action noise std": "0.41",
                 "Mean value_function loss": f"{log.some(0.01, 0.03):.4f}", "Mean surrogate loss": "-0.0041", "Mean entropy loss": "6.1172",
                 "Mean reward": f"{log.some(30, 33):.2f}", "Mean episode length": "998.12"}
        log.note("", *(f"{key + ':':>{pad}} {value}" for key, value in cells.items()), "-" * wide)
        cells = {"Total timesteps": (turn + 1) * 98304, "Iteration time": "1.89s", "Time elapsed": f"00:00:{2 * (turn - first + 1):02}",
                 "ETA": f"00:00:{2 * (total - turn - 1):02}"}
        log.note(*(f"{key + ':':>{pad}} {value}" for key, value in cells.items()), "")
        log.mark(loss=ANY, percent=ANY if turn == total - 1 else log.percent)
    log.say("Exported policy to logs/rsl_rl/go2_flat/exported/policy.onnx", stage=ANY, percent=ANY)


def synthetic():
    """Points that two classes share; enough for the text of a boosting library."""
    source = numpy.random.RandomState(7)
    points = source.randn(900, 6)
    classes = (points[:, 0] + points[:, 1] * points[:, 2] + 0.5 * source.randn(900) > 0).astype(int)
    return (points[:600], classes[:600]), (points[600:], classes[600:])


def boosted(log, lines, step_of):
    """The lines of a boosting library; how many rounds there will be is not told."""
    for line in lines:
        wait(0.02)
        step = step_of(line)
        if step is None:
            log.say(line, stage=ANY, step=log.step and ANY, loss=log.loss and ANY)
        else:
            log.say(line, stage="Training", step=step, loss=ANY)


def xgb(log):
    train, valid = (xgboost.DMatrix(points, classes) for points, classes in synthetic())
    lines = []
    monitor = xgboost.callback.EvaluationMonitor(period=2, logger=lambda text: lines.extend(text.splitlines()))
    options = {"objective": "binary:logistic", "eval_metric": ["logloss"], "nthread": 1, "eta": 0.15, "max_depth": 3}
    xgboost.train(options, train, 60, evals=[(train, "train"), (valid, "valid")], verbose_eval=False, callbacks=[monitor])
    log.say("Loading features from data/churn.parquet (600 rows, 6 columns)", stage="Preprocessing")
    boosted(log, lines, lambda line: int(line[1 : line.index("]")]))
    log.say("Saving model to models/churn.ubj", stage="Saving checkpoint")


def lgbm(log):
    lines = []
    keep = lambda text: lines.extend(part for part in text.splitlines() if part)
    lightgbm.register_logger(types.SimpleNamespace(info=keep, warning=keep))
    train, valid = synthetic()
    data = lightgbm.Dataset(*train)
    options = {"objective": "binary", "num_threads": 1, "force_row_wise": True, "deterministic": True, "seed": 7, "learning_rate": 0.05, "num_leaves": 7}
    calls = [lightgbm.log_evaluation(5), lightgbm.early_stopping(200)]
    lightgbm.train(options, data, 100, valid_sets=[data, lightgbm.Dataset(*valid, reference=data)], callbacks=calls)
    tail = next((at for at, line in enumerate(lines) if "Best iteration" in line), len(lines))
    boosted(log, lines[:tail], lambda line: int(line[1 : line.index("]")]) if line[1:2].isdigit() else None)
    log.tell(stage=ANY, step=ANY)
    for line in lines[tail:]:
        log.say(line)


def cat(log):
    text = io.StringIO()
    train, valid = synthetic()
    model = catboost.CatBoostClassifier(iterations=200, learning_rate=0.06, depth=4, thread_count=1, random_seed=7, verbose=10, allow_writing_files=False)
    model.fit(*train, eval_set=valid, log_cout=text, log_cerr=text)
    lines = []
    for line in text.getvalue().splitlines():
        head, times, _ = line.partition("total: ")
        done = int(head.split(":")[0]) + 1 if times else 0
        lines.append(f"{head}total: {done * 3.1:.3g}ms\tremaining: {(200 - done) * 3.1:.3g}ms" if times else line)
    log.say("Reading pool from data/churn.tsv", stage="Preprocessing")
    # From the two times the share can be reckoned, but who does?
    log.tell(percent=ANY)
    boosted(log, lines, lambda line: int(line.split(":")[0]) if "total:" in line else None)


def nerfstudio(log, total=20000, every=1000):
    """nerfstudio with --logging.local-writer.max-log-size=0: the share in brackets, and no total."""
    log.note("[10:00:00] Saving config to: outputs/orchard/nerfacto/2026-03-01_100000/config.yml       experiment_config.py:136")
    log.say("[10:00:00] Saving checkpoints to: outputs/orchard/nerfacto/2026-03-01_100000/nerfstudio_models  trainer.py:134", stage=ANY)
    log.say("Setting up training dataset...", stage="Preprocessing")
    log.say("Caching all 212 images.")
    log.say("No Nerfstudio checkpoint to load, so training from scratch.", stage=ANY)
    head = "".join([f"{'Step (% Done)':<20}", *(f"{name:<20} " for name in ("Train Iter (time)", "ETA (time)", "Train Rays / Sec"))])
    log.note(head, "-" * len(head))
    for step in range(0, total, every):
        wait(41)
        left = (total - step) * 0.041
        left = f"{int(left) // 60} m, {int(left) % 60} s" if left >= 60 else f"{left:.0f} s, {left % 1 * 1000:.3f} ms"
        line = f"{f'{step} ({step * 100 / total:.02f}%)':<20}{f'{log.some(39, 43):.3f} ms':<20} {left:<20} {f'{log.some(90, 105):.2f} K':<20} "
        log.say(line, stage="Training", step=step, total=None, percent=step * 100 / total)
    log.say("Printing profiling stats, from longest to shortest duration in seconds", stage=ANY, percent=ANY, step=ANY)
    log.say("Trainer.train_iteration: 0.0408              ", stage=ANY)
    ended = "Config File           outputs/orchard/nerfacto/2026-03-01_100000/config.yml\n"
    ended += "Checkpoint Directory  outputs/orchard/nerfacto/2026-03-01_100000/nerfstudio_models"
    Console(file=log, width=120).print(Panel(ended, title="🎉 Training Finished 🎉", expand=False))
    log.mark()


def gaussian_splatting(log, total=30000):
    """3D Gaussian splatting's train.py."""
    stamp = lambda: log.clock("[%d/%m %H:%M:%S]")
    log.note(f"Optimizing output/fountain {stamp()}", f"Output folder: output/fountain {stamp()}")
    for camera in range(1, 4):
        log.write(f"\rReading camera {camera * 40}/120")
        log.then(stage="Preprocessing")
    log.note(f" {stamp()}", f"Loading Training Cameras {stamp()}", f"Number of points at initialisation :  41877 {stamp()}")
    log.mark(stage=ANY)
    bar = log.bar(range(total), desc="Training progress")
    for step in range(1500, total + 1, 1500):
        wait(19)
        loss = f"{log.falling(step / total) / 4:.7f}"
        bar.set_postfix({"Loss": loss, "Depth Loss": f"{0:.7f}"}, refresh=False)
        bar.update(1500)
        log.mark(stage="Training", step=step, total=total, percent=step * 100 / total, loss=float(loss))
        if step == total:
            bar.close()
        if step in (7500, total):
            log.say(f"\n[ITER {step}] Evaluating test: L1 0.0312{step} PSNR 25.{step} {stamp()}", stage="Validation")
            log.say(f"\n[ITER {step}] Evaluating train: L1 0.0212{step} PSNR 28.{step} {stamp()}")
            log.say(f"\n[ITER {step}] Saving Gaussians {stamp()}", stage="Saving checkpoint")
    log.say(f"\nTraining complete. {stamp()}", stage=ANY)


def json_lines(log, epochs=3, batches=120):
    """A structured logger: an object a line, with all that one could wish for."""
    say = lambda event, true, **more: log.say(
        json.dumps({"event": event, "level": "info", "timestamp": log.clock("%Y-%m-%dT%H:%M:%S.104Z"), **more}), **true)
    total = epochs * batches
    say("loading dataset", {"stage": "Preprocessing"}, path="/data/tiles", images=480)
    say("training started", {"stage": "Training", "percent": ANY, "total": ANY, "epochs": ANY}, epochs=epochs, total_steps=total)
    for step in range(30, total + 1, 30):
        wait(14)
        epoch = 1 + (step - 1) // batches
        loss = round(log.falling(step / total), 5)
        true = {"stage": "Training", "step": step, "total": total, "epoch": epoch, "epochs": epochs, "percent": step * 100 / total, "loss": loss}
        say("train", true, epoch=epoch, epochs=epochs, step=step, total_steps=total, loss=loss, lr=0.0003)
        if step % batches == 0:
            say("validation", {"stage": "Validation"}, epoch=epoch, val_loss=round(loss * 1.2, 5), val_accuracy=0.81)
            say("saving checkpoint", {"stage": "Saving checkpoint"}, path=f"/ckpt/epoch-{epoch}.pt")


def json_metrics(log, total=900):
    """Metrics for a dashboard, with names as paths and the fraction of epochs."""
    for step in range(50, total + 1, 50):
        loss = round(log.falling(step / total), 4)
        cells = {"train/loss": loss, "train/grad_norm": 1.31, "train/epoch": step / 300, "global_step": step, "max_steps": total, "_timestamp": 1772359200 + step}
        log.say(json.dumps(cells), stage="Training", step=step, total=total, percent=step * 100 / total, epoch=round(step / 300, 10), loss=loss)
        if step % 300 == 0:
            log.say(json.dumps({"eval/loss": round(loss * 1.1, 4), "eval/runtime": 4.12, "train/epoch": step / 300, "global_step": step}), stage=ANY)


LOGS = march({
    "stable-baselines3": stable_baselines,
    "rsl-rl": rsl_rl,
    "xgboost": xgb,
    "lightgbm": lgbm,
    "catboost": cat,
    "nerfstudio": nerfstudio,
    "gaussian-splatting": gaussian_splatting,
    "json-lines": json_lines,
    "json-metrics": json_metrics,
})
