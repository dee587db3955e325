import pytest

from foreword.core.errors import ConfigError
from foreword.core.types import Label, Reply
from foreword.models.openings import Openings
from foreword.testing.models import tiny_tokenizer

TOKENIZER = tiny_tokenizer()


def samples(*texts, label):
    return [(Reply("", text, 1, True), label) for text in texts]


def ids(text):
    return tuple(TOKENIZER(text, add_special_tokens=False)["input_ids"])


REFUSALS = samples(*["I cannot help with that."] * 4, "No.", "No!", label=Label.REFUSED)
ANSWERS = samples(*["Sure, I will"] * 3, *["I will do it"] * 2, label=Label.COMPLIED)


def test_takes_the_shortest_sequences_that_tell_the_labels_apart():
    learnt = Openings.learn(REFUSALS + ANSWERS, TOKENIZER)
    assert ids("Sure")[:1] in learnt.compliance
    assert ids("N") in learnt.refusal
    assert ids("I cannot")[:2] in learnt.refusal  # "I" alone is ambiguous
    assert ids("I will")[:2] in learnt.compliance
    assert all(ids("I") != opening for opening in learnt.refusal + learnt.compliance)


def test_a_rare_sequence_is_left_out():
    rare = samples("zebra", label=Label.REFUSED)
    learnt = Openings.learn(REFUSALS + ANSWERS + rare, TOKENIZER)
    assert ids("z") not in learnt.refusal


def test_at_most_so_many_a_side_the_most_frequent_first():
    learnt = Openings.learn(REFUSALS + ANSWERS, TOKENIZER, most=1)
    assert learnt.refusal == (ids("I cannot")[:2],)
    assert learnt.compliance == (ids("Sure")[:1],)


def test_ambiguous_beginnings_beyond_the_limit_are_dropped():
    learnt = Openings.learn(REFUSALS + ANSWERS, TOKENIZER, inner=0)
    assert {len(opening) for opening in learnt.refusal + learnt.compliance} == {1}


@pytest.mark.parametrize(("given", "missing"), [(ANSWERS, "refused"), (REFUSALS, "complied")])
def test_a_label_never_seen_is_an_error_that_says_how_to_mend(given, missing):
    undecided = samples("No.", label=Label.UNDECIDED)
    with pytest.raises(ConfigError, match=f"is {missing}; add samples under seed prefixes"):
        Openings.learn(given + undecided, TOKENIZER)


def test_labels_that_cannot_be_told_apart_are_an_error():
    same = ["I will do it"] * 3
    with pytest.raises(ConfigError, match="typical"):
        Openings.learn(
            samples(*same, label=Label.REFUSED) + samples(*same, label=Label.COMPLIED), TOKENIZER
        )


def test_an_opening_that_begins_another_is_refused():
    with pytest.raises(ConfigError, match="count twice"):
        Openings(refusal=((1,),), compliance=((1, 2),))
    with pytest.raises(ConfigError, match="at least one"):
        Openings(refusal=(), compliance=((1, 2),))
