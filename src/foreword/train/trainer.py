"""The training itself: TRL's SFTTrainer and PEFT, set up from a recipe.

The sequences come tokenised and labelled (see `tokens`), so the trainer only
trains. Checkpoints lie in the output folder until the adapter is finished; the
same recipe started again in that folder goes on from the last one. Covered: one
CPU or GPU, LoRA. Not covered: several GPUs, full fine-tuning.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from foreword.core.errors import ConfigError, ForewordWarning
from foreword.core.runs import write_text
from foreword.core.types import Chat
from foreword.models import loading, lora, sources
from foreword.train import card, data, reference, tokens
from foreword.train.recipe import Recipe

CHECKPOINTS = ".checkpoints"
SAVE_EVERY = 50  # steps; an interrupted training loses at most as many
LAST = 10  # steps whose mean is the final loss
SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}
Progress = Callable[[int, int], None]  # (steps done, steps in all)


@dataclass(frozen=True)
class TrainResult:
    """A finished adapter and what it took."""

    adapter: Path  # the folder
    steps: int
    seconds: float  # of the last session, without loading
    loss: float  # mean over the last steps, nats a learnt token
    tokens_per_s: float  # tokens read, padding not counted
    conversations: int  # in the data, those that max_length leaves out included
    learnt_tokens: int  # tokens that carry loss, once through the data


def train(
    recipe: Recipe,
    *,
    out: Path | None = None,
    progress: Progress | None = None,
    conversations: Sequence[Chat] | None = None,
) -> TrainResult:
    """See `foreword.train.run`; `conversations` replace the recipe's data (for experiments)."""
    folder = out or recipe.output
    start = lora.adapter_folder(recipe.init_adapter) if recipe.init_adapter else None
    chats = load_data(recipe) if conversations is None else conversations
    weights = sources.resolve(recipe.model)
    with _quiet():
        dtype = loading.fast_dtype(loading.fast_device())
        model, tokenizer = loading.read(weights, dtype=dtype)
        examples = tokenised(tokenizer, chats, recipe.max_length)
        origin = loading.fingerprint(recipe.model, weights, start)
        result = _fit(
            recipe,
            folder,
            _adapted(model, recipe, start),
            tokenizer,
            examples,
            resume=_resumable(folder / CHECKPOINTS, recipe, examples, origin),
            conversations=len(chats),
            progress=progress,
        )
    write_text(folder / "README.md", card.text(recipe, asdict(result)))
    return result


def load_data(recipe: Recipe) -> list[Chat]:
    """The conversations a recipe names, with as many refusals as it asks for.

    Raises:
        ConfigError: `data` is no builder.
        DataError: A data file is broken.
    """
    chats = _named_data(recipe)
    if not recipe.refusals:
        return chats
    from foreword.suites import files

    return reference.with_refusals(files.load(), chats, recipe.refusals, recipe.seed)


def _named_data(recipe: Recipe) -> list[Chat]:
    if not isinstance(recipe.data, str):
        return data.load_files(recipe.data, recipe.format)
    if recipe.data not in reference.BUILDERS:
        known = ", ".join(reference.BUILDERS)
        raise ConfigError(
            f"{recipe.name}: key 'data': unknown builder {recipe.data!r}; "
            f"known: {known}, or a list of files"
        )
    return reference.build(recipe.data, recipe.seed)


def tokenised(tokenizer: Any, chats: Sequence[Chat], max_length: int) -> list[tokens.Example]:
    """The examples that still learn something within `max_length` tokens.

    Raises:
        ConfigError: None does.
    """
    whole = [example for chat in chats for example in tokens.examples(tokenizer, chat)]
    kept = [cut for cut in (example.cut(max_length) for example in whole) if cut.learns]
    if not kept:
        raise ConfigError(
            f"no assistant word lies within max_length={max_length} tokens; raise max_length"
        )
    if len(kept) < len(whole):
        warnings.warn(
            f"{len(whole) - len(kept)} of {len(whole)} examples are left out: "
            f"their assistant turns lie beyond max_length={max_length}",
            ForewordWarning,
            stacklevel=2,
        )
    return kept


def _fit(
    recipe: Recipe,
    folder: Path,
    model: Any,
    tokenizer: Any,
    examples: list[tokens.Example],
    *,
    resume: str | None,
    conversations: int,
    progress: Progress | None,
) -> TrainResult:
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTTrainer

    checkpoints = folder / CHECKPOINTS
    rows = [{"input_ids": example.ids, "labels": example.labels} for example in examples]
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    trainer = SFTTrainer(
        model=model,
        args=_arguments(recipe, checkpoints, model.dtype),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[_teller(progress)] if progress else [],
    )
    trainer.remove_callback(PrinterCallback)
    began = time.monotonic()
    outcome = trainer.train(resume_from_checkpoint=resume)
    seconds = time.monotonic() - began
    _save(trainer.model, recipe, folder)
    shutil.rmtree(checkpoints)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    done = outcome.global_step - (int(resume.rsplit("-", 1)[1]) if resume else 0)
    read = trainer.state.num_input_tokens_seen * done / max(1, outcome.global_step)
    return TrainResult(
        adapter=folder,
        steps=outcome.global_step,
        seconds=round(seconds, 1),
        loss=round(sum(losses[-LAST:]) / max(1, len(losses[-LAST:])), 4),
        tokens_per_s=round(read / seconds, 1),
        conversations=conversations,
        learnt_tokens=sum(label != tokens.IGNORED for e in examples for label in e.labels),
    )


