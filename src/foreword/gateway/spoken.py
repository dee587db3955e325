"""What a request asks and what an answer says, as a check reads them, whatever the route.

Text, reasoning and tool calls alike: an agent does harm by what it calls. What is
not understood is read as it stands, never left out. Not covered: what a client says in
the descriptions of its tools and in variables of a chat template.
"""

from __future__ import annotations

from typing import Any

import orjson

from foreword.gateway.requests import BadRequest
from foreword.models.dialects import Body

# Fields that hold no words of the model.
_MARKS = ("id", "index", "type", "role", "status", "call_id", "item_id")
_ENDS = ("finish_reason", "stop_reason", "content_filter_results")
_BESIDE = {*_MARKS, *_ENDS, "annotations", "logprobs", "token_ids", "encrypted_content"}
CALL = "\n[tool call] "  # comes before the name of a tool
# What is left of an answer that was blocked.
_BONES = ("id", "object", "created", "created_at", "model", "usage")


def conversation(path: str, body: Body) -> list[dict[str, Any]]:
    """What a check reads of a request: its messages, whatever the route.

    Raises:
        BadRequest: there is nothing a check could read.
    """
    for field in ("documents", "suffix"):
        if body.get(field):
            raise BadRequest(f"{field!r} cannot be checked")
    if path == "/v1/chat/completions":
        found = body.get("messages")
    elif path == "/v1/completions":
        prompt = body.get("prompt")
        prompts = prompt if isinstance(prompt, list) else [prompt]
        if not all(isinstance(text, str) for text in prompts):
            raise BadRequest("'prompt' must be text: token ids cannot be checked")
        found = [{"role": "user", "content": text} for text in prompts]
    else:
        found = _of_items(body)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise BadRequest("there are no messages that could be checked")
    return found


def _of_items(body: Body) -> list[dict[str, Any]]:
    """The input of /responses as messages; what is no message is kept as the words it holds."""
    given = body.get("input")
    items = given if isinstance(given, list) else [given]
    said = [{"role": "system", "content": body["instructions"]}] if body.get("instructions") else []
    for item in items:
        if isinstance(item, str):
            said.append({"role": "user", "content": item})
        elif isinstance(item, dict) and isinstance(item.get("role"), str):
            said.append({"role": item["role"], "content": item.get("content")})
        else:
            said.append({"role": "tool", "content": orjson.dumps(item).decode()})
    return said


def replies(answer: Body) -> list[str]:
    """Everything that a whole answer says: each choice, or all items of /responses together."""
    choices, output = answer.get("choices"), answer.get("output")
    if isinstance(choices, list) and choices:
        return [_said(choice) for choice in choices]
    if isinstance(output, list) and output:
        return ["\n".join(_said(item) for item in output)]
    return [orjson.dumps(answer).decode()]


def _said(value: Any) -> str:
    return "".join(_texts(value))


def _texts(value: Any) -> list[str]:
    """All text in a choice or item, but once what two fields say alike, as some servers do."""
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    if not isinstance(value, dict):
        return []
    found = {key: tuple(_texts(each)) for key, each in value.items() if key not in _BESIDE}
    if name := "".join(found.get("name", ())):
        found["name"] = (f"{CALL}{name} ",)
    if isinstance(value.get("arguments"), dict):
        found["arguments"] = (orjson.dumps(value["arguments"]).decode(),)
    return [text for texts in dict.fromkeys(found.values()) for text in texts]


def withheld(answer: Body, reason: str) -> Body:
    """The answer without what was blocked, as content filters of other services say it."""
    bones = {key: answer[key] for key in _BONES if key in answer}
    choices = answer.get("choices")
    if not isinstance(choices, list):
        error = {"code": "content_filter", "message": reason}
        return {**bones, "status": "failed", "output": [], "output_text": "", "error": error}
    kept = []
    for choice in filter(_is_object, choices):
        bare = {"index": choice.get("index", 0), "finish_reason": "content_filter"}
        message = {"role": "assistant", "content": "", "refusal": reason}
        kept.append({**bare, "message": message} if "message" in choice else {**bare, "text": ""})
    return {**bones, "choices": kept}


def words(event: Any) -> list[tuple[int, str]]:
    """What an event of a stream adds, by choice; all items of /responses are one."""
    choices = event.get("choices") if isinstance(event, dict) else None
    if isinstance(choices, list):
        return [(_index(choice), _said(choice)) for choice in choices]
    if _of_responses(event):
        delta = event.get("delta")  # text and arguments come alike
        return [(0, delta if isinstance(delta, str) else "")]
    return [(0, orjson.dumps(event).decode())]


def repeated(event: Any) -> list[str]:
    """What an event of /responses says that should have come in pieces before it."""
    if not _of_responses(event) or isinstance(event.get("delta"), str):
        return []
    whole = event.get("response")
    found = whole.get("output") if isinstance(whole, dict) else event
    return _texts(found)


def _of_responses(event: Any) -> bool:
    return isinstance(event, dict) and str(event.get("type")).startswith("response.")


def _index(choice: Any) -> int:
    index = choice.get("index") if isinstance(choice, dict) else None
    return index if isinstance(index, int) else 0


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)
