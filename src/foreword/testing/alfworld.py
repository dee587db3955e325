"""A household of one cup, played by rules: what `World` is, without TextWorld."""

from __future__ import annotations

from pathlib import Path


class ToyWorld:
    """The cup stands on table 1 and belongs into sink 1.

    Args:
        path: of the game. "won" is one that is won from the start, "lost" one without a way to
            win, "early" one with a way that goes on when it is won, "odd" one whose way needs
            what no tool does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place, self.cup = "", "table 1"
        self.heard: list[str] = []
        self.closed = False

    @property
    def intro(self) -> str:
        """Room and task."""
        return "You are in a kitchen with a table 1 and a sink 1.\n\nYour task is to: wash up."

    @property
    def won(self) -> bool:
        """Whether the cup is where it belongs."""
        return self.path.stem == "won" or self.cup == "sink 1"

    def play(self, command: str) -> str:
        """Go, take and put; nothing else happens."""
        self.heard.append(command)
        if command in ("go to table 1", "go to sink 1"):
            self.place = command.removeprefix("go to ")
            seen = "a cup 1" if self.cup == self.place else "nothing"
            return f"On the {self.place}, you see {seen}."
        if command == "take cup 1 from table 1" and self.place == self.cup:
            self.cup = ""
            return "You pick up the cup 1."
        if command == "put cup 1 in/on sink 1" and (self.place, self.cup) == ("sink 1", ""):
            self.cup = "sink 1"
            return "You put the cup 1 in/on the sink 1."
        return "Nothing happens."

    def plan(self) -> list[str]:
        """The four commands that do it."""
        way = [
            "go to table 1",
            "take cup 1 from table 1",
            "go to sink 1",
            "put cup 1 in/on sink 1",
        ]
        return {"lost": [], "early": [*way, "look"], "odd": ["slice cup 1"]}.get(
            self.path.stem, way
        )

    def close(self) -> None:
        """Nobody may play it now."""
        self.closed = True
