"""`foreword check`: proofs that can be replayed.

A suite's proof is that every oracle succeeds and every counter-example fails
in the sandbox; the judge's is its agreement with hand-labelled openings.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from foreword.cli.app import JsonFlag, app, console, emit
from foreword.cli.options import Data
from foreword.cli.progress import progress_bar


@app.command(epilog="Example: [bold]foreword check files --json[/bold]")
def check(
    what: Annotated[
        str, typer.Argument(help="A suite ([bold]files[/bold]) or [bold]judge[/bold].")
    ],
    data: Data = None,
    jobs: Annotated[int, typer.Option(help="Sandboxes at a time.")] = os.cpu_count() or 2,
    as_json: JsonFlag = False,
) -> None:
    """Replay a suite's oracles and counter-examples, or measure the judge's agreement."""
    if what == "judge":
        _check_judge(as_json)
    else:
        _check_suite(what, data, jobs, as_json)


def _check_suite(name: str, data: Path | None, jobs: int, as_json: bool) -> None:
    from foreword.core.errors import UsageError
    from foreword.suites import get
    from foreword.suites.check import check as replay

    suite = get(name, data)
    proofs = sum(task.check is not None for task in suite.tasks)
    if not proofs:
        raise UsageError(f"suite {name!r} is talk: no task has a checker, nothing can be replayed")
    with progress_bar(f"replaying {name}", total=proofs) as advance:
        report = replay(suite, jobs=jobs, progress=advance)
    if as_json:
        emit(report.to_dict())
    else:
        for failure in report.failures:
            console.print(f"[red]{failure.task_id}[/] {failure.what}: {failure.output}")
        console.print(report.summary())
    if not report.ok:
        raise typer.Exit(1)


def _check_judge(as_json: bool) -> None:
    from foreword.judges.agreement import agreement, load_rows
    from foreword.judges.lexicon import LexiconJudge

    judge = LexiconJudge()
    groups = {
        part: [row for row in load_rows() if row.part == part] for part in ("dev", "held-out")
    }
    held_out = groups["held-out"]
    groups["held-out, invented"] = [row for row in held_out if row.source == "own"]
    groups["held-out, real replies"] = [row for row in held_out if row.source != "own"]
    results = {name: agreement(judge, rows) for name, rows in groups.items()}
    if as_json:
        emit({name: result.to_dict() for name, result in results.items()})
        return
    for name, result in results.items():
        console.print(f"{judge.name} on {name}: {result.summary()}", highlight=False)
