"""From a folder of weights (and an adapter) to a model that is ready to run.

The fingerprint names what was loaded: source, adapter and a hash over the weight
files, so that a guard can tell whether it meets the model it was made for.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from foreword.core.errors import ConfigError, SourceError
from foreword.models import lora, store
from foreword.models.engine import LocalModel
from foreword.models.gguf import quiet
from foreword.models.sources import resolve
from foreword.models.store import Progress

DTYPES = ("auto", "bfloat16", "float16", "float32")


def load(
    source: str,
    *,
    adapter: str | None,
    dtype: str,
    device: str,
    progress: Progress | None = None,
) -> LocalModel:
    """See `foreword.models.load`."""
    if dtype not in DTYPES:
        raise ConfigError(f"unknown dtype {dtype!r}; use one of {', '.join(DTYPES)}")
    device = fast_device() if device == "auto" else device
    dtype = fast_dtype(device) if dtype == "auto" else dtype
    patch = None if adapter is None else lora.adapter_folder(adapter)
    folder = resolve(source, progress)
    model, tokenizer = read(folder, dtype="float32" if patch else dtype)
    if patch:
        model = lora.merge(model, patch)
    return LocalModel(
        _cast(model, dtype, device), tokenizer, fingerprint=fingerprint(source, folder, patch)
    )


def fast_device() -> str:
    """The first GPU if there is one, else the CPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def fast_dtype(device: str) -> str:
    """The faster of bfloat16 and float32 on a device.

    CPUs with instructions for bfloat16 multiply it faster than float32, all others slower.
    """
    import torch

    able = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bfloat16" if device != "cpu" or able else "float32"


def read(folder: Path, dtype: str) -> tuple[Any, Any]:
    """The model (in evaluation mode, on the CPU) and the tokenizer of a folder.

    Raises:
        SourceError: The folder is no model that transformers can read.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(
                str(folder), dtype=getattr(torch, dtype), local_files_only=True
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceError(f"cannot load the model in {folder}: {reason}") from error
    return model.eval(), tokenizer


def fingerprint(source: str, folder: Path, patch: Path | None) -> str:
    """A stable name of the weights, e.g. "reference+agent@3f9c2b1d"."""
    digest = hashlib.sha256()
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    for path in [*weights, *([patch / lora.WEIGHTS] if patch else [])]:
        digest.update(_file_hash(path).encode())
    if patch:
        digest.update(lora.strength(patch))
    name = source if source == "reference" else Path(source.removeprefix("hf:")).name
    return f"{name}{f'+{patch.name}' if patch else ''}@{digest.hexdigest()[:8]}"


def _file_hash(path: Path) -> str:
    """SHA-256 of a file; taken from the cache's manifest or the hub's file name if they know it."""
    blob = path.resolve().name
    if len(blob) == 64 and all(c in "0123456789abcdef" for c in blob):
        return blob  # the hub client names large files by their hash
    try:
        entry = json.loads((path.parent / store.MANIFEST).read_text("utf-8"))["files"][path.name]
        return str(entry["sha256"])
    except (OSError, ValueError, KeyError):
        return store.sha256(path)


def _cast(model: Any, dtype: str, device: str) -> Any:
    import torch

    try:
        return model.to(device=device, dtype=getattr(torch, dtype))
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"cannot use device {device!r}: {str(error).splitlines()[0]}") from error
