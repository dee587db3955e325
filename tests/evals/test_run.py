"""evaluate() end to end: scripted agents in the real sandbox, figures from real logs."""

import shutil
from pathlib import Path

import pytest
from inspect_ai.log import read_eval_log

from foreword.core.errors import TooManyUndecided, UsageError
from foreword.core.types import Label
from foreword.defences.guard import Guard
from foreword.evals.figures import erosion
from foreword.evals.run import Outcome, evaluate, read_outcome
from foreword.testing.evals import RuleAgent, WordJudge, small_suite

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def unsafe(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return evaluate(
        RuleAgent(), small_suite(), log_dir=tmp_path_factory.mktemp("unsafe"), judge=WordJudge()
    )


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return evaluate(
        RuleAgent(safe=True),
        small_suite(),
        log_dir=tmp_path_factory.mktemp("safe"),
        judge=WordJudge(),
    )


def test_an_unsafe_agent(unsafe: Outcome) -> None:
    found = unsafe.figures()
    assert {name: (rate.k, rate.n) for name, rate in found.rates.items()} == {
        "sr": (4, 4),
        "asr": (4, 4),
        "rr": (0, 4),
        "orr_benign": (0, 4),
        "orr_twins": (0, 4),
    }
    episode = unsafe.episodes[0]
    roles = [message["role"] for message in episode.messages]
    assert roles == ["system", "user", "assistant", "user", "assistant"]
    assert episode.messages[3]["content"] == "Output:\nok"


def test_a_safe_agent_and_the_difference(safe: Outcome, unsafe: Outcome) -> None:
    found = safe.figures()
    assert (found["rr"].k, found["asr"].k, found["sr"].k) == (4, 0, 4)
    change = erosion(safe.episodes, unsafe.episodes)
    assert (change["rr"].value, change["asr"].value, change["sr"].value) == (-1.0, 1.0, 0.0)


def test_a_guard_repairs_the_unsafe_agent(tmp_path: Path) -> None:
    guard = Guard(prefix="I care, so I", target="rules")
    outcome = evaluate(RuleAgent(), small_suite(), log_dir=tmp_path, guard=guard, judge=WordJudge())
    found = outcome.figures()
    assert (found["rr"].k, found["asr"].k, found["sr"].k, found["orr_twins"].k) == (4, 0, 4, 0)
    assert {episode.prefix for episode in outcome.episodes} == {"I care, so I"}
    assert outcome.fingerprint.startswith("rules|guard:")


def test_logs_are_inspect_logs_and_can_be_resumed(unsafe: Outcome) -> None:
    log = read_eval_log(str(unsafe.logs["harmful"]))
    assert log.status == "success" and log.eval.model == "foreword/local/rules"
    assert log.samples is not None and log.samples[0].metadata["category"] == "destruction"
    log_dir = unsafe.logs["harmful"].parent
    again = read_outcome(log_dir, small_suite())
    assert again == unsafe
    assert read_outcome(log_dir, small_suite(items=5)) is None


def test_a_missing_log_is_not_an_outcome(unsafe: Outcome, tmp_path: Path) -> None:
    shutil.copy(unsafe.logs["benign"], tmp_path)
    assert read_outcome(tmp_path, small_suite()) is None
    assert read_outcome(tmp_path / "none", small_suite()) is None
    part = read_outcome(tmp_path, small_suite(), ["benign"])
    assert part is not None and len(part.episodes) == 4


def test_progress_and_even_choice(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    outcome = evaluate(
        RuleAgent(),
        small_suite(),
        log_dir=tmp_path,
        kinds=["benign", "twin"],
        items=2,
        judge=WordJudge(),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert outcome.figures().rates.keys() == {"sr", "orr_benign", "orr_twins"}


def test_a_broken_engine_is_an_error_never_a_verdict(tmp_path: Path) -> None:
    outcome = evaluate(
        RuleAgent(fail_on="Destroy"),
        small_suite(),
        log_dir=tmp_path,
        kinds=["harmful"],
        judge=WordJudge(),
    )
    assert all(episode.verdict is None for episode in outcome.episodes)
    assert "the engine broke" in outcome.episodes[0].error
    with pytest.raises(TooManyUndecided, match="the engine broke"):
        outcome.figures()


def test_an_undecided_episode_is_judged_by_its_world(tmp_path: Path) -> None:
    class Mute(RuleAgent):
        def _say(self, chat: object, prefix: str) -> str:
            return "Hm."

    outcome = evaluate(Mute(), small_suite(), log_dir=tmp_path, kinds=["benign"], judge=WordJudge())
    found = outcome.figures(strict=False)
    assert (found["sr"].k, found["sr"].n, found["orr_benign"].n) == (0, 4, 0)
    assert outcome.episodes[0].verdict is Label.UNDECIDED


def test_an_empty_split_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'train' split"):
        evaluate(RuleAgent(), small_suite(), log_dir=tmp_path, split="train", judge=WordJudge())


def test_ctrl_c_that_inspect_takes_for_itself_is_still_one(monkeypatch, tmp_path):
    """It returns the logs of the tasks that had begun, perhaps none."""
    monkeypatch.setattr("inspect_ai.eval", lambda *_, **__: [])
    with pytest.raises(KeyboardInterrupt):
        evaluate(RuleAgent(), small_suite(), log_dir=tmp_path)
