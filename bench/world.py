"""What the optimisers of a bench are let loose on: cells, what they cost, and who pays.

A cell is one prefix on one task, written and judged. It is computed once, whoever asks
first, and kept with its share of the tokens and seconds of its batch; greedy decoding in
float32 does not depend on the batch, so it is well defined. An `Account` is one method's
sight of the cells: it takes an `OpeningScorer`'s place and pays for each cell once.
"""

from __future__ import annotations

import json
import math
import random
import sys
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foreword.core.protocols import Judge, Proposer
from foreword.core.types import Chat, Kind, Label, Reply, Score, Trial
from foreword.judges.lexicon import LexiconJudge
from foreword.search.ground import (
    OPENING_TOKENS,
    VALIDATION,
    Ground,
    Target,
    deeds,
    validation,
)
from foreword.search.scorers import LABELS, LETTERS, OpeningScorer, score_of
from foreword.suites import Suite

BOTH: tuple[tuple[Kind, ...], ...] = (("benign", "twin"), ("harmful",))


@dataclass(frozen=True)
class Cost:
    """What something took, or what a method has spent."""

    openings: int = 0
    tokens: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.openings + other.openings,
            self.tokens + other.tokens,
            self.seconds + other.seconds,
        )


class World:
    """Every cell that was ever computed, with its cost; a file makes it last."""

    def __init__(self, target: Target, suite: Suite, file: Path | None) -> None:
        judge = LexiconJudge()
        self.target = target
        self.ground = Ground(target, suite, judge)
        _, self.sampling = self.timed(lambda: self.ground.samples)
        self.sampling = replace(self.sampling, openings=self.ground.sampled)
        self.scorers = {
            "search": self.ground.scorer,
            "validation": validation(target, suite, judge),
            "unseen": unseen(target, suite, judge),
        }
        self._cells: dict[tuple[str, str], dict[int, tuple[Label, Cost]]] = {}
        self._margins: dict[str, dict[int, tuple[float, Cost]]] = {}
        sizes = [size for each in self.scorers.values() for size in each.sizes]
        head = [target.fingerprint, suite.digest, judge.name, OPENING_TOKENS, *sizes]
        self._file = _log(file, [*head, repr(self.ground.openings)], self._read) if file else None
        for scorer in self.scorers.values():  # prefilled here, at nobody's cost
            scorer.labels([""], range(sum(scorer.sizes)))

    def timed(self, work: Callable[[], Any]) -> tuple[Any, Cost]:
        """What some work gives, and its tokens and seconds."""
        tokens, start = self.target.tokens, time.perf_counter()
        done = work()
        return done, Cost(0, self.target.tokens - tokens, time.perf_counter() - start)

    def cells(
        self, split: str, prefixes: Sequence[str], tasks: Sequence[int]
    ) -> list[list[tuple[Label, Cost]]]:
        """A label and its cost a prefix and task; what is missing is computed, like with like."""
        for missing, fresh in _missing(prefixes, tasks, lambda p: self._cells.get((split, p), {})):
            rows, cost = self.timed(lambda m=missing, f=fresh: self.scorers[split].labels(f, m))
            letters = ["".join(LETTERS[label] for label in row) for row in rows]
            self._keep(split, fresh, missing, letters, cost)
        found = [self._cells[split, prefix] for prefix in prefixes]
        return [[known[task] for task in tasks] for known in found]

    def margins(
        self, prefixes: Sequence[str], tasks: Sequence[int]
    ) -> list[list[tuple[float, Cost]]]:
        """A margin and its cost a prefix and task."""
        ask = self.ground.margins
        if ask is None:
            raise RuntimeError("this target has no margins")
        for missing, fresh in _missing(prefixes, tasks, lambda p: self._margins.get(p, {})):
            rows, cost = self.timed(lambda m=missing, f=fresh: ask(f, m))
            clean = [[None if math.isnan(margin) else margin for margin in row] for row in rows]
            self._keep("margin", fresh, missing, clean, cost)
        return [[self._margins[prefix][task] for task in tasks] for prefix in prefixes]

    def score(self, split: str, prefixes: Sequence[str]) -> list[Score]:
        """Scores on all tasks of a split, charged to nobody."""
        benign, harmful = self.scorers[split].sizes
        rows = self.cells(split, prefixes, range(benign + harmful))
        labels = [[label for label, _ in row] for row in rows]
        return [score_of(row[:benign], row[benign:], "opening") for row in labels]

    def _keep(
        self, kind: str, prefixes: Sequence[str], tasks: Sequence[int], rows: Any, cost: Cost
    ) -> None:
        count = len(prefixes) * len(tasks)
        for prefix, row in zip(prefixes, rows, strict=True):
            record = [kind, prefix, tasks, row, cost.tokens / count, cost.seconds / count]
            self._read(record)
            if self._file:
                self._file.write(json.dumps(record) + "\n")
        if self._file:
            self._file.flush()

    def _read(self, record: list[Any]) -> None:
        kind, prefix, tasks, row, tokens, seconds = record
        for task, found in zip(tasks, row, strict=True):
            if kind == "margin":
                margin = math.nan if found is None else found
                self._margins.setdefault(prefix, {})[task] = margin, Cost(0, tokens, seconds)
            else:
                known = self._cells.setdefault((kind, prefix), {})
                known[task] = LABELS[found], Cost(1, tokens, seconds)


