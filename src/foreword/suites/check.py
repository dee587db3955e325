"""Replays the proofs of a suite: oracles must succeed, counter-examples and idleness must fail.

Every task gets a fresh sandbox for its oracle and another for its counter-
example. A sandbox that cannot be set up for a task, or breaks in it, is a
failure of that proof, never a pass; a task whose world needs what this machine
lacks is named and counted apart. Not covered: that a checker accepts
every other correct way; that takes tests of its own.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from foreword.core.errors import SandboxError, SandboxLacks, UsageError
from foreword.core.types import KINDS, Kind, Setup, State, Task
from foreword.sandbox import Sandbox, available, open_sandbox
from foreword.suites.base import Suite

EXCERPT = 200  # characters of output kept with a failure

Opener = Callable[[Setup], Sandbox]


@dataclasses.dataclass(frozen=True)
class Failure:
    """A proof that did not hold."""

    task_id: str
    what: str  # "oracle", "counter", "nothing", or "lacks": it cannot run here
    output: str  # the end of what was printed, or the sandbox's error


@dataclasses.dataclass(frozen=True)
class Tally:
    """How many proofs of one sort were replayed and held."""

    replayed: int
    passed: int

    @property
    def failed(self) -> int:
        """Those that did not hold."""
        return self.replayed - self.passed

    def to_dict(self) -> dict[str, int]:
        """For --json."""
        return {"replayed": self.replayed, "passed": self.passed, "failed": self.failed}


@dataclasses.dataclass(frozen=True)
class Row:
    """One family's proofs."""

    oracles: int  # that were run
    succeeded: int
    refusals: int  # counter-examples and idleness that were taken for success
    cannot: Mapping[str, int]  # tasks that cannot run here, by reason

    def to_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "oracles_run": self.oracles,
            "succeeded": self.succeeded,
            "refusals_as_success": self.refusals,
            "cannot_run": dict(self.cannot),
        }


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """What a replay found. `idle` is doing nothing, which must not solve a task."""

    suite: str
    digest: str
    tasks: int
    oracles: Tally
    counters: Tally
    idle: Tally
    families: Mapping[str, Row]
    failures: tuple[Failure, ...]
    seconds: float
    proven: float = 1.0  # the share of oracles that must succeed
    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)  # as the suite says

    @property
    def ok(self) -> bool:
        """Enough oracles succeeded, of at least one, and nothing else was taken for success."""
        enough = self.oracles.passed >= self.proven * self.oracles.replayed > 0
        return enough and not self.counters.failed and not self.idle.failed

    def to_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "suite": self.suite,
            "digest": self.digest,
            "tasks": self.tasks,
            "ok": self.ok,
            "oracles": self.oracles.to_dict(),
            "counters": self.counters.to_dict(),
            "idle": self.idle.to_dict(),
            "families": {name: row.to_dict() for name, row in self.families.items()},
            "failures": [dataclasses.asdict(failure) for failure in self.failures],
            "left_out": dict(self.left_out),
            "seconds": round(self.seconds, 1),
        }

    def summary(self) -> str:
        """One line for people."""
        lacking = self.tasks - self.oracles.replayed
        return (
            f"{self.suite}: {self.oracles.passed} of {self.oracles.replayed} oracles succeed, "
            f"{self.counters.passed} of {self.counters.replayed} counter-examples fail, "
            f"{self.idle.failed} tasks are solved by doing nothing"
            + (f", {lacking} tasks cannot run here" if lacking else "")
            + (f", {len(self.left_out)} are left out" if self.left_out else "")
            + f" ({self.seconds:.0f} s)"
        )


def check(
    suite: Suite,
    *,
    kinds: Sequence[Kind] = KINDS,
    jobs: int = 2,
    progress: Callable[[int], None] | None = None,
    opener: Opener | None = None,
) -> CheckReport:
    """Replay every oracle and counter-example of a suite.

    Args:
        suite: What to prove.
        kinds: The kinds of tasks to replay.
        jobs: Tasks at the same time.
        progress: Called with 1 after each task.
        opener: Gives a sandbox that is set up; the real one if not given.

    Raises:
        SandboxError: if there is no working sandbox here at all.
    """
    if opener is None:
        reason = available()
        if reason is not None:
            raise SandboxError(reason)
        opener = open_sandbox
    started = time.monotonic()
    tasks = [task for task in suite.tasks if task.kind in kinds and task.check]
    failures: list[Failure] = []
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        for found in pool.map(lambda task: prove(task, opener), tasks):
            failures.extend(found)
            if progress is not None:
                progress(1)

    return report(suite, tasks, failures, time.monotonic() - started)


def report(
    suite: Suite, tasks: Sequence[Task], failures: Sequence[Failure], seconds: float
) -> CheckReport:
    """What was found over these tasks of a suite."""
    lacking = sum(failure.what == "lacks" for failure in failures)

    def tally(what: str) -> Tally:
        failed = sum(failure.what == what for failure in failures)
        return Tally(len(tasks) - lacking, len(tasks) - lacking - failed)

    return CheckReport(
        suite=suite.name,
        digest=suite.digest,
        tasks=len(tasks),
        oracles=tally("oracle"),
        counters=tally("counter"),
        idle=tally("nothing"),
        families=_rows(tasks, failures),
        failures=tuple(failures),
        seconds=seconds,
        proven=suite.proven,
        left_out=suite.left_out,
    )


def _rows(tasks: Sequence[Task], failures: Sequence[Failure]) -> dict[str, Row]:
    family = {task.id: task.family for task in tasks}
    found = Counter((family[failure.task_id], failure.what) for failure in failures)
    cannot: dict[str, Counter[str]] = {}
    for failure in failures:
        if failure.what == "lacks":
            cannot.setdefault(family[failure.task_id], Counter())[failure.output] += 1
    rows = {}
    for name, count in Counter(family.values()).items():
        run = count - found[name, "lacks"]
        refusals = found[name, "counter"] + found[name, "nothing"]
        rows[name] = Row(run, run - found[name, "oracle"], refusals, cannot.get(name, {}))
    return rows


def prove(task: Task, opener: Opener) -> list[Failure]:
    """The proofs of one task that do not hold; none if all is well.

    Raises:
        UsageError: the task has no checker, so there is nothing to prove.
    """
    failures = []
    if task.check is None:
        raise UsageError(f"task {task.id!r} has no checker")
    try:
        before, after = _replay(task, task.oracle, opener)
        if not task.check(before, after):
            failures.append(Failure(task.id, "oracle", _excerpt(after)))
        idle = _replay(task, "", opener) if task.probe else (before, before)
        if task.check(*idle):
            failures.append(Failure(task.id, "nothing", "the checker holds before any action"))
    except SandboxLacks as error:
        return [Failure(task.id, "lacks", str(error))]
    except SandboxError as error:
        failures.append(Failure(task.id, "oracle", str(error)))
    try:
        before, after = _replay(task, task.counter, opener)
        if task.check(before, after):
            failures.append(Failure(task.id, "counter", _excerpt(after)))
    except SandboxError as error:
        failures.append(Failure(task.id, "counter", str(error)))
    return failures


def _replay(task: Task, bash: str, opener: Opener) -> tuple[State, State]:
    with opener(task.setup) as box:
        before = box.snapshot()
        box.run(bash)
        return before, box.snapshot(task.probe)


def _excerpt(state: State) -> str:
    return (state.output + state.probe)[-EXCERPT:].strip() or "(no output)"
