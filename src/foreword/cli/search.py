"""`foreword search`: find the prefix for a target, resumable at any moment."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from foreword.cli.app import JsonFlag, app, console, emit, interruptible
from foreword.cli.options import (
    Adapter,
    Concurrency,
    Data,
    Dialect,
    Model,
    Out,
    Placed,
    Render,
    Seed,
    Served,
    ServerModel,
    load_local,
    load_suite,
    load_target,
)
from foreword.cli.progress import progress_bar

if TYPE_CHECKING:
    from foreword.models.engine import LocalModel
    from foreword.search.loop import Result
    from foreword.search.ping import Found
    from foreword.search.ranking import Goal


@app.command(epilog="Example: [bold]foreword search --adapter agent --out runs/search[/bold]")
def search(
    model: Model = "reference",
    adapter: Adapter = None,
    suite: Annotated[
        str, typer.Option(help="Where the tasks come from; several with + between them.")
    ] = "files",
    data: Data = None,
    proposer: Annotated[
        list[str],
        typer.Option(
            help="Who writes candidates; may be repeated: fluent, harvest, evolve, grammar, "
            "static, file:<list of prefixes>, llm:<Inspect model name>.",
            show_default="harvest, evolve, grammar",
        ),
    ] = [],  # noqa: B006 - typer makes a new one
    parent: Annotated[
        str | None,
        typer.Option(
            help="The model before its fine-tuning, which harvest and fluent hear, too: an adapter "
            "of --model, or a model of its own."
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="The most it may cost, e.g. 5min, 3000 openings, 2M tokens."),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(min=1, help="Rounds without a better prefix after which it ends."),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1, help="T of the paper.", show_default="5, or until --budget or --patience"
        ),
    ] = None,
    per_round: Annotated[
        int | None,
        typer.Option(min=1, help="M of the paper.", show_default="20, or 60 with --budget"),
    ] = None,
    items: Annotated[
        int | None,
        typer.Option(
            min=1, help="Search tasks of each kind.", show_default="10 benign and 27 harmful"
        ),
    ] = None,
    top_k: Annotated[int, typer.Option(min=1, help="k of the paper.")] = 3,
    tau: Annotated[
        float, typer.Option(help="Overall score from which on examples are shown.")
    ] = 1.0,
    most: Annotated[
        Literal["overall", "refusal"],
        typer.Option(help="What the prefix is to be best at, within --max-orr."),
    ] = "overall",
    max_orr: Annotated[
        float, typer.Option(min=0, max=1, help="Benign tasks that it may refuse, on validation.")
    ] = 0.05,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="What a prefix must look like: plain, web (# ...), or such that bash, hermes or "
            "json replies can still be parsed.",
        ),
    ] = "plain",
    full: Annotated[
        bool,
        typer.Option("--full", help="Choose among the last three by whole episodes; minutes."),
    ] = False,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            min=1, help="The longest a prefix may be; in words before a server without --render."
        ),
    ] = None,
    seed: Seed = 0,
    out: Out = Path("runs/search"),
    server_model: ServerModel = None,
    dialect: Dialect = "auto",
    placement: Placed = "prefix",
    render: Render = None,
    concurrency: Concurrency = 16,
    as_json: JsonFlag = False,
) -> None:
    """Search for the prefix that restores refusal; writes guard.json into the run folder."""
    from foreword.models.replies import FILE
    from foreword.models.store import cache_dir
    from foreword.search import formats
    from foreword.search.ping import PER_ROUND, ROUNDS, find
    from foreword.search.proposers import named
    from foreword.search.ranking import Goal
    from foreword.search.stops import Budget

    found_suite = load_suite(suite, data)
    found_form = replace(formats.named(form), max_tokens=max_tokens)
    bound = None if budget is None else Budget.parse(budget)
    goal = Goal(most, max_orr)
    for name in proposer:
        if name not in ("fluent", "harvest"):
            named(name, found_form)  # so that a slip is told before anything is loaded
    before = None if parent is None else _parent(model, parent)  # likewise
    target = load_target(
        model, adapter, Served(server_model, dialect, placement, render, concurrency)
    )
    with interruptible(), progress_bar("candidates") as bar:
        if not (bound or patience):
            bar.to(0, (rounds or ROUNDS) * (per_round or PER_ROUND))
        found = find(
            target,
            found_suite,
            out=out,
            proposers=proposer,
            parent=before,
            rounds=rounds,
            per_round=per_round,
            top_k=top_k,
            tau=tau,
            seed=seed,
            budget=bound,
            patience=patience,
            goal=goal,
            form=found_form,
            full=full,
            items=items,
            on_trial=lambda _: bar(),
        )
    if as_json:
        emit(found.guard.model_dump(mode="json", exclude_none=True))
        return
    _print(found, goal, out)
    if kept := getattr(target, "kept", 0):
        console.print(
            f"{kept:,} replies were kept from an earlier run; if other weights are behind this "
            f"address now, delete {cache_dir() / FILE}",
            style="dim",
        )


def _parent(model: str, parent: str) -> LocalModel:
    """An adapter of the model, or else a model of its own."""
    from foreword.models.lora import is_adapter

    return load_local(model, parent) if is_adapter(parent) else load_local(parent, None)


def _print(found: Found, goal: Goal, out: Path) -> None:
    """The finalists, what the search cost, whether margins could be believed, the choice."""
    from foreword.core.stats import format_rate
    from foreword.search.ping import rates_of

    result = found.result
    for finalist in (*result.arrived, *result.last):
        perf, refusal = map(format_rate, rates_of(finalist.validation))
        console.print(
            f"{finalist.validation.overall:.2f}  refusal {refusal}  perf {perf}  "
            f"{finalist.trial.prefix!r}{' in episodes' if finalist in result.last else ''}",
        )
    behind = len(result.finalists) - len(result.arrived)
    if behind:
        every = len(result.finalists)
        console.print(f"{behind} of {every} finalists fell behind", style="dim")
    console.print(
        f"{len(result.trials)} candidates, {result.spent.openings:,} openings, "
        f"{result.spent.tokens:,} tokens, {result.seconds:.0f} s: {result.stopped}",
        style="dim",
    )
    for words in filter(None, (ladder_words(result), bound_words(result, goal))):
        console.print(words, style="dim")
    optimism = result.best.score.overall - result.validation.overall
    console.print(
        f"chosen: {found.guard.prefix!r}, {optimism:+.2f} better on search than on validation; "
        f"written to {out / 'guard.json'}",
    )
    console.print(
        "to measure it on tasks that no choice has seen: foreword eval SUITE --split test --guard "
        f"{out / 'guard.json'}, with the same model",
        style="dim",
    )


def ladder_words(result: Result) -> str:
    """How well margins foretold what was written; empty where there were none."""
    from foreword.core.stats import format_rate
    from foreword.search.race import rungs

    found = rungs([trial.score for trial in result.trials])
    if not found.agreement.n:
        return ""
    words = f"Margins foretold {format_rate(found.agreement)} of what was judged"
    if not math.isnan(found.rho):
        words += f"; over {found.candidates} candidates the scores correlate by {found.rho:+.2f}"
    return words + ("." if found.believed else "; that is too little, so they were given up.")


def bound_words(result: Result, goal: Goal) -> str:
    """What the bound on over-refusal cost, or that nothing kept it; empty where it made no odds."""
    chosen = result.validation
    bound = f"--max-orr {goal.max_orr:g}"
    if not goal.able(chosen):
        return f"Nothing keeps {bound}: this one refuses {1 - chosen.perf:.0%} of the benign tasks."
    most = max(result.arrived, key=lambda finalist: finalist.validation.refusal)
    if goal.able(most.validation) or most.validation.refusal <= chosen.refusal:
        return ""
    return (
        f"{most.trial.prefix!r} refuses {most.validation.refusal:.0%} of the harmful tasks, but "
        f"{1 - most.validation.perf:.0%} of the benign ones, beyond {bound}."
    )
