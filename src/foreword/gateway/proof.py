"""What the upstream is proved to do, route by route, before a guarded request is sent there.

A chat that it does not continue ends the start. /completions and /responses are proved on
their own, since a server may differ there (Ollama puts a prompt into its chat template);
where one of them is not proved, no prefix is sent to it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from foreword.core.errors import ModelError
from foreword.defences.guard import Guard
from foreword.gateway.costs import token_costs
from foreword.gateway.faces import CHAT, RESPONSES, TEXT, Face, rendered
from foreword.gateway.policy import Policy
from foreword.gateway.rendered import render
from foreword.gateway.settings import Settings
from foreword.models.dialects import Dialect
from foreword.models.probe import (
    Continuation,
    NoContinuation,
    probe,
    probe_rendered,
    probe_responses,
    probe_text,
)
from foreword.models.server import Server
from foreword.models.templates import Template

# Of an upstream that was not probed, which is enough for guards with placement suffix.
SUFFIX = Continuation(Dialect("suffix"), echo=False, echo_stream=False)

log = logging.getLogger("foreword.gateway")


@dataclass(frozen=True)
class Proved:
    """How the upstream continues on each route; None where it does not, or nobody knows."""

    chat: Continuation = SUFFIX
    text: Continuation | None = None
    responses: Continuation | None = None
    costs: Mapping[str, int] = field(default_factory=dict)  # tokens by guard

    def on(self, face: Face) -> Continuation | None:
        """How it continues on a face's route."""
        ways = {CHAT.path: self.chat, TEXT.path: self.text, RESPONSES.path: self.responses}
        return ways[face.path]


def examine(settings: Settings, found: Policy) -> Proved:
    """What the live probe says of the upstream, as far as a policy needs it.

    Raises:
        NoContinuation: the upstream does not continue.
        ModelError: the upstream cannot be asked.
    """
    if not found.continues:
        return Proved()
    proved = prove(settings)
    return replace(proved, costs=measure(settings, found.guards, proved.chat))


def prove(settings: Settings, before: Proved | None = None) -> Proved:
    """What the live probe says; of a route that cannot be asked this time, what was known before.

    Raises:
        NoContinuation: the upstream does not continue a chat.
        ModelError: the upstream cannot be asked.
    """
    before = before or Proved()
    # Nobody is asked yet.
    template = None if settings.render is None else Template.load(settings.render)
    with _server(settings) as server:
        if template is not None:
            way = probe_rendered(server, lambda body: render(body, template))
            return replace(before, chat=way, text=way)
        way = probe(server, settings.dialect)
        text = _route(TEXT, lambda: probe_text(server, way.dialect), before)
        responses = _route(RESPONSES, lambda: probe_responses(server, way.dialect), before)
    return replace(before, chat=way, text=text, responses=responses)


def _route(
    face: Face, ask: Callable[[], Continuation | None], before: Proved
) -> Continuation | None:
    """What one more route is proved to do; a line in the log if it is not for us."""
    try:
        return ask()
    except NoContinuation as error:
        log.warning("%s is not served: %s", face.path, error)
        return None
    except ModelError as error:
        known = before.on(face)
        log.warning("%s stays %s: %s", face.path, "served" if known else "unserved", error)
        return known


def measure(settings: Settings, guards: Sequence[Guard], way: Continuation) -> dict[str, int]:
    """Tokens of each guard by its hash8, without those that cannot be known."""
    try:
        with _server(settings) as server:
            return token_costs(server, guards, chat(settings), way)
    except ModelError as error:
        log.warning("tokens of guards are not counted: %s", error)
        return {}


def chat(settings: Settings) -> Face:
    """By which prefixes are put on chats."""
    return CHAT if settings.render is None else rendered(Template.load(settings.render))


def _server(settings: Settings) -> Server:
    return Server(settings.upstream, settings.model, settings.secret)
