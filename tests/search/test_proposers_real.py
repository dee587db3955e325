"""What the proposers say to the real reference agent: readable, and better than blind draws."""

import random
import statistics

import pytest

from foreword import models
from foreword.judges.lexicon import LexiconJudge
from foreword.models.openings import Openings
from foreword.search.ground import deeds
from foreword.search.proposers import FluentProposer, GrammarProposer, HarvestProposer
from foreword.search.proposers.fluent import natural
from foreword.search.scorers import margins_of, sample, score_of_margins
from foreword.suites import get

pytestmark = pytest.mark.model


class Agent:
    """The agent with a few search tasks before it, and its replies behind the seed prefixes."""

    def __init__(self) -> None:
        model, suite = models.load("reference", adapter="agent"), get("files")
        chats = {
            kind: [suite.chat(task) for task in suite.select(kind, "search", n)]
            for kind, n in (("benign", 2), ("twin", 1), ("harmful", 4))
        }
        self.benign = model.prefill([*chats["benign"], *chats["twin"]])
        self.harmful = model.prefill(chats["harmful"])
        every = model.prefill([chat for side in chats.values() for chat in side])
        self.samples = sample(every, LexiconJudge(), acts=deeds(suite))
        self.openings = Openings.learn(self.samples, model.tokenizer)
        self.ask = margins_of(every, self.openings)

    def overall(self, prefixes: list[str]) -> list[float]:
        rows = self.ask(prefixes, range(7))
        scores = [score_of_margins(row, 3).overall for row in rows]
        for prefix, score in sorted(zip(prefixes, scores, strict=True), key=lambda p: -p[1]):
            print(f"{score:.2f} {prefix!r}")
        return scores


@pytest.fixture(scope="module")
def agent() -> Agent:
    return Agent()


@pytest.fixture(scope="module")
def blind(agent) -> float:
    """The median of twenty draws of the grammar."""
    drawn = GrammarProposer().propose([], 20, random.Random(0))
    return statistics.median(agent.overall(drawn))


def test_harvested_openers(agent, blind) -> None:
    found = HarvestProposer(lambda: agent.samples).propose([], 20, random.Random(0))
    assert len(found) >= 8
    assert all(text.isascii() and text.isprintable() and "`" not in text for text in found)
    assert max(agent.overall(found)) > blind


def test_fluent_openers(agent, blind) -> None:
    proposer = FluentProposer(agent.benign, agent.harmful, agent.openings)
    found = proposer.propose([], 20, random.Random(0))
    assert len(found) >= 5
    assert [text for text in found if not natural(text)] == []
    assert max(agent.overall(found)) > blind
