"""Writes logs of SimpleTuner, each with the table of what is true after which byte of it.

The code that prints is SimpleTuner's own: its trainer's loop, its caches, its validation, its formatter and, on
Replicate, its webhooks and their receiver. Only what needs a GPU is put in its place: torch and models are empty,
and what they would compute is drawn from a seed, on a clock of its own. The tables come from the run that is
played (what the step bar counts, which event was sent), never from the parser.

Each version writes its own logs: 3.1.6 those of a run in a shell, 4.10.1 those of a run on Replicate. See README.md.
"""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import logging
import math
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import traceback
import types
from unittest import mock

import tqdm.std

HERE = pathlib.Path(__file__).parent
ON_REPLICATE = importlib.metadata.version("simpletuner").startswith("4.")
COLUMNS = ["stage", "percent", "step", "total_steps", "epoch", "total_epochs", "loss"]
OUTPUT = "output/cog/cog-5f0c2a7d11" if ON_REPLICATE else "output/models"
MODEL = "black-forest-labs/FLUX.1-dev"
NOW = 0.0


def now():
    return NOW


def wait(seconds):
    global NOW
    NOW += seconds


class Log:
    """A log and what is true of its run. The run writes to it as to a terminal's pipe."""

    encoding, closed = "utf-8", False

    def __init__(self, name):
        global NOW
        NOW = 1_772_359_200.0
        self.name, self.bytes, self.rows, self.is_cut = name, bytearray(), [], False
        self.true = dict.fromkeys(COLUMNS)
        self.open = []
        self.random = random.Random(name)

    def write(self, text):
        if not self.is_cut:
            self.bytes += text.encode()

    def mark(self, **true):
        """What is true from here on: `None` is what nobody can know, `?` where experts could disagree."""
        if self.is_cut:
            return
        self.true |= true
        step, total = self.true["step"], self.true["total_steps"]
        if isinstance(step, int) and total:
            self.true["percent"] = step * 100 / total
        cells = [self.true[column] for column in COLUMNS]
        texts = ["-" if cell is None else f"{cell:.10g}" if isinstance(cell, float) else str(cell) for cell in cells]
        if not self.rows or self.rows[-1][1] != texts or len(self.bytes) - self.rows[-1][0] > 100:
            self.rows.append((len(self.bytes), texts))

    def begin(self, stage):
        self.open.append(stage)
        self.mark(stage=stage)

    def end(self, stage):
        """Something has visibly ended: what was begun before it goes on, unless that is the training itself."""
        if stage in self.open:
            self.open.remove(stage)
        # Which one goes on after validations that ended, nobody says.
        goes_on = self.open[-1] if self.open and stage != "Validation" else "?"
        self.mark(stage=goes_on)

    def save(self, folder=None):
        # The table goes to the last byte.
        if self.rows[-1][0] < len(self.bytes):
            self.rows.append((len(self.bytes), self.rows[-1][1]))
        if folder:
            pathlib.Path(folder, "log").write_bytes(self.bytes)
            pathlib.Path(folder, "rows").write_text("\n".join("\t".join([str(at), *texts]) for at, texts in self.rows))
            return
        (HERE.parent / f"{self.name}.log").write_bytes(self.bytes)
        lines = ["\t".join(["after_bytes", *COLUMNS]), *("\t".join([str(at), *texts]) for at, texts in self.rows)]
        (HERE.parent / f"{self.name}.tsv").write_text("\n".join(lines) + "\n")
        print(self.name, len(self.bytes), len(self.rows), file=sys.__stdout__)


class Screen:
    """Standard output and error, into the log that is played."""

    encoding, closed, log = "utf-8", False, None

    def write(self, text):
        self.log.write(text)

    def flush(self):
        pass

    def isatty(self):
        return False


