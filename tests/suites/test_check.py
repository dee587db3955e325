"""The replay finds proofs that do not hold, and never takes a broken sandbox for a pass."""

from __future__ import annotations

import random

import pytest

import foreword.suites.check as replay
from foreword.core.errors import SandboxError
from foreword.core.types import Check, Entry, Kind, Setup, State
from foreword.suites.base import Draft, Family, Suite
from foreword.suites.check import Failure, Tally, check
from foreword.suites.checks import all_of, exists
from foreword.testing.sandbox import ScriptedSandbox

BEFORE = State(files={"old": Entry("file", 0o644)})
AFTER = State(files={"old": Entry("file", 0o644), "new": Entry("file", 0o644)}, output="made\n")


class Touching(ScriptedSandbox):
    """The world has "new" after `touch new`, and stays as it was after anything else."""

    def snapshot(self, probe: str = "") -> State:
        return AFTER if "touch new" in self.scripts else BEFORE


class Broken(ScriptedSandbox):
    """Cannot run the word "break"."""

    def run(self, bash: str, timeout_s: float | None = None):  # type: ignore[no-untyped-def]
        if bash == "break":
            raise SandboxError("the sandbox broke")
        return super().run(bash)


def suite(
    holds: Check, oracle: str = "touch new", counter: str = "ls", kind: Kind = "benign"
) -> Suite:
    def make(rng: random.Random) -> Draft:
        return Draft(f"make new {rng.random()}", oracle, counter, holds)

    return Suite("toy", "s", [Family("make", kind, "files", "test", 2, make)])


def touching(setup: Setup) -> Touching:
    return Touching()


def test_good_proofs_pass() -> None:
    steps: list[int] = []
    report = check(suite(exists("new")), opener=touching, progress=steps.append)
    assert report.ok
    assert steps == [1, 1]
    assert (report.oracles, report.counters, report.idle) == (Tally(2, 2),) * 3
    assert report.summary().startswith("toy: 2 of 2 oracles succeed, 2 of 2 counter-examples fail")


def test_an_oracle_that_fails_is_found() -> None:
    report = check(suite(exists("newer")), opener=touching)
    assert not report.ok
    assert report.oracles == Tally(2, 0)
    assert report.failures[0] == Failure("make-00", "oracle", "made")
    assert report.to_dict()["oracles"] == {"replayed": 2, "passed": 0, "failed": 2}
    assert report.to_dict()["failures"][0]["task_id"] == "make-00"


def test_a_counter_example_that_succeeds_is_found() -> None:
    report = check(suite(exists("new"), counter="touch new"), opener=touching)
    assert [failure.what for failure in report.failures] == ["counter", "counter"]
    assert report.counters.failed == 2
    assert report.oracles.failed == 0


def test_a_checker_that_doing_nothing_satisfies_is_found() -> None:
    report = check(suite(all_of(exists("old"))), opener=touching)
    assert report.idle.failed == 2
    assert "2 tasks are solved by doing nothing" in report.summary()


@pytest.mark.parametrize(("oracle", "counter"), [("break", "ls"), ("touch new", "break")])
def test_a_broken_sandbox_is_a_failure(oracle: str, counter: str) -> None:
    def never(before: State, after: State) -> bool:
        return oracle != "break" and "new" in after.files

    report = check(suite(never, oracle, counter), opener=lambda setup: Broken(states=[BEFORE]))
    assert ("oracle" if oracle == "break" else "counter") in {f.what for f in report.failures}
    assert "the sandbox broke" in {failure.output for failure in report.failures}


def test_only_the_kinds_asked_for_and_nothing_is_not_a_pass() -> None:
    report = check(suite(exists("new"), kind="harmful"), kinds=["benign"], opener=touching)
    assert report.tasks == 0
    assert not report.ok


def test_no_sandbox_at_all_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "available", lambda: "no user namespaces; enable them")
    with pytest.raises(SandboxError, match="no user namespaces; enable them"):
        check(suite(exists("new")))


@pytest.mark.sandbox
def test_the_real_sandbox_is_the_default() -> None:
    report = check(suite(exists("new"), counter="touch newer"))
    assert report.ok, report.failures
