"""Inspect's model provider `foreword`: local engines, and defences over any provider.

    foreword/local/<source>        the local engine, batched   -M adapter=agent -M guard=guard.json
    foreword/<provider>/<model>    any other Inspect provider  -M defence=ptst+ping -M guard=...

A guard alone means `defence=ping`. Before another provider a defence may only change words,
as prompts and prefixes do; what asks a model or a guardrail by itself is refused there.

The completion is prefix + continuation; the prefix alone stands in the metadata
of output and message, so that the judge can tell whose words are whose.

A local engine is told of tools in words (see `tools`). Not covered: proof that a remote
server continues the trailing assistant turn (see docs/evals.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    ContentText,
    GenerateConfig,
    ModelAPI,
    ModelInfo,
    ModelOutput,
    ModelUsage,
    StopReason,
    get_model,
    modelapi,
    set_model_info,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from foreword.core.errors import ConfigError, ModelError
from foreword.core.protocols import Model
from foreword.core.types import Message, Reply
from foreword.defences.rewrites import split_prefill
from foreword.evals.batching import MAX_BATCH, Batcher, Settings
from foreword.evals.tools import heard, spoken

if TYPE_CHECKING:
    from inspect_ai.model import Model as InspectModel

    from foreword.defences.guard import Guard
    from foreword.defences.rewrites import Step

_LOCAL = "local/"


class LocalAPI(ModelAPI):
    """A core Model behind Inspect's interface; concurrent samples share batches."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        *,
        engine: Model | None = None,
        guard: str | None = None,
        defence: str | None = None,
        **load_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        if engine is None:
            from foreword import models

            engine = models.load(model_name.removeprefix(_LOCAL), **load_args)
        if guard is not None or defence is not None:
            from foreword.evals.defended import defend

            engine = defend(engine, "ping" if defence is None else defence, guard=load_guard(guard))
        self.engine = engine
        self.batcher = Batcher(engine)
        # Inspect asks for the context length by name, and for an unknown name it
        # would build the model, weights and all, a second time.
        set_model_info(f"foreword/{model_name}", ModelInfo(model=engine.fingerprint))

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """One reply of the engine.

        Raises:
            ModelError: if the engine failed.
        """
        offered = [] if tool_choice == "none" else tools
        chat, prefix = split_prefill(spoken(input, offered))
        defaults = Settings()
        settings = Settings(
            prefix,
            config.max_tokens or defaults.max_new_tokens,
            config.temperature or defaults.temperature,
            config.seed or defaults.seed,
            (config.stop_seqs or [defaults.stop])[0],
        )
        return _output(self.model_name, await self.batcher.ask(chat, settings), offered)

    def max_connections(self) -> int:
        """As many as fill a batch."""
        return MAX_BATCH

    def connection_key(self) -> str:
        """One pool an engine."""
        return f"{self.model_name}-{id(self.engine)}"

    def collapse_user_messages(self) -> bool:
        """Templates want user and assistant to take turns."""
        return True


class GuardedAPI(ModelAPI):
    """Any other Inspect provider with words of a defence around every conversation."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        *,
        guard: str | None = None,
        defence: str | None = None,
        **model_args: Any,
    ) -> None:
        if guard is None and defence is None:
            raise ConfigError(
                f"foreword/{model_name} puts a defence before {model_name}: "
                "name it by -M guard=FILE or -M defence=NAME"
            )
        from foreword.evals.defended import steps

        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        inner = get_model(
            model_name,
            config=config,
            base_url=base_url,
            api_key=api_key,
            memoize=False,
            **model_args,
        )
        self.inner = inner.api
        self.steps = steps(model_name, "ping" if defence is None else defence, load_guard(guard))

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """The other provider's reply to the rewritten messages.

        Raises:
            ModelError: if the provider answered without a choice.
        """
        asked = rewritten(self.steps, input)
        result = await self.inner.generate(asked, tools, tool_choice, config)
        output = result[0] if isinstance(result, tuple) else result
        if isinstance(output, Exception):
            raise output
        if not output.choices:
            raise ModelError(f"{self.model_name} answered without a choice")
        last = asked[-1]
        return with_prefix(output, last.text if isinstance(last, ChatMessageAssistant) else "")

    async def aclose(self) -> None:
        """Close the other provider's connections."""
        await self.inner.aclose()

    def should_retry(self, ex: Exception) -> Any:
        """As the other provider decides."""
        return self.inner.should_retry(ex)

    def max_tokens(self) -> int | None:
        """As the other provider."""
        return self.inner.max_tokens()

    def max_connections(self) -> int:
        """As the other provider."""
        return self.inner.max_connections()

    def connection_key(self) -> str:
        """As the other provider."""
        return self.inner.connection_key()

    def collapse_user_messages(self) -> bool:
        """As the other provider."""
        return self.inner.collapse_user_messages()

    def collapse_assistant_messages(self) -> bool:
        """As the other provider."""
        return self.inner.collapse_assistant_messages()


