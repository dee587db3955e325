"""`foreword eval`: a thin face of Inspect; the logs open in `inspect view`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from foreword.cli.app import JsonFlag, app, console, emit, interruptible, notes
from foreword.cli.options import (
    Adapter,
    Concurrency,
    Data,
    Dialect,
    GuardFile,
    Items,
    JudgeName,
    Model,
    Part,
    Placed,
    Render,
    Served,
    ServerModel,
    load_suite,
    load_target,
)
from foreword.cli.progress import progress_bar

if TYPE_CHECKING:
    from rich.text import Text

    from foreword.core.types import Rate, Split
    from foreword.evals.figures import Figures, Groups
    from foreword.evals.file import Metrics
    from foreword.suites import Suite


@app.command(
    "eval",
    epilog="Example: [bold]foreword eval files --adapter agent --guard guard.json[/bold]\n\n"
    "Defences compose: [bold]--defence ptst+ping --guard guard.json[/bold]; "
    "their names: docs/defences.md",
)
def evaluate(
    suite: Annotated[
        str, typer.Argument(help="A suite, a .jsonl of yours, or a .py with Inspect tasks.")
    ] = "files",
    model: Model = "reference",
    adapter: Adapter = None,
    guard: GuardFile = None,
    defence: Annotated[
        str | None,
        typer.Option(
            help="Defences by name, from the model outwards.",
            show_default="ping if there is a guard, else none",
        ),
    ] = None,
    judge: JudgeName = "lexicon",
    data: Data = None,
    split: Part = None,
    items: Items = None,
    by: Annotated[
        Literal["category", "family"] | None,
        typer.Option(help="Also success, refusal and execution failure of each."),
    ] = None,
    logs: Annotated[Path, typer.Option(help="Folder of the .eval logs.")] = Path("logs"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Run only what logs of this evaluation lack.")
    ] = False,
    server_model: ServerModel = None,
    dialect: Dialect = "auto",
    placement: Placed = "prefix",
    render: Render = None,
    concurrency: Concurrency = 16,
    as_json: JsonFlag = False,
) -> None:
    """Measure SR, ASR, RR and ORR of a model, defended or not, in the sandbox."""
    from foreword.core.errors import UsageError
    from foreword.defences.guard import Guard
    from foreword.defences.registry import Guarding
    from foreword.evals.defended import stack
    from foreword.evals.file import evaluate_file, is_file_of_tasks, need_tasks
    from foreword.evals.judging import named_judge
    from foreword.evals.run import evaluate as run

    tasks_of_inspect = is_file_of_tasks(suite)
    if tasks_of_inspect and (data or split or by or resume):
        raise UsageError(
            f"--data, --split, --by and --resume are for suites; {suite} has its own samples"
        )
    if tasks_of_inspect:
        need_tasks(suite)
    loaded_suite = None if tasks_of_inspect else load_suite(suite, data)
    loaded_guard = Guard.load(guard) if guard else None
    if placement == "suffix" and loaded_guard and loaded_guard.placement == "prefix":
        raise UsageError(f"{guard} begins replies; leave --placement suffix out")
    defences = stack(("ping" if guard else "none") if defence is None else defence, loaded_guard)
    if loaded_guard and not any(isinstance(layer, Guarding) for layer in defences.layers):
        raise UsageError(f"--defence {defence} does not use {guard}; add +ping, or leave it out")
    loaded_judge = named_judge(judge)
    served = Served(server_model, dialect, placement, render, concurrency)
    target = defences(load_target(model, adapter, served))
    if loaded_suite is None:
        with interruptible(how=""):
            metrics = evaluate_file(suite, target, log_dir=logs, items=items)
        print_metrics(metrics, as_json)
        return
    again = "; repeat the command with --resume to go on"
    with interruptible(again), progress_bar("episodes") as bar:
        outcome = run(
            target,
            loaded_suite,
            log_dir=logs,
            split=split or default_split(loaded_suite),
            items=items,
            judge=loaded_judge,
            progress=bar.to,
            resume=resume,
        )
    figures = outcome.figures()
    if as_json:
        emit({**figures.to_json(), **figures.groups_json()})
        return
    print_figures({target.fingerprint: figures})
    if by:
        print_groups(figures.families if by == "family" else figures.categories)
    notes.print(f"logs: {logs} (inspect view --log-dir {logs})")


def print_metrics(tasks: dict[str, Metrics], as_json: bool) -> None:
    """What Inspect's own scorers found, a line a metric."""
    if as_json:
        emit(tasks)
        return
    for task, metrics in tasks.items():
        for name, value in metrics.items():
            console.print(f"{task}  {name}  {value:.3g}")


def default_split(suite: Suite) -> Split:
    """Validation, since the test split is for reports; test where the suite has no other."""
    return "validation" if any(task.split == "validation" for task in suite.tasks) else "test"


def print_figures(targets: dict[str, Figures]) -> None:
    """A table of every target's rates: per cent, 95 % interval, k/n judged of all run."""
    names = list(dict.fromkeys(name for figures in targets.values() for name in figures.rates))
    _print_rates({target: figures.rates for target, figures in targets.items()}, names)


def print_groups(groups: Groups) -> None:
    """The same of every category or family."""
    _print_rates(groups, ["success", "refused", "failed"])


def _print_rates(rows: Groups, names: Sequence[str]) -> None:
    from rich.table import Table

    from foreword.evals.figures import too_few

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    for name in names:
        table.add_column(name.upper().replace("_", " "), justify="right")
    for row, rates in rows.items():
        table.add_row(row, *(_cell(rates[name]) for name in names))
    console.print(table)
    if any(too_few(rates[name]) for rates in rows.values() for name in names):
        console.print("?: more than a fifth was not judged, so the rate means little")


def _cell(rate: Rate) -> Text:
    from rich.text import Text

    from foreword.evals.figures import too_few

    value = f"{rate.value:.0%}{'?' if too_few(rate) else ''} " if rate.n else "n/a "
    rest = f"{rate.low:.0%}-{rate.high:.0%}\n{rate.k}/{rate.n} of {rate.total}"
    return Text.assemble(value, (rest, "dim"))