class Nothing(type):
    """A class of what is not installed: it can be inherited from, called and asked for anything."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return mock.MagicMock()

    def __iter__(cls):
        return iter(())

    def __or__(cls, other):
        return cls

    __ror__ = __or__


class Empty(metaclass=Nothing):
    def __init__(self, *_, **__):
        pass

    def __init_subclass__(cls, **_):
        pass

    def __class_getitem__(cls, _):
        return cls

    def __call__(self, function=None, *_, **__):
        return function

    __getattr__ = Nothing.__getattr__


class EmptyModule(types.ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(self, name, type(name, (Empty,), {}))
        return getattr(self, name)


class EmptyModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands in for what needs a GPU, and for SimpleTuner's folders of single models."""

    packages = set(
        "torch torchvision torchaudio torch_xla torchao torchmetrics accelerate diffusers transformers peft peft_singlora "
        "safetensors wandb datasets huggingface_hub optimum lycoris cv2 trainingsample boto3 botocore pandas psutil "
        "compel einops sentencepiece bitsandbytes optimi librosa imageio tokenizers loguru regex bs4 scipy skrample "
        "pyarrow aiohttp ftfy deepspeed cryptography atomicwrites pillow_jxl py3langid".split()
    )

    def find_spec(self, name, path, target=None):
        parent, _, last = name.rpartition(".")
        is_model = parent == "simpletuner.helpers.models" and pathlib.Path(path[0], last).is_dir() and last != "tae"
        if name in self.packages or is_model or isinstance(sys.modules.get(parent), EmptyModule):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return EmptyModule(spec.name)

    def exec_module(self, module):
        pass


# A run of hours is written in a second, and the same each time.
os.environ |= {"TZ": "UTC", "SIMPLETUNER_SHUFFLE_ASPECTS": "true", "SIMPLETUNER_LOG_LEVEL": "INFO"}
os.environ.pop("COLUMNS", None)
if ON_REPLICATE:
    # So does cog.py.
    os.environ.setdefault("SIMPLETUNER_DISABLE_COLORS", "1")
time.tzset()
time.time = tqdm.std.time = now
tqdm.std.tqdm.monitor_interval = 0
SCREEN = sys.stdout = sys.stderr = Screen()
SCREEN.log = Log("import")
sys.meta_path.insert(0, EmptyModules())
os.chdir(os.environ.setdefault("SIMPLETUNER_PATHS_FOLDER", tempfile.mkdtemp()))

import huggingface_hub, torch, torch.cuda, torch.distributed  # noqa: E401, E402

torch.__version__ = "2.9.0"
torch.cuda.is_available = torch.distributed.is_available = torch.is_tensor = lambda *_: False
huggingface_hub.get_token = lambda: None
torch.no_grad = type("NoGrad", (contextlib.ContextDecorator, contextlib.nullcontext), {})
torch.isfinite = lambda number: types.SimpleNamespace(all=lambda: math.isfinite(number))

import simpletuner.helpers.caching.text_embeds as text_embeds  # noqa: E402
import simpletuner.helpers.caching.vae as vae  # noqa: E402
import simpletuner.helpers.log_format as log_format  # noqa: E402
import simpletuner.helpers.logging as webhook_logging  # noqa: E402
import simpletuner.helpers.publishing.huggingface as huggingface  # noqa: E402
import simpletuner.helpers.training.trainer as trainer  # noqa: E402
import simpletuner.helpers.training.validation as validation  # noqa: E402
from simpletuner.helpers.training.state_tracker import StateTracker  # noqa: E402
from simpletuner.helpers.webhooks.handler import WebhookHandler  # noqa: E402


class Number(float):
    """A tensor of one number."""

    def item(self):
        return float(self)

    def itself(self, *_):
        return self

    detach = clone = mean = repeat = itself


class Off:
    """Whatever else the program would have set is off."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)


class Settings(Off, types.SimpleNamespace):
    """A configuration."""


def one():
    """A batch of one picture."""
    batch = mock.MagicMock(**{"__contains__.return_value": True})
    batch.__getitem__.return_value.shape = (1, 16, 128, 128)
    batch.get = lambda key, default=None: default
    return batch


class Cut(BaseException):
    """Here the log that somebody looks at ends, though the run goes on."""


def bar_of(log, stage):
    """SimpleTuner's own bar, which tells the table that its work goes on."""

    class Bar(tqdm.std.tqdm):
        def display(self, msg=None, pos=None):
            super().display(msg, pos)
            if msg is None:
                log.mark(stage=stage)

    return Bar


class Heard(logging.Handler):
    """Hears the trainer's few lines after which, by its source, something else goes on."""

    begins = {"Saving final LyCORIS": "Saving checkpoint", "Training has completed": "?", "Load VAE": "Preprocessing"}

    def emit(self, record):
        for words, stage in self.begins.items():
            if record.getMessage().startswith(words):
                SCREEN.log.mark(stage=stage)


