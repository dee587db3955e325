"""Many prompts prefilled once; then a prefix costs one pass over its own tokens.

Candidates are merged into one token tree, which every prompt of a chunk carries
behind its cached keys and values: a node sees its prompt and its ancestors
(tree attention), stands at the place it would have in the text, and is forgotten
after the pass. So common beginnings are computed once and nothing is copied.
Equal to the full forward of every prompt and prefix up to rounding
(tests/models/test_shared_kv.py says how much). Not covered: texts longer than a
sliding window; they are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from foreword.core.errors import UsageError
from foreword.core.types import Chat, Reply
from foreword.models import chat
from foreword.models.attention import SlotCache, check_window
from foreword.models.decoding import (
    Decoder,
    Finish,
    Sampler,
    batches,
    left_pad,
    prefill,
    read_alike,
)
from foreword.models.network import LOGIT_ROWS, Network
from foreword.models.odds import Odds
from foreword.models.openings import Openings
from foreword.models.trie import Trie, extra_nodes, split

CHUNK_ROWS = 64  # prompts of one pass
PASS_TOKENS = 2_048  # tree tokens of one pass, over all its prompts


@dataclass
class Chunk:
    """Some prompts of like length, left-padded, and what their prefill left."""

    rows: list[int]  # places in the caller's list
    valid: torch.Tensor  # (rows, width), False for padding
    last: torch.Tensor  # (rows, hidden), the hidden state at the prompt's end
    cache: SlotCache

    @property
    def lengths(self) -> torch.Tensor:
        """Tokens of each prompt, (rows,)."""
        return self.valid.sum(1)

    def only(self, wanted: Collection[int]) -> Chunk:
        """The wanted rows alone, their cache copied; itself if all are wanted."""
        places = [at for at, row in enumerate(self.rows) if row in wanted]
        if len(places) == len(self.rows):
            return self
        at = torch.tensor(places, device=self.valid.device)
        cache = self.cache.copy(at, self.cache.length + PASS_TOKENS // len(places))
        rows = [self.rows[place] for place in places]
        return Chunk(rows, self.valid[at], self.last[at], cache)


class SharedKV:
    """Scores prefixes on a fixed list of chats; made by `LocalModel.prefill`."""

    def __init__(self, model: Network, chats: Sequence[Chat], budget_mb: int = 2048) -> None:
        if not chats:
            raise UsageError("there is no chat to prefill; give at least one")
        self.model = model
        self.prompts = [chat.prompt_ids(model.tokenizer, c) for c in chats]
        self._groups = self._group(budget_mb * 2**20)
        self._kept: dict[int, Chunk] = {}

    def __len__(self) -> int:
        """The number of prompts."""
        return len(self.prompts)

    def margins(
        self, prefixes: Sequence[str], openings: Openings, rows: Sequence[int] | None = None
    ) -> NDArray[np.float64]:
        """How much likelier a refusal begins than compliance, after each prefix.

        Args:
            prefixes: Texts the replies begin with.
            openings: What begins a refusal and what compliance.
            rows: Places of the prompts that are asked, all if not given.

        Returns:
            (prefixes, rows): log-odds (natural log), the log of the probability mass of the
            refusal openings less that of the compliance openings; nan where both together are
            less likely than LEAST_MASS, since a ratio of two rarities says nothing.
        """
        out = np.empty((len(prefixes), len(self.prompts)))
        paths = [chat.prefix_ids(self.model.tokenizer, prefix) for prefix in prefixes]
        extra = extra_nodes([*openings.refusal, *openings.compliance])

        def score(chunk: Chunk, tree: Trie, group: list[int], ends: list[int]) -> None:
            odds = Odds(self.model, openings, tree, ends)
            hidden = self._run(chunk, tree)
            out[np.ix_(group, chunk.rows)] = odds(hidden).T.cpu().numpy()

        self._each(paths, extra, score, rows)
        return out if rows is None else out[:, rows]

    @torch.inference_mode()
    def likeliest(self, prefixes: Sequence[str], k: int) -> list[list[tuple[str, float]]]:
        """What goes on best behind each prefix, whatever the prompt.

        No more than LOGIT_ROWS rows of logits are held at once, and one row a prefix.

        Args:
            prefixes: Texts the replies begin with.
            k: How many tokens are wanted of each.

        Returns:
            For each prefix the k next tokens with the highest mean log-probability (natural log)
            over the prompts, likeliest first: the text a token adds (empty for control tokens),
            and that mean.
        """
        tokenizer = self.model.tokenizer
        paths = [chat.prefix_ids(tokenizer, prefix) for prefix in prefixes]
        width = self.model.model.get_output_embeddings().weight.shape[0]
        total = torch.zeros(len(paths), width, device=self.model.model.device)

        def add(chunk: Chunk, tree: Trie, group: list[int], ends: list[int]) -> None:
            hidden = self._run(chunk, tree)
            for row, end in zip(group, ends, strict=True):
                for part in torch.split(hidden[:, end], LOGIT_ROWS):
                    total[row] += self.model.logits(part).log_softmax(-1).sum(0)

        self._each(paths, 0, add)
        best = (total / len(self.prompts)).topk(k)
        return [
            [(chat.continuation(tokenizer, path, [token]), mean) for token, mean in pairs]
            for path, pairs in zip(
                paths, map(zip, best.indices.tolist(), best.values.tolist()), strict=True
            )
        ]

    def generate(
        self,
        prefixes: Sequence[str],
        max_new_tokens: int,
        enough: Callable[[str, str], bool] | None = None,
        rows: Sequence[int] | None = None,
    ) -> list[list[Reply]]:
        """Continue every prefix greedily on every prompt.

        Args:
            prefixes: Texts the replies begin with.
            max_new_tokens: The most tokens a reply may add.
            enough: Told a prefix and what was added so far; where it is true the reply is cut.
            rows: Places of the prompts that are wanted, all if not given.

        Returns:
            A list a prefix with a reply a prompt, in the order of `rows`.
        """
        wanted = range(len(self.prompts)) if rows is None else rows
        paths = [chat.prefix_ids(self.model.tokenizer, prefix) for prefix in prefixes]
        replies: dict[tuple[int, int], Reply] = {}
        for chunk in self._chunks(frozenset(wanted)):
            places = [at for at, row in enumerate(chunk.rows) if row in wanted]
            pairs = [(k, at) for k in range(len(paths)) for at in places]
            begun = chunk.cache.length + max_new_tokens
            for batch in batches([begun + len(paths[k]) for k, _ in pairs], self.model.slot_bytes):
                chosen = [pairs[i] for i in batch]

                def finish(
                    i: int,
                    new: list[int],
                    stopped: bool,
                    chosen: list[tuple[int, int]] = chosen,
                    chunk: Chunk = chunk,
                ) -> None:
                    k, at = chosen[i]
                    text = chat.continuation(self.model.tokenizer, paths[k], new)
                    reply = Reply(prefixes[k], text, len(new) + stopped, stopped)
                    replies[k, chunk.rows[at]] = reply

                def seen(i: int, new: list[int], chosen: list[tuple[int, int]] = chosen) -> bool:
                    k = chosen[i][0]
                    text = chat.continuation(self.model.tokenizer, paths[k], new)
                    return enough is not None and enough(prefixes[k], text)

                openings = [paths[k] for k, _ in chosen]
                behind = [at for _, at in chosen]
                decoder = Decoder(self.model, max_new_tokens, _GREEDY, enough=enough and seen)
                self._decode(chunk, behind, openings, decoder, finish)
        return [[replies[k, n] for n in wanted] for k in range(len(paths))]

    @torch.inference_mode()
    def _decode(
        self,
        chunk: Chunk,
        rows: list[int],
        openings: list[list[int]],
        decoder: Decoder,
        finish: Finish,
    ) -> None:
        """Write an opening behind each of some rows of a chunk, and decode on from there."""
        width = max(map(len, openings))
        self._check(chunk, width + decoder.limit)
        at = torch.tensor(rows, device=chunk.valid.device)
        cache = chunk.cache.copy(at, chunk.cache.length + width + decoder.limit)
        hidden, valid, position = chunk.last[at], chunk.valid[at], chunk.lengths[at]
        if width:
            ids, given, places = left_pad(openings, chunk.valid.device)
            valid = torch.cat([valid, given], 1)
            read = prefill(self.model, ids, valid, position[:, None] + places, cache)
            hidden = torch.where(given[:, -1:], read, hidden)  # nothing was read of an empty one
            position = position + given.sum(1)
        decoder.decode(hidden, valid, position, cache, finish)

    def _each(
        self,
        paths: list[list[int]],
        extra: int,
        use: Callable[[Chunk, Trie, list[int], list[int]], None],
        rows: Sequence[int] | None = None,
    ) -> None:
        """Call `use` for every chunk and every group of candidates with their common tree."""
        wanted = frozenset(range(len(self)) if rows is None else rows)
        for chunk in (each.only(wanted) for each in self._chunks(wanted)):
            for group in split(paths, extra, max(1, PASS_TOKENS // len(chunk.rows))):
                tree = Trie()
                ends = [tree.add(paths[i]) for i in group]
                use(chunk, tree, group, ends)

    def _run(self, chunk: Chunk, tree: Trie) -> torch.Tensor:
        """Hidden states of the prompt's end and of all nodes, (rows, 1 + nodes, hidden)."""
        if not len(tree):
            return chunk.last[:, None]
        self._check(chunk, max(tree.depths))
        length = chunk.cache.length
        chunk.cache.reserve(length + len(tree))
        try:
            hidden = self._forward(chunk, tree)
        finally:
            chunk.cache.crop(length)
        return torch.cat([chunk.last[:, None], hidden], 1)

    def _forward(self, chunk: Chunk, tree: Trie) -> torch.Tensor:
        """One pass over a tree behind every prompt; (rows, nodes, hidden)."""
        device, rows, nodes = chunk.valid.device, len(chunk.rows), len(tree)
        ids = torch.tensor(tree.tokens[1:], device=device).expand(rows, nodes)
        depths = torch.tensor(tree.depths[1:], device=device)
        positions = chunk.lengths[:, None] + depths[None] - 1
        prompt = chunk.valid[:, None, None].expand(rows, 1, nodes, -1)
        seen = tree.visible().to(device).expand(rows, 1, nodes, nodes)
        return self.model.hidden(ids, torch.cat([prompt, seen], -1), positions, chunk.cache)

    def _check(self, chunk: Chunk, more: int) -> None:
        check_window(self.model.model, int(chunk.lengths.max()) + more)

    def _group(self, budget: int) -> list[tuple[list[int], bool]]:
        """Rows by length in chunks; each with whether its cache is kept between calls."""
        order = sorted(range(len(self.prompts)), key=lambda i: len(self.prompts[i]))
        slot = self.model.slot_bytes
        groups: list[list[int]] = []
        for row in order:
            width = len(self.prompts[row]) + PASS_TOKENS // CHUNK_ROWS
            fits = groups and (len(groups[-1]) + 1) * width * slot <= budget
            if fits and len(groups[-1]) < CHUNK_ROWS:
                groups[-1].append(row)
            else:
                groups.append([row])
        sizes = [len(g) * (len(self.prompts[g[-1]]) + PASS_TOKENS // len(g)) * slot for g in groups]
        # If not all fit, one place stays free for the chunks that are computed again each time.
        free = budget if sum(sizes) <= budget else budget - max(sizes)
        kept = [sum(sizes[: i + 1]) <= free for i in range(len(sizes))]
        return list(zip(groups, kept, strict=True))

    def _chunks(self, wanted: Collection[int] | None = None) -> Iterator[Chunk]:
        """All chunks, or those that hold a wanted prompt."""
        for at, (rows, keep) in enumerate(self._groups):
            if wanted is not None and not any(row in wanted for row in rows):
                continue
            chunk = self._kept.get(at) or self._prefill(rows)
            if keep:
                self._kept[at] = chunk
            yield chunk

    @torch.inference_mode()
    def _prefill(self, rows: list[int]) -> Chunk:
        prompts = [self.prompts[row] for row in rows]
        check_window(self.model.model, max(map(len, prompts)))
        cache, valid, last = read_alike(self.model, prompts, PASS_TOKENS // len(rows))
        return Chunk(rows, valid, last, cache)


_GREEDY = Sampler(0.0, 0, [], torch.device("cpu"))
