"""One batch, decoded to its end: prefill, then one token a row and step.

Rows are aligned on the right, so that all rows write their next token to the same
slot of the cache. What the model's memory knows of a prompt is not read again,
and a row that has ended leaves the batch at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from foreword.models.attention import SlotCache, check_window
from foreword.models.network import Network

BATCH_ROWS = 192  # so that the stragglers of one batch are the only ones
BATCH_MB = 3_072  # keys and values of a batch, padding and new tokens included
PREFILL_TOKENS = 4_096  # tokens of one prefill pass
READ_ROWS = 16  # prompts of one prefill pass: more costs padding, fewer costs speed
ALIKE = 16  # first tokens by which prompts with the same system prompt are told
Finish = Callable[[int, list[int], bool], None]  # (row, new ids without the stop, stopped)
Enough = Callable[[int, list[int]], bool]  # (row, new ids): whether the rest does not matter


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

    def __call__(self, model: Network, hidden: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        """Last hidden states (rows, hidden) to the ids of the next tokens, (rows,)."""
        if self.temperature <= 0:
            return model.likeliest(hidden)
        chances = torch.softmax(model.logits(hidden) / self.temperature, -1).cpu()
        draws = [
            torch.multinomial(chance, 1, generator=self.streams[row])
            for chance, row in zip(chances, rows, strict=True)
        ]
        return torch.cat(draws).to(self.device)


def batches(slots: Sequence[int], slot_bytes: int) -> Iterator[list[int]]:
    """Split rows, longest first, into batches of at most BATCH_ROWS rows and BATCH_MB.

    Longest first shows a memory problem at once and leaves the quick batches for the end.

    Args:
        slots: Positions each row needs, new tokens included.
        slot_bytes: Of the keys and values of one position.
    """
    room = BATCH_MB * 2**20 // slot_bytes
    order = sorted(range(len(slots)), key=lambda i: -slots[i])
    start = 0
    while start < len(order):
        rows = max(1, min(BATCH_ROWS, room // max(1, slots[order[start]])))
        yield order[start : start + rows]
        start += rows


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
        self,
        model: Network,
        max_new_tokens: int,
        sampler: Sampler,
        stop: str = "",
        enough: Enough | None = None,
    ) -> None:
        self.model, self.limit, self.sample = model, max_new_tokens, sampler
        self.stop = stop  # text that ends a reply, "" for none
        self.enough = enough

    @torch.inference_mode()
    def run(self, prompts: Sequence[Sequence[int]], finish: Finish) -> None:
        """Prefill the prompts and decode every row until it stops or meets the limit."""
        check_window(self.model.model, max(map(len, prompts)) + self.limit)
        self._know_beginning(prompts)
        known = [self.model.memory.recall(prompt) for prompt in prompts]
        begun = [0 if states is None else states.shape[3] for states in known]
        rest = [list(prompt[n:]) for prompt, n in zip(prompts, begun, strict=True)]
        order = sorted(range(len(prompts)), key=lambda i: (len(rest[i]), begun[i]))  # least padding
        groups = [order[i : i + READ_ROWS] for i in range(0, len(order), READ_ROWS)]
        width = max(max(begun[i] for i in g) + max(len(rest[i]) for i in g) for g in groups)
        cache = SlotCache(self.model.layers, width + self.limit)
        device = self.model.model.device
        valid = torch.zeros(len(prompts), width, dtype=torch.bool, device=device)
        position = torch.tensor([len(prompt) for prompt in prompts], device=device)
        last: list[torch.Tensor] = [torch.empty(0)] * len(prompts)
        for group in groups:
            before = [known[i] for i in group]
            part, seen, hidden = read(self.model, before, [rest[i] for i in group])
            rows = torch.tensor(group, device=device)
            cache.place(rows, len(prompts), part, width)
            valid[rows, width - seen.shape[1] :] = seen
            for row, each in zip(group, hidden, strict=True):
                last[row] = each
        self.decode(torch.stack(last), valid, position, cache, finish, prompts)

    def _know_beginning(self, prompts: Sequence[Sequence[int]]) -> None:
        """Have the prompts' common beginning, such as a system prompt, in memory."""
        common = list(prompts[0][: common_length(prompts)])
        known = self.model.memory.recall([*common, 0])
        if common and (known is None or known.shape[3] < len(common)):
            self.model.memory.keep(common, states_of(self.model, common))

    @torch.inference_mode()
    def decode(
        self,
        hidden: torch.Tensor,
        valid: torch.Tensor,
        position: torch.Tensor,
        cache: SlotCache,
        finish: Finish,
        prompts: Sequence[Sequence[int]] = (),
    ) -> None:
        """Decode on from a filled cache.

        Args:
            hidden: (batch, hidden), the last states of what the cache holds.
            valid: (batch, slots in use), False for padding.
            position: (batch,), the next token's place in the text.
            cache: Has room for all new tokens; rows leave it.
            finish: Called once a row.
            prompts: What the cache holds; if given, finished rows are remembered.
        """
        rows = list(range(len(hidden)))
        new: list[list[int]] = [[] for _ in rows]
        if self.limit <= 0:
            for row in rows:
                finish(row, [], False)
            return
        while True:
            ids = self.sample(self.model, hidden, rows)
            going = []
            for at, (row, token) in enumerate(zip(rows, ids.tolist(), strict=True)):
                if self._take(row, token, new, finish):
                    going.append(at)
                elif prompts:
                    states = cache.states(at, valid[at].nonzero()[:, 0])
                    text = [*prompts[row], *new[row]]
                    self.model.memory.keep(text[: states.shape[3]], states)
            if not going:
                return
            if len(going) < len(rows):
                order = cache.keep(going)
                rows = [rows[at] for at in order]
                keep = torch.tensor(order, device=ids.device)
                ids, valid, position = ids[keep], valid[keep], position[keep]
            valid = torch.cat([valid, valid.new_ones(len(rows), 1)], 1)
            mask = valid[:, None, None, :]
            hidden = self.model.hidden(ids[:, None], mask, position[:, None], cache)[:, -1]
            position = position + 1

    def _take(self, row: int, token: int, new: list[list[int]], finish: Finish) -> bool:
        """Note a row's token; returns whether the row goes on."""
        stopped = token in self.model.stops
        if not stopped:
            new[row].append(token)
            stopped = self._wrote_stop(new[row])
        enough = self.enough is not None and self.enough(row, new[row])
        if stopped or enough or len(new[row]) >= self.limit:
            finish(row, new[row], stopped)
            return False
        return True

    def _wrote_stop(self, new: list[int]) -> bool:
        """Whether the stop text has just been written; only the last tokens can have done it."""
        if not self.stop:
            return False
        return self.stop in self.model.tokenizer.decode(new[-len(self.stop) - 1 :])


