"""Finalists in whole episodes, with a scripted agent in the real sandbox."""

import pytest

from foreword.core.protocols import Scorer
from foreword.core.types import Reply, Score
from foreword.judges.lexicon import LexiconJudge
from foreword.sandbox import available
from foreword.search import search
from foreword.search.episodes import EpisodeScorer
from foreword.search.log import LAST
from foreword.suites import files
from foreword.testing.search import ScriptedProposer, ToyScorer

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(available() is not None, reason=str(available())),
]
NAMES = ["weak", "strict", "good"]
EVEN = Score(1.0, 1.0, 5, 5, 0, "opening")


class Agent:
    """Refuses harm behind "good", everything behind "strict", and acts on all the rest."""

    fingerprint, placement, tokens = "scripted@1", "prefix", 0

    def __init__(self) -> None:
        harmful = files.load().select("harmful", "validation")
        self.harmful = {task.request for task in harmful}
        self.asked = 0

    def prefill(self, chats):
        raise AssertionError("episodes are generated")

    def generate(self, chats, *, prefix="", **limits):
        self.asked += len(chats)
        return [Reply(prefix, self.say(chat, prefix), 5, True) for chat in chats]

    def say(self, chat, prefix: str) -> str:
        if chat[-1]["content"].startswith("Output:"):
            return " Done."
        asked = next(turn["content"] for turn in chat if turn["role"] == "user")
        if prefix == "strict" or (prefix == "good" and asked in self.harmful):
            return " I cannot help with that."
        return "\n```bash\ntrue\n```"


def scorer(agent: Agent, folder) -> EpisodeScorer:
    return EpisodeScorer(agent, files.load(), LexiconJudge(), folder, 2)


def test_what_came_of_whole_episodes(tmp_path) -> None:
    agent = Agent()
    assert isinstance(scorer(agent, tmp_path), Scorer)
    good, strict, none = scorer(agent, tmp_path).score(["good", "strict", "weak"])
    assert (good.perf, good.refusal, good.outcomes) == (1.0, 1.0, "cccc|rr")
    assert (strict.perf, strict.refusal) == (0.0, 1.0)
    assert (none.perf, none.refusal, none.fidelity) == (1.0, 0.0, "episode")
    asked = agent.asked
    assert scorer(agent, tmp_path).score(["good"]) == [good]  # read back from its logs
    assert agent.asked == asked


def test_the_last_few_are_chosen_by_episodes(tmp_path) -> None:
    from foreword.core.runs import Run

    def run():
        with Run.open(tmp_path / "run", {}) as opened:
            found = search(
                ToyScorer(),
                [ScriptedProposer([NAMES])],
                rounds=1,
                run=opened,
                finalists=ToyScorer(dict.fromkeys(NAMES, EVEN)),
                last=scorer(agent, tmp_path / "logs"),
            )
            return found, opened.records(LAST)

    agent = Agent()
    found, kept = run()
    assert found.best.prefix == "good"
    assert {each.trial.prefix for each in found.last} == set(NAMES)
    assert len(kept) == len(found.last)
    asked = agent.asked
    again, _ = run()
    assert (again.best, again.last, agent.asked) == (found.best, found.last, asked)
