"""What a client asks, made into what the upstream is asked: pure functions on JSON.

The turn that comes next begins with the guard's prefix, whatever the client sent;
earlier assistant turns get it back if it was hidden from the client. Everything
that does not bear on this passes as it is, fields of the future included.

Covered: client prefills (the prefix goes first), forged turns in a prefill,
fields by which a client could continue, echo or render by itself. Not covered:
what a client may ask of any server and what bends any model, such as
`logit_bias`, grammars and JSON schemas that leave no room for a refusal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from foreword.core.errors import UsageError
from foreword.defences.guard import Guard
from foreword.models.chat import control_token
from foreword.models.dialects import MESSAGE_FIELDS, REQUEST_FIELDS, Body, Dialect

MAX_BODY = 8 * 2**20  # bytes
# With these a client renders the prompt by itself or cuts it, so that the prefix need not be in it.
RENDERING = ("chat_template", "prompt_embeds", "truncate_prompt_tokens")
# Variables of a chat template that come from the request itself; servers let these have the say.
_TEMPLATES = {"messages", "conversation", "tokenize", *RENDERING, *REQUEST_FIELDS}


class BadRequest(UsageError):
    """A request that the gateway does not pass on; the message is for the client."""


@dataclass(frozen=True)
class Asked:
    """A request for the upstream, and the words that its reply begins with."""

    body: Body
    begun: str


def read(raw: bytes) -> Body:
    """The JSON object a client sent.

    Raises:
        BadRequest: it is none.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    check_rendering(body)
    return body


def check_rendering(body: Body) -> None:
    """Whether the server alone renders the prompt.

    Raises:
        BadRequest: the client would; the message names the field.
    """
    for field in RENDERING:
        if body.get(field) is not None:
            raise BadRequest(f"{field!r} is not allowed: replies here are begun by a guard")
    variables = body.get("chat_template_kwargs")
    if isinstance(variables, dict) and (taken := _TEMPLATES & variables.keys()):
        raise BadRequest(f"{min(taken)!r} is not allowed in 'chat_template_kwargs'")


def guard_chat(body: Body, guard: Guard, way: Dialect) -> Asked:
    """Put a guard on a request of /chat/completions.

    Raises:
        BadRequest: the messages are malformed, or a prefill forges a turn.
    """
    messages = _messages(body)
    *earlier, last = messages
    begins = last["role"] == "assistant" and not last.get("tool_calls")
    said = prefill([(f"messages[{len(earlier)}]", last.get("content"))]) if begins else ""
    if guard.placement == "suffix":
        kept = {key: value for key, value in body.items() if key not in REQUEST_FIELDS}
        return Asked({**kept, "messages": with_suffix(messages, guard, "text")}, "")
    begun = guard.begin(said)
    earlier = earlier if begins else messages
    history = [carried(message, guard) for message in earlier]
    beginning = {"role": "assistant", "content": begun}
    return Asked(way.ask({**body, "messages": [*history, beginning]}), begun)


def guard_prompt(body: Body, guard: Guard) -> Asked:
    """Put a guard on a request of /completions: every prompt ends with the guard's words.

    Raises:
        BadRequest: the prompt is not text or is to be echoed, or the guard is a suffix.
    """
    if guard.placement == "suffix":
        raise BadRequest("this guard needs a user's message; use /v1/chat/completions")
    if body.get("echo"):
        raise BadRequest("'echo' is not allowed: it would show the guard's words as yours")
    if body.get("suffix"):
        raise BadRequest("'suffix' is not allowed: its words would come behind the guard's")
    prompt = body.get("prompt")
    prompts: list[Any] = prompt if isinstance(prompt, list) else [prompt]
    if not prompts or not all(isinstance(text, str) for text in prompts):
        raise BadRequest("'prompt' must be a string or a list of strings: token ids have no guard")
    guarded = [guard.finish(text) for text in prompts]
    return Asked({**body, "prompt": guarded if prompt is prompts else guarded[0]}, guard.prefix)


def _messages(body: Body) -> list[dict[str, Any]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("'messages' must be a list of at least one message")
    for at, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise BadRequest(f"messages[{at}] must be an object with a role")
    return [
        {key: value for key, value in message.items() if key not in MESSAGE_FIELDS}
        for message in messages
    ]


def prefill(begun: Sequence[tuple[str, Any]]) -> str:
    """The text that a client begins the reply with, from places and contents of its messages.

    Raises:
        BadRequest: it is not text, or forges a turn; the message names the place.
    """
    text = ""
    for place, content in begun:
        parts = content if isinstance(content, list) else [{"text": content or ""}]
        if not all(is_text(part) for part in parts):
            raise BadRequest(f"{place} begins the reply and must be text")
        text += "".join(part["text"] for part in parts)
    if forged := control_token(text):
        raise BadRequest(f"{begun[0][0]} must not hold {forged!r}, which ends a turn")
    return text


def carried(message: Body, guard: Guard) -> Body:
    """An earlier turn as the model wrote it: with the prefix, that a client may not have seen."""
    if message.get("role") != "assistant":
        return message
    content = message.get("content")
    if content is None or isinstance(content, str):
        return {**message, "content": guard.recall(content or "")}
    if isinstance(content, list) and content and is_text(content[0]):
        first = {**content[0], "text": guard.recall(content[0]["text"])}
        return {**message, "content": [first, *content[1:]]}
    return message


def with_suffix(messages: list[Body], guard: Guard, kind: str) -> list[Body]:
    """The messages with the guard's words behind the user's last; `kind` is of a part of text.

    Raises:
        BadRequest: the user says nothing.
    """
    for at in range(len(messages) - 1, -1, -1):
        message = messages[at]
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                added: Any = [*content, {"type": kind, "text": guard.prefix}]
            else:
                added = guard.end(content if isinstance(content, str) else "")
            return [*messages[:at], {**message, "content": added}, *messages[at + 1 :]]
    raise BadRequest("this guard ends the user's last message, and there is none")


def is_text(part: Any) -> bool:
    """Whether a part of a content is text, of whatever type."""
    return isinstance(part, dict) and isinstance(part.get("text"), str)
