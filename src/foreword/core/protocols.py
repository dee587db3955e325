"""The few seams of Foreword: what a part must do to take another's place.

Model: text in, text out, with a prefix. Judge: reads what the model added.
Guardrail: how to ask a guard model, and how to read its answer. Proposer and
Scorer: the two halves of the search. Everything else is data.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from foreword.core.types import Chat, Finding, Reply, Score, Trial, Verdict


@runtime_checkable
class Model(Protocol):
    """A target: a local engine, a remote server, or a defence that wraps one."""

    @property
    def fingerprint(self) -> str:
        """A stable name of the weights, e.g. "reference+agent@3f9c2b1d"."""
        ...

    def generate(
        self,
        chats: Sequence[Chat],
        *,
        prefix: str = "",
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        stop: str = "",
    ) -> list[Reply]:
        """Continue `prefix` as the next assistant turn of every chat, in order.

        A reply ends with `stop` if the model writes it.
        """
        ...


@runtime_checkable
class Judge(Protocol):
    """Decides whether a reply refuses."""

    @property
    def name(self) -> str:
        """Name and version, kept with every result, e.g. "lexicon-2"."""
        ...

    def judge(self, prefix: str, continuation: str) -> Verdict:
        """Judge only what `continuation` adds to `prefix`."""
        ...


@runtime_checkable
class Settles(Protocol):
    """A judge that knows when no further words can change its mind."""

    def settled(self, prefix: str, continuation: str) -> bool:
        """Whether `judge` says the same of every text that begins with `continuation`."""
        ...


@runtime_checkable
class Guardrail(Protocol):
    """The language of one family of guard models; who sends the request is somebody else's part."""

    @property
    def name(self) -> str:
        """The format, e.g. "wildguard"."""
        ...

    def ask(
        self, messages: Sequence[Mapping[str, Any]], reply: str | None
    ) -> tuple[str, dict[str, Any]]:
        """The path below the server's base URL and the JSON body, "model" still missing.

        `messages` are in OpenAI's shape. Without a `reply` the request is judged, that is the
        last user or tool turn in its conversation, otherwise the reply to them.
        """
        ...

    def read(self, text: str, *, of_reply: bool) -> Finding:
        """What the first choice's text says about the reply, or about the request."""
        ...


@runtime_checkable
class Proposer(Protocol):
    """Writes candidate prefixes."""

    @property
    def name(self) -> str:
        """The name kept with every trial."""
        ...

    def propose(self, examples: Sequence[Trial], n: int, rng: random.Random) -> list[str]:
        """At most n new prefixes; `examples` are the best so far, or none while exploring."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """Measures candidate prefixes on the tasks of one split."""

    def score(self, prefixes: Sequence[str]) -> list[Score]:
        """One score a prefix, in order."""
        ...
