"""A stream under checks: held back a window at a time until it has been judged.

What was judged is passed on at once, so a reader waits for a window, never for
the whole reply. A check reads the window and up to SEEN characters before it, the
hidden prefix included: harm is seldom in one window alone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import orjson

from foreword.gateway.checks import Checks, Judged, Messages
from foreword.gateway.connection import UpstreamError
from foreword.gateway.spoken import repeated, words
from foreword.gateway.streams import FIELD, MAX_LINE

WINDOW = 240  # new characters that are held until they are judged
SEEN = 12_000  # characters before the window that a check reads again
_QUIET = (b"event:", b"id:", b"retry:", b":")  # lines that say nothing to a reader


async def in_windows(
    parts: AsyncGenerator[bytes],
    checks: Checks,
    messages: Messages,
    begun: str,
    heard: list[Judged],
) -> AsyncGenerator[bytes]:
    """A stream of server-sent events, each line passed on once its words are judged.

    Args:
        parts: what the client would get, in any pieces; closed at the end.
        checks: who judges.
        messages: what was asked.
        begun: the words before the first that come.
        heard: takes what the checks say.

    Raises:
        Blocked: after everything that was judged before has been passed on.
        UpstreamError: a line grows beyond MAX_LINE, or what `parts` raises.
    """
    reply = _Reply(begun)
    held: list[bytes] = []
    rest = b""
    async with aclosing(parts):
        async for part in parts:
            *lines, rest = (rest + part).split(b"\n")
            if len(rest) > MAX_LINE:
                raise UpstreamError(502, "upstream_broken", "a line of the stream has no end")
            for line in lines:
                held.append(line + b"\n")
                reply.listen(line)
            if reply.new >= WINDOW:
                await checks.judge(heard, "reply", messages, reply.window())
            if held and not reply.new:  # judged, or nothing said, such as the role at first
                yield b"".join(held)
                held = []
    reply.listen(rest)
    if reply.new:
        await checks.judge(heard, "reply", messages, reply.window())
    if last := b"".join(held) + rest:
        yield last


class _Reply:
    """What each choice has said, and how much of it is new since the last window."""

    def __init__(self, begun: str) -> None:
        self._begun = begun
        self._said: dict[int, str] = {}
        self._new: dict[int, int] = {}  # characters by choice

    @property
    def new(self) -> int:
        """Characters that were not judged."""
        return sum(self._new.values())

    def window(self) -> list[str]:
        """What is to be judged now."""
        new, self._new = self._new, {}
        return [self._said[index][-(SEEN + count) :] for index, count in new.items()]

    def listen(self, data: bytes) -> None:
        """Take in a line; a lone carriage return ends one for some readers."""
        for line in data.split(b"\r"):
            payload = line.removeprefix(FIELD).strip()
            if not payload or payload == b"[DONE]" or line.startswith(_QUIET):
                continue
            try:
                event = orjson.loads(payload)
            except orjson.JSONDecodeError:
                self._add(0, payload.decode("utf-8", "replace"))  # judged as it stands
                continue
            for index, more in words(event):
                self._add(index, more)
            for text in repeated(event):
                if not any(text in said for said in self._said.values()):
                    self._add(0, text)

    def _add(self, index: int, more: str) -> None:
        if more:
            self._said[index] = self._said.get(index, self._begun) + more
            self._new[index] = self._new.get(index, 0) + len(more)
