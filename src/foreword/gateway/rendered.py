"""A chat over a server's /completions: rendered on the way there, a chat again on the way back.

The guard is put on by `requests`, as for every server; what is sent is the prompt of a
`Template`, with the ends of a turn as `stop`. Pure but for the template.

Covered: n, stop, streams, usage, limits of tokens. Not covered, and refused: tools and
their results, images, response_format, logprobs, which come in another shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson

from foreword.core.types import Message
from foreword.defences.guard import Guard
from foreword.gateway.requests import Asked, BadRequest, guard_chat
from foreword.gateway.streams import FIELD, Lines
from foreword.models.dialects import MESSAGE_FIELDS, RENDERED, Body
from foreword.models.templates import Template, Unrenderable

# What only a chat can be asked, and the values that ask for nothing.
_CHAT_ONLY: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "tools": ([],),
        "functions": ([],),
        "tool_choice": ("none", "auto"),
        "function_call": ("none", "auto"),
        "parallel_tool_calls": (True, False),
        "response_format": ({"type": "text"},),
        "logprobs": (False,),
        "top_logprobs": (0,),
        "modalities": (["text"],),
        "audio": (),
        "prediction": (),
        "web_search_options": (),
        "reasoning_effort": ("none",),
        "chat_template_kwargs": ({},),
        "suffix": ("",),  # of /completions: words that would come after the reply
    }
)
_OURS = ("messages", "max_completion_tokens")
_ROLES = ("system", "developer", "user", "assistant")


def guard_rendered(body: Body, guard: Guard, template: Template) -> Asked:
    """Put a guard on a request of /chat/completions that is sent to /completions.

    Raises:
        BadRequest: as in `guard_chat`, or a prompt cannot carry what is asked.
    """
    asked = guard_chat(body, guard, RENDERED)
    return Asked(render(asked.body, template), asked.begun)


def render(body: Body, template: Template) -> Body:
    """The request of /completions for one of a chat whose last message begins the reply.

    Raises:
        BadRequest: a prompt cannot carry what is asked.
    """
    for field, nothing in _CHAT_ONLY.items():
        if body.get(field) is not None and body[field] not in nothing:
            raise BadRequest(f"{field!r} cannot be carried by a rendered prompt")
    *turns, last = (_turn(at, message) for at, message in enumerate(body["messages"]))
    try:
        prompt = template.prompt([*turns], last["content"])
    except Unrenderable as error:
        raise BadRequest(str(error)) from error
    limit = body.get("max_completion_tokens")
    changed = {
        "prompt": prompt,
        # Without a word of it /completions would stop after 16.
        "max_tokens": body.get("max_tokens") if limit is None else limit,
        "stop": list(dict.fromkeys([*_stops(body.get("stop")), *template.ends])),
    }
    left = {key: body[key] for key in body if key not in (*_CHAT_ONLY, *_OURS)}
    return {**left, **changed}


def _turn(at: int, message: Body) -> Message:
    """One message in the words that a template renders.

    Raises:
        BadRequest: it is more than words, or of a role that could be no turn.
    """
    role, content = message["role"], message.get("content")
    if role not in _ROLES:
        raise BadRequest(f"messages[{at}]: a rendered prompt has no role {role!r}")
    for field, value in message.items():
        if value and field not in ("role", "content", *MESSAGE_FIELDS):
            raise BadRequest(f"messages[{at}]: {field!r} cannot be carried by a rendered prompt")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
    if not all(_is_text(part) for part in parts):
        raise BadRequest(f"messages[{at}]: a rendered prompt carries text only")
    return {"role": role, "content": "\n".join(part["text"] for part in parts)}


def _is_text(part: Any) -> bool:
    return (
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
    )


def _stops(stop: Any) -> list[str]:
    stops = [stop] if isinstance(stop, str) else stop or []
    if not isinstance(stops, list) or not all(isinstance(each, str) for each in stops):
        raise BadRequest("'stop' must be a string or a list of strings")
    return stops


def settle_rendered(answer: Body, begun: str, *, show: bool) -> Body:
    """A whole answer of /completions as one of a chat."""
    choices = answer.get("choices")
    if not isinstance(choices, list):
        return answer
    told = []
    for choice in choices:
        kept, text = _apart(choice)
        message = {"role": "assistant", "content": (begun if show else "") + text}
        told.append({**kept, "message": message})
    return {**answer, "object": "chat.completion", "choices": told}


class RenderedStream(Lines):
    """A stream of /completions as one of a chat: each choice says its role at first."""

    def __init__(self, begun: str, *, show: bool) -> None:
        """`show`: each choice begins with `begun`."""
        super().__init__(raw=False)
        self._first = begun if show else ""
        self._begun: set[int] = set()

    def _settle(self, line: bytes) -> bytes:
        if not line.startswith(FIELD):
            return line
        try:
            event = orjson.loads(line[len(FIELD) :])
        except orjson.JSONDecodeError:  # [DONE], or not ours to mend
            return line
        if not isinstance(event, dict) or not isinstance(event.get("choices"), list):
            return line
        choices = [self._piece(*_apart(each)) for each in event["choices"]]
        told = {**event, "object": "chat.completion.chunk", "choices": choices}
        return FIELD + b" " + orjson.dumps(told) + (b"\r" if line.endswith(b"\r") else b"")

    def _piece(self, kept: Body, text: str) -> Body:
        index = kept["index"] if isinstance(kept.get("index"), int) else 0
        if index not in self._begun:
            self._begun.add(index)
            delta = {"role": "assistant", "content": self._first + text}
        else:
            delta = {"content": text} if text else {}
        return {**kept, "delta": delta}

    def _held(self) -> bytes:
        return b""


def _apart(choice: Any) -> tuple[Body, str]:
    """The text of a choice, and the rest of it."""
    fields = choice if isinstance(choice, dict) else {}
    text = fields.get("text")
    kept = {key: value for key, value in fields.items() if key != "text"}
    return kept, text if isinstance(text, str) else ""
