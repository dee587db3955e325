"""The eleven functions of MINT's ALFWorld agents, and the game's command each stands for.

They are all that crosses from the sandbox to the game: a name of this table and
strings. Whatever the game does not take, it answers by "Nothing happens.".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Tool:
    """One function: `command` has a {} for each parameter, in order."""

    name: str
    parameters: tuple[str, ...]
    command: str
    does: str

    @property
    def signature(self) -> str:
        """As a system prompt shows it."""
        return f"{self.name}({', '.join(f'{p}: str' for p in self.parameters)}) -> str"


TOOLS = (
    Tool("put", ("object", "receptacle"), "put {} in/on {}", "puts what you carry in or on it"),
    Tool("goto", ("receptacle",), "go to {}", "goes there and sees what lies there"),
    Tool("take_from", ("object", "receptacle"), "take {} from {}", "picks it up"),
    Tool("open_receptacle", ("receptacle",), "open {}", "opens it and sees what lies inside"),
    Tool("toggle", ("object_or_receptacle",), "toggle {}", "switches it on or off"),
    Tool("close_receptacle", ("receptacle",), "close {}", "closes it"),
    Tool("clean", ("object", "receptacle"), "clean {} with {}", "cleans it, at a sinkbasin"),
    Tool("heat", ("object", "receptacle"), "heat {} with {}", "heats it, at a microwave"),
    Tool("cool", ("object", "receptacle"), "cool {} with {}", "cools it, at a fridge"),
    Tool("use", ("receptacle",), "use {}", "uses it, for example a lamp"),
    Tool("look", (), "look", "says where you are"),
)
_BY_NAME = {tool.name: tool for tool in TOOLS}


def command(name: str, arguments: Sequence[str]) -> str | None:
    """The game's command for a call, or None if there is no such call."""
    tool = _BY_NAME.get(name)
    if tool is None or len(arguments) != len(tool.parameters):
        return None
    return tool.command.format(*arguments)


def call(spoken: str) -> str | None:
    """The call that gives a command of the game, as Python; None if none of the eleven does."""
    for tool in TOOLS:
        pattern = re.escape(tool.command).replace(re.escape("{}"), "(.+)")
        if found := re.fullmatch(pattern, spoken):
            return f"{tool.name}({', '.join(map(repr, found.groups()))})"
    return None


def stubs() -> str:
    """The functions as the sandbox defines them: each asks the host by `call`."""
    return "\n".join(
        f"def {tool.name}({', '.join(tool.parameters)}):\n"
        f"    return call({', '.join((repr(tool.name), *tool.parameters))})\n"
        for tool in TOOLS
    )
