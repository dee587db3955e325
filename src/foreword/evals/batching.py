"""Many samples ask one by one; the engine is asked in batches.

The first waiting request leads: it waits until no newcomer has arrived for a
short window (or the batch is full), takes everybody who asks for the same kind
of generation, and answers them all from one call. While the engine works,
newcomers queue up, so batches fill themselves. No background task, so a queue
can be used from several event loops one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache

import anyio
import anyio.to_thread

from foreword.core.errors import ChatsFailed, ForewordError, ModelError
from foreword.core.protocols import Model
from foreword.core.types import Message, Reply

MAX_BATCH = 192
WINDOW_S = 0.5  # of quiet, before an idle engine starts on a batch that is not full


@dataclass(frozen=True)
class Settings:
    """What must be equal for two requests to share a batch."""

    prefix: str = ""
    max_new_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0
    stop: str = ""


@dataclass(eq=False)
class _Request:
    chat: Sequence[Message]
    settings: Settings
    wake: anyio.Event = field(default_factory=anyio.Event)
    answer: Reply | Exception | None = None


class Batcher:
    """Collects concurrent requests to one engine into batches."""

    def __init__(
        self, engine: Model, max_batch: int = MAX_BATCH, window_s: float = WINDOW_S
    ) -> None:
        self.engine = engine
        self.max_batch = max_batch
        self.window_s = window_s
        self._waiting: list[_Request] = []
        self._busy = False

    async def ask(self, chat: Sequence[Message], settings: Settings) -> Reply:
        """One reply; many callers share a batch.

        Raises:
            ModelError: if the engine failed on the batch.
        """
        request = _Request(chat, settings)
        self._waiting.append(request)
        try:
            while request.answer is None:
                if self._busy:
                    await request.wake.wait()
                    request.wake = anyio.Event()
                else:
                    await self._lead(request)
        finally:
            if request in self._waiting:  # cancelled: somebody else has to lead
                self._waiting.remove(request)
            self._wake_next()
        if isinstance(request.answer, Reply):
            return request.answer
        raise request.answer

    async def _lead(self, leader: _Request) -> None:
        self._busy = True
        batch: list[_Request] = []
        try:
            await self._settle()
            same = [other for other in self._waiting if other.settings == leader.settings]
            batch = [leader, *(other for other in same if other is not leader)][: self.max_batch]
            self._waiting = [other for other in self._waiting if other not in batch]
            await anyio.to_thread.run_sync(
                lambda: _thread().submit(self._generate, batch).result(),
                limiter=anyio.CapacityLimiter(1),
            )
        finally:
            self._busy = False
            for request in batch:
                request.wake.set()

    async def _settle(self) -> None:
        """Wait for quiet, or for a full batch."""
        seen = -1
        while seen < len(self._waiting) < self.max_batch:
            seen = len(self._waiting)
            await anyio.sleep(self.window_s)

    def _generate(self, batch: list[_Request]) -> None:
        """In a worker thread: answer every request of the batch, with an error if need be.

        One request that the engine cannot answer must not take its neighbours with it, so a
        batch that failed is asked again one by one, or without those that are known to fail.
        """
        try:
            replies = self._replies(batch)
        except ChatsFailed as error:
            failed = error.rows or range(len(batch))
            for row in failed:
                batch[row].answer = error
            if rest := [request for row, request in enumerate(batch) if row not in failed]:
                self._generate(rest)
            return
        except Exception as error:  # noqa: BLE001 - a batch is supervised here, samples report it
            if len(batch) == 1:
                batch[0].answer = _failure(error)
            else:
                for request in batch:
                    self._generate([request])
            return
        for request, reply in zip(batch, replies, strict=True):
            request.answer = reply

    def _replies(self, batch: list[_Request]) -> list[Reply]:
        settings = batch[0].settings
        start = time.perf_counter()
        replies = self.engine.generate(
            [request.chat for request in batch],
            prefix=settings.prefix,
            max_new_tokens=settings.max_new_tokens,
            temperature=settings.temperature,
            seed=settings.seed,
            stop=settings.stop,
        )
        if len(replies) != len(batch):
            raise ModelError(f"the engine gave {len(replies)} replies to {len(batch)} chats")
        share = (time.perf_counter() - start) / len(batch)
        return [replace(reply, seconds=share) for reply in replies]

    def _wake_next(self) -> None:
        if not self._busy and self._waiting:
            self._waiting[0].wake.set()


@cache
def _thread() -> ThreadPoolExecutor:
    """One thread for all engines of a process, for as long as it lives.

    The C library gives each new thread a heap of its own, and what an engine has freed on the
    heap of one that ended is of no use to the next: sixteen evaluations took 15 GB.
    """
    return ThreadPoolExecutor(1, "foreword-engine")


def _failure(error: Exception) -> ForewordError:
    if isinstance(error, ForewordError):
        return error
    failure = ModelError(f"the engine failed: {error!r}")
    failure.__cause__ = error
    return failure
