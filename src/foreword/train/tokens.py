"""From conversations to token ids with labels on the assistant's words only.

A chat is rendered up to each assistant turn and through it; the difference is
what the model must learn to write, its end-of-turn mark included. This works for
every template, with or without generation markers, and tokenises at the same
seams as the engine does when it generates. A turn of weight 0 is only context.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foreword.core.errors import ConfigError
from foreword.core.types import Chat
from foreword.models import chat as templates

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100  # the label of a token that carries no loss


@dataclass(frozen=True)
class Example:
    """One training sequence; `labels` is as long as `ids`, IGNORED where nothing is learnt."""

    ids: list[int]
    labels: list[int]

    def cut(self, length: int) -> Example:
        """The first `length` tokens."""
        return Example(self.ids[:length], self.labels[:length])

    @property
    def learns(self) -> bool:
        """Whether any token carries loss (the first token has nothing to predict it)."""
        return any(label != IGNORED for label in self.labels[1:])


def examples(tokenizer: PreTrainedTokenizerBase, chat: Chat) -> Iterator[Example]:
    """The chat as one example, or several if the template rewrites earlier turns.

    Some templates drop parts of past turns (such as thoughts); then each turn is
    learnt in the context in which the model will meet it, and never twice.

    Raises:
        ConfigError: The template does not put an assistant turn behind its generation prompt.
    """
    done = ""
    ids: list[int] = []
    labels: list[int] = []
    for turn, message in enumerate(chat):
        if message["role"] != "assistant":
            continue
        prompt = templates.render(tokenizer, chat[:turn])
        whole = templates.render_whole(tokenizer, chat[: turn + 1])
        if not whole.startswith(prompt):
            raise ConfigError(
                "the chat template does not put assistant turns behind its generation prompt; "
                "train with a template that does"
            )
        if ids and not prompt.startswith(done):
            yield Example(ids, labels)
            done, ids, labels = "", [], []
        context = templates.prefix_ids(tokenizer, prompt[len(done) :])
        answer = templates.prefix_ids(tokenizer, whole[len(prompt) :])
        ids = [*ids, *context, *answer]
        learnt = answer if message.get("weight", 1) else [IGNORED] * len(answer)
        labels = [*labels, *[IGNORED] * len(context), *learnt]
        done = whole
    if ids:
        yield Example(ids, labels)
