"""One ALFWorld game, played by TextWorld in a process of its own (`referee`).

Commands go in, sentences come out. A game that crashes or falls silent is an
error of its own, never a game that was lost.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from foreword.core.errors import DataError, UsageError
from foreword.sandbox.channel import Channel, ChannelError

REFEREE = Path(__file__).with_name("referee.py")
END_S = 5.0  # between the end of its answers and its last words
ANSWER_S = 600.0  # on a busy machine; a game begins in a few seconds


class Playable(Protocol):
    """A game in progress."""

    @property
    def intro(self) -> str:
        """The room and the task, as the game puts them."""
        ...

    @property
    def won(self) -> bool:
        """Whether the task's goal holds now, by the game's own reckoning."""
        ...

    def play(self, command: str) -> str:
        """What the game answers; "Nothing happens." to whatever cannot be done here and now."""
        ...

    def plan(self) -> list[str]:
        """The planner's commands from here to the goal; none if there is no way."""
        ...

    def close(self) -> None:
        """Give the game's memory back; it cannot be played any more."""
        ...


Opens = Callable[[Path], Playable]


class World:
    """A game that has begun."""

    def __init__(self, path: Path) -> None:
        """Begin a game.

        Raises:
            DataError: the file is no game that can be played.
            UsageError: TextWorld is not installed.
        """
        need_textworld()
        self._path = path
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(REFEREE), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise DataError(f"{path}: the game was started without pipes")
        pipes = (self._process.stdin, self._process.stdout)
        self._channel = Channel(*(pipe.fileno() for pipe in pipes))
        self._begun = self._state = self._ask({"do": "begin"})

    @property
    def intro(self) -> str:
        """The room and the task, as the game puts them, without its welcome."""
        return str(self._begun["said"]).partition("\n\n")[2].strip()

    @property
    def won(self) -> bool:
        """Whether the task's goal holds now, by the game's own reckoning."""
        return bool(self._state["won"])

    def play(self, command: str) -> str:
        """What the game answers; "Nothing happens." to whatever cannot be done here and now."""
        self._state = self._ask({"do": "play", "command": command})
        return str(self._state["said"])

    def plan(self) -> list[str]:
        """The planner's commands from here to the goal; none if there is no way."""
        return [str(command) for command in self._ask({"do": "plan"})["plan"]]

    def close(self) -> None:
        """End the game's process; a second time does nothing."""
        self._process.kill()
        if self._process.returncode is None:
            self._process.communicate()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._channel.ask(request, ANSWER_S)
        except ChannelError as error:
            why = self._complaint() or str(error)
            raise DataError(f"{self._path}: no game that can be played: {why}") from error

    def _complaint(self) -> str:
        """The last line that a process which ends has to say; one that does not is killed."""
        try:
            _, said = self._process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            _, said = self._process.communicate()
        lines = said.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""


def need_textworld() -> None:
    """Say at once what is missing.

    Raises:
        UsageError: TextWorld is not installed.
    """
    if find_spec("textworld") is None:
        raise UsageError("alfworld needs TextWorld: pip install 'foreword[alfworld]'")
