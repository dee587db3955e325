"""`foreword train`: a recipe becomes a LoRA adapter with its model card."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from foreword.cli.app import JsonFlag, app, console, emit, interruptible
from foreword.cli.progress import progress_bar


@app.command(epilog="Example: [bold]foreword train reference/agent --out adapters/agent[/bold]")
def train(
    recipe: Annotated[
        str, typer.Argument(help="A recipe.yaml, or reference/align or reference/agent.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the adapter; the recipe's own if not given."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Fine-tune a model by a recipe; the loss is on assistant turns only."""
    from foreword.train import load_recipe, run

    loaded = load_recipe(recipe)
    with interruptible(), progress_bar("training steps") as bar:
        result = run(loaded, out=out or loaded.output, progress=bar.to)
    if as_json:
        emit({**asdict(result), "adapter": str(result.adapter)})
        return
    console.print(
        f"{result.adapter}: {result.steps} steps in {result.seconds:.0f} s, "
        f"final loss {result.loss:.3f}, {result.tokens_per_s:.0f} tokens/s",
    )
