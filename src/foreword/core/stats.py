"""Intervals for rates and for paired before-after differences.

A rate without an interval is an anecdote: every figure Foreword prints passes
through here. Rates get Wilson's interval (from scipy), erosion and repair get
the Bonett-Price interval for a difference of paired proportions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from foreword.core.types import Rate

CONFIDENCE = 0.95
_Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)


@dataclass(frozen=True)
class Difference:
    """after - before over the same tasks, with a 95 % interval (fractions, -1..1)."""

    value: float  # nan when no pair was judged on both sides
    low: float
    high: float
    n: int  # pairs judged on both sides
    dropped: int = 0  # pairs with an undecided side


def wilson(k: int, n: int, total: int | None = None) -> Rate:
    """The rate k of n with its Wilson 95 % interval.

    Args:
        k: tasks for which it happened.
        n: tasks that were judged; 0 gives the interval 0..1.
        total: tasks that were run; n if not given.

    Raises:
        ValueError: unless 0 <= k <= n <= total.
    """
    total = n if total is None else total
    if not 0 <= k <= n <= total:
        raise ValueError(f"a rate needs 0 <= k <= n <= total, got {k}, {n}, {total}")
    if n == 0:
        return Rate(0, 0, total, 0.0, 1.0)
    from scipy.stats import binomtest

    interval = binomtest(k, n).proportion_ci(CONFIDENCE, method="wilson")
    return Rate(k, n, total, float(interval.low), float(interval.high))


def paired_difference(before: Sequence[bool | None], after: Sequence[bool | None]) -> Difference:
    """How much a rate changed over the same tasks, with a 95 % interval.

    The interval is the adjusted Wald interval of Bonett and Price (2012,
    "Adjusted Wald confidence interval for a difference of binomial proportions
    based on paired data", J. Educ. Behav. Stat. 37(4), their equation for
    unequal marginals): one is added to each of the two discordant counts. It has
    close to nominal coverage in small samples and stays sensible when no pair,
    or every pair, changed.

    Args:
        before: one outcome a task, None where it is undecided.
        after: the same tasks in the same order.

    Raises:
        ValueError: if the two differ in length.
    """
    pairs = [
        (first, second)
        for first, second in zip(before, after, strict=True)
        if first is not None and second is not None
    ]
    n, dropped = len(pairs), len(before) - len(pairs)
    if not pairs:
        return Difference(math.nan, -1.0, 1.0, 0, dropped)
    gained = sum(second and not first for first, second in pairs)
    lost = sum(first and not second for first, second in pairs)
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = _Z * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    centre = up - down
    return Difference(
        (gained - lost) / n, max(-1.0, centre - half), min(1.0, centre + half), n, dropped
    )


def mean_difference(
    before: Sequence[float], after: Sequence[float]
) -> tuple[Difference, float] | None:
    """How much a mean changed over the same tasks, with a 95 % interval by Student's t.

    Args:
        before: one number a task.
        after: the same tasks in the same order.

    Returns:
        The difference and the two-sided p of the paired t test; None of fewer than two tasks.
    """
    from scipy.stats import ttest_rel

    gains = [second - first for first, second in zip(before, after, strict=True)]
    if len(gains) < 2:
        return None
    if len(set(gains)) == 1:  # nothing varies, and t would divide by zero
        return Difference(gains[0], gains[0], gains[0], len(gains), 0), float(not gains[0])
    found = ttest_rel(after, before)
    low, high = map(float, found.confidence_interval())
    value = sum(gains) / len(gains)
    return Difference(value, low, high, len(gains), 0), float(found.pvalue)


def mcnemar(before: Sequence[bool | None], after: Sequence[bool | None]) -> float:
    """The two-sided p of the exact McNemar test: as many changes one way as the other?

    Args:
        before: one outcome a task, None where it is undecided.
        after: the same tasks in the same order.

    Raises:
        ValueError: if the two differ in length.
    """
    from scipy.stats import binomtest

    changed = [
        bool(second)
        for first, second in zip(before, after, strict=True)
        if None not in (first, second) and first != second
    ]
    return float(binomtest(sum(changed), len(changed)).pvalue) if changed else 1.0


def format_rate(rate: Rate) -> str:
    """As every table prints it: "52/60 = 0.87 [0.76, 0.93]", "52/60 of 64 run = ..."."""
    counts = f"{rate.k}/{rate.n}" + (f" of {rate.total} run" if rate.total != rate.n else "")
    value = f"{rate.value:.2f}" if rate.n else "n/a"
    return f"{counts} = {value} [{rate.low:.2f}, {rate.high:.2f}]"


def format_difference(difference: Difference) -> str:
    """As every table prints it: "+0.45 [+0.31, +0.58], n = 60"."""
    value = f"{difference.value:+.2f}" if difference.n else "n/a"
    dropped = f" ({difference.dropped} undecided)" if difference.dropped else ""
    interval = f"[{difference.low:+.2f}, {difference.high:+.2f}]"
    return f"{value} {interval}, n = {difference.n}{dropped}"
