"""The paper's loop: propose, score, show the best, and take the argmax.

It knows no model, no task and no torch: a Proposer writes a round of prefixes, a
Scorer measures them together, and a killed search loses one round. After the last
round the leaders are measured again on the validation split, because the maximum
of 100 noisy scores is optimistic.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from foreword.core.errors import UsageError
from foreword.core.protocols import Proposer, Scorer
from foreword.core.runs import Run
from foreword.core.types import Trial
from foreword.search import ranking
from foreword.search.log import Log
from foreword.search.ranking import Finalist

TOGETHER = 4  # finalists scored in one batch; a killed search loses one


@dataclass(frozen=True)
class Result:
    """What a search found."""

    best: Trial  # the chosen finalist, or the argmax where nothing was validated
    trials: tuple[Trial, ...]  # everything scored, in order
    finalists: tuple[Finalist, ...]  # in order of search rank; empty without validation
    seconds: float  # wall clock, earlier sittings of a resumed search included


@runtime_checkable
class Remembers(Protocol):
    """A proposer that wants to know what a resumed search proposed before."""

    def remember(self, prefixes: Sequence[str]) -> None:
        """Take these as proposed already."""
        ...


def clean(prefix: str) -> str | None:
    """A candidate without white space around it; None if nothing is left.

    Trailing white space would split the model's next token in two.
    """
    return prefix.strip() or None


def search(
    scorer: Scorer,
    proposer: Proposer,
    *,
    rounds: int = 20,
    per_round: int = 5,
    top_k: int = 3,
    tau: float = 1.0,
    seed: int = 0,
    run: Run | None = None,
    finalists: Scorer | None = None,
    n_finalists: int = 5,
    on_trial: Callable[[Trial], None] | None = None,
    on_finalist: Callable[[Finalist], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """Find the prefix with the best overall score (paper, section PING).

    Args:
        scorer: measures on the search split.
        proposer: writes the candidates.
        rounds: T of the paper.
        per_round: M of the paper; fewer if the proposer gives fewer or repeats itself.
        top_k: k of the paper.
        tau: overall score from which on the proposer sees examples (web 1.5, code 1.0).
        seed: of the proposer; each round draws from (seed, round).
        run: a run folder to log to and to resume from; its manifest must name
            every argument that the result depends on.
        finalists: measures on the validation split; without it the argmax wins.
        n_finalists: how many leaders are measured again.
        on_trial: called after each trial, replayed ones included.
        on_finalist: called after each validated finalist.
        clock: seconds from any start.

    Raises:
        UsageError: the proposer gave no usable prefix in any round.
        TooManyUndecided: the judge decided too little to choose.
        RunError: the log in the run folder is damaged or not of this search.
        DiskFull: the log is intact and the search resumable.
    """
    log = Log(run)
    start = clock() - log.seconds
    trials: list[Trial] = []
    seen: set[str] = set()
    for number in range(rounds):
        examples = ranking.seeds(trials, top_k, tau)
        proposed = _proposals(log, proposer, examples, number, n=per_round, seed=seed)
        fresh = _fresh(proposed, seen)[:per_round]
        seen.update(fresh)
        logged = [log.trial(number, prefix) for prefix in fresh]
        # A round of which a trial is missing is scored whole, since rounding depends on company.
        scores = scorer.score(fresh) if None in logged else []
        for at, prefix in enumerate(fresh):
            trial = logged[at]
            if trial is None:
                passed = clock() - start
                trial = Trial(len(trials), number, prefix, scores[at], proposer.name, passed)
                log.add_trial(trial)
            trials.append(trial)
            if on_trial:
                on_trial(trial)
    if not trials:
        raise UsageError(f"proposer {proposer.name!r} gave no usable prefix in {rounds} rounds")
    if finalists is None:
        return Result(ranking.best(trials), tuple(trials), (), clock() - start)
    ranking.best(trials)  # raises before the validation split is spent on nothing
    validated = _validate(log, finalists, ranking.finalists(trials, n_finalists), on_finalist)
    chosen = ranking.choose(validated)
    return Result(chosen.trial, tuple(trials), tuple(validated), clock() - start)


def _proposals(
    log: Log, proposer: Proposer, examples: list[Trial], number: int, *, n: int, seed: int
) -> list[str]:
    """This round's proposals, from the log if it has them."""
    logged = log.proposals(number)
    if logged is None:
        logged = proposer.propose(examples, n, random.Random(f"{seed}/{number}"))
        log.add_round(number, logged)
    if isinstance(proposer, Remembers):
        proposer.remember(logged)
    return logged


def _fresh(proposed: list[str], seen: set[str]) -> list[str]:
    """Usable candidates that nobody has scored, without doubles, in order."""
    cleaned = dict.fromkeys(map(clean, proposed))
    return [prefix for prefix in cleaned if prefix is not None and prefix not in seen]


def _validate(
    log: Log,
    scorer: Scorer,
    trials: list[Trial],
    on_finalist: Callable[[Finalist], None] | None,
) -> list[Finalist]:
    """The finalists' scores, from the log if it has them.

    A few are scored together, which is faster, and all of them again if one is missing: what
    a batch holds can change its last bits, and a resumed run must end as an unbroken one.
    """
    validated = []
    for at in range(0, len(trials), TOGETHER):
        group = trials[at : at + TOGETHER]
        prefixes = [trial.prefix for trial in group]
        known = [log.validation(prefix) for prefix in prefixes]
        found = scorer.score(prefixes) if None in known else []
        for i, trial in enumerate(group):
            score = known[i] or found[i]
            if known[i] is None:
                log.add_validation(trial.prefix, score)
            validated.append(Finalist(trial, score))
            if on_finalist:
                on_finalist(validated[-1])
    return validated
