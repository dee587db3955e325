"""The guard as a guardrail of LiteLLM's proxy, for people who already run one.

LiteLLM loads `ForewordGuardrail` by name from its config.yaml (docs/deploy.md).
Covered: chat completions, whole and as streams, by the gateway's own pure functions;
fields and fallbacks by which a client could undo the guard. Other routes that give
words are refused. Not covered: proof that the server continues (`foreword doctor
--server URL`); where it echoes is not known here, so a reply that repeats the guard's
words by itself loses them once; routes for which LiteLLM runs no pre-call hook.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from foreword.core.errors import ConfigError
from foreword.defences.guard import Guard
from foreword.gateway.answers import settle_chat
from foreword.gateway.requests import BadRequest, check_rendering, guard_chat
from foreword.gateway.streams import Opening
from foreword.models import dialects

try:
    from litellm.integrations.custom_guardrail import CustomGuardrail
except ImportError as error:
    raise ConfigError(
        "foreword.gateway.litellm is loaded by LiteLLM's proxy, and litellm is not installed "
        "here; install foreword into the proxy's environment, or use `foreword serve`"
    ) from error

Data = dict[str, Any]  # a request on its way through LiteLLM

MODES = frozenset({"pre_call", "post_call"})
CHAT = frozenset({"completion", "acompletion"})
# Routes whose answers hold no words of a model that could need a guard.
WORDLESS = frozenset(
    prefix + name
    for prefix in ("", "a")
    for name in ("embedding", "moderation", "rerank", "image_generation", "transcription", "speech")
)
TEMPLATE = "chat_template_kwargs"
# With these LiteLLM would write other messages after the guard, or ask again without it.
REWRITING = ("prompt_id", "prompt_variables", "custom_prompt_dict")
FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


class Refused(BadRequest):
    """A request that is not passed on; LiteLLM reads the attributes for its 400."""

    status_code = 400
    type = "invalid_request_error"
    code = "invalid_request"

    @property
    def message(self) -> str:
        """For the client."""
        return str(self)


class ForewordGuardrail(CustomGuardrail):  # type: ignore[misc]  # litellm is no dependency
    """Begins every chat reply with a guard's prefix."""

    def __init__(
        self, *, guard: str, dialect: str, show_prefix: bool = False, event_hook: Any, **rest: Any
    ) -> None:
        """`guard` is a guard.json, `dialect` as in docs/gateway.md; the rest is LiteLLM's.

        Raises:
            ConfigError: the guard cannot be read, or the mode lacks a hook.
            UnknownName: there is no such dialect.
        """
        if not isinstance(event_hook, list) or not set(event_hook) >= MODES:
            raise ConfigError("a foreword guardrail needs `mode: [pre_call, post_call]`")
        super().__init__(event_hook=event_hook, **rest)
        self._guard, self._way = Guard.load(guard), dialects.dialect(dialect)
        self._show = show_prefix

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: Data, call_type: str
    ) -> Data:
        """Put the guard on a request.

        Raises:
            Refused: it is malformed, or a route that is not guarded here.
        """
        if call_type in WORDLESS:
            return data
        try:
            if call_type not in CHAT:
                raise BadRequest(f"no guard for {call_type!r}; use /v1/chat/completions")
            _guard_in_place(data, self._guard, self._way)
        except BadRequest as error:
            raise Refused(str(error)) from error
        return data

    async def async_post_call_success_hook(
        self, data: Data, user_api_key_dict: Any, response: Any
    ) -> Any:
        """Hide the beginning of a whole answer, or show it once."""
        if begun := self._begun(data):
            messages = [choice.message for choice in response.choices]
            plain = [
                {"message": {"content": m.content, "tool_calls": getattr(m, "tool_calls", None)}}
                for m in messages
            ]
            settled = settle_chat({"choices": plain}, begun, echo=True, show=self._show)
            for message, choice in zip(messages, settled["choices"], strict=True):
                message.content = choice["message"]["content"]
        return response

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: AsyncIterator[Any], request_data: Data
    ) -> AsyncGenerator[Any]:
        """The same for a stream of LiteLLM's chunks."""
        begun = self._begun(request_data)
        openings: dict[int, _Opening] = {}
        async for chunk in response:
            for choice in getattr(chunk, "choices", ()) if begun else ():
                opening = openings.setdefault(choice.index, _Opening(begun, show=self._show))
                piece = choice.delta.content
                words = opening.take(piece or "", last=bool(choice.finish_reason))
                if words or piece is not None:
                    choice.delta.content = words
            yield chunk

    def _begun(self, data: Data) -> str:
        """What the reply began with, as the pre-call hook left it in the request."""
        messages = data.get("messages")
        if self._guard.placement == "suffix" or not messages:
            return ""
        last = messages[-1]
        return str(last["content"]) if last["role"] == "assistant" else ""


class _Opening:
    """The first words of one choice of a stream whose server may echo, or not."""

    def __init__(self, begun: str, *, show: bool) -> None:
        self._echo = Opening(begun, show=False)
        self._shown = Opening(begun if show else "", show=True)

    def take(self, piece: str, *, last: bool) -> str:
        """The words to pass on; LiteLLM ends every choice by a chunk that is the last."""
        words = self._echo.take(piece)
        if last and not self._echo.done:
            words += self._echo.release()
        return self._shown.take(words)


def _guard_in_place(data: Data, guard: Guard, way: dialects.Dialect) -> None:
    """Guard the messages; what the dialect adds goes by `extra_body`, which LiteLLM sends as it is.

    In place, because LiteLLM keeps only the messages of what some of its hooks return.
    """
    extra = data.get("extra_body") or {}
    if not isinstance(extra, dict):
        raise BadRequest("'extra_body' must be an object")
    _refuse(data, extra)
    named = {TEMPLATE: data[TEMPLATE]} if TEMPLATE in data else {}
    asked = guard_chat({**extra, **named, "messages": data.get("messages")}, guard, way)
    for field in (*dialects.REQUEST_FIELDS, TEMPLATE):
        data.pop(field, None)
    data["messages"] = asked.body["messages"]
    data["extra_body"] = {key: value for key, value in asked.body.items() if key != "messages"}


def _refuse(data: Data, extra: Data) -> None:
    """Whatever would let a client past the guard."""
    for body in (data, extra):
        check_rendering(body)
    for field in REWRITING:
        if data.get(field) is not None or extra.get(field) is not None:
            raise BadRequest(f"{field!r} is not allowed: replies here are begun by a guard")
    if "messages" in extra:
        raise BadRequest("'messages' is not allowed in 'extra_body'")
    for field in FALLBACKS:
        if any(not isinstance(each, str) for each in data.get(field) or ()):
            raise BadRequest(f"{field!r} may only name models")
    for tool in data.get("tools") or ():
        if isinstance(tool, dict) and tool.get("type") == "mcp":
            raise BadRequest("tools of type 'mcp' are not allowed: their later turns have no guard")
