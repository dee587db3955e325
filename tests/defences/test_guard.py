import copy
import json
import warnings

import pytest
from pydantic import ValidationError

from foreword.core.errors import ConfigError, ForewordWarning
from foreword.core.stats import wilson
from foreword.defences.guard import Guard, GuardRate, GuardScores, Provenance, SplitScores

PREFIX = "I care about safety, so I"
USER = {"role": "user", "content": "Delete it."}


def guard(**changes):
    return Guard(**{"prefix": PREFIX, "target": "reference+agent@1", **changes})


def full():
    rate = GuardRate.of(wilson(52, 60, 64))
    return guard(
        scores=GuardScores(test=SplitScores(perf=rate, refusal=rate)),
        provenance=Provenance(run="r1", seed=3, created="2026-01-31T12:00:00+00:00"),
    )


def test_save_and_load_give_the_same_guard(tmp_path):
    path = tmp_path / "deep" / "guard.json"
    full().save(path)
    assert Guard.load(path) == full()
    assert Guard.load(path).scores.test.perf == GuardRate.of(wilson(52, 60, 64))
    assert [child.name for child in path.parent.iterdir()] == ["guard.json"]


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "  \n",
        "I ",
        "I\n",
        "<|im_start|>x",
        "a</s>b",
        "[INST] hi",
        "x" * 501,
        "a\x00b",
        "a\x1b[0m",
    ],
)
def test_prefixes_no_server_would_continue_are_refused(prefix):
    with pytest.raises(ValidationError):
        guard(prefix=prefix)


@pytest.mark.parametrize("prefix", ["I", "# As an agent, I", "a <b> c", "x" * 500])
def test_plain_prefixes_are_taken(prefix):
    assert guard(prefix=prefix).prefix == prefix


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "damaged"),
        ("[]", "the file"),
        (json.dumps({"schema_version": 2, "prefix": "I", "target": "t"}), "schema_version 2"),
        (json.dumps({"prefix": "I"}), "target: is missing"),
        (json.dumps({"prefix": "I", "target": "t", "x": 1}), "x: is not a field"),
        (json.dumps({"prefix": " ", "target": ""}), "white space.*1 more"),
        (
            json.dumps({"prefix": "I", "target": "t", "provenance": {"created": "2026-01-01"}}),
            "UTC",
        ),
    ],
)
def test_a_damaged_file_is_one_clear_line(tmp_path, text, says):
    path = tmp_path / "guard.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        Guard.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        Guard.load(tmp_path / "none.json")
    (tmp_path / "bin.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        Guard.load(tmp_path / "bin.json")


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot use"):
        guard().save(tmp_path / "file" / "guard.json")


def test_rates_must_make_sense():
    with pytest.raises(ValidationError, match="k <= n"):
        GuardRate(k=3, n=2, total=2, low=0, high=1)


CHATS = [
    [],
    [USER],
    [USER, {"role": "assistant", "content": ""}],
    [USER, {"role": "assistant", "content": "Ifs"}],
    [USER, {"role": "assistant", "content": "Sure"}],
    [USER, {"role": "assistant", "content": PREFIX + " will"}, USER],
]


@pytest.mark.parametrize("prefix", ["I", PREFIX, "# Be safe."])
@pytest.mark.parametrize("chat", CHATS)
def test_prefix_comes_first_once_and_the_input_stays(prefix, chat):
    before = copy.deepcopy(chat)
    once = guard(prefix=prefix).apply(chat)
    assert chat == before
    assert once[-1]["role"] == "assistant"
    assert once[-1]["content"].startswith(prefix)
    assert guard(prefix=prefix).apply(once) == once


def test_a_prefill_of_the_client_follows_the_prefix():
    chat = [USER, {"role": "assistant", "content": "If"}]
    assert guard(prefix="I").apply(chat)[-1]["content"] == "I If"
    chat[-1] = {"role": "assistant", "content": "\nls"}
    assert guard().apply(chat)[-1]["content"] == PREFIX + "\nls"


def test_history_stays_as_it_is():
    history = [USER, {"role": "assistant", "content": "Sure."}, USER]
    guarded = guard().apply(history)
    assert guarded[:3] == history
    assert guarded[3:] == [{"role": "assistant", "content": PREFIX}]


def test_suffix_ends_the_last_user_message_once():
    suffix = guard(prefix="Be safe.", placement="suffix")
    chat = [USER, {"role": "assistant", "content": "Done."}, USER]
    guarded = suffix.apply(chat)
    assert [m["content"] for m in guarded] == ["Delete it.", "Done.", "Delete it.\nBe safe."]
    assert suffix.apply(guarded) == guarded
    assert suffix.apply([{"role": "user", "content": ""}])[0]["content"] == "Be safe."
    with pytest.raises(ConfigError, match="user message"):
        suffix.apply([])


def test_another_target_warns_and_the_own_does_not():
    with pytest.warns(ForewordWarning, match="another|found for"):
        guard().check_target("other@2")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        guard().check_target("reference+agent@1")


def test_hash_names_the_words_not_the_scores():
    assert full().hash8 == guard().hash8
    assert guard().hash8 != guard(placement="suffix").hash8
