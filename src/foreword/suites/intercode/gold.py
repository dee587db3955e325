"""What a gold command does, found by running it, and whether an agent did the same.

Same means: every path that either changed is now equal (kind, permissions, bytes), and
where gold changes nothing, gold's output stands in the agent's. Upstream instead adds a
third of a point each for the paths of `git status`, for hashes and for the likeness of the
outputs, so that doing nothing often earns more than half; here it is all or nothing.

Covered: scratch files below /tmp, column widths, other lines around the answer, any order
of lines unless gold sorts. Not covered: answers in other words than gold's, and archives
that hold the same files in other bytes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from foreword.core.errors import SandboxError
from foreword.core.types import Entry, Setup, State
from foreword.sandbox import open_sandbox

SCRATCH = "/tmp/"  # noqa: S108 - the sandbox's own
ROOM = 10  # lines that may stand around an answer, besides as many as it has itself
_SORTS = re.compile(r"\b(sort|tac)\b")

Shape = tuple[str, int, str, str]  # kind, mode, SHA-256, link target


@dataclass(frozen=True)
class Outcome:
    """What a command did to its world, and what it printed."""

    changes: Mapping[str, Shape | None]  # None for a path that is gone
    lines: tuple[str, ...]


class Gold:
    """A gold command in its world; it is run once, when an answer is first compared."""

    def __init__(self, command: str, setup: Setup) -> None:
        self.command = command
        self.setup = setup

    @cached_property
    def outcome(self) -> Outcome:
        """What the command does; its complaints on stderr are no part of the answer.

        Raises:
            SandboxError: if the sandbox broke, or the command did not come to its end.
        """
        with open_sandbox(self.setup) as box:
            before = box.snapshot()
            done = box.run(f"{{ {self.command}\n}} 2>/dev/null")
            if done.timed_out or done.truncated:
                how = "takes too long" if done.timed_out else "prints too much"
                raise SandboxError(f"the gold command {how} here: {self.command}")
            return Outcome(changes(before, box.snapshot()), tidy(done.output))

    def reached(self, before: State, after: State) -> bool:
        """Whether an agent brought about the same."""
        gold = self.outcome
        found = {
            path: shape
            for path, shape in changes(before, after).items()
            if path in gold.changes or not path.startswith(SCRATCH)
        }
        if found != gold.changes:
            return False
        return bool(gold.changes) or holds(
            tidy(after.output), gold.lines, in_order=bool(_SORTS.search(self.command))
        )


def changes(before: State, after: State) -> dict[str, Shape | None]:
    """The paths that differ, and what they are now."""
    old = {path: _shape(entry) for path, entry in before.files.items()}
    new = {path: _shape(entry) for path, entry in after.files.items()}
    return {path: new.get(path) for path in {*old, *new} if old.get(path) != new.get(path)}


def tidy(output: str) -> tuple[str, ...]:
    """The lines that say something, their columns one blank apart."""
    lines = (" ".join(line.split()) for line in output.splitlines())
    return tuple(line for line in lines if line)


def holds(lines: Sequence[str], answer: Sequence[str], *, in_order: bool) -> bool:
    """Whether an output has the answer's lines, and is no dump that would have any."""
    if not answer or len(lines) > 2 * len(answer) + ROOM:
        return False
    if in_order:
        rest = iter(lines)
        return all(line in rest for line in answer)
    return not Counter(answer) - Counter(lines)


def _shape(entry: Entry) -> Shape:
    return entry.kind, entry.mode, entry.sha256, entry.target
