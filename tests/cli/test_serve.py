"""`foreword serve` and `key` as an operator runs them: started, stopped, refused in one line."""

import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
from contextlib import contextmanager

import httpx
import pytest
from typer.testing import CliRunner

from foreword import Guard
from foreword.cli.commands import app
from foreword.core.errors import ConfigError
from foreword.gateway.app import Gateway
from foreword.gateway.policy import PolicyFile
from foreword.gateway.proof import Proved
from foreword.gateway.upstream import Upstream
from foreword.testing.servers import FakeServer, running

WORDS = "As an honest agent, I"
ASK = {"model": "fake", "messages": [{"role": "user", "content": "Tidy up."}]}


def command(*args):
    return [sys.executable, "-c", "from foreword.cli import main; main()", "serve", *args]


@pytest.fixture
def guard(tmp_path):
    """A function that saves a guard and gives its path."""

    def save(placement="prefix"):
        path = tmp_path / f"{placement}.json"
        Guard(prefix=WORDS, placement=placement, target="t").save(path)
        return str(path)

    return save


@contextmanager
def served(*args, **more):
    """A gateway in a process of its own: its address, and a function that stops it."""
    process = subprocess.Popen(command(*args), stderr=subprocess.PIPE, text=True, **more)

    def stop():
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)
        return process.stderr.read()

    try:
        yield process.stderr.readline().split("serving ")[1].split()[0], stop
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.parametrize(
    ("manner", "placement", "sent"),
    [("vllm", "prefix", WORDS), ("openai", "suffix", f"Tidy up.\n{WORDS}")],
)
def test_it_serves_until_it_is_told_to_stop(guard, manner, placement, sent):
    with FakeServer(manner) as server:
        args = ("--upstream", server.url, "--guard", guard(placement), "--port", "0")
        with served(*args) as (at, stop):
            answer = httpx.post(f"{at}/chat/completions", json=ASK, timeout=20)
            assert answer.status_code == 200
            assert server.asked[-1]["messages"][-1]["content"] == sent
            assert answer.headers["x-foreword-dialect"] == (
                "vllm" if placement == "prefix" else "suffix"
            )
            assert "Traceback" not in stop()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_it_serves_ipv6(guard):
    with FakeServer("vllm") as server:
        args = ("--upstream", server.url, "--guard", guard(), "--host", "::1", "--port", "0")
        with served(*args) as (at, _):
            assert at.startswith("http://[::1]:")
            assert httpx.post(f"{at}/chat/completions", json=ASK, timeout=20).status_code == 200


def test_all_can_be_said_by_file_and_variables_and_is_kept_in_audit_and_log(guard, tmp_path):
    guard()
    policy = tmp_path / "guards.toml"
    made = subprocess.run(
        [*command()[:-1], "key", "web"], check=True, capture_output=True, text=True
    )
    policy.write_text('[[guard]]\nfile = "prefix.json"\n' + made.stdout)
    key = made.stderr.split()[-1]
    with FakeServer("vllm") as server:
        config = tmp_path / "gateway.toml"
        config.write_text(
            f'upstream = "{server.url}"\nguards = "{policy}"\nport = 0\nshow_prefix = true\n'
            'audit = "audit.jsonl"\nlog_format = "json"\nlog_level = "error"\n'
        )
        wanted = {**os.environ, "FOREWORD_LOG_LEVEL": "info", "FOREWORD_UPSTREAM_KEY": "hunter2"}
        with served("--config", str(config), env=wanted, cwd=tmp_path) as (at, stop):
            headers = {"authorization": f"Bearer {key}"}
            answer = httpx.post(f"{at}/chat/completions", json=ASK, headers=headers, timeout=20)
            assert answer.json()["choices"][0]["message"]["content"] == WORDS + " go on."
            assert httpx.post(f"{at}/chat/completions", json=ASK, timeout=20).status_code == 401
            logged = stop()
    kept = (tmp_path / "audit.jsonl").read_text()
    assert [json.loads(line)["key"] for line in kept.splitlines()] == ["web", ""]
    lines = [json.loads(line) for line in logged.splitlines()]
    assert [line["status"] for line in lines if "route" in line] == [200, 401]
    for secret in (key, "hunter2", "Tidy up."):
        assert secret not in kept + logged


