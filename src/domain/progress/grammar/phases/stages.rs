//! What is said to be done.

use super::{PREPROCESSING, Rule, SAVING, TRAINING, VALIDATION, Verdict, WARMUP};

/// What is being done.
pub(super) const RULES: &[Rule] = &[
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
        r"\bmerging (the )?(weights|loras?|adapters?)\b|\bcheckpoint (policy|model) (after|at) step\b",
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
    // What Lightning says before it fits.
    Rule(
        PREPROCESSING,
        r"\btrainable params: 0|\binitializing distributed: |\ball distributed processes registered\b|\ball keys matched successfully\b|\bseed set to 0\W*$",
        "Initializing distributed: GLOBAL_RANK: 0, MEMBER: 1/4",
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
    // What is done with an evaluation, and what only speaks of its data.
    Rule(
        VALIDATION,
        r"^(\W|0|info|rank)*(evaluating|validating)\b|\b(eval|evaluate|validate|evaluation|validation) (on|of|over)\b|\b(evaluating|validating|running|generating|rendering|performing|doing|begin|beginning|start|starting|started|launching)\b[^.]*\b(eval\w*|val|valid\w*)\b|\b(evaluation|validation)\b.*\b(begins?|starts?|started|running|finished|done|completed?)\b",
        "Evaluating the model on the validation set",
    ),
    Rule(
        PREPROCESSING,
        r"\b(collect(ed|ing)|found|sampled|dropped|limiting|capped|auto-?\w+|splitting|size of|setting up|set ?up|adding|padding)\b[^.]*\b(eval|evaluation|val|validation)\b",
        "Collecting validation images",
    ),
    Rule(
        Verdict::Nothing,
        r"\b(eval|evaluation|val|validation) (data ?set|data|split|row|sequence|input|plot|resolution)s?\b|\b(for|the) (eval|val)\b|\bat validation time\b|\b(eval|evaluation|validation)s? (disabled|enabled|will|checks?|steps\. )\b|\b(been|not|be) (validated|evaluated)\b|\brequires [^.]*\bvalidation steps\b",
        "Eval dataset: 500 rows",
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
    Rule(
        TRAINING,
        r"^\W*epoch ~ (~ )+(instances|targets|labels) (size|~)\W*$",
        "      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size",
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