logging.getLogger().addHandler(Heard())


class Run(Off, trainer.Trainer):
    """SimpleTuner's trainer, whose models are empty and whose losses are drawn."""

    def __init__(self, log, total=6, per_epoch=3, first=0, stop=None, every=1, seconds=1.3, **settings):
        self.log, self.stop, self.every, self.seconds, self.per_epoch, self.micro = (log, stop, every, seconds, per_epoch, 0)
        epochs = math.ceil(total / per_epoch)
        self.config = Settings(
            **dict(
                max_train_steps=total, num_train_epochs=epochs, num_update_steps_per_epoch=per_epoch, train_batch_size=1,
                total_num_batches=per_epoch * every, total_batch_size=every, gradient_accumulation_steps=every,
                total_steps_remaining_at_start=total, lr_scheduler="constant", optimizer="adamw_bf16", max_grad_norm=2.0,
                grad_clip_method="value", model_type="lora", lora_type="lycoris", peft_lora_mode="standard",
                pretrained_model_name_or_path=MODEL, pretrained_vae_model_name_or_path=MODEL, output_dir=OUTPUT,
                disable_benchmark=True, dataloader_prefetch_device_threshold_mb=0,
            )
            | settings
        )  # fmt: skip
        epoch = max(1, math.ceil(first / per_epoch))
        self.state = {"global_step": 0, "first_epoch": 1, "current_epoch": 1, "global_resume_step": 0, "args": {}}
        self.accelerator = mock.MagicMock(
            is_main_process=True, is_local_main_process=True, sync_gradients=True, _models=[], num_processes=1,
            process_index=0, gather=lambda number: number, clip_grad_value_=lambda *_: None,
        )  # fmt: skip
        self.accelerator._lycoris_wrapped_network.parameters = lambda: iter([mock.MagicMock()])
        self.accelerator.save_state = lambda _: wait(6)
        self.job_id, self.lr, self.train_loss, self.train_diffusion_loss = "cog-5f0c2a7d11", 9.5e-5, 0.0, 0.0
        self.timesteps_buffer, self.extra_lr_scheduler_kwargs = [], {}
        for name in "model optimizer lr_scheduler model_hooks".split():
            setattr(self, name, mock.MagicMock(param_groups=[{"lr": self.lr}]))
        self.iteration_tracker = getattr(trainer, "IterationTracker", mock.MagicMock)()
        self.model.loss = lambda **_: self.next_loss()
        self.model.auxiliary_loss = lambda loss, **_: (loss, None)
        self.model.uses_noise_schedule = lambda: False
        self.lr_scheduler.get_last_lr.return_value = [self.lr]
        self.webhook_handler = StateTracker.get_webhook_handler()
        StateTracker.set_global_step, StateTracker.set_epoch = mock.MagicMock(), mock.MagicMock()
        StateTracker.get_global_step, StateTracker.get_epoch = lambda: first, lambda: epoch
        StateTracker.get_training_state, StateTracker.get_data_backends = dict, lambda *_, **__: {"subject": {}}
        StateTracker.backend_status, StateTracker.get_data_backend_config = lambda _: False, lambda _: {}
        trainer.random_dataloader_iterator = self.next_batch
        trainer.tqdm = self.step_bar()
        for name in "AttentionBackendController shutil unwrap_model CheckpointManager".split():
            setattr(trainer, name, mock.MagicMock())
        trainer.gather_sample_weighted_scalar = lambda number, *_: number
        trainer.scale_standalone_context_parallel_loss = lambda number, *_: number

    def checkpoint_state_filter(self, *_):
        """Which checkpoints there are."""
        return [f"checkpoint-{step}" for step in range(2, self.state["global_step"] + 1, 2)]

    def checkpoint_state_latest(self, _):
        return f"checkpoint-{StateTracker.get_global_step()}"

    def next_loss(self):
        self.grad_norm = Number(0.02)
        return Number(0.5 / (1 + self.state["global_step"] / 300) * self.log.random.uniform(0.7, 1.3))

    def next_batch(self, *_):
        """The next batch, or that the epoch is over."""
        if self.stop is not None and self.state["global_step"] >= self.stop:
            self.log.is_cut = True
            raise Cut
        if self.state["global_step"] >= self.state["current_epoch"] * self.per_epoch:
            return False
        wait(self.seconds * self.log.random.uniform(0.9, 1.1))
        self.micro += 1
        self.accelerator.sync_gradients = self.micro % self.every == 0
        return one()

    def step_bar(self):
        log, run = self.log, self

        class Steps(tqdm.std.tqdm):
            is_over = False

            def display(self, msg=None, pos=None):
                super().display(msg, pos)
                epoch, epochs = run.state["current_epoch"], run.config.num_train_epochs
                log.open.clear()
                log.mark(
                    stage="?" if self.is_over else "Training",
                    step=self.n,
                    total_steps=self.total,
                    epoch=epoch,
                    total_epochs=epochs,
                )

            def set_postfix(self, **values):
                loss = float(self.format_num(values["step_loss"]))
                log.true["loss"] = loss if math.isfinite(loss) else None
                super().set_postfix(**values)

            def close(self):
                # The bar is drawn once more when the loop is left.
                self.is_over = True
                super().close()

        return Steps

    def _train_initial_msg(self):
        super()._train_initial_msg()
        step = self.state["global_step"]
        known = {"step": step} if step > 1 else {"step": "?", "percent": "?"}
        epochs = {"epoch": self.state["first_epoch"], "total_epochs": self.config.num_train_epochs}
        self.log.open.clear()
        self.log.mark(stage="Training", total_steps=self.config.max_train_steps, **known, **epochs)

    def resume_and_prepare(self):
        # By the trainer's source, whose preparing itself needs a GPU.
        for status, words in {"running": "Preparing", "completed": "Completed preparing"}.items():
            about = {"key": "init_prepare_models", "label": "Preparing model components", "status": status}
            self._emit_event(trainer.lifecycle_stage_event(message=f"{words} model components", **about))
        self.init_resume_checkpoint(mock.MagicMock())
        self.log.mark()

    def model_predict(self, *_, **__):
        return None

    def _compute_model_prediction_loss(self, _):
        loss = self.next_loss()
        return loss, {}, loss, None, {}

    def nothing(self, *_, **__):
        pass

    def no(self, *_):
        return False

    prepare_batch = _any_rank_reached_epoch_end = lambda self, batch: batch
    _max_grad_value = lambda self: Number(0.02)
    _get_trainable_parameters = lambda self: []
    init_noise_schedule = init_seed = init_huggingface_hub = init_precision = init_validation_prompts = nothing
    init_unload_text_encoder = init_unload_vae = init_delete_model_caches = init_controlnet_model = init_tread_model = nothing
    init_diffusion_blocks_model = init_gligen_layers = init_freeze_models = init_trainable_peft_adapter = nothing
    init_distillation_adapter_modules = init_diffusion_blocks_trainable_filter = init_lyrics_embedder_training = nothing
    init_distillation = init_validations = init_trackers = move_models = cleanup = _recalculate_training_steps = nothing
    _check_disk_space_before_checkpoint = _export_dynamo_cache = _create_torch_profiler = init_clear_backend_cache = nothing
    _write_train_stage_breadcrumb = mark_optimizer_eval = mark_optimizer_train = _populate_checkpoint_assets = nothing
    _get_noise_schedule = init_ema_model = init_post_load_freeze = _run_post_checkpoint_script = _run_post_upload_script = (
        nothing
    )
    _consume_manual_checkpoint_request = _consume_manual_validation_request = _ramtorch_enabled = no
    _ramtorch_sync_enabled = _maybe_autotune_activation_offload_prefetch = no


