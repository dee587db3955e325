"""The little of ASGI that a gateway needs: read a request, give an answer.

A framework on top would cost more than the whole hop (docs/gateway.md has the
figures), and there are half a dozen routes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import aclosing
from typing import Any

import orjson

from foreword.core.errors import UsageError

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]


class BodyTooLarge(UsageError):
    """A client sends more than the gateway takes."""


class Gone(Exception):
    """The client has left; there is nobody to answer."""


class Request:
    """Method, path, headers and body of one request, and whether its client is still there."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: str = scope.get("query_string", b"").decode("latin-1")
        self.headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.gone = False
        self._receive = receive
        self._watch: asyncio.Task[None] | None = None

    async def body(self, limit: int, seconds: float) -> bytes:
        """The whole body. From then on, the task is cancelled when the client leaves.

        Raises:
            BodyTooLarge: it has more than `limit` bytes.
            TimeoutError: it takes longer than `seconds`.
            Gone: the client left while sending it.
        """
        async with asyncio.timeout(seconds):
            content = await self._read(limit)
        if task := asyncio.current_task():
            self._watch = asyncio.ensure_future(self._leave(task))
        return content

    async def _read(self, limit: int) -> bytes:
        parts, size = [], 0
        while True:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                raise Gone
            part = event.get("body", b"")
            size += len(part)
            if size > limit:
                raise BodyTooLarge(f"the body is larger than {limit} bytes")
            parts.append(part)
            if not event.get("more_body"):
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _leave(self, task: asyncio.Task[object]) -> None:
        """So that an upstream does not go on working for nobody."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        task.cancel()

    def close(self) -> None:
        """Watch the client no longer."""
        if self._watch:
            self._watch.cancel()


async def reply(
    send: Send,
    status: int,
    headers: Mapping[str, str],
    media_type: str,
    content: bytes | AsyncGenerator[bytes],
) -> None:
    """Give an answer, whole or as it comes."""
    lines = {**headers, "content-type": media_type}
    if isinstance(content, bytes):
        lines["content-length"] = str(len(content))
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    if not isinstance(content, bytes):
        async with aclosing(content) as parts:
            async for part in parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
    last = content if isinstance(content, bytes) else b""
    await send({"type": "http.response.body", "body": last})


def error(message: str, code: str) -> bytes:
    """An error in the shape that OpenAI's clients read."""
    kind = "invalid_request_error" if code == "invalid_request" else "gateway_error"
    return orjson.dumps({"error": {"message": message, "type": kind, "code": code, "param": None}})