@modelapi(name="foreword")
def provider() -> Any:
    """What Inspect finds as `foreword`: which API it is, the model's name decides."""

    def choose(model_name: str, **kwargs: Any) -> ModelAPI:
        api = LocalAPI if model_name.startswith(_LOCAL) else GuardedAPI
        return api(model_name, **kwargs)

    return choose


def inspect_model(engine: Model) -> InspectModel:
    """An engine that is already in memory, as a model for inspect_ai.eval()."""
    return get_model(f"foreword/{_LOCAL}{engine.fingerprint}", memoize=False, engine=engine)


def load_guard(path: str | None) -> Guard | None:
    """The guard a `-M guard=FILE` names, if it does."""
    from foreword.defences.guard import Guard

    return None if path is None else Guard.load(path)


class _Placed(Message):
    """A message that knows where it came from: steps keep what they do not know."""

    at: int


def rewritten(steps: Sequence[Step], messages: list[ChatMessage]) -> list[ChatMessage]:
    """Inspect's messages after all steps; those that they leave alone stay as they are."""
    said: list[Message] = [
        _Placed(role=message.role, content=message.text, at=at)
        for at, message in enumerate(messages)
    ]
    for step in steps:
        said = step.apply(said)
    return [_chat_message(each, messages) for each in said]


def with_prefix(output: ModelOutput, prefix: str) -> ModelOutput:
    """The output as the environment sees it: prefix first, whether the server echoed it or not."""
    for choice in output.choices:
        if prefix:
            _begin(choice.message, prefix)
        choice.message.metadata = {**(choice.message.metadata or {}), "prefix": prefix}
    output.completion = output.choices[0].message.text
    output.metadata = {**(output.metadata or {}), "prefix": prefix}
    return output


def _begin(message: ChatMessageAssistant, prefix: str) -> None:
    """Put the prefix before a message's first text, if it is not there; its thoughts stay."""
    if isinstance(message.content, str):
        message.content = prefix + message.content.removeprefix(prefix)
        return
    parts = list(message.content)
    for at, part in enumerate(parts):
        if isinstance(part, ContentText):
            parts[at] = part.model_copy(update={"text": prefix + part.text.removeprefix(prefix)})
            break
    else:
        parts.append(ContentText(text=prefix))
    message.content = parts


def _chat_message(message: Message, originals: list[ChatMessage]) -> ChatMessage:
    """The original with its new words, or a message that a step has added."""
    at, words = cast(dict[str, Any], message).get("at"), message["content"]
    if at is None:
        makers: dict[str, Callable[..., ChatMessage]] = {
            "system": ChatMessageSystem,
            "assistant": ChatMessageAssistant,
        }
        return makers.get(message["role"], ChatMessageUser)(content=words)
    original: ChatMessage = originals[at]
    if original.text == words:
        return original
    parts = [] if isinstance(original.content, str) else original.content
    others = [part for part in parts if part.type != "text"]  # pictures
    content = [ContentText(text=words), *others] if others else words
    return original.model_copy(update={"content": content})


def _output(model_name: str, reply: Reply, tools: Sequence[ToolInfo]) -> ModelOutput:
    words, calls = heard(reply.text, tools, model_name) if tools else (reply.text, [])
    ended: StopReason = "stop" if reply.stopped else "max_tokens"
    return ModelOutput(
        model=model_name,
        choices=[
            ChatCompletionChoice(
                message=ChatMessageAssistant(
                    content=words,
                    tool_calls=calls or None,
                    model=model_name,
                    source="generate",
                    metadata={
                        "prefix": reply.prefix,
                        "read": reply.read,
                        "tokens": reply.tokens,
                        "seconds": round(reply.seconds, 6),
                    },
                ),
                stop_reason="tool_calls" if calls else ended,
            )
        ],
        usage=ModelUsage(
            input_tokens=reply.read,
            output_tokens=reply.tokens,
            total_tokens=reply.read + reply.tokens,
        ),
        metadata={"prefix": reply.prefix},
    )
