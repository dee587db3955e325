"""Whole answers: the beginning hidden, or shown once, whatever the upstream echoes."""

import pytest

from foreword.gateway.answers import settle_chat, settle_text

BEGUN = "As an honest agent, I"


def answer(*contents, **message):
    return {
        "id": "x",
        "choices": [
            {"index": i, "message": {"role": "assistant", "content": c, **message}}
            for i, c in enumerate(contents)
        ],
        "usage": {"prompt_tokens": 9},
    }


def contents(settled):
    return [choice["message"]["content"] for choice in settled["choices"]]


@pytest.mark.parametrize("echo", [True, False])
@pytest.mark.parametrize("show", [True, False])
def test_one_behaviour_for_every_choice(echo, show):
    given = answer(*((BEGUN if echo else "") + tail for tail in (" will.", "")))
    settled = settle_chat(given, BEGUN, echo=echo, show=show)
    assert contents(settled) == [(BEGUN if show else "") + tail for tail in (" will.", "")]
    assert settled["usage"] == given["usage"]


@pytest.mark.parametrize("show", [True, False])
def test_a_model_that_repeats_the_words_itself_keeps_them(show):
    settled = settle_chat(answer(BEGUN + BEGUN), BEGUN, echo=True, show=show)
    assert contents(settled) == [BEGUN * (2 if show else 1)]
    settled = settle_chat(answer(BEGUN), BEGUN, echo=False, show=show)
    assert contents(settled) == [BEGUN * (2 if show else 1)]


def test_a_missing_echo_cuts_nothing():
    assert contents(settle_chat(answer("As an"), BEGUN, echo=True, show=False)) == ["As an"]


def test_tool_calls_come_without_words_when_hidden_and_with_them_when_shown():
    calls = [{"id": "c", "type": "function", "function": {"name": "ls", "arguments": "{}"}}]
    for content in (BEGUN, None):
        given = answer(content, tool_calls=calls)
        hidden = settle_chat(given, BEGUN, echo=content is not None, show=False)
        assert contents(hidden) == [None]
        assert hidden["choices"][0]["message"]["tool_calls"] == calls
        shown = settle_chat(given, BEGUN, echo=content is not None, show=True)
        assert contents(shown) == [BEGUN]


@pytest.mark.parametrize("echo", [True, False])
@pytest.mark.parametrize("show", [True, False])
def test_of_parts_the_first_text_is_settled_and_thoughts_stay(echo, show):
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": BEGUN}]}
    said = {"type": "text", "text": (BEGUN if echo else "") + " will."}
    (found,) = contents(settle_chat(answer([thought, said, said]), BEGUN, echo=echo, show=show))
    assert found == [thought, {**said, "text": (BEGUN if show else "") + " will."}, said]
    (found,) = contents(settle_chat(answer([thought]), BEGUN, echo=echo, show=show))
    assert found == [thought]


def test_an_answer_without_choices_or_message_passes():
    for odd in ({}, {"choices": None}, {"choices": [7, {}, {"message": None}]}):
        assert settle_chat(odd, BEGUN, echo=True, show=True) == odd


def test_text_is_shown_with_the_beginning_only_when_asked():
    given = {"choices": [{"index": 0, "text": " go"}, {"index": 1, "text": None}]}
    assert settle_text(given, BEGUN, show=False) is given
    shown = settle_text(given, BEGUN, show=True)
    assert [choice["text"] for choice in shown["choices"]] == [BEGUN + " go", BEGUN]
