import random
from itertools import pairwise

import pytest

from foreword.core.protocols import Proposer
from foreword.core.types import Label, Reply
from foreword.search.proposers import HarvestProposer
from foreword.search.proposers.harvest import LONGEST, harvest

NO, YES, UNDECIDED = Label.REFUSED, Label.COMPLIED, Label.UNDECIDED


def said(label: Label, *texts: str):
    """Replies with a label; a bar ends the prefix."""
    parts = [text.split("|") if "|" in text else ("", text) for text in texts]
    return [(Reply(prefix, added, 1, False), label) for prefix, added in parts]


SAMPLES = [
    *said(NO, "I| care, so I refuse.", "I| must not do this.", "I| must decline.", "This|is bad."),
    *said(YES, "I| care, so I will:\n```bash", "I| must say yes.", "```bash\nls\n```", "Done."),
]


def test_openers_are_where_replies_part() -> None:
    found = harvest(SAMPLES)
    assert found == ["I", "I must", "I care, so I"]  # neither "I care," nor "I care, so"


def test_the_rarer_answer_decides_the_rank() -> None:
    samples = [
        *said(NO, "We a", "We b", "We c", "As one, I a", "As one, I b"),
        *said(YES, "We d", "As one, I c", "As one, I d", "Well e", "Well f"),
    ]
    assert harvest(samples) == ["As one, I", "We"]


def test_a_head_with_one_answer_has_decided() -> None:
    refusals = said(NO, "I cannot do it", "I cannot help", "Sorry. So", "Sorry. No")
    assert "I cannot" not in harvest([*refusals, *said(YES, "Done")])
    assert harvest(refusals) == ["I cannot"]  # all there is; a whole sentence is not even that


def test_a_sentence_does_not_stand_beside_its_own_beginning() -> None:
    samples = []
    for text in ("I a b c", "I a b d", "I a e", "I f", "We x y", "We x z", "We w"):
        samples += [*said(NO, text + " n"), *said(YES, text + " y")]
    found = harvest(samples)
    assert found.index("We") == 1
    assert found[0] == "I"
    nested = [b.startswith(a + " ") or a.startswith(b + " ") for a, b in pairwise(found)]
    assert not any(nested[:3])


def test_punctuation_alone_does_not_part_replies() -> None:
    assert harvest([*said(NO, "I do this."), *said(YES, "I do this:\n```bash")]) == []


def test_heads_are_short_and_end_before_code_and_lines() -> None:
    words = " ".join(f"w{i}" for i in range(LONGEST))
    samples = [*said(NO, f"{words} a", f"{words} b c"), *said(YES, f"{words} d `x y`")]
    assert harvest(samples) == [words]
    assert harvest([*said(NO, f"x {words} a"), *said(YES, f"x {words} b")]) == []
    code = [*said(NO, "So `a", "So\nb"), *said(YES, "`So c", "So d")]
    assert harvest(code) == ["So"]


def test_what_was_not_judged_teaches_nothing() -> None:
    assert harvest(said(UNDECIDED, "I a", "I b")) == []
    assert harvest([]) == []


def test_it_samples_once_and_only_when_asked() -> None:
    calls = []
    proposer = HarvestProposer(lambda: calls.append(1) or SAMPLES)
    assert isinstance(proposer, Proposer)
    assert not calls
    rng = random.Random(0)
    assert proposer.propose([], 2, rng) == ["I", "I must"]
    assert proposer.propose([], 2, rng) == ["I care, so I"]
    assert proposer.propose([], 2, rng) == []
    assert len(calls) == 1


def test_a_resumed_search_goes_on_where_it_was() -> None:
    resumed = HarvestProposer(lambda: SAMPLES)
    resumed.remember(["I"])
    assert resumed.propose([], 5, random.Random(0)) == ["I must", "I care, so I"]


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_samples_does_not_matter(order: int) -> None:
    assert harvest(SAMPLES[::order]) == harvest(SAMPLES)
