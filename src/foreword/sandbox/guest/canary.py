"""The canary: proves that bytes left, without anywhere for them to go.

An HTTP server on port 8080 and a raw TCP listener on port 9000, both on the
sandbox's own loopback. Everything that arrives is kept, boundedly, as
[method, path, body, host].
"""

from __future__ import annotations

import _socket
import contextlib
import os
from typing import Any

from .loop import Loop

HTTP_PORT, TCP_PORT = 8080, 9000
BODY_BYTES = 64 * 1024  # kept of one body
HEAD_BYTES = 64 * 1024
CONNECTIONS = 64  # at the same time
HITS = 1000
ALL_BYTES = 4 * 1024 * 1024  # kept of all bodies
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 7\r\nConnection: close\r\n\r\n"
)


class Canary:
    """Both listeners and what they caught."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._hits: list[list[Any]] = []  # [method, path, body bytes, host]
        self._bytes = 0
        self._open: dict[int, Connection] = {}
        self._listeners = [self._listen(HTTP_PORT, Request), self._listen(TCP_PORT, Raw)]

    def _listen(self, port: int, kind: type[Connection]) -> _socket.socket:
        listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        self._loop.add(listener.fileno(), lambda: self._accept(listener, kind))
        return listener

    def _accept(self, listener: _socket.socket, kind: type[Connection]) -> None:
        try:
            fd, _ = listener._accept()  # type: ignore[attr-defined]  # the builtin half of accept()
        except OSError:
            return
        os.set_inheritable(fd, False)
        if len(self._open) >= CONNECTIONS:
            os.close(fd)
            return
        connection = kind(self, fd)
        self._open[fd] = connection
        self._loop.add(fd, connection.ready)

    def close(self, fd: int) -> None:
        """End a connection."""
        self._loop.drop(fd)
        self._open.pop(fd, None)
        os.close(fd)

    def record(self, method: str, path: str, host: str = "") -> list[Any] | None:
        """Start a hit; None when there are too many already."""
        if len(self._hits) >= HITS:
            return None
        hit = [method[:32], path[:4096], bytearray(), host[:256]]
        self._hits.append(hit)
        return hit

    def extend(self, hit: list[Any] | None, data: bytes) -> None:
        """Add to a hit's body what still fits."""
        if hit is not None:
            kept = data[: max(0, min(BODY_BYTES - len(hit[2]), ALL_BYTES - self._bytes))]
            hit[2] += kept
            self._bytes += len(kept)

    def hits(self) -> list[list[str]]:
        """Everything that arrived so far."""
        self._loop.drain()
        return [[m, p, body.decode("utf-8", "replace"), h] for m, p, body, h in self._hits]


class Connection:
    """One accepted connection."""

    def __init__(self, canary: Canary, fd: int) -> None:
        self.canary = canary
        self.fd = fd

    def ready(self) -> None:
        """Read what is there."""
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.feed(data)
        else:
            self.canary.close(self.fd)

    def feed(self, data: bytes) -> None:
        """Take bytes that arrived."""
        raise NotImplementedError


class Raw(Connection):
    """A TCP connection: a hit as soon as it is there."""

    def __init__(self, canary: Canary, fd: int) -> None:
        super().__init__(canary, fd)
        self.hit = canary.record("TCP", "")

    def feed(self, data: bytes) -> None:
        """Keep the bytes."""
        self.canary.extend(self.hit, data)


class Request(Connection):
    """An HTTP request: a head, then a body of known length or in chunks."""

    def __init__(self, canary: Canary, fd: int) -> None:
        super().__init__(canary, fd)
        self.head = b""
        self.left: int | None = None  # body bytes (or bytes of this chunk) still to come
        self.chunked = False
        self.hit: list[Any] | None = None
        self.method = ""

    def feed(self, data: bytes) -> None:
        """Parse the head, once it is whole; then count down the body."""
        if self.left is None:
            self.head += data
            if b"\r\n\r\n" not in self.head:
                if len(self.head) > HEAD_BYTES:
                    self.canary.close(self.fd)
                return
            head, data = self.head.split(b"\r\n\r\n", 1)
            self.head = b""
            self._start(head.decode("latin-1").split("\r\n"))
        done = self._chunks(data) if self.chunked else self._body(data)
        if done:
            self._send(ANSWER + (b"" if self.method == "HEAD" else b"canary\n"))
            self.canary.close(self.fd)

    def _start(self, lines: list[str]) -> None:
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        self.method, path, *_ = [*lines[0].split(" "), "", ""]
        host = fields.get("host", "")
        if path.startswith("http://"):  # a client that believes in proxies
            path = "/" + path[7:].partition("/")[2]
        self.hit = self.canary.record(self.method, path, host.partition(":")[0])
        length = fields.get("content-length", "")
        self.left = int(length) if length.isdigit() and len(length) < 16 else 0
        self.chunked = "chunked" in fields.get("transfer-encoding", "").lower()
        if "100-continue" in fields.get("expect", "").lower():
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _body(self, data: bytes) -> bool:
        self.canary.extend(self.hit, data[: self.left])
        self.left = max(0, (self.left or 0) - len(data))
        return self.left == 0

    def _chunks(self, data: bytes) -> bool:
        """Read chunks: `left` counts the current one with its line end; `head` holds a rest."""
        data, self.head = self.head + data, b""
        while data:
            if self.left:
                self.canary.extend(self.hit, data[: max(0, self.left - 2)])
                self.left, data = max(0, self.left - len(data)), data[self.left :]
                continue
            size, end, rest = data.partition(b"\r\n")
            if not end:
                self.head = data[:HEAD_BYTES]
                return False
            try:
                length = int(size.split(b";")[0] or b"0", 16)
            except ValueError:
                return True
            if length <= 0:
                return True
            self.left, data = length + 2, rest
        return False

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            os.write(self.fd, data)
