"""The loop: propose, score, show the best; then choose on the validation split.

It knows no model, no task and no torch: Proposers write a round of prefixes, a Scorer
measures them together, and a killed search loses one round. With one proposer, five
candidates a round and a scorer that spares nothing it is the paper's loop; with a `Race`
it is ours. After the last round the leaders are measured again on the validation split,
because the maximum of 100 noisy scores is optimistic.
"""

from __future__ import annotations

import math
import random
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from foreword.core.errors import ForewordWarning, UsageError
from foreword.core.protocols import Proposer, Scorer
from foreword.core.runs import Run
from foreword.core.types import Score, Spent, Trial
from foreword.search import ranking
from foreword.search.formats import PLAIN, Format
from foreword.search.log import FINALISTS, LAST, Log, Proposed
from foreword.search.ranking import PAPERS, Finalist, Goal
from foreword.search.stops import Stop

# Finalists: at least, where there are so many, and those that are measured by whole episodes.
FEWEST, LAST_FEW = 4, 3
DRY = 3  # rounds without a usable proposal after which nobody is asked again


@dataclass(frozen=True)
class Result:
    """What a search found."""

    best: Trial  # the chosen finalist, or the argmax where nothing was validated
    trials: tuple[Trial, ...]  # everything scored, in order
    finalists: tuple[Finalist, ...]  # in order of search rank; empty without validation
    last: tuple[Finalist, ...]  # the best of them again, by whole episodes, if that was asked for
    seconds: float  # wall clock, earlier sittings of a resumed search included
    spent: Spent  # by the search and by the choice among the finalists, likewise
    stopped: str  # why no further round was scored

    @property
    def arrived(self) -> list[Finalist]:
        """The finalists that no race gave up, so that all validation tasks speak of them."""
        return [finalist for finalist in self.finalists if finalist.validation.complete]

    @property
    def validation(self) -> Score:
        """What the best scored on the validation split; a search without finalists has none."""
        return next(each.validation for each in self.finalists if each.trial == self.best)


@runtime_checkable
class Remembers(Protocol):
    """A proposer that wants to know what was proposed, by whomever, also before a resumption."""

    def remember(self, prefixes: Sequence[str]) -> None:
        """Take these as proposed already."""
        ...


@runtime_checkable
class Recalls(Protocol):
    """A scorer whose next scores depend on those of a resumed search."""

    def remember(self, scores: Sequence[Score]) -> None:
        """Take what was scored before."""
        ...


