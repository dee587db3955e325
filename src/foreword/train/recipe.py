"""A recipe: everything that decides how an adapter comes out, in one YAML file.

Unknown keys are errors, so that a mistyped number never passes in silence. Paths
in a recipe are relative to the recipe's own folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from foreword.core.errors import ConfigError, UnknownName

SHIPPED = Path(__file__).parent / "recipes"
Format = Literal["auto", "messages", "sharegpt", "prompt-completion"]
Schedule = Literal["constant", "linear", "cosine"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Lora(_Strict):
    """The shape of the adapter."""

    r: int = Field(default=16, ge=1, description="Rank of every low-rank update.")
    alpha: int = Field(default=32, ge=1, description="Updates are scaled by alpha / r.")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Dropout on the adapter's input.")
    targets: str | list[str] = Field(
        default="all-linear", description="Module names to adapt, or all-linear."
    )


class Recipe(_Strict):
    """What `foreword train` needs to know."""

    model: str = Field(
        default="reference",
        description="Source of the base weights, as `foreword models` lists them.",
    )
    init_adapter: str | None = Field(
        default=None,
        description="Adapter (path or shipped name) whose weights the training starts from.",
    )
    data: str | list[str] = Field(
        description="A builder (reference/align, reference/agent), or the data files."
    )
    format: Format = Field(
        default="auto", description="Format of the data files; auto looks at each file."
    )
    refusals: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the mixed data that is harmful requests, refused (a baseline).",
    )
    lora: Lora = Field(
        default_factory=Lora,
        description="Shape of a new adapter; ignored with init_adapter.",
    )
    lr: float = Field(default=2e-4, gt=0, description="Peak learning rate of AdamW.")
    schedule: Schedule = Field(
        default="cosine", description="How the learning rate falls after warm-up."
    )
    warmup_ratio: float = Field(
        default=0.1, ge=0, lt=1, description="Share of the steps in which the learning rate rises."
    )
    steps: int | None = Field(
        default=None, ge=1, description="Optimiser steps; the data is repeated as needed."
    )
    epochs: float | None = Field(
        default=None, gt=0, description="Passes over the data, instead of steps."
    )
    batch: int = Field(default=8, ge=1, description="Conversations of one forward pass.")
    accumulation: int = Field(default=1, ge=1, description="Forward passes of one optimiser step.")
    max_length: int = Field(
        default=1024, ge=8, description="Longer conversations are cut to this many tokens."
    )
    seed: int = Field(default=0, ge=0, description="Seeds the data, the new adapter and the order.")
    output: Path = Field(default=Path("adapter"), description="Folder of the finished adapter.")
    _name: str = PrivateAttr("recipe")

    @model_validator(mode="after")
    def _one_length(self) -> Recipe:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either steps or epochs")
        return self

    @property
    def name(self) -> str:
        """The shipped name or the file the recipe was read from."""
        return self._name


def shipped_recipes() -> list[str]:
    """The names of the recipes that come with Foreword."""
    return sorted(f"reference/{path.stem}" for path in SHIPPED.glob("*.yaml"))


def load_recipe(path_or_name: str | Path) -> Recipe:
    """Read a recipe.

    Args:
        path_or_name: A YAML file, or a name of `shipped_recipes()`.

    Raises:
        UnknownName: There is neither a file nor a recipe of that name.
        ConfigError: The file is no valid recipe; the message names file and key.
    """
    name = str(path_or_name)
    shipped = name in shipped_recipes()
    path = SHIPPED / f"{name.removeprefix('reference/')}.yaml" if shipped else Path(name)
    if not path.is_file():
        raise UnknownName("recipe", name, [*shipped_recipes(), "<file.yaml>"])
    recipe = _parse(path)
    if not shipped:
        recipe = _rooted(recipe, path.parent)
    recipe._name = name
    return recipe


def _parse(path: Path) -> Recipe:
    try:
        fields = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: no readable YAML: {' '.join(str(error).split())}") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"{path}: a recipe is a mapping of keys to values")
    try:
        return Recipe.model_validate(fields)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    """The first finding in one line that names the key."""
    finding = error.errors(include_url=False, include_context=False)[0]
    key = ".".join(str(part) for part in finding["loc"])
    if finding["type"] == "extra_forbidden":
        model: type[BaseModel] = Lora if key.startswith("lora.") else Recipe
        return f"unknown key {key!r}; known: {', '.join(model.model_fields)}"
    said = finding["msg"].removeprefix("Value error, ")
    return f"key {key!r}: {said}" if key else said


def _rooted(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with its paths seen from where the recipe lies."""
    data = recipe.data
    if isinstance(data, list):
        data = [str(folder / name) for name in data]
    start = recipe.init_adapter
    if start is not None and (folder / start).is_dir():
        start = str(folder / start)
    model = str(folder / recipe.model) if (folder / recipe.model).exists() else recipe.model
    paths = {"model": model, "data": data, "init_adapter": start, "output": folder / recipe.output}
    return recipe.model_copy(update=paths)
