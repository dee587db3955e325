"""How replies begin, counted by guard: refused, complied, undecided - or not judged.

The lexicon judge reads the first words of each reply after it has been sent, one at a
time and with pauses: it never has more than a tenth of the event loop. What comes faster
than that waits, and beyond WAITING is counted as not judged, never as not refused.

Not covered: a refusal after OPENING characters; what a lexicon cannot tell (see judges).
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter

import orjson
from prometheus_client import Counter

from foreword.core.types import Label
from foreword.gateway.spoken import CALL, replies, words
from foreword.gateway.streams import FIELD
from foreword.judges.lexicon import LexiconJudge
from foreword.models.dialects import Body

OPENING = 200  # characters of a reply that are judged
KEPT = 16_384  # bytes of a stream that are kept to find them
WAITING = 256  # replies
REST = 9  # seconds of pause for each second of judging


class Heard:
    """The first bytes of a stream, kept as they pass."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.full = False
        self._size = 0

    def keep(self, part: bytes) -> None:
        """Take in what the client gets."""
        self._parts.append(part)
        self._size += len(part)
        self.full = self._size >= KEPT

    def read(self) -> list[str]:
        """The first words of each choice."""
        said: dict[int, str] = {}
        for line in b"".join(self._parts).split(b"\n"):
            try:
                pieces = words(orjson.loads(line.removeprefix(FIELD)))
            except (orjson.JSONDecodeError, RecursionError):  # [DONE], cut off, or nested deeply
                continue
            for index, more in pieces:
                said[index] = said.get(index, "") + more
        return list(said.values())


class Refusals:
    """Judges replies when there is time."""

    def __init__(self, counted: Counter) -> None:
        """`counted` has the labels guard and label."""
        self._counted, self._judge = counted, LexiconJudge()
        self._waiting: deque[tuple[str, str, list[str] | Heard]] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> bool:
        """Whether some are not judged yet."""
        return self._task is not None and not self._task.done()

    def hear(self, guard: str, begun: str, said: Body | Heard) -> None:
        """Take in a reply, a whole answer or a stream's beginning, said after `begun`."""
        if len(self._waiting) >= WAITING:
            self._counted.labels(guard, "not judged").inc()
            return
        # Of a whole answer only what is judged is kept, for it may be large.
        kept = said if isinstance(said, Heard) else [_first(begun, text) for text in replies(said)]
        self._waiting.append((guard, begun, kept))
        if not self.waiting:
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while self._waiting:
            start = perf_counter()
            guard, begun, said = self._waiting.popleft()
            texts = (
                [_first(begun, text) for text in said.read()] if isinstance(said, Heard) else said
            )
            for text in texts:
                # Deeds outweigh words.
                label = Label.COMPLIED if CALL in text else self._judge.judge(begun, text).label
                self._counted.labels(guard, label).inc()
            await asyncio.sleep(REST * (perf_counter() - start))


def _first(begun: str, text: str) -> str:
    """What is judged of a reply: its first words, and that it calls a tool."""
    first = text.removeprefix(begun)[:OPENING]  # where the prefix is shown
    return first + CALL if CALL in text else first
