//! Scripts that speak other languages than English.

use super::forms::{Form, SCRIPT};
use super::log::Log;
use super::run::{Now, Run};

/// A report that tells the epoch, the steps of the run, and the loss.
fn of_run(log: &mut Log, run: &Run, now: &Now, row: impl Fn([u64; 4]) -> String) {
    log.counts(now.step, Some(run.total()));
    log.epoch_is(now.epoch + 1, Some(run.epochs));
    log.loss_is(now);
    log.row(&row([now.epoch + 1, run.epochs, now.step, run.total()]));
}

/// A report that tells the epoch, the batches of it, and the loss.
fn of_epoch(log: &mut Log, run: &Run, now: &Now, row: impl Fn([u64; 4]) -> String) {
    log.counts_within(now, run);
    log.epoch_is(now.epoch + 1, Some(run.epochs));
    log.loss_is(now);
    log.row(&row([now.epoch + 1, run.epochs, now.batch, run.batches]));
}

/// A number with a comma, as it is written on the continent.
fn with_comma(loss: f64) -> String {
    format!("{loss:.4}").replace('.', ",")
}

/// What those have in common that count within epochs.
const BATCHES: Form = Form { resumes_anywhere: false, ..SCRIPT };

pub(super) const SCRIPTS: &[Form] = &[
    Form {
        name: "Chinese",
        prepares: &["正在加载数据集……", "正在预处理图像：共 1200 张"],
        begin: |log, run, _| {
            log.says_something(&format!("开始训练：共 {} 轮，总步数 {}", run.epochs, run.total()));
        },
        step: |log, run, now| {
            of_run(log, run, now, |[epoch, epochs, step, total]| {
                format!(
                    "第 {epoch}/{epochs} 轮，步数 {step}/{total}，损失：{:.4}，学习率：1e-04",
                    now.loss
                )
            });
        },
        validate: |log, _, _| log.validates(&["正在验证……", "验证损失：0.41"]),
        saves: "正在保存检查点：PATH.pt",
        ends: "训练完成，用时 12 分 31 秒",
        ..SCRIPT
    },
    Form {
        name: "Japanese",
        prepares: &["データセットを読み込み中…", "前処理を実行しています（1200枚）"],
        begin: |log, run, _| {
            log.says_something(&format!(
                "学習を開始します（{}エポック、合計{}ステップ）",
                run.epochs,
                run.total()
            ));
        },
        step: |log, run, now| {
            of_run(log, run, now, |[epoch, epochs, step, total]| {
                format!(
                    "エポック {epoch}/{epochs} ステップ {step}/{total} 損失: {:.4} 学習率: 1e-04",
                    now.loss
                )
            });
        },
        validate: |log, _, _| log.validates(&["検証中…", "検証損失: 0.41"]),
        saves: "チェックポイントを保存中: PATH.pt",
        ends: "学習が完了しました",
        ..SCRIPT
    },
    Form {
        name: "Korean",
        prepares: &["데이터셋을 불러오는 중...", "이미지 전처리 중 (1200장)"],
        begin: |log, run, _| {
            log.says_something(&format!("학습 시작: {} 에폭", run.epochs));
        },
        step: |log, run, now| {
            of_epoch(log, run, now, |[epoch, epochs, batch, batches]| {
                format!(
                    "에폭 {epoch}/{epochs} | 배치 {batch}/{batches} | 손실: {:.4} | 학습률: 1e-04",
                    now.loss
                )
            });
        },
        validate: |log, _, _| log.validates(&["검증 중...", "검증 손실: 0.41"]),
        saves: "체크포인트 저장 중: PATH.pt",
        ends: "학습 완료",
        ..BATCHES
    },
    Form {
        name: "German",
        prepares: &["Datensatz wird geladen ...", "Bilder werden vorverarbeitet (1200 Stück)"],
        begin: |log, run, _| {
            log.says_something(&format!(
                "Training beginnt: {} Epochen, insgesamt {} Schritte",
                run.epochs,
                run.total()
            ));
        },
        step: |log, run, now| {
            of_run(log, run, now, |[epoch, epochs, step, total]| {
                let loss = with_comma(now.loss);
                format!(
                    "Epoche {epoch}/{epochs} - Schritt {step}/{total} - Verlust: {loss} - Lernrate: 1e-04"
                )
            });
        },
        validate: |log, _, _| {
            log.validates(&["Validierung läuft ...", "Validierungsverlust: 0,41"])
        },
        saves: "Speichere Checkpoint: PATH.pt",
        ends: "Training abgeschlossen nach 12 Minuten",
        ..SCRIPT
    },
    Form {
        name: "French",
        prepares: &["Chargement du jeu de données...", "Prétraitement des images (1200 au total)"],
        begin: |log, run, _| {
            log.says_something(&format!(
                "Début de l'entraînement : {} époques de {} lots",
                run.epochs, run.batches
            ));
        },
        step: |log, run, now| {
            of_epoch(log, run, now, |[epoch, epochs, batch, batches]| {
                format!(
                    "Époque {epoch}/{epochs}, lot {batch}/{batches}, perte : {}",
                    with_comma(now.loss)
                )
            });
        },
        validate: |log, _, _| {
            log.validates(&["Validation en cours...", "Perte de validation : 0,41"])
        },
        saves: "Sauvegarde du point de contrôle : PATH.pt",
        ends: "Entraînement terminé en 12 min 31 s",
        ..BATCHES
    },
    Form {
        name: "Spanish",
        prepares: &["Cargando el conjunto de datos...", "Preprocesando imágenes (1200 en total)"],
        begin: |log, run, _| {
            log.says_something(&format!(
                "Inicio del entrenamiento: {} épocas, {} pasos en total",
                run.epochs,
                run.total()
            ));
        },
        step: |log, run, now| {
            of_run(log, run, now, |[epoch, epochs, step, total]| {
                format!("Época {epoch}/{epochs} - paso {step}/{total} - pérdida: {:.4}", now.loss)
            });
        },
        validate: |log, _, _| log.validates(&["Validando...", "Pérdida de validación: 0.41"]),
        saves: "Guardando punto de control en PATH.pt",
        ends: "Entrenamiento finalizado",
        ..SCRIPT
    },
    Form {
        name: "Portuguese",
        prepares: &["Carregando o conjunto de dados...", "Pré-processando imagens (1200 no total)"],
        begin: |log, run, _| {
            log.says_something(&format!(
                "Iniciando o treinamento: {} épocas com {} lotes cada",
                run.epochs, run.batches
            ));
        },
        step: |log, run, now| {
            of_epoch(log, run, now, |[epoch, epochs, batch, batches]| {
                format!(
                    "Época {epoch}/{epochs} | lote {batch}/{batches} | perda: {}",
                    with_comma(now.loss)
                )
            });
        },
        validate: |log, _, _| log.validates(&["Validando o modelo...", "Perda de validação: 0,41"]),
        saves: "Salvando checkpoint em PATH.pt",
        ends: "Treinamento concluído",
        ..BATCHES
    },
    Form {
        name: "Russian",
        prepares: &["Загрузка набора данных...", "Предобработка изображений (всего 1200)"],
        begin: |log, run, _| {
            log.says_something(&format!(
                "Начало обучения: {} эпохи, всего шагов {}",
                run.epochs,
                run.total()
            ));
        },
        step: |log, run, now| {
            of_run(log, run, now, |[epoch, epochs, step, total]| {
                format!("Эпоха {epoch}/{epochs}, шаг {step}/{total}, потери: {:.4}", now.loss)
            });
        },
        validate: |log, _, _| {
            log.validates(&["Проверка на валидационной выборке...", "Потери на валидации: 0.41"]);
        },
        saves: "Сохранение контрольной точки: PATH.pt",
        ends: "Обучение завершено",
        ..SCRIPT
    },
];
