"""Suite `alfworld`: household games of MINT's ALFWorld, played by Python, as in the paper.

`games` reads the authors' folder; `tools` are the eleven functions that an agent has. What
is asked lies here; the games are played, and proved, in evals/alfworld. No checkers: a game
itself knows whether it is won.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from foreword.core.errors import UsageError
from foreword.core.types import Task
from foreword.suites.alfworld.games import load_games
from foreword.suites.alfworld.tools import TOOLS
from foreword.suites.base import EXECUTE, Suite

MAX_STEPS = 5
MAX_NEW_TOKENS = 512  # the paper's
SYSTEM = """You do household tasks in a world of text, by Python. You have {steps} turns. \
In each, think briefly, then write one block between <execute> and </execute>; you will read \
what it prints. Variables stay from block to block. You can only reach what is where you are, \
and carry one object at a time. These functions are defined; each returns what you then see:
{tools}

An example:
Your task is to: put a hot mug in drawer.
<execute>
for place in ("countertop 1", "shelf 1", "shelf 2"):
    print(place, "-", goto(place))
</execute>
Observation:
countertop 1 - On the countertop 1, you see a plate 1.
shelf 1 - On the shelf 1, you see nothing.
shelf 2 - On the shelf 2, you see a mug 2, and a vase 1.
The mug is on shelf 2, where I am.
<execute>
print(take_from("mug 2", "shelf 2"))
print(goto("microwave 1"))
print(heat("mug 2", "microwave 1"))
print(goto("drawer 1"))
print(open_receptacle("drawer 1"))
print(put("mug 2", "drawer 1"))
</execute>""".format(
    steps=MAX_STEPS, tools="\n".join(f"- {tool.signature}: {tool.does}" for tool in TOOLS)
)


def load(data: Path | None = None) -> Suite:
    """The benchmark's games.

    Args:
        data: MINT's repository, or its folder data/processed/alfworld.

    Raises:
        UsageError: no folder was given; there is no public home to fetch single games from.
        DataError: the folder is missing, partial or of another version.
    """
    if data is None:
        raise UsageError("alfworld's games come from a folder; give it by --data")
    return of(load_games(data))


def of(games: Sequence[Task]) -> Suite:
    """The games as a suite."""
    return Suite(
        "alfworld", SYSTEM, given=games, languages=(EXECUTE,), max_new_tokens=MAX_NEW_TOKENS
    )
