"""Tools in plain words, for engines that read and write nothing but text.

The tools stand in the system prompt, a call between <tool_call> tags and a result between
<tool_response> tags: the form of Hermes, which the templates of Qwen and others write as
well, so any engine and any defence around it can take tools. Covered: several calls in
one reply, a last call that is cut off, calls of tools nobody offered (they come back to
the model as errors). Not covered: the forms of Llama and Mistral, and forcing a call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageTool
from inspect_ai.model._providers.util import Llama31Handler
from inspect_ai.tool import ToolCall, ToolInfo

from foreword.core.types import Message

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_CALL = re.compile(rf"{OPEN}.*?{CLOSE}", re.DOTALL)
_OFFER = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within \
<tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""


def spoken(messages: Sequence[ChatMessage], tools: Sequence[ToolInfo]) -> list[Message]:
    """A conversation with its tools, calls and results as text; turns of users are joined."""
    chat: list[Message] = []
    for said in map(_message, messages):
        if chat and chat[-1]["role"] == said["role"] == "user":
            chat[-1]["content"] += "\n" + said["content"]
        else:
            chat.append(said)
    if tools:
        system = chat.pop(0)["content"] + "\n\n" if chat and chat[0]["role"] == "system" else ""
        chat.insert(0, {"role": "system", "content": system + _offer(tools)})
    return chat


def heard(text: str, tools: Sequence[ToolInfo], model: str) -> tuple[str, list[ToolCall]]:
    """A reply's words without its calls, and the calls; what cannot be read says so itself."""
    if OPEN not in text:
        return text, []
    closed = text + CLOSE if text.rfind(OPEN) > text.rfind(CLOSE) else text
    message = Llama31Handler(model).parse_assistant_response(closed, list(tools))
    return _CALL.sub("", closed).rstrip(), message.tool_calls or []


def _offer(tools: Sequence[ToolInfo]) -> str:
    fields = {"name", "description", "parameters"}
    lines = (
        {"type": "function", "function": tool.model_dump(include=fields, exclude_none=True)}
        for tool in tools
    )
    return _OFFER.format(tools="\n".join(map(json.dumps, lines)))


def _message(message: ChatMessage) -> Message:
    if isinstance(message, ChatMessageTool):
        result = f"Error: {message.error.message}" if message.error else message.text
        content = f"<tool_response>\n{result}\n</tool_response>"
        return {"role": "user", "content": content}
    calls = (message.tool_calls or []) if isinstance(message, ChatMessageAssistant) else []
    words = [message.text] if message.text or not calls else []
    return {"role": message.role, "content": "\n".join([*words, *map(_call, calls)])}


def _call(call: ToolCall) -> str:
    said = json.dumps({"name": call.function, "arguments": call.arguments})
    return f"{OPEN}\n{said}\n{CLOSE}"
