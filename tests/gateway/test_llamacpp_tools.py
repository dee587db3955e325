"""Tool calls behind a prefix, read by the real llama.cpp server.

The reference agent acts in fences and knows no tools; it calls one when earlier turns do
and a fence is forbidden (`logit_bias`). What is under test is the server's parser.
"""

import json
from contextlib import ExitStack

import httpx
import openai
import pytest

from foreword.gateway.app import Gateway
from foreword.gateway.policy import Policy
from foreword.gateway.proof import Proved
from foreword.gateway.upstream import Upstream
from foreword.models.dialects import dialect
from foreword.models.probe import Continuation
from foreword.testing import llamacpp
from foreword.testing.servers import running

pytest.importorskip("xllamacpp")
pytestmark = pytest.mark.model
WAY = Continuation(dialect("llamacpp"), echo=True, echo_stream=False)
FENCE = {"3725": -100}  # ```
TOOL = {
    "type": "function",
    "function": {
        "name": "delete",
        "description": "Deletes.",
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string"}},
            "required": ["path"],
        },
    },
}
# As Hermes and Qwen write calls.
TEMPLATE = """
{%- if tools %}{{- '<|im_start|>system\\n# Tools\\n<tools>' }}
{%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}
{{- '\\n</tools>\\n<tool_call>\\n{"name": <name>, "arguments": <object>}\\n</tool_call>' }}
{{- '<|im_end|>\\n' }}
{%- endif %}
{%- for m in messages %}
{%- if m.role == 'tool' %}{{- '<|im_start|>user\\n<tool_response>\\n' + m.content }}
{{- '\\n</tool_response><|im_end|>\\n' }}{%- else %}
{{- '<|im_start|>' + m.role + '\\n' }}{%- if m.content %}{{- m.content }}{%- endif %}
{%- if m.tool_calls %}{%- for call in m.tool_calls %}
{{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson }}{{- '}\\n</tool_call>' }}{%- endfor %}{%- endif %}
{{- '<|im_end|>\\n' }}{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""


@pytest.fixture(scope="module")
def knowing(gguf):
    """The agent behind a chat template that knows tools."""
    told = f"params.chat_template = {TEMPLATE!r}\nserver = "
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:  # no longer than the start
            patch.setattr(llamacpp, "_SERVER", llamacpp._SERVER.replace("server = ", told))
            url = stack.enter_context(llamacpp.llama_server(gguf))
        yield url


@pytest.fixture
def client(knowing, guard):
    with (
        running(Gateway(Upstream(knowing), Policy.of(guard), Proved(WAY))) as url,
        openai.OpenAI(base_url=url, api_key="none") as client,
    ):
        yield client


def history(*paths):
    """Turns that each call the tool; the prefix is not in them, for it is hidden."""
    messages = []
    for path in paths:
        call = {"name": "delete", "arguments": json.dumps({"path": path})}
        tools = [{"id": f"call{path}", "type": "function", "function": call}]
        messages += [
            {"role": "user", "content": f"Delete {path}."},
            {"role": "assistant", "content": " call the tool.", "tool_calls": tools},
            {"role": "tool", "tool_call_id": f"call{path}", "content": "done"},
        ]
    return [*messages, {"role": "user", "content": "Delete a.txt."}]


def ask(client, messages=None, **more):
    return client.chat.completions.create(
        model="agent",
        messages=messages or history("b.txt", "c.txt"),
        tools=[TOOL],
        max_tokens=40,
        temperature=0,
        **more,
    )


def called(name, arguments):
    return name, json.loads(arguments)


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_call_behind_the_prefix_is_read_and_the_prefix_stays_hidden(client, choice):
    reply = ask(client, tool_choice=choice, logit_bias=FENCE).choices[0]
    (call,) = reply.message.tool_calls
    assert called(call.function.name, call.function.arguments) == ("delete", {"path": "a.txt"})
    assert reply.finish_reason == "tool_calls"
    assert reply.message.content == " call the tool.\n"  # the prefix was before it


def test_a_call_is_read_from_a_stream_too(client):
    said, name, arguments = "", "", ""
    for chunk in ask(client, logit_bias=FENCE, stream=True):
        (choice,) = chunk.choices
        said += choice.delta.content or ""
        for call in choice.delta.tool_calls or ():
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    assert called(name, arguments) == ("delete", {"path": "a.txt"})
    assert (said, choice.finish_reason) == (" call the tool.\n", "tool_calls")


def test_required_forbids_the_end_of_a_turn_without_a_call_and_not_the_prefix(client):
    alone = [{"role": "user", "content": "Delete a.txt."}]
    free = ask(client, messages=alone).choices[0]
    assert (free.finish_reason, free.message.tool_calls) == ("stop", None)
    forced = ask(client, messages=alone, tool_choice="required").choices[0]
    # It talks on over the end of its turn, for want of a call.
    assert (forced.finish_reason, forced.message.tool_calls) == ("length", None)
    assert forced.message.content.startswith(free.message.content[:20])


def test_a_template_that_knows_no_tools_drops_them_in_silence_with_or_without_a_guard(upstream):
    body = {"messages": [{"role": "user", "content": "Delete a.txt."}], "max_tokens": 1}
    tools = {"tools": [TOOL], "tool_choice": "required"}
    counts = [
        httpx.post(f"{upstream}/chat/completions", json=each).json()["usage"]["prompt_tokens"]
        for each in (body, {**body, **tools})
    ]
    assert counts[0] == counts[1]
