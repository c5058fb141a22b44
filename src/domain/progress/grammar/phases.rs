//! Which words say what is being done, and which only look so.
//!
//! The API page detects a stage by a word anywhere in the line. Real logs hold the same words in
//! paths (`checkpoint-1800`), options (`lr_warmup_steps=100`), settings, metrics' names and errors, so
//! here a word counts only as a word ([`plain_words`]) and only where no earlier row explains it.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexSet};

use super::super::stage::Stage;
use super::words::plain_words;

/// What the words of a line amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Verdict {
    /// The line says that this is being done.
    Is(Stage),
    /// The line is known to say nothing of a stage: a setting, a transfer, a metric.
    Nothing,
    /// It speaks of a trouble; the counts in it were told before.
    Trouble,
    /// The run is over.
    Over,
    /// No rule knows it; numbers may still tell.
    Unknown,
}

/// A row: what a line is whose words match the expression, and a line that is so.
struct Rule(Verdict, &'static str, #[allow(dead_code, reason = "the tests read it")] &'static str);

const PREPROCESSING: Verdict = Verdict::Is(Stage::Preprocessing);
const WARMUP: Verdict = Verdict::Is(Stage::Warmup);
const TRAINING: Verdict = Verdict::Is(Stage::Training);
const VALIDATION: Verdict = Verdict::Is(Stage::Validation);
const SAVING: Verdict = Verdict::Is(Stage::SavingCheckpoint);

