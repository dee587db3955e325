"""OpenAI's /responses: what is asked, whole answers and streams, as for a chat; pure.

The reply begins with the prefix by an assistant item in progress at the end of `input`.
`previous_response_id` and `conversation` pass: what a server remembers comes before the
items that are sent, so that the beginning stays last; remembered turns are as the server
kept them. `background` is refused: its answer is fetched by a route that is not here.

Covered: prefills and forged turns in them, thoughts put before the reply, earlier turns,
calls without words included. Not covered: turns that a server opens by itself after tools
it runs (`web_search`, `mcp`); a reply of calls alone shows no prefix; `logprobs` keep an echo.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson

from foreword.defences.guard import Guard
from foreword.gateway.answers import settled
from foreword.gateway.requests import Asked, BadRequest, carried, is_text, prefill, with_suffix
from foreword.gateway.streams import FIELD, Lines, Opening
from foreword.models.dialects import Body, Dialect, opened

_DELTA, _DONE = "response.output_text.delta", "response.output_text.done"
# With these no more of the first text comes.
_LAST = (_DONE, "response.completed", "response.incomplete", "response.failed")
_PARTS = ("response.content_part.added", "response.content_part.done")
_PLACE = ("item_id", "output_index", "content_index")


def guard_responses(body: Body, guard: Guard, way: Dialect) -> Asked:
    """Put a guard on a request of /responses.

    Of the coming turn only the text is kept, as in a chat: with a client's thoughts before
    it, it would not begin with the prefix.

    Raises:
        BadRequest: the input is malformed, a prefill forges a turn, a call lacks its output,
            or the answer would come where no guard is.
    """
    if body.get("background"):
        raise BadRequest("'background' is not allowed: this gateway has no route to its answer")
    if body.get("messages") is not None:
        raise BadRequest("'messages' belongs to /v1/chat/completions; here it is 'input'")
    items = _items(body)
    if guard.placement == "suffix":
        text = body["input"] if isinstance(body["input"], str) else None
        ended = with_suffix(items, guard, "input_text") if text is None else guard.end(text)
        return Asked({**body, "input": ended}, "")
    start = _coming(items)
    spoken = enumerate(items[start:], start)
    begun = guard.begin(
        prefill([(f"input[{at}]", item.get("content")) for at, item in spoken if _speaks(item)])
    )
    history = _recalled(items[:start], guard)
    return Asked(way.ask({**body, "input": [*history, opened(begun)]}, "input"), begun)


def settle_responses(answer: Body, begun: str, *, echo: bool, show: bool) -> Body:
    """A whole answer without the beginning, or with it once, in its first text."""
    return _in_answer(answer, lambda text: settled(text, begun, echo=echo, show=show))


class ResponsesStream(Lines):
    """Takes the upstream's bytes in any pieces, gives the client's.

    The first pieces of the first text are changed, and the events that repeat it whole.
    """

    def __init__(self, begun: str, *, echo: bool, echo_whole: bool, show: bool) -> None:
        """`echo` is of the pieces; `echo_whole` of texts that are repeated, as in whole answers."""
        super().__init__(raw=not begun or echo == echo_whole == show)
        self._opening = Opening(begun, show=show)
        self._opening.done = echo == show
        self._whole = partial(settled, begun=begun, echo=echo_whole, show=show)
        self._place: Body | None = None  # of the first text
        self._name = ""  # of the event whose data comes next, if it has been named

    def _settle(self, line: bytes) -> bytes:
        if line.startswith(b"event:"):
            self._name = line[len(b"event:") :].strip().decode(errors="replace")
            return self._held() + line if self._name in _LAST else line
        if not line.startswith(FIELD):
            return line
        name, self._name = self._name, ""
        event = None if name == _DELTA and self._opening.done else _read(line)
        if event is None:
            return line
        before = self._held() if not name and event.get("type") in _LAST else b""
        if (settled := self._event(event)) is not event:
            end = b"\r" if line.endswith(b"\r") else b""
            line = FIELD + b" " + orjson.dumps(settled) + end
        return before + line

    def _event(self, event: Body) -> Body:
        """The event as the client sees it; itself where it bears no beginning."""
        kind = event.get("type")
        changed: Body = {}
        if kind == _DELTA and _has(event, "delta") and self._first(event):
            changed = {"delta": self._opening.take(event["delta"])}
        elif kind == _DONE and _has(event, "text") and self._first(event):
            changed = {"text": self._whole(event["text"])}
        elif kind in _PARTS and _is_output(event.get("part")) and self._first(event):
            part = event["part"]
            done = kind == _PARTS[1]
            changed = {"part": {**part, "text": self._whole(part["text"])}} if done else {}
        elif kind == "response.output_item.done" and self._holds(event.get("item")):
            changed = {"item": _in_item(event["item"], self._whole)}
        elif isinstance(event.get("response"), dict):
            changed = {"response": _in_answer(event["response"], self._whole)}
        new = {key: value for key, value in changed.items() if value != event[key]}
        return {**event, **new} if new else event

    def _first(self, event: Body) -> bool:
        """Whether an event is about the first text; the first that is about one decides."""
        place = {key: event[key] for key in _PLACE if key in event}
        self._place = place if self._place is None else self._place
        return place == self._place

    def _holds(self, item: Any) -> bool:
        """Whether an item holds the first text."""
        if not isinstance(item, dict) or _in_item(item, self._whole) is item:
            return False
        return self._place is None or self._place.get("item_id") == item.get("id")

    def _held(self) -> bytes:
        """An event of its own for words of the first text that no piece has brought."""
        if self._opening.done or self._place is None:
            return b""
        words = self._opening.take("")
        words += "" if self._opening.done else self._opening.release()
        if not words:
            return b""
        event = {"type": _DELTA, **self._place, "delta": words, "logprobs": []}
        return b"event: " + _DELTA.encode() + b"\n" + FIELD + b" " + orjson.dumps(event) + b"\n\n"


def _items(body: Body) -> list[Body]:
    asked = body.get("input")
    if isinstance(asked, str):
        return [{"role": "user", "content": asked}]
    if not isinstance(asked, list) or not asked:
        raise BadRequest("'input' must be a string or a list of at least one item")
    for at, item in enumerate(asked):
        if not isinstance(item, dict) or not (_has(item, "type") or _has(item, "role")):
            raise BadRequest(f"input[{at}] must be an object with a type or a role")
    return asked


def _coming(items: list[Body]) -> int:
    """Where the turn begins that the model is to go on with: its length if nothing is begun."""
    at = len(items)
    while at and (_speaks(items[at - 1]) or items[at - 1].get("type") == "reasoning"):
        at -= 1
    if at and _calls(items[at - 1]):
        raise BadRequest(f"input[{at - 1}] is a call without its output: no reply begins there")
    return at


def _recalled(items: list[Body], guard: Guard) -> list[Body]:
    """Earlier turns as the model wrote them: each with the prefix, though it only call a tool."""
    history: list[Body] = []
    begun = False  # the turn under way has its prefix
    for item in items:
        if _speaks(item):
            history.append(item if begun else carried(item, guard))
        elif _calls(item) and not begun:
            history += [{**opened(guard.prefix), "status": "completed"}, item]
        else:
            history.append(item)
        begun = _speaks(item) or _calls(item) or (begun and item.get("type") == "reasoning")
    return history


def _speaks(item: Body) -> bool:
    return item.get("role") == "assistant"


def _calls(item: Mapping[str, Any]) -> bool:
    """Whether the model calls a tool here: function_call, custom_tool_call, web_search_call."""
    return str(item.get("type")).endswith("_call")


def _has(fields: Mapping[str, Any], name: str) -> bool:
    return isinstance(fields.get(name), str)


def _is_output(part: Any) -> bool:
    return is_text(part) and part.get("type") == "output_text"


def _read(line: bytes) -> Body | None:
    """The event of a line; None where there is none, which is not ours to mend."""
    payload = line[len(FIELD) :].strip()
    try:
        event = {"type": _LAST[-1]} if payload == b"[DONE]" else orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) else None


def _in_answer(answer: Body, settle: Callable[[str], str]) -> Body:
    """An answer with its first text settled; itself if it has none."""
    output = answer.get("output")
    if not isinstance(output, list):
        return answer
    for at, item in enumerate(output):
        if (settled := _in_item(item, settle)) is not item:
            whole = answer.get("output_text")
            both = {"output_text": settle(whole)} if isinstance(whole, str) else {}
            return {**answer, "output": [*output[:at], settled, *output[at + 1 :]], **both}
    return answer


def _in_item(item: Any, settle: Callable[[str], str]) -> Any:
    """A message with its first text settled; itself if it has none."""
    content = item.get("content") if isinstance(item, dict) else None
    if not isinstance(content, list) or item.get("type") != "message":
        return item
    for at, part in enumerate(content):
        if _is_output(part):
            settled = {**part, "text": settle(part["text"])}
            return {**item, "content": [*content[:at], settled, *content[at + 1 :]]}
    return item
