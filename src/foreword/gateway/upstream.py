"""The server behind the gateway: an HTTP/1.1 client as thin as the hop it adds.

Connections are kept, one answer at a time on each. One that the server has closed
in the meantime is replaced once, as long as nothing of an answer had come.

Not covered: HTTP/2, proxies by environment, redirects.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from foreword.core.errors import ConfigError, UsageError
from foreword.gateway.connection import Answer, Connection, Stale, UpstreamError
from foreword.models.server import DENIED, checked_key

CONNECT_S = 5.0


def address(url: str) -> str:
    """`url` itself; the check that settings and guards.toml make of an address.

    Raises:
        ValueError: it is no http address, or holds a password.
    """
    try:
        Upstream(url)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return url


def _sendable(key: SecretStr) -> SecretStr:
    try:
        return SecretStr(checked_key(key.get_secret_value()))
    except ConfigError as error:
        raise ValueError(str(error)) from error


Key = Annotated[SecretStr, AfterValidator(_sendable)]  # of a server, in settings and guards.toml


class Upstream:
    """An OpenAI-compatible server; a context manager that keeps its connections."""

    def __init__(self, base_url: str, key: str | None = None, silence_s: float = 300.0) -> None:
        """`key` replaces the client's; `silence_s` is the longest wait for the next byte.

        Raises:
            UsageError: `base_url` is no http address, or holds a password.
        """
        self._at = urlsplit(base_url.rstrip("/"))
        if self._at.password:
            raise UsageError("a password does not belong into an address; use --upstream-key")
        tls = self._at.scheme == "https"
        try:
            self._port = self._at.port or (443 if tls else 80)
        except ValueError as error:
            raise UsageError(f"{base_url!r} is no http address: {error}") from error
        if self._at.scheme not in ("http", "https") or not self._at.hostname:
            raise UsageError(f"{base_url!r} is no http address")
        self._host = self._at.hostname
        self._key, self._silence_s = key, silence_s
        self._tls = ssl.create_default_context() if tls else None
        self._pool: list[Connection] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are waiting; answers under way go on."""
        for connection in list(self._pool):
            connection.abort()

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """The answer, its head read and its body on the way.

        Raises:
            UpstreamError: it does not answer.
        """
        request = self._request(method, path, headers, body)
        try:
            answer = await self._ask(await self._connection(), request)
        except Stale:
            answer = await self._ask(await self._connect(), request)
        if self._key and answer.status in DENIED:  # what it says of our key might repeat it
            answer.close()
            raise UpstreamError(502, "upstream_denied", "the upstream does not take our key")
        return answer

    def _request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
        own = {**headers, "authorization": f"Bearer {self._key}"} if self._key else headers
        lines = [
            f"{method} {self._at.path}{path} HTTP/1.1",
            f"host: {self._at.netloc.rpartition('@')[2]}",
            "accept-encoding: identity",
            f"content-length: {len(body)}",
            *(f"{name}: {value}" for name, value in own.items()),
        ]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

    async def _ask(self, connection: Connection, request: bytes) -> Answer:
        answer = connection.ask(request)
        try:
            while not answer.begun:
                if answer.error:
                    raise answer.error
                answer.news.clear()
                await answer.news.wait()
        except asyncio.CancelledError:
            answer.close()
            raise
        return answer

    async def _connection(self) -> Connection:
        while self._pool:
            connection = self._pool.pop()
            if not connection.closed:
                return connection
        return await self._connect()

    async def _connect(self) -> Connection:
        try:
            async with asyncio.timeout(CONNECT_S):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._pool, self._silence_s),
                    self._host,
                    self._port,
                    ssl=self._tls,
                )
        except TimeoutError as error:
            raise UpstreamError(
                504, "upstream_unreachable", "the upstream does not take connections"
            ) from error
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror or type(error).__name__
            raise UpstreamError(
                502, "upstream_unreachable", f"the upstream cannot be reached: {reason}"
            ) from error
        return connection
