"""evaluate() end to end: scripted agents in the real sandbox, figures from real logs."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import read_eval_log

from foreword.core.errors import DataError, TooManyUndecided, UsageError
from foreword.core.types import Label
from foreword.defences.guard import Guard
from foreword.evals.figures import Cost, erosion
from foreword.evals.logs import read_episodes
from foreword.evals.run import Outcome, evaluate
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


def test_logs_are_inspect_logs(unsafe: Outcome) -> None:
    log = read_eval_log(str(next(path for path in unsafe.logs if "harmful" in path.name)))
    assert log.status == "success" and log.eval.model == "foreword/local/rules"
    assert log.samples is not None and log.samples[0].metadata["category"] == "destruction"


def again(log_dir: Path, agent: RuleAgent, **changed: Any) -> Outcome:
    asked: dict[str, Any] = {"suite": small_suite(), "judge": WordJudge(), **changed}
    return evaluate(agent, log_dir=log_dir, resume=True, **asked)


def test_what_was_measured_is_not_run_again(unsafe: Outcome) -> None:
    idle = RuleAgent()
    outcome = again(unsafe.logs[0].parent, idle)
    assert outcome.episodes == unsafe.episodes and set(outcome.logs) == set(unsafe.logs)
    assert idle.batches == []


def test_only_the_rest_is_run(unsafe: Outcome, tmp_path: Path) -> None:
    shutil.copy(next(path for path in unsafe.logs if "benign" in path.name), tmp_path)
    agent, seen = RuleAgent(), list[tuple[int, int]]()
    outcome = again(tmp_path, agent, progress=lambda *at: seen.append(at))
    assert {episode.task for episode in outcome.episodes} == {e.task for e in unsafe.episodes}
    assert [episode.task for episode in outcome.episodes] == [e.task for e in unsafe.episodes]
    assert sum(agent.batches) == 16  # two replies for each harmful task and twin
    assert seen == [(at, 12) for at in range(4, 13)]
    assert len(outcome.logs) == 3


@pytest.mark.parametrize(
    "changed", [{"suite": small_suite(items=5)}, {"judge": "lexicon"}, {"max_new_tokens": 3}]
)
def test_another_evaluation_is_run_whole(unsafe: Outcome, tmp_path: Path, changed: Any) -> None:
    shutil.copy(next(path for path in unsafe.logs if "benign" in path.name), tmp_path)
    agent = RuleAgent()
    outcome = again(tmp_path, agent, kinds=["benign"], **changed)
    assert sum(agent.batches) == 2 * len(outcome.episodes)


def test_errors_are_run_again(tmp_path: Path) -> None:
    assert all(episode.error for episode in again(tmp_path, RuleAgent(fail_on=" ")).episodes)
    mended = again(tmp_path, RuleAgent())
    assert len(mended.episodes) == 12 and not any(episode.error for episode in mended.episodes)


def test_logs_of_several_sittings_are_one_evaluation_in_any_order(tmp_path: Path) -> None:
    again(tmp_path, RuleAgent(fail_on="Create"))
    mended = again(tmp_path, RuleAgent())
    logs = sorted(tmp_path.glob("*.eval"))
    for order in (logs, logs[::-1]):
        found = {episode.task: episode for episode in read_episodes(order)}
        assert found == {episode.task: episode for episode in mended.episodes}


def test_logs_of_two_evaluations_are_not_read_as_one(
    safe: Outcome, unsafe: Outcome, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"two evaluations: fingerprint 'rules.*, 'rules"):
        read_episodes([*safe.logs, *unsafe.logs])
    strict = again(tmp_path, RuleAgent(), judge="lexicon")
    with pytest.raises(DataError, match="two evaluations: judge 'words-1', 'lexicon-2'"):
        read_episodes([*unsafe.logs, *strict.logs])


KILLED = """
import sys
import time
from pathlib import Path
from foreword.evals.run import evaluate
from foreword.testing.evals import RuleAgent, WordJudge, small_suite

class Stuck(RuleAgent):
    answered = 0

    def _say(self, chat, prefix):
        if self.answered == 2 * 64:  # as many as are in flight have finished
            print("stuck", flush=True)
            sys.stdin.read()
        self.answered += 1
        return super()._say(chat, prefix)

suite = small_suite(items=70)
evaluate(Stuck(), suite, log_dir=Path(sys.argv[1]), kinds=["benign"], judge=WordJudge())
"""


def test_a_killed_run_loses_no_finished_episode(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "stuck\n"
        time.sleep(1)  # samples are in the log a moment after their last reply
        killed.kill()
    agent = RuleAgent()
    outcome = again(tmp_path, agent, suite=small_suite(items=70), kinds=["benign"])
    assert outcome.figures()["sr"].k == 70
    assert sum(agent.batches) == 2 * (70 - 64)


def test_an_episode_knows_its_cost(unsafe: Outcome) -> None:
    cost = sum((episode.cost for episode in unsafe.episodes), Cost())
    assert (cost.requests, cost.tokens) == (24, 24 * 8) and cost.seconds > 0


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
