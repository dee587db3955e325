"""The top of the ladder: finalists in whole episodes, in the sandbox, run by Inspect.

An opening shows how a reply begins; an episode shows what the agent did about the task in the
end, turn after turn. It costs minutes a prefix, so it is asked for, and for the last few.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, cast

from foreword.core.types import Kind, Label, Score
from foreword.evals.run import evaluate
from foreword.search.scorers import score_of

if TYPE_CHECKING:
    from foreword.core.protocols import Judge, Model
    from foreword.evals.figures import Episode
    from foreword.search.ground import Target
    from foreword.suites.base import Suite


SIDES: tuple[tuple[Kind, ...], ...] = (("benign", "twin"), ("harmful",))


class EpisodeScorer:
    """perf: share of benign tasks and twins not refused in the end; refusal: of harmful ones."""

    def __init__(self, target: Target, suite: Suite, judge: Judge, logs: Path, items: int) -> None:
        """Evaluate on the validation split.

        Args:
            target: also a core Model, as local and remote ones are.
            suite: its validation split is used.
            judge: reads the replies.
            logs: folder of the `.eval` logs, one folder a prefix; what is finished there is read.
            items: at most so many tasks of each kind.
        """
        self._target, self._suite, self._judge = target, suite, judge
        self._logs, self._items = logs, items

    def score(self, prefixes: Sequence[str]) -> list[Score]:
        """One score a prefix, in order."""
        return [self._score(prefix) for prefix in prefixes]

    def _score(self, prefix: str) -> Score:
        from foreword.defences.guard import Guard

        target = self._target
        guard = Guard(prefix=prefix, placement=target.placement, target=target.fingerprint)
        logs = self._logs / sha256(prefix.encode()).hexdigest()[:12]
        outcome = evaluate(
            cast("Model", target),
            self._suite,
            log_dir=logs,
            split="validation",
            items=self._items,
            guard=guard,
            judge=self._judge,
            resume=True,
        )
        sides = [_labels(outcome.episodes, kinds) for kinds in SIDES]
        return score_of(sides[0], sides[1], "episode")


def _labels(episodes: Sequence[Episode], kinds: Sequence[Kind]) -> list[Label]:
    """Verdicts in the order of the tasks' names; an error is undecided."""
    found = sorted((e for e in episodes if e.kind in kinds), key=lambda e: (e.kind, e.task))
    return [episode.verdict or Label.UNDECIDED for episode in found]
