"""OpenTelemetry spans, where its own variables ask for them.

One span a request, one for the upstream below it; a client's `traceparent` is taken up
and the upstream gets ours. Attributes are names and numbers, never words of a prompt.
Without OTEL_EXPORTER_OTLP_ENDPOINT nothing is imported and nothing costs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from foreword.core.errors import ConfigError
from foreword.gateway.asgi import Request
from foreword.gateway.audit import Record

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

ASKED_BY = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Traces:
    """Spans of one tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def request(self, request: Request, record: Record) -> Iterator[None]:
        """A span around a request, the attributes of its record set at the end."""
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind, StatusCode

        with self._tracer.start_as_current_span(
            f"{request.method} {request.path}",
            context=extract(request.headers),
            kind=SpanKind.SERVER,
        ) as span:
            try:
                yield
            finally:
                span.set_attributes(
                    {
                        "http.response.status_code": record.status,
                        "gen_ai.request.model": record.model,
                        "foreword.request_id": record.id,
                        "foreword.guard": record.guard,
                        "foreword.outcome": record.outcome,
                    }
                )
                if record.status >= 500:
                    span.set_status(StatusCode.ERROR, record.outcome)

    @contextmanager
    def upstream(self, headers: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """A span until the upstream begins its answer; gives the headers that carry it on."""
        from opentelemetry.propagate import inject
        from opentelemetry.trace import SpanKind

        with self._tracer.start_as_current_span("upstream", kind=SpanKind.CLIENT):
            carried = dict(headers)
            inject(carried)
            yield carried


def from_environment() -> Traces | None:
    """Traces that are exported by OTLP over HTTP, if the environment says where to.

    Raises:
        ConfigError: it does, but OpenTelemetry is not installed.
    """
    if not any(os.environ.get(name) for name in ASKED_BY):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError(
            f"{ASKED_BY[0]} is set, but OpenTelemetry is not here: pip install 'foreword[otel]'"
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "foreword"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider.get_tracer("foreword"))
