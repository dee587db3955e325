"""Doubles for the search: a scripted proposer, and a scorer that needs no model.

`ToyScorer` gives every prefix a score that depends on its text and a salt alone, so
a killed and resumed search can be compared with one that ran through.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from foreword.core.runs import Run
from foreword.core.types import Score, Trial
from foreword.search.loop import Result, search
from foreword.search.proposers import GrammarProposer


class ToyScorer:
    """Scores by a table where it has the prefix, else by a hash of the text."""

    def __init__(
        self,
        table: Mapping[str, Score] | None = None,
        *,
        salt: str = "search",
        tasks: int = 10,
        before: Callable[[str], None] | None = None,
    ) -> None:
        """Keep the table; `before` is called with each prefix, to interrupt or to slow down."""
        self._table, self._salt, self._tasks, self._before = table or {}, salt, tasks, before
        self.asked: list[str] = []  # every prefix that was scored, in order

    def score(self, prefixes: Sequence[str]) -> list[Score]:
        """One score a prefix, in order."""
        return [self._score(prefix) for prefix in prefixes]

    def _score(self, prefix: str) -> Score:
        if self._before:
            self._before(prefix)
        self.asked.append(prefix)
        if prefix in self._table:
            return self._table[prefix]
        digest = hashlib.sha256(f"{self._salt}/{prefix}".encode()).digest()
        perf, refusal = (byte % (self._tasks + 1) / self._tasks for byte in digest[:2])
        return Score(perf, refusal, self._tasks, self._tasks, 0, "opening")


class ScriptedProposer:
    """Says one prepared list a round and keeps the examples it was shown."""

    name = "scripted"

    def __init__(self, rounds: Iterable[Sequence[str]]) -> None:
        self._rounds = iter(rounds)
        self.shown: list[list[Trial]] = []

    def propose(self, examples: Sequence[Trial], n: int, rng: random.Random) -> list[str]:
        """The next list, whole; then nothing."""
        del n, rng
        self.shown.append(list(examples))
        return list(next(self._rounds, ()))


class MoodyProposer(GrammarProposer):
    """Never answers twice alike, as a vendor's model does."""

    def propose(self, examples: Sequence[Trial], n: int, rng: random.Random) -> list[str]:
        """At most n prefixes, whatever the seed."""
        return super().propose(examples, n, random.Random(f"{rng.random()} {time.time_ns()}"))


def toy_search(
    run: Run | None,
    *,
    rounds: int = 4,
    moody: bool = False,
    before: Callable[[str], None] | None = None,
) -> Result:
    """A search of five trials a round, with validation; `before` is as for `ToyScorer`."""
    scorers = [ToyScorer(salt=salt, before=before) for salt in ("search", "validation")]
    proposer = MoodyProposer() if moody else GrammarProposer()
    return search(scorers[0], [proposer], rounds=rounds, seed=7, run=run, finalists=scorers[1])
