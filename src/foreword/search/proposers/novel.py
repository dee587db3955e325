"""What proposers share: never to propose a prefix twice.

A proposer that has proposed, or been told of, a prefix does not propose it again.
The loop tells each one what was proposed by the others and before a resumption.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

TRIES = 200  # draws a wanted prefix, before a proposer gives up on novelty


class Novel:
    """A base for proposers: keeps what was proposed."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def remember(self, prefixes: Sequence[str]) -> None:
        """Never propose these again."""
        self._known.update(prefixes)

    def take(self, n: int, texts: Iterable[str]) -> list[str]:
        """The first n texts that are new, remembered from now on; empty ones are passed over."""
        found = list(islice(self._new(texts), n))
        self.remember(found)
        return found

    def draw(self, n: int, make: Callable[[], str]) -> list[str]:
        """At most n new texts out of TRIES draws for each."""
        return self.take(n, (make() for _ in range(TRIES * n)))

    def _new(self, texts: Iterable[str]) -> Iterator[str]:
        seen = {"", *self._known}
        for text in texts:
            if text not in seen:
                seen.add(text)
                yield text
