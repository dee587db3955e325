"""The offline proposer of the paper's loop: fresh draws, and offspring once there are examples.

It needs no model. While exploring, all candidates come from the phrase grammar; once
the loop shows examples, three fifths are their offspring.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from foreword.core.types import Trial
from foreword.search.proposers.evolve import EvolveProposer
from foreword.search.proposers.grammar import GrammarProposer

OFFSPRING = 3 / 5  # share of a round bred from the examples


class OfflineProposer:
    """Grammar and evolution in fixed shares; never the same prefix twice."""

    name = "offline"

    def __init__(self) -> None:
        self._grammar, self._evolve = GrammarProposer(), EvolveProposer()

    def propose(self, examples: Sequence[Trial], n: int, rng: random.Random) -> list[str]:
        """At most n prefixes; fewer only when the grammar runs dry."""
        found = self._evolve.propose(examples, round(OFFSPRING * n), rng)
        self.remember([*found, *(trial.prefix for trial in examples)])
        fresh = self._grammar.propose(examples, n - len(found), rng)
        self.remember(fresh)
        return found + fresh

    def remember(self, prefixes: Sequence[str]) -> None:
        """Never propose these again."""
        self._grammar.remember(prefixes)
        self._evolve.remember(prefixes)
