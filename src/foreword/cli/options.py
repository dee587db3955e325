"""The options that several commands share, and the one way they load a target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foreword.cli.progress import loading

if TYPE_CHECKING:
    from foreword.models.engine import LocalModel

Model = Annotated[
    str,
    typer.Option("--model", help="reference, hf:<id or path>, a model folder, or a .gguf file."),
]
Adapter = Annotated[
    str | None, typer.Option("--adapter", help="LoRA adapter: a path, aligned or agent.")
]
Seed = Annotated[int, typer.Option("--seed", help="Seeds everything random.")]
Out = Annotated[Path, typer.Option("--out", help="Run folder; an unfinished run is resumed.")]


def load_target(model: str, adapter: str | None) -> LocalModel:
    """Load a model with its adapter, showing what is fetched or unpacked."""
    from foreword import models

    with loading() as report:
        return models.load(model, adapter=adapter, progress=report)
