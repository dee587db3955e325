"""ADA: the model thinks again under a fresh assistant header, behind its own words.

After Zhang et al. 2025 (arXiv 2510.18081), "Any-Depth Alignment". Refusal lives in the header
that opens a reply, so the header is inserted again behind what was said: the reply is closed as
a turn of the assistant, a second one is opened, and if that one refuses it is the answer.

Covered: one look, behind the whole reply and before anybody runs it; local weights and servers
whose prompts are rendered here (`--render`), for a chat server would close or continue the turn
as it likes. Not covered: looks at several depths of a stream, the probe on hidden states
(ADA-LP), templates that refuse two turns of the assistant in a row (they say so).

Cost: a second prompt, which repeats the first and the reply, and up to 40 tokens for each reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Unpack

from foreword.core.errors import ConfigError
from foreword.core.protocols import Judge, Model
from foreword.core.types import Chat, Label, Reply, Sampling

AGAIN_TOKENS = 40


class ReopenedModel:
    """A model whose second thought is its answer if that refuses."""

    def __init__(self, model: Model, judge: Judge) -> None:
        """`judge` reads the second thought.

        Raises:
            ConfigError: the model cannot be given a turn of its own and a fresh header behind it.
        """
        if not getattr(model, "reopens", False):
            raise ConfigError(
                "defence 'ada' stands next to local weights, or to a server with --render; "
                f"name it first in the spec ({model.fingerprint} is neither)"
            )
        self.model, self.judge = model, judge

    @property
    def fingerprint(self) -> str:
        """The wrapped model's, and who reads its second thoughts."""
        return f"{self.model.fingerprint}|ada:{self.judge.name}"

    def generate(
        self, chats: Sequence[Chat], *, prefix: str = "", **how: Unpack[Sampling]
    ) -> list[Reply]:
        """Two calls: the replies, and what the model says behind each of them."""
        replies = self.model.generate(chats, prefix=prefix, **how)
        closed: list[Chat] = [
            [*chat, {"role": "assistant", "content": reply.text}]
            for chat, reply in zip(chats, replies, strict=True)
        ]
        again: Sampling = {**how, "max_new_tokens": AGAIN_TOKENS, "stop": ""}
        thoughts = self.model.generate(closed, **again)
        return [self._choose(*pair) for pair in zip(replies, thoughts, strict=True)]

    def _choose(self, reply: Reply, thought: Reply) -> Reply:
        refuses = self.judge.judge("", thought.continuation).label is Label.REFUSED
        said = thought if refuses else reply
        return replace(said, tokens=reply.tokens + thought.tokens, read=reply.read + thought.read)
