"""JSON lines to and from the guest, with a deadline and a bound on every line.

The guest is ours, but the host trusts it no further than that: a line that is
too long, late or not JSON is a broken sandbox, never a hung or bloated host.
"""

from __future__ import annotations

import json
import os
import select
import time
from typing import Any

LINE_BYTES = 64 * 1024 * 1024


class ChannelError(Exception):
    """The guest hung up, was silent for too long, or talked nonsense."""


class Channel:
    """One request, one answer, over two pipes."""

    def __init__(self, requests: int, answers: int, line_bytes: int = LINE_BYTES) -> None:
        self._requests, self._answers = requests, answers
        self._line_bytes = line_bytes
        os.set_blocking(requests, False)
        os.set_blocking(answers, False)

    def ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            ChannelError: if there is none in time, or it is not one.
        """
        deadline = time.monotonic() + timeout_s
        try:
            self._send(json.dumps(request).encode() + b"\n", deadline)
            answer = json.loads(self._receive(deadline))
        except (OSError, ValueError) as error:
            raise ChannelError(str(error)) from error
        if not isinstance(answer, dict):
            raise ChannelError("its answer is not an object")
        return answer

    def _send(self, line: bytes, deadline: float) -> None:
        data = memoryview(line)
        while data:
            self._ready(self._requests, select.POLLOUT, deadline)
            try:
                data = data[os.write(self._requests, data) :]
            except BlockingIOError:
                continue

    def _receive(self, deadline: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        while not parts or not parts[-1].endswith(b"\n"):
            self._ready(self._answers, select.POLLIN, deadline)
            data = os.read(self._answers, 1 << 20)
            size += len(data)
            if not data:
                raise ChannelError("it ended")
            if size > self._line_bytes:
                raise ChannelError(f"its answer is longer than {self._line_bytes} bytes")
            parts.append(data)
        return b"".join(parts)

    @staticmethod
    def _ready(fd: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(fd, event)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise ChannelError("it did not answer in time")
