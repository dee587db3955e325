"""A GGUF file, unpacked once into a bf16 folder that loads in a second.

The tensors are dequantised by transformers; the state dict is written here,
because `save_pretrained` refuses a model that came from a GGUF file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from foreword.core.errors import SourceError
from foreword.models.store import Progress


def dequantise(gguf: Path, folder: Path, progress: Progress | None = None) -> None:
    """Write config, tokenizer and bf16 safetensors of a GGUF file into a folder.

    Raises:
        SourceError: The file is no GGUF that transformers can read.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tell = progress or (lambda what, done, total: None)
    where: dict[str, Any] = {"gguf_file": gguf.name, "local_files_only": True}
    try:
        with quiet(), _one_reader():
            tell("unpacking the tokenizer", 0, 3)
            tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), **where)
            tell("unpacking the weights", 1, 3)
            model = AutoModelForCausalLM.from_pretrained(
                str(gguf.parent),
                dtype=torch.bfloat16,
                quantization_config=GgufConfig(dequantize=True),
                **where,
            )
    except (ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceError(f"cannot unpack {gguf}: {reason}") from error
    tell("writing the weights", 2, 3)
    tied = model.config.tie_word_embeddings
    state = {
        name: tensor.to(torch.bfloat16).contiguous()
        for name, tensor in model.state_dict().items()
        if not (tied and name == "lm_head.weight")
    }
    save_file(state, str(folder / "model.safetensors"), metadata={"format": "pt"})
    model.config.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    model.generation_config.save_pretrained(str(folder))
    tell("writing the weights", 3, 3)


@contextmanager
def quiet() -> Iterator[None]:
    """No bars or notes of transformers; Foreword shows its own."""
    from transformers.utils import logging as hf_logging

    level, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity(logging.ERROR)
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
        if bars:
            hf_logging.enable_progress_bar()


@contextmanager
def _one_reader() -> Iterator[None]:
    """Parse the header once and without a bar; transformers does it three times, at 5 s each."""
    import gguf
    from transformers import modeling_gguf_pytorch_utils as loader

    original, bar, readers = gguf.GGUFReader, loader.tqdm, {}

    def cached(path: Any, *args: Any, **kwargs: Any) -> Any:
        key = str(path)
        if key not in readers:
            readers[key] = original(path, *args, **kwargs)
        return readers[key]

    gguf.GGUFReader, loader.tqdm = cached, lambda items, **_: items
    try:
        yield
    finally:
        gguf.GGUFReader, loader.tqdm = original, bar
