"""The local engine: where weights come from, and how text comes out of them.

`load` turns a source name into a `LocalModel`, which implements the core
protocol `Model` and can prefill many chats once to score prefixes on them.
Heavy libraries are imported inside the functions that need them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foreword.models.sources import Known, catalog
from foreword.models.store import Progress

if TYPE_CHECKING:
    from foreword.models.engine import LocalModel

__all__ = ["Known", "Progress", "catalog", "load"]


def load(
    source: str,
    *,
    adapter: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    progress: Progress | None = None,
) -> LocalModel:
    """Load a model, fetching its weights if they are not in the cache.

    Args:
        source: "reference", "hf:<id or local path>", or the path of a GGUF file or model folder.
        adapter: A LoRA adapter's path, or the name of a shipped one; merged into the weights.
        dtype: The dtype to compute in, e.g. "bfloat16" or "float32"; "auto" is the faster of
            these two on this machine.
        device: A torch device, e.g. "cpu" or "cuda"; "auto" is a CUDA GPU if there is one, else
            the CPU.
        progress: Called with (what, done, total) while weights are fetched and unpacked.

    Raises:
        UnknownName: Nobody knows the source or the adapter.
        SourceError: The weights could not be had.
    """
    from foreword.models import loading

    return loading.load(source, adapter=adapter, dtype=dtype, device=device, progress=progress)
