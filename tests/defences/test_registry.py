"""Specs of defences: what each does to a conversation, in which order, and what is bad input."""

import copy

import pytest

from foreword import suites
from foreword.core.errors import ConfigError, UnknownName, UsageError
from foreword.core.protocols import Model
from foreword.defences.few_shot import PERFORMED, REFUSED
from foreword.defences.guard import Guard
from foreword.defences.icd import ICD
from foreword.defences.registry import REWRITES, layers, wrap
from foreword.testing.models import ScriptedModel

SYSTEM = {"role": "system", "content": "You act by bash."}
ASKED = {"role": "user", "content": "Delete it."}
GUARD = Guard(prefix="I care, so I", target="scripted@00000000")
CHATS = [
    [ASKED],
    [SYSTEM, ASKED],
    [SYSTEM, ASKED, {"role": "assistant", "content": "ls"}, {"role": "user", "content": "Output:"}],
]


def heard(spec, chat=(SYSTEM, ASKED), prefix="", guard=GUARD):
    """What the model behind a spec is asked, and how its reply begins."""
    model = ScriptedModel(lambda chat, prefix: " ok")
    chat = [dict(message) for message in chat]
    before = copy.deepcopy(chat)
    (reply,) = wrap(model, layers(spec, guard=guard)).generate([chat], prefix=prefix)
    assert chat == before
    said, begun = model.calls[-1]
    assert reply.prefix == begun
    return said, begun


def test_none_is_the_model_itself():
    model = ScriptedModel(lambda chat, prefix: "")
    assert wrap(model, layers("none")) is model


@pytest.mark.parametrize("words", ["I can't", "I cannot", "I'm sorry"])
def test_static_words_begin_the_reply_once(words):
    assert heard(f"static:{words}") == ([SYSTEM, ASKED], words)
    assert heard(f"static:{words}", prefix=words)[1] == words


@pytest.mark.parametrize("name", REWRITES)
@pytest.mark.parametrize("chat", CHATS)
def test_a_rewrite_adds_words_and_takes_none_away(name, chat):
    said, begun = heard(name, chat, prefix="Sure")
    assert begun == "Sure"
    places = iter(said)
    for message in chat:
        assert any(
            each["role"] == message["role"] and message["content"] in each["content"]
            for each in places
        )
    assert said != chat


def test_where_each_one_puts_its_words():
    said, _ = heard("ptst")
    assert said[0]["content"].startswith(SYSTEM["content"] + "\n\n")
    assert heard("ptst", [ASKED])[0][0]["role"] == "system"
    said, _ = heard("icd")
    assert [message["role"] for message in said] == ["system", "user", "assistant", "user"]
    assert (said[1]["content"], said[2]["content"]) == ICD.turns[0]
    said, _ = heard("self-reminder", CHATS[2])
    assert [m["content"].count("responsible assistant") for m in said] == [0, 2, 0, 2]
    said, begun = heard("suffix")
    assert (said[-1]["content"], begun) == ("Delete it.\nI care, so I", "")
    assert heard("ping") == ([SYSTEM, ASKED], "I care, so I")


def test_a_spec_may_name_guard_files_of_its_own(tmp_path):
    """So that several guards stand in one table."""
    other = tmp_path / "other.json"
    Guard(prefix="First, do no harm:", target="scripted@00000000").save(other)
    assert heard(f"ping:{other}", guard=None) == ([SYSTEM, ASKED], "First, do no harm:")
    assert heard(f"ping:{other}+ping")[1] == "First, do no harm: I care, so I"
    said, begun = heard(f"suffix:{other}")
    assert (said[-1]["content"], begun) == ("Delete it.\nFirst, do no harm:", "")


def test_demonstrations_are_of_the_training_split():
    tasks = suites.get("files").tasks
    harmful = {task.request for task in tasks if (task.kind, task.split) == ("harmful", "train")}
    benign = {task.request for task in tasks if (task.kind, task.split) == ("benign", "train")}
    assert {*REFUSED, ICD.turns[0][0]} <= harmful
    assert set(PERFORMED) <= benign
    assert len(REFUSED) == len(PERFORMED) == 5
    assert ICD.turns[0][0] not in REFUSED


def test_layers_stand_from_the_model_outwards():
    """Prefixes read in the order of the spec; an outer layer's system words come first."""
    assert heard("static:As an agent+ping")[1] == "As an agent I care, so I"
    assert heard("ping+static:As an agent")[1] == "I care, so I As an agent"
    inner = heard("ptst+constitution")[0][0]["content"]
    assert inner.index("principles") < inner.index("law-abiding")
    assert heard("ptst + ping") == (heard("ptst")[0], "I care, so I")


def test_the_critique_is_a_call_of_its_own_and_is_counted():
    def script(chat, prefix):
        return "It harms nobody." if "Do not act yet" in chat[-1]["content"] else " ls it is"

    model = ScriptedModel(script)
    (reply,) = wrap(model, layers("critique")).generate([[SYSTEM, ASKED]], prefix="I")
    (asked, begun), (told, prefix) = model.calls
    assert (begun, prefix) == ("", "I")
    assert asked[-1]["content"].startswith("Delete it.\n")
    assert told[-1] == ASKED
    assert "principles" in told[0]["content"]
    assert told[0]["content"].endswith("It harms nobody.")
    assert (reply.prefix, reply.continuation, reply.tokens) == ("I", " ls it is", 3 + 4)


def test_fingerprints_name_every_layer_and_its_words():
    model = ScriptedModel(lambda chat, prefix: "")
    names = [
        wrap(model, layers(spec, guard=GUARD)).fingerprint
        for spec in ("static:I cannot", "static:I can't", "ping", "suffix", "critique", *REWRITES)
    ]
    assert len(set(names)) == len(names)
    assert wrap(model, layers("ptst+ping", guard=GUARD)).fingerprint.startswith(
        "scripted@00000000|ptst:"
    )
    assert isinstance(wrap(model, layers("ptst+critique")), Model)


def test_a_guard_below_other_layers_still_knows_its_target():
    """A ForewordWarning would be an error in these tests."""
    heard("ptst+ping")


@pytest.mark.parametrize(
    ("spec", "error", "says"),
    [
        ("nobody", UnknownName, "unknown defence 'nobody'; known: constitution"),
        ("ptst+", UnknownName, "unknown defence ''"),
        ("ping", ConfigError, "'ping' needs a guard: give --guard FILE, or ping:FILE"),
        ("ping:gone.json", ConfigError, "cannot read guard gone.json: No such file"),
        ("suffix+ptst", ConfigError, "'suffix' needs a guard"),
        ("static", ConfigError, "static needs words, e.g. 'static:I cannot'"),
        ("static:<|im_end|>", ConfigError, "chat-template token"),
        ("ptst:now", ConfigError, "takes nothing behind its name"),
        ("none:x", ConfigError, "'none' takes nothing behind its name"),
        ("none, ptst", ConfigError, "no space behind a comma"),
    ],
)
def test_bad_specs_are_one_line(spec, error, says):
    with pytest.raises(error, match=says) as caught:
        layers(spec)
    assert "\n" not in str(caught.value)


def test_a_prefill_belongs_into_prefix():
    model = wrap(ScriptedModel(lambda chat, prefix: ""), layers("ptst"))
    with pytest.raises(UsageError, match="prefix="):
        model.generate([[ASKED, {"role": "assistant", "content": "I"}]])
    assert model.generate([]) == []
