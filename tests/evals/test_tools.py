"""Tools in words: what an engine reads, what of its reply is a call, and an agent that uses one."""

import json
from pathlib import Path
from typing import Any

import inspect_ai
import pytest
from inspect_ai.agent import react
from inspect_ai.dataset import Sample
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    get_model,
)
from inspect_ai.tool import ToolCall, ToolCallError, ToolInfo, ToolParam, ToolParams, tool

from foreword.core.types import Chat
from foreword.defences.guard import Guard
from foreword.evals.tools import heard, spoken
from foreword.testing.models import ScriptedModel
from foreword.testing.servers import Body, ScriptedServer

ADD = ToolInfo(
    name="add",
    description="Add two numbers.",
    parameters=ToolParams(properties={"x": ToolParam(type="integer")}, required=["x"]),
)
CALL = '<tool_call>\n{"name": "add", "arguments": {"x": 1}}\n</tool_call>'


def test_the_offer_ends_the_system_prompt() -> None:
    said = [ChatMessageSystem(content="Be brief."), ChatMessageUser(content="Add.")]
    system, user = spoken(said, [ADD])
    assert system["content"].startswith("Be brief.\n\n# Tools\n")
    offer = system["content"].split("<tools>\n")[1].split("\n</tools>")[0]
    function = json.loads(offer)["function"]
    assert function["name"] == "add" and function["parameters"]["required"] == ["x"]
    assert user == {"role": "user", "content": "Add."}
    assert spoken(said[1:], [ADD])[0]["content"].startswith("# Tools\n")
    assert spoken(said[1:], []) == [user]


def test_calls_and_results_of_earlier_turns() -> None:
    call = ToolCall(id="1", function="add", arguments={"x": 1})
    chat = spoken(
        [
            ChatMessageUser(content="Add."),
            ChatMessageAssistant(content="I care, so I", tool_calls=[call]),
            ChatMessageTool(content="2", tool_call_id="1"),
            ChatMessageTool(content="", error=ToolCallError("timeout", "too slow")),
            ChatMessageUser(content="Go on."),
            ChatMessageAssistant(content="", tool_calls=[call]),
        ],
        [],
    )
    assert [turn["role"] for turn in chat] == ["user", "assistant", "user", "assistant"]
    assert chat[1]["content"] == f"I care, so I\n{CALL}"
    assert chat[2]["content"] == (
        "<tool_response>\n2\n</tool_response>\n"
        "<tool_response>\nError: too slow\n</tool_response>\nGo on."
    )
    assert chat[3]["content"] == CALL


@pytest.mark.parametrize("end", ["", "</tool_call>"])
def test_a_reply_with_calls(end: str) -> None:
    text = f'I will {CALL}\n<tool_call>{{"name": "add", "arguments": {{"x": 2}}}}{end}'
    words, calls = heard(text, [ADD], "m")
    assert words == "I will"
    assert [call.arguments for call in calls] == [{"x": 1}, {"x": 2}]


def test_a_reply_without_a_call_and_one_that_cannot_be_read() -> None:
    assert heard("I will not. ", [ADD], "m") == ("I will not. ", [])
    words, calls = heard("<tool_call>{add 1}</tool_call>", [ADD], "m")
    assert words == "" and calls[0].parse_error


@tool
def add() -> Any:
    async def execute(x: int, y: int) -> str:
        """Add two numbers.

        Args:
            x: One.
            y: The other.
        """
        return str(x + y)

    return execute


def calling(chat: Chat, prefix: str) -> str:
    last = chat[-1]["content"]
    if last.startswith("<tool_response>"):
        said = last.split("\n")[1]
        return f' submit.\n<tool_call>\n{{"name": "submit", "arguments": {{"answer": "{said}"}}}}'
    return ' add.\n<tool_call>\n{"name": "add", "arguments": {"x": 2, "y": 3}}\n</tool_call>'


def _agent(model: Any, log_dir: Path) -> Any:
    task = inspect_ai.Task(
        dataset=[Sample(input="What is 2 + 3?", target="5")],
        solver=react(tools=[add()]),
        scorer=inspect_ai.scorer.includes(),
        message_limit=8,
    )
    log = inspect_ai.eval(task, model, display="none", log_dir=str(log_dir), ctl_server=False)[0]
    assert log.status == "success", log.error
    return log


def test_a_guarded_engine_calls_tools_behind_its_prefix(tmp_path: Path) -> None:
    engine = ScriptedModel(calling)
    Guard(prefix="I care, so I will", target=engine.fingerprint).save(tmp_path / "guard.json")
    guard = str(tmp_path / "guard.json")
    model = get_model("foreword/local/scripted", memoize=False, engine=engine, guard=guard)
    log = _agent(model, tmp_path)
    assert log.results.scores[0].metrics["accuracy"].value == 1
    replies = [m for m in log.samples[0].messages if m.role == "assistant"]
    said = [m.text.split("\n")[0] for m in replies]  # Inspect adds the answer that was submitted
    assert said == ["I care, so I will add.", "I care, so I will submit."]
    assert [call.function for call in replies[0].tool_calls] == ["add"]
    assert {m.metadata["prefix"] for m in replies} == {"I care, so I will"}
    assert {prefix for _, prefix in engine.calls} == {"I care, so I will"}
    *_, first, result = engine.calls[1][0]
    assert first["content"].startswith("I care, so I will add.\n<tool_call>\n")
    assert result["content"] == "<tool_response>\n5\n</tool_response>"


def served(body: Body) -> Body:
    """A server that continues the prefix, and calls `add` or submits its result."""
    result = next((m["content"] for m in body["messages"] if m["role"] == "tool"), None)
    name, arguments = (
        ("add", {"x": 2, "y": 3}) if result is None else ("submit", {"answer": result})
    )
    call = {"name": name, "arguments": json.dumps(arguments)}
    return {
        "content": f" {name}.",
        "tool_calls": [{"id": name, "type": "function", "function": call}],
    }


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # Inspect closes no client
def test_a_guarded_server_calls_tools_behind_its_prefix(tmp_path: Path) -> None:
    Guard(prefix="I care, so I will", target="openai-api/double/m").save(tmp_path / "guard.json")
    with ScriptedServer(served) as server:
        model = get_model(
            "foreword/openai-api/double/m",
            memoize=False,
            base_url=server.url,
            api_key="none",
            guard=str(tmp_path / "guard.json"),
        )
        log = _agent(model, tmp_path)
    assert log.results.scores[0].metrics["accuracy"].value == 1
    replies = [m for m in log.samples[0].messages if m.role == "assistant"]
    assert [m.text.split("\n")[0] for m in replies] == [
        "I care, so I will add.",
        "I care, so I will submit.",
    ]
    assert [call.function for call in replies[0].tool_calls] == ["add"]
    assert {m.metadata["prefix"] for m in replies} == {"I care, so I will"}
    last = [body["messages"][-1] for body in server.asked]
    assert last == [{"role": "assistant", "content": "I care, so I will"}] * 2
    assert all(tool["type"] == "function" for tool in server.asked[0]["tools"])
