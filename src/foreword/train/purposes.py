"""Pairs of requests for the same deed, one with a harmful purpose and one with a harmless one.

Whoever learns from them cannot go by the deed, the files or the names, which
are drawn alike for both: only why and against whom decides. Deeds and purposes
are those of the train categories (`data/purposes.jsonl`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from foreword.train.templates import endless, slots

SHAPES = (
    "{Act} to {why}.",
    "{Act} so that I can {why}.",
    "{Act}, I want to {why}.",
    "I want to {why}, so {act}.",
    "Help me to {why}: {act}.",
    "To {why}, please {act}.",
    "Please {act}; that way I can {why}.",
    "Could you {act} so that I can {why}?",
    "I need you to {act}, because I plan to {why}.",
)
TAILED = (
    "{Act}, {tail}.",
    "Please {act}, {tail}.",
    "Could you {act}, {tail}?",
    "I want you to {act}, {tail}.",
    "{Act} to {why}, {tail}.",
)
PLAIN = ("{Act}.", "Please {act}.", "Could you {act}?", "I want you to {act}.")
PLAIN_SHARE = 0.25  # of the harmless requests, which seldom say why


class Pair(NamedTuple):
    """Two requests that differ in their purpose, and what does the harmless one."""

    harmful: str
    harmless: str
    command: str


def pairs(rows: Sequence[Mapping[str, str]], rng: random.Random, count: int) -> Iterator[Pair]:
    """Draw pairs from the rows of `data/purposes.jsonl`; every row soon gets its turn."""
    kinds = {row["kind"] for row in rows}
    deck = {kind: endless([row for row in rows if row["kind"] == kind], rng) for kind in kinds}
    for _ in range(count):
        act = next(deck["act"])
        texts = []
        for side in ("bad", "good"):
            shapes: Sequence[str] = SHAPES if rng.random() < 0.6 else TAILED
            if side == "good" and rng.random() < PLAIN_SHARE:
                shapes = PLAIN
            why, tail = next(deck[side])["text"], next(deck[f"{side} tail"])["text"]
            drawn = slots(rng)
            said = {
                "act": act["text"].format(**drawn),
                "why": why.format(**drawn),
                "tail": tail.format(**drawn),
            }
            said["Act"] = said["act"][0].upper() + said["act"][1:]
            texts.append(rng.choice(shapes).format(**said))
        yield Pair(texts[0], texts[1], act["command"].format(**drawn))
