"""Fine-tuning with a recipe: chat data in, a small LoRA adapter out.

A recipe (a YAML file, or a shipped name such as "reference/align") names the
model, the data and every number; `run` hands it to TRL and PEFT with the loss on
assistant turns only. `reference` builds the conversations of the two adapters
that ship with Foreword.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foreword.train.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from foreword.train.trainer import TrainResult

__all__ = ["Recipe", "load_recipe", "run"]


def run(
    recipe: Recipe, *, out: Path | None = None, progress: Callable[[int, int], None] | None = None
) -> TrainResult:
    """Train an adapter as the recipe says.

    Args:
        recipe: What `load_recipe` returned.
        out: The adapter's folder; the recipe's `output` if None. An interrupted
            training in the same folder goes on where it stopped.
        progress: Called with (steps done, steps in all).

    Raises:
        ConfigError: The recipe and its data or its model do not fit.
        DataError: A data file is broken; file and line are named.
        UnknownName: Nobody knows the model or the adapter.
        SourceError: Weights could not be had.
    """
    from foreword.train import trainer

    return trainer.train(recipe, out=out, progress=progress)
