"""The HTTP face: routes, callers, errors and headers; what is said is shaped elsewhere.

A request is admitted, read, guarded, checked and sent; the answer is settled, checked
and passed on, as a stream where the upstream streams. Whatever goes wrong is an error
of the OpenAI shape, after the first byte as an event of the stream. Nothing reaches
the upstream unguarded: a route that is not known here does not exist.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import replace
from time import monotonic, perf_counter

import orjson

from foreword.core.errors import ForewordError
from foreword.defences.guard import Guard
from foreword.gateway import asgi
from foreword.gateway.asgi import Receive, Request, Scope, Send, reply
from foreword.gateway.audit import Audit, Record
from foreword.gateway.checks import Blocked, Checks
from foreword.gateway.connection import UpstreamError
from foreword.gateway.exchange import JSON, Exchange, Reply, chosen
from foreword.gateway.faces import CHAT, RESPONSES, TEXT, Face
from foreword.gateway.keys import Denied, opts_out
from foreword.gateway.metrics import Metrics
from foreword.gateway.policy import Policy, PolicyFile
from foreword.gateway.proof import SUFFIX, Proved
from foreword.gateway.refusals import Refusals
from foreword.gateway.requests import MAX_BODY, Asked, BadRequest, read
from foreword.gateway.traces import Traces
from foreword.gateway.upstream import Upstream
from foreword.models.probe import Continuation, NoContinuation

TEXT_PLAIN = "text/plain; charset=utf-8"
# Of the client's headers only these go on.
SENT = ("authorization", "x-request-id", "traceparent", "tracestate")
BODY_S = 60.0  # for a client to send its body
WATCH_S = 1.0  # between looks at guards.toml
PROBE_S = 10.0  # between probes on demand, which cost the upstream a few tokens

log = logging.getLogger("foreword.gateway")


class Gateway:
    """A policy before one upstream: an ASGI application."""

    def __init__(
        self,
        upstream: Upstream,
        policy: Policy | PolicyFile,
        proved: Proved,
        *,
        show_prefix: bool = False,
        max_body: int = MAX_BODY,
        audit: Audit | None = None,
        prove: Callable[[Proved], Proved] | None = None,
        measure: Callable[[Sequence[Guard], Continuation], Mapping[str, int]] | None = None,
        traces: Traces | None = None,
        chat: Face = CHAT,
    ) -> None:
        """Set up; nothing is connected before the first request.

        Args:
            upstream: whom to ask.
            policy: which guard for whom; a file is read again when it changes.
            proved: what the live probe measured.
            show_prefix: show clients the guard's words, too.
            max_body: bytes of a request.
            audit: where requests are recorded.
            prove: the live probe, for when it is asked for again; told what was known before.
            measure: tokens of guards that come later.
            traces: where spans of requests go.
            chat: by which prefixes are put on chats, if the upstream continues none itself.

        Raises:
            ConfigError: the policy's file cannot be used.
        """
        self._upstream, self._proved = upstream, proved
        self._prove, self._measure = prove, measure
        self._show, self._max_body = show_prefix, max_body
        self._audit, self._traces = audit or Audit(), traces
        self._metrics = Metrics()
        self._refusals = Refusals(self._metrics.replies)
        self._file = policy if isinstance(policy, PolicyFile) else None
        self._policy = policy.load() if isinstance(policy, PolicyFile) else policy
        self._checks = Checks(self._policy.checks, self._metrics)
        self._probing, self._probed = asyncio.Lock(), -PROBE_S
        self._unproved = ""  # why no prefix is sent
        if self._policy.continues and proved.chat == SUFFIX:
            self._unproved = "the upstream was not probed; ask /health/ready?probe=true"
        self._routes: dict[tuple[str, str], Callable[[Request, Record], Awaitable[Reply]]] = {
            ("POST", CHAT.path): self._speaking(CHAT, chat),
            ("POST", TEXT.path): self._speaking(TEXT, TEXT),
            ("POST", RESPONSES.path): self._speaking(RESPONSES, RESPONSES),
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
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._upstream)
            watching = asyncio.create_task(self._watch())
            stack.callback(watching.cancel)
            await send({"type": "lifespan.startup.complete"})
            await receive()
        self._checks.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _watch(self) -> None:
        """Take over guards.toml when it changes; a broken one changes nothing."""
        while self._file:
            await asyncio.sleep(WATCH_S)
            if not self._file.changed():
                continue
            try:
                policy = self._file.load()
                checks = Checks(policy.checks, self._metrics)
                if policy.continues and self._proved.chat == SUFFIX and self._prove:
                    self._proved = await asyncio.to_thread(self._prove, self._proved)
                    self._unproved = ""
                known = self._proved.costs
                new = [each for each in policy.guards if each.hash8 not in known]
                if policy.continues and new and self._measure:
                    found = await asyncio.to_thread(self._measure, new, self._proved.chat)
                    self._proved = replace(self._proved, costs={**known, **found})
            except ForewordError as error:
                log.error("the old policy stays: %s", error)
                self._metrics.reloads.labels("failed").inc()
                continue
            before, self._checks, self._policy = self._checks, checks, policy
            before.close()
            self._metrics.reloads.labels("done").inc()
            log.warning("%s was read again", self._file.path)

    async def _serve(self, request: Request, send: Send) -> None:
        """Answer a request, unless its client leaves."""
        record = Record(request.path, request.headers.get("x-request-id") or secrets.token_hex(8))
        span = self._traces.request(request, record) if self._traces else nullcontext()
        try:
            with span:
                await self._tell(request, record, send)
        except asgi.Gone:
            record.outcome = "client gone"
        except asyncio.CancelledError:
            record.outcome = "client gone"
            if not request.gone:
                raise
        finally:
            request.close()
            if record.model or record.status >= 400:
                self._audit.keep(record)

    async def _tell(self, request: Request, record: Record, send: Send) -> None:
        answer = await self._answer(request, record)
        record.status = answer.status
        await reply(send, answer.status, answer.headers or {}, answer.media_type, answer.content)

    async def _answer(self, request: Request, record: Record) -> Reply:
        """What the client gets, whatever happens."""
        handle = self._routes.get((request.method, request.path))
        try:
            answer = await (handle or self._unknown)(request, record)
            record.outcome = record.outcome or ("ok" if answer.status < 400 else "upstream")
        except TimeoutError:
            late, close = f"no whole body in {BODY_S:g} s", {"connection": "close"}
            answer = _failed(record, 408, "body_too_slow", late, close)
        except asgi.BodyTooLarge as error:
            answer = _failed(record, 413, "body_too_large", str(error))
        except orjson.JSONEncodeError:  # deeper than what can be written again
            answer = _failed(record, 400, "invalid_request", "the body is nested too deeply")
        except BadRequest as error:
            answer = _failed(record, 400, "invalid_request", str(error))
        except Denied as error:
            answer = _failed(record, error.status, error.code, str(error), error.headers)
        except Blocked as error:
            answer = _failed(record, 400 if error.judged else 503, error.code, str(error))
        except UpstreamError as error:
            answer = _failed(record, error.status, error.code, str(error))
            self._metrics.failures.labels(error.code).inc()
        except asgi.Gone:
            raise
        except Exception:  # the one place that supervises a request
            log.exception("a request failed by our own fault")
            answer = _failed(record, 500, "internal", "the gateway failed; its log says why")
        self._metrics.requests.labels(request.path if handle else "other", answer.status).inc()
        return answer

    def _speaking(
        self, face: Face, beginning: Face
    ) -> Callable[[Request, Record], Awaitable[Reply]]:
        """A route; by `beginning` go the requests whose reply must begin with a prefix."""

        async def handle(request: Request, record: Record) -> Reply:
            policy, checks = self._policy, self._checks  # the same for all of this request
            caller = policy.ring.admit(request.headers)
            record.key = caller.name
            raw = await request.body(self._max_body, BODY_S)
            start = perf_counter()
            body = read(raw)
            record.raw, record.model = raw, str(body.get("model") or "-")
            guard = None
            if not opts_out(caller, request.headers):
                tools = bool(body.get("tools") or body.get("functions"))  # the older name
                guard = policy.guard_for(str(body.get("model") or ""), caller, tools=tools)
                if self._unproved and guard.placement == "prefix":
                    raise UpstreamError(503, "not_continuing", self._unproved)
            record.guard = guard.hash8 if guard else "off"
            begins = guard is not None and guard.placement == "prefix"
            spoken = beginning if begins else face
            way = self._proved.on(face) if begins else SUFFIX
            if way is None:
                reason = f"{face.path} is not served: the upstream does not continue a prefix there"
                return _failed(record, 404, "not_found", reason)
            asked = spoken.guard(body, guard, way) if guard else Asked(body, "")
            headers = {"content-type": JSON, **chosen(request.headers, SENT)}
            if policy.ring.callers:
                headers.pop("authorization", None)  # it is ours, not the upstream's
            exchange = Exchange(
                self._upstream,
                self._metrics,
                self._refusals,
                self._proved.costs,
                self._traces,
                way,
                self._show,
                spoken,
                record,
            )
            return await exchange.run(asked, headers, checks, body, start)

        return handle

    async def models(self, request: Request, record: Record) -> Reply:
        """/v1/models, as the upstream lists them."""
        self._policy.ring.admit(request.headers)
        headers = {} if self._policy.ring.callers else chosen(request.headers, SENT)
        answer = await self._upstream.send("GET", "/models", headers)
        return Reply(answer.status, await answer.whole(), answer.media_type or JSON)

    async def live(self, request: Request, record: Record) -> Reply:
        """Whether the process runs."""
        return Reply(200, b"ok\n", TEXT_PLAIN)

    async def ready(self, request: Request, record: Record) -> Reply:
        """Whether the upstream answers and continues; with ?probe=true it is asked again."""
        answer = await self._upstream.send("GET", "/models", {})
        await answer.whole()
        if answer.status >= 500:
            raise UpstreamError(503, "upstream_failing", f"the upstream says {answer.status}")
        if self._policy.continues and request.query == "probe=true":
            await self._probe()
        if self._policy.continues and self._unproved:
            raise UpstreamError(503, "not_continuing", self._unproved)
        if self._audit.broken:
            raise UpstreamError(503, "audit_failing", self._audit.broken)
        way = self._proved.chat
        state = {"dialect": way.dialect.name, "echo": way.echo, "echo_stream": way.echo_stream}
        guards = [route.guard.hash8 for route in self._policy.routes]
        return Reply(200, orjson.dumps({"ready": True, "guards": guards, **state}))

    async def _probe(self) -> None:
        """Prove again that the upstream continues; from a no to a yes no prefix is sent to it.

        Raises:
            UpstreamError: it cannot be asked, which proves nothing.
        """
        async with self._probing:  # one at a time, so that no old word overwrites a newer one
            if self._prove is None or monotonic() - self._probed < PROBE_S:
                return
            try:
                found = await asyncio.to_thread(self._prove, self._proved)
                self._proved = replace(found, costs=self._proved.costs)  # some may be new
                self._unproved = ""
            except NoContinuation as error:
                self._unproved = str(error)
                log.error("the upstream failed the probe: %s", error)
            except ForewordError as error:
                raise UpstreamError(503, "probe_failed", str(error)) from error
            finally:
                self._probed = monotonic()

    async def metrics(self, request: Request, record: Record) -> Reply:
        """For Prometheus."""
        return Reply(200, self._metrics.page(), Metrics.MEDIA_TYPE)

    async def _unknown(self, request: Request, record: Record) -> Reply:
        known = ", ".join(f"{method} {path}" for method, path in self._routes)
        return _failed(record, 404, "not_found", f"this gateway has no such route; it has {known}")


def _failed(
    record: Record, status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> Reply:
    record.outcome = code
    return Reply(
        status, asgi.error(message, code), headers={**(headers or {}), "x-request-id": record.id}
    )