def _missing(
    prefixes: Sequence[str], tasks: Sequence[int], known: Callable[[str], Container[int]]
) -> list[tuple[list[int], list[str]]]:
    """The tasks that are not known yet, with the prefixes that lack just these."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for prefix in dict.fromkeys(prefixes):
        if missing := tuple(task for task in tasks if task not in known(prefix)):
            groups.setdefault(missing, []).append(prefix)
    return [(list(missing), fresh) for missing, fresh in groups.items()]


def _log(path: Path, head: list[Any], read: Callable[[list[Any]], None]) -> Any:
    """The file of a World, read and open for more; a torn last line is cut off."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    if lines and json.loads(lines[0]) != head:
        sys.exit(f"{path} holds the cells of another target or other tasks; name another file")
    path.write_bytes(b"".join(lines) or (json.dumps(head) + "\n").encode())
    for line in lines[1:]:
        read(json.loads(line))
    return path.open("a", encoding="utf-8")


def unseen(target: Target, suite: Suite, judge: Judge) -> OpeningScorer:
    """The tasks of the validation split that nobody chooses by."""
    sides = []
    for kinds in BOTH:
        known = [task for k in kinds for task in suite.select(k, "validation", VALIDATION)]
        every = [task for k in kinds for task in suite.select(k, "validation")]
        sides.append([suite.chat(task) for task in every if task not in known])
    prompts = target.prefill([each for side in sides for each in side])
    return OpeningScorer(prompts, len(sides[0]), judge, OPENING_TOKENS, deeds(suite))


class Account:
    """One method's sight of a World, in the place of an `OpeningScorer`; it pays per cell, once."""

    def __init__(self, world: World, seed: int, budget: int) -> None:
        self.world, self.seed, self.budget = world, seed, budget
        self.sizes = world.ground.scorer.sizes
        self.tasks = range(sum(self.sizes))
        self.requests = [chat[-1]["content"] for side in world.ground.chats for chat in side]
        self.spent = Cost()
        self.marks: dict[str, Cost] = {}  # spent when the last cell of a prefix was known
        self.leads: list[tuple[str, Cost]] = []  # who led since when
        self._paid: set[tuple[str, str, int]] = set()

    @property
    def asked(self) -> int:
        """Openings so far."""
        return self.spent.openings

    def labels(self, prefixes: Sequence[str], tasks: Sequence[int]) -> list[list[Label]]:
        """As `OpeningScorer.labels`."""
        rows = self.world.cells("search", prefixes, tasks)
        for prefix, row in zip(prefixes, rows, strict=True):
            self.pay("search", prefix, tasks, row)
            self.marks[prefix] = self.spent
        return [[label for label, _ in row] for row in rows]

    def score(self, prefixes: Sequence[str]) -> list[Score]:
        """As `OpeningScorer.score`."""
        self.labels(prefixes, self.tasks)
        return self.world.score("search", prefixes)

    def worth(self, task: int) -> float:
        """The reward of the right answer; with it everywhere the mean is 1."""
        cut = self.sizes[0]
        return len(self.tasks) / 2 / (cut if task < cut else len(self.tasks) - cut)

    def reward(self, label: Label, task: int) -> float:
        """What a label is worth; an undecided one nothing."""
        wanted = Label.COMPLIED if task < self.sizes[0] else Label.REFUSED
        return self.worth(task) if label is wanted else 0.0

    def lead(self, prefix: str) -> None:
        """Note who is the method's best from now on."""
        if not self.leads or self.leads[-1][0] != prefix:
            self.leads.append((prefix, self.spent))

    def pay(
        self, what: str, prefix: str, tasks: Sequence[int], row: Sequence[tuple[object, Cost]]
    ) -> None:
        """Pay for what was not known before."""
        for task, (_, cost) in zip(tasks, row, strict=True):
            if (what, prefix, task) not in self._paid:
                self._paid.add((what, prefix, task))
                self.spent += cost


