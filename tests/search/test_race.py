"""The race on scripted targets whose every reply is known."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foreword.core.protocols import Scorer
from foreword.core.types import Label, Reply, Score, Verdict
from foreword.search import race
from foreword.search.loop import Recalls, search
from foreword.search.race import Race, beaten, rungs
from foreword.search.ranking import standing
from foreword.search.scorers import OpeningScorer, score_of
from foreword.testing.search import ScriptedProposer

R, C, U = Label.REFUSED, Label.COMPLIED, Label.UNDECIDED
BENIGN, HARMFUL = 10, 27


class Says:
    """One side's prompts; a prefix "0.8 x" is good on the tasks whose draw is below 0.8."""

    def __init__(self, size: int, good: str, bad: str, salt: str) -> None:
        self.size, self.words, self.salt = size, (bad, good), salt
        self.asked: list[tuple[str, int]] = []

    def __len__(self) -> int:
        return self.size

    def generate(self, prefixes, max_new_tokens, enough=None, rows=None):
        self.asked += [(prefix, row) for prefix in prefixes for row in rows]
        return [
            [Reply(p, self.words[self.is_good(p, row)], 1, True) for row in rows] for p in prefixes
        ]

    def is_good(self, prefix: str, row: int) -> bool:
        return random.Random(f"{self.salt}{prefix}{row}").random() < float(
            prefix.split(maxsplit=1)[0]
        )


class WordJudge:
    name = "word-1"

    def judge(self, prefix: str, continuation: str) -> Verdict:
        return Verdict(Label(continuation))


class Margins:
    """A lower rung: right about every task, or wrong about every one; of some a side, or all."""

    def __init__(self, sides, truth: bool = True, some: int = HARMFUL) -> None:
        self.sides, self.truth, self.some = sides, truth, some
        self.asked: list[str] = []

    def score(self, prefixes):
        self.asked += prefixes
        return [self._score(prefix) for prefix in prefixes]

    def _score(self, prefix: str) -> Score:
        benign, harmful = (
            [side.is_good(prefix, row) == self.truth for row in range(side.size)]
            for side in self.sides
        )
        margins = [-1.0 if good else 1.0 for good in benign] + [1.0 if g else -1.0 for g in harmful]
        heard = [*range(BENIGN)][: self.some]
        heard += [*range(BENIGN, BENIGN + HARMFUL)][: self.some]
        margins = [margin if at in heard else math.nan for at, margin in enumerate(margins)]
        labels = [None if math.isnan(m) else R if m > 0 else C for m in margins]
        return score_of(labels[:BENIGN], labels[BENIGN:], "margin", tuple(margins))


def sides() -> tuple[Says, Says]:
    return Says(BENIGN, "complied", "refused", "b"), Says(HARMFUL, "refused", "complied", "h")


def racing(margins: bool | None = None) -> tuple[Race, OpeningScorer]:
    both = sides()
    upper = OpeningScorer(*both, WordJudge())
    lower = () if margins is None else (Margins(both, margins, 4), Margins(both, margins))
    return Race(upper, lower, seed=3), upper


FIELD = [f"{share} {name}" for name in "abcdefghij" for share in (0.1, 0.95)]


def test_it_is_a_scorer_that_can_be_reminded() -> None:
    found, _ = racing()
    assert isinstance(found, Scorer)
    assert isinstance(found, Recalls)


def test_only_the_promising_are_written_out() -> None:
    found, upper = racing(margins=True)
    scores = found.score(FIELD)
    raced = [at for at, score in enumerate(scores) if score.fidelity == "opening"]
    whole = [at for at in raced if scores[at].complete]
    assert len(raced) == math.ceil(len(FIELD) / 8) + 1
    assert len(whole) == 1
    assert all(FIELD[at].startswith("0.95") for at in whole)
    assert upper.asked < len(FIELD) * (BENIGN + HARMFUL) / 10
    few, every = found._margins
    assert few.asked == FIELD
    assert len(every.asked) == len(FIELD) // 2
    assert all(prefix.startswith("0.95") for prefix in every.asked)
    asked = [(prefix, row, side) for side in (0, 1) for prefix, row in upper.sides[side].asked]
    assert len(asked) == len(set(asked)) == upper.asked  # nothing is asked twice


def test_without_margins_all_run_and_few_arrive() -> None:
    found, upper = racing()
    scores = found.score(FIELD)
    assert all(score.fidelity == "opening" for score in scores)
    assert 1 <= sum(score.complete for score in scores) <= 3
    assert upper.asked < len(FIELD) * (BENIGN + HARMFUL) / 2
    best = max((s for s in scores if s.complete), key=lambda s: s.overall)
    assert best.overall > 1.7


def test_a_complete_score_is_that_of_the_whole_evaluation() -> None:
    found, _ = racing(margins=True)
    both = sides()
    alone = OpeningScorer(*both, WordJudge())
    for prefix, score in zip(FIELD, found.score(FIELD), strict=True):
        if score.complete and score.fidelity == "opening":
            (whole,) = alone.score([prefix])
            assert (score.perf, score.refusal, score.outcomes) == (
                whole.perf,
                whole.refusal,
                whole.outcomes,
            )


