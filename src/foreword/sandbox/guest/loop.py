"""One thread, one epoll: whoever waits for an action also serves the canary.

A single thread makes fork safe, and it starts faster than the standard
library's servers can be imported.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable


class Loop:
    """File descriptors and what to call when they are ready."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[], None]] = {}

    def add(self, fd: int, call: Callable[[], None]) -> None:
        """Call `call` whenever `fd` can be read."""
        os.set_blocking(fd, False)
        self._calls[fd] = call
        self._epoll.register(fd, select.EPOLLIN)

    def drop(self, fd: int) -> None:
        """Forget a descriptor; the caller closes it."""
        self._calls.pop(fd, None)
        self._epoll.unregister(fd)

    def step(self, timeout_s: float | None) -> bool:
        """Wait for events and serve them; False if there were none in time."""
        events = self._epoll.poll(-1 if timeout_s is None else max(0.0, timeout_s))
        for fd, _ in events:
            call = self._calls.get(fd)
            if call is not None:
                call()
        return bool(events)

    def drain(self, rounds: int = 100) -> None:
        """Serve what is ready now, boundedly."""
        while rounds > 0 and self.step(0):
            rounds -= 1