class Texts(text_embeds.TextEmbeddingCache):
    """The cache of text embeddings, whose encoder only takes time."""

    def __init__(self, log, count):
        text_embeds.tqdm, text_embeds.PromptHandler = (
            bar_of(log, "Preprocessing"),
            mock.MagicMock(filter_caption=lambda _, text: wait(0.07) or text),
        )
        text_embeds.gather_dict_of_tensors_shapes = text_embeds.move_dict_of_tensors_to_device = lambda **_: {}
        self.id, self.rank_info, self.webhook_progress_interval, self.text_encoder_batch_size = ("text-embeds", "", 100, 1)
        self.data_backend = self.accelerator = self.model = mock.MagicMock(num_processes=1)
        self.unwritten, self.text_encoders, self.webhook_handler = ([], [mock.MagicMock()], StateTracker.get_webhook_handler())
        self.write_queue = types.SimpleNamespace(qsize=lambda: 0)
        self.accelerator.split_between_processes = contextlib.nullcontext
        records = [{"prompt": f"a photo of the subject, {number}", "key": str(number)} for number in range(count)]
        self.compute_prompt_embeddings_with_model(records, return_concat=False, load_from_cache=False)

    _encode_text_batch = lambda self, *_, **__: mock.MagicMock()
    hash_prompt_with_path = lambda self, *_, **__: "embedding.pt"
    _normalize_prompt_records = lambda self, records: records

    def save_to_cache(self, *_, **__):
        # The thread that writes takes many at once.
        self.unwritten.append(_)
        if len(self.unwritten) == 32:
            self.write_thread_bar.update(32)
            self.unwritten.clear()

    wait_for_pending_writes = __del__ = lambda self, *_, **__: None


