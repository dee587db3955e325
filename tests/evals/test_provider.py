"""The provider under real Inspect evaluations, with small scripted engines and Inspect's mock."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import inspect_ai
import pytest
from inspect_ai.dataset import Sample
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    ContentImage,
    ContentReasoning,
    ContentText,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.solver import generate
from inspect_ai.tool import ToolCall

from foreword.core.errors import ConfigError, ForewordWarning, UnknownName
from foreword.core.types import Chat, Reply
from foreword.defences.guard import Guard
from foreword.defences.registry import REWRITES
from foreword.evals.batching import MAX_BATCH
from foreword.evals.provider import inspect_model, rewritten, with_prefix


class Shouter:
    """Answers with the last message in capitals."""

    fingerprint = "shouter@1"

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.settings: list[dict[str, Any]] = []

    def generate(self, chats: Sequence[Chat], *, prefix: str = "", **rest: Any) -> list[Reply]:
        self.batches.append(len(chats))
        self.settings.append({"prefix": prefix, **rest})
        return [Reply(prefix, chat[-1]["content"].upper(), 2, True) for chat in chats]


def guard_file(folder: Path, prefix: str, target: str, placement: Any = "prefix") -> str:
    Guard(prefix=prefix, placement=placement, target=target).save(folder / "guard.json")
    return str(folder / "guard.json")


def _eval(model: Any, log_dir: Path, requests: Sequence[str], **options: Any) -> Any:
    task = inspect_ai.Task(
        dataset=[Sample(id=text, input=text) for text in requests], solver=generate()
    )
    logs = inspect_ai.eval(
        task, model, display="none", log_dir=str(log_dir), ctl_server=False, **options
    )
    assert logs[0].status == "success", logs[0].error
    return logs[0]


def test_concurrent_samples_share_batches(tmp_path: Path) -> None:
    engine = Shouter()
    words = [f"word{index}" for index in range(200)]
    log = _eval(inspect_model(engine), tmp_path, words, max_connections=256, max_tokens=7)
    assert {s.id: s.output.completion for s in log.samples} == {w: w.upper() for w in words}
    assert sum(engine.batches) == 200 and len(engine.batches) <= 4
    assert max(engine.batches) == MAX_BATCH < 200
    assert engine.settings[0]["max_new_tokens"] == 7
    assert log.eval.model == "foreword/local/shouter@1"


def test_a_guard_prefix_is_prefilled_and_kept_apart(tmp_path: Path) -> None:
    engine = Shouter()
    guard = guard_file(tmp_path, "I care, so I", engine.fingerprint)
    model = get_model("foreword/local/shouter", memoize=False, engine=engine, guard=guard)
    log = _eval(model, tmp_path, ["go"])
    message = log.samples[0].messages[-1]
    assert message.text == "I care, so IGO"
    assert message.metadata["prefix"] == "I care, so I"
    assert engine.settings[0]["prefix"] == "I care, so I"


def test_a_guard_suffix_changes_the_request_alone(tmp_path: Path) -> None:
    engine = Shouter()
    guard = guard_file(tmp_path, "Mind others.", engine.fingerprint, "suffix")
    model = get_model("foreword/local/shouter", memoize=False, engine=engine, guard=guard)
    log = _eval(model, tmp_path, ["go"])
    assert log.samples[0].output.completion == "GO\nMIND OTHERS."
    assert log.samples[0].messages[-1].metadata["prefix"] == ""


def test_a_damaged_guard_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "guard.json").write_text("{")
    with pytest.raises(ConfigError, match="damaged"):
        get_model(
            "foreword/local/shouter",
            memoize=False,
            engine=Shouter(),
            guard=str(tmp_path / "guard.json"),
        )


def test_any_other_provider_can_be_guarded(tmp_path: Path) -> None:
    seen: list[Any] = []

    def answer(messages: Any, *rest: Any) -> Any:
        seen.append(messages)
        output = ModelOutput.from_content("mock", " refuse.")
        output.usage = ModelUsage()  # or the mock would fetch a tokenizer
        return output

    model = get_model(
        "foreword/mockllm/model",
        memoize=False,
        guard=guard_file(tmp_path, "I must", "mockllm/model"),
        custom_outputs=answer,
    )
    log = _eval(model, tmp_path, ["go"])
    assert [message.role for message in seen[0]] == ["user", "assistant"]
    assert log.samples[0].output.completion == "I must refuse."
    assert log.samples[0].messages[-1].metadata["prefix"] == "I must"


@pytest.mark.parametrize("prefix", ["I must", ""])
def test_thoughts_of_another_provider_stay(prefix: str) -> None:
    thought = ContentReasoning(reasoning="hm", signature="s")
    output = ModelOutput.from_content("mock", [thought, ContentText(text=" refuse.")])
    words = output.choices[0].message.content
    begun = with_prefix(output, prefix).choices[0].message
    assert begun.content == [thought, ContentText(text=f"{prefix} refuse.")]
    assert prefix or begun.content is words
    assert output.completion == f"{prefix} refuse."


def test_another_provider_needs_a_guard() -> None:
    with pytest.raises(ConfigError, match="-M guard=FILE"):
        get_model("foreword/mockllm/model", memoize=False)


def test_an_engine_that_fails_is_a_sample_error(tmp_path: Path) -> None:
    class Broken(Shouter):
        def generate(self, chats: Sequence[Chat], **rest: Any) -> list[Reply]:
            raise RuntimeError("out of memory")

    task = inspect_ai.Task(dataset=[Sample(input="go")], solver=generate(), fail_on_error=False)
    log = inspect_ai.eval(
        task, inspect_model(Broken()), display="none", log_dir=str(tmp_path), ctl_server=False
    )[0]
    assert log.status == "success"
    assert log.samples is not None and log.samples[0].error is not None
    assert "out of memory" in log.samples[0].error.message


@pytest.mark.parametrize("placement", ["prefix", "suffix"])
def test_guarded_messages_keep_what_the_guard_leaves_alone(placement: Any) -> None:
    words = random.Random(0).sample("abcdefgh", 3)
    messages = [
        ChatMessageSystem(content=words[0]),
        ChatMessageAssistant(content=words[1]),
        ChatMessageUser(content=words[2]),
    ]
    guard = Guard(prefix="Mind.", placement=placement, target="any")
    guarded = rewritten([guard], messages)
    assert all(a is b for a, b in zip(guarded[:2], messages, strict=False))
    assert guarded[-1].text == ("Mind." if placement == "prefix" else f"{words[2]}\nMind.")


def test_a_rewrite_keeps_pictures_and_tool_calls() -> None:
    call = ToolCall(id="1", function="look", arguments={})
    picture = ContentImage(image="data:image/png;base64,AA==")
    messages = [
        ChatMessageUser(content=[ContentText(text="What is this?"), picture]),
        ChatMessageAssistant(content="", tool_calls=[call]),
        ChatMessageTool(content="a cat", tool_call_id="1"),
    ]
    steps = [REWRITES[name] for name in ("self-reminder", "icd", "ptst")]
    system, _, shown, asked, *rest = rewritten(steps, messages)
    assert (system.role, shown.role) == ("system", "assistant")
    assert all(a is b for a, b in zip(rest, messages[1:], strict=True))
    assert "What is this?" in asked.text and asked.text != "What is this?"
    assert asked.content[1] == picture and asked.id == messages[0].id


def test_a_defence_stands_before_any_provider(tmp_path: Path) -> None:
    seen: list[Any] = []

    def answer(messages: Any, *rest: Any) -> Any:
        seen.append(messages)
        output = ModelOutput.from_content("mock", " refuse.")
        output.usage = ModelUsage()
        return output

    model = get_model(
        "foreword/mockllm/model",
        memoize=False,
        defence="ptst+ping",
        guard=guard_file(tmp_path, "I must", "mockllm/model"),
        custom_outputs=answer,
    )
    log = _eval(model, tmp_path, ["go"])
    assert [message.role for message in seen[0]] == ["system", "user", "assistant"]
    assert log.samples[0].output.completion == "I must refuse."


def test_a_defence_stands_before_an_engine(tmp_path: Path) -> None:
    engine = Shouter()
    model = get_model("foreword/local/shouter", memoize=False, engine=engine, defence="static:No,")
    assert _eval(model, tmp_path, ["go"]).samples[0].output.completion == "No,GO"


@pytest.mark.parametrize(
    ("defence", "says"),
    [("critique", "asks a model by itself"), ("ping", "--guard FILE"), ("static", "needs words")],
)
def test_what_cannot_stand_before_a_provider_is_a_config_error(defence: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        get_model("foreword/mockllm/model", memoize=False, defence=defence)


@pytest.mark.parametrize("model", ["foreword/local/shouter", "foreword/mockllm/model"])
def test_an_empty_defence_is_not_the_guard_alone(tmp_path: Path, model: str) -> None:
    engine = {"engine": Shouter()} if "local" in model else {}
    with pytest.raises(UnknownName, match="unknown defence ''"):
        get_model(
            model, memoize=False, defence="", guard=guard_file(tmp_path, "I", "any"), **engine
        )


def test_a_guard_for_another_model_warns_before_a_provider(tmp_path: Path) -> None:
    with pytest.warns(ForewordWarning, match="found for 'else'"):
        get_model("foreword/mockllm/model", memoize=False, guard=guard_file(tmp_path, "I", "else"))
