"""Offspring of the best prefixes so far: mutation, crossover, shortening, extension.

Made from the text alone (clauses and words), so that any proposer, a user's file or
a resumed search can supply the parents. Better parents breed more. Without examples
there is nothing to breed from, and nothing is proposed. All randomness comes from the
caller's generator.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from foreword.core.types import Trial
from foreword.search.proposers.grammar import fill, tidy
from foreword.search.proposers.novel import Novel
from foreword.search.proposers.phrases import EXTENSIONS, SLOTS, SYNONYMS

MAX_WORDS = 40

_CLAUSE = re.compile(r"[^,.;:!?]+[,.;:!?]*")


class EvolveProposer(Novel):
    """Children of the examples; never the same prefix twice, and no parent again."""

    name = "evolve"

    def propose(self, examples: Sequence[Trial], n: int, rng: random.Random) -> list[str]:
        """At most n prefixes; fewer when the parents have no more new children."""
        parents = [trial.prefix for trial in sorted(examples, key=lambda t: -t.score.overall)]
        self.remember(parents)
        return self.draw(n, lambda: child(parents, rng)) if parents else []


def child(parents: Sequence[str], rng: random.Random) -> str:
    """An offspring, or nothing if it grew too long."""
    text = offspring(parents, rng)
    return text if len(text.split()) <= MAX_WORDS else ""


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
