import pytest

from foreword.core.errors import ForewordWarning, UsageError
from foreword.core.protocols import Model
from foreword.core.types import Reply
from foreword.defences.guard import Guard
from foreword.defences.guarded import GuardedModel

CHAT = [{"role": "user", "content": "Delete it."}]


class Recorder:
    """Answers " ok" and remembers what it was asked."""

    fingerprint = "toy@1"

    def generate(self, chats, *, prefix="", max_new_tokens=256, temperature=0.0, seed=0, stop=""):
        self.asked = (list(chats), prefix, max_new_tokens, temperature, seed, stop)
        return [Reply(prefix, " ok", 1, True) for _ in chats]


def guarded(placement="prefix"):
    return GuardedModel(Recorder(), Guard(prefix="I", placement=placement, target="toy@1"))


def test_it_is_a_model_with_its_own_name():
    model = guarded()
    assert isinstance(model, Model)
    assert model.fingerprint == f"toy@1|guard:{model.guard.hash8}"


def test_the_prefix_is_not_the_models_word():
    model = guarded()
    reply = model.generate([CHAT], max_new_tokens=5, temperature=0.5, seed=7, stop="x")[0]
    assert (reply.prefix, reply.continuation) == ("I", " ok")
    assert model.model.asked == ([CHAT], "I", 5, 0.5, 7, "x")


def test_the_callers_prefix_follows_the_guards():
    assert guarded().generate([CHAT], prefix="Sure")[0].prefix == "I Sure"


def test_suffix_goes_into_the_chat():
    model = guarded("suffix")
    model.generate([CHAT])
    assert model.model.asked[:2] == ([[{"role": "user", "content": "Delete it.\nI"}]], "")
    assert CHAT[0]["content"] == "Delete it."


def test_a_prefill_belongs_into_prefix():
    with pytest.raises(UsageError, match="prefix="):
        guarded().generate([[*CHAT, {"role": "assistant", "content": "x"}]])


def test_a_guard_for_another_model_warns():
    with pytest.warns(ForewordWarning):
        GuardedModel(Recorder(), Guard(prefix="I", target="else"))
