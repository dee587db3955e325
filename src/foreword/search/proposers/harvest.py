"""Openers out of the model's own mouth: heads of sentences that refusals and compliances share.

What can begin both a refusal and a compliance leaves the decision to the model, which did
far better than any declaration of values. So replies sampled from the target (and from its
parent before fine-tuning, which still refuses) are read word by word: where the words of
several replies part, the words before are an opener. It counts as much as the rarer of
its two answers. Covered: any language with spaces. Not covered: replies that are code
from the first character; sample them behind seed prefixes, whose words then are read too.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from foreword.core.types import Label, Reply, Trial
from foreword.search.proposers.novel import Novel

Sample = tuple[Reply, Label]
Words = tuple[str, ...]

LONGEST = 12  # words of an opener
SMOOTHING = 0.5  # pseudo-count of each answer, so that a head seen on one side has a rank too

_PROSE = re.compile(r"[^\n`]*")  # the first line, up to any code
_ENDS = ".,:;!?"
_SIDES = (Label.REFUSED, Label.COMPLIED)


class HarvestProposer(Novel):
    """Proposes what `harvest` finds, the best first, and nothing once that is used up."""

    name = "harvest"

    def __init__(self, samples: Callable[[], Iterable[Sample]]) -> None:
        """Take a function that samples, called once, when the first prefix is wanted.

        Args:
            samples: labelled replies to harmful and benign search tasks, such as
                `scorers.sample` makes; the same at each call, for a search to be resumable.
        """
        super().__init__()
        self._samples = samples
        self._found: list[str] | None = None

    def propose(self, examples: Sequence[Trial], n: int, rng: random.Random) -> list[str]:
        """The next n openers; neither examples nor chance have a say."""
        del examples, rng
        if self._found is None:
            self._found = harvest(self._samples())
        return self.take(n, self._found)


def harvest(samples: Iterable[Sample]) -> list[str]:
    """Openers of labelled replies, those likely under both labels first.

    Only heads behind which replies part are kept: of a sentence that was said many times
    that leaves the places where something is decided, not each of its heads. A head that
    only one answer followed has decided; it is kept only if there was one kind of reply.

    Args:
        samples: replies (any prefixes, whose words count) with a judge's labels.

    Returns:
        Heads of 1 to LONGEST words, by the smaller of two smoothed shares: of the refusals
        that begin so, and of the compliances. An opener and its own beginning never stand
        side by side if another can stand between.
    """
    counts: dict[Label, Counter[Words]] = {side: Counter() for side in _SIDES}
    after: dict[Words, set[str]] = {}
    totals: Counter[Label] = Counter()
    for reply, label in samples:
        if label in counts:
            totals[label] += 1
            words = _words(reply)
            for cut in range(1, len(words)):
                counts[label][words[:cut]] += 1
                after.setdefault(words[:cut], set()).add(words[cut].rstrip(_ENDS))

    def share(head: Words, label: Label) -> float:
        return (counts[label][head] + SMOOTHING) / (totals[label] + 2 * SMOOTHING)

    def weight(head: Words) -> tuple[float, float]:
        shares = [share(head, side) for side in _SIDES]
        return min(shares), max(shares)

    both = all(totals[side] for side in _SIDES)  # else nobody can say what decides

    def open_(head: Words) -> bool:
        """Whether both answers followed it; of one kind of reply, whether it is unfinished."""
        return all(counts[side][head] for side in _SIDES) if both else head[-1][-1] not in ".!?"

    heads = [head for head, next_words in after.items() if len(next_words) > 1 and open_(head)]
    ranked = sorted(heads, key=lambda head: (*(-part for part in weight(head)), head))
    return [" ".join(head) for head in _apart(ranked)]


def _words(reply: Reply) -> Words:
    """The words before any code, with an empty one where the prose ends; at most LONGEST + 1."""
    found = _PROSE.match(reply.text.lstrip())
    prose = found[0].split() if found else []
    return (*prose, "")[: LONGEST + 1]


def _apart(ranked: Sequence[Words]) -> list[Words]:
    """The same heads, each the best that neither begins the one before nor is begun by it."""
    left, ordered = list(ranked), list[Words]()
    while left:
        before = ordered[-1] if ordered else ()
        fit = (head for head in left if not before or not _nested(head, before))
        chosen = next(fit, left[0])
        left.remove(chosen)
        ordered.append(chosen)
    return ordered


def _nested(one: Words, other: Words) -> bool:
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]
