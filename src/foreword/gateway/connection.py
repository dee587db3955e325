"""One kept connection to the upstream, and the answer that comes on it.

HTTP/1.1 parsed by httptools as the bytes come; a slow client slows the upstream
down. Every way in which a server can fail ends the answer with an `UpstreamError`,
and bytes that nobody asked for close the connection, so that no answer becomes
another client's.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import AsyncGenerator

import httptools

from foreword.core.errors import ModelError

BUFFER = 256 * 1024  # bytes that wait for a slow client before the upstream is slowed down
MAX_ANSWER = 64 * 2**20  # bytes of an answer that is read whole
MAX_HEAD = 64 * 1024  # bytes of an answer's head


class UpstreamError(ModelError):
    """The upstream failed; `status` is what the client gets, `code` says how in one word."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Stale(Exception):
    """A kept connection was closed before anything of an answer came."""


class Answer:
    """One answer: its head, and its body as it comes."""

    def __init__(self, connection: Connection) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}  # names in lower case; of several the last
        self._connection = connection
        self._parts: deque[bytes] = deque()
        self._waiting = 0  # bytes in _parts
        self.ended = False
        self.error: Exception | None = None
        self.news = asyncio.Event()  # a head, a part, the end or an error

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def begun(self) -> bool:
        """Whether the head is here."""
        return self.status >= 200

    def add(self, part: bytes) -> None:
        """A part of the body has come."""
        self._parts.append(part)
        self._waiting += len(part)
        if self._waiting > BUFFER:
            self._connection.hold()
        self.news.set()

    def end(self, error: Exception | None = None) -> None:
        """The answer is complete, or has failed."""
        if not self.ended:
            self.ended, self.error = True, error
            self.news.set()

    def close(self) -> None:
        """Give up on the rest; the connection is not used again unless the answer was complete."""
        if not self.ended:
            self._connection.abort()

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The body as it comes, decompressed.

        Raises:
            UpstreamError: it is cut off, late or in an encoding nobody asked for.
        """
        inflate = self._decoder()
        try:
            while True:
                while self._parts:
                    part = self._parts.popleft()
                    self._waiting -= len(part)
                    yield inflate.decompress(part) if inflate else part
                self._connection.go_on()
                if self.error:
                    raise self.error
                if self.ended:
                    return
                self.news.clear()
                await self.news.wait()
        except zlib.error as error:
            raise UpstreamError(
                502, "upstream_broken", "the upstream's compression is broken"
            ) from error
        finally:
            self.close()

    async def whole(self) -> bytes:
        """The body, complete.

        Raises:
            UpstreamError: as for `pieces`, or it is larger than MAX_ANSWER.
        """
        parts, size = [], 0
        async for part in self.pieces():
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER:
                self.close()
                raise UpstreamError(502, "upstream_too_large", "the upstream's answer is too large")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _decoder(self) -> zlib._Decompress | None:
        encoding = self.headers.get("content-encoding", "identity").lower()
        if encoding == "identity":
            return None
        if encoding in ("gzip", "deflate"):
            return zlib.decompressobj(wbits=47)  # either, by its first bytes
        self.close()
        raise UpstreamError(502, "upstream_foreign", f"the upstream compresses by {encoding!r}")


class Connection(asyncio.Protocol):
    """One socket; the callbacks of asyncio above, those of httptools below."""

    def __init__(self, pool: list[Connection], silence_s: float) -> None:
        self._pool, self._silence_s = pool, silence_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._answer: Answer | None = None
        self._used = False
        self._held = False
        self._head = 0  # bytes read of a head that is not complete
        self._seen = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def closed(self) -> bool:
        """Whether the socket is of no more use."""
        return self._transport.is_closing()

    def ask(self, request: bytes) -> Answer:
        """Write a request; its answer fills as bytes come."""
        self._parser = httptools.HttpResponseParser(self)
        self._answer = Answer(self)
        self._head = 0
        self._seen = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._silence_s, self._check)
        self._transport.write(request)
        return self._answer

    def hold(self) -> None:
        """Read no more until `go_on`."""
        if not self._held:
            self._held = True
            self._transport.pause_reading()

    def go_on(self) -> None:
        """Read again."""
        if self._held:
            self._held = False
            self._seen = self._loop.time()
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close the socket now."""
        self._transport.abort()

    def _check(self) -> None:
        """Give up on an upstream that has been silent for too long."""
        self._timer = None
        if self._answer is None or self.closed:
            return
        left = self._seen + self._silence_s - self._loop.time()
        if left > 0 or self._held:
            self._timer = self._loop.call_later(max(left, 0.1), self._check)
            return
        self._fail(UpstreamError(504, "upstream_silent", "the upstream fell silent"))

    def _fail(self, error: UpstreamError) -> None:
        answer, self._answer = self._answer, None
        if answer:
            answer.end(error)
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the socket is open."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes have come."""
        self._seen = self._loop.time()
        if self._answer is None:
            self._transport.abort()  # bytes that nobody asked for
            return
        if not self._answer.begun:
            self._head += len(data)
            if self._head > MAX_HEAD and b"\r\n\r\n" not in data:
                self._fail(UpstreamError(502, "upstream_broken", "the upstream's head has no end"))
                return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(UpstreamError(502, "upstream_broken", "the upstream does not speak HTTP"))

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio: the socket is closed; what is not complete has failed."""
        if self._timer:
            self._timer.cancel()
        if self in self._pool:
            self._pool.remove(self)
        answer, self._answer = self._answer, None
        if answer is None:
            return
        head = answer.headers
        if answer.begun and not error and not {"content-length", "transfer-encoding"} & head.keys():
            answer.end()  # of such an answer the end of the connection is the end
        elif self._used and not answer.status and not self._head:
            answer.end(Stale())
        else:
            answer.end(UpstreamError(502, "upstream_broken", "the upstream broke off its answer"))

    def on_message_begin(self) -> None:
        """httptools: an answer begins."""
        if self._answer is None:
            self._transport.abort()  # an answer nobody asked for must not become the next one's

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: a line of the head."""
        if self._answer:
            self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """httptools: the head is complete."""
        if self._answer:
            self._answer.status = self._parser.get_status_code()
            if self._answer.begun:
                self._answer.news.set()

    def on_body(self, part: bytes) -> None:
        """httptools: a part of the body."""
        if self._answer:
            self._answer.add(part)

    def on_message_complete(self) -> None:
        """httptools: the answer is complete; the connection can take the next."""
        answer = self._answer
        if answer is None:
            return
        if not answer.begun:  # "100 Continue" and its like come before the answer
            answer.status = 0
            answer.headers.clear()
            return
        self._answer = None
        answer.end()
        if self._parser.should_keep_alive() and not self.closed:
            self._used = True
            self.go_on()
            self._pool.append(self)
        else:
            self._transport.close()
