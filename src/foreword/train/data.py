"""Chat data from files: `messages`, ShareGPT and prompt/completion, one JSON object a line.

The three formats become one, a list of messages; a line that does not fit is a
DataError that names file and line. Not covered: JSON arrays, images, tool calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from foreword.core.errors import DataError
from foreword.core.types import Chat, Message, Role

SHAREGPT_ROLES: dict[str, Role] = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "observation": "tool",
    "tool": "tool",
}
ROLES = ("system", "user", "assistant", "tool")


def load_files(paths: Sequence[str | Path], format: str = "auto") -> list[Chat]:
    """The conversations of JSONL files, in order.

    Args:
        paths: The files.
        format: "messages", "sharegpt", "prompt-completion", or "auto" (per file, by its first row).

    Raises:
        DataError: A file is missing or empty, or a line is broken.
    """
    return [chat for path in paths for chat in _load(Path(path), format)]


def _load(path: Path, format: str) -> list[Chat]:
    rows = _rows(path)
    if not rows:
        raise DataError(f"{path}: no conversations; put one JSON object on each line")
    if format == "auto":
        format = _detect(f"{path}:{rows[0][0]}", rows[0][1])
    chats: list[Chat] = []
    for number, row in rows:
        try:
            chats.append(_checked(_READERS[format](row)))
        except (ValueError, KeyError, TypeError) as error:
            said = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise DataError(f"{path}:{number}: not a {format} conversation: {said}") from error
    return chats


def _rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Line number (from 1) and object of every line that is not blank."""
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    rows: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: broken JSON: {error}") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: expected a JSON object, not {type(row).__name__}")
        rows.append((number, row))
    return rows


def _detect(where: str, row: dict[str, Any]) -> str:
    if "messages" in row:
        return "messages"
    if "conversations" in row:
        return "sharegpt"
    if "prompt" in row and "completion" in row:
        return "prompt-completion"
    raise DataError(f"{where}: expected a key messages, conversations, or prompt and completion")


def _messages(row: dict[str, Any]) -> list[Message]:
    return [
        _message(item["role"], item["content"], item.get("weight", 1)) for item in row["messages"]
    ]


def _sharegpt(row: dict[str, Any]) -> list[Message]:
    head = [_message("system", row["system"])] if row.get("system") else []
    turns = row["conversations"]
    return head + [_message(SHAREGPT_ROLES.get(t["from"], t["from"]), t["value"]) for t in turns]


def _prompt_completion(row: dict[str, Any]) -> list[Message]:
    return _side(row["prompt"], "user") + _side(row["completion"], "assistant")


def _side(value: Any, role: Role) -> list[Message]:
    """A prompt or completion, given as text or as messages."""
    return [_message(role, value)] if isinstance(value, str) else _messages({"messages": value})


_READERS: dict[str, Callable[[dict[str, Any]], list[Message]]] = {
    "messages": _messages,
    "sharegpt": _sharegpt,
    "prompt-completion": _prompt_completion,
}


def _message(role: Any, content: Any, weight: Any = 1) -> Message:
    if role not in ROLES:
        raise ValueError(f"unknown role {role!r}")
    if not isinstance(content, str):
        raise ValueError(f"the content of a {role} turn is no text")
    if weight not in (0, 1):
        raise ValueError(f"weight {weight!r} is neither 0 nor 1")
    message: Message = {"role": cast("Role", role), "content": content}
    return message if weight else {**message, "weight": 0}


def _checked(chat: list[Message]) -> Chat:
    learnt = (m for m in chat if m["role"] == "assistant" and m.get("weight", 1))
    if not any(message["content"] for message in learnt):
        raise ValueError("no assistant turn to learn from")
    if chat[0]["role"] == "assistant":
        raise ValueError("it begins with an assistant turn")
    return chat
