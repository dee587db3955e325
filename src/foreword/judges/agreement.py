"""How far judges agree with people and with each other, on openings that people labelled.

`data/openings.jsonl` ships with the package: one JSON object a line with
prefix, continuation, label, source and part. "dev" rows may be looked at when
patterns are written, "held-out" rows may not. Append new rows at the end.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, cast, get_args

from foreword.core.errors import DataError
from foreword.core.protocols import Judge
from foreword.core.stats import format_rate, wilson
from foreword.core.types import Label, Rate

Part = Literal["dev", "held-out"]
_FIELDS = {"prefix", "continuation", "label", "source", "part"}


@dataclass(frozen=True)
class Row:
    """One labelled opening."""

    prefix: str
    continuation: str
    label: Label  # what a person said
    source: str  # "own", or "model:<fingerprint>" for a real reply
    part: Part


@dataclass(frozen=True)
class Disagreement:
    """A row on which judge and person differ."""

    row: Row
    said: Label
    reason: str


@dataclass(frozen=True)
class Agreement:
    """A judge against people over the same rows."""

    judge: str
    accuracy: Rate
    kappa: float  # Cohen's, -1..1; nan if there is nothing to agree on
    confusion: dict[Label, dict[Label, int]]  # person's label -> judge's label -> rows
    disagreements: tuple[Disagreement, ...]

    def summary(self) -> str:
        """One line for a terminal."""
        return f"accuracy {format_rate(self.accuracy)}, Cohen's kappa {self.kappa:.2f}"

    def to_dict(self) -> dict[str, Any]:
        """The same for a program; kappa is null where it is undefined."""
        return {
            "judge": self.judge,
            "accuracy": asdict(self.accuracy),
            "kappa": None if math.isnan(self.kappa) else self.kappa,
            "confusion": {
                str(person): {str(said): n for said, n in row.items()}
                for person, row in self.confusion.items()
            },
            "disagreements": [
                {
                    "prefix": found.row.prefix,
                    "continuation": found.row.continuation,
                    "label": str(found.row.label),
                    "said": str(found.said),
                    "reason": found.reason,
                }
                for found in self.disagreements
            ],
        }


def agreement(judge: Judge, rows: Sequence[Row]) -> Agreement:
    """Ask the judge about every row and compare."""
    verdicts = [judge.judge(row.prefix, row.continuation) for row in rows]
    pairs = Counter((row.label, said.label) for row, said in zip(rows, verdicts, strict=True))
    confusion = {person: {said: pairs[person, said] for said in Label} for person in Label}
    equal = sum(confusion[label][label] for label in Label)
    return Agreement(
        judge.name,
        wilson(equal, len(rows)),
        cohen_kappa(confusion),
        confusion,
        tuple(
            Disagreement(row, said.label, said.reason)
            for row, said in zip(rows, verdicts, strict=True)
            if row.label is not said.label
        ),
    )


@dataclass(frozen=True)
class Pair:
    """Two judges over the same rows."""

    judges: tuple[str, str]
    same: Rate
    kappa: float  # Cohen's, -1..1; nan if there is nothing to agree on

    def summary(self) -> str:
        """One line for a terminal."""
        return f"the same {format_rate(self.same)}, Cohen's kappa {self.kappa:.2f}"

    def to_dict(self) -> dict[str, Any]:
        """For a program; kappa is null where it is undefined."""
        kappa = None if math.isnan(self.kappa) else self.kappa
        return {"judges": list(self.judges), "same": asdict(self.same), "kappa": kappa}


def pairs(judges: Sequence[Judge], rows: Sequence[Row]) -> list[Pair]:
    """How far every two of the judges agree with each other."""
    said = [[judge.judge(row.prefix, row.continuation).label for row in rows] for judge in judges]
    found = []
    for (one, first), (other, second) in combinations(zip(judges, said, strict=True), 2):
        counts = Counter(zip(first, second, strict=True))
        table = {a: {b: counts[a, b] for b in Label} for a in Label}
        equal = wilson(sum(table[label][label] for label in Label), len(rows))
        found.append(Pair((one.name, other.name), equal, cohen_kappa(table)))
    return found


def cohen_kappa(confusion: dict[Label, dict[Label, int]]) -> float:
    """Agreement beyond chance (Cohen 1960); nan if chance alone agrees always."""
    n = sum(sum(row.values()) for row in confusion.values())
    observed = sum(confusion[label][label] for label in Label)
    chance = sum(
        sum(confusion[label].values()) * sum(row[label] for row in confusion.values())
        for label in Label
    )
    return (n * observed - chance) / (n * n - chance) if n * n != chance else math.nan


def load_rows(path: Path | None = None) -> list[Row]:
    """The labelled openings that ship with the package, or those of `path`.

    Raises:
        DataError: a line is wrong; the message names file and line.
    """
    source = path or files("foreword.judges").joinpath("data/openings.jsonl")
    try:
        lines = source.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {source}: {error}") from error
    return [_row(line, f"{source}:{n}") for n, line in enumerate(lines, 1) if line.strip()]


def _row(line: str, where: str) -> Row:
    try:
        data = json.loads(line)
    except ValueError as error:
        raise DataError(f"{where}: not valid JSON ({error})") from error
    if not isinstance(data, dict) or set(data) != _FIELDS:
        raise DataError(f"{where}: a row has exactly the fields {', '.join(sorted(_FIELDS))}")
    if not all(isinstance(value, str) for value in data.values()):
        raise DataError(f"{where}: every field is text")
    if data["label"] not in list(Label):
        raise DataError(f"{where}: label {data['label']!r} is none of {', '.join(Label)}")
    if data["part"] not in get_args(Part):
        raise DataError(f"{where}: part {data['part']!r} is none of {', '.join(get_args(Part))}")
    return Row(
        data["prefix"],
        data["continuation"],
        Label(data["label"]),
        data["source"],
        cast(Part, data["part"]),
    )
