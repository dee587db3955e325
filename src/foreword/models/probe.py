"""Does this server really continue a prefix? Ask it, before a guard is trusted.

Four beginnings whose only sensible continuation is known, three of them cut in
the middle of a word: no new turn ever opens with "omus". They are counting and
copying, which a model still can after any fine-tuning. Many servers take a
trailing assistant message, close it in silence and begin a new turn; a guard
before such a server would do nothing and look as if it worked. Asked whole and
as a stream, because the echo of the beginning differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from foreword.core.errors import ModelError
from foreword.models.dialects import DISTINCT, RENDERED, Body, Dialect, dialect, opened
from foreword.models.server import Rejected, Server

TOKENS = 4  # fewer than any beginning has: an answer that repeats one can only be an echo
NEEDED = 3  # of the four, because a small model may slip once
NO_ROUTE = (404, 405, 501)  # what servers say of a route that they do not have


@dataclass(frozen=True)
class Beginning:
    """A question, the reply's first words, and how every model goes on."""

    question: str
    prefix: str
    goes_on: str


BEGINNINGS = (
    Beginning("Count from 1 to 12, separated by commas.", "1, 2, 3, 4, 5, 6, 7, 8, 9, 1", "0"),
    Beginning("Recite the English alphabet.", "A, B, C, D, E, F, G, H, I, J, K,", "L"),
    Beginning(
        "Write Wednesday eight times.",
        "Wednesday, Wednesday, Wednesday, Wednesday, Wednes",
        "day",
    ),
    Beginning(
        "Say hippopotamus six times.",
        "hippopotamus hippopotamus hippopotamus hippopot",
        "omus",
    ),
)


@dataclass(frozen=True)
class Continuation:
    """A server that continues: how it is asked, and where its answers repeat the beginning."""

    dialect: Dialect
    echo: bool  # in whole answers
    echo_stream: bool  # in streams


class NoContinuation(ModelError):
    """A server that closes the beginning and opens a new turn, or refuses it."""


def probe(server: Server, name: str = "auto") -> Continuation:
    """Prove that a server continues a prefix, and learn where it echoes it.

    Args:
        server: whom to ask.
        name: a dialect, or "auto" for the first that continues.

    Raises:
        UnknownName: there is no such dialect.
        NoContinuation: none of them does; the message says what came instead.
        ModelError: the server cannot be asked at all.
    """
    failures = []
    for each in DISTINCT if name == "auto" else (name,):
        try:
            return _try(server, dialect(each))
        except NoContinuation as failure:
            failures.append(f"{each}: {failure}")
    raise NoContinuation(
        f"{server.base_url} does not continue a prefix, so a guard would do nothing there "
        f"({'; '.join(failures)}); use a guard with placement suffix "
        "(`foreword search --placement suffix`), `--render SOURCE`, or another server"
    )


def probe_responses(server: Server, way: Dialect) -> Continuation | None:
    """The same proof for /responses, where a server may differ from its chat endpoint.

    Args:
        server: whom to ask.
        way: the dialect by which it continues a chat.

    Returns:
        None if the server has no such route. The echo of whole answers is also that of
        the events which repeat a whole text at the end of a stream (llama.cpp).

    Raises:
        NoContinuation: it has the route and does not continue there.
        ModelError: the server cannot be asked at all.
    """
    return _if_there(server, way, _respond)


def probe_text(server: Server, way: Dialect) -> Continuation | None:
    """The same proof for raw prompts of /completions, which some servers put into a template.

    Arguments, what it returns and raises are those of `probe_responses`.
    """
    return _if_there(server, way, _complete)


def probe_rendered(server: Server, prompt: Callable[[Body], Body]) -> Continuation:
    """The same proof for /completions, where the prompt is rendered by whoever asks.

    Args:
        server: whom to ask.
        prompt: the request of /completions for one of a chat that ends with the beginning.

    Raises:
        NoContinuation: it does not continue there either.
        ModelError: the server cannot be asked at all, or has no such route.
    """

    def ask(server: Server, way: Dialect, each: Beginning, stream: bool) -> str:
        return server.complete(prompt(_asked(server, each)), stream=stream)

    return _try(server, RENDERED, ask)


def _chat(server: Server, way: Dialect, each: Beginning, stream: bool) -> str:
    return server.say(way.ask(_asked(server, each)), stream=stream)


def _asked(server: Server, each: Beginning) -> Body:
    return {
        "model": server.model,
        "messages": [
            {"role": "user", "content": each.question},
            {"role": "assistant", "content": each.prefix},
        ],
        "max_tokens": TOKENS,
        "temperature": 0,
    }


def _respond(server: Server, way: Dialect, each: Beginning, stream: bool) -> str:
    body = {
        "model": server.model,
        "input": [{"role": "user", "content": each.question}, opened(each.prefix)],
        "max_output_tokens": TOKENS,
        "temperature": 0,
        "store": False,
    }
    return server.respond(way.ask(body, "input"), stream=stream)


def _complete(server: Server, way: Dialect, each: Beginning, stream: bool) -> str:
    body = {
        "model": server.model,
        "prompt": f"{each.question}\n{each.prefix}",
        "max_tokens": TOKENS,
        "temperature": 0,
    }
    return server.complete(body, stream=stream)


_Ask = Callable[[Server, Dialect, Beginning, bool], str]


def _if_there(server: Server, way: Dialect, ask: _Ask) -> Continuation | None:
    try:
        return _try(server, way, ask)
    except Rejected as error:
        if error.status in NO_ROUTE:
            return None
        raise


def _try(server: Server, way: Dialect, ask: _Ask = _chat) -> Continuation:
    echoes = []
    for stream in (False, True):
        answers = [_answer(server, way, ask, each, stream) for each in BEGINNINGS]
        echoes.append(_echo(BEGINNINGS, answers))
    return Continuation(way, *echoes)


def _answer(server: Server, way: Dialect, ask: _Ask, each: Beginning, stream: bool) -> str:
    try:
        return ask(server, way, each, stream)
    except Rejected as error:
        if error.status in (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY):
            raise NoContinuation(str(error)) from error
        raise


def _echo(beginnings: Sequence[Beginning], answers: Sequence[str]) -> bool:
    """Whether the answers repeat the beginning, given that enough of them go on from it."""
    went_on = {True: 0, False: 0}
    for each, answer in zip(beginnings, answers, strict=True):
        for echo in went_on:
            begun = answer.startswith(each.prefix) if echo else True
            rest = answer.removeprefix(each.prefix) if echo else answer
            went_on[echo] += begun and rest.lstrip().startswith(each.goes_on)
    for echo, count in went_on.items():
        if count >= NEEDED:
            return echo
    wrong = next(
        (each, answer)
        for each, answer in zip(beginnings, answers, strict=True)
        if not answer.removeprefix(each.prefix).lstrip().startswith(each.goes_on)
    )
    raise NoContinuation(f"after {wrong[0].prefix!r} came {wrong[1]!r}")
