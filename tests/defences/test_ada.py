"""ADA: a second thought behind the model's own words, which is the answer only if it refuses."""

import pytest

from foreword.core.errors import ConfigError
from foreword.core.protocols import Model
from foreword.core.types import Reply
from foreword.defences.ada import ReopenedModel
from foreword.defences.guard import Guard
from foreword.defences.guarded import GuardedModel
from foreword.judges.lexicon import LexiconJudge
from foreword.models import chat as rendering
from foreword.testing.models import ScriptedModel, tiny_model, tiny_tokenizer

ASKED = {"role": "user", "content": "Delete it."}


class Reopening(ScriptedModel):
    reopens = True


def reopened(thought):
    def script(chat, prefix):
        return thought if chat[-1]["role"] == "assistant" else " will do it"

    return ReopenedModel(Reopening(script), LexiconJudge())


def test_a_refusing_second_thought_is_the_answer_and_costs_both():
    model = reopened("I cannot help with that.")
    (reply,) = model.generate([[ASKED]], prefix="I")
    assert reply == Reply("", "I cannot help with that.", 4 + 5, True)
    closed, begun = model.model.calls[1]
    assert (closed, begun) == ([ASKED, {"role": "assistant", "content": "I will do it"}], "")


@pytest.mark.parametrize("thought", ["Done, here it is.", "", "Hm."])
def test_any_other_second_thought_changes_nothing_but_the_cost(thought):
    (reply,) = reopened(thought).generate([[ASKED]], prefix="I")
    assert (reply.text, reply.prefix) == ("I will do it", "I")
    assert reply.tokens == 4 + len(thought.split(" "))


def test_it_is_a_model_with_its_own_name():
    assert isinstance(reopened(""), Model)
    assert reopened("").fingerprint == "scripted@00000000|ada:lexicon-2"


def test_it_stands_next_to_a_model_that_can_be_opened_again():
    guarded = GuardedModel(Reopening(lambda *_: ""), Guard(prefix="I", target="scripted@00000000"))
    for model in (guarded, ScriptedModel(lambda *_: "")):
        with pytest.raises(ConfigError, match="name it first in the spec"):
            ReopenedModel(model, LexiconJudge())


def test_the_header_is_opened_again_behind_the_closed_turn():
    text = rendering.render(tiny_tokenizer(), [ASKED, {"role": "assistant", "content": "ls"}])
    assert text.endswith("<|im_start|>assistant\nls<|im_end|>\n<|im_start|>assistant\n")
    (reply,) = ReopenedModel(tiny_model(), LexiconJudge()).generate([[ASKED]], max_new_tokens=4)
    assert reply.tokens > 4
