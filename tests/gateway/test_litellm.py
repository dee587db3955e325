"""The guardrail of LiteLLM's proxy, over a double of the base class it inherits.

The real proxy is asked by bench/litellm_hook.py.
"""

import asyncio
import builtins
import importlib
import sys
from types import ModuleType, SimpleNamespace

import pytest

from foreword import Guard
from foreword.core.errors import ConfigError, UnknownName
from foreword.gateway.requests import BadRequest

WORDS = "As an honest agent, I"
MODE = ["pre_call", "post_call"]
USER = {"role": "user", "content": "Tidy up."}


class CustomGuardrail:
    """Keeps what LiteLLM's own class would keep."""

    def __init__(self, guardrail_name=None, event_hook=None, default_on=False, **rest):
        self.guardrail_name, self.event_hook, self.default_on = (
            guardrail_name,
            event_hook,
            default_on,
        )
        self.rest = rest


@pytest.fixture
def module(monkeypatch):
    names = ("litellm", "litellm.integrations", "litellm.integrations.custom_guardrail")
    for name in names:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules[names[-1]].CustomGuardrail = CustomGuardrail
    monkeypatch.delitem(sys.modules, "foreword.gateway.litellm", raising=False)
    yield importlib.import_module("foreword.gateway.litellm")
    sys.modules.pop("foreword.gateway.litellm", None)


@pytest.fixture
def rail(module, tmp_path):
    def make(dialect="vllm", show=False, placement="prefix", **more):
        path = tmp_path / "guard.json"
        Guard(prefix=WORDS, target="t", placement=placement).save(path)
        options = {"event_hook": MODE, "guard": str(path), "dialect": dialect, **more}
        return module.ForewordGuardrail(show_prefix=show, **options)

    return make


def before(rail, data, call_type="acompletion"):
    return asyncio.run(rail.async_pre_call_hook(None, None, data, call_type))


def ask(**more):
    return {"model": "m", "messages": [dict(USER)], **more}


def answer(*texts, **more):
    messages = [SimpleNamespace(content=text, **more) for text in texts]
    return SimpleNamespace(choices=[SimpleNamespace(message=each) for each in messages])


def after(rail, data, response):
    got = asyncio.run(rail.async_post_call_success_hook(data, None, response))
    return [choice.message.content for choice in got.choices]


def piece(text=None, index=0, finish=None):
    delta = SimpleNamespace(content=text)
    choice = SimpleNamespace(index=index, delta=delta, finish_reason=finish)
    return SimpleNamespace(choices=[choice])


def stream(rail, data, *pieces):
    async def chunks():
        for each in pieces:
            yield each

    async def read():
        passed = rail.async_post_call_streaming_iterator_hook(None, chunks(), data)
        return [chunk async for chunk in passed]

    said = {}
    for chunk in asyncio.run(read()):
        for choice in getattr(chunk, "choices", ()):
            said[choice.index] = said.get(choice.index, "") + (choice.delta.content or "")
    return said


def test_what_litellm_sets_reaches_its_own_class(rail):
    made = rail(guardrail_name="foreword", default_on=True, run_in_parallel=None)
    assert (made.guardrail_name, made.event_hook, made.default_on) == ("foreword", MODE, True)
    assert made.rest == {"run_in_parallel": None}


def test_the_dialects_fields_go_by_extra_body_and_nothing_of_the_client_is_lost(rail):
    data = ask(
        tools=[{"type": "function"}],
        continue_final_message=False,
        chat_template_kwargs={"a": 1},
        extra_body={"top_k": 5, "echo": True, "add_generation_prompt": True},
    )
    got = before(rail(), data)
    assert got is data
    assert got == {
        "model": "m",
        "messages": [USER, {"role": "assistant", "content": WORDS}],
        "tools": [{"type": "function"}],
        "extra_body": {
            "top_k": 5,
            "chat_template_kwargs": {"a": 1, "enable_thinking": False},
            "continue_final_message": True,
            "add_generation_prompt": False,
        },
    }
    again = {**got, "messages": list(got["messages"]), "extra_body": dict(got["extra_body"])}
    assert before(rail(), again) == got  # LiteLLM may run a hook twice


def test_a_dialect_that_marks_the_message(rail):
    got = before(rail("deepseek"), ask())
    assert got["messages"][-1] == {"role": "assistant", "content": WORDS, "prefix": True}


@pytest.mark.parametrize("show", [False, True])
@pytest.mark.parametrize("echo", [False, True])
def test_whole_answers_are_one_behaviour(rail, show, echo):
    made = rail(show=show)
    data = before(made, ask())
    texts = [WORDS * echo + " go on.", WORDS * echo + " stop."]
    expected = [WORDS * show + " go on.", WORDS * show + " stop."]
    assert after(made, data, answer(*texts)) == expected
    assert after(made, data, answer(*expected)) == expected  # nor does twice change anything


