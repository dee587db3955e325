"""From hidden states behind a prefix to the log-odds of refusal against compliance.

All openings start at the same node of the tree, so the normaliser of their first token
cancels in the odds; their mass and the later tokens need the full softmax. Where the
known openings carry too little mass, a ratio of two rarities says nothing.
"""

from __future__ import annotations

import math

import torch

from foreword.core.types import Label
from foreword.models.network import LOGIT_ROWS, Network
from foreword.models.openings import Openings
from foreword.models.trie import Trie

LEAST_MASS = 0.1  # probability that a reply begins with a known opening; below it, nobody knows


class Odds:
    """Turns the hidden states of one tree into log-odds; adds the nodes it needs to the tree."""

    def __init__(self, model: Network, openings: Openings, tree: Trie, ends: list[int]) -> None:
        self.model, self.ends = model, ends
        self.sides = {Label.REFUSED: openings.refusal, Label.COMPLIED: openings.compliance}
        every = [*openings.refusal, *openings.compliance]
        self.firsts = sorted({ids[0] for ids in every})
        self.laters = sorted({token for ids in every for token in ids[1:]})
        cuts = sorted({ids[:cut] for ids in every for cut in range(1, len(ids))})
        self.inner = {cut: [tree.add(cut, end) for end in ends] for cut in cuts}

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden states (rows, 1 + nodes, hidden) to log-odds (rows, candidates)."""
        first = self.model.some_logits(hidden[:, self.ends], self.firsts)
        later = {cut: self._log_probs(hidden[:, nodes]) for cut, nodes in self.inner.items()}
        mass = {
            label: torch.stack([self._log_mass(ids, first, later) for ids in side]).logsumexp(0)
            for label, side in self.sides.items()
        }
        odds = mass[Label.REFUSED] - mass[Label.COMPLIED]
        known = torch.stack([*mass.values()]).logsumexp(0) - self._log_total(hidden[:, self.ends])
        return odds.masked_fill(known.exp() < LEAST_MASS, math.nan)

    def _log_mass(
        self,
        ids: tuple[int, ...],
        first: torch.Tensor,
        later: dict[tuple[int, ...], torch.Tensor],
    ) -> torch.Tensor:
        total = first[..., self.firsts.index(ids[0])]
        for cut in range(1, len(ids)):
            total = total + later[ids[:cut]][..., self.laters.index(ids[cut])]
        return total

    def _log_total(self, hidden: torch.Tensor) -> torch.Tensor:
        """The normaliser of the next token, (rows, candidates)."""
        parts = torch.split(hidden.flatten(0, 1), LOGIT_ROWS)
        total = torch.cat([self.model.logits(part).logsumexp(-1) for part in parts])
        return total.view(*hidden.shape[:2])

    def _log_probs(self, hidden: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the later tokens, (rows, candidates, later tokens)."""
        flat = hidden.flatten(0, 1)
        parts = []
        for part in torch.split(flat, LOGIT_ROWS):
            logits = self.model.logits(part)
            parts.append(logits[:, self.laters] - logits.logsumexp(-1, keepdim=True))
        return torch.cat(parts).view(*hidden.shape[:2], -1)
