"""Spans of requests through a live gateway, as an exporter gets them."""

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from foreword import Guard
from foreword.core.errors import ConfigError
from foreword.gateway import traces
from foreword.gateway.app import Gateway
from foreword.gateway.policy import Policy
from foreword.gateway.proof import Proved
from foreword.gateway.upstream import Upstream
from foreword.models.dialects import dialect
from foreword.models.probe import Continuation
from foreword.testing.servers import RawServer, running

GUARD = Guard(prefix="As an honest agent, I", target="t")
WAY = Continuation(dialect("ollama"), echo=False, echo_stream=False)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def serve(answer, asked):
    def write(sock, request, n):
        asked.append(request)
        sock.sendall(answer)

    return RawServer(write)


def test_a_request_and_its_upstream_are_spans_of_the_clients_trace():
    exporter, asked = InMemorySpanExporter(), []
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = traces.Traces(provider.get_tracer("test"))
    body = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}}]}'
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    with serve(head.encode() + b"\r\n\r\n" + body, asked) as server:
        gateway = Gateway(Upstream(server.url), Policy.of(GUARD), Proved(WAY), traces=tracing)
        with running(gateway) as url, httpx.Client(base_url=url) as client:
            ask = {"model": "m", "messages": [{"role": "user", "content": "secret words"}]}
            headers = {"traceparent": PARENT}
            assert client.post("/chat/completions", json=ask, headers=headers).status_code == 200
            assert client.post("/chat/completions", content=b"{").status_code == 400
    upstream, request, failed = exporter.get_finished_spans()
    assert (upstream.name, request.name) == ("upstream", "POST /v1/chat/completions")
    trace, span = PARENT.split("-")[1:3]
    assert format(request.context.trace_id, "032x") == trace
    assert format(request.parent.span_id, "016x") == span
    assert upstream.parent.span_id == request.context.span_id
    ours = f"{trace}-{upstream.context.span_id:016x}"
    assert f"traceparent: 00-{ours}-01".encode() in asked[0]
    assert request.attributes["gen_ai.request.model"] == "m"
    assert request.attributes["foreword.guard"] == GUARD.hash8
    assert request.attributes["foreword.outcome"] == "ok"
    assert "secret" not in str(dict(request.attributes))
    assert failed.attributes["http.response.status_code"] == 400


def test_nothing_is_traced_unless_the_environment_asks(monkeypatch):
    for name in traces.ASKED_BY:
        monkeypatch.delenv(name, raising=False)
    assert traces.from_environment() is None
    monkeypatch.setenv(traces.ASKED_BY[0], "http://127.0.0.1:9")
    assert isinstance(traces.from_environment(), traces.Traces)
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match=r"foreword\[otel\]"):
        traces.from_environment()
