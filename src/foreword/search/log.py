"""The search log: what was proposed, scored and validated, in three JSONL files.

`rounds` holds each round's proposals before any of them is scored, `trials` one
line a scored candidate, `finalists` one line a validated one. A resumed search
reads its rounds back instead of asking the proposer again, so that even a vendor's
model, which never answers twice alike, leads to the same result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from foreword.core.errors import RunError
from foreword.core.runs import Run
from foreword.core.types import Score, Spent, Trial

ROUNDS, TRIALS = "rounds", "trials"
FINALISTS, LAST = "finalists", "last"  # by openings, and the last few by whole episodes
Proposed = tuple[str, list[str]]  # a proposer's name and what it wrote


def score_record(score: Score) -> dict[str, Any]:
    """A score as JSON; a margin that is not finite becomes null."""
    margins = [margin if math.isfinite(margin) else None for margin in score.margins]
    return {**asdict(score), "margins": margins}


def read_score(record: Mapping[str, Any]) -> Score:
    """The inverse of `score_record`."""
    margins = tuple(math.nan if margin is None else margin for margin in record["margins"])
    return Score(**{**record, "margins": margins})


def read_trial(record: Mapping[str, Any]) -> Trial:
    """The inverse of the records `Log.add_trials` writes."""
    spent = Spent(**record["spent"])
    return Trial(**{**record, "score": read_score(record["score"]), "spent": spent})


def read_trials(run: Run) -> list[Trial]:
    """Every trial of a run folder, for reports.

    Raises:
        RunError: a record is damaged.
    """
    return [trial for trial, _ in _parsed(run, TRIALS, read_trial)]


def resume_hint(run: Run) -> str:
    """One line for a user whose search was stopped."""
    return (
        f"stopped after {len(run.records(TRIALS))} trials, all kept in {run.path}; "
        "repeat the same command to go on"
    )


def _parsed(run: Run, log: str, parse: Any) -> Iterator[tuple[Any, str]]:
    """Each record of a log, parsed, with its place."""
    for number, record in enumerate(run.records(log), 1):
        place = f"{run.path / log}.jsonl, line {number}"
        try:
            parsed = parse(record)
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{place}: not a record of this log; name another folder") from error
        yield parsed, place


class Log:
    """What happened already, handed out again in order; then a place for more.

    Without a run folder it remembers nothing and writes nothing.
    """

    def __init__(self, run: Run | None) -> None:
        self._run = run
        self._rounds: list[list[Proposed]] = []
        self._trials: list[tuple[Trial, str]] = []
        self._validated: dict[str, list[_Validated]] = {FINALISTS: [], LAST: []}
        if run is not None:
            self._rounds = [found for found, _ in _parsed(run, ROUNDS, _read_round)]
            self._trials = list(_parsed(run, TRIALS, read_trial))
            for name in self._validated:
                self._validated[name] = [found for found, _ in _parsed(run, name, _Validated.read)]
        # What earlier sittings cost; where a search goes on whose finalists were chosen, with them.
        costs: list[Trial | _Validated] = [trial for trial, _ in self._trials[-1:]]
        costs += [found[-1] for found in self._validated.values() if found]
        self.seconds = max((each.seconds for each in costs), default=0.0)
        self.spent = max((each.spent for each in costs), key=lambda s: s.openings, default=Spent())
        self._replayed = 0

    def proposals(self, number: int) -> list[Proposed] | None:
        """What each proposer said in this round, or None if they were not asked yet."""
        return self._rounds[number] if number < len(self._rounds) else None

    def add_round(self, number: int, proposed: list[Proposed]) -> None:
        """Keep what the proposers said, before any of it is scored."""
        self._append(ROUNDS, {"round": number, "proposed": proposed})

    def trial(self, number: int, prefix: str) -> Trial | None:
        """The next trial of the log, or None at its end.

        Raises:
            RunError: the log's next trial is another one.
        """
        if self._replayed == len(self._trials):
            return None
        trial, place = self._trials[self._replayed]
        if (trial.index, trial.round, trial.prefix) != (self._replayed, number, prefix):
            raise RunError(f"{place}: not the trial that follows here; name another folder")
        self._replayed += 1
        return trial

    def add_trials(self, trials: Sequence[Trial]) -> None:
        """Keep the scored candidates of a round, all in one write."""
        self._append(
            TRIALS, *({**asdict(trial), "score": score_record(trial.score)} for trial in trials)
        )

    def validation(self, name: str, prefixes: Sequence[str]) -> list[Score] | None:
        """These finalists' validation scores, if a log ends with them: a race needs its company."""
        found = self._validated[name][-len(prefixes) :]
        if [each.prefix for each in found] != list(prefixes):
            return None
        return [each.validation for each in found]

    def add_validation(
        self,
        name: str,
        prefixes: Sequence[str],
        scores: Sequence[Score],
        seconds: float,
        spent: Spent,
    ) -> None:
        """Keep the finalists' validation scores, all in one write, and what all has cost so far."""
        cost = {"seconds": seconds, "spent": asdict(spent)}
        self._append(
            name,
            *(
                {"prefix": prefix, "validation": score_record(score), **cost}
                for prefix, score in zip(prefixes, scores, strict=True)
            ),
        )

    def _append(self, log: str, *records: Mapping[str, Any]) -> None:
        if self._run is not None:
            self._run.append(log, *records)


def _read_round(record: Mapping[str, Any]) -> list[Proposed]:
    return [(str(name), [str(text) for text in texts]) for name, texts in record["proposed"]]


@dataclass(frozen=True)
class _Validated:
    """A line of `finalists` or `last`."""

    prefix: str
    validation: Score
    seconds: float
    spent: Spent

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        score, spent = read_score(record["validation"]), Spent(**record["spent"])
        return cls(str(record["prefix"]), score, float(record["seconds"]), spent)
