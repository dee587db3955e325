"""Guardrails around scripted models: what is flagged is refused, and nothing else changes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.core.errors import ChatsFailed
from foreword.core.protocols import Model
from foreword.core.types import Finding, Label, Reply, Safety
from foreword.defences.guard import Guard
from foreword.defences.guardrails import REFUSAL, CheckedModel, Seen
from foreword.defences.registry import layers, wrap
from foreword.judges.lexicon import LexiconJudge
from foreword.testing.models import ScriptedModel

FINDINGS = {
    "bad": Finding(Safety.UNSAFE, "harm"),
    "odd": Finding(Safety.UNDECIDED, "no answer of words"),
}


class Words:
    """Flags the word "bad", does not judge "odd"; writes two tokens a case."""

    name = "words"

    def __init__(self):
        self.cases = []

    def check(self, cases):
        self.cases += cases
        return [
            Seen(self._one(chat[-1]["content"] if said is None else said), 2, 9)
            for chat, said in cases
        ]

    def _one(self, text):
        found = re.search("bad|odd", text)
        return FINDINGS[found[0]] if found else Finding(Safety.SAFE)


def asked(*requests):
    return [[{"role": "user", "content": request}] for request in requests]


def echo():
    return ScriptedModel(lambda chat, prefix: " " + chat[-1]["content"])


def checked(on="both", model=None):
    return CheckedModel(model or echo(), Words(), on)


def test_it_is_a_model_with_its_own_name():
    assert isinstance(checked(), Model)
    assert checked("reply").fingerprint == "scripted@00000000|words:reply"


def test_the_fixed_refusal_is_read_as_one():
    assert LexiconJudge().judge("", REFUSAL).label is Label.REFUSED


def test_a_flagged_request_never_reaches_the_model():
    model = checked("request")
    fine, flagged = model.generate(asked("fine", "bad one"), prefix="I")
    assert fine == Reply("I", " fine", 2 + 2, True, 9)
    assert flagged == Reply("", REFUSAL, 2, True, 9)
    assert [chat[-1]["content"] for chat, _ in model.model.calls] == ["fine"]


def test_a_flagged_reply_never_leaves_and_has_cost_its_tokens():
    model = checked("reply", ScriptedModel(lambda chat, prefix: "d thing here"))
    (reply,) = model.generate(asked("fine"), prefix="ba")  # the reply is judged whole
    assert reply == Reply("", REFUSAL, 3 + 2, True, 9)
    assert model.checker.cases == [(asked("fine")[0], "bad thing here")]


def test_both_sides_are_looked_at_in_order():
    model = checked(model=ScriptedModel(lambda chat, prefix: chat[-1]["content"].replace("x", "a")))
    replies = model.generate(asked("fine", "bad", "bxd"))
    assert [reply.continuation == REFUSAL for reply in replies] == [False, True, True]
    assert [reply.tokens for reply in replies] == [1 + 2 + 2, 2, 1 + 2 + 2]
    assert checked().generate([]) == []


@pytest.mark.parametrize("on", ["request", "reply", "both"])
def test_what_is_not_judged_fails_alone_and_is_named(on):
    with pytest.raises(ChatsFailed, match=r"words did not judge 1 of . chats: no answer") as caught:
        checked(on).generate(asked("fine", "odd one", "fine"))
    assert caught.value.rows == (1,)


def test_places_of_failures_below_are_those_of_the_whole_call():
    outer = CheckedModel(checked("reply"), Words(), "request")
    outer.model.model.script = lambda chat, prefix: {"x": "odd"}.get(chat[-1]["content"], "fine")
    with pytest.raises(ChatsFailed) as caught:
        outer.generate(asked("bad", "fine", "bad", "x"))
    assert caught.value.rows == (3,)


WORDS = st.sampled_from(["fine", "bad", "I cannot do that.", "Sure, here is"])


@given(
    st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=6),
    st.sampled_from(["request", "reply", "both"]),
    st.sampled_from(["none", "ping", "static:I will not", "ptst+ping", "critique"]),
)
def test_a_guardrail_around_anything_never_lowers_its_refusals(tasks, on, spec):
    """Per chat, so RR too: refused(x + g) holds refused(x) and every request that g flags."""
    script = {f"{n} {request}": (plain, moved) for n, (request, plain, moved) in enumerate(tasks)}

    def say(chat, prefix):
        """A prefix changes what the model says, for better or worse."""
        found = next((said for key, said in script.items() if key in chat[-1]["content"]), ("", ""))
        return " " + found[bool(prefix)]

    def refused(model):
        replies = model.generate(asked(*script))
        verdicts = [LexiconJudge().judge(reply.prefix, reply.continuation) for reply in replies]
        return {n for n, verdict in enumerate(verdicts) if verdict.label is Label.REFUSED}

    guard = Guard(prefix="I care, so I", target="scripted@00000000")
    alone = wrap(ScriptedModel(say), layers(spec, guard=guard))
    guarded = CheckedModel(alone, Words(), on)
    flagged = {n for n, key in enumerate(script) if "bad" in key and on != "reply"}
    assert refused(guarded) >= refused(alone) | flagged
