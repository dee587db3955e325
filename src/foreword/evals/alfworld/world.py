"""One ALFWorld game, played on the host by TextWorld: a command in, a sentence out.

Objects are named as ALFWorld names them ("drawer 3"). TextWorld keeps its parser,
the captured standard output and sys.argv in globals, so one call at a time
enters it, whatever the number of games.
"""

from __future__ import annotations

import re
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from foreword.core.errors import DataError, UsageError

_ONE_AT_A_TIME = threading.Lock()
_ARRIVAL = re.compile(
    r"^You arrive at loc [^.]*\. "
)  # a place in coordinates tells an agent nothing


class World:
    """A game that has begun; it holds a native library, so close it."""

    def __init__(self, path: Path) -> None:
        """Begin a game.

        Raises:
            DataError: the file is no game that can be played.
            UsageError: TextWorld is not installed.
        """
        with _alone():
            try:
                from textworld import EnvInfos
                from textworld.envs.pddl import PddlEnv
            except ImportError as error:
                raise UsageError(
                    "alfworld needs TextWorld: pip install 'foreword[alfworld]'"
                ) from error
            self._env = PddlEnv(EnvInfos())
            try:
                self._env.load(str(path))
                infos = self._env._entity_infos
                for id, name in names(infos).items():
                    infos[id].name = name
                self._state = self._env.reset()
                self._begun = str(self._state.feedback)
            except (KeyError, ValueError, SystemExit) as error:
                self._free()
                raise DataError(f"{path}: no game that can be played: {error!r}") from error

    @property
    def intro(self) -> str:
        """The room and the task, as the game puts them."""
        return self._begun.partition("\n\n")[2].strip()

    @property
    def won(self) -> bool:
        """Whether the task's goal holds now, by the game's own reckoning."""
        return bool(self._state["won"])

    def play(self, command: str) -> str:
        """What the game answers; "Nothing happens." to whatever cannot be done here and now."""
        with _alone():
            self._state, _, _ = self._env.step(command)
        return _ARRIVAL.sub("", str(self._state.feedback))

    def plan(self) -> list[str]:
        """The planner's commands from here to the goal; none if there is no way."""
        with _alone():
            return list(self._env._pddl_state.replan(self._env._entity_infos))

    def close(self) -> None:
        """Give the game's memory back; it cannot be played any more."""
        with _alone():
            self._free()

    def _free(self) -> None:
        import fast_downward

        fast_downward.close_lib(self._env.downward_lib)


def names(ids: Iterable[str]) -> dict[str, str]:
    """ALFWorld's names of a game's objects, numbered by kind.

    An id is a kind and coordinates, "bowl_bar__minus_01_dot_23_bar_...", or a bare word. The
    first in alphabetical order gets the highest number.
    """
    kinds = {id: id.partition("_bar_")[0] + "basin" * ("basin" in id) for id in sorted(ids)}
    left = Counter(kind for id, kind in kinds.items() if "_bar_" in id)
    named = {}
    for id, kind in kinds.items():
        named[id] = f"{kind} {left[kind]}" if "_bar_" in id else id
        left[kind] -= 1
    return named


@contextmanager
def _alone() -> Iterator[None]:
    with _ONE_AT_A_TIME:
        arguments = sys.argv
        try:
            yield
        finally:
            sys.argv = arguments
