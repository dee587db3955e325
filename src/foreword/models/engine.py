"""The local engine: batches of chats in, replies out, on one device.

A batch is padded on the left and prefilled once into a cache of fixed size;
then every step decodes one token a row. Logits are computed for the last
position only, rows that have ended leave the batch, and batches are made of
chats of like length. In float32 a reply does not depend on its neighbours; in
bfloat16 rounding differs with the shape of the batch, so near-ties may turn out
otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from foreword.core.errors import ModelError
from foreword.core.types import Chat, Reply
from foreword.models import attention, chat
from foreword.models.decoding import Decoder, Sampler
from foreword.models.memory import Memory

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from foreword.models.shared_kv import SharedKV

BATCH_ROWS = 192  # so that the stragglers of one batch are the only ones
BATCH_MB = 3_072  # keys and values of a batch, padding and new tokens included
MEMORY_MB = 1_024  # keys and values of finished rows, for their next turns
PREFILL_TOKENS = 4_096  # tokens of one prefill pass


class LocalModel:
    """A causal language model of transformers; implements the core protocol `Model`."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, fingerprint: str
    ) -> None:
        attention.install(model)
        self.model: Any = model.eval()
        self.tokenizer = tokenizer
        self.stops = chat.stop_ids(tokenizer, model.generation_config)
        self.memory = Memory(MEMORY_MB)
        self._fingerprint = fingerprint

    @property
    def fingerprint(self) -> str:
        """A stable name of the weights, e.g. "reference+agent@3f9c2b1d"."""
        return self._fingerprint

    @property
    def layers(self) -> int:
        """The number of decoder layers, each with its own keys and values."""
        return int(self.model.config.get_text_config().num_hidden_layers)

    @property
    def slot_bytes(self) -> int:
        """Bytes of the keys and values of one position."""
        config = self.model.config.get_text_config()
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return int(2 * self.layers * config.num_key_value_heads * size * self.model.dtype.itemsize)

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
            replies[index] = Reply(prefix, text, len(new) + ended, stopped)
            done += 1
            if progress:
                progress(done)

        room = BATCH_MB * 2**20 // self.slot_bytes
        for rows in batches([len(p) + max_new_tokens for p in prompts], room):
            sampler = Sampler(temperature, seed, rows, self.model.device)
            decoder = Decoder(self, max_new_tokens, sampler, stop)
            decoder.run([prompts[i] for i in rows], lambda at, *r, rows=rows: finish(rows[at], *r))
        return [reply for reply in replies if reply is not None]

    @torch.inference_mode()
    def hidden(
        self,
        ids: torch.Tensor,
        mask: torch.Tensor,
        positions: torch.Tensor,
        cache: attention.SlotCache,
    ) -> torch.Tensor:
        """Run tokens through the decoder, writing their keys and values to the cache.

        Args:
            ids: (batch, queries).
            mask: (batch, 1, queries, positions in use afterwards), True where one may look.
            positions: (batch, queries), the places in the text, counted without padding.
            cache: Written in place.

        Returns:
            The last hidden states, (batch, queries, hidden).
        """
        config = self.model.config.get_text_config()
        groups = config.num_attention_heads // config.num_key_value_heads
        try:
            out = self.model.base_model(
                input_ids=ids,
                attention_mask=attention.fold_mask(mask, groups, self.model.dtype),
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
            )
        except torch.OutOfMemoryError as error:
            raise ModelError("out of device memory; use fewer chats or a smaller model") from error
        hidden: torch.Tensor = out.last_hidden_state
        return hidden

    @torch.inference_mode()
    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden states (*, hidden) to float32 logits (*, vocabulary)."""
        return self.softcap(self.model.get_output_embeddings()(hidden).float())

    @torch.inference_mode()
    def some_logits(self, hidden: torch.Tensor, tokens: Sequence[int]) -> torch.Tensor:
        """The float32 logits of a few tokens, (*, tokens), at next to no cost."""
        head = self.model.get_output_embeddings()
        bias = None if head.bias is None else head.bias[list(tokens)].float()
        weight = head.weight[list(tokens)].float()
        return self.softcap(torch.nn.functional.linear(hidden.float(), weight, bias))

    def softcap(self, logits: torch.Tensor) -> torch.Tensor:
        """Apply the final soft-capping of the architectures that have one (Gemma)."""
        cap = getattr(self.model.config.get_text_config(), "final_logit_softcapping", None)
        return torch.tanh(logits / cap) * cap if cap else logits

    def prefill(self, chats: Sequence[Chat], budget_mb: int = 2048) -> SharedKV:
        """Prefill chats once, to score many prefixes on them.

        Args:
            chats: The conversations, any number.
            budget_mb: Memory for keys and values; beyond it they are recomputed chunk by chunk.
        """
        from foreword.models.shared_kv import SharedKV

        return SharedKV(self, chats, budget_mb)


def batches(slots: Sequence[int], room: int) -> Iterator[list[int]]:
    """Split rows, longest first, into batches of at most BATCH_ROWS rows and `room` slots.

    Longest first shows a memory problem at once and leaves the quick batches for the end.
    """
    order = sorted(range(len(slots)), key=lambda i: -slots[i])
    start = 0
    while start < len(order):
        rows = max(1, min(BATCH_ROWS, room // max(1, slots[order[start]])))
        yield order[start : start + rows]
        start += rows
