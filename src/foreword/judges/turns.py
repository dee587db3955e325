"""Chat messages as a guard model may see them: alternating turns of harmless text.

Roles alternate from "user", as the guards' templates demand: tool results join
the user's side, tool calls are written out, neighbours are merged. Template
markers inside the text are broken by a space, lines that open with a label of
a guard's own prompt are quoted, so no text can end its turn or answer for the
guard. Not covered: system and developer messages (the operator's, left out
unless nothing else asks), reasoning, pictures, persuasion of the guard.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from foreword.core.types import Message

_EMPTY = "[empty]"  # templates drop or reject a turn without text
_OPERATOR = ("system", "developer")
_MARKER = re.compile(
    r"<(?=[|｜])|(?<=[|｜])(?=>)|<(?=</?SYS>>)"
    r"|\[(?=/?(?:INST|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS|SYSTEM_PROMPT)\])"
    r"|<(?=/?(?:(?:start|end|begin)[ _][^<>\n]{1,60}|bos|eos|pad|unk|s|think|no-think|guardian"
    r"|score|confidence)\s*>)",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"(?:^|(?<=[\r\x0b\x0c\x85\u2028\u2029]))(?=[ \t]*(?:"
    r"(?:human user|ai assistant|answers|harmful request|response refusal|harmful response"
    r"|human question|chatbot response|(?:user|assistant)(?: message)?|agent|safety|categories"
    r"|refusal)[ \t]*:|our safety principle|\[(?:user|assistant)\]"
    r"|(?:-{3,}|={3,})[ \t]*(?:$|[\r\x0b\x0c\x85\u2028\u2029])))",
    re.IGNORECASE | re.MULTILINE,
)


def neutral(text: str) -> str:
    """The text with template markers broken by a space and prompt labels quoted by "> "."""
    text = text.encode(errors="replace").decode()  # a lone surrogate could not be sent
    return _LABEL.sub("> ", _MARKER.sub(r"\g<0> ", text))


def text_of(message: Mapping[str, Any]) -> str:
    """Content and tool calls of one message as text, one call a line; "" if it says nothing."""
    calls = message.get("tool_calls")
    lines = [_call(call) for call in calls] if isinstance(calls, list) else []
    return "\n".join(part for part in (_content(message.get("content")), *lines) if part)


def turns(messages: Sequence[Mapping[str, Any]], reply: str | None) -> list[Message]:
    """The conversation to judge.

    Args:
        messages: in OpenAI's shape; what is malformed is shown as text, never an error.
        reply: the answer to them, or None to judge the request.

    Returns:
        Turns alternating from "user", the last of which is to be judged: the user's (answers
        after it are cut off) or, with a reply, the assistant's.
    """
    said = [(_side(message), _shown(message)) for message in messages if not _operator(message)]
    if not any(side == "user" for side, _ in said):
        said = [("user", _shown(message)) for message in messages if _operator(message)] + said
    if reply is None:
        said = _until_user(said)
    else:
        said.append(("assistant", neutral(reply)))
    merged: list[Message] = []
    for side, text in said if said and said[0][0] == "user" else [("user", ""), *said]:
        if merged and merged[-1]["role"] == side:
            merged[-1]["content"] += "\n\n" + text
        else:
            merged.append({"role": side, "content": text})
    return [
        Message(role=turn["role"], content=turn["content"].strip() or _EMPTY) for turn in merged
    ]


_Side = Literal["user", "assistant"]


def _side(message: Mapping[str, Any]) -> _Side:
    return "assistant" if message.get("role") == "assistant" else "user"


def _operator(message: Mapping[str, Any]) -> bool:
    return message.get("role") in _OPERATOR


def _until_user(said: list[tuple[_Side, str]]) -> list[tuple[_Side, str]]:
    last = max((n for n, (side, _) in enumerate(said, 1) if side == "user"), default=0)
    return said[:last]


def _shown(message: Mapping[str, Any]) -> str:
    label = "[tool result] " if message.get("role") in ("tool", "function") else ""
    return label + neutral(text_of(message))


def _content(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(_part(part) for part in content)
    return "" if content is None else _plain(content)


def _part(part: Any) -> str:
    if isinstance(part, Mapping):
        said = part.get("text", part.get("refusal"))
        return said if isinstance(said, str) else "[image]"
    return _plain(part)


def _call(call: Any) -> str:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        return f"[tool call] {_plain(call)}"
    return f"[tool call] {_plain(function.get('name'))}({_plain(function.get('arguments', ''))})"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
