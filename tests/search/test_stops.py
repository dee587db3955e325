import pytest

from foreword.core.errors import UsageError
from foreword.core.types import Score, Spent, Trial
from foreword.search import search
from foreword.search.stops import SEARCH, Budget, Patience
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
        (Budget(seconds=30), trial(seconds=29 * SEARCH), None),
        (Budget(seconds=30), trial(seconds=20.0), "the budget of 20 s of the search is spent"),
        (Budget(openings=5), trial(spent=Spent(4, 900)), None),
        (Budget(openings=5), trial(spent=Spent(6, 0)), "the budget of 5 openings is spent"),
        (Budget(tokens=1e3), trial(spent=Spent(0, 1000)), "the budget of 1000 tokens is spent"),
        (Budget(), trial(seconds=1e9, spent=Spent(10**9, 10**9)), None),
    ],
)
def test_a_budget_is_spent(budget: Budget, last: Trial, reason: str | None) -> None:
    assert budget([]) is None
    assert budget([last]) == reason


def test_patience_ends_with_a_best_that_stays() -> None:
    stop = Patience(2)
    assert stop([]) is None
    assert stop([trial(0, 1.0), trial(1, 0.5)]) is None
    assert stop([trial(0, 1.0), trial(1, 0.5), trial(2, 0.5)]) == "no better prefix in 2 rounds"
    assert stop([trial(0, 1.0), trial(1, 1.5), trial(2, 0.5)]) is None


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
    assert result.stopped == "the budget of 30 openings is spent"
    whole = search(ToyScorer(), [ScriptedProposer(rounds)], rounds=9)
    assert whole.stopped == "all 9 rounds are done"


def test_proposers_that_run_dry_end_the_search() -> None:
    result = search(ToyScorer(), [ScriptedProposer([["a"], [], ["a"], ["b"], [], [" "], ["b"]])])
    assert [each.prefix for each in result.trials] == ["a", "b"]
    assert result.stopped == "'scripted' gave no usable prefix in 3 rounds"
    with pytest.raises(UsageError, match="'scripted' gave no usable prefix in 3 rounds"):
        search(ToyScorer(), [ScriptedProposer([[], [], []])])


@pytest.mark.parametrize(("seconds", "measured"), [(15.0, 4), (95.0, 12)])
def test_where_the_time_is_spent_few_finalists_are_measured(seconds: float, measured: int) -> None:
    clock = iter(range(0, 10_000, 20))
    result = search(
        ToyScorer(),
        [ScriptedProposer([[f"{number}" for number in range(12)]])],
        rounds=1,
        per_round=12,
        finalists=ToyScorer(salt="validation"),
        n_finalists=12,
        seconds=seconds,
        clock=lambda: float(next(clock)),
    )
    assert len(result.finalists) == measured


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
