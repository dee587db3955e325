"""Attention over a cache that is written once and read many times.

Two things transformers does not do: the cache lives in buffers of a known size
(a pass writes its keys in place and can be taken back by `crop`, nothing is
concatenated), and the query heads that share a key head are folded into the
query axis, so grouped keys are never repeated. The mask is always explicit and
folded once a pass by `fold_mask`. Covered: any decoder
whose attention goes through transformers' attention interface, with or without
soft-capping. Not covered: windows shorter than the text (refused by
`check_window`) and attention sinks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F
from transformers import AttentionInterface, PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

from foreword.core.errors import ModelError

NAME = "foreword"


class SlotLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer, (batch, key heads, capacity, head size); `length` in use."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity, self.length = capacity, 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new states behind the old ones; return views of all in use."""
        if not self.is_initialized:
            self._allocate(key_states, value_states)
        end = self.length + key_states.shape[2]
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def _allocate(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        self.dtype, self.device = keys.dtype, keys.device
        batch, heads = keys.shape[:2]
        # Left empty, since a slot is written before it is looked at; see `SlotCache.place`.
        self.keys = keys.new_empty((batch, heads, self.capacity, keys.shape[3]))
        self.values = values.new_empty((batch, heads, self.capacity, values.shape[3]))
        self.is_initialized = True

    def get_seq_length(self) -> int:
        """The number of positions in use."""
        return self.length


class SlotCache(Cache):  # type: ignore[misc]
    """One `SlotLayer` a layer."""

    def __init__(self, layers: int, capacity: int) -> None:
        super().__init__(layers=[SlotLayer(capacity) for _ in range(layers)])

    @property
    def length(self) -> int:
        """Positions in use, the same in every layer."""
        return int(self.layers[0].length)

    def crop(self, length: int) -> None:
        """Forget everything behind position `length`."""
        for layer in self.layers:
            layer.length = min(layer.length, length)

    def reserve(self, capacity: int) -> None:
        """Make room for `capacity` positions; copies if there is less."""
        for layer in self.layers:
            if layer.capacity < capacity:
                layer.capacity, keys, values = capacity, layer.keys, layer.values
                layer._allocate(keys, values)
                layer.keys[:, :, : layer.length] = keys[:, :, : layer.length]
                layer.values[:, :, : layer.length] = values[:, :, : layer.length]

    def copy(self, rows: torch.Tensor, capacity: int) -> SlotCache:
        """The keys and values of these rows, any number of times, in new buffers."""
        other = SlotCache(len(self.layers), capacity)
        for mine, theirs in zip(self.layers, other.layers, strict=True):
            keys, values = (t[rows, :, : mine.length] for t in (mine.keys, mine.values))
            theirs.update(keys, values)
        return other

    def begin(self, known: Sequence[torch.Tensor | None]) -> None:
        """Fill an empty cache with remembered states, aligned on the right; None for nothing.

        Each is (layers, 2, key heads, tokens, head size), as `states` returns them.
        """
        some = [states for states in known if states is not None]
        if not some:
            return
        layers, two, heads, _, size = some[0].shape
        width = max(states.shape[3] for states in some)
        block = some[0].new_zeros(layers, two, len(known), heads, width, size)
        for row, states in enumerate(known):
            if states is not None:
                block[:, :, row, :, width - states.shape[3] :] = states
        for layer, (keys, values) in zip(self.layers, block, strict=True):
            layer.update(keys, values)

    def place(self, rows: torch.Tensor, batch: int, part: SlotCache, width: int) -> None:
        """Copy a smaller cache into these rows of a cache for `batch`, its end at `width`."""
        for mine, theirs in zip(self.layers, part.layers, strict=True):
            if not mine.is_initialized:
                shape = (batch, theirs.keys.shape[1], 0, theirs.keys.shape[3])
                mine._allocate(theirs.keys.new_empty(shape), theirs.values.new_empty(shape))
            mine.length, start = width, width - theirs.length
            # A masked slot meets a weight of 0, and 0 x nan is nan.
            mine.keys[rows, :, :start] = 0
            mine.values[rows, :, :start] = 0
            mine.keys[rows, :, start:width] = theirs.keys[:, :, : theirs.length]
            mine.values[rows, :, start:width] = theirs.values[:, :, : theirs.length]

    def states(self, row: int, slots: torch.Tensor | slice) -> torch.Tensor:
        """A copy of one row's keys and values, (layers, 2, key heads, tokens, head size)."""
        both = [(layer.keys[row][:, slots], layer.values[row][:, slots]) for layer in self.layers]
        return torch.stack([torch.stack(pair) for pair in both])

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Keep only these rows of the batch, each once; returns them in their new order.

        Rows at the end move into the places of those that leave, so little is copied.
        """
        kept, count = set(rows), len(rows)
        holes = [at for at in range(count) if at not in kept]
        movers = [at for at in rows if at >= count]
        for layer in self.layers:
            for buffer in (layer.keys, layer.values):
                buffer[holes, :, : layer.length] = buffer[movers, :, : layer.length]
            layer.keys, layer.values = layer.keys[:count], layer.values[:count]
        moved = dict(zip(holes, movers, strict=True))
        return [moved.get(at, at) for at in range(count)]


def fold_mask(mask: torch.Tensor, groups: int, dtype: torch.dtype) -> torch.Tensor:
    """A mask for `attend`, made once a pass instead of once a layer.

    Args:
        mask: (batch, 1, queries, keys), True where one may look.
        groups: Query heads a key head.
        dtype: Of the model.

    Returns:
        What is added to the scores, (batch, 1, groups * queries, keys).
    """
    added = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    return added.masked_fill_(~mask, torch.finfo(dtype).min).repeat(1, 1, groups, 1)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention with grouped heads folded into the query axis.

    Args:
        query: (batch, heads, queries, size).
        key: (batch, key heads, keys, size).
        value: (batch, key heads, keys, size).
        attention_mask: From `fold_mask`.

    Returns:
        (batch, queries, heads, size), and None.
    """
    if kwargs.get("s_aux") is not None or attention_mask is None:
        raise ModelError("this architecture's attention (sinks, no mask) is not supported")
    batch, heads, queries, size = query.shape
    query = query.reshape(batch, key.shape[1], -1, size)
    if softcap is None:
        out = F.scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, scale=scaling
        )
    else:
        scale = size**-0.5 if scaling is None else scaling
        scores = torch.matmul(query, key.transpose(2, 3)) * scale
        scores = torch.tanh(scores / softcap) * softcap + attention_mask
        weights = F.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
        out = torch.matmul(weights, value)
    return out.view(batch, heads, queries, -1).transpose(1, 2), None


def install(model: PreTrainedModel) -> None:
    """Make a model use `attend`.

    Raises:
        ModelError: Its attention cannot be exchanged.
    """
    AttentionInterface.register(NAME, attend)
    try:
        model.set_attn_implementation(NAME)
    except (ValueError, NotImplementedError) as error:
        raise ModelError(f"{type(model).__name__} does not take another attention") from error


def check_window(model: PreTrainedModel, length: int) -> None:
    """Refuse texts longer than the model's context or its sliding window.

    Within the window, sliding attention equals full attention, so shorter texts are exact.
    """
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    slides = "sliding_attention" in kinds if kinds else getattr(config, "use_sliding_window", True)
    if window and slides and length > window:
        raise ModelError(f"{length} tokens exceed the model's sliding window of {window}")
    limit = getattr(config, "max_position_embeddings", None)
    if limit and length > limit:
        raise ModelError(f"{length} tokens exceed the model's context of {limit}")
