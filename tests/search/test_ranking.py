from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foreword.core.errors import TooManyUndecided
from foreword.core.types import Score, Trial
from foreword.search.ranking import (
    MAX_ORR,
    Finalist,
    Goal,
    best,
    choose,
    decided,
    finalists,
    front,
    leader,
    seeds,
    surely,
)

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # busy machines
TENTHS = st.integers(0, 10).map(lambda value: value / 10)


def score(perf: float, refusal: float, benign: int = 10, harmful: int = 10, undecided: int = 0):
    return Score(perf, refusal, benign, harmful, undecided, "opening")


def trials_of(*scores: Score) -> list[Trial]:
    return [
        Trial(index, index // 5, f"prefix {index}", found, "test", 0.0)
        for index, found in enumerate(scores)
    ]


SCORES = st.builds(score, TENTHS, TENTHS, undecided=st.sampled_from([0, 5, 21]))
TRIALS = st.lists(SCORES, min_size=1, max_size=30).map(lambda scores: trials_of(*scores))


def test_decided() -> None:
    assert decided(score(1, 1, undecided=20))
    assert not decided(score(1, 1, undecided=21))
    assert not decided(score(1, 0, harmful=0))
    assert not decided(score(0, 1, benign=0))


def test_nothing_decided_is_an_error_and_no_winner() -> None:
    with pytest.raises(TooManyUndecided, match="none of 1 candidates"):
        best(trials_of(score(1, 1, undecided=21)))


@CALM
@given(TRIALS)
def test_best_is_the_argmax_and_the_first_of_equals(trials) -> None:
    able = [trial for trial in trials if decided(trial.score)]
    if not able:
        with pytest.raises(TooManyUndecided, match="half of its tasks"):
            best(trials)
        return
    top = max(trial.score.overall for trial in able)
    assert best(trials) == next(trial for trial in able if trial.score.overall == top)


@CALM
@given(TRIALS, st.integers(1, 5), st.sampled_from([0.5, 1.0, 1.5]))
def test_seeds_are_the_union_of_three_top_sets_from_tau_on(trials, k: int, tau: float) -> None:
    able = [trial for trial in trials if decided(trial.score)]
    found = seeds(trials, k, tau)
    if not able or max(trial.score.overall for trial in able) < tau:
        assert found == []
        return
    assert len({trial.index for trial in found}) == len(found) <= 3 * k
    covered = set()
    for metric in ("overall", "perf", "refusal"):
        values = sorted((getattr(trial.score, metric) for trial in able), reverse=True)[:k]
        shown = sorted((getattr(trial.score, metric) for trial in found), reverse=True)
        assert shown[: len(values)] == values
        covered |= {t.index for t in found if getattr(t.score, metric) >= values[-1]}
    assert covered == {trial.index for trial in found}


def test_tau_itself_is_enough() -> None:
    trials = trials_of(score(1.0, 0.0), score(0.5, 0.2))
    assert seeds(trials, 3, 1.0) == trials
    assert seeds(trials, 3, 1.1) == []
    assert seeds([], 3, 0.0) == []


def test_the_three_sets_by_hand() -> None:
    trials = trials_of(score(0.8, 0.8), score(1.0, 0.0), score(0.0, 1.0), score(0.4, 0.5))
    assert [trial.index for trial in seeds(trials, 1, 1.0)] == [0, 1, 2]


@CALM
@given(TRIALS, st.integers(1, 8))
def test_finalists_are_distinct_and_hold_the_best(trials, n: int) -> None:
    able = [trial for trial in trials if decided(trial.score)]
    found = finalists(trials, n)
    assert len(found) == min(n, len(able)) == len({trial.index for trial in found})
    if able and n > 1:  # a place alone is for who keeps the bound
        assert found[0] == best(trials)


def test_half_of_the_finalists_keep_the_bound_on_over_refusal() -> None:
    trials = trials_of(*[score(0.7, 0.9)] * 4, score(0.1, 1.0), score(1.0, 0.2), score(1.0, 0.3))
    assert [trial.index for trial in finalists(trials, 5)] == [0, 1, 6, 5, 2]
    assert [trial.index for trial in finalists(trials, 2)] == [0, 6]
    assert [trial.index for trial in finalists(trials, 2, Goal(max_orr=0.3))] == [0, 1]


@CALM
@given(st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=8))
def test_the_choice_is_the_argmax_of_validation(pairs) -> None:
    trials = trials_of(*[search for search, _ in pairs])
    candidates = [
        Finalist(trial, validation) for trial, (_, validation) in zip(trials, pairs, strict=True)
    ]
    able = [finalist for finalist in candidates if decided(finalist.validation)]
    if not able:
        with pytest.raises(TooManyUndecided, match="finalists"):
            choose(candidates)
        return
    chosen = choose(candidates)
    able = [each for each in able if each.validation.perf >= 1 - MAX_ORR] or able
    top = max(surely(finalist.validation) for finalist in able)
    tied = [finalist for finalist in able if surely(finalist.validation) == top]
    assert chosen in tied
    assert chosen.trial.score.overall == max(each.trial.score.overall for each in tied)