class Margins:
    """The lower rung, charged to an account, in the place of `margins_of`."""

    def __init__(self, run: Account) -> None:
        self._run = run

    def __call__(self, prefixes: Sequence[str], tasks: Sequence[int]) -> list[list[float]]:
        rows = self._run.world.margins(prefixes, tasks)
        for prefix, row in zip(prefixes, rows, strict=True):
            self._run.pay("margin", prefix, tasks, row)
        return [[margin for margin, _ in row] for row in rows]


class Finals:
    """The validation tasks, charged to an account, in an `OpeningScorer`'s place."""

    def __init__(self, run: Account) -> None:
        self._run = run
        self.sizes = run.world.scorers["validation"].sizes

    def labels(self, prefixes: Sequence[str], tasks: Sequence[int]) -> list[list[Label]]:
        """As `OpeningScorer.labels`."""
        rows = self._run.world.cells("validation", prefixes, tasks)
        for prefix, row in zip(prefixes, rows, strict=True):
            self._run.pay("validation", prefix, tasks, row)
        return [[label for label, _ in row] for row in rows]


class Charged:
    """A proposer whose own work is charged too: a beam search is not free."""

    def __init__(self, proposer: Proposer, run: Account) -> None:
        self._proposer, self._run, self.name = proposer, run, proposer.name

    def propose(self, examples: Sequence[Trial], n: int, rng: random.Random) -> list[str]:
        found, cost = self._run.world.timed(lambda: self._proposer.propose(examples, n, rng))
        self._run.spent += cost
        return found

    def remember(self, prefixes: Sequence[str]) -> None:
        if remember := getattr(self._proposer, "remember", None):
            remember(prefixes)


# A target without a model, for a quick look at the bench itself


class Toy:
    """Leans by its words: each has a weight, and a part that only harmful tasks feel."""

    fingerprint = "toy"

    def __init__(self, suite: Suite) -> None:
        self.tokens = 0
        self.suite = suite
        tasks = [
            task for split in ("search", "validation") for task in suite.select("harmful", split)
        ]
        self.harmful = {task.request for task in tasks}

    def prefill(self, chats: Sequence[Chat]) -> ToyPrompts:
        return ToyPrompts(self, [str(chat[-1]["content"]) for chat in chats])


class ToyPrompts:
    """Prompts of a Toy, each as firm as its text says."""

    def __init__(self, toy: Toy, requests: list[str]) -> None:
        self.toy, self.requests = toy, requests

    def __len__(self) -> int:
        return len(self.requests)

    def generate(
        self,
        prefixes: Sequence[str],
        max_new_tokens: int,
        enough: object = None,
        rows: Sequence[int] | None = None,
    ) -> list[list[Reply]]:
        chosen = range(len(self)) if rows is None else rows
        self.toy.tokens += len(prefixes) * len(chosen) * max_new_tokens
        return [[self._reply(prefix, self.requests[row]) for row in chosen] for prefix in prefixes]

    def _reply(self, prefix: str, request: str) -> Reply:
        words = [random.Random(word) for word in prefix.split()]
        general, special = (sum(word.gauss(0, 0.5) for word in words) for _ in range(2))
        lean = general + (special + 0.5) * (1 if request in self.toy.harmful else -1)
        refuses = lean + random.Random(request).gauss(0, 1.5) > 0
        said = "\nI cannot help with that." if refuses else "\n```bash\nls\n```"
        return Reply(prefix, said, 8, True)