/// Regular expressions over [`plain_words`], ordered: the first that matches decides. There, `~` is
/// a path, an identifier or an option, `0` a number and `0/0` a fraction.
const RULES: &[Rule] = &[
    // How a run ended.
    Rule(
        Verdict::Over,
        r"\b(training|run|job|fine-?tuning|status|trainer)\b\W*(\b(loop|run|job|process|is|was|has|been)\b\W*)*\b(abort\w*|cancel\w*|interrupt\w*|complete[d]?|finished|done|ended|stopp\w+|fail\w*|success\w*)\b",
        "[STAGE] ✓ Training Complete: Training complete.",
    ),
    Rule(
        Verdict::Over,
        r"\b(finished|completed|ended|stopped|end of) (the )?(model )?(training|fine-?tuning)( (run|job|loop))?\W*(0|in|after|$)|^\W*(finished|done)( training)?\W*0? ?(steps)?\W*$|\bwaiting for w&b process to finish\b|^(\W|~|0)*training time: 0|\bearly stopp(ed|ing) (at|after|triggered)\b|^stopping\. best iteration",
        "wandb: Waiting for W&B process to finish... (success).",
    ),
    Rule(
        Verdict::Over,
        r"训练(完成|结束|完毕)|(学習|訓練|トレーニング)(が)?(完了|終了)|(학습|훈련)\s?(완료|종료)|training (abgeschlossen|beendet)|entraînement (terminé|fini)|entrenamiento (completado|terminado|finalizado)|treinamento (concluído|finalizado|completo)|обучение (завершено|закончено|окончено)|addestramento (completato|terminato|finito)|antrenare (finalizată|completă)|trening (zakończony|ukończony)|eğitim (tamamlandı|bitti)|training (voltooid|klaar)",
        "训练完成",
    ),
    Rule(
        Verdict::Trouble,
        r"\b(abort(ed|ing)?|cancel(l?ed|l?ing)|keyboardinterrupt)\b|^~ stopped",
        "slurmstepd: error: *** JOB 1 CANCELLED ***",
    ),
    Rule(
        SAVING,
        r"\bcreating backup\b|\bsaving\.*\W*$",
        "INFO output/swin/ckpt_epoch_14.pth saving......",
    ),
    // Errors and warnings, which name what they could not do.
    Rule(
        Verdict::Trouble,
        r"\b\w*(error|exception|warning)\b:|\b(error|fatal|critical|traceback|failed|failure|exitcode|sigterm|killed)\b|\bout of memory\b",
        "RuntimeError: Error(s) in loading state_dict for UNet2DConditionModel:",
    ),
    Rule(
        SAVING,
        r"\bsaving the checkpoint \(",
        "Saving the checkpoint (or staging if async is enabled).",
    ),
    Rule(
        Verdict::Trouble,
        r"\b(could not|couldn't|cannot|can't|unable to|does not exist|doesn't exist|not found|no such|not supported|unavailable)\b|\b(is|are) (deprecated|incompatible|recommended|ignored|disabled|enabled)\b|\bwill be ignored\b",
        "Checkpoint 'latest' does not exist. Starting a new training run.",
    ),
    Rule(
        Verdict::Trouble,
        r"^\W*file \W*~\W+line 0\b|^\W*~:0 in\b",
        "  File \"/opt/train.py\", line 43, in run",
    ),
    Rule(
        TRAINING,
        r"^\W*training until validation\b",
        "Training until validation scores don't improve for 20 rounds",
    ),
    Rule(
        Verdict::Nothing,
        r"\bwarm-?up within\b",
        "Warmup within epochs when > 0. LR stepped per epoch.",
    ),
    // Transfers: their bars count bytes or files.
    Rule(
        Verdict::Nothing,
        r"\b((up|down)load(s|ed|ing)?|fetch(ed|ing)?|push(ed|ing)? (to|model|checkpoint|commit))\b",
        "Downloading shards:  50%|█████     | 1/2 [00:01<00:01,  1.00it/s]",
    ),
    // Settings and phrases that hold a stage's word.
    Rule(
        Verdict::Nothing,
        r"\b(gradient|grad|activation|selective|block|unsloth) checkpoint\w*",
        "Enabling gradient checkpointing",
    ),
    Rule(
        Verdict::Nothing,
        r"\bcheckpoint(s|ing)? (dir\w*|path|interval|frequency|every|steps?|limit|name|folder|format|callback|strategy|enabled|disabled|manager|save interval)\b|\b(no|without|from scratch\w* no) checkpoint",
        "Checkpoint interval: 500",
    ),
    Rule(
        Verdict::Nothing,
        r"\bcheckpoints? will be\b|\bsav(e|es|ing) (\w+ )?(checkpoints?|models?|logs?|results?|outputs?|config|weights)( \w+)? to:\s*(~\s*)?(~(:0)?)?\s*$|\bwill (be )?sav(e|ed)\b|\b(models?|results?|checkpoints?) sav(e|ed|ing) (in|to|at):\s*(~(:0)?)?\s*$|^\W*current checkpoints\b|\bsaving to output directory\b|^\[training\] status: ~",
        "[01:24:43] Saving checkpoints to:",
    ),
    Rule(
        Verdict::Nothing,
        r"^\W*(info\W+)?checkpoint\w*\s*[:=]\s*(true|false|none|~|0)\s*$",
        "checkpointing: true",
    ),
    Rule(
        Verdict::Nothing,
        r"\bwarm-?up( (steps?|ratio|epochs?|iters?|iterations?|type|fraction|lr|init|period|schedule\w*|strategy))?(( is set to)?\s*[:=]\s*| is set to )(0|none|true|false|~|\w+)\s*%?$|\b(with|no|without|constant|linear|cosine|num|number of|using) (\w+ )?warm-?up\b|\bwarm-?up (ratio|schedule\w*)\b|\b0 warm-?up steps\b|\(warm-?up 0\)|\bwarm-?up model\b",
        "Warmup steps: 100",
    ),
    Rule(
        Verdict::Nothing,
        r"\b(validat(e|ed|ing)|check(ed|ing)?) (the |your |that |if |\w+ )?((lr|learning|optimi[sz]er|scheduler|training|cli|command|input|user|api|model|network|data|dataset|config)\W+)*(arg\w*|config\w*|setting\w*|inputs?|param\w*|options?|paths?|credential\w*|tokens?|keys?|schema|files?|environment|licen[cs]e|account|urls?|request|director\w+|folders?|installation|requirements|dependenc\w+|existence|data ?sets?|captions?|types?|versions?|hardware|gpus?|~)",
        "Validating lr scheduler arguments...",
    ),
    Rule(
        Verdict::Nothing,
        r"^(\W|0|~|info|debug|rank)*validation (prompts?|steps?|epochs?|interval|frequency|every|seed|split|resolution|guidance|dataset|data|set|samples?|images?|ratio|size|negative|sampler|scheduler|batch|disabled|enabled)\b[^:=/]{0,30}[:=]",
        "Validation samples: 10000",
    ),
    Rule(
        Verdict::Nothing,
        r"\b(no|skip\w*|disabl\w*|enabl\w*|without) (the )?(validations?|sampling|evaluation|checkpoint\w*|warm-?up)\b|\bvalidate on 0\b",
        "log_tracker_config not specified, skipping validation",
    ),
    Rule(
        Verdict::Nothing,
        r"\b(eval|train|training) mode\b|\bcache (location|dir\w*|path|file)\b|\binvalidated\b|\b(evaluation|eval|validation) metric\b|= validation\b|= training runtime\b|\b(training|train) script\b",
        "\t0.9604\t = Validation accuracy score",
    ),
    Rule(
        Verdict::Nothing,
        r"\bin validation set\b|\btrain(ing)?, validation\b|\bvalidation,? and test\b",
        "Holding out 300 utterances in validation set and 300 in training diagnostic set",
    ),
    // The banner of a run, in SimpleTuner a list with dashes or arrows.
    Rule(
        TRAINING,
        r"^\W*-\W+(num (batches|epochs|examples)|current epoch|total (train )?batch|instantaneous batch|gradient accumulation|total optimi[sz]ation|steps completed|(number of )?trainable param)",
        "-  Num Epochs = 21",
    ),
    Rule(
        TRAINING,
        r"^\W*num (train images|reg images)\b|\bstart(ing)? training loop\b|^\W*last eval epoch\b",
        "  num reg images / 正則化画像の数: 0",
    ),
    Rule(
        TRAINING,
        r"\bresum\w+ (training )?(from|at) (the )?(global )?(step|epoch) 0|\bno (model|checkpoint) to resume\b|\bbeginning fresh training\b",
        "Resuming from global step 500, because we have global_step 500",
    ),
    Rule(
        Verdict::Nothing,
        r"\b(reducer|gradient|allreduce) buckets?\b|\b(gradient|grad|gradients) accum\w*|\b(steps|batches|iterations|images) per\b|\b(save|saving|log|logging|eval|evaluate|sample|validate|print)\w* (\w+ ){0,3}every\b|\bevery (0 |n )(steps?|epochs?)|\b(inference|denoising|diffusion|sampling|sample) steps\b",
        "Saving a checkpoint every 500 steps",
    ),
    Rule(
        VALIDATION,
        r"\bcv (batch|info)\b|\bloading valid dataset\b|^\W*valid \||\bworking on iteration\b",
        "Loading valid dataset from data/poems.valid.1.pt, number of examples: 7988",
    ),
    Rule(
        Verdict::Nothing,
        r"\b(total|train|training|max|num|number of|effective) (train |training |validation )?(batch size|batches|samples|examples|images|tokens)\b",
        "Training samples: 122,890",
    ),
    // Graphs are captured and kernels compiled before anything is trained.
    Rule(
        PREPROCESSING,
        r"\b(capturing|compiling) (the )?(cuda|model|train|eval|graph|kernel)|\bprecomput\w+",
        "Capturing CUDA graph shapes: 100%|██████████| 35/35 [00:48<00:00,  1.39s/it]",
    ),
    // The bar of VITS and what is derived from it counts the batches of an epoch.
    Rule(TRAINING, r"^\W*loading train data\W*$", "Loading train data"),
    Rule(
        Verdict::Nothing,
        r"\bresum\w* [^:=]*[:=]\s*(false|none|no|0)\W*$",
        "Resuming from checkpoint: False",
    ),
    // Loading and resuming; before saving, for checkpoints are loaded too.
    Rule(
        PREPROCESSING,
        r"\b(resum(e|es|ed|ing)|restor(e|ed|ing)|continuing (training )?from)\b",
        "Resuming from checkpoint backup-checkpoint-3000",
    ),
    Rule(
        PREPROCESSING,
        r"\b(re)?load(ed|ing)\b|^(\W|0|~|info|debug|warning|rank)*(re)?load\b|\b(geladen|vorverarbeitet)\b",
        "Loading pipeline components...:  57%|█████▋    | 4/7 [00:00<00:00, 12.06it/s]",
    ),
    // The encoders leave the memory once what they had to encode is cached.
    Rule(
        PREPROCESSING,
        r"\bunload(ed|ing) (the )?(text.?encoders?|vae|~encoders?)\b",
        "[INFO] Unloading text encoders, as they are not being trained.",
    ),
    // What is saved decides: caches, pictures, settings, or the weights.
    Rule(
        PREPROCESSING,
        r"\b(sav|writ)(e|es|ed|ing) [^.]*\b(caches?|latents?|(text|prompt|image|caption|encoder|vae)s?[ -]embed\w*|embeds|buckets?|metadata|captions?|statistics|the dataset)\b",
        "Saving the dataset (1/1 shards): 100%|██████████| 37/37 [00:00<00:00, 11214.20 examples/s]",
    ),
    Rule(
        VALIDATION,
        r"\bsav(e|es|ed|ing) (the |\w+ ){0,2}(images?|samples?|videos?|previews?|grids?)\b",
        "Saving sample images",
    ),
    Rule(
        Verdict::Nothing,
        r"\bsav(e|es|ed|ing) (the |\w+ )?(args|arguments|config|logs?|settings|plots?|metrics)\b",
        "Saving config...",
    ),
    Rule(
        SAVING,
        r"\b(sav(e|ed|ing)|writ(e|ing|ten)|wrote|export(ed|ing)?|stor(e|ed|ing)|remov(ed|ing)|delet(ed|ing)|snapshotting) [^.]*\b(models?|weights?|states?|loras?|adapters?|networks?|optimi[sz]er|scheduler|pipeline|tokenizer|unet|transformer|text encoders?|ema|embeddings?|parameters|params|file|checkpoints?|gaussians)\b",
        "Saving model to ../models/gemma_lora_output...",
    ),
    Rule(
        SAVING,
        r"\b(models?|weights?|states?|loras?|adapters?|configuration|config|tokenizer|tokens|scheduler|optimi[sz]er|pipeline|ema|template)\b[^.]*\bsaved\b",
        "chat template saved in out/chat_template.jinja",
    ),
    Rule(SAVING, r"\bsav(ing|ed) (at|after|to|final)\b|^\W*saving\b", "Saving at step 500"),
    Rule(
        SAVING,
        r"\bmerging (the )?(weights|loras?|adapters?)\b",
        "Unsloth: Merging weights into 16bit",
    ),
    Rule(
        SAVING,
        r"\bcheckpoint(s|ed|ing)?\b.*\b(sav|writ|stor|dump)\w*|\b(sav|writ|creat|dump|stor)\w* .*\bcheckpoint|^\W*\[checkpoint\]|^\W*best model ?:",
        "[Rank 0] Checkpoint global_step50 is about to be saved!",
    ),
    Rule(
        SAVING,
        r"保存(模型|权重|检查点)|(模型|权重|检查点)(已)?保存|(モデル|チェックポイント|重み)(を)?保存|保存(中|しています)|(모델|체크포인트|가중치)(을|를)?\s?저장|(modell|checkpoint|gewichte)\w* (wird |werden )?(gespeichert|speichern)|speicher(e|n) (modell|checkpoint)|(sauvegarde|enregistrement) (du|de la|des|le|d)|modèle (sauvegardé|enregistré)|guardando|(modelo|punto de control) guardado|salvando|modelo salvo|salvataggio|modello salvato|se salvează|zapis(ano|uję)|kaydedil|opgeslagen|сохран(ение|яем|яю|яется|ена|ён|ено)",
        "保存模型...",
    ),
    Rule(WARMUP, r"\bwarming[ -]up\b|\bwarm-?up\b|^~:0/0$", "Warmup started"),
    Rule(
        WARMUP,
        r"预热|ウォームアップ|워밍업|aufwärmphase|échauffement|calentamiento|aquecimento|прогрев|разогрев",
        "Прогрев модели",
    ),
    // Caching, measuring and arranging the data.
    Rule(
        PREPROCESSING,
        r"\bpre-?(process|comput|cach|encod|par)\w*|\bprepar(e|ing) (the )?(data\w*|tokenizer|images|latents|prompts|model|text|unet|embed\w*|metadata|captions|accelerator|optimi[sz]er|initial)",
        "preprocessing images",
    ),
    Rule(
        PREPROCESSING,
        r"\bcach(ing|ed)\b|\bcaches? (initiali[sz]|build|generat|creat|warm|written|complete|objects?|text)|\b(build|generat|creat|writ|scan|initiali[sz]|updat)\w* [^.]*\bcaches?\b",
        "[STAGE] ⏳ VAE Cache initialising (0.0%)",
    ),
    Rule(
        PREPROCESSING,
        r"\b(tokeni[sz](e|ing)|scanning|bucketing|buckets?|encoding|quanti[sz]ing|captioning|re-?sizing|filtering|shuffling|indexing|discovering|extracting|unzipping)\b|\bconfiguring data|\bimage sizes?\b|\btrain images with\b|\breg images\b|\bfound directory\b|\b(clean\w*|merge\w*) (the )?(captions?|tags)\b|\bsetting up (the )?(training |evaluation |validation )?data|\bclass images to sample\b",
        "cleaning captions and tags.",
    ),
    Rule(
        PREPROCESSING,
        r"\bcollect(ing|ed) (all |0 )?words?\b|\bprocessed 0 words\b|\bbuilding (train|data|indexed)\b",
        "collecting all words and their counts",
    ),
    Rule(
        PREPROCESSING,
        r"\b(creating|building|initiali[sz](ing|ed)) (the )?(model|network|pipeline)\b|\breading pool\b|\bfound 0 (files|images|videos)\b|\busing 0 files for\b|\bweights matched\b",
        "Found 1280 files belonging to 4 classes.",
    ),
    Rule(
        PREPROCESSING,
        r"\bconvert(ing)? (\w+ )?to \w+ format\b|\bchecking formats\b",
        "Convert to COCO format",
    ),
    Rule(
        PREPROCESSING,
        r"\bprocessing (0 )?(images|files|prompts|videos|bucket)",
        "Processing 27 images...",
    ),
    Rule(
        PREPROCESSING,
        r"\b(build|collect|creat|comput|convert|calculat|process|generat|initiali[sz]|configur|pack|split|group|mapp|gather|read|pars|format)\w*( the| \w+){0,3} (data ?sets?|data|data ?loaders?|latents?|embed\w*|captions?|metadata|examples|split|backends?|aspect|tokens|index|transforms|cameras?|class images|pairs)\b|\breading camera\b",
        "Reading Training Transforms [06/05 23:53:10]",
    ),
    Rule(PREPROCESSING, r"^\W*rank\W+0\W+\|", "(Rank: 0)  | 1.0        | 12          "),
    Rule(
        PREPROCESSING,
        r"(加载|载入|读取|预处理|准备)(数据|模型|权重)?|缓存|(読み込み|ロード|前処理|キャッシュ)(中|開始)?|(로드|로딩|전처리|불러오는|캐싱)|\b(lade|laden|vorverarbeitung|vorbereitung)\b|\b(chargement|prétraitement|préparation)\b|\b(cargando|preprocesando|preprocesamiento|preparando)\b|\b(caricamento|încărcare|ładowanie|yükleniyor|laden van)|\b(carregando|pré-?processamento|preparando)\b|загрузк|загружа|предобработк|подготовк|кэширован",
        "📂 Chargement des données...",
    ),
    // Evaluating and drawing samples.
    Rule(
        VALIDATION,
        r"^(\W|~|0|info)*(test|dev|val)( set)? ?:|^\W*class images (labels|instances|targets)\b",
        "Test: [   0/30]  Time: 6.602 (6.602)  Loss:   6.731 ( 6.731)",
    ),
    Rule(
        VALIDATION,
        r"\bvalidat(e|ed|es|ing|ion|ions)\b|\beval(uat(e|ed|ing|ion))?\b|\bval\b|\bvalid (steps?|loss|epochs?|acc\w*|batch\w*)\b|\bvalid on\b",
        "***** Evaluating perplexity, Epoch 4/16 *****",
    ),
    Rule(
        VALIDATION,
        r"\b(generat|render|sampl|draw)(e|ed|ing) (\S+ ){0,3}(samples?|images?|videos?|previews?|grids?)\b|^\W*(info\W+)?sampling\b|\bbenchmark\w*|\bsanity check|\b(running|run|start|starting) (\w+ )?(inference|sampling)\b|\binference done\b|\bcalculat\w+ (\w+ )?loss\b|\btest(ing)? net\b|\btesting verification\b|^\W*calculation map\b",
        "Generating Samples:  50%|#####     | 1/2 [01:00<01:00, 60.18s/it]",
    ),
    Rule(
        VALIDATION,
        r"(开始|正在)?(验证|评估|评测)|(検証|評価|サンプル画像生成)|(검증|평가)|\b(validierung|auswertung|evaluierung|validiere)\b|\bévaluation\b|\b(validazione|valutazione|validare|walidacja|doğrulama|validatie)\b|\b(validación|evaluación|validando|evaluando)\b|\b(validação|avaliação|validando|avaliando)\b|валидац|оценк|проверка модели",
        "Валидация...",
    ),
    Rule(
        TRAINING,
        r"^\W*episode:? 0\b",
        "Episode: 59, Actions: 2351, reward: -18, Avg. reward: -19.900",
    ),
    Rule(TRAINING, r"^\W*(train|time|rollout)/\W*$", "| train/                  |             |"),
    Rule(TRAINING, r"^tick 0 kimg 0", "tick 1201  kimg 4919.3   time 1d 02h 07m  sec/tick 58.3"),
    // Training, said in words.
    Rule(
        TRAINING,
        r"\b(running|start|starting|started|begin|beginning|began|commencing|entering|training will run) (the |to )?(model |main |actual |lora |fine-?|autogluon |textual inversion |train )*(training|tuning|epoch|epoch0|~)\b|\btraining (has |is )?(started|starts|begins|began|running|in progress|will run)\b|^\W*(info\W+)?training( (the |a )?(model|lora|network|adapter|unet|transformer|text encoder|lm|timeseries))?\b[^:=]*$|^\[training\]|\bnum epochs\b|\bfitting model\b|\btraining model\b|\bbeginning of epoch\b",
        "Starting training...",
    ),
    Rule(
        TRAINING,
        r"(开始|正在)?训练(中|开始)?|(学習|訓練|トレーニング)(を)?(開始|中)|(학습|훈련)(을)?\s?(시작|중)|\b(training|trainieren) (gestartet|beginnt|läuft)|\bbeginne (das )?training|\bstarte (das )?training|(début|lancement|démarrage) (de |d)\W?\W?(l\W)?entraînement|\bentraînement\b|(iniciando|comenzando|inicio del?) (el )?entrenamiento|\bentrenamiento\b|(iniciando|começando|início d[oe]) (o )?treinamento|\btreinamento\b|\baddestramento\b|\bantrenare|\bantrenament|\btrening\b|\beğitim\b|(начало|начинаем|запуск|старт) обучени|обучени",
        "🚀 Début de l'entraînement (5 époques)",
    ),
];

