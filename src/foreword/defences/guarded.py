"""A guarded model is a model: PING for whatever speaks the Model protocol.

Search, evaluation and gateway use it like the model it wraps; the judge still
sees prefix and continuation apart, because every Reply keeps them apart.
"""

from __future__ import annotations

from collections.abc import Sequence

from foreword.core.errors import UsageError
from foreword.core.protocols import Model
from foreword.core.types import Chat, Reply
from foreword.defences.guard import Guard


class GuardedModel:
    """Wraps a model so that every answer is given under a guard."""

    def __init__(self, model: Model, guard: Guard) -> None:
        """Warns (ForewordWarning) if the guard was found for another model."""
        guard.check_target(model.fingerprint)
        self.model = model
        self.guard = guard

    @property
    def fingerprint(self) -> str:
        """The wrapped model's, and which guard stands before it."""
        return f"{self.model.fingerprint}|guard:{self.guard.hash8}"

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
        """Continue the guard's prefix, then `prefix`, in every chat.

        Raises:
            UsageError: a chat ends with an assistant turn; pass it as `prefix`.
        """
        if any(chat and chat[-1]["role"] == "assistant" for chat in chats):
            raise UsageError("a chat ends with an assistant turn; pass those words as prefix=")
        if self.guard.placement == "suffix":
            chats = [self.guard.apply(chat) for chat in chats]
        else:
            prefix = self.guard.begin(prefix)
        return self.model.generate(
            chats,
            prefix=prefix,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
            stop=stop,
        )
