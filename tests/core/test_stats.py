import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foreword.core.stats import (
    Difference,
    format_difference,
    format_rate,
    mcnemar,
    mean_difference,
    paired_difference,
    wilson,
)

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # busy machines
OUTCOMES = st.lists(st.tuples(st.booleans() | st.none(), st.booleans() | st.none()), max_size=80)


def test_wilson_agrees_with_the_closed_form() -> None:
    k, n, z = 52, 60, 1.959963984540054
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    rate = wilson(k, n)
    assert rate.low == pytest.approx(centre - half)
    assert rate.high == pytest.approx(centre + half)
    assert (rate.k, rate.n, rate.total) == (52, 60, 60)


def test_nothing_judged_says_nothing() -> None:
    rate = wilson(0, 0, 12)
    assert (rate.low, rate.high, rate.total) == (0.0, 1.0, 12)
    assert math.isnan(rate.value)


@pytest.mark.parametrize(("k", "n", "total"), [(-1, 3, 3), (4, 3, 9), (2, 5, 4)])
def test_impossible_counts_are_refused(k: int, n: int, total: int) -> None:
    with pytest.raises(ValueError, match="0 <= k <= n <= total"):
        wilson(k, n, total)


@CALM
@given(st.integers(0, 300), st.integers(1, 300))
def test_wilson_holds_its_value(k: int, n: int) -> None:
    k = min(k, n)
    rate = wilson(k, n)
    assert -1e-12 <= rate.low <= k / n + 1e-12
    assert k / n - 1e-12 <= rate.high <= 1 + 1e-12


def test_the_difference_of_paired_means_is_that_of_students_t() -> None:
    # Sleep data of Student (1908) as in R: t = -4.0621, df = 9, p = 0.002833, [-2.4599, -0.7001]
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = mean_difference(first, second)
    assert found is not None
    difference, p = found
    assert (difference.value, p) == (pytest.approx(1.58), pytest.approx(0.002833, abs=1e-6))
    assert (difference.low, difference.high) == (
        pytest.approx(0.7001142, abs=1e-6), pytest.approx(2.4598858, abs=1e-6),
    )  # fmt: skip


def test_a_difference_that_does_not_vary_and_one_that_nobody_can_know() -> None:
    found = mean_difference([1.0, 2.0], [1.5, 2.5])
    assert found is not None and (found[0].low, found[0].high, found[1]) == (0.5, 0.5, 0.0)
    assert mean_difference([1.0, 1.0], [1.0, 1.0]) == (Difference(0, 0, 0, 2, 0), 1.0)
    assert mean_difference([1.0], [2.0]) is None


def test_paired_difference_of_a_worked_example() -> None:
    # 60 pairs: 30 gained, 2 lost. Bonett-Price by hand: p+ = 31/62, p- = 3/62.
    before = [False] * 30 + [True] * 2 + [True] * 10 + [False] * 18
    after = [True] * 30 + [False] * 2 + [True] * 10 + [False] * 18
    found = paired_difference(before, after)
    half = 1.959963984540054 * math.sqrt((34 / 62 - (28 / 62) ** 2) / 62)
    assert found.value == pytest.approx(28 / 60)
    assert found.low == pytest.approx(28 / 62 - half)
    assert found.high == pytest.approx(28 / 62 + half)
    assert (found.n, found.dropped) == (60, 0)


def test_mcnemar_is_a_coin_tossed_for_every_change() -> None:
    before = [True] * 10 + [False] * 10 + [None, True]
    after = [True] * 9 + [False] + [True] * 6 + [False] * 4 + [True, None]
    assert mcnemar(before, after) == pytest.approx(2 * (1 + 7) / 2**7)  # 6 of 7 went up
    assert mcnemar(after, before) == mcnemar(before, after)
    assert mcnemar([True, None], [True, False]) == 1.0
    with pytest.raises(ValueError, match="shorter"):
        mcnemar([True], [])


def test_undecided_pairs_are_dropped_and_counted() -> None:
    found = paired_difference([True, None, False, None], [True, True, None, None])
    assert (found.n, found.dropped, found.value) == (1, 3, 0.0)


def test_no_pair_at_all() -> None:
    found = paired_difference([None], [True])
    assert math.isnan(found.value)
    assert (found.low, found.high, found.n, found.dropped) == (-1.0, 1.0, 0, 1)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired_difference([True, False], [True])


def test_no_change_still_has_a_width() -> None:
    found = paired_difference([True] * 20, [True] * 20)
    assert found.value == 0.0
    assert found.low < 0.0 < found.high
    assert found.low == pytest.approx(-found.high)


@CALM
@given(OUTCOMES)
def test_the_interval_holds_the_value_and_is_antisymmetric(pairs) -> None:
    before, after = [first for first, _ in pairs], [second for _, second in pairs]
    there, back = paired_difference(before, after), paired_difference(after, before)
    assert -1.0 <= there.low < there.high <= 1.0
    if there.n:
        assert there.low <= there.value <= there.high
        assert back.value == pytest.approx(-there.value)
    assert back.low == pytest.approx(-there.high)


def test_formats() -> None:
    assert format_rate(wilson(52, 60)) == "52/60 = 0.87 [0.76, 0.93]"
    assert format_rate(wilson(52, 60, 64)) == "52/60 of 64 run = 0.87 [0.76, 0.93]"
    assert format_rate(wilson(0, 0, 3)) == "0/0 of 3 run = n/a [0.00, 1.00]"
    assert format_difference(Difference(0.45, 0.31, 0.58, 60)) == "+0.45 [+0.31, +0.58], n = 60"
    text = format_difference(paired_difference([None], [True]))
    assert text == "n/a [-1.00, +1.00], n = 0 (1 undecided)"
