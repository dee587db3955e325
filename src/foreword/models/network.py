"""The network: token ids in, hidden states and logits out, keys and values kept.

What decoding and shared-KV scoring need of a model, whatever its architecture: one
pass over a `SlotCache`, the output matrix by rows, the tokens that end a turn, and
the memory of texts read lately. It knows no chats and no prefixes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from foreword.core.errors import ModelError
from foreword.models import attention, chat
from foreword.models.memory import Memory

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LOGIT_ROWS = 64  # full-vocabulary rows held at once; malloc hands larger buffers out page by page
MEMORY_MB = 1_024  # keys and values of finished rows, for their next turns


class Network:
    """A causal language model of transformers with its tokeniser."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        attention.install(model)
        self.model: Any = model.eval()
        self.tokenizer = tokenizer
        self.stops = chat.stop_ids(tokenizer, model.generation_config)
        self.memory = Memory(MEMORY_MB)
        self.tokens = 0  # positions of all forward passes, padding included

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
        self.tokens += ids.numel()
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
    def likeliest(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden states (rows, hidden) to the ids of the likeliest next tokens, (rows,)."""
        return torch.cat([self.logits(part).argmax(-1) for part in torch.split(hidden, LOGIT_ROWS)])

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
