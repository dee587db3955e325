"""`foreword serve` as an operator runs it: started, stopped, and refused in one line."""

import json
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from foreword import Guard
from foreword.testing.servers import FakeServer

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


@pytest.mark.parametrize(
    ("manner", "placement", "sent"),
    [("vllm", "prefix", WORDS), ("openai", "suffix", f"Tidy up.\n{WORDS}")],
)
def test_it_serves_until_it_is_told_to_stop(guard, manner, placement, sent):
    with FakeServer(manner) as server:
        args = command("--upstream", server.url, "--guard", guard(placement), "--port", "0")
        process = subprocess.Popen(args, stderr=subprocess.PIPE, text=True)
        try:
            said = process.stderr.readline() + process.stderr.readline()
            at = said.split("serving ")[1].split()[0]
            answer = httpx.post(f"{at}/chat/completions", json=ASK, timeout=20)
            assert answer.status_code == 200
            assert server.asked[-1]["messages"][-1]["content"] == sent
            assert answer.headers["x-foreword-dialect"] == (
                "vllm" if placement == "prefix" else "suffix"
            )
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) in (0, -signal.SIGTERM)
        finally:
            process.kill()
            process.wait()
            process.stderr.close()


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
        assert "No such file" in refused("--upstream", server.url, "--guard", "none.json", code=2)
