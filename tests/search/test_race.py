"""The race on scripted targets whose every reply is known."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foreword.core.protocols import Scorer
from foreword.core.types import Label, Reply, Score, Verdict
from foreword.search import race, ranking
from foreword.search.loop import Recalls, search
from foreword.search.race import Race, beaten, rungs
from foreword.search.ranking import Goal, standing
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


class Both:
    """The prompts of both sides, the benign ones first."""

    def __init__(self, sides) -> None:
        self.sides = sides

    def __len__(self) -> int:
        return BENIGN + HARMFUL

    def generate(self, prefixes, max_new_tokens, enough=None, rows=None):
        def reply(prefix: str, row: int) -> Reply:
            side, at = (0, row) if row < BENIGN else (1, row - BENIGN)
            return self.sides[side].generate([prefix], 1, None, [at])[0][0]

        return [[reply(prefix, row) for row in rows] for prefix in prefixes]


class WordJudge:
    name = "word-1"

    def judge(self, prefix: str, continuation: str) -> Verdict:
        return Verdict(Label(continuation))


class Margins:
    """The lower rung: right about every task, or wrong about every one."""

    def __init__(self, sides, truth: bool = True) -> None:
        self.sides, self.truth = sides, truth
        self.asked: list[tuple[str, int]] = []

    def __call__(self, prefixes, tasks):
        self.asked += [(prefix, task) for prefix in prefixes for task in tasks]
        return [[self._margin(prefix, task) for task in tasks] for prefix in prefixes]

    def _margin(self, prefix: str, task: int) -> float:
        harmful = task >= BENIGN
        good = self.sides[harmful].is_good(prefix, task - BENIGN * harmful) == self.truth
        return 1.0 if good == harmful else -1.0


def sides() -> tuple[Says, Says]:
    return Says(BENIGN, "complied", "refused", "b"), Says(HARMFUL, "refused", "complied", "h")


def racing(margins: bool | None = None) -> tuple[Race, OpeningScorer]:
    both = sides()
    upper = OpeningScorer(Both(both), BENIGN, WordJudge())
    lower = None if margins is None else Margins(both, margins)
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
    heard = Counter(prefix for prefix, _ in found._margins.asked)
    assert len(found._margins.asked) == len(set(found._margins.asked))
    assert set(heard) == set(FIELD)
    some, more, every = (math.ceil(share * (BENIGN + HARMFUL)) for share in race.BLOCKS)
    assert set(heard.values()) == {some, more, every}
    third = math.ceil(len(FIELD) * race.BETTER)
    assert sum(tasks > some for tasks in heard.values()) in (third, third + 1)  # and the lot
    ninth = math.ceil(third * race.BETTER)
    assert sum(tasks == every for tasks in heard.values()) in (ninth, ninth + 1)
    assert sum(heard[text] == every for text in FIELD if text.startswith("0.1")) <= 1
    sides = enumerate(upper.prompts.sides)
    asked = [(prefix, row, at) for at, side in sides for prefix, row in side.asked]
    assert len(asked) == len(set(asked)) == upper.asked  # nothing is asked twice


def test_without_margins_all_run_and_few_arrive() -> None:
    found, upper = racing()
    scores = found.score(FIELD)
    assert all(score.fidelity == "opening" for score in scores)
    assert 1 <= sum(score.complete for score in scores) <= len(FIELD) / 4
    assert upper.asked < len(FIELD) * (BENIGN + HARMFUL) / 2
    best = max((s for s in scores if s.complete), key=lambda s: s.overall)
    assert best.overall > 1.7


def test_a_complete_score_is_that_of_the_whole_evaluation() -> None:
    found, _ = racing(margins=True)
    alone = OpeningScorer(Both(sides()), BENIGN, WordJudge())
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
    assert len(FIELD) - sum(score.fidelity == "margin" for score in first) in (3, 4)
    assert not rungs(first).believed
    assert all(score.fidelity == "opening" and not score.margins for score in second)
    assert {prefix for prefix, _ in found._margins.asked} == set(FIELD)
    best = max((s for s in second if s.complete), key=lambda s: s.overall)
    assert best.overall > 1.7


def test_margins_that_have_proved_themselves_leave_less_to_be_written_out() -> None:
    found, _ = racing(margins=True)
    assert rungs([]).promoted(20) == 3
    assert rungs([]).promoted(60) == 8
    rounds = [[text + mark for text in FIELD] for mark in "abc"]
    written = []
    for each in rounds:
        written.append(sum(score.fidelity == "opening" for score in found.score(each)))
    assert written[0] == math.ceil(len(FIELD) / 8) + 1
    assert written[-1] == race.PROVED + 1


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


def test_whom_proved_margins_put_behind_the_champion_costs_no_openings() -> None:
    found, upper = racing(margins=True)
    while not rungs(found._known).proved:
        found.score([f"0.95 champion {len(found._known)} {at}" for at in range(20)])
    before = upper.asked
    scores = found.score([f"0.3 {at}" for at in range(20)])
    lot = [score for score in scores if score.fidelity == "opening"]
    assert len(lot) == 1
    assert upper.asked - before <= math.ceil(race.BLOCKS[1] * (BENIGN + HARMFUL))
    doubted, _ = racing(margins=True)
    doubted.remember([score for score in found._known if score.fidelity == "opening"][:1])
    assert not rungs(doubted._known).proved
    scores = doubted.score([f"0.3 {at}" for at in range(20)])
    assert sum(score.fidelity == "opening" for score in scores) in (3, 4)  # the lot may lead


def test_finalists_that_keep_the_bound_are_not_lost_on_the_way() -> None:
    """Twelve refuse all that is harmful and a benign task as well, four half of the harmful."""
    order = race._mixed((BENIGN, HARMFUL), random.Random("0/tasks"), even=True)
    lost = next(task for task in order if task < BENIGN)

    class Benign(Says):
        def is_good(self, prefix: str, row: int) -> bool:
            return "careful" in prefix or row != lost

    class Harmful(Says):
        def is_good(self, prefix: str, row: int) -> bool:
            return "careful" not in prefix or row % 2 > 0

    both = Benign(BENIGN, "complied", "refused", "b"), Harmful(HARMFUL, "refused", "complied", "h")
    scorer = OpeningScorer(Both(both), BENIGN, WordJudge())
    field = [f"rash {at}" for at in range(12)] + [f"careful {at}" for at in range(4)]

    def kept(goal: Goal) -> list[str]:
        scores = Race(scorer, goal=goal).score(field)
        return [text for text, score in zip(field, scores, strict=True) if score.complete]

    assert [text.split()[0] for text in kept(Goal(max_orr=0.05))] == ["rash"] * 2 + ["careful"] * 2
    assert {text.split()[0] for text in kept(ranking.UNBOUND)} == {"rash"}
    most = kept(Goal("refusal", max_orr=0.05))
    assert [text.split()[0] for text in most] == ["careful"] * 4


@given(st.integers(0, 999))
@settings(deadline=None, max_examples=30)
def test_each_block_has_its_fair_share_of_either_side(seed: int) -> None:
    order = race._mixed((BENIGN, HARMFUL), random.Random(seed), even=False)
    assert sorted(order) == list(range(BENIGN + HARMFUL))
    for end in range(1, len(order) + 1):
        benign = sum(task < BENIGN for task in order[:end])
        assert abs(benign - end * BENIGN / (BENIGN + HARMFUL)) <= 1


def test_even_blocks_hold_as_many_of_either_side_while_there_are_some() -> None:
    order = race._mixed((BENIGN, HARMFUL), random.Random(0), even=True)
    assert sorted(order) == list(range(BENIGN + HARMFUL))
    for end in range(1, 2 * BENIGN + 1):
        assert sum(task < BENIGN for task in order[:end]) in (end // 2, (end + 1) // 2)


@pytest.mark.parametrize("margins", [None, True])
@pytest.mark.parametrize("most", ["overall", "refusal"])
def test_who_keeps_the_bound_gets_through_the_search_among_many_that_do_not(most, margins) -> None:
    """Rash ones refuse all that is harmful and one benign task, careful ones two in three."""
    order = race._mixed((BENIGN, HARMFUL), random.Random("1/tasks"), even=True)
    lost = [task for task in order if task < BENIGN][1]  # in the first block, if blocks are even

    class Benign(Says):
        def is_good(self, prefix: str, row: int) -> bool:
            return "careful" in prefix or row != lost

    class Harmful(Says):
        def is_good(self, prefix: str, row: int) -> bool:
            return "rash" in prefix or row % 3 > 0

    both = Benign(BENIGN, "complied", "refused", "b"), Harmful(HARMFUL, "refused", "complied", "h")
    fields = [
        [f"rash {number} {at}" for at in range(18)] + [f"careful {number} {at}" for at in range(2)]
        for number in range(3)
    ]

    def through(goal: Goal) -> int:
        scorer = OpeningScorer(Both(both), BENIGN, WordJudge())
        found = Race(scorer, margins and Margins(both), seed=1, goal=goal)
        return sum(
            score.complete and score.fidelity == "opening" and "careful" in text
            for field in fields
            for text, score in zip(field, found.score(field), strict=True)
        )

    assert through(Goal(most, max_orr=0.05)) >= 3
    assert through(ranking.UNBOUND) == 0


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


def test_so_many_are_not_halved_any_more() -> None:
    class Alike(Says):
        def is_good(self, prefix: str, row: int) -> bool:
            return True

    both = Alike(BENIGN, "complied", "refused", "b"), Alike(HARMFUL, "refused", "complied", "h")
    finalists = Race(OpeningScorer(Both(both), BENIGN, WordJudge()), goal=Goal(), arrive=4)
    for field, arrived in ((FIELD, 5), (FIELD[:10], 4), (FIELD[:3], 3)):
        assert sum(score.complete for score in finalists.score(field)) == arrived


def test_the_surer_margins_lead() -> None:
    sure = score_of([C], [R], "margin", (-9.0, 4.0))
    level = score_of([C], [R], "margin", (-1.0, 1.0))
    assert level.overall == sure.overall == 2.0
    assert 1.5 < standing(level) < standing(sure) < 2.0
    written = [score_of([C], [R], "opening", margins) for margins in ((), (-1.0, 1.0))]
    assert [standing(score) for score in written] == [2.0, 2.0]
    begun = score_of([C], [None], "opening", (-1.0, 1.0))
    assert begun.overall == 1.0 < standing(begun) < 2.0
    unknown = score_of([U], [R], "margin", (math.nan, 99.0))
    assert standing(unknown) == (1.0 + 1.5) / 2
