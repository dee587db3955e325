"""The options that several commands share, and the one way they load a target."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from foreword.cli.progress import loading
from foreword.core.types import Placement

if TYPE_CHECKING:
    from foreword.models.engine import LocalModel
    from foreword.models.remote import RemoteModel
    from foreword.suites import Suite

Model = Annotated[
    str,
    typer.Option(
        "--model", help="reference, hf:<id or path>, a folder, a .gguf, or a server's http address."
    ),
]
Adapter = Annotated[
    str | None, typer.Option("--adapter", help="LoRA adapter: a path, aligned or agent.")
]
Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        help="Where a suite's files lie; of several suites NAME=PATH, once each.",
        show_default="its own place, or its home",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Seeds everything random.")]
Out = Annotated[Path, typer.Option("--out", help="Run folder; an unfinished run is resumed.")]
GuardFile = Annotated[Path | None, typer.Option("--guard", help="The guard.json to put in front.")]
JudgeName = Annotated[
    str, typer.Option("--judge", help="lexicon, llm:MODEL or guard:FORMAT@ADDRESS.")
]
Part = Annotated[
    Literal["train", "search", "validation", "test"] | None,
    typer.Option(
        "--split", help="Which tasks.", show_default="validation, or test if all are for it"
    ),
]
Items = Annotated[
    int | None, typer.Option("--items", min=1, help="At most this many tasks of each kind.")
]
ServerModel = Annotated[
    str | None,
    typer.Option("--server-model", help="A server's name for it.", show_default="its first"),
]
Dialect = Annotated[
    str, typer.Option("--dialect", help="How a server is asked to continue, e.g. vllm or llamacpp.")
]
Placed = Annotated[
    Placement,
    typer.Option("--placement", help="On a server, words begin the reply or end the request."),
]
Render = Annotated[
    str | None,
    typer.Option("--render", help="Whose chat template, where a server continues no chat."),
]
Concurrency = Annotated[
    int, typer.Option("--concurrency", min=1, help="Requests to a server at a time.")
]


@dataclass(frozen=True)
class Served:
    """How a server is asked: the options that mean nothing for local weights."""

    model: str | None = None
    dialect: str = "auto"
    placement: Placement = "prefix"
    render: str | None = None
    concurrency: int = 16


def load_suite(name: str, data: list[str] | None) -> Suite:
    """The suite, or several in one, with what `--data` says of where their files lie.

    Raises:
        UsageError: folders are given twice, or of one suite by name and of others without.
    """
    from foreword.core.errors import UsageError
    from foreword.suites import get, names

    said = [each.partition("=") for each in data or ()]
    where = {suite: Path(path) for suite, equals, path in said if equals and suite in names()}
    if not where and len(said) < 2:
        return get(name, Path(data[0]) if data else None)
    if len(where) < len(said):
        raise UsageError(f"--data {' --data '.join(data or ())}: say NAME=PATH once for each suite")
    return get(name, where)


def load_target(
    model: str, adapter: str | None, served: Served, *, cached: bool = True
) -> LocalModel | RemoteModel:
    """What `--model` names: weights, or a server that has proved that it continues.

    `cached`: what a server answered before is not asked again.

    Raises:
        UsageError: an option does not go with the other.
    """
    from foreword.core.errors import UsageError

    if model.startswith(("http://", "https://")):
        if adapter is not None:
            raise UsageError("--adapter is for local weights; a server has its own, leave it out")
        return _connect(model, served, cached)
    if served != Served():
        raise UsageError(
            "--server-model, --dialect, --placement, --render and --concurrency go with a server; "
            f"give its address by --model instead of {model!r}"
        )
    return load_local(model, adapter)


def load_local(model: str, adapter: str | None) -> LocalModel:
    """Load a model with its adapter, showing what is fetched or unpacked."""
    from foreword import models

    with loading() as report:
        return models.load(model, adapter=adapter, progress=report)


def _connect(base_url: str, served: Served, cached: bool) -> RemoteModel:
    from foreword.models.dialects import dialect
    from foreword.models.remote import RemoteModel
    from foreword.models.sending import KEY_VARIABLE
    from foreword.models.store import cache_dir

    if served.dialect != "auto":
        dialect(served.dialect)  # nobody is asked before a slip is told
    return RemoteModel.open(
        base_url,
        model=served.model,
        api_key=os.environ.get(KEY_VARIABLE),
        dialect=served.dialect,
        placement=served.placement,
        render=served.render,
        concurrency=served.concurrency,
        cache=cache_dir() if cached else None,
    )
