"""`foreword compare`: every defence on the same tasks, as table, files and a page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foreword.cli.app import JsonFlag, app, console, emit, interruptible, notes
from foreword.cli.evaluate import default_split
from foreword.cli.options import (
    Adapter,
    Concurrency,
    Data,
    Dialect,
    GuardFile,
    Items,
    JudgeName,
    Model,
    Out,
    Part,
    Placed,
    Render,
    Served,
    ServerModel,
    load_suite,
    load_target,
)
from foreword.cli.progress import progress_bar
from foreword.core.errors import TooManyUndecided, UsageError

if TYPE_CHECKING:
    from foreword.evals.comparison import Comparison

PLAIN = (
    "none,static:I can't,static:I cannot,static:I'm sorry,ptst,few-shot,constitution,critique,"
    "self-reminder,icd,ada"
)
REOPENING = "ada"
OF_A_GUARD = ",suffix,ping"


@app.command(
    epilog="Example: [bold]foreword compare --adapter agent --guard guard.json --items 60[/bold]"
)
def compare(
    suite: Annotated[str, typer.Option(help="The suite to run.")] = "files",
    data: Data = None,
    defences: Annotated[
        list[str] | None,
        typer.Option(
            help="Specs, separated by commas without a space; the others are compared with none, "
            "or without it with the first.",
            show_default="none and all that need nothing else; with --guard suffix and ping",
        ),
    ] = None,
    guard: GuardFile = None,
    model: Model = "reference",
    adapter: Adapter = None,
    split: Part = None,
    items: Items = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Of one reply.", show_default="what the suite's oracles need"),
    ] = None,
    judge: JudgeName = "lexicon",
    out: Out = Path("runs/compare"),
    server_model: ServerModel = None,
    dialect: Dialect = "auto",
    placement: Placed = "prefix",
    render: Render = None,
    concurrency: Concurrency = 16,
    as_json: JsonFlag = False,
) -> None:
    """Compare defences: SR, ASR, RR, ORR, tokens and seconds, against the model without any."""
    from foreword.core.runs import Run, write_json, write_text
    from foreword.defences.guard import Guard
    from foreword.evals.compare import compare as run
    from foreword.evals.defended import stack
    from foreword.evals.judging import named_judge

    found = load_suite(suite, data)
    split = split or default_split(found)
    loaded = Guard.load(guard) if guard else None
    specs = parted(defences or [PLAIN + (OF_A_GUARD if loaded else "")])
    layers = {spec: stack(spec, loaded) for spec in specs}  # a slip is told before the weights load
    reader = named_judge(judge)
    served = Served(server_model, dialect, placement, render, concurrency)
    target = load_target(model, adapter, served, cached=False)  # each row pays for its own replies
    if not defences and not target.reopens:
        del layers[REOPENING]
        notes.print(f"{REOPENING} is left out: it needs local weights, or a server with --render")
    manifest = {  # without the defences: more of them may join an earlier table
        "command": "compare",
        "suite": found.digest,
        "target": target.fingerprint,
        "split": split,
        "items": items,
        "max_new_tokens": max_new_tokens,
        "judge": reader.name,
    }
    with interruptible(), Run.open(out, manifest), progress_bar("episodes") as bar:
        result = run(
            target,
            found,
            layers,
            out=out / "logs",
            split=split,
            items=items,
            judge=reader,
            max_new_tokens=max_new_tokens,
            progress=lambda at, done, total: bar.to(
                list(layers).index(at) * total + done, len(layers) * total
            ),
        )
        write_json(out / "compare.json", result.to_json())
        write_text(out / "compare.csv", result.to_csv())
        write_text(out / "compare.md", result.to_markdown())
        _report(result, {"target": target.fingerprint}, out / "report.html")
    if as_json:
        emit(result.to_json())
    else:
        _print(result)
        console.print(f"files: {out}/compare.json, .csv, .md, report.html")
    _trust(result)


def parted(specs: list[str]) -> list[str]:
    """Specs without doubles; a comma before a space belongs to somebody's words.

    Raises:
        UsageError: there is none.
    """
    every = [spec.strip() for one in specs for spec in re.split(r",(?!\s)", one)]
    if found := list(dict.fromkeys(spec for spec in every if spec)):
        return found
    raise UsageError("--defences names none; leave it out, or name some, as in none,ptst")


def _trust(result: Comparison) -> None:
    """Everything is written by now; still a table with too much unjudged is no success.

    Raises:
        TooManyUndecided: a rate of a row misses more than a fifth of its tasks.
    """
    if poor := [row for row in result.rows if row.complaint]:
        more = f" (and {len(poor) - 1} more rows)" if poor[1:] else ""
        raise TooManyUndecided(f"{poor[0].defence}: {poor[0].complaint}{more}")


def _report(result: Comparison, facts: dict[str, str], path: Path) -> None:
    from foreword.core.runs import environment
    from foreword.report import write_comparison

    about = {"suite": f"{result.suite} {result.digest[:12]}, {result.split}", "judge": result.judge}
    write_comparison(result, {**facts, **about, **environment()}, path)


def _print(result: Comparison) -> None:
    from rich.table import Table

    from foreword.evals.comparison import cells, head

    names = result.measures()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in head(names):
        table.add_column(title, overflow="fold")
    for row in result.rows:
        table.add_row(*cells(row, result.rows[0], names))
    console.print(table)
    for note in result.notes():
        console.print(note, markup=False)
