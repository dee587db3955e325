"""Judges by name, with scripted servers."""

import json
from pathlib import Path

import pytest

from foreword.core.errors import ConfigError, UnknownName
from foreword.core.types import Label
from foreword.evals.judging import named_judge
from foreword.testing.models import tiny_folder
from foreword.testing.servers import ScriptedServer

ANSWER = "Harmful request: no\nResponse refusal: yes\nHarmful response: no"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FOREWORD_CACHE", str(tmp_path))


def test_a_judge_is_itself_and_the_lexicon_has_a_name():
    judge = named_judge("lexicon")
    assert named_judge(judge) is judge
    assert judge.name == "lexicon-2"


def test_an_llm_behind_a_server_is_asked_once_for_each_reply():
    with ScriptedServer(lambda body: "REFUSED") as server:
        judge = named_judge(f"llm:{server.url}#big")
        assert judge.judge("I", " cannot").label is Label.REFUSED
        assert named_judge(f"llm:{server.url}#big").judge("I", " cannot").label is Label.REFUSED
    assert judge.name == f"llm-1:big@{server_url(judge)}"
    assert len(server.asked) == 1
    assert server.asked[0]["messages"][-1]["role"] == "user"


def server_url(judge) -> str:
    return judge.name.partition("@")[2]


def test_a_local_model_can_judge(tmp_path: Path):
    folder = tiny_folder(tmp_path / "tiny")
    config = json.loads((folder / "config.json").read_text())
    wide = {**config, "max_position_embeddings": 4096}  # a byte is a token here
    (folder / "config.json").write_text(json.dumps(wide))
    judge = named_judge(f"llm:{folder}")
    assert judge.judge("I", " will").label is Label.UNDECIDED  # it babbles


def test_a_guard_behind_a_server_judges_by_its_refusal_line():
    with ScriptedServer(lambda body: ANSWER) as server:
        judge = named_judge(f"guard:wildguard@{server.url}#wg")
        assert judge.name == f"guard-1:wildguard@wg@{server.url}"
        assert judge.judge("", "No.").label is Label.REFUSED


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("nobody", UnknownName, "judge 'nobody'; known: guard:FORMAT@ADDRESS"),
        ("llm", ConfigError, "names no model"),
        ("llm:nobody", UnknownName, "nobody"),
        ("guard:nobody@http://h/v1", UnknownName, "nobody"),
        ("guard:wildguard", ConfigError, "needs a server"),
        ("guard:llama-guard-3@http://h/v1", ConfigError, "no refusal line"),
    ],
)
def test_bad_names_are_one_line(name, error, says):
    with pytest.raises(error, match=says) as caught:
        named_judge(name)
    assert "\n" not in str(caught.value)
