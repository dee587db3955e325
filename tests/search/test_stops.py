from dataclasses import replace

import pytest

from foreword.core.errors import ForewordWarning, UsageError
from foreword.core.types import Score, Spent, Trial
from foreword.search import ranking, search
from foreword.search.formats import PLAIN
from foreword.search.stops import Budget, Patience
from foreword.testing.search import ScriptedProposer, ToyScorer


def trial(index: int = 0, overall: float = 1.0, seconds: float = 0.0, spent=None):
    score = Score(overall / 2, overall / 2, 10, 10, 0, "opening")
    return Trial(index, index, f"p{index}", score, "test", seconds, spent or Spent())


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("5min", Budget(seconds=300)),
        ("90 s", Budget(seconds=90)),
        ("1.5h", Budget(seconds=5400)),
        ("3700 openings", Budget(openings=3700)),
        ("2M tokens", Budget(tokens=2e6)),
        ("1k openings, 10min,0.5G tokens", Budget(600, 1000, 5e8)),
    ],
)
def test_budgets_as_people_type_them(text: str, budget: Budget) -> None:
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["", "5", "min", "-5min", "5 minutes", "5min,6min", "0s", "5min,"])
def test_what_is_no_budget_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="is no budget; write for example 5min"):
        Budget.parse(text)


@pytest.mark.parametrize(
    ("budget", "last", "reason"),
    [
        (Budget(seconds=30), trial(1, seconds=10.0), None),  # 10 more are 20, and 10 are kept
        (Budget(seconds=30), trial(1, seconds=11.0), "30 s"),
        (Budget(openings=9), trial(1, spent=Spent(3, 900)), None),  # 3 more, and 3 are kept
        (Budget(openings=8), trial(1, spent=Spent(3, 0)), "8 openings"),
        (Budget(tokens=1e3), trial(1, spent=Spent(0, 333)), None),
        (Budget(tokens=1e3), trial(1, spent=Spent(0, 334)), "1000 tokens"),
        (Budget(), trial(1, seconds=1e9, spent=Spent(10**9, 10**9)), None),
    ],
)
def test_a_budget_ends_where_another_round_has_no_room(
    budget: Budget, last: Trial, reason: str | None
) -> None:
    assert budget([]) is None
    said = reason and f"the budget of {reason} leaves no room for another round"
    assert budget([last], kept=3) == said


def test_another_round_costs_what_the_last_one_did() -> None:
    dear, cheap = trial(0, spent=Spent(60, 0)), trial(1, spent=Spent(70, 0))
    assert Budget(openings=100)([dear])
    assert Budget(openings=100)([dear, cheap], kept=20) is None
    assert Budget(openings=100)([dear, cheap], kept=21)


def test_a_budget_of_tokens_that_nobody_counts_is_refused() -> None:
    with pytest.raises(UsageError, match="does not say how many tokens"):
        Budget(tokens=1e3)([trial(spent=Spent(5, 0))])


@pytest.mark.parametrize(
    ("openings", "kept"), [(1000, 160), (100, 50), (99, 40), (10, 40), (None, 160)]
)
def test_half_of_the_openings_at_most_are_kept_for_the_choice(openings, kept) -> None:
    assert Budget(openings=openings).keeps(range(4, 17), lambda n: 10 * n) == kept


@pytest.mark.parametrize(
    ("budget", "last", "count"),
    [
        (Budget(openings=100), trial(spent=Spent(40, 0)), 6),  # of ten openings each
        (Budget(openings=100), trial(spent=Spent(39, 0)), 6),
        (Budget(openings=100), trial(spent=Spent(41, 0)), 5),
        (Budget(openings=100), trial(spent=Spent(99, 0)), 4),
        (Budget(openings=900), trial(spent=Spent(99, 0)), 16),
        (Budget(seconds=30), trial(seconds=20.0), 16),
        (Budget(seconds=30), trial(seconds=21.0), 4),
        (Budget(tokens=30), trial(spent=Spent(0, 21)), 4),
        (Budget(), trial(seconds=1e9, spent=Spent(10**9, 10**9)), 16),
    ],
)
def test_so_many_finalists_as_can_be_paid(budget: Budget, last: Trial, count: int) -> None:
    assert budget.affords(last, range(4, 17), lambda n: 10 * n) == count


