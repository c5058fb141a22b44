"""Logs of scripts: bars and prints of no trainer in particular, and prints in languages other than English."""

import itertools

import tqdm.std

from play import ANY, loose, march, share, wait

SCRIPTS = {
    "chinese": ("正在加载数据集……", "正在预处理图像：共 1200 张", "开始训练：共 3 轮，总步数 300", "第 {e}/3 轮，步数 {s}/300，损失：{loss}，学习率：1e-04",
                "正在验证……", "验证损失：{v}", "正在保存检查点：out/ckpt_{e}.pt", "训练完成，用时 12 分 31 秒"),
    "japanese": ("データセットを読み込み中…", "前処理を実行しています（1200枚）", "学習を開始します（3エポック、合計300ステップ）", "エポック {e}/3 ステップ {s}/300 損失: {loss} 学習率: 1e-04",
                 "検証中…", "検証損失: {v}", "チェックポイントを保存中: out/epoch_{e}.pt", "学習が完了しました"),
    "korean": ("데이터셋을 불러오는 중...", "이미지 전처리 중 (1200장)", "학습 시작: 3 에폭, 에폭당 100 배치", "에폭 {e}/3 | 배치 {b}/100 | 손실: {loss} | 학습률: 1e-04",
               "검증 중...", "검증 손실: {v}", "체크포인트 저장 중: out/epoch_{e}.pt", "학습 완료"),
    "german": ("Datensatz wird geladen ...", "Bilder werden vorverarbeitet (1200 Stück)", "Training beginnt: 3 Epochen, insgesamt 300 Schritte",
               "Epoche {e}/3 - Schritt {s}/300 - Verlust: {comma} - Lernrate: 1e-04", "Validierung läuft ...", "Validierungsverlust: {v}",
               "Speichere Checkpoint: out/epoche_{e}.pt", "Training abgeschlossen nach 12 Minuten"),
    "french": ("Chargement du jeu de données...", "Prétraitement des images (1200 au total)", "Début de l'entraînement : 3 époques de 100 lots",
               "Époque {e}/3, lot {b}/100, perte : {comma}", "Validation en cours...", "Perte de validation : {v}",
               "Sauvegarde du point de contrôle : out/epoque_{e}.pt", "Entraînement terminé en 12 min 31 s"),
    "spanish": ("Cargando el conjunto de datos...", "Preprocesando imágenes (1200 en total)", "Inicio del entrenamiento: 3 épocas, 300 pasos en total",
                "Época {e}/3 - paso {s}/300 - pérdida: {loss}", "Validando...", "Pérdida de validación: {v}",
                "Guardando punto de control en out/epoca_{e}.pt", "Entrenamiento finalizado"),
    "portuguese": ("Carregando o conjunto de dados...", "Pré-processando imagens (1200 no total)", "Iniciando o treinamento: 3 épocas com 100 lotes cada",
                   "Época {e}/3 | lote {b}/100 | perda: {comma}", "Validando o modelo...", "Perda de validação: {v}",
                   "Salvando checkpoint em out/epoca_{e}.pt", "Treinamento concluído"),
    "russian": ("Загрузка набора данных...", "Предобработка изображений (всего 1200)", "Начало обучения: 3 эпохи, всего шагов 300",
                "Эпоха {e}/3, шаг {s}/300, потери: {loss}", "Проверка на валидационной выборке...", "Потери на валидации: {v}",
                "Сохранение контрольной точки: out/epoch_{e}.pt", "Обучение завершено"),
}


def script(log, texts, epochs=3, batches=100):
    """A script that prints its progress in another language, by steps of the run or by batches of the epoch."""
    load, prepare, start, line, check, checked, save, end = texts
    log.say(load, stage="Preprocessing")
    log.say(prepare)
    log.say(start, stage="Training", percent=ANY, step=ANY, total=ANY, epoch=ANY, epochs=ANY)
    whole = "{s}" in line
    for epoch in range(1, epochs + 1):
        for batch in range(20, batches + 1, 20):
            step = (epoch - 1) * batches + batch
            loss = f"{log.falling(step / epochs / batches):.4f}"
            log.say(line.format(e=epoch, s=step, b=batch, loss=loss, comma=loss.replace(".", ",")), stage="Training", epoch=epoch, epochs=epochs,
                    step=step if whole else ANY, total=epochs * batches if whole else ANY, loss=float(loss), percent=share(epoch, epochs, batch, batches))
        log.say(check, stage="Validation")
        log.say(checked.format(v="0.41" if "{loss}" in line else "0,41"))
        log.say(save.format(e=epoch), stage="Saving checkpoint")
    log.say(end, stage=ANY)