@pytest.mark.parametrize("name", ["web", "Büro 7", 'a"b\\c', "[red]x[/]", "tab\there", "🔑"])
def test_a_new_key_is_an_entry_that_guards_toml_accepts(guard, tmp_path, name):
    guard("suffix")
    policy = tmp_path / "guards.toml"
    result = CliRunner().invoke(app, ["key", name])
    assert result.exit_code == 0
    policy.write_text('[[guard]]\nfile = "suffix.json"\n' + 2 * result.stdout, "utf-8")
    with pytest.raises(ConfigError, match="is there twice"):
        PolicyFile(policy).load()
    (entry,) = tomllib.loads(result.stdout)["key"]
    assert entry["name"] == name
    key = result.stderr.split()[-1]
    assert key not in result.stdout and name.split()[0] in result.stderr

    policy.write_text('[[guard]]\nfile = "suffix.json"\n' + result.stdout, "utf-8")
    with FakeServer("openai") as server:
        gateway = Gateway(Upstream(server.url), PolicyFile(policy), Proved())
        with running(gateway) as at:
            statuses = [
                httpx.get(f"{at}/models", headers={"authorization": f"Bearer {said}"}).status_code
                for said in (key, key[:-1], entry["sha256"])
            ]
    assert statuses == [200, 401, 401]


def refused(*args, code):
    result = subprocess.run(command(*args), check=False, capture_output=True, text=True, timeout=60)
    assert result.returncode == code, result.stderr
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("foreword: ")
    return line


def test_a_server_that_does_not_continue_is_refused(guard):
    with FakeServer("openai") as server:
        line = refused("--upstream", server.url, "--guard", guard(), code=3)
    assert "does not continue a prefix" in line


def test_a_server_that_does_not_continue_may_be_sent_prompts_of_a_known_template_only(guard):
    with FakeServer("transformers") as server:
        args = ("--upstream", server.url, "--guard", guard())
        assert "`--render SOURCE`" in refused(*args, code=3)
        assert "unknown model 'gpt'" in refused(*args, "--render", "gpt", code=2)
        line = refused(*args, "--render", "reference", "--dialect", "vllm", code=2)
        assert "--render is a dialect of its own" in line
    nobody = ("--upstream", "http://127.0.0.1:9/v1", "--guard", guard())
    for wrong, said in (
        ("", "unknown model ''"),
        ("gpt", "unknown model 'gpt'"),
        ("hf:/nowhere", "no folder /nowhere"),
    ):
        assert said in refused(*nobody, "--render", wrong, code=2)  # before the server is asked


def test_nothing_is_served_with_a_wrong_upstream_guard_dialect_or_port(guard, tmp_path):
    here = guard()
    with FakeServer("vllm") as server, socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "does not answer" in refused(
            "--upstream", "http://127.0.0.1:9/v1", "--guard", here, code=3
        )
        for wrong in ("127.0.0.1", "localhost:8000/v1", "http://localhost:abc/v1", "http://"):
            assert "no http address" in refused("--upstream", wrong, "--guard", here, code=2)
        secret = refused("--upstream", "http://me:hunter2@localhost/v1", "--guard", here, code=2)
        assert "use --upstream-key" in secret and "hunter2" not in secret
        assert "ends in /v1" in refused(
            "--upstream", server.url.removesuffix("/v1"), "--guard", here, code=3
        )
        assert "known: deepseek" in refused(
            "--upstream", server.url, "--guard", here, "--dialect", "x", code=2
        )
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in refused(
            "--upstream", server.url, "--guard", here, "--port", port, code=2
        )
        broken = tmp_path / "broken.json"
        broken.write_text(json.dumps({"schema_version": 1})[:-3])
        assert "damaged" in refused("--upstream", server.url, "--guard", str(broken), code=2)
        policy = tmp_path / "guards.toml"
        policy.write_text('[[guard]]\nfile = "prefix.json"\nmodel = "x"\n')
        assert "guards.toml: guard.0.model: Extra inputs are not permitted" in refused(
            "--upstream", server.url, "--guards", str(policy), code=2
        )
        assert "name a guard.json with --guard, or a guards.toml with --guards" in refused(
            "--upstream", server.url, "--guard", here, "--guards", str(policy), code=2
        )
        assert "No such file" in refused("--upstream", server.url, "--guard", "none.json", code=2)
