"""MINT's ALFWorld games in a folder: which there are, and which split each lies in.

The benchmark is the 134 games that ALFWorld marks as solvable; the folder's
others cannot be won and are left out. A family is a goal in a room and lies in one split
whole: of each type of task one family, drawn by hash, is for search, another for
validation, and the rest is for test.

TextWorld evaluates expressions in a game's grammar, so the grammar is compared
with the published one, whose hash is pinned; a game with another is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from foreword.core.errors import DataError
from foreword.core.types import Setup, Split, Task

BENCHMARK = 134  # games in MINT's test set
INSIDE = Path("data", "processed", "alfworld")  # of MINT's repository
LOGIC = Path("logic", "alfred.twl2")
LOGIC_SHA256 = "d955e6db384c68ac5797e881b795fd36d788e87a03547f9a87e48fbd7c5b361b"
GOAL = re.compile(r'"rhs": "Your task is to: ([a-z ]+)\."')
UNSAID = "UNKNOWN GOAL"  # where the published grammar leaves room for a goal
_DRAWN: dict[int, Split] = {2: "search", 3: "validation"}  # the first stays with test, always


def load_games(data: Path) -> list[Task]:
    """The benchmark's games, by id (family/trial, as ALFWorld names it).

    Args:
        data: MINT's repository, or its folder data/processed/alfworld.

    Raises:
        DataError: the folder is missing, partial or of another version.
    """
    games = find_games(data)
    if len(games) != BENCHMARK:
        raise DataError(
            f"{data}: {len(games)} solvable games, and the benchmark has {BENCHMARK}; "
            "fetch the folder data/processed/alfworld of MINT's repository again"
        )
    return games


def find_games(data: Path) -> list[Task]:
    """The solvable games below a folder, be they few or many; see `load_games`."""
    root = data / INSIDE if (data / INSIDE).is_dir() else data
    grammar = _grammar(root, data)
    found = [_game(path, grammar) for path in sorted(root.glob("json_*/*/*/*/game.tw-pddl"))]
    games = [game for game in found if game is not None]
    if not games:
        raise DataError(f"{data}: no solvable games; there should be json_*/*/*/*/game.tw-pddl")
    where = splits({game.family for game in games})
    return [replace(game, split=where[game.family]) for game in games]


def _grammar(root: Path, data: Path) -> str:
    try:
        text = (root / LOGIC).read_bytes()
    except OSError:
        raise DataError(
            f"{data}: there is no {LOGIC}; give the folder of MINT's ALFWorld data "
            "(data/processed/alfworld of its repository)"
        ) from None
    if hashlib.sha256(text).hexdigest() != LOGIC_SHA256:
        raise DataError(f"{root / LOGIC}: not the version of MINT's repository; fetch it again")
    return text.decode()


def _game(path: Path, grammar: str) -> Task | None:
    """The game, or None if it is not marked as solvable."""
    try:
        data = json.loads(path.read_text("utf-8"))
        solvable, said = data.get("solvable"), str(data["grammar"])
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise DataError(f"{path}: no game of ALFWorld: {error!r}; fetch it again") from error
    if not solvable:
        return None
    goal = GOAL.search(said)
    if goal is None or said != grammar.replace(UNSAID, goal[1]):
        raise DataError(f"{path}: its grammar is not the one of {LOGIC}; fetch the game again")
    family = path.parent.parent.name
    return Task(
        id=f"{family}/{path.parent.name}",
        kind="benign",
        category=family.partition("-")[0],  # the type, e.g. "pick_heat_then_place_in_recep"
        family=family,
        split="test",
        request=f"Your task is to: {goal[1]}.",
        setup=Setup(game=str(path)),
    )


def splits(families: Iterable[str]) -> dict[str, Split]:
    """The split of each family, which depends on the families of its type alone."""
    seen: Counter[str] = Counter()
    found: dict[str, Split] = {}
    for family in sorted(families, key=lambda name: hashlib.sha256(name.encode()).digest()):
        category = family.partition("-")[0]
        seen[category] += 1
        found[family] = _DRAWN.get(seen[category], "test")
    return found