def test_patience_ends_with_a_best_that_stays() -> None:
    stop = Patience(2)
    assert stop([]) is None
    assert stop([trial(0, 1.0), trial(1, 0.5)]) is None
    assert stop([trial(0, 1.0), trial(1, 0.5), trial(2, 0.5)]) == "no better prefix in 2 rounds"
    assert stop([trial(0, 1.0), trial(1, 1.5), trial(2, 0.5)]) is None


def test_patience_has_an_eye_on_who_keeps_the_bound() -> None:
    rash = replace(trial(0), score=Score(0.5, 1.0, 10, 10, 0, "opening"))
    better = [replace(trial(n), score=Score(1.0, n / 10, 10, 10, 0, "opening")) for n in (1, 2, 3)]
    assert Patience(2)([rash, *better]) is None
    assert Patience(2, ranking.UNBOUND)([rash, *better])


def test_a_proposer_that_never_gives_anything_beside_others_is_named() -> None:
    mute, lively = (ScriptedProposer(texts) for texts in ([], [[f"{n}"] for n in range(9)]))
    mute.name = "mute"
    with pytest.warns(
        ForewordWarning, match="^'mute' gave no usable prefix in 3 rounds; the other"
    ):
        result = search(ToyScorer(), [mute, lively], rounds=4)
    assert len(result.trials) == 4


def test_any_stop_ends_the_search_and_says_so() -> None:
    rounds = [[f"{number}"] for number in range(9)]
    asked = iter(range(1, 99))
    result = search(
        ToyScorer(),
        [ScriptedProposer(rounds)],
        stops=[Budget(openings=30), Patience(99)],
        meter=lambda: Spent(10 * next(asked), 0),
    )
    assert [each.spent.openings for each in result.trials] == [10, 20, 30]
    assert result.stopped == "the budget of 30 openings leaves no room for another round"
    whole = search(ToyScorer(), [ScriptedProposer(rounds)], rounds=9)
    assert whole.stopped == "all 9 rounds are done"


def test_proposers_that_run_dry_end_the_search() -> None:
    result = search(ToyScorer(), [ScriptedProposer([["a"], [], ["a"], ["b"], [], [" "], ["b"]])])
    assert [each.prefix for each in result.trials] == ["a", "b"]
    assert result.stopped == "'scripted' gave no usable prefix in 3 rounds"
    with pytest.raises(UsageError, match=r"'scripted' gave no usable prefix in 3 rounds$"):
        search(ToyScorer(), [ScriptedProposer([[], [], []])])
    short = replace(PLAIN, max_tokens=2)
    with pytest.raises(UsageError, match="3 rounds; 'one two three' was not: it has 3 tokens"):
        search(ToyScorer(), [ScriptedProposer([["one two three"], [], []])], form=short)


def test_how_many_finalists_are_measured_depends_on_the_last_trial() -> None:
    result = search(
        ToyScorer(),
        [ScriptedProposer([[f"{number}" for number in range(12)]])],
        rounds=1,
        per_round=12,
        finalists=ToyScorer(salt="validation"),
        n_finalists=lambda last: last.index - 4,
    )
    assert len(result.finalists) == 7


def test_shares_of_several_proposers() -> None:
    first, second = ScriptedProposer([list("abc"), [], ["a"]]), ScriptedProposer([list("ade")] * 3)
    first.name = "first"
    result = search(ToyScorer(), [first, second], rounds=1, per_round=4)
    assert [(each.prefix, each.proposer) for each in result.trials] == [
        ("a", "first"),
        ("b", "first"),
        ("d", "scripted"),
        ("e", "scripted"),
    ]
    again = search(ToyScorer(), [first, second], rounds=1, per_round=4)
    assert [each.prefix for each in again.trials] == ["a", "d", "e"]
