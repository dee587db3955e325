"""What most defences are: other words around the same request.

A `Rewrite` is data: text behind the system prompt, demonstration turns, words around each
user's turn. `RewrittenModel` puts any step that rewrites messages before a model, a guard
included, and `evals.provider` puts the same step before any Inspect provider.

Covered: many turns (the caller's history stays as it was; it is rewritten anew each time),
chats without a system prompt. Not covered: templates that know no system role; they say so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Unpack

from foreword.core.errors import UsageError
from foreword.core.protocols import Model
from foreword.core.types import Chat, Message, Reply, Sampling


class Step(Protocol):
    """A pure change of a conversation; a trailing assistant message is how the reply begins."""

    def apply(self, messages: Sequence[Message]) -> list[Message]:
        """New messages; the given ones stay as they are."""
        ...


@dataclass(frozen=True)
class Rewrite:
    """Words a defence adds; whatever is empty is left alone."""

    system: str = ""  # behind the operator's own system prompt
    turns: tuple[tuple[str, str], ...] = ()  # request and reply, shown before the conversation
    before: str = ""  # opens each user's turn
    after: str = ""  # ends each user's turn

    def apply(self, messages: Sequence[Message]) -> list[Message]:
        """The messages with these words; each keeps its place, and whatever else it holds."""
        head = [*messages[:1]] if messages and messages[0]["role"] == "system" else []
        rest = [self._around(message) for message in messages[len(head) :]]
        return [*self._system(head), *self._shown(), *rest]

    def _system(self, head: list[Message]) -> list[Message]:
        if not self.system:
            return head
        if not head:
            return [{"role": "system", "content": self.system}]
        said = "\n\n".join(filter(None, (head[0]["content"], self.system)))
        return [{**head[0], "content": said}]

    def _shown(self) -> list[Message]:
        found: list[Message] = []
        for request, reply in self.turns:
            found.append({"role": "user", "content": request})
            found.append({"role": "assistant", "content": reply})
        return found

    def _around(self, message: Message) -> Message:
        if message["role"] != "user" or not (self.before or self.after):
            return message
        return {**message, "content": "\n".join(filter(None, self._words(message["content"])))}

    def _words(self, asked: str) -> tuple[str, str, str]:
        return self.before, asked, self.after


class RewrittenModel:
    """A model that hears every conversation as a step rewrites it."""

    def __init__(self, model: Model, step: Step, name: str) -> None:
        """`name` says in the fingerprint which defence this is."""
        self.model, self.step, self.name = model, step, name

    @property
    def fingerprint(self) -> str:
        """The wrapped model's, and what stands before it."""
        return f"{self.model.fingerprint}|{self.name}"

    def generate(
        self, chats: Sequence[Chat], *, prefix: str = "", **how: Unpack[Sampling]
    ) -> list[Reply]:
        """Continue the rewritten chats, and `prefix` behind the words a step begins with.

        Raises:
            UsageError: a chat ends with an assistant turn; pass it as `prefix`.
        """
        if any(chat and chat[-1]["role"] == "assistant" for chat in chats):
            raise UsageError("a chat ends with an assistant turn; pass those words as prefix=")
        begun: list[Message] = [{"role": "assistant", "content": prefix}] if prefix else []
        asked = [split_prefill(self.step.apply([*chat, *begun])) for chat in chats]
        return self.model.generate(
            [chat for chat, _ in asked],
            prefix=asked[0][1] if asked else prefix,  # a step begins all replies alike
            **how,
        )


def split_prefill(messages: list[Message]) -> tuple[list[Message], str]:
    """The chat without a trailing assistant turn, and that turn's text."""
    if messages and messages[-1]["role"] == "assistant":
        return messages[:-1], messages[-1]["content"]
    return messages, ""


def bare(fingerprint: str) -> str:
    """The fingerprint of the target below all defences."""
    return fingerprint.partition("|")[0]


def hash8(words: object) -> str:
    """Eight hex digits that name some words (or a record of them) in a fingerprint."""
    return hashlib.sha256(repr(words).encode()).hexdigest()[:8]
