"""`evaluate`: a model through a suite, in memory, with Inspect doing the work.

The thin face that `foreword eval` and the quickstart use: all kinds of tasks
run in one call, so that the engine's batches stay full; the logs are ordinary
`.eval` files.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foreword.core.errors import ModelError, SandboxError
from foreword.core.protocols import Judge, Model
from foreword.core.runs import make_folder
from foreword.core.types import Kind, Split
from foreword.evals.figures import Episode, Figures, figures
from foreword.suites.base import Suite

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.log import EvalLog
    from inspect_ai.solver import TaskState

    from foreword.defences.guard import Guard

Progress = Callable[[int, int], None]  # episodes done, episodes in all


@dataclass(frozen=True)
class Outcome:
    """What an evaluation found, and where its logs lie."""

    fingerprint: str
    judge: str  # name and version
    logs: tuple[Path, ...]
    episodes: tuple[Episode, ...]

    def figures(self, *, strict: bool = True) -> Figures:
        """SR, ASR, RR, ORR of the kinds that were run; see evals.figures."""
        return figures(self.episodes, strict=strict)


def evaluate(
    model: Model,
    suite: Suite,
    *,
    log_dir: Path,
    kinds: Sequence[Kind] | None = None,
    split: Split = "test",
    items: int | None = None,
    guard: Guard | None = None,
    judge: Judge | str = "lexicon",
    max_new_tokens: int | None = None,
    progress: Progress | None = None,
    resume: bool = False,
) -> Outcome:
    """Run a suite on a model that is already loaded.

    Args:
        model: the target; a defence (GuardedModel) is one as well.
        suite: where the tasks come from.
        log_dir: the `.eval` logs are written here, one a kind.
        kinds: which kinds of tasks to run, all at once; those the suite has if not given.
        split: which split; "test" is for reports alone.
        items: at most this many tasks of each kind, evenly over the families.
        guard: put before the model; the same as wrapping it with GuardedModel.
        judge: reads the replies; a name is resolved by evals.judging.
        max_new_tokens: of one reply; the suite's own number if not given.
        progress: called after each episode with (done, in all).
        resume: take the episodes of this very evaluation that logs in `log_dir` hold, and run
            the rest; those that ended in an error are run again.

    Returns:
        The episodes; errors among them are counted, never judged.

    Raises:
        UsageError: if the split is empty.
        SandboxError: if there is no working sandbox here.
        ModelError: if Inspect could not run the tasks at all.
        RunError: if the logs cannot be written there.
    """
    from foreword.evals.judging import named_judge
    from foreword.evals.logs import read_episodes
    from foreword.evals.tasks import suite_task

    if guard is not None:
        from foreword.defences.guarded import GuardedModel

        model = GuardedModel(model, guard)
    reader = named_judge(judge)
    longest = max_new_tokens or suite.max_new_tokens
    chosen = {kind: suite.select(kind, split, items) for kind in kinds or suite.kinds(split)}
    identity = {
        "fingerprint": model.fingerprint,
        "digest": suite.digest,
        "split": split,
        "judge": reader.name,
        "max_new_tokens": longest,
    }
    done, logs = _earlier(log_dir, identity) if resume else ({}, [])
    total = sum(map(len, chosen.values()))
    at = sum(task.id in done for tasks in chosen.values() for task in tasks)
    count = _counter(progress, at, total)
    rest = {kind: [t for t in tasks if t.id not in done] for kind, tasks in chosen.items()}
    todo = {kind: tasks for kind, tasks in rest.items() if tasks}
    if todo:
        tasks = [
            suite_task(suite, kind, each, judge=reader, max_new_tokens=longest, cleanup=count)
            for kind, each in todo.items()
        ]
        new = _run(tasks, model, suite, log_dir, identity)
        done |= {episode.task: episode for episode in read_episodes(new)}
        logs += new
    episodes = [done[task.id] for tasks in chosen.values() for task in tasks]
    return Outcome(model.fingerprint, reader.name, tuple(logs), tuple(episodes))


def _run(
    tasks: list[Task], model: Model, suite: Suite, log_dir: Path, identity: Mapping[str, Any]
) -> list[Path]:
    """Let Inspect run some tasks on a model; the logs they left, all of them finished."""
    import inspect_ai

    from foreword.evals.provider import inspect_model
    from foreword.evals.tasks import IN_FLIGHT
    from foreword.sandbox import available

    if suite.languages and (why := available()):
        raise SandboxError(why)
    make_folder(log_dir)
    logs = inspect_ai.eval(
        tasks,
        inspect_model(model),
        display="none",
        log_dir=str(log_dir),
        log_level="error",
        log_realtime=False,
        log_buffer=1,  # killed at any moment, no finished sample is lost
        log_model_api=False,
        score_display=False,
        ctl_server=False,
        max_tasks=len(tasks),
        max_samples=IN_FLIGHT,
        max_connections=IN_FLIGHT * len(tasks),
        metadata=dict(identity),
    )
    if len(logs) < len(tasks) or any(log.status == "cancelled" for log in logs):
        raise KeyboardInterrupt  # Inspect takes a Ctrl-C and returns what had begun
    for log in logs:
        if log.status != "success":
            why = log.error.message if log.error else log.status
            raise ModelError(f"{log.eval.task} did not finish: {why} (log: {_path(log)})")
    return [_path(log) for log in logs]


def _earlier(log_dir: Path, identity: Mapping[str, Any]) -> tuple[dict[str, Episode], list[Path]]:
    """Episodes without an error by task, and the logs they come from."""
    from foreword.evals.logs import find_logs, read_episodes

    logs = [
        _path(log)
        for log in find_logs(log_dir)
        if identity.items() <= (log.eval.metadata or {}).items()
    ]
    found = {episode.task: episode for episode in read_episodes(logs) if not episode.error}
    return found, logs


def _path(log: EvalLog) -> Path:
    return Path(log.location.removeprefix("file://"))


def _counter(
    progress: Progress | None, done: int, total: int
) -> Callable[[TaskState], Awaitable[None]]:
    if progress is not None and done:
        progress(done, total)

    async def count(state: TaskState) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    return count