def _arguments(recipe: Recipe, checkpoints: Path, dtype: Any) -> Any:
    import torch
    from trl import SFTConfig

    gpu = torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(checkpoints),
        max_steps=recipe.steps or -1,
        num_train_epochs=recipe.epochs or 1.0,
        per_device_train_batch_size=recipe.batch,
        gradient_accumulation_steps=recipe.accumulation,
        learning_rate=recipe.lr,
        lr_scheduler_type=SCHEDULES[recipe.schedule],
        warmup_steps=recipe.warmup_ratio,  # below 1 it is a share of all steps
        weight_decay=0.0,
        max_length=None,  # cut before
        dataset_kwargs={"skip_prepare_dataset": True},
        gradient_checkpointing=gpu,  # costs a second forward pass, which a CPU has no time for
        bf16=dtype == torch.bfloat16,
        use_cpu=not gpu,
        dataloader_pin_memory=gpu,
        train_sampling_strategy="group_by_length",  # little padding: on a CPU a third faster
        seed=recipe.seed,
        data_seed=recipe.seed,
        save_strategy="steps",
        save_steps=SAVE_EVERY,
        save_total_limit=1,
        logging_steps=1,
        include_num_input_tokens_seen="non_padding",
        disable_tqdm=True,
        report_to="none",
    )


def _adapted(model: Any, recipe: Recipe, start: Path | None) -> Any:
    """The model with an adapter to train: a fresh one, or one that was trained before."""
    import peft
    import transformers

    transformers.set_seed(recipe.seed)
    try:
        if start is not None:
            adapted = peft.PeftModel.from_pretrained(model, str(start), is_trainable=True)
            _name_base(adapted, "")  # or peft asks the hub about that name at every checkpoint
            return adapted
        config = peft.LoraConfig(
            r=recipe.lora.r,
            lora_alpha=recipe.lora.alpha,
            lora_dropout=recipe.lora.dropout,
            target_modules=recipe.lora.targets,
            task_type="CAUSAL_LM",
        )
        return peft.get_peft_model(model, config)
    except (ValueError, RuntimeError, KeyError, TypeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{recipe.name}: the adapter does not fit the model: {reason}") from error


def _save(model: Any, recipe: Recipe, folder: Path) -> None:
    """Write the adapter in half precision, without the paths of this machine."""
    import torch

    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = weight.data.to(torch.float16)
    base = Path(recipe.model)
    _name_base(model, base.name if base.exists() else recipe.model)
    model.save_pretrained(str(folder), save_embedding_layers=False)


def _name_base(model: Any, name: str) -> None:
    for config in model.peft_config.values():
        config.base_model_name_or_path = name


def _resumable(
    checkpoints: Path, recipe: Recipe, examples: Sequence[tokens.Example], origin: str
) -> str | None:
    """The last whole checkpoint if this training was interrupted; else make room for a new one.

    `origin` is the fingerprint of the weights that it starts from.
    """
    said = recipe.model_dump_json(exclude={"output"}) + repr(examples) + origin
    key = hashlib.sha256(said.encode()).hexdigest()
    mark = checkpoints / "key"
    if mark.is_file() and mark.read_text() == key:
        found = [path for path in checkpoints.glob("checkpoint-*") if _is_whole(path)]
        return str(max(found, key=lambda path: int(path.name[11:]))) if found else None
    shutil.rmtree(checkpoints, ignore_errors=True)
    write_text(mark, key)
    return None


def _is_whole(checkpoint: Path) -> bool:
    """Whether it was written to its end: the state comes last, and a kill can cut even that."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _teller(progress: Progress) -> Any:
    from transformers import TrainerCallback

    class Teller(TrainerCallback):  # type: ignore[misc]
        """Tells the progress after every step."""

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            progress(state.global_step, state.max_steps)

    return Teller()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' progress bars, tables and advice off the user's screen."""
    import datasets
    import transformers

    level = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    bars = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():  # these libraries deprecate what they call themselves
            warnings.filterwarnings("ignore", category=FutureWarning)
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            yield
    finally:
        transformers.logging.set_verbosity(level)
        if bars:
            datasets.enable_progress_bars()
