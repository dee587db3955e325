"""`foreword search`: find the prefix for a target, resumable at any moment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foreword.cli.app import JsonFlag, app, console, emit, interruptible
from foreword.cli.options import Adapter, Model, Out, Seed, load_target
from foreword.cli.progress import progress_bar

if TYPE_CHECKING:
    from foreword.core.protocols import Proposer


@app.command(epilog="Example: [bold]foreword search --adapter agent --out runs/search[/bold]")
def search(
    model: Model = "reference",
    adapter: Adapter = None,
    suite: Annotated[str, typer.Option(help="Where the tasks come from.")] = "files",
    proposer: Annotated[
        str, typer.Option(help="offline, llm:<Inspect model name>, or file:<list of prefixes>.")
    ] = "offline",
    rounds: Annotated[int, typer.Option(min=1, help="T of the paper.")] = 20,
    per_round: Annotated[int, typer.Option(min=1, help="M of the paper.")] = 5,
    top_k: Annotated[int, typer.Option(min=1, help="k of the paper.")] = 3,
    tau: Annotated[
        float, typer.Option(help="Overall score from which on examples are shown.")
    ] = 1.0,
    seed: Seed = 0,
    out: Out = Path("runs/search"),
    as_json: JsonFlag = False,
) -> None:
    """Search for the prefix that restores refusal; writes guard.json into the run folder."""
    from foreword.search.ping import FINALISTS, find
    from foreword.suites import get

    found_suite, source = get(suite), resolve_proposer(proposer)
    target = load_target(model, adapter)
    total = rounds * per_round + FINALISTS
    with interruptible(), progress_bar("candidates", total=total) as advance:
        found = find(
            target,
            found_suite,
            out=out,
            proposer=source,
            rounds=rounds,
            per_round=per_round,
            top_k=top_k,
            tau=tau,
            seed=seed,
            on_trial=lambda _: advance(1),
            on_finalist=lambda _: advance(1),
        )
    if as_json:
        emit(found.guard.model_dump(mode="json", exclude_none=True))
        return
    for finalist in found.result.finalists:
        score = finalist.validation
        console.print(
            f"{score.overall:.2f}  refusal {score.refusal:.2f}  perf {score.perf:.2f}  "
            f"{finalist.trial.prefix!r}",
            highlight=False,
        )
    console.print(
        f"chosen: {found.guard.prefix!r}, written to {out / 'guard.json'}", highlight=False
    )


def resolve_proposer(name: str) -> Proposer:
    """The proposer a user named.

    Raises:
        UnknownName: no proposer has that name.
        UsageError: the list of prefixes is empty.
    """
    from foreword.core.errors import UnknownName
    from foreword.search.proposers.file import FileProposer
    from foreword.search.proposers.grammar import OfflineProposer
    from foreword.search.proposers.llm import LlmProposer

    kind, _, rest = name.partition(":")
    if name == "offline":
        return OfflineProposer()
    if kind == "file" and rest:
        return FileProposer(rest)
    if kind == "llm" and rest:
        return LlmProposer.of(rest)
    raise UnknownName("proposer", name, ["offline", "llm:<model>", "file:<path>"])
