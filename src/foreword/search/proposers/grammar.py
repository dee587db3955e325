"""The offline proposer: a phrase grammar, with mutation and crossover of the best.

It needs no model. While exploring, all candidates are fresh draws from the grammar;
once the loop shows examples, three fifths are their offspring. Offspring are made
from the text alone (clauses and words), so a resumed search, a user's file or a
chat model can supply the parents. All randomness comes from the caller's generator.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from foreword.core.types import Trial
from foreword.search.proposers.phrases import EXTENSIONS, SHORT, SLOTS, SYNONYMS, TEMPLATES

OFFSPRING = 3 / 5  # share of a round bred from the examples
SHORT_SHARE = 0.3  # share of fresh draws that are one to three words
MAX_WORDS = 40
TRIES = 200  # draws a wanted prefix, before the proposer gives up on novelty

_CLAUSE = re.compile(r"[^,.;:!?]+[,.;:!?]*")


class OfflineProposer:
    """Fresh draws and offspring; never the same prefix twice."""

    name = "offline"

    def __init__(self) -> None:
        self._proposed: set[str] = set()

    def propose(self, examples: Sequence[Trial], n: int, rng: random.Random) -> list[str]:
        """At most n prefixes; fewer only when the grammar runs dry."""
        parents = sorted(examples, key=lambda trial: -trial.score.overall)
        texts = [trial.prefix for trial in parents]
        self.remember(texts)
        found = self._new(round(OFFSPRING * n), lambda: offspring(texts, rng)) if texts else []
        return found + self._new(n - len(found), lambda: fresh(rng))

    def remember(self, prefixes: Sequence[str]) -> None:
        """Never propose these again."""
        self._proposed.update(prefixes)

    def _new(self, n: int, draw: Callable[[], str]) -> list[str]:
        found: list[str] = []
        for _ in range(TRIES * n):
            if len(found) == n:
                break
            text = draw()
            if text and text not in self._proposed and len(text.split()) <= MAX_WORDS:
                self.remember([text])
                found.append(text)
        return found


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


def offspring(parents: Sequence[str], rng: random.Random) -> str:
    """A child of one or two parents, given best first; better ones breed more."""
    weights = [1 / (rank + 1) for rank in range(len(parents))]
    first, second = rng.choices(parents, weights, k=2)
    child = first
    if first != second and rng.random() < 0.4:
        child = crossover(first, second, rng)
    if child and (child == first or rng.random() < 0.3):
        child = rng.choice(MUTATIONS)(child, rng)
    return tidy(child)


def clauses(text: str) -> list[str]:
    """The clauses of a text, each with the punctuation that ends it."""
    return [clause.strip() for clause in _CLAUSE.findall(text) if clause.strip()]


def crossover(head: str, tail: str, rng: random.Random) -> str:
    """The first clauses of one parent, then the last ones of the other."""
    ours, theirs = clauses(head), clauses(tail)
    kept = ours[: rng.randint(1, max(1, len(ours) - 1))]
    return _join(kept, theirs[rng.randint(min(1, len(theirs) - 1), len(theirs) - 1) :])


def _join(head: Sequence[str], tail: Sequence[str]) -> str:
    """Two runs of clauses; an unfinished head would collide with the tail, so it goes."""
    whole = [clause for clause in head if not clause[-1].isalnum()]
    return " ".join([*whole, *tail])


def replace_word(text: str, rng: random.Random) -> str:
    """Put a synonym in the place of a word or a pair of words."""
    found = [
        (match.span(), group, word)
        for group in SYNONYMS
        for word in group
        for match in re.finditer(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)
    ]
    if not found:
        return text
    (start, end), group, word = rng.choice(found)
    other = rng.choice([synonym for synonym in group if synonym != word])
    return text[:start] + other + text[end:]


def replace_lead(text: str, rng: random.Random) -> str:
    """Let another lead-in end the text: the clause after the last full one."""
    whole = [clause for clause in clauses(text) if not clause[-1].isalnum()]
    return " ".join([*whole, rng.choice(SLOTS["lead"])])


def drop_clause(text: str, rng: random.Random) -> str:
    """Leave one clause out."""
    parts = clauses(text)
    left_out = rng.randrange(max(1, len(parts)))
    return " ".join(parts[:left_out] + parts[left_out + 1 :])


def insert_clause(text: str, rng: random.Random) -> str:
    """Say something first."""
    opener = rng.choice(("{motto}.", "I {value}.", "{greeting}.", "as {a} {adjective} {noun},"))
    return f"{fill(opener, rng)} {text}"


def shorten(text: str, rng: random.Random) -> str:
    """Stop one or two words earlier, so that the model ends the clause."""
    words = text.split()
    return " ".join(words[: -rng.randint(1, 2)])


def extend(text: str, rng: random.Random) -> str:
    """Lead the model one step further."""
    if not text[-1].isalnum():
        return f"{text} {rng.choice(SLOTS['lead'])}"
    last = text.rsplit(maxsplit=1)[-1].capitalize()
    return f"{text} {rng.choice(EXTENSIONS.get(last, ('',)))}"


Mutation = Callable[[str, random.Random], str]
MUTATIONS: tuple[Mutation, ...] = (
    replace_word,
    replace_word,
    replace_lead,
    drop_clause,
    insert_clause,
    shorten,
    extend,
)


def tidy(text: str) -> str:
    """Capitals where sentences begin, small letters within, "a" or "an", single spaces."""
    text = " ".join(text.split())
    text = re.sub(r"\b(a|an) (?=(hon|\w))", _article, text, flags=re.IGNORECASE)
    text = re.sub(r"(?<=[,;:] )([A-Z])(?=[a-z]+\b)", lambda found: found[1].lower(), text)
    text = re.sub(r"(?<=[.!?] )([a-z])", lambda found: found[1].upper(), text)
    return text[:1].upper() + text[1:]


def _article(found: re.Match[str]) -> str:
    article = "an " if found[2].lower() in (*"aeiou", "hon") else "a "
    return article.capitalize() if found[1][0].isupper() else article