def test_a_tool_call_without_words(rail):
    made = rail()
    data = before(made, ask())
    assert after(made, data, answer(None, tool_calls=[object()])) == [None]
    assert after(made, data, answer(None)) == [None]
    assert stream(made, data, piece(), piece(finish="tool_calls")) == {0: ""}
    untouched = piece()
    stream(made, data, untouched)
    assert untouched.choices[0].delta.content is None


@pytest.mark.parametrize("show", [False, True])
@pytest.mark.parametrize("echo", [False, True])
def test_streams_are_the_same_behaviour(rail, show, echo):
    made = rail(show=show)
    data = before(made, ask())
    texts = [*(["As an honest", " agent, I"] * echo), " go", " on."]
    pieces = [piece(""), *map(piece, texts), piece(" two", index=1), SimpleNamespace()]
    ends = [piece(finish="stop"), piece(finish="stop", index=1)]
    expected = {0: WORDS * show + " go on.", 1: WORDS * show + " two"}
    assert stream(made, data, *pieces, *ends) == expected


def test_words_held_as_an_echo_come_with_the_end(rail):
    made = rail()
    data = before(made, ask())
    assert stream(made, data, piece("As an"), piece(finish="stop")) == {0: "As an"}
    assert stream(made, data, piece("As an", finish="length")) == {0: "As an"}


def test_a_prefill_is_part_of_the_beginning(rail):
    made = rail(show=True)
    data = before(made, ask(messages=[USER, {"role": "assistant", "content": "will"}]))
    assert after(made, data, answer(" tidy.")) == [WORDS + " will tidy."]


def test_a_suffix_leaves_answers_alone(rail):
    made = rail(placement="suffix")
    data = before(made, ask())
    assert data["messages"][-1]["content"] == f"Tidy up.\n{WORDS}"
    assert after(made, data, answer(WORDS)) == [WORDS]
    assert stream(made, data, piece(WORDS)) == {0: WORDS}


def test_routes_without_words_pass_and_others_do_not(rail):
    made, data = rail(), {"input": "x"}
    assert before(made, data, "aembedding") is data
    response = SimpleNamespace(data=[])
    assert asyncio.run(made.async_post_call_success_hook(data, None, response)) is response
    for route in ("atext_completion", "aresponses", "anthropic_messages", "of the future"):
        with pytest.raises(BadRequest, match="chat/completions"):
            before(made, ask(), route)


@pytest.mark.parametrize(
    "more",
    [
        {"messages": None},
        {"messages": ["x"]},
        {"messages": [USER, {"role": "assistant", "content": "<|im_end|>"}]},
        {"chat_template": "{{ x }}"},
        {"extra_body": {"chat_template": "{{ x }}"}},
        {"extra_body": {"truncate_prompt_tokens": 9}},
        {"chat_template_kwargs": {"continue_final_message": False}},
        {"extra_body": {"chat_template_kwargs": {"add_generation_prompt": True}}},
        {"extra_body": {"messages": [USER]}},
        {"extra_body": "x"},
        {"prompt_id": "p"},
        {"fallbacks": [{"model": "m", "messages": [USER]}]},
        {"tools": [{"type": "mcp", "server_url": "litellm_proxy"}]},
    ],
)
def test_what_would_get_past_the_guard_is_a_400_in_litellms_eyes(rail, module, more):
    with pytest.raises(module.Refused) as caught:
        before(rail(), ask(**more))
    assert caught.value.status_code == 400
    assert caught.value.message == str(caught.value) != ""


def test_fallbacks_by_name_pass(rail):
    assert before(rail(), ask(fallbacks=["other"]))["fallbacks"] == ["other"]


def test_an_error_of_the_hook_is_not_swallowed(rail):
    with pytest.raises(TypeError):
        before(rail(), ask(tools=5))


@pytest.mark.parametrize("mode", [None, "pre_call", ["pre_call"], ["post_call", "during_call"]])
def test_half_a_mode_is_refused(rail, mode):
    with pytest.raises(ConfigError, match="mode"):
        rail(event_hook=mode)


def test_a_wrong_dialect_or_guard_file_stops_the_start(rail, tmp_path):
    with pytest.raises(UnknownName):
        rail("auto")
    with pytest.raises(ConfigError):
        rail(guard=str(tmp_path / "missing.json"))


def test_without_litellm_the_reason_is_said(monkeypatch):
    real = builtins.__import__

    def without(name, *args):
        if name.startswith("litellm"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "foreword.gateway.litellm", raising=False)
    with pytest.raises(ConfigError, match="litellm is not installed"):
        importlib.import_module("foreword.gateway.litellm")
