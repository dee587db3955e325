"""Defences side by side: every one on the same tasks, against the model without any.

One evaluation a defence, resumable, each in its own folder of `.eval` logs; what comes of it is
a `Comparison`, plain data, which report/ and cli/ draw.

Covered: a defence whose instrument failed (a guard's server that is down) keeps the rates that
could be judged, k of n of N, and says so. Not covered: several models in one table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from foreword.core.errors import TooManyUndecided
from foreword.core.protocols import Judge, Model
from foreword.core.stats import mcnemar, mean_difference, paired_difference
from foreword.core.types import Split
from foreword.evals.comparison import Change, Comparison, Interval, Row
from foreword.evals.figures import Cost, Episode, figures, pairs
from foreword.evals.run import evaluate
from foreword.suites.base import Suite

PLAIN = "none"  # the model without any defence


def compare(
    model: Model,
    suite: Suite,
    defences: Mapping[str, Callable[[Model], Model]],
    *,
    out: Path,
    split: Split = "test",
    items: int | None = None,
    judge: Judge | str = "lexicon",
    max_new_tokens: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Comparison:
    """Evaluate a model behind each defence on the same tasks.

    Args:
        model: the target, loaded.
        suite: where the tasks come from.
        defences: spec -> what puts it around the model. The others are compared with PLAIN, which
            comes first then, or if it is not among them with the first.
        out: a folder of logs a defence is kept here; what is there is not run again.
        split: which tasks.
        items: at most this many tasks of each kind, evenly over the families.
        judge: reads the replies.
        max_new_tokens: of one reply; the suite's own number if not given.
        progress: called with (spec, episodes done, episodes in all).

    Raises:
        UsageError: the split is empty.
        SandboxError: no sandbox works here.
        ModelError: the target did not answer.
        ConfigError: a defence cannot stand around this target.
    """
    measured: dict[str, tuple[str, tuple[Episode, ...]]] = {}
    judged = ""
    guarded = {spec: wrap(model) for spec, wrap in defences.items()}  # what cannot stand says so
    for spec in sorted(guarded, key=lambda spec: spec != PLAIN):
        each = guarded[spec]
        outcome = evaluate(
            each,
            suite,
            log_dir=out / folder(spec),
            split=split,
            items=items,
            judge=judge,
            max_new_tokens=max_new_tokens,
            progress=None if progress is None else lambda *at, spec=spec: progress(spec, *at),
            resume=True,
        )
        measured[spec] = (outcome.fingerprint, outcome.episodes)
        judged = outcome.judge
    (_, first), *_ = measured.values()
    rows = tuple(
        replace(
            _row(spec, fingerprint, episodes, None if episodes is first else first),
            note=_loss(spec, {other: each for other, (_, each) in measured.items()}),
        )
        for spec, (fingerprint, episodes) in measured.items()
    )
    return Comparison(suite.name, suite.digest, split, judged, rows)


def _loss(spec: str, measured: Mapping[str, Sequence[Episode]]) -> str:
    """Whether a stack refuses less than the best of its parts that was measured by itself, too."""
    best, found = None, ""
    for part in spec.split("+"):
        both = pairs(measured.get(part, ()), measured[spec]).get("rr") if part != spec else None
        if both is None:
            continue
        change = paired_difference(*both)
        if change.n and change.value < 0 and (best is None or change.value < best):
            best, p = change.value, mcnemar(*both)
            found = (
                f"RR is {-best:.0%} below that of {part!r} alone ({change.n} pairs, p = {p:.2g})"
            )
    return found


def folder(spec: str) -> str:
    """A spec as the name of a folder, readable and distinct."""
    readable = "".join(c if c.isalnum() or c in "+-." else "_" for c in spec)[:40]
    return readable if readable == spec else f"{readable}-{sha256(spec.encode()).hexdigest()[:8]}"


def _row(
    spec: str, fingerprint: str, episodes: Sequence[Episode], first: Sequence[Episode] | None
) -> Row:
    try:
        found, complaint = figures(episodes), ""
    except TooManyUndecided as error:
        found, complaint = figures(episodes, strict=False), str(error)
    return Row(
        spec,
        fingerprint,
        found.rates,
        _mean(list(_costs(episodes).values())),
        _changes(first, episodes) if first is not None else {},
        sum(episode.cost.requests for episode in episodes),
        sum(bool(episode.error) for episode in episodes),
        complaint,
        _spread(list(_costs(episodes).values())),
    )


def _costs(episodes: Sequence[Episode]) -> dict[str, dict[str, float]]:
    """What a request cost in each episode that came to its end, by task."""
    return {each.task: each.cost.a_request() for each in episodes if not each.error}


def _mean(costs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(c[name] for c in costs) / max(1, len(costs)) for name in Cost().a_request()}


def _spread(costs: Sequence[Mapping[str, float]]) -> dict[str, Interval]:
    """The means' 95 % intervals: how far each differs from nothing; none of a single episode."""
    found = {}
    for name in Cost().a_request():
        if change := mean_difference([0.0] * len(costs), [cost[name] for cost in costs]):
            found[name] = (change[0].low, change[0].high)
    return found


def _changes(first: Sequence[Episode], episodes: Sequence[Episode]) -> dict[str, Change]:
    found = {
        name: Change(paired_difference(*both), mcnemar(*both))
        for name, both in pairs(first, episodes).items()
    }
    before, after = _costs(first), _costs(episodes)
    both = [task for task in before if task in after]
    for name in Cost().a_request():
        sides = ([costs[task][name] for task in both] for costs in (before, after))
        if change := mean_difference(*sides):
            found[name] = Change(*change)
    return found
