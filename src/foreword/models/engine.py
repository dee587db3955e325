"""The local engine: batches of chats in, replies out, on one device.

A batch is padded on the left and prefilled once into a cache of fixed size;
then every step decodes one token a row. Logits are computed for the last
position only, rows that have ended leave the batch, and batches are made of
chats of like length. In float32 a reply does not depend on its neighbours; in
bfloat16 rounding differs with the shape of the batch, so near-ties may turn out
otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from foreword.core.types import Chat, Placement, Reply
from foreword.models import chat
from foreword.models.decoding import Decoder, Sampler, batches
from foreword.models.network import Network
from foreword.models.shared_kv import SharedKV

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class LocalModel(Network):
    """A causal language model of transformers; implements the core protocol `Model`."""

    placement: Placement = "prefix"  # weights at hand always continue
    reopens = True  # a chat may end with a turn of the assistant: another one is opened behind it

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, fingerprint: str
    ) -> None:
        super().__init__(model, tokenizer)
        self._fingerprint = fingerprint

    @property
    def fingerprint(self) -> str:
        """A stable name of the weights, e.g. "reference+agent@3f9c2b1d"."""
        return self._fingerprint

    def generate(
        self,
        chats: Sequence[Chat],
        *,
        prefix: str = "",
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        stop: str = "",
        progress: Callable[[int], None] | None = None,
    ) -> list[Reply]:
        """Continue `prefix` as the next assistant turn of every chat, in order.

        Args:
            chats: The conversations; each ends with a user turn.
            prefix: Text the reply begins with; tokenised on its own.
            max_new_tokens: The most tokens a reply may add.
            temperature: 0 for greedy; else one independent random stream a chat.
            seed: Seeds the streams; a chat's stream depends on seed and position only.
            stop: A reply ends with this text, if the model writes it.
            progress: Called with the number of replies finished so far.

        Raises:
            ModelError: A chat does not fit the model's context.
        """
        opening = chat.prefix_ids(self.tokenizer, prefix)
        prompts = [chat.prompt_ids(self.tokenizer, c) + opening for c in chats]
        replies: list[Reply | None] = [None] * len(prompts)
        done = 0

        def finish(index: int, new: list[int], stopped: bool) -> None:
            nonlocal done
            text = chat.continuation(self.tokenizer, opening, new)
            ended = stopped and not (stop and stop in text)  # by a token that is not in `new`
            replies[index] = Reply(prefix, text, len(new) + ended, stopped, len(prompts[index]))
            done += 1
            if progress:
                progress(done)

        for rows in batches([len(p) + max_new_tokens for p in prompts], self.slot_bytes):
            sampler = Sampler(temperature, seed, rows, self.model.device)
            decoder = Decoder(self, max_new_tokens, sampler, stop)
            decoder.run([prompts[i] for i in rows], lambda at, *r, rows=rows: finish(rows[at], *r))
        return [reply for reply in replies if reply is not None]

    def prefill(self, chats: Sequence[Chat], budget_mb: int = 2048) -> SharedKV:
        """Prefill chats once, to score many prefixes on them.

        Args:
            chats: The conversations, any number.
            budget_mb: Memory for keys and values; beyond it they are recomputed chunk by chunk.
        """
        return SharedKV(self, chats, budget_mb)
