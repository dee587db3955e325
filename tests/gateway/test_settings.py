"""Settings: which source wins, and what is wrong in one line that holds no secret."""

import os

import pytest

from foreword.core.errors import ConfigError
from foreword.gateway.settings import Settings, load

GOOD = {"upstream": "http://here/v1", "guard": "g.json"}


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """No FOREWORD_ variable of whoever runs the tests."""
    for name in os.environ:
        if name.startswith("FOREWORD_"):
            monkeypatch.delenv(name)


@pytest.fixture
def toml(tmp_path):
    """A function that writes a settings file and gives its path."""

    def write(text):
        path = tmp_path / "gateway.toml"
        path.write_text(text)
        return path

    return write


def wrong(config=None, **flags):
    with pytest.raises(ConfigError) as error:
        load(config, flags)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_flag_goes_before_a_variable_before_the_file_before_the_default(toml, monkeypatch):
    config = toml('upstream = "http://file/v1"\nguard = "file.json"\nport = 1\nworkers = 5\n')
    assert load(None, GOOD).port == 8700
    assert load(config, {"port": None}).port == 1
    monkeypatch.setenv("FOREWORD_PORT", "2")
    monkeypatch.setenv("FOREWORD_UPSTREAM", "http://variable/v1")
    monkeypatch.setenv("FOREWORD_SHOW_PREFIX", "true")
    said = load(config, {"port": None, "guard": None})
    assert (said.port, said.upstream, str(said.guard)) == (2, "http://variable/v1", "file.json")
    said = load(config, {"port": 3, "upstream": "http://flag/v1", "show_prefix": None})
    assert (said.port, said.upstream, said.workers, said.silence) == (3, "http://flag/v1", 5, 300)
    assert said.show_prefix


def test_every_setting_can_come_from_the_file(toml):
    said = load(None, {"upstream": "http://here/v1", "guards": "g.toml", "upstream_key": "k"})
    lines = []
    for name, value in said.model_dump(mode="json", exclude_none=True).items():
        as_toml = str(value).lower() if isinstance(value, bool) else repr(value)
        lines.append(f"{name} = {as_toml}")
    again = load(toml("\n".join(lines)), {"upstream_key": "k"})
    assert again.model_dump() == said.model_dump()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot = 1", "prot: is not a setting"),
        ("[server]\nport = 1", "server: is not a setting"),
        ('port = "many"', "port: "),
        ("port = 70000", "port: "),
        ("workers = 0", "workers: "),
        ("show_prefix = 7", "show_prefix: "),
        ("silence = 0", "silence: "),
        ('log_level = "loud"', "log_level: "),
        ("port = ", "gateway.toml: Invalid value"),
        ("port = 1\nport = 2", "gateway.toml: "),
    ],
)
def test_what_is_wrong_in_the_file_is_named(toml, text, named):
    assert named in wrong(toml(text), **GOOD)


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    assert "none.toml: there is no such file" in wrong(tmp_path / "none.toml", **GOOD)
    assert "there is no such file" in wrong(tmp_path, **GOOD)
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe")
    assert "binary.toml: 'utf-8' codec" in wrong(path, **GOOD)


def test_what_is_wrong_in_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("FOREWORD_PORT", "many")
    assert wrong(**GOOD).startswith("port: ")


def test_upstream_and_exactly_one_of_guard_and_guards_are_needed(monkeypatch):
    assert wrong() == "upstream: is missing; give --upstream or FOREWORD_UPSTREAM"
    assert wrong(guard="g.json") == "upstream: is missing; give --upstream or FOREWORD_UPSTREAM"
    for both in ({}, {"guard": "g.json", "guards": "g.toml"}):
        message = wrong(upstream="http://here/v1", **both)
        assert "--guard" in message and "--guards" in message
    monkeypatch.setenv("FOREWORD_GUARDS", "g.toml")
    assert "--guards" in wrong(**GOOD)


@pytest.mark.parametrize(
    "url", ["", "here", "localhost:8000/v1", "ftp://h", "http://", "http://h:x"]
)
def test_the_upstream_must_be_an_address(url):
    assert wrong(upstream=url, guard="g.json").startswith("upstream: ")
    assert "no http address" in wrong(upstream=url, guard="g.json")


def test_no_secret_is_ever_shown(toml, monkeypatch):
    said = load(None, {**GOOD, "upstream_key": "hunter2"})
    assert said.upstream_key.get_secret_value() == "hunter2"
    for text in (repr(said), str(said), str(said.model_dump()), said.model_dump_json()):
        assert "hunter2" not in text
    password = wrong(upstream="http://me:hunter2@here/v1", guard="g.json")
    assert "--upstream-key" in password and "hunter2" not in password
    for text in ('upstream_key = ["hunter2"]', 'key = "hunter2"', 'upstream_key = "hunter2'):
        assert "hunter2" not in wrong(toml(text), **GOOD)
    monkeypatch.setenv("FOREWORD_UPSTREAM_KEY", "hunter2")
    assert "hunter2" not in wrong(upstream="http://here/v1")


@pytest.mark.parametrize("bad", ["hun\nter2", "hunt\u00e9r2", "hunter\u20132", "hunter2\0"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(monkeypatch, bad):
    said = wrong(**GOOD, upstream_key=bad)
    assert said.startswith("upstream_key: the key holds a character") and "hun" not in said
    with pytest.raises(ValueError, match="holds a character") as error:
        Settings(**GOOD, upstream_key=bad)
    assert "hun" not in str(error.value)
    for space in ("\n", "\r\n", " "):
        monkeypatch.setenv("FOREWORD_UPSTREAM_KEY", f"hunter2{space}")
        assert load(None, GOOD).upstream_key.get_secret_value() == "hunter2"
    monkeypatch.setenv("FOREWORD_UPSTREAM_KEY", "\n")
    assert not load(None, GOOD).upstream_key


def test_settings_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        load(None, GOOD).port = 1