def plain(log, total=5000):
    """The page's own example, and a loss that is no number."""
    log.say("Preprocessing dataset", stage="Preprocessing")
    log.say("Warming up for 10 steps", stage="Warmup")
    for step in range(100, total + 1, 100):
        loss = "nan" if 2000 <= step < 2300 else f"{log.loss_by_steps():.4f}"
        log.say(
            f"Step {step}/{total} - loss: {loss}",
            stage="Training", step=step, total=total, loss=None if loss == "nan" else float(loss),
        )
        if step % 1000 == 0:
            log.say("Validating", stage="Validation")
            log.say(f"Saving checkpoint at /out/checkpoint-{step}", stage="Saving checkpoint")


def epochs_only(log, epochs=10):
    """Nothing but epochs."""
    log.say("Loading images", stage="Preprocessing")
    for epoch in range(1, epochs + 1):
        loss = round(log.loss_by_steps(), 4)
        log.say(f"epoch {epoch}/{epochs} - train loss: {loss} - val loss: 0.4", stage="Training", epoch=epoch, epochs=epochs,
                percent=epoch * 100 / epochs, loss=loss)


def killed_and_begun_again(log, total=400):
    """One log of two runs: the first was killed, the second resumed from its checkpoint."""
    log.say("***** Running training *****", stage="Training")
    bar = log.bar(range(total), desc="Steps")
    for step in range(20, 261, 20):
        wait(20)
        bar.update(20)
        log.mark(step=step, total=total)
        if step == 200:
            log.say("")
            log.say("Saved state to /out/checkpoint-200", stage=ANY)
            log.stage = "Training"
    log.say("")
    # What was killed does not close its bar.
    bar.disable = True
    tqdm.std.tqdm._instances.clear()
    log.say("Killed")
    log.say("Resuming from checkpoint checkpoint-200", stage="Preprocessing")
    log.percent = None
    bar = log.bar(range(total), initial=200, desc="Steps")
    log.mark(stage="Training", step=200)
    for step in range(220, 401, 20):
        wait(20)
        bar.update(20)
        log.mark(step=step)


def torture(log, total=100):
    """Colours, NULs, invalid UTF-8, carriage returns, broken sequences, words that mean something else."""
    log.write(b"\x1b[32mINFO\x1b[0m Loading model\xff\xfe\r\n")
    log.mark(stage="Preprocessing")
    for line in [
        "Uploading: 100%|##########| 12.3M/12.3M [00:02<00:00, 5.1MB/s]",
        "gradient checkpointing: True",
        "warmup_steps: 100",
        "Invalidated cache entry 3/10",
        "output_dir=/data/step_900/of/1000/checkpoint-1800",
        "Downloading (…)model.safetensors:  40%|####      | 1.23M/2.50M [00:01<00:01, 1.2MB/s]",
        "Total steps: 100",
    ]:
        log.write(line + "\n")
    log.mark(stage="Training", total=total)
    for step in itertools.chain(range(10, 60, 10), range(60, 101, 20)):
        log.write(b"\0\x1b[36mstep\x1b[0m: \x1b[1m%d\x1b[0m/%d loss=0.%d\x1b[K\r\n" % (step, total, step))
        log.mark(step=step, loss=float(f"0.{step}"))
        log.write("6.3G/14.0G memory, 2026/03/01 10:00:00, epoch time 3.2s\n")
        log.mark()


LOGS = march({f"script-{name}": lambda log, texts=texts: script(log, texts) for name, texts in SCRIPTS.items()}) | loose({
    "plain": plain,
    "epochs-only": epochs_only,
    "killed-and-begun-again": killed_and_begun_again,
    "torture": torture,
}, first_seed=9)
