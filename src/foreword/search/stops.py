"""When a search ends: budgets and patience, any of which is enough.

A Stop reads the trials so far and nothing else, so that a search read back from its log
stops where it stopped before. `Budget.parse` understands what people type: "5min",
"3700 openings", "2M tokens", and several of them with commas between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from foreword.core.errors import UsageError
from foreword.core.types import Trial
from foreword.search.ranking import leader

Stop = Callable[[Sequence[Trial]], str | None]  # why the search ends here, or None

SEARCH = 2 / 3  # of the seconds; the rest is for the choice on the validation split
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
    """The most that a search may cost; None for no bound."""

    seconds: float | None = None  # of wall clock, the choice among the finalists included
    openings: float | None = None
    tokens: float | None = None

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

    def __call__(self, trials: Sequence[Trial]) -> str | None:
        """A Stop."""
        if not trials:
            return None
        last = trials[-1]
        for spent, bound, unit in (
            (last.seconds, self.seconds and self.seconds * SEARCH, "s of the search"),
            (last.spent.openings, self.openings, "openings"),
            (last.spent.tokens, self.tokens, "tokens"),
        ):
            if bound is not None and spent >= bound:
                return f"the budget of {bound:.0f} {unit} is spent"
        return None


@dataclass(frozen=True)
class Patience:
    """Enough when the best has stayed the best for some rounds."""

    rounds: int

    def __call__(self, trials: Sequence[Trial]) -> str | None:
        """A Stop."""
        best = leader(trials)
        if best is None or trials[-1].round - best.round < self.rounds:
            return None
        return f"no better prefix in {self.rounds} rounds"
