"""The canary: proves that bytes left, without anywhere for them to go.

An HTTP server on port 8080 and a raw TCP listener on port 9000, both on the
sandbox's own loopback, and whatever ports a world has more. Asked as a proxy
it stands in for the world's outside hosts, with or without TLS. Everything
that arrives is kept, boundedly, as [method, path, body, host].
"""

from __future__ import annotations

import _socket
import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .loop import Loop

if TYPE_CHECKING:
    from .tunnel import Tunnel

HTTP_PORT, TCP_PORT = 8080, 9000
BODY_BYTES = 64 * 1024  # kept of one body
HEAD_BYTES = 64 * 1024
CONNECTIONS = 64  # at the same time
HITS = 1000
ALL_BYTES = 4 * 1024 * 1024  # kept of all bodies
DATAGRAM_BYTES = 65536
TEXT, HTML = "text/plain", "text/html; charset=utf-8"


def answer(status: str, kind: str, body: bytes) -> bytes:
    """A whole HTTP response."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


class Canary:
    """Both listeners and what they caught."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._hits: list[list[Any]] = []  # [method, path, body bytes, host]
        self._bytes = 0
        self._open: dict[int, Connection] = {}
        self._listeners = [self._listen(HTTP_PORT, Request), self._listen(TCP_PORT, Raw)]
        self.pages: dict[str, str] = {}
        self.tls: Any = None  # an ssl.SSLContext; the module is slow to import

    def furnish(self, ports: list[dict[str, Any]], pages: dict[str, str], key: str) -> None:
        """Open a world's ports, and stand in for the hosts of its pages."""
        self.pages = pages
        if key:
            from .tunnel import context

            self.tls = context(key)
        for port in ports:
            number = port["number"]
            if port["kind"] == "udp":
                self._listeners.append(self._hear(number))
            else:
                kind = Request if port["kind"] == "http" else _scripted(port)
                self._listeners.append(self._listen(number, kind))

    def _hear(self, port: int) -> _socket.socket:
        listener = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
        listener.bind(("127.0.0.1", port))

        def ready() -> None:
            with contextlib.suppress(OSError):
                data = listener.recv(DATAGRAM_BYTES)
                self.extend(self.record("UDP", f":{port}"), data)

        self._loop.add(listener.fileno(), ready)
        return listener

    def _listen(self, port: int, kind: Callable[[Canary, int], Connection]) -> _socket.socket:
        listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        self._loop.add(listener.fileno(), lambda: self._accept(listener, kind))
        return listener

    def _accept(self, listener: _socket.socket, kind: Callable[[Canary, int], Connection]) -> None:
        try:
            fd, _ = listener._accept()  # type: ignore[attr-defined]  # the builtin half of accept()
        except OSError:
            return
        os.set_inheritable(fd, False)
        if len(self._open) >= CONNECTIONS:  # or idle ones would keep later ones from being seen
            self.close(next(iter(self._open)))
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

    def __init__(self, canary: Canary, fd: int, name: str = "") -> None:
        super().__init__(canary, fd)
        self.hit = canary.record("TCP", name)

    def feed(self, data: bytes) -> None:
        """Keep the bytes."""
        self.canary.extend(self.hit, data)


class Scripted(Raw):
    """One that says its lines, the next each time it has heard what it awaits."""

    def __init__(self, canary: Canary, fd: int, port: int, lines: list[str], awaits: str) -> None:
        super().__init__(canary, fd, f":{port}")
        self.lines = list(lines)
        self.awaits = awaits.encode()
        self.heard = b""
        self._say()

    def feed(self, data: bytes) -> None:
        """Keep the bytes and say the next line."""
        super().feed(data)
        self.heard = (self.heard + data)[-HEAD_BYTES:]
        if self.lines and self.awaits in self.heard:
            self.heard = b""
            self._say()

    def _say(self) -> None:
        """Say a line; the last ends our half, so that nobody waits for more in vain."""
        half = _socket.socket(fileno=self.fd)
        with contextlib.suppress(OSError):  # it may be gone already
            os.write(self.fd, self.lines.pop(0).encode() + b"\n")
            if not self.lines:
                half.shutdown(_socket.SHUT_WR)
        half.detach()


def _scripted(port: dict[str, Any]) -> Callable[[Canary, int], Connection]:
    number, lines, awaits = port["number"], port["lines"], port["awaits"]
    if not lines:
        return lambda canary, fd: Raw(canary, fd, f":{number}")
    return lambda canary, fd: Scripted(canary, fd, number, lines, awaits)


class Request(Connection):
    """An HTTP request: a head, then a body of known length or in chunks."""

    def __init__(self, canary: Canary, fd: int) -> None:
        super().__init__(canary, fd)
        self.head = b""
        self.left: int | None = None  # body bytes (or bytes of this chunk) still to come
        self.chunked = False
        self.hit: list[Any] | None = None
        self.method = ""
        self.url = ""  # of an outside host, as a proxy is asked for it
        self.tunnel: Tunnel | None = None

    def feed(self, data: bytes) -> None:
        """Parse the head, once it is whole; then count down the body."""
        if self.tunnel is not None:
            data = self.tunnel.feed(data)
            if self.tunnel.broken:
                self.canary.close(self.fd)
                return
        if self.left is None:
            self.head += data
            if b"\r\n\r\n" not in self.head:
                if len(self.head) > HEAD_BYTES:
                    self.canary.close(self.fd)
                return
            head, data = self.head.split(b"\r\n\r\n", 1)
            self.head = b""
            if head.startswith(b"CONNECT ") and self.canary.tls is not None:
                self._secure()
                return
            self._start(head.decode("latin-1").split("\r\n"))
        done = self._chunks(data) if self.chunked else self._body(data)
        if done:
            self._send(self._answer())
            self.canary.close(self.fd)

    def _secure(self) -> None:
        from .tunnel import Tunnel

        self._send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.tunnel = Tunnel(self.canary.tls, self.fd)

    def _answer(self) -> bytes:
        status, kind, body = "200 OK", TEXT, b"canary\n"
        if self.url and self.canary.pages:
            page = self.canary.pages.get(self.url)
            status = "404 Not Found" if page is None else status
            kind = HTML if self.url.endswith(".html") else TEXT
            body = (page or "").encode()
        whole = answer(status, kind, body)
        return whole[: -len(body) or None] if self.method == "HEAD" else whole

    def _start(self, lines: list[str]) -> None:
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        self.method, path, *_ = [*lines[0].split(" "), "", ""]
        host = fields.get("host", "")
        if path.startswith("http://"):  # a client that believes in proxies
            self.url, path = path, "/" + path[7:].partition("/")[2]
        elif self.tunnel is not None:
            self.url = f"https://{host}{path}"
        self.hit = self.canary.record(self.method, path, host.partition(":")[0])
        length = fields.get("content-length", "")
        self.left = int(length) if length.isascii() and length.isdigit() and len(length) < 16 else 0
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
            os.write(self.fd, data if self.tunnel is None else self.tunnel.wrap(data))
