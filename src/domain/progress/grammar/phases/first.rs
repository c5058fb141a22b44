//! How runs end, what goes wrong, what is only set; and what tells of a stage surer than its words do.

use super::{Rule, SAVING, TRAINING, VALIDATION, Verdict};

/// These come before the others.
pub(super) const RULES: &[Rule] = &[
    // What would be so if a run ended, and what evaluators of Ignite say of themselves, too.
    Rule(
        Verdict::Nothing,
        r"\b(if|when|once|until|after|before|whether|unless) (\w+ ){0,3}(training|run|job)\b[^.]*\b(done|completed?|finish\w*|end(s|ed)|stop\w*)\b|\bengine run (complete|resuming|starting|terminat\w*)",
        "This can cause unreliable results if further training is done.",
    ),
    // How a run ended.
    Rule(
        Verdict::Over,
        r"\b(training|run|job|fine-?tuning|status|trainer)\b\W*(\b(loop|run|job|process|is|was|has|been)\b\W*)*\b(abort\w*|cancel\w*|interrupt\w*|complete[d]?|finished|done|ended|stopp\w+|fail\w*|success\w*)\b",
        "[STAGE] ✓ Training Complete: Training complete.",
    ),
    Rule(
        Verdict::Over,
        r"\b(finish|finished|completed|ended|stopped|end of) (the )?(model )?(train|training|fine-?tuning)( (run|job|loop))?\W*(0|in|after|$)|^\W*(finished|done)( training)?\W*0? ?(steps)?\W*$|\bwaiting for w&b process to finish\b|^(\W|~|0)*(total )?training time: [0~]|\bearly stopp(ed|ing) (at|after|triggered)\b|^\W*epoch 0: early stopping\W*$|^stopping\. best iteration",
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
        r"\bsaving the checkpoint \(|^\W*checkpoint at step 0\W*$",
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
    // What the reader of the log may do.
    Rule(
        Verdict::Nothing,
        r"^(\W|info)*(use|please|note|tip|hint|consider|try|make sure|you (can|may|should|must))\b",
        "Use --vis {wandb, tensorboard} to run with eval.",
    ),
    Rule(
        Verdict::Nothing,
        r"\b(is|are) scheduled to\b|\bsampler 0:|\bcudnn\b|\bweight norm\b|\beval each\b|\btrace cache\b",
        "Dataset 7 is scheduled to start at epoch 3, but training ends at epoch 3.",
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
        r"\bwarm-?up( (steps?|ratio|epochs?|iters?|iterations?|type|fraction|lr|init|period|schedule\w*|strategy))?(( is set to)?\s*[:=]\s*| is set to )(0|none|true|false|~|\w+)\s*%?$|\b(with|no|without|constant|linear|cosine|num|number of|using) (\w+ )?warm-?up\b|\bwarm-?up (ratio|schedule\w*)\b|\b0 warm-?up steps\b|\bwarm-?up steps? (will|as|is|are|must|should|from)\b|\bscaling warm-?up\b|\b(after|during) warm-?up\b|\bwarm-?up (done|completed?|finished|took|run)\b|\(warm-?up 0\)|\bwarm-?up model\b",
        "Warmup steps: 100",
    ),
    Rule(
        Verdict::Nothing,
        r"\b(validat(e|ed|ing)|check(ed|ing)?) (the |your |that |if |\w+ )?((lr|learning|optimi[sz]er|scheduler|training|cli|command|input|user|api|model|network|data|dataset|config)\W+)*(arg\w*|config\w*|setting\w*|inputs?|param\w*|options?|paths?|credential\w*|tokens?|keys?|schema|files?|environment|licen[cs]e|account|urls?|request|director\w+|folders?|installation|requirements|dependenc\w+|existence|data ?sets?|captions?|types?|versions?|hardware|gpus?|~)",
        "Validating lr scheduler arguments...",
    ),
    Rule(
        Verdict::Nothing,
        r"^(\W|0|~|info|debug|rank)*validation (prompts?|steps?|epochs?|interval|frequency|every|seed|split|resolution|guidance|dataset|data|set|samples?|images?|ratio|size|negative|sampler|scheduler|batch|disabled|enabled)\b[^:=/]*[:=]",
        "Validation samples: 10000",
    ),
    Rule(
        Verdict::Nothing,
        r"\b(no|skip\w*|disabl\w*|enabl\w*|without) (the |\S+ ){0,3}(validations?|sampling|evaluation|checkpoint\w*|warm-?up)\b|\bvalidate on 0\b",
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
];