class Latents(vae.VAECache):
    """The cache of latents, whose encoder only takes time."""

    def __init__(self, log, buckets):
        vae.tqdm, vae.shuffle = bar_of(log, "Preprocessing"), lambda _: None
        self.id, self.rank_info, self.max_workers, self.webhook_progress_interval = "subject", "", 1, 100
        self.read_batch_size = self.process_queue_size = self.vae_batch_size = self.write_batch_size = 4
        self.buckets, self.waiting, self.webhook_handler = buckets, 0, StateTracker.get_webhook_handler()
        self.metadata_backend = self.image_data_backend = self.accelerator = self.cache_data_backend = mock.MagicMock()
        files = {bucket: [f"{bucket}-{number}.png" for number in range(count)] for bucket, count in buckets.items()}
        self.local_unprocessed_files = [file for bucket in files.values() for file in bucket]
        self.metadata_backend.read_cache = lambda: files
        self.image_data_backend.iter_cache_groups = dict.items
        self.read_queue = self.process_queue = self.write_queue = types.SimpleNamespace(qsize=lambda: 0)
        self.cache_dir, self.vae_input_queue = "cache/vae", types.SimpleNamespace(qsize=lambda: self.waiting)
        self._vae_cache_written_lock, self._vae_cache_written_count = contextlib.nullcontext(), 0
        StateTracker.set_vae_cache_files = mock.MagicMock()
        self.process_buckets()

    def _accumulate_read_queue(self, *_, **__):
        wait(0.3)
        self.waiting += 1

    def _encode_images_in_batch(self):
        self._vae_cache_written_count += self.waiting
        self.waiting = 0

    _list_cached_images = lambda self: set()
    _reduce_bucket = lambda self, bucket, files, _: files[bucket]
    _filter_nsfw_relevant_files = lambda self, files, _: files
    _local_unprocessed_file_set = lambda self: set(self.local_unprocessed_files)
    _image_filename_from_vaecache_filename = lambda self, file: file
    already_cached = lambda self, _: False
    _close_nsfw_classifier_store = _finalize_deferred_metadata_filters = _write_nsfw_scan_report = lambda self: None


class Pictures(Off, validation.Validation):
    """The validation, whose pipeline only takes time."""

    def __init__(self, log, run, steps, prompts=2, seconds=31.0):
        validation.tqdm = bar_of(log, "Validation")
        self.log, self.steps, self.seconds, self.config, self.accelerator = (log, steps, seconds, run.config, run.accelerator)
        self.validation_prompt_metadata = {"validation_prompts": [f"the subject, {number}" for number in range(prompts)]}
        self.validation_prompt_metadata["validation_shortnames"] = [f"prompt_{number}" for number in range(prompts)]
        self.model, self.deepspeed, self.validation_adapter_runs, self.validation_video_paths = (
            mock.MagicMock(),
            False,
            [None],
            {},
        )
        self.run, self.validation_image_inputs = run, None

    def would_validate(self, *_, **__):
        return self.run.state["global_step"] in self.steps and self.accelerator.sync_gradients

    def should_perform_intermediary_validation(self, *_, **__):
        return self.would_validate()

    def _execute_validation_work_item(self, **_):
        wait(self.seconds)

    _validation_method = lambda self: "simpletuner-local"
    _split_validation_work_items = lambda self, items: (items, False, 1)
    _decorate_shortname = lambda self, name, _: name
    _temporary_validation_adapters = lambda self, _: contextlib.nullcontext()
    _update_state = setup_pipeline = setup_scheduler = finalize_validation = clean_pipeline = lambda self, *_, **__: None
    _apply_serialised_validation_result = _log_validations_to_trackers = _check_abort = lambda self, *_, **__: None
    _use_distributed_validation = _use_context_parallel_validation = benchmark_exists = lambda self, *_: False
    _log_adapter_run = _publish_validation_artifacts = save_benchmark = lambda self, *_: None
    _should_publish_validation_payloads = lambda self: True


