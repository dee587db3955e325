"""The first tokens by which a model's refusals and its compliance are told apart.

Learnt from labelled replies of the model itself: the shortest token sequences
that occur under one label almost only. The margin compares the probability
mass of the two sets. Each opening of more than one token costs an extra node a
prompt and candidate, so single tokens come first and longer ones are few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foreword.core.errors import ConfigError
from foreword.core.types import Label, Reply

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Ids = tuple[int, ...]
LONGEST = 3  # tokens of an opening
READ = 64  # characters of a continuation that are tokenised


@dataclass(frozen=True)
class Openings:
    """Token ids that begin a refusal, and those that begin compliance; no one begins another."""

    refusal: tuple[Ids, ...]
    compliance: tuple[Ids, ...]

    def __post_init__(self) -> None:
        every = [*self.refusal, *self.compliance]
        if not self.refusal or not self.compliance or not all(every):
            raise ConfigError("openings need at least one non-empty sequence on each side")
        if any(a is not b and b[: len(a)] == a for a in every for b in every):
            raise ConfigError("no opening may begin another one; its mass would count twice")

    @classmethod
    def learn(
        cls,
        samples: Sequence[tuple[Reply, Label]],
        tokenizer: PreTrainedTokenizerBase,
        *,
        purity: float = 0.9,
        least: int = 2,
        most: int = 24,
        inner: int = 3,
    ) -> Openings:
        """Learn the openings from labelled replies; UNDECIDED ones are left out.

        Args:
            samples: Replies (any prefixes) with a judge's labels.
            tokenizer: Of the model that replied.
            purity: Least share of the sequence's occurrences that carry its label.
            least: Least number of its occurrences (1 if the label has fewer replies).
            most: Most openings a side.
            inner: Most ambiguous beginnings that are followed by another token; each costs a
                token a prompt and candidate, as much as a word of the candidate itself.

        Raises:
            ConfigError: One label does not occur, or nothing tells the labels apart.
        """
        heads = {label: _heads(samples, label, tokenizer) for label in _SIDES}
        for label, found in heads.items():
            if not found:
                raise ConfigError(
                    f"none of {len(samples)} sampled replies is {label}; add samples under seed "
                    f"prefixes that bring it about (e.g. {_SEEDS[label]!r}) and learn again"
                )
        counts = {label: Counter(_starts(found)) for label, found in heads.items()}
        enough = min(least, *(len(found) for found in heads.values()))
        chosen = _choose(counts, purity, enough, inner)
        sides = {
            label: tuple(ids for ids, _ in chosen[label].most_common(most)) for label in _SIDES
        }
        for label, side in sides.items():
            if not side:
                raise ConfigError(
                    f"no opening of at most {LONGEST} tokens is typical of {label} replies; "
                    "sample more replies, or lower the purity"
                )
        return cls(refusal=sides[Label.REFUSED], compliance=sides[Label.COMPLIED])


_SIDES = (Label.REFUSED, Label.COMPLIED)
_SEEDS = {Label.REFUSED: "I cannot", Label.COMPLIED: "Sure, I will"}


def _heads(
    samples: Sequence[tuple[Reply, Label]], label: Label, tokenizer: PreTrainedTokenizerBase
) -> list[Ids]:
    """The first tokens of every non-empty reply with a label."""
    texts = [reply.continuation[:READ] for reply, given in samples if given is label]
    encoded = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts if text]
    return [tuple(ids[:LONGEST]) for ids in encoded if ids]


def _starts(heads: Sequence[Ids]) -> Iterator[Ids]:
    for ids in heads:
        for cut in range(1, len(ids) + 1):
            yield ids[:cut]


def _choose(
    counts: dict[Label, Counter[Ids]], purity: float, least: int, inner: int
) -> dict[Label, Counter[Ids]]:
    """Walk down from single tokens: take the pure sequences, go on behind the ambiguous ones."""
    total = counts[Label.REFUSED] + counts[Label.COMPLIED]
    chosen: dict[Label, Counter[Ids]] = {label: Counter() for label in _SIDES}
    level: list[Ids] = sorted((ids for ids in total if len(ids) == 1), key=lambda i: (-total[i], i))
    while level:
        ambiguous = []
        for ids in level:
            label = max(_SIDES, key=lambda side: counts[side][ids])
            if total[ids] < least:
                continue
            if counts[label][ids] >= purity * total[ids]:
                chosen[label][ids] = counts[label][ids]
            elif len(ids) < LONGEST:
                ambiguous.append(ids)
        follow, inner = set(ambiguous[:inner]), max(0, inner - len(ambiguous))
        level = [i for i in total if i[:-1] in follow]
        level.sort(key=lambda i: (-total[i], i))
    return chosen