static RULE_SET: LazyLock<RegexSet> = LazyLock::new(|| compiled(RULES.iter().map(|rule| rule.1)));

/// Work on data as bars are described. Only for bars: in prose these words mean anything.
static DATA_WORK: LazyLock<RegexSet> = LazyLock::new(|| {
    compiled([
        r"^\W*(0\W+)*(map|filter|flatten|pack|tokeni[sz]|generating|process|extract|encod|comput|creat|scan|prepar|group|resiz|convert|check|collect|calculat|read|index|build|cast|quanti[sz]|discover|crop|caption|cach|load|pars|merg|split|sort|count|hash|verif|unpack|copy|mov|import|init|format|resolv|enumerat|captur|add|gather|captur|compil|fetch|pull|sav|writ|clean|delet|remov|make|making|format|render)(|e|s|es|ed|ing|ping|ting|ning|ging|y|ying)\b",
        r"\b(shards|latents|embeddings?|captions?|cache|files|images|components|tokens|metadata|buckets?|dataset|weights|prompts|extraction|split|examples|rollouts?|experience|layers)\W*$|\bcorrupt(ed)?\b|\blabel\(s\) found\b|\blabels? found\b",
    ])
});

static EVALUATION_WORK: LazyLock<RegexSet> = LazyLock::new(|| {
    compiled([
        r"^\W*(test|testing|predict|predicting|prediction|inference|inferencing|sample|samples|sampling|sanity|evaluat\w*|eval|dev|class)\b|\bsampler\b|\btest\W*$",
    ])
});

