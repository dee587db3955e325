"""LoRA adapters, merged into the weights at load so that they cost nothing afterwards.

A merged weight is W + scale * B A. Adding in bf16 would round twice and lose the
small updates, so weights are merged in float32 and cast once.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from foreword.core.errors import SourceError, UnknownName

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SHIPPED = Path(__file__).parent / "adapters"
CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_STRENGTH = ("r", "lora_alpha", "use_rslora", "use_dora", "rank_pattern", "alpha_pattern")


def shipped_adapters() -> list[str]:
    """The names of the adapters that come with Foreword."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONFIG}"))


def is_adapter(name: str) -> bool:
    """Whether it names an adapter that ships with Foreword, or a folder of one."""
    return name in shipped_adapters() or (Path(name).expanduser() / CONFIG).is_file()


def adapter_folder(adapter: str) -> Path:
    """The folder of an adapter, given its path or shipped name.

    Raises:
        UnknownName: It is neither.
        SourceError: The folder lacks a file.
    """
    folder = SHIPPED / adapter if adapter in shipped_adapters() else Path(adapter).expanduser()
    if not folder.is_dir():
        raise UnknownName("adapter", adapter, [*shipped_adapters(), "<path>"])
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise SourceError(f"adapter {folder} holds no {name}")
    return folder


def strength(folder: Path) -> bytes:
    """What an adapter's settings say of how its weights are merged, as bytes that can be hashed.

    Raises:
        SourceError: The settings cannot be read.
    """
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        return repr([(name, config.get(name)) for name in _STRENGTH]).encode()
    except (OSError, ValueError, AttributeError) as error:
        raise SourceError(f"adapter {folder}: cannot read {CONFIG}: {error}") from error


def merge(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Merge an adapter into a float32 model; returns the plain model.

    Raises:
        SourceError: The adapter does not fit the model.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        with warnings.catch_warnings():
            # peft reads an attribute that transformers is about to rename.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            merged = PeftModel.from_pretrained(model, str(folder), autocast_adapter_dtype=False)
            return merged.merge_and_unload()
    except (ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceError(f"adapter {folder} does not fit the model: {reason}") from error