def prefill(
    model: Network,
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
    batch, width = ids.shape
    start = cache.length
    step = max(1, PREFILL_TOKENS // batch)
    for first in range(0, width, step):
        last = min(first + step, width)
        mask = causal_mask(valid, start + first, start + last)
        hidden = model.hidden(ids[:, first:last], mask, positions[:, first:last], cache)
    return hidden[:, -1]


def read(
    model: Network,
    known: Sequence[torch.Tensor | None],
    rest: Sequence[Sequence[int]],
    room: int = 0,
) -> tuple[SlotCache, torch.Tensor, torch.Tensor]:
    """Run some rows' new tokens through the model, behind what is known of them.

    Returns:
        Their cache, with room for so many positions more, its validity (rows, width), and the
        last hidden states (rows, hidden).
    """
    device = model.model.device
    begun = torch.tensor([0 if k is None else k.shape[3] for k in known], device=device)
    ids, fresh, positions = left_pad(rest, device)
    width = int(begun.max())
    before = torch.arange(width, device=device)[None] >= width - begun[:, None]
    valid = torch.cat([before, fresh], 1)
    cache = SlotCache(model.layers, valid.shape[1] + room)
    cache.begin(known)
    return cache, valid, prefill(model, ids, valid, positions + begun[:, None], cache)


def states_of(model: Network, ids: Sequence[int]) -> torch.Tensor:
    """The keys and values of a text, as `SlotCache.states` returns them."""
    cache, _, _ = read(model, [None], [ids])
    return cache.states(0, slice(None))


def read_alike(
    model: Network, prompts: Sequence[Sequence[int]], room: int
) -> tuple[SlotCache, torch.Tensor, torch.Tensor]:
    """As `read`, of whole prompts; what those of one kind begin with is read once.

    Prompts are of one kind, such as those with one system prompt, if their first ALIKE tokens are
    the same.
    """
    kinds: dict[tuple[int, ...], list[int]] = {}
    for at, prompt in enumerate(prompts):
        kinds.setdefault(tuple(prompt[:ALIKE]), []).append(at)
    known: list[torch.Tensor | None] = [None] * len(prompts)
    rest = list(prompts)
    for places in kinds.values():
        if common := common_length([prompts[at] for at in places]):
            states = states_of(model, prompts[places[0]][:common])
            for at in places:
                known[at], rest[at] = states, prompts[at][common:]
    return read(model, known, rest, room)
