"""The HTTP face: routes, errors and headers; what is said is shaped elsewhere.

A request is read, guarded and sent; the answer is settled and passed on, as a
stream where the upstream streams. Whatever goes wrong is an error of the OpenAI
shape, after the first byte as an event of the stream. Nothing reaches the
upstream unguarded: a route that is not known here does not exist.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from time import perf_counter

import orjson

from foreword.defences.guard import Guard
from foreword.gateway import asgi
from foreword.gateway.answers import settle_chat, settle_text
from foreword.gateway.asgi import Receive, Request, Scope, Send, reply
from foreword.gateway.connection import Answer, UpstreamError
from foreword.gateway.metrics import Metrics
from foreword.gateway.requests import Asked, BadRequest, guard_chat, guard_prompt, read
from foreword.gateway.streams import Stream
from foreword.gateway.upstream import Upstream
from foreword.models.dialects import Body
from foreword.models.probe import Continuation

JSON, EVENTS, TEXT = "application/json", "text/event-stream", "text/plain; charset=utf-8"
# Of the client's headers only these go on, of the upstream's only these come back.
SENT = ("authorization", "x-request-id", "traceparent", "tracestate")
PASSED = ("x-request-id", "retry-after")
MAX_BODY = 8 * 2**20

log = logging.getLogger("foreword.gateway")


@dataclass(frozen=True)
class Reply:
    """What a client gets."""

    status: int
    content: bytes | AsyncGenerator[bytes]
    media_type: str = JSON
    headers: dict[str, str] | None = None


class Gateway:
    """One guard before one upstream: an ASGI application."""

    def __init__(
        self,
        upstream: Upstream,
        guard: Guard,
        way: Continuation,
        *,
        show_prefix: bool = False,
        max_body: int = MAX_BODY,
    ) -> None:
        """`way` is what the live probe measured; `max_body` is in bytes."""
        self._upstream, self._guard, self._way = upstream, guard, way
        self._show, self._max_body = show_prefix, max_body
        self._metrics = Metrics()
        self._guarded = self._metrics.guarded.labels(guard.hash8)
        self._headers = {
            "x-foreword-guard": guard.hash8,
            "x-foreword-dialect": way.dialect.name,
            "x-foreword-prefix": "shown" if show_prefix else "hidden",
        }
        self._routes: dict[tuple[str, str], Callable[[Request], Awaitable[Reply]]] = {
            ("POST", "/v1/chat/completions"): self.chat,
            ("POST", "/v1/completions"): self.completions,
            ("GET", "/v1/models"): self.models,
            ("GET", "/health/live"): self.live,
            ("GET", "/health/ready"): self.ready,
            ("GET", "/metrics"): self.metrics,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._live_on(receive, send)
        elif scope["type"] == "http":
            await self._serve(Request(scope, receive), send)

    async def _live_on(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._upstream:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, request: Request, send: Send) -> None:
        """Answer a request, unless its client leaves."""
        try:
            answer = await self._answer(request)
            await reply(
                send, answer.status, answer.headers or {}, answer.media_type, answer.content
            )
        except asgi.Gone:
            return
        except asyncio.CancelledError:
            if not request.gone:
                raise
        finally:
            request.close()

    async def _answer(self, request: Request) -> Reply:
        """What the client gets, whatever happens."""
        handle = self._routes.get((request.method, request.path))
        try:
            answer = await (handle or self._unknown)(request)
        except asgi.BodyTooLarge as error:
            answer = _failed(413, "body_too_large", str(error))
        except BadRequest as error:
            answer = _failed(400, "invalid_request", str(error))
        except UpstreamError as error:
            answer = _failed(error.status, error.code, str(error))
            self._metrics.failures.labels(error.code).inc()
        except asgi.Gone:
            raise
        except Exception:  # the one place that supervises a request
            log.exception("a request failed by our own fault")
            answer = _failed(500, "internal", "the gateway failed; its log says why")
        self._metrics.requests.labels(request.path if handle else "other", answer.status).inc()
        return answer

    async def chat(self, request: Request) -> Reply:
        """/v1/chat/completions."""
        raw = await request.body(self._max_body)
        start = perf_counter()
        asked = guard_chat(read(raw), self._guard, self._way.dialect)

        def settle(answer: Body) -> Body:
            return settle_chat(answer, asked.begun, echo=self._way.echo, show=self._show)

        return await self._relay(request, asked, self._way.echo_stream, settle, start)

    async def completions(self, request: Request) -> Reply:
        """/v1/completions."""
        raw = await request.body(self._max_body)
        start = perf_counter()
        asked = guard_prompt(read(raw), self._guard)

        def settle(answer: Body) -> Body:
            return settle_text(answer, asked.begun, show=self._show)

        return await self._relay(request, asked, False, settle, start)

    async def models(self, request: Request) -> Reply:
        """/v1/models, as the upstream lists them."""
        answer = await self._upstream.send("GET", "/models", _chosen(request.headers, SENT))
        return Reply(answer.status, await answer.whole(), answer.media_type or JSON)

    async def live(self, request: Request) -> Reply:
        """Whether the process runs."""
        return Reply(200, b"ok\n", TEXT)

    async def ready(self, request: Request) -> Reply:
        """Whether the upstream answers, and how it was proved to continue."""
        answer = await self._upstream.send("GET", "/models", {})
        await answer.whole()
        if answer.status >= 500:
            raise UpstreamError(503, "upstream_failing", f"the upstream says {answer.status}")
        way = self._way
        state = {"dialect": way.dialect.name, "echo": way.echo, "echo_stream": way.echo_stream}
        return Reply(200, orjson.dumps({"ready": True, "guard": self._guard.hash8, **state}))

    async def metrics(self, request: Request) -> Reply:
        """For Prometheus."""
        return Reply(200, self._metrics.page(), Metrics.MEDIA_TYPE)

    async def _unknown(self, request: Request) -> Reply:
        known = ", ".join(f"{method} {path}" for method, path in self._routes)
        return _failed(404, "not_found", f"this gateway has no such route; it has {known}")

    async def _relay(
        self,
        request: Request,
        asked: Asked,
        echo_stream: bool,
        settle: Callable[[Body], Body],
        start: float,
    ) -> Reply:
        """Send what is asked, and pass on what comes, settled."""
        headers = {"content-type": JSON, **_chosen(request.headers, SENT)}
        body, path = orjson.dumps(asked.body), request.path.removeprefix("/v1")
        sent = perf_counter()
        self._metrics.added.labels("request").observe(sent - start)
        self._guarded.inc()
        answer = await self._upstream.send("POST", path, headers, body)
        self._metrics.head.observe(perf_counter() - sent)
        back = {**self._headers, **_chosen(answer.headers, PASSED)}
        if answer.status == 200 and answer.media_type == EVENTS:
            choices = _choices(asked.body)
            stream = Stream(asked.begun, echo=echo_stream, show=self._show, choices=choices)
            return Reply(200, self._events(answer, stream), EVENTS, back)
        content = await answer.whole()
        if answer.status != 200:
            return Reply(answer.status, content, answer.media_type or JSON, back)
        start = perf_counter()
        settled = Reply(200, orjson.dumps(settle(_json(answer, content))), JSON, back)
        self._metrics.added.labels("answer").observe(perf_counter() - start)
        return settled

    async def _events(self, answer: Answer, stream: Stream) -> AsyncGenerator[bytes]:
        try:
            async with aclosing(answer.pieces()) as pieces:
                async for part in pieces:
                    if settled := stream.feed(part):
                        yield settled
            if settled := stream.end():
                yield settled
        except UpstreamError as error:
            self._metrics.failures.labels(error.code).inc()
            yield b"\n\ndata: " + asgi.error(str(error), error.code) + b"\n\n"


def _failed(status: int, code: str, message: str) -> Reply:
    return Reply(status, asgi.error(message, code))


def _chosen(headers: dict[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}


def _choices(body: Body) -> int | None:
    """How many choices a stream will have, if that can be told."""
    n, prompt = body.get("n", 1), body.get("prompt")
    return n if isinstance(n, int) and not isinstance(prompt, list) else None


def _json(answer: Answer, content: bytes) -> Body:
    if answer.media_type != JSON:
        raise UpstreamError(
            502, "upstream_foreign", f"the upstream answers in {answer.media_type!r}, not in JSON"
        )
    with suppress(orjson.JSONDecodeError):
        found = orjson.loads(content)
        if isinstance(found, dict):
            return found
    raise UpstreamError(502, "upstream_broken", "the upstream's answer is not a JSON object")
