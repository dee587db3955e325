"""How each server is asked to continue a prefix.

One table for search, evaluation and gateway: a dialect says which fields turn
a trailing assistant message into the beginning of the reply. Whether the answer
repeats that beginning (an echo) is not in the table: it differs between versions
and between streams and whole answers, so `foreword.models.probe` measures it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from foreword.core.errors import UnknownName

Body = dict[str, Any]  # a request of the OpenAI API, as JSON

_CONTINUE = {"continue_final_message": True, "add_generation_prompt": False}
_NO_THINKING = {"chat_template_kwargs": {"enable_thinking": False}}
# Fields by which one asks some server to continue; a client must not set them past a dialect.
REQUEST_FIELDS = (*_CONTINUE, "echo")
MESSAGE_FIELDS = ("prefix",)


@dataclass(frozen=True)
class Dialect:
    """What a server wants to see besides the trailing assistant message."""

    name: str
    request: Mapping[str, Any] = field(default_factory=dict)
    message: Mapping[str, Any] = field(default_factory=dict)

    def ask(self, body: Mapping[str, Any], turns: str = "messages") -> Body:
        """The request by which this server continues the last message of `body`.

        Args:
            body: Of /chat/completions; its last message is the assistant's beginning.
            turns: The field that holds the messages; "input" for /responses.
        """
        asked = {key: value for key, value in body.items() if key not in REQUEST_FIELDS}
        for key, value in self.request.items():
            asked[key] = {**_mapping(asked.get(key)), **value} if key in _NO_THINKING else value
        *earlier, last = body[turns]
        kept = {key: value for key, value in last.items() if key not in MESSAGE_FIELDS}
        asked[turns] = [*earlier, {**kept, **self.message}]
        return asked

    def whole(self, body: Body) -> Body:
        """The request for a reply that nobody begins, thinking as little as one that is begun."""
        return {**body, **{key: self.request[key] for key in _NO_THINKING if key in self.request}}


def opened(words: str) -> Body:
    """The beginning of a reply as an item of /responses.

    vLLM goes on from an item in progress and from no other; llama.cpp wants the type.
    """
    part = {"type": "output_text", "text": words, "annotations": []}
    return {"type": "message", "role": "assistant", "status": "in_progress", "content": [part]}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


_TABLE = (
    Dialect("vllm", {**_CONTINUE, **_NO_THINKING}),
    Dialect("sglang", {"continue_final_message": True, **_NO_THINKING}),
    Dialect("llamacpp", {**_CONTINUE, **_NO_THINKING}),
    Dialect("ollama"),
    Dialect("lmstudio"),
    Dialect("deepseek", message={"prefix": True}),
    Dialect("mistral", message={"prefix": True}),
)
DIALECTS: Mapping[str, Dialect] = MappingProxyType({row.name: row for row in _TABLE})
# Of servers that continue no chat: whoever asks renders the prompt (`models.templates`).
RENDERED = Dialect("rendered")
# One of each way of asking, the most explicit first: what the probe tries when nobody says which.
DISTINCT = ("vllm", "deepseek", "ollama")


def dialect(name: str) -> Dialect:
    """The dialect of that name.

    Raises:
        UnknownName: nobody knows it.
    """
    if name not in DIALECTS:
        raise UnknownName("dialect", name, list(DIALECTS))
    return DIALECTS[name]
