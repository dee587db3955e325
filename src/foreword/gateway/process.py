"""The process around a gateway: one worker or several on one socket.

Several share the socket and the audit log; each counts rate limits for itself, and
/metrics adds them up. What the probe measured is handed to each worker, so that the
upstream is asked once.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import TypeAdapter
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from foreword.core.errors import ForewordError
from foreword.defences.guard import Guard
from foreword.gateway.app import Gateway
from foreword.gateway.asgi import Receive, Scope, Send
from foreword.gateway.audit import Audit, set_up_logs
from foreword.gateway.policy import Policy, PolicyFile
from foreword.gateway.proof import SUFFIX, Proved, chat, examine, measure, prove
from foreword.gateway.settings import Settings
from foreword.gateway.traces import from_environment
from foreword.gateway.upstream import Upstream

DRAIN_S = 30  # for requests under way when the gateway is told to stop
START_S = 30  # for a worker to say that it is alive; many at once start slowly
MAX_HEAD = 64 * 1024  # bytes of a request's line and headers
HEAD_S = 30.0  # for a client to send them
_WORKER = "FOREWORD_WORKER"  # settings and probe for the workers, as JSON
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)

log = logging.getLogger("foreword.gateway")


_PROVED: TypeAdapter[Proved] = TypeAdapter(Proved)


class Bounded(HttpToolsProtocol):
    """uvicorn's HTTP, which by itself takes a head of any size and any slowness."""

    _head = 0
    _heading = True
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """asyncio: a client has come."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: it has gone."""
        if self._late:
            self._late.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """asyncio: it says something."""
        self._head += len(data)
        super().data_received(data)
        if self._heading and self._head > MAX_HEAD and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """httptools: a request begins."""
        super().on_message_begin()
        if not self._heading:
            self._heading, self._head = True, 0
            self._wait()

    def on_headers_complete(self) -> None:
        """httptools: its head is complete."""
        self._heading = False
        if self._late:
            self._late.cancel()
        if self._head > MAX_HEAD:  # it came at once, perhaps with a body
            lines = sum(len(name) + len(value) + 4 for name, value in self.headers)
            if len(self.url) + lines > MAX_HEAD:
                self.app, self.url = _too_large, b"/"
        super().on_headers_complete()

    def _wait(self) -> None:
        self._late = self.loop.call_later(HEAD_S, self.transport.close)


class Workers(Multiprocess):
    """uvicorn's, which by itself waits START_S for the answer of a worker that has just died."""

    def keep_subprocess_alive(self) -> None:
        """uvicorn: look after the workers, twice a second."""
        for process in self.processes:
            process.child_conn.close()  # the worker's own end alone, so that its death ends it
        super().keep_subprocess_alive()


async def _too_large(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 431, "headers": headers})
    await send({"type": "http.response.body"})


def policy(settings: Settings) -> Policy:
    """Which guard for whom, as the files say now.

    Raises:
        ConfigError: a file cannot be used.
    """
    if settings.guard is not None:
        return Policy.of(Guard.load(settings.guard))
    return _file(settings).load()


def _file(settings: Settings) -> PolicyFile:
    return PolicyFile(settings.guards or Path())


def build(settings: Settings, proved: Proved) -> Gateway:
    """The application of one worker, from what was measured.

    Raises:
        UsageError: a file or an address cannot be used.
    """
    return Gateway(
        Upstream(settings.upstream, settings.secret, settings.silence),
        policy(settings) if settings.guard else _file(settings),
        proved,
        show_prefix=settings.show_prefix,
        max_body=settings.max_body,
        audit=Audit(settings.audit, prompts=settings.log_prompts),
        prove=lambda before: prove(settings, before),
        measure=lambda guards, way: measure(settings, guards, way),
        traces=from_environment(),
        chat=chat(settings),
    )


def run(settings: Settings, proved: Proved, gateway: Gateway, at: socket.socket) -> None:
    """Serve until told to stop; requests under way have DRAIN_S to end."""
    if settings.workers == 1:
        set_up_logs(settings.log_level, settings.log_format)
        _freeze()
        uvicorn.Server(_config(gateway)).run(sockets=[at])
        return
    with tempfile.TemporaryDirectory(prefix="foreword-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        os.environ[_WORKER] = _handed(settings, proved)
        config = _config(f"{__name__}:worker", factory=True, workers=settings.workers)
        Workers(config, sockets=[at]).run()


def worker() -> Gateway:
    """The application of a worker, from what its parent hands on."""
    handed = json.loads(os.environ[_WORKER])
    proved = _PROVED.validate_python(handed["proved"])
    settings = Settings(**handed["settings"])
    set_up_logs(settings.log_level, settings.log_format)
    try:
        # What the parent measured is of its start; the policy may have become another.
        if proved.chat == SUFFIX:
            proved = examine(settings, policy(settings))
        gateway = build(settings, proved)
    except ForewordError as error:  # the parent tries again until it is mended
        log.error("a worker cannot start: %s", error)
        raise SystemExit(1) from error
    _freeze()
    return gateway


def _handed(settings: Settings, proved: Proved) -> str:
    said = settings.model_dump(mode="json", exclude_none=True)
    said["upstream_key"] = settings.secret
    return json.dumps({"settings": said, "proved": _PROVED.dump_python(proved, mode="json")})


def _config(app: Gateway | str | Callable[..., Any], **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Bounded,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN_S,
        timeout_worker_healthcheck=START_S,
        **more,
    )


def _freeze() -> None:
    gc.collect()
    gc.freeze()  # a full collection would stop all requests to look through what never dies