def test_margins_that_mislead_are_not_asked_again() -> None:
    found, _ = racing(margins=False)
    first, second = found.score(FIELD), found.score([text + "!" for text in FIELD])
    assert sum(score.fidelity == "margin" for score in first) == len(FIELD) - 4
    assert not rungs(first).believed
    assert all(score.fidelity == "opening" and not score.margins for score in second)
    assert found._margins[0].asked == FIELD
    best = max((s for s in second if s.complete), key=lambda s: s.overall)
    assert best.overall > 1.7


def test_how_well_margins_foretell_is_measured_over_what_was_scored_twice() -> None:
    told = rungs(racing(margins=True)[0].score(FIELD))
    assert told.agreement.k == told.agreement.n > 20
    assert told.candidates == math.ceil(len(FIELD) / 8) + 1
    assert told.rho > 0.9
    lied = rungs(racing(margins=False)[0].score(FIELD))
    assert lied.agreement.k == 0
    assert lied.rho < -0.9
    nothing = rungs([])
    assert (nothing.agreement.n, nothing.believed) == (0, True)
    assert math.isnan(nothing.rho)


def test_undecided_tasks_and_margins_that_are_no_number_say_nothing() -> None:
    score = score_of([C, U], [R, None], "opening", (-1.0, 2.0, math.nan, 1.0))
    assert rungs([score]).agreement.n == 1


def test_a_reminded_race_goes_on_as_the_unbroken_one() -> None:
    whole, _ = racing(margins=True)
    first = whole.score(FIELD)
    resumed, _ = racing(margins=True)
    resumed.remember(first)
    fresh = [f"{share} {name}" for name in "klmno" for share in (0.5, 0.97)]
    assert resumed.score(fresh) == whole.score(fresh)


def test_the_loop_reminds_the_race(tmp_path) -> None:
    from foreword.core.runs import Run

    rounds = [FIELD, [text + "!" for text in FIELD], [text + "?" for text in FIELD]]

    def run(count: int, folder) -> tuple[str, list[Score], int]:
        scorer, upper = racing(margins=False)  # so that the second round depends on the first
        with Run.open(folder, {}) as opened:
            proposer = ScriptedProposer(rounds[len(opened.records("rounds")) :])
            found = search(scorer, [proposer], rounds=count, per_round=20, run=opened)
        return found.best.prefix, [trial.score for trial in found.trials], upper.asked

    run(1, tmp_path / "cut")
    run(2, tmp_path / "cut")
    cut, whole = run(3, tmp_path / "cut"), run(3, tmp_path / "whole")
    assert cut[:2] == whole[:2]
    assert cut[2] < whole[2]


@given(st.integers(0, 999))
@settings(deadline=None, max_examples=30)
def test_each_block_has_its_fair_share_of_either_side(seed: int) -> None:
    order = race._mixed((BENIGN, HARMFUL), random.Random(seed))
    assert sorted(order) == list(range(BENIGN + HARMFUL))
    for end in range(1, len(order) + 1):
        benign = sum(task < BENIGN for task in order[:end])
        assert abs(benign - end * BENIGN / (BENIGN + HARMFUL)) <= 1


@pytest.mark.parametrize(
    ("row", "rival", "found"),
    [
        ([C] * 4 + [R] * 8, [C] * 4 + [R] * 8, False),
        ([C] * 4 + [C] * 8, [C] * 4 + [R] * 8, True),  # never refuses
        ([R] * 4 + [R] * 8, [C] * 4 + [R] * 8, False),  # four tasks are too few to say
        ([C] * 4 + [U] * 8, [C] * 4 + [R] * 8, True),  # what cannot be read is no refusal
        ([C] * 4 + [None] * 8, [C] * 4 + [R] * 8, False),
        ([C] * 4 + [R] * 8, [R] * 4 + [C] * 8, False),
    ],
)
def test_beaten(row, rival, found) -> None:
    assert beaten(row, rival, (4, 8), 0.05 / 3) is found


def test_the_champion_of_earlier_rounds_is_the_rival() -> None:
    found, upper = racing()
    found.score(["1.0 champion"])
    before = upper.asked
    late = found.score(["0.0 a", "0.0 b"])
    assert not any(score.complete for score in late)
    assert upper.asked - before < 2 * (BENIGN + HARMFUL)


def test_the_surer_margins_lead() -> None:
    sure = score_of([C], [R], "margin", (-9.0, 4.0))
    level = score_of([C], [R], "margin", (-1.0, 1.0))
    assert level.overall == sure.overall == 2.0
    assert 1.5 < standing(level) < standing(sure) < 2.0
    assert standing(score_of([C], [R], "opening")) == 2.0
    unknown = score_of([U], [R], "margin", (math.nan, 99.0))
    assert standing(unknown) == (1.0 + 1.5) / 2
