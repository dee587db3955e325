"""What a dialect adds to a request, and what it takes away."""

import copy

import pytest

from foreword.models.dialects import DIALECTS

BODY = {
    "model": "m",
    "messages": [
        {"role": "user", "content": "Tidy up."},
        {"role": "assistant", "content": "As an honest agent, I"},
    ],
    "temperature": 0.3,
    "something_new": {"a": [1]},
}


@pytest.mark.parametrize("name", DIALECTS)
def test_everything_else_of_a_request_stays_and_the_request_itself_is_not_touched(name):
    before = copy.deepcopy(BODY)
    asked = DIALECTS[name].ask(BODY)
    assert before == BODY
    assert {key: asked[key] for key in ("model", "temperature", "something_new")} == {
        key: BODY[key] for key in ("model", "temperature", "something_new")
    }
    assert asked["messages"][0] == BODY["messages"][0]
    assert asked["messages"][1]["content"] == "As an honest agent, I"


@pytest.mark.parametrize("name", DIALECTS)
def test_a_client_cannot_speak_past_the_dialect(name):
    meddling = {
        **BODY,
        "continue_final_message": False,
        "add_generation_prompt": True,
        "echo": True,
        "chat_template_kwargs": {"enable_thinking": True, "mine": 1},
        "messages": [BODY["messages"][0], {**BODY["messages"][1], "prefix": False}],
    }
    clean = {**BODY, "chat_template_kwargs": meddling["chat_template_kwargs"]}
    asked = DIALECTS[name].ask(meddling)
    assert asked == DIALECTS[name].ask(clean)
    assert asked["chat_template_kwargs"]["mine"] == 1


@pytest.mark.parametrize("name", DIALECTS)
def test_items_are_asked_for_as_messages_are(name):
    items = {key: value for key, value in BODY.items() if key != "messages"}
    asked = DIALECTS[name].ask({**items, "input": BODY["messages"], "echo": True}, "input")
    assert asked.pop("input") == DIALECTS[name].ask(BODY).pop("messages")
    assert "messages" not in asked and "echo" not in asked


def test_template_arguments_that_are_no_mapping_are_replaced():
    asked = DIALECTS["vllm"].ask({**BODY, "chat_template_kwargs": "x"})
    assert asked["chat_template_kwargs"] == {"enable_thinking": False}
