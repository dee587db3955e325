"""When a search ends: budgets and patience, any of which is enough.

A Stop reads the trials so far and nothing else, so that a search read back from its log
stops where it stopped before. `Budget.parse` understands what people type: "5min",
"3700 openings", "2M tokens", and several of them with commas between.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from foreword.core.errors import UsageError
from foreword.core.types import Spent, Trial
from foreword.search.ranking import PAPERS, Goal, leading

Stop = Callable[[Sequence[Trial]], str | None]  # why the search ends here, or None

CHOICE = 1 / 3  # of seconds and of tokens: kept for the choice on the validation split
_UNITS = {
    "s": ("seconds", 1.0),
    "sec": ("seconds", 1.0),
    "seconds": ("seconds", 1.0),
    "min": ("seconds", 60.0),
    "h": ("seconds", 3600.0),
    "openings": ("openings", 1.0),
    "tokens": ("tokens", 1.0),
}
_SCALES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKMG]?)\s*([a-z]+)\s*")


@dataclass(frozen=True)
class Budget:
    """The most that a search may cost, the choice among the finalists included; None: no bound.

    Neither its first round nor the fewest finalists are given up for it.
    """

    seconds: float | None = None  # of wall clock
    openings: float | None = None
    tokens: float | None = None  # forwarded, or as a server counts

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a budget such as "5min" or "1000 openings, 2M tokens".

        Raises:
            UsageError: it is none.
        """
        found: dict[str, float] = {}
        for part in text.split(","):
            match = _AMOUNT.fullmatch(part)
            kind, size = _UNITS.get(match[3] if match else "", ("", 0.0))
            if not match or not kind or kind in found or not float(match[1]):
                raise UsageError(
                    f"{part.strip()!r} is no budget; write for example 5min, 300s, "
                    "1000 openings or 2M tokens"
                )
            found[kind] = float(match[1]) * _SCALES[match[2]] * size
        return cls(**found)

    def __call__(self, trials: Sequence[Trial], kept: int = 0) -> str | None:
        """A Stop: one more round as dear as the last would not leave enough for the choice.

        Args:
            trials: so far.
            kept: openings that the choice takes (`keeps`).

        Raises:
            UsageError: tokens are to be counted, and the server does not count them.
        """
        if not trials:
            return None
        last = trials[-1]
        if self.tokens and not last.spent.tokens:
            raise UsageError(
                "this server does not say how many tokens it reads and writes (`usage`), so a "
                "budget of tokens would never end; give one of openings or of time"
            )
        before = next((t for t in reversed(trials) if t.round < last.round), None)
        start = before.spent if before else Spent()
        rest_s, rest_tokens = (CHOICE * (bound or 0) for bound in (self.seconds, self.tokens))
        for spent, begun, bound, rest, unit in (
            (last.seconds, before.seconds if before else 0.0, self.seconds, rest_s, "s"),
            (last.spent.openings, start.openings, self.openings, kept, "openings"),
            (last.spent.tokens, start.tokens, self.tokens, rest_tokens, "tokens"),
        ):
            if bound is not None and 2 * spent - begun > bound - rest:
                return f"the budget of {bound:.0f} {unit} leaves no room for another round"
        return None

    def keeps(self, counts: Sequence[int], cost: Callable[[int], int]) -> int:
        """Openings kept for the choice: of as many finalists as half of the budget pays.

        Arguments as of `affords`.
        """
        half = math.inf if self.openings is None else self.openings / 2
        return max(
            (cost(count) for count in counts if cost(count) <= half), default=cost(counts[0])
        )

    def affords(self, last: Trial, counts: Sequence[int], cost: Callable[[int], int]) -> int:
        """How many finalists can be measured after the last trial.

        Args:
            last: the last trial.
            counts: that are possible, ascending; the least is taken whatever it costs.
            cost: openings that so many take at most.
        """
        able = counts[0]
        for count in counts:
            if self.openings is None or last.spent.openings + cost(count) <= self.openings:
                able = count
        spent = (last.seconds, self.seconds), (last.spent.tokens, self.tokens)
        late = any(bound and used > bound * (1 - CHOICE) for used, bound in spent)
        return counts[0] if late else able


@dataclass(frozen=True)
class Patience:
    """Enough when neither the best nor the best within the goal's bound changed for some rounds."""

    rounds: int
    goal: Goal = PAPERS

    def __call__(self, trials: Sequence[Trial]) -> str | None:
        """A Stop."""
        lead = leading(trials, self.goal)
        if not lead or trials[-1].round - max(each.round for each in lead) < self.rounds:
            return None
        return f"no better prefix in {self.rounds} rounds"