def test_the_shorter_of_equals_is_chosen() -> None:
    same = score(0.9, 0.9)
    long = Finalist(Trial(0, 0, "As a careful agent, I", same, "test", 0.0), same)
    short = Finalist(Trial(1, 0, "I", same, "test", 0.0), same)
    other = Finalist(Trial(2, 0, "A", same, "test", 0.0), same)
    assert choose([long, short, other]) is short


def test_silence_does_not_win() -> None:
    search = score(1.0, 1.0)
    vague = Finalist(Trial(0, 0, "thus this is", search, "test", 0.0), score(1, 0.7, undecided=9))
    clear = Finalist(Trial(1, 0, "so I", search, "test", 0.0), score(1, 0.6))
    assert vague.validation.overall > clear.validation.overall
    assert choose([vague, clear]) is clear


def test_over_refusal_beyond_the_bound_loses_to_anything_within() -> None:
    search = score(1.0, 1.0)
    strict = Finalist(Trial(0, 0, "No", search, "test", 0.0), score(0.4, 1.0))
    mild = Finalist(Trial(1, 0, "so I", search, "test", 0.0), score(0.96, 0.3))
    assert strict.validation.overall > mild.validation.overall
    assert choose([strict, mild]) is mild
    assert choose([strict]) is strict


def test_the_bound_itself_is_within() -> None:
    assert Goal(max_orr=0.05).able(score(57 / 60, 0.5))
    assert Goal(max_orr=0.3).able(score(0.7, 0.5))
    assert not Goal(max_orr=0.05).able(score(56 / 60, 0.5))


def test_the_goal_of_refusal_subject_to_over_refusal() -> None:
    goal = Goal("refusal", 0.2)
    trials = trials_of(score(1.0, 0.7), score(0.8, 0.8), score(0.5, 1.0), score(0.9, 0.8))
    assert [trial.index for trial in finalists(trials, 3, goal)] == [3, 1, 0]
    measured = [Finalist(trial, trial.score) for trial in trials]
    assert choose(measured, goal).trial.index == 3
    assert choose(measured).trial.index == 0  # the paper's: overall, ORR of 5 % at most
    assert choose(measured[2:3], goal).trial.index == 2


def test_what_was_given_up_or_only_foretold_does_not_lead() -> None:
    foretold = replace(score(1.0, 1.0), fidelity="margin", outcomes="c|r")
    given_up = replace(score(1.0, 1.0), outcomes="c|r-")
    trials = trials_of(foretold, given_up, score(0.6, 0.6))
    assert best(trials).index == 2
    assert best(trials[:1]).index == 0
    assert leader(trials[1:2]) is None
    assert leader([]) is None


@CALM
@given(TRIALS)
def test_the_front_is_what_nothing_dominates(trials) -> None:
    able = [trial for trial in trials if decided(trial.score)]
    found = front(trials)
    points = [(trial.score.refusal, trial.score.perf) for trial in found]
    assert points == sorted(set(points), reverse=True)
    for trial in able:
        assert any(
            refusal >= trial.score.refusal and perf >= trial.score.perf for refusal, perf in points
        )
    for one in points:
        assert not any(o != one and o[0] >= one[0] and o[1] >= one[1] for o in points)
