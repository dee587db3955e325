"""Inspect's model provider `foreword`: local engines, and guards over any provider.

    foreword/local/<source>        the local engine, batched   -M adapter=agent -M guard=guard.json
    foreword/<provider>/<model>    any other Inspect provider  -M guard=guard.json

The completion is prefix + continuation; the prefix alone stands in the metadata
of output and message, so that the judge can tell whose words are whose.

A local engine is told of tools in words (see `tools`). Not covered: proof that a remote
server continues the trailing assistant turn (see docs/evals.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageUser,
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
from foreword.evals.batching import MAX_BATCH, Batcher, Settings
from foreword.evals.tools import heard, spoken

if TYPE_CHECKING:
    from inspect_ai.model import Model as InspectModel

    from foreword.defences.guard import Guard

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
        **load_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        if engine is None:
            from foreword import models

            engine = models.load(model_name.removeprefix(_LOCAL), **load_args)
        if guard is not None:
            from foreword.defences.guarded import GuardedModel

            engine = GuardedModel(engine, load_guard(guard))
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
    """Any other Inspect provider with a guard in front."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        *,
        guard: str | None = None,
        **model_args: Any,
    ) -> None:
        if guard is None:
            raise ConfigError(
                f"foreword/{model_name} puts a guard before {model_name}: name it by -M guard=FILE"
            )
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
        self.guard = load_guard(guard)
        self.guard.check_target(model_name)

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """The other provider's reply to the guarded messages.

        Raises:
            ModelError: if the provider answered without a choice.
        """
        guarded = guard_messages(self.guard, input)
        result = await self.inner.generate(guarded, tools, tool_choice, config)
        output = result[0] if isinstance(result, tuple) else result
        if isinstance(output, Exception):
            raise output
        if not output.choices:
            raise ModelError(f"{self.model_name} answered without a choice")
        last = guarded[-1]
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


def load_guard(path: str) -> Guard:
    """The guard a `-M guard=FILE` names."""
    from foreword.defences.guard import Guard

    return Guard.load(path)


def split_prefill(messages: list[Message]) -> tuple[list[Message], str]:
    """The chat without a trailing assistant turn, and that turn's text."""
    if messages and messages[-1]["role"] == "assistant":
        return messages[:-1], messages[-1]["content"]
    return messages, ""


def guard_messages(guard: Guard, messages: list[ChatMessage]) -> list[ChatMessage]:
    """Inspect's messages with the guard applied; those it leaves alone stay as they are."""
    plain = [_message(message) for message in messages]
    applied = list(guard.apply(plain))
    guarded = [
        message if after == before else message.model_copy(update={"content": after["content"]})
        for message, before, after in zip(messages, plain, applied, strict=False)
    ]
    return guarded + [_chat_message(added) for added in applied[len(plain) :]]


def with_prefix(output: ModelOutput, prefix: str) -> ModelOutput:
    """The output as the environment sees it: prefix first, whether the server echoed it or not."""
    for choice in output.choices:
        words = choice.message.text.removeprefix(prefix)
        choice.message.content = prefix + words
        choice.message.metadata = {**(choice.message.metadata or {}), "prefix": prefix}
    output.completion = output.choices[0].message.text
    output.metadata = {**(output.metadata or {}), "prefix": prefix}
    return output


def _message(message: ChatMessage) -> Message:
    return {"role": message.role, "content": message.text}


def _chat_message(message: Message) -> ChatMessage:
    if message["role"] == "assistant":
        return ChatMessageAssistant(content=message["content"])
    return ChatMessageUser(content=message["content"])


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
