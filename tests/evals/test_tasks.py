"""Suites as Inspect tasks: what a sample says, and names that nobody knows."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.model import ChatMessage

from foreword.core.errors import DataError, UnknownName
from foreword.core.types import Chat, Label, Reply, Setup
from foreword.evals import registry
from foreword.evals.run import evaluate
from foreword.evals.tasks import sample
from foreword.suites import Suite, get
from foreword.suites.base import EXECUTE
from foreword.testing.evals import RuleAgent, WordJudge, small_suite


class Refusing(RuleAgent):
    """Whatever it is asked, and as if a prefix had been put before it."""

    def generate(self, chats: Sequence[Chat], *, prefix: str = "", **rest: Any) -> list[Reply]:
        return [Reply("I", " cannot do that.", 4, True) for _ in chats]


def roles(messages: str | list[ChatMessage]) -> list[str]:
    assert not isinstance(messages, str)
    return [message.role for message in messages]


def test_a_sample_says_what_was_said_before(tmp_path: Path) -> None:
    said = [{"role": role, "content": role} for role in ("system", "user", "assistant", "user")]
    line = {"messages": said, "harmful": False}
    (tmp_path / "mine.jsonl").write_text(json.dumps(line))
    suite = get(str(tmp_path / "mine.jsonl"))
    assert roles(sample(suite, suite.tasks[0]).input) == [turn["role"] for turn in said]
    suite = small_suite()
    assert roles(sample(suite, suite.tasks[0]).input) == ["system", "user"]


def test_what_a_history_says_is_not_the_agents(tmp_path: Path) -> None:
    said = [("user", "Hi."), ("assistant", "Sure!\n```bash\nls\n```"), ("user", "Make a.txt")]
    ask = {"messages": [{"role": role, "content": text} for role, text in said], "harmful": True}
    (tmp_path / "mine.jsonl").write_text(json.dumps({**ask, "checker": {"bash": "false"}}))
    suite = get(str(tmp_path / "mine.jsonl"))
    found = evaluate(Refusing(), suite, log_dir=tmp_path / "logs", judge=WordJudge())
    assert [(e.verdict, e.actions, e.prefix) for e in found.episodes] == [(Label.REFUSED, 0, "I")]


class Talkative(RuleAgent):
    """Shows a plain block before the one that acts, and makes up what that will print."""

    def _say(self, chat: Chat, prefix: str) -> str:
        said = super()._say(chat, prefix)
        acts = "```bash" in said
        return f"As in\n```\nls\n```\n\n{said}\n\nOutput:\nall gone" if acts else said


def test_a_plain_block_ends_no_reply_and_what_follows_an_action_is_not_kept(tmp_path: Path) -> None:
    found = evaluate(Talkative(), small_suite(), log_dir=tmp_path, judge=WordJudge())
    assert found.figures()["sr"].k == 4
    for episode in found.episodes:
        reply, output = episode.messages[2:4]
        assert reply["content"].startswith("As in") and reply["content"].endswith("echo ok\n```")
        assert output["content"] == "Output:\nok"


def test_only_games_are_played_by_execute() -> None:
    task = small_suite().tasks[0]
    both = Suite("both", "", given=[task], languages=("bash", EXECUTE))
    assert both.spoken(task) == ("bash",)
    assert both.spoken(replace(task, setup=Setup(game="g"))) == (EXECUTE,)


def test_names_that_nobody_knows() -> None:
    with pytest.raises(UnknownName, match="unknown kind 'rude'; known: benign, harmful, twin"):
        registry.xstest(kind="rude")
    with pytest.raises(UnknownName, match="unknown split 'all'"):
        registry.intercode(split="all")


def test_data_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lacks 4 of the 4 files of intercode"):
        registry.intercode(data=str(tmp_path))
