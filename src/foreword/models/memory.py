"""Texts the model has read lately, so that the next turn reads only what is new.

An agent's next prompt begins with all that was said before, and all prompts of
a suite begin with its system prompt. The keys and values of finished rows stay
here, oldest dropped first; a new prompt starts from the longest beginning it
shares with any of them. Exact up to rounding: a token's states depend on the
tokens before it and on nothing else.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

import torch

Ids = tuple[int, ...]


class Memory:
    """Token sequences and their states, (layers, 2, key heads, tokens, head size)."""

    def __init__(self, budget_mb: int) -> None:
        self.budget = budget_mb * 2**20
        self._states: dict[Ids, torch.Tensor] = {}  # oldest first
        self._sorted: list[Ids] = []
        self._bytes = 0

    def recall(self, ids: Sequence[int]) -> torch.Tensor | None:
        """The states of the longest known beginning of `ids`, short of its last token.

        The last token is left out because its hidden state is still needed.
        """
        wanted = tuple(ids[:-1])
        place = bisect_left(self._sorted, wanted)
        # In sorted order the longest shared beginning is that of a neighbour.
        near = self._sorted[max(0, place - 1) : place + 1]
        best = max(near, key=lambda known: shared(known, wanted), default=())
        length = shared(best, wanted)
        return self._states[best][..., :length, :] if length else None

    def keep(self, ids: Sequence[int], states: torch.Tensor) -> None:
        """Remember a text; texts it continues are forgotten, as it says the same."""
        key = tuple(ids)
        place = bisect_left(self._sorted, key)
        if place < len(self._sorted) and self._sorted[place][: len(key)] == key:
            return  # known, or continued by a known one
        while place and self._sorted[place - 1] == key[: len(self._sorted[place - 1])]:
            place -= 1
            self._drop(self._sorted[place])
        insort(self._sorted, key)
        self._states[key] = states
        self._bytes += states.nbytes
        while self._bytes > self.budget:
            self._drop(next(iter(self._states)))

    def _drop(self, key: Ids) -> None:
        self._bytes -= self._states.pop(key).nbytes
        del self._sorted[bisect_left(self._sorted, key)]


def shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many first tokens two texts have in common."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))
