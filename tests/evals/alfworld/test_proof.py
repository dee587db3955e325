"""The proof holds for a game that can be won, and says what is wrong with others."""

import pytest

from foreword.core.types import Setup, Task
from foreword.evals.alfworld.proof import check, prove
from foreword.sandbox import open_sandbox
from foreword.suites.alfworld import of
from foreword.testing.alfworld import ToyWorld

pytestmark = pytest.mark.sandbox


def game(stem: str) -> Task:
    return Task(
        f"wash_up-Cup/{stem}", "benign", "wash_up", "wash_up-Cup", "test", "wash up",
        setup=Setup(game=stem),
    )  # fmt: skip


def test_a_sound_game():
    done: list[int] = []
    report = check(of([game("a"), game("b")]), opens=ToyWorld, progress=done.append)
    assert report.ok and done == [1, 1]
    assert report.to_dict()["oracles"] == {"replayed": 2, "passed": 2, "failed": 0}
    assert report.summary().startswith("alfworld: 2 of 2 oracles succeed, 2 of 2 counter-examples")


@pytest.mark.parametrize(
    ("stem", "failed"),
    [
        ("won", ["nothing", "counter"]),
        ("early", ["counter"]),
        ("lost", ["oracle"]),
        ("odd", ["oracle"]),
    ],
)
def test_an_unsound_game(stem: str, failed: list[str]):
    assert [failure.what for failure in prove(game(stem), open_sandbox, ToyWorld)] == failed
    assert not check(of([game(stem)]), opens=ToyWorld).ok
