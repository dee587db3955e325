"""The race: margins for every candidate, openings for the promising, task by task.

A ladder over growing blocks of tasks (successive halving: Jamieson and Talwalkar, 2016), the same
for all, so that everything is paired. On its lower rung a candidate costs a pass over its own
tokens; the better third goes on to the next block. The leaders there, and one drawn by lot, are
then written out, and the better half goes on; where over-refusal is bound, half of the places are
for those that keep the bound. Whom the best so far beats by a Wilcoxon signed-rank test is given
up. Margins that have proved to foretell what is written stand in that test for what is not written
yet; where they foretell nothing, they are not asked any more.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from foreword.core.stats import wilson
from foreword.core.types import Label, Rate, Score
from foreword.search.ranking import UNBOUND, Goal, promising, surely
from foreword.search.scorers import (
    LABELS,
    Margins,
    OpeningScorer,
    leaning,
    score_of,
    score_of_margins,
)

BETTER = 1 / 3  # of the candidates: their margins are asked on the next block as well
PROMOTED = 1 / 8  # of a round's candidates, by margin
PROVED = 2  # candidates of a round, once margins are known to foretell what is written
# Of the tasks, scored when the next halving is due. A block takes its time however few are left,
# so there are no more of them.
BLOCKS = (1 / 8, 1 / 4, 1.0)
LOOKS = len(BLOCKS)  # at a candidate: before each block
# Chance that a candidate as good as the best is given up, over all looks: it would be no gain.
ALPHA = 0.3
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
    def proved(self) -> bool:
        """Whether it may stand for what was not written; guilty until proved innocent."""
        return self.agreement.low >= SURE

    def promoted(self, candidates: int) -> int:
        """How many of a round are written out: the surer the margins, the fewer."""
        share = math.ceil(PROMOTED * candidates)
        return min(PROVED, share) if self.proved else share


class Race:
    """A Scorer that spends openings where they matter; it remembers what it has scored."""

    def __init__(
        self,
        openings: OpeningScorer,
        margins: Margins | None = None,
        *,
        seed: int = 0,
        goal: Goal = UNBOUND,
        arrive: int = 1,
    ) -> None:
        """Race on the tasks of `openings`.

        Args:
            openings: the highest rung.
            margins: the lower rung; a remote target has none.
            seed: of the order of the tasks and of who is promoted by lot.
            goal: what survivors are to be good at. With a bound on over-refusal the blocks hold as
                many benign tasks as harmful ones, as long as there are some.
            arrive: so many are neither halved nor given up any more.
        """
        self._openings, self._margins, self._seed = openings, margins, seed
        self._goal, self._arrive = goal, arrive
        self._sizes = openings.sizes
        order = _mixed(self._sizes, random.Random(f"{seed}/tasks"), even=goal.max_orr < 1)
        ends = [0, *(math.ceil(share * len(order)) for share in BLOCKS)]
        self._blocks = [order[start:end] for start, end in pairwise(ends) if start < end]
        self._known: list[Score] = []

    def most(self, candidates: int) -> int:
        """Openings that a race of so many takes at most."""
        asked = 0
        for block in self._blocks:
            asked += candidates * len(block)
            candidates = min(candidates, max(math.ceil(candidates / 2), self._arrive))
        return asked

    def remember(self, scores: Sequence[Score]) -> None:
        """Take what an earlier sitting scored."""
        self._known += scores

    def score(self, prefixes: Sequence[str]) -> list[Score]:
        """One score a prefix; those that fell behind have scores of less than all tasks."""
        told = rungs(self._known)
        field, lower = list(range(len(prefixes))), list[Score]()
        rows: dict[int, Row] = {at: [None] * sum(self._sizes) for at in field}
        likely = rows  # what the rows would be, as far as anybody can tell
        if self._margins and told.believed:
            # One by lot takes part whatever its margins, which keeps the agreement honest.
            lot = random.Random(f"{self._seed}/{len(self._known)}").choice(field)
            lower = self._lower(prefixes, self._margins, lot)
            field = self._better(field, lower, told.promoted(len(field)))
            if told.proved:
                likely = {at: foretold(score) for at, score in enumerate(lower)}
                field = [at for at in field if not self._beaten(likely[at], lower[at])]
            field = sorted({*field, lot})
        for number, block in enumerate(self._blocks):
            if number and not (field := self._survivors(field, rows, likely, lower)):
                break
            found = self._openings.labels([prefixes[at] for at in field], block)
            for at, labels in zip(field, found, strict=True):
                for task, label in zip(block, labels, strict=True):
                    rows[at][task] = likely[at][task] = label
        scores = [
            lower[at] if lower and not any(rows[at]) else self._scored(at, rows, lower)
            for at in range(len(prefixes))
        ]
        self.remember(scores)
        return scores

    def _lower(self, prefixes: Sequence[str], ask: Margins, lot: int) -> list[Score]:
        """Scores by margin: on some tasks; for the better ones, and who is in by lot, on all."""
        rows: list[list[float | None]] = [[None] * sum(self._sizes) for _ in prefixes]
        scores: dict[int, Score] = {}
        climbing = list(range(len(prefixes)))
        for tasks in self._blocks:
            found = ask([prefixes[at] for at in climbing], tasks)
            for at, margins in zip(climbing, found, strict=True):
                for task, margin in zip(tasks, margins, strict=True):
                    rows[at][task] = margin
                scores[at] = score_of_margins(rows[at], self._sizes[0])
            better = self._better(climbing, scores, math.ceil(BETTER * len(climbing)))
            climbing = sorted({*better, lot})
        return [scores[at] for at in range(len(prefixes))]

    def _survivors(
        self,
        field: Sequence[int],
        rows: Mapping[int, Row],
        likely: Mapping[int, Row],
        lower: Sequence[Score],
    ) -> list[int]:
        """The better half, less those that are beaten."""
        scores = {at: self._scored(at, rows, lower) for at in field}
        half = max(math.ceil(len(field) / 2), self._arrive)
        order, better = _ranked(field, scores), self._better(field, scores, half)
        if 1 < len(better) <= self._arrive:
            return sorted(better)
        kept = []
        for at in better:
            peers = (other for other in order if self._comparable(scores[other], scores[at]))
            if not self._beaten(likely[at], scores[at], likely[next(peers)]):
                kept.append(at)
        return sorted(kept)

    def _better(
        self, field: Sequence[int], scores: Sequence[Score] | Mapping[int, Score], n: int
    ) -> list[int]:
        return promising(_ranked(field, scores), scores.__getitem__, n, self._goal)

    def _beaten(self, row: Row, score: Score, rival: Row | None = None) -> bool:
        """Whether the best that was scored on all tasks is better; the rival, if there is none."""
        whole = [
            known
            for known in self._known
            if known.fidelity == "opening" and known.complete and self._comparable(known, score)
        ]
        if whole:
            rival = labels_of(max(whole, key=surely))
        return rival is not None and beaten(row, rival, self._sizes, ALPHA / LOOKS)

    def _comparable(self, rival: Score, score: Score) -> bool:
        """Who keeps the bound as far as is known is beaten only by such as do."""
        return self._goal.able(rival) or not self._goal.able(score)

    def _scored(self, at: int, rows: Mapping[int, Row], lower: Sequence[Score]) -> Score:
        row, cut = rows[at], self._sizes[0]
        return score_of(row[:cut], row[cut:], "opening", lower[at].margins if lower else ())


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


def foretold(score: Score) -> Row:
    """The labels that margins lean to; None where there is none."""
    return [
        None if math.isnan(margin) or margin == 0 else leaning(margin) for margin in score.margins
    ]


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


def _ranked(field: Sequence[int], scores: Sequence[Score] | Mapping[int, Score]) -> list[int]:
    """What was scored on all tasks first; by what it promises for others, in order."""
    return sorted(
        field,
        key=lambda at: (not scores[at].complete, -surely(scores[at]), at),
    )


def _mixed(sizes: tuple[int, ...], rng: random.Random, even: bool) -> list[int]:
    """All tasks in random order, each stretch with its fair share of either side.

    If `even`, as many of one side as of the other until one is used up: a bound on over-refusal
    is a matter of the few benign tasks.
    """
    keyed, start = [], 0
    for size in sizes:
        places = list(range(start, start + size))
        rng.shuffle(places)
        keyed += [
            (rank if even else (rank + 0.5) / size, place) for rank, place in enumerate(places)
        ]
        start += size
    return [place for _, place in sorted(keyed)]