class Losses(validation.Evaluation):
    """The evaluation of losses, whose models only take time."""

    def __init__(self, log, run, steps, batches=3, timesteps=4):
        validation.tqdm = bar_of(log, "Validation")
        self.run, self.steps, self.accelerator = run, steps, run.accelerator
        self.config = Settings(eval_dataset_pooling=False, num_eval_images=batches)
        backend = {"sampler": range(batches), "train_dataloader": None}
        StateTracker.get_data_backends = lambda *_, **kind: {"subject-eval": backend} if kind else {"subject": {}}
        validation.retrieve_eval_images = lambda **_: one()
        validation.reset_eval_datasets = lambda: None
        self.timesteps = range(timesteps)

    def execute_eval(self, **functions):
        functions["calculate_loss"] = lambda **_: wait(1.5)
        return super().execute_eval(**functions)

    would_evaluate = lambda self, state: state["global_step"] in self.steps
    get_timestep_schedule = lambda self, *_, **__: self.timesteps
    generate_tracker_table = lambda self, **_: {}


@contextlib.contextmanager
def replicate(log):
    """The receiver of webhooks that cog.py runs, and the handler that sends to it."""
    from simpletuner.cog import CogWebhookReceiver

    saves, checks = (
        {"checkpoint_save", "checkpoint_save_distiller", "model_save"},
        {"validation", "final_validation", "benchmark_base_model"},
    )
    with CogWebhookReceiver(42205) as receiver:
        handler = WebhookHandler(None, "SimpleTuner", receiver.build_webhook_config(receiver.url))
        send = handler.send_raw

        def send_raw(event=None, structured_data=None, **options):
            event = event or structured_data
            send(event, **options)
            if "Checkpoint: `Step" in event.get("message", ""):
                # Other digits of the same loss, until the bar says it.
                log.true["loss"] = "?"
            key, status = (event.get("stage", {}).get(name) for name in ("key", "status"))
            stage = "Saving checkpoint" if key in saves else "Validation" if key in checks else "Preprocessing"
            if status == "failed" or key in ("training_complete", "training_abort"):
                log.mark(stage="?")
            elif stage == "Preprocessing" and key:
                log.mark(stage=stage)
            elif status == "running":
                log.begin(stage)
            elif key:
                log.end(stage)

        handler.send_raw = send_raw
        StateTracker.set_webhook_handler(handler)
        yield


