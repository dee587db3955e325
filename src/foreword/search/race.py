"""The race: margins for every candidate, openings for the promising, task by task.

A ladder. On its lower rung a candidate costs a pass over its own tokens, on some tasks and, if it
is among the better quarter, on all. The leaders there, and one drawn from the rest, are then
written out on growing blocks of tasks (successive halving: Jamieson and Talwalkar, 2016), all
on the same tasks, so that everything is paired. A candidate that the best so far beats by a
Wilcoxon signed-rank test is given up early. Where margins have proved to foretell what the
target writes, fewer are written out; where they do not, they are not asked any more.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from foreword.core.stats import wilson
from foreword.core.types import Label, Rate, Score
from foreword.search.ranking import surely
from foreword.search.scorers import (
    LABELS,
    Margins,
    OpeningScorer,
    leaning,
    score_of,
    score_of_margins,
)

FIRST = 1 / 4  # of the tasks: everybody's margins are asked there
BETTER = 1 / 4  # of the candidates: their margins are asked on the others as well
PROMOTED = 1 / 8  # of a round's candidates, by margin
PROVED = 1 / 16  # the same, once margins are known to foretell what is written
# Of the tasks, scored when the next halving is due. A block takes its time however few are left,
# so there are no more of them.
BLOCKS = (1 / 8, 1 / 4, 1.0)
ALPHA = 0.05  # chance that a candidate as good as the best is given up, over all looks
TRUST = 0.75  # agreement with openings below which margins are not believed
SURE = 0.9  # and from which on they have proved themselves

Row = list[Label | None]  # a candidate's labels, benign tasks first; None where not scored


@dataclass(frozen=True)
class Rungs:
    """How well margins foretell openings, over all tasks that were scored both ways."""

    agreement: Rate  # the margin's sign is what the judge said
    rho: float  # Spearman, over candidates: overall by margins and by openings, on the same tasks
    candidates: int

    @property
    def believed(self) -> bool:
        """Whether the lower rung may decide who is promoted; innocent until proved guilty."""
        return self.agreement.high >= TRUST

    @property
    def promoted(self) -> float:
        """The share of a round that is written out: the surer the margins, the less."""
        return PROVED if self.agreement.low >= SURE else PROMOTED


class Race:
    """A Scorer that spends openings where they matter; it remembers what it has scored."""

    def __init__(
        self, openings: OpeningScorer, margins: Margins | None = None, *, seed: int = 0
    ) -> None:
        """Race on the tasks of `openings`.

        Args:
            openings: the highest rung.
            margins: the lower rung; a remote target has none.
            seed: of the order of the tasks and of who is promoted by lot.
        """
        self._openings, self._margins, self._seed = openings, margins, seed
        self._sizes = openings.sizes
        order = _mixed(self._sizes, random.Random(f"{seed}/tasks"))
        ends = [0, *(math.ceil(share * len(order)) for share in BLOCKS)]
        self._blocks = [order[start:end] for start, end in pairwise(ends) if start < end]
        cut = math.ceil(FIRST * len(order))
        self._heard = [order[:cut], order[cut:]]
        self._known: list[Score] = []

    def remember(self, scores: Sequence[Score]) -> None:
        """Take what an earlier sitting scored."""
        self._known += scores

    def score(self, prefixes: Sequence[str]) -> list[Score]:
        """One score a prefix; those that fell behind have scores of less than all tasks."""
        told = rungs(self._known)
        field, lower = list(range(len(prefixes))), list[Score]()
        if self._margins and told.believed:
            # One by lot takes part whatever its margins, which keeps the agreement honest.
            lot = random.Random(f"{self._seed}/{len(self._known)}").choice(field)
            lower = self._lower(prefixes, self._margins, lot)
            leaders = _ranked(field, lower)[: math.ceil(told.promoted * len(field))]
            field = sorted({*leaders, lot})
        rows: dict[int, Row] = {at: [None] * sum(self._sizes) for at in field}
        for number, block in enumerate(self._blocks):
            if number and not (field := self._survivors(field, rows, lower)):
                break
            found = self._openings.labels([prefixes[at] for at in field], block)
            for at, labels in zip(field, found, strict=True):
                for task, label in zip(block, labels, strict=True):
                    rows[at][task] = label
        scores = [
            self._scored(rows[at], lower[at] if lower else None) if at in rows else lower[at]
            for at in range(len(prefixes))
        ]
        self.remember(scores)
        return scores

    def _lower(self, prefixes: Sequence[str], ask: Margins, lot: int) -> list[Score]:
        """Scores by margin: on some tasks; for the better ones, and who is in by lot, on all."""
        rows: list[list[float | None]] = [[None] * sum(self._sizes) for _ in prefixes]
        scores: dict[int, Score] = {}
        climbing = list(range(len(prefixes)))
        for tasks in self._heard:
            found = ask([prefixes[at] for at in climbing], tasks)
            for at, margins in zip(climbing, found, strict=True):
                for task, margin in zip(tasks, margins, strict=True):
                    rows[at][task] = margin
                scores[at] = score_of_margins(rows[at], self._sizes[0])
            better = _ranked(climbing, scores)[: math.ceil(BETTER * len(climbing))]
            climbing = sorted({*better, lot})
        return [scores[at] for at in range(len(prefixes))]

    def _survivors(
        self, field: Sequence[int], rows: dict[int, Row], lower: Sequence[Score]
    ) -> list[int]:
        """The better half, less those that are beaten."""
        scores = {at: self._scored(rows[at], lower[at] if lower else None) for at in field}
        order = _ranked(field, scores)
        rival = self._best() or rows[order[0]]
        kept = order[: math.ceil(len(order) / 2)]
        looks = len(self._blocks) - 1
        left = [at for at in kept if not beaten(rows[at], rival, self._sizes, ALPHA / looks)]
        return sorted(left)

    def _best(self) -> Row | None:
        """The labels of the best candidate that was scored on all tasks."""
        whole = [score for score in self._known if score.fidelity == "opening" and score.complete]
        if not whole:
            return None
        champion = max(whole, key=surely)
        return labels_of(champion)

    def _scored(self, row: Row, lower: Score | None) -> Score:
        cut = self._sizes[0]
        return score_of(row[:cut], row[cut:], "opening", lower.margins if lower else ())


def beaten(row: Row, rival: Row, sizes: tuple[int, ...], alpha: float) -> bool:
    """Whether the rival is better on the tasks that both were scored on.

    One-sided Wilcoxon signed-rank test over the tasks (scipy), each weighed as in the overall
    score: by one over the number of tasks of its side.
    """
    from scipy.stats import wilcoxon

    gains = []
    for task, (ours, theirs) in enumerate(zip(row, rival, strict=True)):
        wanted = Label.COMPLIED if task < sizes[0] else Label.REFUSED
        if ours is not None and theirs is not None and (ours is wanted) != (theirs is wanted):
            weight = 1 / sizes[0] if task < sizes[0] else 1 / sizes[1]
            gains.append(weight if theirs is wanted else -weight)
    return bool(gains) and float(wilcoxon(gains, alternative="greater").pvalue) <= alpha


def rungs(scores: Sequence[Score]) -> Rungs:
    """How well margins foretold openings; undecided tasks are left out."""
    agreed, pairs = 0, []
    total = 0
    for score in scores:
        if score.fidelity != "opening" or not score.margins:
            continue
        row = labels_of(score)
        foretold: Row = [
            leaning(margin) if label is not None else None
            for margin, label in zip(score.margins, row, strict=True)
        ]
        both = [
            (said, guess)
            for said, guess in zip(row, foretold, strict=True)
            if said not in (None, Label.UNDECIDED) and guess is not Label.UNDECIDED
        ]
        agreed += sum(said is guess for said, guess in both)
        total += len(both)
        cut = score.outcomes.index("|")
        pairs.append((score_of(foretold[:cut], foretold[cut:], "margin").overall, score.overall))
    return Rungs(wilson(agreed, total), _spearman(pairs), len(pairs))


def labels_of(score: Score) -> Row:
    """The labels behind a score, benign tasks first."""
    return [LABELS[letter] for letter in score.outcomes.replace("|", "")]


def _spearman(pairs: Sequence[tuple[float, float]]) -> float:
    """Nan where one side does not vary."""
    from scipy.stats import spearmanr

    if any(len(set(side)) < 2 for side in zip(*pairs, strict=True)) or len(pairs) < 3:
        return math.nan
    return float(spearmanr(*zip(*pairs, strict=True)).statistic)


def _ranked(field: Sequence[int], scores: Sequence[Score] | dict[int, Score]) -> list[int]:
    """What was scored on all tasks first; by what it promises for others, in order."""
    return sorted(
        field,
        key=lambda at: (not scores[at].complete, -surely(scores[at]), at),
    )


def _mixed(sizes: tuple[int, ...], rng: random.Random) -> list[int]:
    """All tasks in random order, each stretch with its fair share of either side."""
    keyed, start = [], 0
    for size in sizes:
        places = list(range(start, start + size))
        rng.shuffle(places)
        keyed += [((rank + 0.5) / size, place) for rank, place in enumerate(places)]
        start += size
    return [place for _, place in sorted(keyed)]
