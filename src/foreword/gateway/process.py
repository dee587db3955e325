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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import TypeAdapter
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from foreword.core.errors import ForewordError, ModelError
from foreword.defences.guard import Guard
from foreword.gateway.app import SUFFIX, Gateway
from foreword.gateway.asgi import Receive, Scope, Send
from foreword.gateway.audit import Audit, set_up_logs
from foreword.gateway.costs import token_costs
from foreword.gateway.faces import CHAT, Face, rendered
from foreword.gateway.policy import Policy, PolicyFile
from foreword.gateway.rendered import render
from foreword.gateway.settings import Settings
from foreword.gateway.traces import from_environment
from foreword.gateway.upstream import Upstream
from foreword.models.dialects import Dialect
from foreword.models.probe import Continuation, probe, probe_rendered, probe_responses
from foreword.models.server import Server
from foreword.models.templates import Template

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


@dataclass(frozen=True)
class Proved:
    """What was measured of the upstream at start."""

    chat: Continuation
    responses: Continuation | None = None
    costs: Mapping[str, int] = field(default_factory=dict)  # tokens by guard


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


def examine(settings: Settings, found: Policy) -> Proved:
    """What the live probe says of the upstream, as far as a policy needs it.

    Raises:
        NoContinuation: the upstream does not continue.
        ModelError: the upstream cannot be asked.
    """
    if not found.continues:
        return Proved(SUFFIX)
    way = prove(settings)
    return Proved(way, prove_responses(settings, way.dialect), measure(settings, found.guards, way))


def prove(settings: Settings) -> Continuation:
    """What the live probe says of chats.

    Raises:
        NoContinuation: the upstream does not continue.
        ModelError: the upstream cannot be asked.
    """
    # Nobody is asked yet.
    template = None if settings.render is None else Template.load(settings.render)
    with _server(settings) as server:
        if template is None:
            return probe(server, settings.dialect)
        return probe_rendered(server, lambda body: render(body, template))


def prove_responses(settings: Settings, way: Dialect) -> Continuation | None:
    """The same of the upstream's /responses; None, and a line in the log, if it is not for us."""
    if settings.render is not None:
        return None
    try:
        with _server(settings) as server:
            return probe_responses(server, way)
    except ModelError as error:
        log.warning("/v1/responses is not served: %s", error)
        return None


def measure(settings: Settings, guards: Sequence[Guard], way: Continuation) -> dict[str, int]:
    """Tokens of each guard by its hash8, without those that cannot be known."""
    try:
        with _server(settings) as server:
            return token_costs(server, guards, _chat(settings), way)
    except ModelError as error:
        log.warning("tokens of guards are not counted: %s", error)
        return {}


def _server(settings: Settings) -> Server:
    return Server(settings.upstream, settings.model, _key(settings))


def _chat(settings: Settings) -> Face:
    return CHAT if settings.render is None else rendered(Template.load(settings.render))


def build(settings: Settings, proved: Proved) -> Gateway:
    """The application of one worker, from what was measured.

    Raises:
        UsageError: a file or an address cannot be used.
    """
    return Gateway(
        Upstream(settings.upstream, _key(settings), settings.silence),
        policy(settings) if settings.guard else _file(settings),
        proved.chat,
        show_prefix=settings.show_prefix,
        max_body=settings.max_body,
        audit=Audit(settings.audit, prompts=settings.log_prompts),
        prove=lambda: prove(settings),
        traces=from_environment(),
        responses=proved.responses,
        prove_responses=lambda way: prove_responses(settings, way),
        chat=_chat(settings),
        costs=proved.costs,
        measure=lambda guards, way: measure(settings, guards, way),
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
        gateway = build(settings, proved)
    except ForewordError as error:  # the parent tries again until the file is mended
        log.error("a worker cannot start: %s", error)
        raise SystemExit(1) from error
    _freeze()
    return gateway


def _handed(settings: Settings, proved: Proved) -> str:
    said = settings.model_dump(mode="json", exclude_none=True)
    said["upstream_key"] = _key(settings)
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


def _key(settings: Settings) -> str | None:
    return settings.upstream_key.get_secret_value() if settings.upstream_key else None


def _freeze() -> None:
    gc.collect()
    gc.freeze()  # a full collection would stop all requests to look through what never dies
