"""White box: a beam search over the model's own words, led by its margins.

As in BEAST (Sadasivan et al. 2024) the texts of the beam are continued by tokens drawn from
the model's own distribution, so that the result reads well, and those with the best
objective go on. Unlike there a text that was continued can be so again, since most
continuations commit the model and lead nowhere. AutoDAN (Zhu et al. 2023) weighs the same
two aims token by token; GCG (Zou et al. 2023) cares for the objective alone and finds no
words. They break models, this mends one. A token is as likely here as on the side, benign or
harmful, that likes it less: so the texts are such as can begin either answer. The objective
is a smooth perf + refusal.

Covered: plain English in ASCII, whole words, at most MAX_WORDS of them, with a bounded
perplexity. Not covered: targets without weights, other scripts. One call costs at most
STEPS * CHILDREN margins on the prompts given: a few of each kind are enough.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from foreword.core.types import Trial
from foreword.search.proposers.novel import Novel
from foreword.search.ranking import smooth

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from foreword.models.openings import Openings

STEPS = 10  # of a run
WIDTH = 3  # texts that are continued in a step: the best of all so far, and the most promising
TURNS = 3  # times that a text is continued, each time by other tokens
CHILDREN = 12  # continuations of a step, all texts together
TOP = 48  # next tokens that are looked at
MAX_WORDS = 24
SURPRISE = 2.2  # most nats a token: a perplexity of about 9 among the natural tokens
SLACK = 5.0  # nats on top of that, since a first word is always a surprise
LEAST = 1.1  # score of a proposal: who always or never refuses has 1
CUT = 3  # most words that an example loses before it is continued

_NATURAL = re.compile(r"[A-Z](?:[A-Za-z]|['-](?=[A-Za-z]|\Z)|[,.!?](?= |\Z)| (?=[A-Za-z]))*")
_WITHIN = re.compile(r"[A-Za-z'-]")  # how a token begins that goes on with a word


class Voice(Protocol):
    """Prompts whose model knows what it would say next, as `LocalModel.prefill` makes them."""

    def likeliest(self, prefixes: Sequence[str], k: int) -> list[list[tuple[str, float]]]:
        """The k next tokens of each prefix, as text with mean log-probability, likeliest first."""
        ...


class WhiteBox(Voice, Protocol):
    """A Voice that knows where the model leans as well."""

    def margins(self, prefixes: Sequence[str], openings: Openings) -> NDArray[np.floating[Any]]:
        """Log-odds (natural log, refusal against compliance), shape (K prefixes, N prompts)."""
        ...


@dataclass(frozen=True)
class Text:
    """A text of the beam."""

    words: str
    surprise: float = 0.0  # nats, summed over its new tokens
    tokens: int = 0
    following: tuple[tuple[str, float], ...] = ()  # what may come next, with log-likelihood
    whole: bool = True  # whether its last word is finished
    score: float = 0.0  # smooth perf + refusal, 0 to 2
    hope: float = 0.0  # the same if what has no margin yet turns out half and half

    @property
    def fluent(self) -> bool:
        """Whether its perplexity is within bounds; the first word may surprise."""
        return self.surprise <= SLACK + SURPRISE * self.tokens

    def plus(self, token: str, log_prob: float) -> Text:
        """The text with one token more; nothing else is known of it yet."""
        return Text(self.words + token, self.surprise - log_prob, self.tokens + 1)


class FluentProposer(Novel):
    """Texts that the model finds likely, and that part harmful tasks from benign ones."""

    name = "fluent"

    def __init__(
        self,
        benign: WhiteBox,
        harmful: WhiteBox,
        openings: Openings,
        voices: Sequence[Voice] = (),
    ) -> None:
        """Search on some search tasks.

        Args:
            benign: their prompts before the target.
            harmful: theirs.
            openings: what tells the target's refusals from its compliance.
            voices: whose words it is to use, such as the parent's; the target's if not given.
        """
        super().__init__()
        self._benign, self._harmful, self._openings = benign, harmful, openings
        self._voices = tuple(voices) or (benign, harmful)

    def propose(self, examples: Sequence[Trial], n: int, rng: random.Random) -> list[str]:
        """At most n texts of different lengths out of one run, the best first.

        A run starts from nothing or, as often, from the beginning of an example.
        """
        self.remember([trial.prefix for trial in examples])
        start = rng.choice(["", _beginning(rng.choice(examples).prefix, rng)] if examples else [""])
        return self.take(n, by_length(self._run(start, rng))) if n else []

    def _run(self, start: str, rng: random.Random) -> list[Text]:
        """All whole texts of one search."""
        found = {start: self._told([Text(start, hope=1.0)])[0]}
        turns = Counter[str]()
        for _ in range(STEPS):
            able = [
                text
                for text in found.values()
                if turns[text.words] < TURNS and text.hope >= 1 and _new(text, found)
            ]
            beam = sorted(able, key=lambda text: (-text.score, text.words))[: WIDTH - 1]
            beam += sorted((text for text in able if text not in beam), key=_promise)[:1]
            turns.update(text.words for text in beam)
            children = self._whole(self._told(_children(beam, found, rng)))
            found |= {text.words: text for text in self._scored(children)}
        return [text for text in found.values() if text.whole and text.score >= LEAST]

    def _told(self, texts: Sequence[Text]) -> list[Text]:
        """The texts with what may follow them."""
        asked = [text.words for text in texts]
        heard = [voice.likeliest(asked, TOP) for voice in self._voices] if asked else []
        return [
            _heard(text, [dict(reversed(answers[at])) for answers in heard])
            for at, text in enumerate(texts)
        ]

    def _whole(self, texts: Sequence[Text]) -> list[Text]:
        """The same, each last word finished in its likeliest way if two tokens can do it."""
        for _ in range(2):
            longer = {
                at: text.plus(*ending[0])
                for at, text in enumerate(texts)
                if not text.whole and (ending := [p for p in text.following if _WITHIN.match(p[0])])
            }
            told = dict(zip(longer, self._told(list(longer.values())), strict=True))
            texts = [told.get(at, text) for at, text in enumerate(texts)]
        return list({text.words: text for text in texts}.values())

    def _scored(self, texts: Sequence[Text]) -> list[Text]:
        if not texts:
            return []
        asked = [text.words for text in texts]
        benign = self._benign.margins(asked, self._openings).tolist()
        harmful = self._harmful.margins(asked, self._openings).tolist()
        sides = [([-m for m in ours], theirs) for ours, theirs in zip(benign, harmful, strict=True)]
        return [
            replace(
                text,
                score=sum(smooth(side, unknown=0.0) for side in both),
                hope=sum(smooth(side, unknown=0.5) for side in both),
            )
            for text, both in zip(texts, sides, strict=True)
        ]


def by_length(texts: Iterable[Text]) -> list[str]:
    """The best text of each number of words, best first; then the second best of each."""
    places: dict[int, int] = {}
    keyed = []
    for text in sorted(texts, key=lambda text: (-text.score, text.words)):
        length = len(text.words.split())
        places[length] = places.get(length, 0) + 1
        keyed.append((places[length], -text.score, text.words))
    return [words for *_, words in sorted(keyed)]


def natural(text: str) -> bool:
    """Whether a text, its last word perhaps unfinished, is plain prose that goes nowhere twice."""
    words = [word.strip(",.!?") for word in text.lower().split()]
    threes = list(zip(words, words[1:], words[2:], strict=False))
    return (
        _NATURAL.fullmatch(text) is not None
        and len(words) <= MAX_WORDS
        and len(set(threes)) == len(threes)
    )


def _promise(text: Text) -> tuple[float, float, str]:
    """A sort key: the hope in coarse steps, then how natural the text is."""
    return -round(text.hope, 1), text.surprise, text.words


def _beginning(example: str, rng: random.Random) -> str:
    """An example without up to CUT of its last words; nothing if it is no plain prose."""
    words = example.split()
    left = " ".join(words[: max(1, len(words) - rng.randint(0, CUT))])
    return left if natural(left) else ""


def _new(text: Text, known: Collection[str]) -> list[Text]:
    """The fluent continuations of a text that nobody has looked at."""
    every = (text.plus(*pair) for pair in text.following)
    return [child for child in every if child.fluent and child.words not in known]


def _children(beam: Sequence[Text], known: Collection[str], rng: random.Random) -> list[Text]:
    """New continuations, drawn from what may follow without replacement (by Gumbel noise)."""
    children: dict[str, Text] = {}
    for text in beam:
        noisy = [
            (text.surprise - child.surprise - math.log(rng.expovariate(1.0)), child.words, child)
            for child in _new(text, known)
        ]
        for _, words, child in sorted(noisy, reverse=True)[: CHILDREN // len(beam)]:
            children.setdefault(words, child)
    return list(children.values())


def _heard(text: Text, voices: Sequence[Mapping[str, float]]) -> Text:
    """The text with the natural tokens that may follow, as likely as the least of the voices says.

    The minimum keeps out what commits: "do" after "I can" is likely on benign tasks alone.
    """
    tokens = dict.fromkeys(token for voice in voices for token in voice)
    # What is not among a voice's likeliest is at most as likely as the last of them.
    said = [{token: voice.get(token, min(voice.values())) for token in tokens} for voice in voices]
    shares = {token: sum(math.exp(voice[token]) for voice in said) for token in tokens}
    within = sum(share for token, share in shares.items() if _WITHIN.match(token))
    whole = not text.words[-1:].isalpha() or within < sum(shares.values()) / 2
    able = [
        token
        for token in tokens
        if token
        and natural(text.words + token)
        # no word is glued to a finished one, and none is left unfinished
        and (not text.words or bool(_WITHIN.match(token)) != whole or token[0] == "'")
    ]
    totals = [math.log(sum(math.exp(voice[token]) for token in able) or 1.0) for voice in said]
    least = {
        token: min(voice[token] - total for voice, total in zip(said, totals, strict=True))
        for token in able
    }
    following = tuple(sorted(least.items(), key=lambda pair: (-pair[1], pair[0])))
    return replace(text, following=following, whole=whole)