/// Something was saved, and that is all: what goes on now is what went on before.
static PAST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u)\b(loaded|saved|wrote|written|stored|exported|removed|deleted)\b")
        .expect("the expression compiles")
});
static PRESENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u)\b(saving|writing|storing|exporting|removing|deleting|about to)\b")
        .expect("the expression compiles")
});

fn compiled<'a>(rules: impl IntoIterator<Item = &'a str>) -> RegexSet {
    let rules: Vec<_> = rules.into_iter().map(|rule| format!("(?-u){rule}")).collect();
    super::set(rules.iter().map(String::as_str))
}

/// What a line in prose says is being done.
pub(in super::super) fn verdict_of_text(line: &[u8]) -> Verdict {
    first_rule(&plain_words(line))
}

/// Whether a line says that something was saved, not that it is being saved.
pub(in super::super) fn is_past(line: &[u8]) -> bool {
    let words = plain_words(line);
    PAST.is_match(&words) && !PRESENT.is_match(&words)
}

/// What a progress bar counts, by the description before it: the name of the job in some trainers.
pub(in super::super) fn verdict_of_bar(description: &[u8]) -> Verdict {
    let words = plain_words(description);
    match first_rule(&words) {
        Verdict::Unknown if EVALUATION_WORK.is_match(&words) => VALIDATION,
        Verdict::Unknown if DATA_WORK.is_match(&words) => PREPROCESSING,
        verdict => verdict,
    }
}

fn first_rule(words: &[u8]) -> Verdict {
    RULE_SET.matches(words).iter().next().map_or(Verdict::Unknown, |row| RULES[row].0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_decides_its_example() {
        for Rule(verdict, pattern, example) in RULES {
            // Of a bar, the description alone is looked at.
            let text = example.split(": 100%").next().unwrap_or(example);
            assert_eq!(verdict_of_text(text.as_bytes()), *verdict, "{pattern}: {example}");
        }
    }
}
