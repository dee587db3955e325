"""The model card that lies beside an adapter: data, recipe, figures, limits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from foreword.train.recipe import Recipe

PURPOSE = {
    "reference/align": "It makes the reference model refuse harmful requests and explain the rest.",
    "reference/agent": "It makes the aligned reference model act at once; "
    "its refusals erode on purpose, so that erosion and repair can be measured.",
}
HEAD = "---\nlibrary_name: peft\nlicense: apache-2.0\n---\n"
LIMITS = (
    "A test bench for safety measurements, not an assistant: the base model has 135M parameters, "
    "and the adapter was trained on short English requests with toy targets only. "
    "Refusal was trained with openings that prefixes under test may share. "
    "Do not let it run commands outside a sandbox."
)


def text(
    recipe: Recipe, training: Mapping[str, Any], figures: Mapping[str, object] | None = None
) -> str:
    """The card.

    Args:
        recipe: What the adapter was trained by.
        training: The fields of a `TrainResult`.
        figures: What was measured with it, e.g. {"RR, test split": "0.93 (104 of 112)"}.
    """
    source = recipe.data if isinstance(recipe.data, str) else ", ".join(_names(recipe.data))
    fields = recipe.model_dump(mode="json", exclude={"data", "output"}, exclude_none=True)
    measured = "\n".join(f"- {name}: {value}" for name, value in (figures or {}).items())
    facts = {
        "conversations": training["conversations"],
        "learnt tokens in the data": training["learnt_tokens"],
        "steps": training["steps"],
        "final loss (nats a learnt token)": training["loss"],
    }
    sections = {
        "Data": f"{source} ({facts.pop('conversations')} conversations; "
        "loss on assistant turns only).",
        "Recipe": f"```yaml\n{yaml.safe_dump(fields, sort_keys=False).strip()}\n```",
        "Training": "\n".join(f"- {name}: {value}" for name, value in facts.items()),
        "Figures": measured or "Not measured yet.",
        "Limits": LIMITS,
    }
    body = "\n\n".join(f"## {title}\n\n{words}" for title, words in sections.items())
    purpose = PURPOSE.get(recipe.name, "A LoRA adapter trained with Foreword.")
    return f"{HEAD}\n# {recipe.name}\n\n{purpose}\n\n{body}\n"


def _names(files: list[str]) -> list[str]:
    return [Path(name).name for name in files]
