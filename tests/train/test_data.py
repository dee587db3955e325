import json
from pathlib import Path

import pytest

from foreword.core.errors import DataError
from foreword.train.data import load_files

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello."},
]
ROWS = {
    "messages": {"messages": CHAT},
    "sharegpt": {
        "system": "Be brief.",
        "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello."}],
    },
    "prompt-completion": {"prompt": CHAT[:2], "completion": "Hello."},
}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("auto", [True, False])
def test_the_formats_say_the_same(tmp_path: Path, name: str, auto: bool):
    path = write(tmp_path / "a.jsonl", ROWS[name], "", ROWS[name])
    assert load_files([path], "auto" if auto else name) == [CHAT, CHAT]


def test_the_format_is_detected_for_each_file(tmp_path: Path):
    files = [write(tmp_path / name, row) for name, row in ROWS.items()]
    assert load_files(files) == [CHAT] * 3


def test_a_plain_prompt_is_the_users(tmp_path: Path):
    path = write(tmp_path / "a.jsonl", {"prompt": "Hi", "completion": "Hello."})
    assert load_files([path]) == [CHAT[1:]]


def test_an_observation_is_a_tool_turn(tmp_path: Path):
    turns = [("human", "Do"), ("gpt", "ls"), ("observation", "x"), ("gpt", "Done.")]
    row = {"conversations": [{"from": who, "value": value} for who, value in turns]}
    roles = [m["role"] for m in load_files([write(tmp_path / "a.jsonl", row)])[0]]
    assert roles == ["user", "assistant", "tool", "assistant"]


def test_a_turn_may_weigh_nothing(tmp_path: Path):
    said = [{"role": "assistant", "content": text, "weight": n} for n, text in enumerate("ab")]
    row = {"messages": [{"role": "user", "content": "Do", "weight": 1}, *said]}
    (chat,) = load_files([write(tmp_path / "a.jsonl", row)])
    assert [turn.get("weight") for turn in chat] == [None, 0, None]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"messages": [CHAT[1], {**CHAT[2], "weight": 0}]}, "no assistant turn to learn"),
        ({"messages": [CHAT[1], {**CHAT[2], "weight": 0.5}]}, "weight 0.5 is neither 0 nor 1"),
        ('{"messages": [', "broken JSON"),
        ("[1]", "expected a JSON object, not list"),
        ({"text": "x"}, "no 'messages'"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "no assistant turn"),
        ({"messages": []}, "no assistant turn"),
        ({"messages": CHAT[2:]}, "begins with an assistant turn"),
        ({"messages": [{"role": "bot", "content": "Hi"}]}, "unknown role 'bot'"),
        ({"messages": [{"role": "user", "content": None}]}, "no text"),
        ({"messages": [{"role": ["user"], "content": "Hi"}]}, "unknown role"),
        ({"messages": 3}, "not iterable"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, row: object, said: str):
    path = write(tmp_path / "a.jsonl", ROWS["messages"], "", row)
    with pytest.raises(DataError, match=said) as caught:
        load_files([path])
    assert str(caught.value).startswith(f"{path}:3: ")


def test_an_unknown_format_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"a\.jsonl:1: expected a key messages"):
        load_files([write(tmp_path / "a.jsonl", {"text": "x"})])


def test_empty_missing_and_binary_files_are_errors(tmp_path: Path):
    with pytest.raises(DataError, match="no conversations"):
        load_files([write(tmp_path / "a.jsonl")])
    with pytest.raises(DataError, match="cannot be read"):
        load_files([tmp_path / "missing.jsonl"])
    (tmp_path / "b.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="cannot be read"):
        load_files([tmp_path / "b.jsonl"])
