"""What the upstream answers, made into one behaviour: the prefix hidden, or shown once.

Where an upstream echoes the beginning of the reply is known from the probe, so the
echo is cut exactly, never guessed: a model that happens to repeat the guard's
words keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from foreword.gateway.requests import is_text
from foreword.models.dialects import Body


def settle_chat(answer: Body, begun: str, *, echo: bool, show: bool) -> Body:
    """Every choice of a whole chat answer without the beginning, or with it once."""
    return _each(answer, lambda choice: _settle_message(choice, begun, echo=echo, show=show))


def settle_text(answer: Body, begun: str, *, show: bool) -> Body:
    """The same for /completions, which no server echoes unasked."""
    if not show:
        return answer
    return _each(answer, lambda choice: {**choice, "text": begun + (choice.get("text") or "")})


def _each(answer: Body, settle: Callable[[Body], Body]) -> Body:
    choices = answer.get("choices")
    if not isinstance(choices, list):
        return answer
    return {**answer, "choices": [settle(c) if isinstance(c, dict) else c for c in choices]}


def _settle_message(choice: Body, begun: str, *, echo: bool, show: bool) -> Body:
    message = choice.get("message")
    if not isinstance(message, dict):
        return choice
    content = message.get("content")
    if isinstance(content, list):  # parts, such as thoughts and text
        return {**choice, "message": {**message, "content": _in_parts(content, begun, echo, show)}}
    text = settled(content if isinstance(content, str) else "", begun, echo=echo, show=show)
    words = text or (None if message.get("tool_calls") else content and "")
    return {**choice, "message": {**message, "content": words}}


def _in_parts(parts: list[Any], begun: str, echo: bool, show: bool) -> list[Any]:
    """The first part of text settled, the others as they are."""
    for at, part in enumerate(parts):
        if is_text(part) and part.get("type") == "text":
            text = settled(part["text"], begun, echo=echo, show=show)
            return [*parts[:at], {**part, "text": text}, *parts[at + 1 :]]
    return parts


def settled(text: str, begun: str, *, echo: bool, show: bool) -> str:
    """The upstream's words without the beginning, or with it once."""
    rest = text.removeprefix(begun) if echo else text
    return begun + rest if show else rest
