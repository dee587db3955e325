"""A stream of server-sent events on its way through the gateway.

Only the beginning of each choice is ever changed: an echo is cut though it come in
pieces, or the hidden beginning is put before the first piece. From then on bytes
pass as they are, unparsed; with nothing to change they do so from the start. Pieces
that are no text, such as a list of thoughts, pass as well.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import orjson

from foreword.gateway.connection import UpstreamError

MAX_LINE = 4 * 2**20  # bytes of a line that may still have to be changed
FIELD = b"data:"


class Opening:
    """The first words of one choice: what of each piece the client is to see."""

    def __init__(self, begun: str, *, show: bool) -> None:
        """`show`: the beginning is put before; otherwise it is cut as an echo."""
        self._begun, self._show = begun, show
        self._held = ""
        self.done = False

    def take(self, piece: str) -> str:
        """The words to pass on, given the next piece of the upstream."""
        if self.done:
            return piece
        if self._show:
            self.done = True
            return self._begun + piece
        self._held += piece
        if len(self._held) < len(self._begun) and self._begun.startswith(self._held):
            return ""
        return self.release()

    def release(self) -> str:
        """What was held back because it could have become an echo."""
        self.done = True
        held, self._held = self._held, ""
        return held.removeprefix(self._begun)


class Lines(ABC):
    """Bytes in any pieces, settled line by line until nothing is left to change.

    Only whole lines pass, so that of a stream that breaks off no client reads half an event.
    """

    def __init__(self, *, raw: bool) -> None:
        """`raw`: there is nothing to change; bytes pass as they are."""
        self._line = b""
        self._raw = raw

    def feed(self, data: bytes) -> bytes:
        """The client's bytes for some of the upstream's.

        Raises:
            UpstreamError: a line grows beyond MAX_LINE.
        """
        whole, end, self._line = (self._line + data).rpartition(b"\n")
        if len(self._line) > MAX_LINE:
            raise UpstreamError(502, "upstream_broken", "the upstream sends a line without an end")
        if self._raw or not end:
            return whole + end
        lines = whole.split(b"\n")
        out = []
        for at, line in enumerate(lines):
            out.append(self._settle(line))
            if self._raw:
                out += lines[at + 1 :]
                break
        return b"\n".join(out) + b"\n"

    def end(self) -> bytes:
        """What is left when the upstream has closed."""
        line, self._line = self._line, b""
        return (line if self._raw or not line else self._settle(line)) + self._held()

    @abstractmethod
    def _settle(self, line: bytes) -> bytes:
        """One line as the client gets it."""

    @abstractmethod
    def _held(self) -> bytes:
        """Words that were held back and are due now."""


class Stream(Lines):
    """The stream of a chat or of /completions."""

    def __init__(self, begun: str, *, echo: bool, show: bool, choices: int | None) -> None:
        """`choices`: how many the request asked for; None if that cannot be told."""
        super().__init__(raw=echo == show or not begun)
        self._begun, self._show, self._choices = begun, show, choices
        self._openings: dict[int, Opening] = {}
        self._last: dict[str, Any] = {}

    def _settle(self, line: bytes) -> bytes:
        """One line of the stream, changed where it carries the beginning of a choice."""
        if not line.startswith(FIELD):
            return line
        payload = line[len(FIELD) :].strip()
        if payload == b"[DONE]":
            return self._held() + line
        try:
            event = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return line  # not ours to mend; the client sees what came
        choices = event.get("choices") if isinstance(event, dict) else None
        if not isinstance(choices, list) or not choices:
            return line
        for choice in choices:
            if isinstance(choice, dict):
                self._settle_choice(choice)
        self._last = event
        self._raw = len(self._openings) == self._choices and all(
            opening.done for opening in self._openings.values()
        )
        return FIELD + b" " + orjson.dumps(event) + (b"\r" if line.endswith(b"\r") else b"")

    def _settle_choice(self, choice: dict[str, Any]) -> None:
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        opening = self._openings.setdefault(index, Opening(self._begun, show=self._show))
        chat = "delta" in choice or "text" not in choice
        home = choice.setdefault("delta", {}) if chat else choice
        key = "content" if chat else "text"
        if opening.done or not isinstance(home, dict):
            return
        piece = home.get(key)
        if isinstance(piece, list):
            return
        words = opening.take(piece if isinstance(piece, str) else "")
        if choice.get("finish_reason") and not opening.done:
            words += opening.release()
        if words or isinstance(piece, str):
            home[key] = words

    def _held(self) -> bytes:
        """An event of its own for words that were held when the stream ended."""
        out = b""
        for index, opening in self._openings.items():
            if not opening.done and (words := opening.release()):
                choice = {"index": index, "delta": {"content": words}, "finish_reason": None}
                out += FIELD + b" " + orjson.dumps({**self._last, "choices": [choice]}) + b"\n\n"
        return out
