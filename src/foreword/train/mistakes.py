"""Slips: how a command goes wrong in the hands of somebody in a hurry.

An agent that has only seen commands succeed says "Done." to every error. So some of its
tasks begin with a slip and what it printed; the slip itself is context and is not learnt.
"""

from __future__ import annotations

import random
import re

OPTION = re.compile(r"(?<=\s)-[a-zA-Z]+")
QUOTE = re.compile(r"['\"]")


def slip(command: str, rng: random.Random) -> str:
    """The command with one thing wrong; most often it then fails."""
    able = [wrong for make in _SLIPS if (wrong := make(command, rng)) != command]
    return rng.choice(able)


def _misspelt(command: str, rng: random.Random) -> str:
    """Two letters of the program change places."""
    at = rng.randrange(max(1, len(command.split(maxsplit=1)[0]) - 1))
    return command[:at] + command[at : at + 2][::-1] + command[at + 2 :]


def _short(command: str, rng: random.Random) -> str:
    """The last word is missing."""
    del rng
    return command.rsplit(maxsplit=1)[0]


def _open(command: str, rng: random.Random) -> str:
    """A quotation mark is missing."""
    return _without(QUOTE, command, rng)


def _plain(command: str, rng: random.Random) -> str:
    """An option is missing."""
    return _without(OPTION, command, rng)


def _astray(command: str, rng: random.Random) -> str:
    """What it prints goes into a folder."""
    del rng
    return f"{command} > ."


def _without(what: re.Pattern[str], command: str, rng: random.Random) -> str:
    found = list(what.finditer(command))
    if not found:
        return command
    gone = rng.choice(found)
    return command[: gone.start()] + command[gone.end() :]


_SLIPS = (_misspelt, _short, _open, _plain, _astray)
