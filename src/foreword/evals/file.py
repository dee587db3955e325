"""A Python file of Inspect tasks, run on a target of Foreword's and behind its guard.

The metrics are the file's own: its scorers decide what they mean. Not covered: tasks that
name a model of their own, and what SR, ASR, RR and ORR would say of them.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from foreword.core.errors import ModelError, UsageError
from foreword.core.protocols import Model
from foreword.core.runs import make_folder

Metrics = Mapping[str, float]  # "scorer/metric" -> value


def is_file_of_tasks(name: str) -> bool:
    """Whether a name is that of a Python file, with or without the @task it holds.

    Raises:
        UsageError: it is, but there is no such file.
    """
    path = name.partition("@")[0]
    if path.endswith(".py") and not Path(path).is_file():
        raise UsageError(f"there is no {path}; name a Python file with Inspect tasks")
    return path.endswith(".py")


def need_tasks(name: str) -> None:
    """See that a Python file holds what it is named for, before weights are loaded for it.

    Raises:
        UsageError: it cannot be read, or holds no such task.
    """
    import inspect_ai

    path, _, one = name.partition("@")
    file = Path(path)
    try:
        ast.parse(file.read_text("utf-8"), path)  # Inspect finds no tasks in what it cannot parse
        found = inspect_ai.list_tasks(file.name, absolute=True, root_dir=file.parent)
    except (OSError, SyntaxError, ValueError) as error:  # ValueError: it is not UTF-8
        raise UsageError(f"cannot read {path}: {error}") from error
    if not any(one in ("", task.name) for task in found):
        raise UsageError(f"there is no {'@task ' + one if one else 'task'} in {path}")


def evaluate_file(
    name: str,
    model: Model,
    *,
    log_dir: Path,
    items: int | None = None,
) -> dict[str, Metrics]:
    """Run the tasks of a Python file.

    Args:
        name: "tasks.py" for all of its tasks, or "tasks.py@one".
        model: the target, defended or not.
        log_dir: the `.eval` logs are written here.
        items: the first so many samples of each task.

    Returns:
        The metrics of each task.

    Raises:
        UsageError: the file cannot be read, or holds no such task.
        ModelError: a task did not finish.
        RunError: the logs cannot be written there.
    """
    import inspect_ai

    from foreword.evals.provider import inspect_model

    need_tasks(name)
    make_folder(log_dir)
    logs = inspect_ai.eval(
        name,
        inspect_model(model),
        display="none",
        log_dir=str(log_dir),
        log_level="error",
        ctl_server=False,
        limit=items,
    )
    for log in logs:
        if log.status == "cancelled":
            raise KeyboardInterrupt
        if log.status != "success":
            why = log.error.message if log.error else log.status
            raise ModelError(f"{log.eval.task} did not finish: {why} (log: {log.location})")
    return {
        log.eval.task: {
            f"{score.name}/{metric.name}": metric.value
            for score in (log.results.scores if log.results else ())
            for metric in score.metrics.values()
        }
        for log in logs
    }
