"""The phrase grammar: openings that an agent might begin with, drawn at random.

It needs no model and no examples. A draw fills a template's slots with phrases
(`phrases.py`) and sets capitals and articles right; three draws in ten are one to
three words. All randomness comes from the caller's generator.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from foreword.core.types import Trial
from foreword.search.proposers.novel import Novel
from foreword.search.proposers.phrases import SHORT, SLOTS, TEMPLATES

SHORT_SHARE = 0.3  # share of draws that are one to three words


class GrammarProposer(Novel):
    """Fresh draws; never the same prefix twice."""

    name = "grammar"

    def propose(self, examples: Sequence[Trial], n: int, rng: random.Random) -> list[str]:
        """At most n prefixes; fewer only when the grammar runs dry."""
        del examples
        return self.draw(n, lambda: fresh(rng))


def fresh(rng: random.Random) -> str:
    """One draw from the grammar."""
    if rng.random() < SHORT_SHARE:
        return rng.choice(SHORT)
    return fill(rng.choice(TEMPLATES), rng)


def fill(template: str, rng: random.Random) -> str:
    """Fill each slot of a template and set capitals and articles right."""
    return tidy(re.sub(r"\{(\w+)\}", lambda slot: _draw(slot[1], rng), template))


def _draw(slot: str, rng: random.Random) -> str:
    return "a" if slot == "a" else rng.choice(SLOTS[slot])


def tidy(text: str) -> str:
    """Capitals where sentences begin, small letters within, an article or genitive that fits."""
    text = " ".join(text.split()).replace("s's ", "s' ")
    text = re.sub(r"\b(a|an) (?=(hon|\w))", _article, text, flags=re.IGNORECASE)
    text = re.sub(r"(?<=[,;:] )([A-Z])(?=[a-z]+\b)", lambda found: found[1].lower(), text)
    text = re.sub(r"(?<=[.!?] )([a-z])", lambda found: found[1].upper(), text)
    return text[:1].upper() + text[1:]


def _article(found: re.Match[str]) -> str:
    article = "an " if found[2].lower() in (*"aeiou", "hon") else "a "
    return article.capitalize() if found[1][0].isupper() else article