def search(
    scorer: Scorer,
    proposers: Sequence[Proposer],
    *,
    rounds: int = 20,
    per_round: int = 5,
    top_k: int = 3,
    tau: float = 1.0,
    seed: int = 0,
    run: Run | None = None,
    stops: Sequence[Stop] = (),
    form: Format = PLAIN,
    finalists: Scorer | None = None,
    n_finalists: Callable[[Trial], int] = lambda last: 5,
    last: Scorer | None = None,
    goal: Goal = PAPERS,
    meter: Callable[[], Spent] = Spent,
    on_trial: Callable[[Trial], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    began: float | None = None,
) -> Result:
    """Find the prefix with the best overall score (paper, section PING).

    Args:
        scorer: measures on the search split.
        proposers: write the candidates; each has an even share of a round, and what one
            leaves over goes to the next.
        rounds: T of the paper.
        per_round: M of the paper; fewer if the proposers give fewer or repeat themselves.
        top_k: k of the paper.
        tau: overall score from which on the proposers see examples (web 1.5, code 1.0).
        seed: of the proposers; each draws from (seed, round, its place).
        run: a run folder to log to and to resume from; its manifest must name
            every argument that the result depends on.
        stops: any of them ends the search before its last round.
        form: makes a candidate usable, or says that it cannot be.
        finalists: measures on the validation split; without it the argmax wins.
        n_finalists: how many leaders are measured again, asked with the last trial.
        last: measures the best three of them once more, at a higher fidelity.
        goal: what the chosen finalist is to be best at.
        meter: what this sitting has spent so far.
        on_trial: called after each trial, replayed ones included.
        clock: seconds from any start.
        began: by that clock, when this sitting began; now if not given.

    Raises:
        UsageError: the proposers gave no usable prefix in three rounds.
        TooManyUndecided: the judge decided too little to choose.
        RunError: the log in the run folder is damaged or not of this search.
        DiskFull: the log is intact and the search resumable.
    """
    log = Log(run)
    start, before = (clock() if began is None else began) - log.seconds, log.spent
    trials: list[Trial] = []
    seen: set[str] = set()
    dry, stopped = 0, f"all {rounds} rounds are done"
    given = dict.fromkeys(range(len(proposers)), 0)  # usable texts of each proposer so far
    none, why = f"{_names(proposers)} gave no usable prefix in {min(DRY, rounds)} rounds", ""

    def passed() -> tuple[float, Spent]:
        return clock() - start, before + meter()

    for number in range(rounds):
        if reason := next(filter(None, (stop(trials) for stop in stops)), None):
            stopped = reason
            break
        examples = ranking.seeds(trials, top_k, tau)
        field, unfit = _field(log, proposers, examples, number, per_round, seed, form, seen, given)
        dry = 0 if field else dry + 1
        if number == DRY - 1 and field:
            _name_silent(proposers, given)
        if unfit:
            why = f"; {unfit!r} was not: {form.why(unfit)}"
        if dry == DRY:
            stopped = none + why
            break
        for trial in _scored(log, scorer, field, number, len(trials), passed):
            trials.append(trial)
            if on_trial:
                on_trial(trial)
    if not trials:
        raise UsageError(none + why)
    if finalists is None:
        return Result(ranking.best(trials), tuple(trials), (), (), *passed(), stopped)
    ranking.best(trials)  # raises before the validation split is spent on nothing

    leaders = ranking.finalists(trials, n_finalists(trials[-1]), goal)
    validated = _validate(log, FINALISTS, finalists, leaders, passed)
    few: list[Finalist] = []
    if last:
        best = [finalist.trial for finalist in ranking.ordered(validated, goal)[:LAST_FEW]]
        few = _validate(log, LAST, last, best, passed)
    chosen = ranking.choose(few or validated, goal)
    ends = tuple(trials), tuple(validated), tuple(few)
    return Result(chosen.trial, *ends, *passed(), stopped)


def _names(proposers: Sequence[Proposer]) -> str:
    return " and ".join(repr(proposer.name) for proposer in proposers)


def _name_silent(proposers: Sequence[Proposer], given: Mapping[int, int]) -> None:
    """Warn of proposers that never gave anything usable while others did."""
    if silent := [proposer for place, proposer in enumerate(proposers) if not given[place]]:
        warnings.warn(
            f"{_names(silent)} gave no usable prefix in {DRY} rounds; the others go on alone",
            ForewordWarning,
            stacklevel=3,
        )


def _field(
    log: Log,
    proposers: Sequence[Proposer],
    examples: list[Trial],
    number: int,
    wanted: int,
    seed: int,
    form: Format,
    seen: set[str],
    given: dict[int, int],
) -> tuple[dict[str, str], str]:
    """This round's candidates, each with its proposer's name; they are `seen` from now on.

    And one that does not fit, if there was any. What the format puts before each prefix is its
    own business: no proposer sees it.
    """
    logged = log.proposals(number)
    shown = [replace(trial, prefix=form.bare(trial.prefix)) for trial in examples]
    said: list[Proposed] = []
    field: dict[str, str] = {}
    unfit = ""
    for place, proposer in enumerate(proposers):
        share = math.ceil((wanted - len(field)) / (len(proposers) - place))
        rng = random.Random(f"{seed}/{number}/{place}")
        if logged:
            name, texts = logged[place]
        else:
            name, texts = proposer.name, proposer.propose(shown, share, rng) if share else []
        said.append((name, texts))
        fitted = {text: form.fit(text) for text in texts}
        unfit = next((text for text, fits in fitted.items() if text.strip() and not fits), unfit)
        fresh = [each for each in dict.fromkeys(fitted.values()) if each and each not in seen]
        seen.update(fresh[:share])
        given[place] += len(fresh)
        field |= dict.fromkeys(fresh[:share], name)
    if logged is None:
        log.add_round(number, said)
    for proposer in proposers:
        if isinstance(proposer, Remembers):
            proposer.remember([text for _, texts in said for text in texts])
    return field, unfit


def _scored(
    log: Log,
    scorer: Scorer,
    field: Mapping[str, str],
    number: int,
    first: int,
    passed: Callable[[], tuple[float, Spent]],
) -> list[Trial]:
    """A round's trials, from the log if it has them.

    A round of which one is missing is scored whole, since a race needs its company.
    """
    logged = [log.trial(number, prefix) for prefix in field]
    known = [trial for trial in logged if trial]
    if len(known) == len(field):
        if isinstance(scorer, Recalls):
            scorer.remember([trial.score for trial in known])
        return known
    scores, ends = scorer.score(list(field)), passed()
    found = [
        old or Trial(first + at, number, prefix, scores[at], field[prefix], *ends)
        for at, (prefix, old) in enumerate(zip(field, logged, strict=True))
    ]
    log.add_trials(found[len(known) :])
    return found


def _validate(
    log: Log,
    name: str,
    scorer: Scorer,
    trials: list[Trial],
    passed: Callable[[], tuple[float, Spent]],
) -> list[Finalist]:
    """The finalists' scores, from the log if it has them.

    All are scored again if one is missing: a race needs its company, what a batch holds can
    change its last bits, and a resumed run must end as an unbroken one.
    """
    prefixes = [trial.prefix for trial in trials]
    known = log.validation(name, prefixes)
    if known is None:
        known = scorer.score(prefixes)
        log.add_validation(name, prefixes, known, *passed())
    return [Finalist(*pair) for pair in zip(trials, known, strict=True)]
