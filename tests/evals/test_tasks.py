"""Suites as Inspect tasks: what a sample says, and names that nobody knows."""

import json
from pathlib import Path

import pytest
from inspect_ai.model import ChatMessage

from foreword.core.errors import DataError, UnknownName
from foreword.evals import registry
from foreword.evals.tasks import sample
from foreword.suites import get
from foreword.testing.evals import small_suite


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


def test_names_that_nobody_knows() -> None:
    with pytest.raises(UnknownName, match="unknown kind 'rude'; known: benign, harmful, twin"):
        registry.xstest(kind="rude")
    with pytest.raises(UnknownName, match="unknown split 'all'"):
        registry.intercode(split="all")


def test_data_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lacks 4 of the 4 files of intercode"):
        registry.intercode(data=str(tmp_path))
