"""`evaluate`: a model through a suite, in memory, with Inspect doing the work.

The thin face that `foreword eval` and the quickstart use: all kinds of tasks
run in one call, so that the engine's batches stay full; the logs are ordinary
`.eval` files.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from foreword.core.errors import ForewordError, ModelError, SandboxError
from foreword.core.protocols import Judge, Model
from foreword.core.types import KINDS, Kind, Split
from foreword.evals.figures import Episode, Figures, figures
from foreword.suites.base import Suite

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog
    from inspect_ai.solver import TaskState

    from foreword.defences.guard import Guard

Progress = Callable[[int, int], None]  # episodes done, episodes in all


@dataclass(frozen=True)
class Outcome:
    """What an evaluation found, and where its logs lie."""

    fingerprint: str
    logs: Mapping[Kind, Path]
    episodes: tuple[Episode, ...]

    def figures(self, *, strict: bool = True) -> Figures:
        """SR, ASR, RR, ORR of the kinds that were run; see evals.figures."""
        return figures(self.episodes, strict=strict)


def evaluate(
    model: Model,
    suite: Suite,
    *,
    log_dir: Path,
    kinds: Sequence[Kind] = KINDS,
    split: Split = "test",
    items: int | None = None,
    guard: Guard | None = None,
    judge: Judge | str = "lexicon",
    max_new_tokens: int | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Run a suite on a model that is already loaded.

    Args:
        model: the target; a defence (GuardedModel) is one as well.
        suite: where the tasks come from.
        log_dir: the `.eval` logs are written here, one a kind.
        kinds: which kinds of tasks to run, all at once.
        split: which split; "test" is for reports alone.
        items: at most this many tasks of each kind, evenly over the families.
        guard: put before the model; the same as wrapping it with GuardedModel.
        judge: reads the replies.
        max_new_tokens: of one reply; the suite's own number if not given.
        progress: called after each episode with (done, in all).

    Returns:
        The episodes; errors among them are counted, never judged.

    Raises:
        UsageError: if the split is empty.
        SandboxError: if there is no working sandbox here.
        ModelError: if Inspect could not run the tasks at all.
    """
    import inspect_ai

    from foreword.evals.provider import inspect_model
    from foreword.evals.tasks import IN_FLIGHT, suite_task
    from foreword.sandbox import available

    if suite.languages and (why := available()):
        raise SandboxError(why)
    if guard is not None:
        from foreword.defences.guarded import GuardedModel

        model = GuardedModel(model, guard)
    total = sum(len(suite.select(kind, split, items)) for kind in kinds)
    count = _counter(progress, total)
    tasks = [
        suite_task(
            suite, kind, split, items, judge=judge, max_new_tokens=max_new_tokens, cleanup=count
        )
        for kind in kinds
    ]
    log_dir.mkdir(parents=True, exist_ok=True)
    logs = inspect_ai.eval(
        tasks,
        inspect_model(model),
        display="none",
        log_dir=str(log_dir),
        log_level="error",
        log_realtime=False,
        log_model_api=False,
        score_display=False,
        ctl_server=False,
        max_tasks=len(tasks),
        max_samples=IN_FLIGHT,
        max_connections=IN_FLIGHT * len(tasks),
        metadata={"fingerprint": model.fingerprint, "items": items},
    )
    if len(logs) < len(tasks):  # Inspect takes a Ctrl-C and returns what had begun
        raise KeyboardInterrupt
    return _outcome(model.fingerprint, dict(zip(kinds, logs, strict=True)))


def read_outcome(log_dir: Path, suite: Suite, kinds: Sequence[Kind] = KINDS) -> Outcome | None:
    """An earlier evaluation's outcome, or None unless every kind finished on this very suite."""
    from foreword.evals.logs import find_logs
    from foreword.evals.tasks import TASK_NAMES

    found = find_logs(log_dir)
    logs: dict[Kind, EvalLog] = {}
    for kind in kinds:
        log = found.get(f"{suite.name}_{TASK_NAMES[kind]}")
        if log is None or (log.eval.metadata or {}).get("digest") != suite.digest:
            return None
        logs[kind] = log
    prints = {str((log.eval.metadata or {}).get("fingerprint")) for log in logs.values()}
    return _outcome(prints.pop(), logs) if len(prints) == 1 else None


def _outcome(fingerprint: str, logs: Mapping[Kind, EvalLog]) -> Outcome:
    from foreword.evals.logs import read_episodes

    for kind, log in logs.items():
        if log.status == "cancelled":  # Inspect takes the Ctrl-C and returns
            raise KeyboardInterrupt
        if log.status != "success":
            raise _failure(kind, log)
    paths = {kind: _path(log) for kind, log in logs.items()}
    return Outcome(fingerprint, paths, tuple(read_episodes(paths.values())))


def _failure(kind: Kind, log: EvalLog) -> ForewordError:
    why = log.error.message if log.error else log.status
    return ModelError(f"the {kind} tasks did not finish: {why} (log: {_path(log)})")


def _path(log: EvalLog) -> Path:
    return Path(log.location.removeprefix("file://"))


def _counter(progress: Progress | None, total: int) -> Callable[[TaskState], Awaitable[None]]:
    done = 0

    async def count(state: TaskState) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    return count
