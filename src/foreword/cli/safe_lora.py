"""`foreword safe-lora`: a fine-tuned adapter, projected onto the way its alignment went."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foreword.cli.app import JsonFlag, app, console, emit


@app.command(
    "safe-lora",
    epilog="Example: [bold]foreword safe-lora agent --aligned aligned --out projected[/bold]",
)
def safe_lora(
    adapter: Annotated[str, typer.Argument(help="The fine-tuned adapter.")],
    aligned: Annotated[
        str, typer.Option(help="The adapter it went on from, or the model it lies on.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the new adapter.")],
    base: Annotated[
        str, typer.Option(help="The model before its alignment; read if --aligned is a model.")
    ] = "reference",
    threshold: Annotated[
        float, typer.Option(min=-1, max=1, help="Project modules whose cosine is at most this.")
    ] = 0.5,
    as_json: JsonFlag = False,
) -> None:
    """Write a copy of an adapter by Safe LoRA (Hsu et al. 2024); no training."""
    from foreword.train.safe_lora import safe_lora as run

    made = run(adapter, aligned, out, base=base, threshold=threshold)
    cosines = sorted(made.cosines.values())
    if as_json:
        facts = {"adapter": str(made.adapter), "projected": made.projected}
        emit({**facts, "modules": len(cosines), "cosines": dict(made.cosines)})
        return
    console.print(
        f"{made.adapter}: {made.projected} of {len(cosines)} modules projected; cosines "
        f"{cosines[0]:.2f} to {cosines[-1]:.2f}, median {cosines[len(cosines) // 2]:.2f}",
    )
