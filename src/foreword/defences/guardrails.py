"""Guardrails: another model looks at the request, the reply or both, and what it flags is refused.

A flagged request never reaches the model, a flagged reply never leaves: a fixed refusal takes
its place. So around any model a guardrail turns answers into refusals and never a refusal into
an answer: chat by chat (greedy), whatever the model alone refuses is refused with it, and so is
every request that the guardrail flags. Hence RR(x + guardrail) >= RR(x) over what both judged, and
the same of ORR. Of layers that change words nobody can promise that (a prompt may undo a
prefix): measure it.

The guardrail's silence is not the target's word: what it does not judge, or cannot be asked
about, is `ChatsFailed`, so the sample is an error and never refused or complied.

Cost: a call of the guardrail for each side; its tokens count in `Reply.tokens`. Not covered:
streams, and the operator's system prompt, which guardrails are not shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Unpack

from foreword.core.errors import ChatsFailed
from foreword.core.protocols import Model
from foreword.core.types import Chat, Finding, Reply, Safety, Sampling

On = Literal["request", "reply", "both"]
Case = tuple[Chat, str | None]  # what was asked, and the reply to it if that is to be judged
REFUSAL = "I cannot help with that request."  # in place of whatever is flagged


@dataclass(frozen=True)
class Seen:
    """What a guardrail made of one case, and what that cost."""

    finding: Finding
    tokens: int = 0  # it wrote
    read: int = 0  # it was shown; 0 where nobody counted


class Checker(Protocol):
    """A guardrail model that can be asked, wherever it runs."""

    @property
    def name(self) -> str:
        """Format, and which model of it."""
        ...

    def check(self, cases: Sequence[Case]) -> list[Seen]:
        """What it makes of each case, in order.

        Raises:
            ModelError: it could not be asked; the message names it.
            ChatsFailed: the same of some of the cases.
        """
        ...


class CheckedModel:
    """A model whose requests or replies pass a guardrail."""

    def __init__(self, model: Model, checker: Checker, on: On = "both") -> None:
        """`on` says what the guardrail is shown."""
        self.model, self.checker, self.on = model, checker, on

    @property
    def fingerprint(self) -> str:
        """The wrapped model's, and which guardrail looks at what."""
        return f"{self.model.fingerprint}|{self.checker.name}:{self.on}"

    def generate(
        self, chats: Sequence[Chat], *, prefix: str = "", **how: Unpack[Sampling]
    ) -> list[Reply]:
        """The model's replies where nothing is flagged, else the fixed refusal.

        Raises:
            ChatsFailed: the guardrail said nothing about some chats that could be read.
            ModelError: the guardrail or the model could not be asked.
        """
        spent = [Reply("", REFUSAL, 0, stopped=True) for _ in chats]  # with what each has cost
        asked = dict(enumerate(chats))
        if self.on != "reply":
            flagged = self._flagged({row: (chat, None) for row, chat in asked.items()}, spent)
            asked = {row: chat for row, chat in asked.items() if row not in flagged}
        with _renumbered([*asked]):
            replies = self.model.generate([*asked.values()], prefix=prefix, **how)
        said = dict(zip(asked, replies, strict=True))
        for row, reply in said.items():
            spent[row] = _with(spent[row], reply.tokens, reply.read)
        if self.on != "request":
            flagged = self._flagged({row: (asked[row], said[row].text) for row in said}, spent)
            said = {row: reply for row, reply in said.items() if row not in flagged}
        return [
            replace(said[row], tokens=cost.tokens, read=cost.read) if row in said else cost
            for row, cost in enumerate(spent)
        ]

    def _flagged(self, cases: dict[int, Case], spent: list[Reply]) -> set[int]:
        """The rows it calls unsafe; what it wrote is added to what each row has cost."""
        if not cases:
            return set()
        with _renumbered([*cases]):
            seen = dict(zip(cases, self.checker.check([*cases.values()]), strict=True))
        for row, each in seen.items():
            spent[row] = _with(spent[row], each.tokens, each.read)
        found = {row: each.finding for row, each in seen.items()}
        silent = {row: each for row, each in found.items() if each.safety is Safety.UNDECIDED}
        if silent:
            why = next(iter(silent.values())).reason
            raise ChatsFailed(
                f"{self.checker.name} did not judge {len(silent)} of {len(cases)} chats: {why}",
                [*silent],
            )
        return {row for row, each in found.items() if each.safety is Safety.UNSAFE}


def _with(cost: Reply, tokens: int, read: int) -> Reply:
    return replace(cost, tokens=cost.tokens + tokens, read=cost.read + read)


@contextmanager
def _renumbered(rows: Sequence[int]) -> Iterator[None]:
    """Give the chats that fail below, where only `rows` were asked, their places up here."""
    try:
        yield
    except ChatsFailed as error:
        raise ChatsFailed(str(error), [rows[at] for at in error.rows]) from error
