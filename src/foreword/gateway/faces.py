"""The routes on which a model speaks: how each is guarded, settled and streamed.

One row a route; the pure functions are in `requests`, `answers`, `streams`, `responses`
and `rendered`. Everything else a request goes through is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from foreword.defences.guard import Guard
from foreword.gateway.answers import settle_chat, settle_text
from foreword.gateway.rendered import RenderedStream, guard_rendered, settle_rendered
from foreword.gateway.requests import Asked, guard_chat, guard_prompt
from foreword.gateway.responses import ResponsesStream, guard_responses, settle_responses
from foreword.gateway.streams import Stream
from foreword.models.dialects import Body
from foreword.models.probe import Continuation
from foreword.models.templates import Template


class Settling(Protocol):
    """Takes the upstream's bytes in any pieces, gives the client's."""

    def feed(self, data: bytes) -> bytes:
        """The client's bytes for some of the upstream's."""
        ...

    def end(self) -> bytes:
        """What is left when the upstream has closed."""
        ...


@dataclass(frozen=True)
class Face:
    """One route: request, whole answer and stream (`show`: the prefix is not hidden)."""

    path: str
    guard: Callable[[Body, Guard, Continuation], Asked]
    settle: Callable[[Body, str, Continuation, bool], Body]
    stream: Callable[[Asked, Continuation, bool], Settling]
    sent: str = ""  # the server's route, if it is another


def _choices(body: Body) -> int | None:
    """How many choices a stream will have, if that can be told."""
    n, prompt = body.get("n", 1), body.get("prompt")
    return n if isinstance(n, int) and not isinstance(prompt, list) else None


CHAT = Face(
    "/v1/chat/completions",
    lambda body, guard, way: guard_chat(body, guard, way.dialect),
    lambda answer, begun, way, show: settle_chat(answer, begun, echo=way.echo, show=show),
    lambda asked, way, show: Stream(
        asked.begun, echo=way.echo_stream, show=show, choices=_choices(asked.body)
    ),
)
TEXT = Face(
    "/v1/completions",
    lambda body, guard, way: guard_prompt(body, guard),
    lambda answer, begun, way, show: settle_text(answer, begun, show=show),
    lambda asked, way, show: Stream(
        asked.begun, echo=False, show=show, choices=_choices(asked.body)
    ),
)
RESPONSES = Face(
    "/v1/responses",
    lambda body, guard, way: guard_responses(body, guard, way.dialect),
    lambda answer, begun, way, show: settle_responses(answer, begun, echo=way.echo, show=show),
    lambda asked, way, show: ResponsesStream(
        asked.begun, echo=way.echo_stream, echo_whole=way.echo, show=show
    ),
)


def rendered(template: Template) -> Face:
    """The chat before a server that continues none: asked by its /completions."""
    return Face(
        CHAT.path,
        lambda body, guard, way: guard_rendered(body, guard, template),
        lambda answer, begun, way, show: settle_rendered(answer, begun, show=show),
        lambda asked, way, show: RenderedStream(asked.begun, show=show),
        sent=TEXT.path,
    )
