"""One batch, decoded to its end: prefill, then one token a row and step.

Rows are padded on the left, so that all rows write their next token to the same
slot of the cache. A row that has ended is dropped at once from the bookkeeping
and from the cache as soon as a quarter of the rows has ended (dropping copies).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from foreword.models.attention import SlotCache, check_window

if TYPE_CHECKING:
    from foreword.models.engine import LocalModel

Finish = Callable[[int, list[int], bool], None]  # (row, new ids without the stop, stopped)


class Sampler:
    """Chooses the next token: greedy, or from one random stream a row."""

    def __init__(
        self, temperature: float, seed: int, rows: Sequence[int], device: torch.device
    ) -> None:
        self.temperature = temperature
        self.streams = [
            torch.Generator(device="cpu").manual_seed(seed * 1_000_003 + row) for row in rows
        ]
        self.device = device

    def __call__(self, logits: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        """Logits (rows, vocabulary) to ids (rows,)."""
        if self.temperature <= 0:
            return logits.argmax(-1)
        chances = torch.softmax(logits.float() / self.temperature, -1).cpu()
        draws = [
            torch.multinomial(chance, 1, generator=self.streams[row])
            for chance, row in zip(chances, rows, strict=True)
        ]
        return torch.cat(draws).to(self.device)


def left_pad(
    rows: Sequence[Sequence[int]], device: torch.device, fill: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids of different lengths to ids, validity and positions, each (batch, longest)."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([[fill] * (width - len(row)) + list(row) for row in rows], device=device)
    gaps = torch.tensor([width - len(row) for row in rows], device=device)
    places = torch.arange(width, device=device)[None] - gaps[:, None]
    return ids, places >= 0, places.clamp(min=0)


def common_length(prompts: Sequence[Sequence[int]]) -> int:
    """How many first tokens all prompts share, such as their system prompt; 0 for one prompt."""
    if len(prompts) < 2:
        return 0
    shortest = min(len(prompt) for prompt in prompts) - 1  # each row keeps a token of its own
    first, *others = prompts
    for place in range(shortest):
        if any(other[place] != first[place] for other in others):
            return place
    return shortest


def causal_mask(valid: torch.Tensor, first: int, last: int) -> torch.Tensor:
    """Validity (batch, width) to the mask of queries first..last, (batch, 1, queries, last).

    A padding query looks at itself, since a softmax over nothing is not a number.
    """
    keys = torch.arange(last, device=valid.device)
    queries = torch.arange(first, last, device=valid.device)
    causal = keys[None] <= queries[:, None]
    itself = keys[None] == queries[:, None]
    return ((causal & valid[:, None, :last]) | itself)[:, None]


class Decoder:
    """Decodes one batch with a model."""

    def __init__(
        self, model: LocalModel, max_new_tokens: int, sampler: Sampler, stop: str = ""
    ) -> None:
        self.model, self.limit, self.sample = model, max_new_tokens, sampler
        self.stop = stop  # text that ends a reply, "" for none

    @torch.inference_mode()
    def run(self, prompts: Sequence[Sequence[int]], finish: Finish) -> None:
        """Prefill the prompts and decode every row until it stops or meets the limit."""
        common = common_length(prompts)
        ids, valid, positions = left_pad(
            [prompt[common:] for prompt in prompts], self.model.model.device
        )
        width = common + ids.shape[1]
        check_window(self.model.model, width + self.limit)
        cache = SlotCache(self.model.layers, width + self.limit)
        if common:
            self._prefill_once(prompts[0][:common], cache, rows=len(prompts))
            valid = torch.cat([valid.new_ones(len(prompts), common), valid], 1)
            positions = positions + common
        hidden = prefill(self.model, ids, valid, positions, cache)
        self.decode(self.model.logits(hidden), valid, positions[:, -1] + 1, cache, finish)

    def _prefill_once(self, tokens: Sequence[int], cache: SlotCache, rows: int) -> None:
        """Run the prompts' common beginning through the model once, then copy it to all rows."""
        ids, valid, positions = left_pad([tokens], self.model.model.device)
        prefill(self.model, ids, valid, positions, cache)
        cache.keep(torch.zeros(rows, dtype=torch.long, device=ids.device))

    @torch.inference_mode()
    def decode(
        self,
        logits: torch.Tensor,
        valid: torch.Tensor,
        position: torch.Tensor,
        cache: SlotCache,
        finish: Finish,
    ) -> None:
        """Decode on from a filled cache.

        Args:
            logits: (batch, vocabulary) of the next token.
            valid: (batch, slots in use), False for padding.
            position: (batch,), the next token's place in the text.
            cache: Has room for all new tokens; rows leave it.
            finish: Called once a row.
        """
        rows = list(range(len(logits)))
        new: list[list[int]] = [[] for _ in rows]
        alive = [self.limit > 0] * len(rows)
        if self.limit <= 0:
            for row in rows:
                finish(row, [], False)
        while any(alive):
            ids = self.sample(logits, rows)
            for at, (row, token) in enumerate(zip(rows, ids.tolist(), strict=True)):
                if alive[at]:
                    alive[at] = self._take(row, token, new, finish)
            if sum(alive) <= 0.75 * len(rows):
                keep = torch.tensor([at for at, on in enumerate(alive) if on], device=ids.device)
                if not len(keep):
                    return
                rows = [rows[at] for at in keep.tolist()]
                ids, valid, position = ids[keep], valid[keep], position[keep]
                alive = [True] * len(rows)
                cache.keep(keep)
            valid = torch.cat([valid, valid.new_ones(len(rows), 1)], 1)
            mask = valid[:, None, None, :]
            hidden = self.model.hidden(ids[:, None], mask, position[:, None], cache)
            logits, position = self.model.logits(hidden[:, -1]), position + 1

    def _take(self, row: int, token: int, new: list[list[int]], finish: Finish) -> bool:
        """Note a row's token; returns whether the row goes on."""
        stopped = token in self.model.stops
        if not stopped:
            new[row].append(token)
            stopped = self._wrote_stop(new[row])
        if stopped or len(new[row]) >= self.limit:
            finish(row, new[row], stopped)
            return False
        return True

    def _wrote_stop(self, new: list[int]) -> bool:
        """Whether the stop text has just been written; only the last tokens can have done it."""
        if not self.stop:
            return False
        return self.stop in self.model.tokenizer.decode(new[-len(self.stop) - 1 :])


def prefill(
    model: LocalModel,
    ids: torch.Tensor,
    valid: torch.Tensor,
    positions: torch.Tensor,
    cache: SlotCache,
) -> torch.Tensor:
    """Write left-padded prompts behind what the cache holds, in passes of bounded size.

    `valid` covers the cache as well as `ids`.

    Returns:
        The hidden states of the last position, (batch, hidden).
    """
    from foreword.models.engine import PREFILL_TOKENS

    batch, width = ids.shape
    start = cache.length
    step = max(1, PREFILL_TOKENS // batch)
    for first in range(0, width, step):
        last = min(first + step, width)
        mask = causal_mask(valid, start + first, start + last)
        hidden = model.hidden(ids[:, first:last], mask, positions[:, first:last], cache)
    return hidden[:, -1]