class Hub(huggingface.HubManager):
    """The Hugging Face Hub, to which uploading only takes time."""

    def __init__(self, log, run):
        self.log, self.config, self.repo_id, self._repo_id, self.model = (
            log,
            run.config,
            "subject-lora",
            "someone/subject-lora",
            None,
        )
        self.validation_prompts, self.validation_shortnames = [], []
        huggingface.save_model_card = huggingface.save_training_config = mock.MagicMock()
        run.hub_manager, run._get_hub_executor, run._hub_upload_futures = self, lambda: None, []

    def upload_lora_model(self, **_):
        size, options = 344_000_000, {"unit": "B", "unit_scale": True}
        with bar_of(self.log, self.log.true["stage"])(desc="pytorch_lora_weights.safetensors", total=size, **options) as bar:
            for _ in range(4):
                wait(3)
                bar.update(size // 4)

    upload_validation_folder = lambda self, **_: None


def data(log, prompts, buckets):
    """The caches that are filled while data backends are configured."""

    def configure(*_, **__):
        Texts(log, prompts)
        if not buckets:
            raise ValueError("No images were discovered by the bucket manager in the dataset: subject.")
        Latents(log, buckets)

    trainer.configure_multi_databackend = configure


def shell(run):
    """What train.py does of all that prints."""
    run.init_preprocessing_models()
    run.init_data_backend()
    run.init_load_base_model()
    run.resume_and_prepare()
    run.train()


def run_of(log, validations=(), evaluations=(), prompts=3, buckets=None, total=2000, per_epoch=96, stop=4, **settings):
    data(log, prompts, buckets if buckets is not None else {"1.0": 4})
    run = Run(log, total, per_epoch, stop=stop, **settings)
    if validations:
        run.validation = Pictures(log, run, validations)
    if evaluations:
        run.evaluation = Losses(log, run, evaluations)
    return run


def in_shell(**settings):
    return lambda log: shell(run_of(log, **settings))


def with_debug(log):
    """The level is that of SIMPLETUNER_LOG_LEVEL=DEBUG, which 2.x honours; 3.1.6 sets the console back to INFO."""
    log_format.console_handler.setLevel(logging.DEBUG)
    trainer.logger.setLevel(logging.DEBUG)
    try:
        shell(run_of(log, stop=4))
    finally:
        log_format.console_handler.setLevel(logging.INFO)
        trainer.logger.setLevel(logging.INFO)


def not_a_number(run):
    """From step three on, the loss is no number."""
    loss = run.next_loss

    def next_loss():
        if run.state["global_step"] < 2:
            return loss()
        if ON_REPLICATE:
            # It is named in a sentence about the failure, and in no bar.
            run.log.true["loss"] = "?"
        return Number(math.nan)

    run.next_loss = next_loss
    return run


def pushed(log, run):
    run.config.push_to_hub = True
    Hub(log, run)
    return run


def scanned(log):
    """Bars and lines before training whose loops need files or models: by the source, with its options of tqdm."""
    Bar = bar_of(log, "Preprocessing")
    for words in [
        "Loading checkpoint shards",
        "Generating aspect bucket cache",
        "Scanning image metadata",
        "Loading captions",
        "Filtering captions",
        "Bucket 1.0",
        "Deleting files for backend subject",
        "Extracting captions",
        "Precomputing validation prompt embeddings",
    ]:
        for _ in Bar(range(2), desc=words, leave=False, ncols=125):
            wait(0.4)
    run = Run(log, 2000, 96, stop=2)
    trainer.logger.info("Using EMA. Creating EMAModel.")
    trainer.logger.info("EMA model creation completed with 11,904,032,832 parameters")
    run.train()


def failed(log):
    try:
        shell(run_of(log, prompts=110, buckets={}))
    except ValueError as error:
        # So does train.py.
        print(error)
        print(traceback.format_exc())
    log.mark(stage="?")


def interrupted(log):
    """Somebody presses Ctrl+C."""
    run = run_of(log, stop=4)
    run._exit_on_signal = lambda: (_ for _ in ()).throw(KeyboardInterrupt) if run.state["global_step"] == 3 else None
    with contextlib.suppress(KeyboardInterrupt):
        shell(run)
    log.mark(stage="?")


def on_replicate(prepare=lambda log, run: run, **settings):
    def play(log):
        with replicate(log), contextlib.suppress(RuntimeError, ValueError, StopIteration):
            prepare(log, run_of(log, **settings)).run()
        log.mark(stage="?")

    return play


def aborted(log, run):
    run._external_abort_checker = lambda: run.state["global_step"] == 3
    return run


def distilled(log, run):
    run.distiller = mock.MagicMock()
    run.distiller.prepare_batch = lambda batch, *_: batch
    run.distiller.compute_distill_loss = run.distiller.generator_loss_step = lambda _, __, loss: (loss, {})
    return run


def two_ranks(log):
    """Both ranks write to one pipe, in colours, which `accelerate launch` is asked for."""
    run = run_of(log, stop=5, total_batch_size=2)
    batch = run.next_batch

    def next_batch(*_):
        if run.micro == 2:
            # By the trainer's source: the last batch of a bucket is shorter, and every rank says so.
            torch.distributed.is_available = torch.distributed.is_initialized = lambda: True
            for rank in (1, 0):
                torch.distributed.get_rank = lambda: rank
                trainer.logger.error("Received 1 latents, but expected 2. Processing short batch.")
        return batch()

    trainer.random_dataloader_iterator = next_batch
    shell(run)


def through_the_launcher(log):
    """With more than one GPU, the job is another process, whose lines the real launcher passes on."""
    folder = pathlib.Path(os.environ["SIMPLETUNER_PATHS_FOLDER"], "two-ranks")
    folder.mkdir(exist_ok=True)
    subprocess.run([sys.executable, __file__, str(folder)], env=os.environ | {"FORCE_COLOR": "1"}, check=True)
    launcher = folder / "accelerate"
    launcher.write_text(f"#!/bin/sh\nexec cat {folder}/log\n")
    launcher.chmod(0o755)
    os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"
    import simpletuner

    simpletuner.__file__ = "/src/simpletuner/__init__.py"
    trainer.run_trainer_job({"num_processes": 2})
    passed_on = lambda piece: piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    played = (folder / "log").read_bytes()
    before = len(log.bytes) - len(passed_on(played))
    assert log.bytes.endswith(passed_on(played))
    for line in (folder / "rows").read_text().splitlines():
        at, *texts = line.split("\t")
        log.rows.append((before + len(passed_on(played[: int(at)])), texts))


IN_A_SHELL = {
    "shell-caches": in_shell(prompts=110, buckets={"1.0": 8, "0.78": 3}, stop=2),
    "shell-resumed": in_shell(first=500, stop=504, resume_from_checkpoint="latest"),
    "shell-resumed-at-an-epochs-end": in_shell(first=288, stop=291, resume_from_checkpoint="latest"),
    "shell-validation": in_shell(validations={2, 4}, stop=5),
    "shell-evaluation-loss": in_shell(evaluations={2}, stop=4),
    "shell-checkpoints": in_shell(checkpointing_steps=2, checkpoint_step_interval=2, checkpoints_total_limit=2, stop=5),
    "shell-accumulation": in_shell(every=4, stop=3),
    "shell-whole": in_shell(total=6, per_epoch=3, stop=None),
    "shell-push": lambda log: shell(pushed(log, run_of(log, total=4, per_epoch=2, stop=None))),
    "shell-nan": lambda log: shell(not_a_number(run_of(log, stop=4))),
    "shell-debug": with_debug,
    "shell-scanned": scanned,
    "shell-failed": failed,
    "shell-interrupted": interrupted,
}
STEPS = {"checkpointing_steps": 2, "checkpoint_step_interval": 2}
ON_THE_PROVIDER = {
    "cog-caches": on_replicate(prompts=30, buckets={"1.0": 8, "0.78": 3}, stop=2),
    "cog-benchmark": on_replicate(validations={-1}, disable_benchmark=False, stop=2),
    "cog-resumed": on_replicate(first=500, stop=504, resume_from_checkpoint="latest"),
    "cog-saves-and-validations": on_replicate(validations={4}, **STEPS, stop=5),
    "cog-whole": on_replicate(pushed, validations={3}, total=4, per_epoch=2, stop=None),
    "cog-distilled": on_replicate(distilled, distillation_method="dcm", **STEPS, stop=3),
    "cog-nan": on_replicate(lambda log, run: not_a_number(run)),
    "cog-aborted": on_replicate(aborted),
    "cog-failed": on_replicate(prompts=12, buckets={}),
    "two-gpus": through_the_launcher,
}

# What threads send to the webhook comes in turn, and paths of this machine are in no log.
webhook_logging._fallback_webhook_config = lambda: None
enqueue = webhook_logging._enqueue_webhook_task
webhook_logging._enqueue_webhook_task = lambda task: (enqueue(task), webhook_logging.flush_webhook_queue())
traceback.format_exc = lambda: f"Traceback (most recent call last):\n{type(sys.exception()).__name__}: {sys.exception()}\n"

for path, play in ({"two-gpus": two_ranks} if sys.argv[1:] else ON_THE_PROVIDER if ON_REPLICATE else IN_A_SHELL).items():
    SCREEN.log = log = Log(f"simpletuner-{path}")
    StateTracker.set_webhook_handler(None)
    with contextlib.suppress(Cut):
        play(log)
    log.save(*sys.argv[1:])
    # What is left of a run that was cut short is not drawn into the next log.
    for bar in list(tqdm.std.tqdm._instances):
        bar.disable = True
    tqdm.std.tqdm._instances.clear()
