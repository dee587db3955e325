"""What a guard costs in tokens, as the server that bills them counts.

Each guard is put on one short request by the same functions as everywhere, and the
server is asked with and without it: the difference of its `usage.prompt_tokens` is the
cost. Measured once, with the probe. A server that does not count, or counts what no
words of that length can have, leaves the cost unknown; nothing is guessed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from foreword.core.errors import ModelError
from foreword.defences.guard import Guard
from foreword.gateway.faces import CHAT, Face
from foreword.models.dialects import REQUEST_FIELDS, Body
from foreword.models.probe import Continuation
from foreword.models.server import Server

log = logging.getLogger("foreword.gateway")


def token_costs(
    server: Server, guards: Iterable[Guard], face: Face, way: Continuation
) -> dict[str, int]:
    """Tokens by a guard's hash8; without those that cannot be known.

    Args:
        server: whom to ask, two short questions a guard.
        guards: of a policy.
        face: the route by which guards with placement prefix are put on.
        way: what the probe measured.
    """
    costs = {}
    for guard in guards:
        try:
            tokens = _cost(server, guard, face if guard.placement == "prefix" else CHAT, way)
        except ModelError as error:
            log.warning("tokens of guard %s are not counted: %s", guard.hash8, error)
            continue
        costs[guard.hash8] = tokens
    return costs


def _cost(server: Server, guard: Guard, face: Face, way: Continuation) -> int:
    question = {"role": "user", "content": "Say hello."}
    body: Body = {"model": server.model, "messages": [question], "max_tokens": 1}
    asked = face.guard(body, guard, way)
    bare = {key: value for key, value in asked.body.items() if key not in REQUEST_FIELDS}
    if "prompt" in bare:
        bare["prompt"] = bare["prompt"].removesuffix(asked.begun)
    else:
        bare["messages"] = [question]
    path = (face.sent or face.path).removeprefix("/v1")
    without, guarded = (server.prompt_tokens(path, each) for each in (bare, asked.body))
    most = len(guard.prefix.encode()) + 1  # a token has at least a byte; one for a line's end
    if not 0 < guarded - without <= most:
        raise ModelError(f"{without} without it and {guarded} with it cannot be")
    return guarded - without
