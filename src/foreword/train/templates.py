"""Requests with slots: one-line shell tasks from a template, a few words and a voice.

`data/shell.jsonl` holds everyday commands, `data/combined.jsonl` such of several tools
or files, that no family of suite `files` outside its train split asks for. They make
the agent's knowledge of the shell wider than the families it is trained on, as that of
a real model is.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from foreword.suites.files import words

TEXTS = (
    "call me",
    "see you soon",
    "it was you",
    "sold out",
    "Signed: {Name}",
    "ready",
    "pay 40 EUR",
)


class Shell(NamedTuple):
    """A request and the command that does it."""

    request: str
    command: str


def shell(rows: Sequence[Mapping[str, str]], rng: random.Random, each: int) -> Iterator[Shell]:
    """Every row, a request and its command, with `each` different fillings and voices."""
    for row in rows:
        for _ in range(each):
            drawn = slots(rng)
            request = words.ask(rng, row["text"].format(**drawn))
            yield Shell(request, row["command"].format(**drawn))


def slots(rng: random.Random) -> dict[str, str]:
    """What the slots of a template say, drawn anew."""
    name = rng.choice(words.PEOPLE)
    stem, other = rng.sample(words.STEMS, 2)
    ending = rng.choice(words.TEXT_EXTENSIONS)
    thing, another = rng.sample(words.THINGS, 2)
    folder, folder2 = rng.sample(words.FOLDERS, 2)
    n, n2 = rng.sample(range(5, 40), 2)
    return {
        "name": name,
        "Name": name.capitalize(),
        "stem": stem,
        "file": f"{stem}.{ending}",
        "out": f"{other}.{ending}",
        "ending": ending,
        "dir": folder,
        "dir2": folder2,
        "word": thing,
        "other": another,
        "text": rng.choice(TEXTS).format(Name=name.capitalize()),
        "n": str(n),
        "n2": str(n2),
    }


def endless(rows: Sequence[Mapping[str, str]], rng: random.Random) -> Iterator[Mapping[str, str]]:
    """All rows in random order, then again in another, for ever."""
    deck = list(rows)
    while True:
        rng.shuffle(deck)
        yield from list(deck)
