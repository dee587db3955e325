"""One request to the upstream and back, under the checks of the policy.

The upstream works while the request is looked at, but nobody hears it before the
checks have let it pass. What comes back is settled, looked at in its turn, and told
to the client; what goes wrong after the first byte is told as an event.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, nullcontext, suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import orjson

from foreword.gateway import asgi
from foreword.gateway.audit import Record, names
from foreword.gateway.checks import Blocked, Checks
from foreword.gateway.connection import Answer, UpstreamError
from foreword.gateway.faces import Face
from foreword.gateway.metrics import Metrics
from foreword.gateway.refusals import Heard, Refusals
from foreword.gateway.requests import Asked
from foreword.gateway.spoken import conversation, replies, withheld
from foreword.gateway.traces import Traces
from foreword.gateway.upstream import Upstream
from foreword.gateway.windows import in_windows
from foreword.models.dialects import Body
from foreword.models.probe import Continuation

JSON, EVENTS = "application/json", "text/event-stream"
log = logging.getLogger("foreword.gateway")
PASSED = ("x-request-id", "retry-after")  # of the upstream's headers only these come back


@dataclass(frozen=True)
class Reply:
    """What a client gets."""

    status: int
    content: bytes | AsyncGenerator[bytes]
    media_type: str = JSON
    headers: dict[str, str] | None = None


@dataclass
class Exchange:
    """What one request needs on its way; made anew for each."""

    upstream: Upstream
    metrics: Metrics
    refusals: Refusals
    costs: Mapping[str, int]  # tokens by guard
    traces: Traces | None
    way: Continuation
    show: bool
    face: Face
    record: Record
    listening: Checks | None = field(default=None, init=False)  # to the reply
    messages: list[dict[str, Any]] = field(default_factory=list, init=False)

    async def run(
        self,
        asked: Asked,
        headers: Mapping[str, str],
        checks: Checks,
        body: Body,
        start: float,
    ) -> Reply:
        """What the client gets.

        Args:
            asked: the guarded request.
            headers: that go with it.
            checks: of the policy.
            body: the request as the client sent it, which is what the checks read.
            start: when the gateway began its work, by `perf_counter`.

        Raises:
            Blocked: a check stops the request, or cannot judge it or its reply.
            UpstreamError: the upstream fails before its first byte.
        """
        if not checks.at("request") and not checks.at("reply"):
            return await self._relay(await self._send(asked, headers, start), asked)
        self.messages = conversation(self.face.path, body)
        self.listening = checks if checks.at("reply") else None
        under_way = asyncio.ensure_future(self._send(asked, headers, start))
        try:
            if checks.at("request"):
                await checks.judge(self.record.heard, "request", self.messages)
        except BaseException:
            under_way.cancel()
            with suppress(asyncio.CancelledError, UpstreamError):
                (await under_way).close()
            raise
        return await self._relay(await under_way, asked)

    async def _send(self, asked: Asked, headers: Mapping[str, str], start: float) -> Answer:
        content = orjson.dumps(asked.body)
        path = (self.face.sent or self.face.path).removeprefix("/v1")
        sent = perf_counter()
        self.metrics.added.labels("request").observe(sent - start)
        with self.traces.upstream(headers) if self.traces else nullcontext(headers) as carried:
            answer = await self.upstream.send("POST", path, carried, content)
        self.metrics.head.observe(perf_counter() - sent)
        return answer

    async def _relay(self, answer: Answer, asked: Asked) -> Reply:
        record = self.record
        if record.guard != "off":
            self.metrics.guarded.labels(record.guard).inc()
            if tokens := self.costs.get(record.guard):
                prompts = asked.body.get("prompt")  # of several each has the prefix
                times = len(prompts) if isinstance(prompts, list) else 1
                self.metrics.prefix.labels(record.guard).inc(tokens * times)
        back = {
            "x-request-id": record.id,
            "x-foreword-guard": record.guard,
            "x-foreword-dialect": self.way.dialect.name,
            "x-foreword-prefix": "shown" if self.show else "hidden",
            **chosen(answer.headers, PASSED),
        }
        record.id = back["x-request-id"]  # the one that the client sees
        begun = "" if self.show else asked.begun  # what the checks do not see in the answer
        if answer.status < 300 and answer.media_type == EVENTS:
            events = self._events(answer, asked)
            if self.listening:
                heard = record.heard
                events = in_windows(events, self.listening, self.messages, begun, heard)
            return Reply(200, self._told(events), EVENTS, _flagged(back, record))
        content = await answer.whole()
        if answer.status >= 300:
            return Reply(answer.status, content, answer.media_type or JSON, back)
        start = perf_counter()
        settled = self.face.settle(_json(answer, content), asked.begun, self.way, self.show)
        self.metrics.added.labels("answer").observe(perf_counter() - start)
        if self.listening:
            settled = await self._judged(settled, begun, self.listening)
        try:
            told = orjson.dumps(settled)
        except orjson.JSONEncodeError as error:
            raise UpstreamError(502, "upstream_broken", "the upstream nests too deeply") from error
        if not record.outcome:  # nothing was withheld
            self.refusals.hear(record.guard, asked.begun, settled)
        return Reply(200, told, JSON, _flagged(back, record))

    async def _judged(self, settled: Body, begun: str, checks: Checks) -> Body:
        """A whole answer that the checks let pass, or what is left of it."""
        try:
            said = [begun + text for text in replies(settled)]
            await checks.judge(self.record.heard, "reply", self.messages, said)
        except Blocked as stopped:
            if not stopped.judged:
                raise
            self.record.outcome = stopped.code
            return withheld(settled, str(stopped))
        return settled

    async def _events(self, answer: Answer, asked: Asked) -> AsyncGenerator[bytes]:
        """A stream as the client gets it; its beginning is also kept for the metrics."""
        stream, heard = self.face.stream(asked, self.way, self.show), Heard()
        async with aclosing(answer.pieces()) as pieces:
            async for part in pieces:
                if settled := stream.feed(part):
                    if not heard.full:
                        heard.keep(settled)
                    yield settled
        if settled := stream.end():
            yield settled
        self.refusals.hear(self.record.guard, asked.begun, heard)

    async def _told(self, events: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """The events, and after them as an event what went wrong."""
        try:
            async with aclosing(events):
                async for part in events:
                    yield part
        except UpstreamError as error:
            self.record.outcome = error.code
            self.metrics.failures.labels(error.code).inc()
            yield b"\n\ndata: " + asgi.error(str(error), error.code) + b"\n\n"
        except Blocked as stopped:
            self.record.outcome = stopped.code
            yield b"\n\ndata: " + asgi.error(str(stopped), stopped.code) + b"\n\n"
        except Exception:  # supervises what comes after the first byte, as `app` does before it
            log.exception("a stream failed by our own fault")
            self.record.outcome = "internal"
            yield b"\n\ndata: " + asgi.error("the gateway failed", "internal") + b"\n\n"


def _flagged(headers: dict[str, str], record: Record) -> dict[str, str]:
    flagged = names(record.heard, "flag")
    return {**headers, "x-foreword-flagged": flagged} if flagged else headers


def chosen(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    """Those of the headers that are named."""
    return {name: headers[name] for name in names if name in headers}


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
