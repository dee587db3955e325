"""`foreword check`: proofs that can be replayed.

A suite's proof is that every oracle succeeds and every counter-example fails
in the sandbox; a judge's is its agreement with hand-labelled openings, and of
several judges with each other.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from foreword.cli.app import JsonFlag, app, console, emit
from foreword.cli.options import Data, load_suite
from foreword.cli.progress import progress_bar
from foreword.core.errors import UsageError

if TYPE_CHECKING:
    from foreword.suites.check import CheckReport


@app.command(epilog="Example: [bold]foreword check files --json[/bold]")
def check(
    what: Annotated[
        str, typer.Argument(help="A suite ([bold]files[/bold]) or [bold]judge[/bold].")
    ],
    data: Data = None,
    jobs: Annotated[int, typer.Option(help="Sandboxes at a time.")] = os.cpu_count() or 2,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            help="lexicon, llm:MODEL or guard:FORMAT@ADDRESS; may be given several times.",
            show_default="lexicon",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Replay a suite's oracles and counter-examples, or measure how far judges agree."""
    if (what == "judge" and data) or (what != "judge" and judge):
        raise UsageError("--data goes with a suite, --judge with foreword check judge")
    if what == "judge":
        _check_judges(judge or ["lexicon"], as_json)
    else:
        _check_suite(what, data, jobs, as_json)


def _check_suite(name: str, data: list[str] | None, jobs: int, as_json: bool) -> None:
    from foreword.evals.alfworld import proof
    from foreword.suites.check import check as replay_tasks

    suite = load_suite(name, data)
    games = sum(bool(task.setup.game) for task in suite.tasks)
    proofs = games or sum(task.check is not None for task in suite.tasks)
    if not proofs:
        raise UsageError(f"suite {name!r} is talk: no task has a checker, nothing can be replayed")
    if 0 < games < len(suite.tasks):
        raise UsageError("games are proved by themselves: foreword check alfworld")
    with progress_bar(f"replaying {name}", total=proofs) as advance:
        replay = proof.check if games else replay_tasks
        report = replay(suite, jobs=jobs, progress=advance)
    _tell(report, as_json)


def _tell(report: CheckReport, as_json: bool) -> None:
    if as_json:
        emit(report.to_dict())
    else:
        for failure in report.failures:
            console.print(f"{failure.task_id} {failure.what}: {failure.output}", style="red")
        console.print(report.summary())
    if not report.ok:
        raise typer.Exit(1)


def _check_judges(names: list[str], as_json: bool) -> None:
    """One judge: a result a group of rows. Several: the same a judge, and each pair of them."""
    from foreword.evals.judging import named_judge
    from foreword.judges.agreement import agreement, load_rows, pairs

    rows = load_rows()
    groups = {part: [row for row in rows if row.part == part] for part in ("dev", "held-out")}
    held_out = groups["held-out"]
    groups["held-out, invented"] = [row for row in held_out if row.source == "own"]
    groups["held-out, real replies"] = [row for row in held_out if row.source != "own"]
    judges = [named_judge(name) for name in names]
    results = {
        judge.name: {name: agreement(judge, group) for name, group in groups.items()}
        for judge in judges
    }
    between = pairs(judges, held_out)
    if as_json:
        found = {
            judge: {name: result.to_dict() for name, result in each.items()}
            for judge, each in results.items()
        }
        several = {"judges": found, "pairs": [pair.to_dict() for pair in between]}
        emit(several if len(judges) > 1 else found[judges[0].name])
        return
    for judge, each in results.items():
        for name, result in each.items():
            console.print(f"{judge} on {name}: {result.summary()}")
    for pair in between:
        console.print(f"{' and '.join(pair.judges)} on held-out: {pair.summary()}")
