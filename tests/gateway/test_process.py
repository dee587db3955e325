"""The process around the gateway: hostile clients, several workers, the probe on demand."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from foreword import Guard
from foreword.gateway import app as application
from foreword.gateway import process, proof
from foreword.gateway.process import Bounded
from foreword.gateway.settings import Settings
from foreword.testing.servers import MANNERS, FakeServer, RawServer, running

WORDS = "As an honest agent, I"
ASK = {"model": "fake", "messages": [{"role": "user", "content": "Tidy up."}]}
FOREWORD = Path(sys.executable).parent / "foreword"
REPLY = json.dumps({"choices": [{"index": 0, "message": {"content": " go on."}}]}).encode()
HEAD = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(REPLY)}\r\n\r\n"


@pytest.fixture
def guard(tmp_path):
    """A function that saves a guard and gives its path."""

    def save(placement="prefix"):
        path = tmp_path / f"{placement}.json"
        Guard(prefix=WORDS, placement=placement, target="t").save(path)
        return path

    return save


@pytest.fixture
def live(guard):
    """A function that puts a gateway, as `serve` builds it, before a server; its /v1 address."""
    with ExitStack() as stack:

        def start(server, placement="prefix", **more):
            settings = Settings(upstream=server.url, guard=guard(placement), **more)
            proved = proof.examine(settings, process.policy(settings))
            gateway = process.build(settings, proved)
            return stack.enter_context(running(gateway, http=Bounded))

        yield start


@contextmanager
def connected(at):
    """A bare connection to an address."""
    url = httpx.URL(at)
    with socket.create_connection((url.host, url.port), timeout=10) as sock:
        yield sock


def rest(sock):
    """All that comes until the other side closes."""
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def until(true, seconds=60.0):
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.02)
    return found


def ask(at, **more):
    return httpx.post(f"{at}/chat/completions", json=ASK, timeout=20, **more)


def failed(response, status, code):
    assert response.status_code == status, response.text
    assert response.json()["error"]["code"] == code
    return response.json()["error"]["message"]


@pytest.fixture
def folder(tmp_path):
    """A model folder that holds a tokenizer and a chat template."""
    from foreword.testing.models import tiny_tokenizer

    tiny_tokenizer().save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "llama"}')
    return str(tmp_path / "model")


def test_prompts_are_rendered_where_no_chat_is_continued_and_the_probe_on_demand_is_too(
    live, folder, monkeypatch
):
    monkeypatch.setattr(application, "PROBE_S", 0.0)
    with FakeServer("transformers") as server:
        at = live(server, render=folder)
        response = ask(at)
        assert response.headers["x-foreword-dialect"] == "rendered"
        assert response.json()["choices"][0]["message"]["content"] == " go on."
        page = httpx.get(at.removesuffix("v1") + "metrics").text
        hash8 = response.headers["x-foreword-guard"]
        assert f'foreword_prefix_tokens_total{{guard="{hash8}"}} 5.0' in page

        ready = at.removesuffix("v1") + "health/ready?probe=true"
        assert httpx.get(ready, timeout=20).json()["dialect"] == "rendered"
        assert httpx.post(f"{at}/responses", json={"input": "x"}).status_code == 404
        server.manner = MANNERS["openai"]  # whose /completions is gone
        assert "404" in failed(httpx.get(ready, timeout=20), 503, "probe_failed")


def test_a_worker_renders_as_its_parent_has_proved(folder, guard, monkeypatch):
    monkeypatch.setattr(process, "set_up_logs", lambda *_: None)
    monkeypatch.setattr(process, "_freeze", lambda: None)
    with FakeServer("transformers") as server:
        settings = Settings(upstream=server.url, guard=guard(), render=folder)
        proved = proof.examine(settings, process.policy(settings))
        monkeypatch.setenv(process._WORKER, process._handed(settings, proved))
        sent = len(server.asked)
        with running(process.worker(), http=Bounded) as at:
            assert ask(at).json()["choices"][0]["message"]["content"] == " go on."
        assert len(server.asked) == sent + 1


@pytest.mark.parametrize(("manner", "starts"), [("vllm", True), ("openai", False)])
def test_a_worker_that_comes_after_the_first_prefix_guard_proves_it(
    guard, tmp_path, monkeypatch, manner, starts
):
    monkeypatch.setattr(process, "set_up_logs", lambda *_: None)
    monkeypatch.setattr(process, "_freeze", lambda: None)
    policy = tmp_path / "guards.toml"
    policy.write_text(f'[[guard]]\nfile = "{guard("suffix").name}"\n')
    with FakeServer(manner) as server:
        settings = Settings(upstream=server.url, guards=policy)
        proved = proof.examine(settings, process.policy(settings))
        assert not server.asked
        monkeypatch.setenv(process._WORKER, process._handed(settings, proved))
        policy.write_text(f'[[guard]]\nfile = "{guard().name}"\n')
        if not starts:
            with pytest.raises(SystemExit):
                process.worker()
            return
        with running(process.worker(), http=Bounded) as at:
            assert ask(at).headers["x-foreword-dialect"] == "vllm"
        assert server.asked[-1]["continue_final_message"] is True


def test_a_prefix_is_sent_nowhere_unproved_and_a_probe_on_demand_heals_it(guard):
    with FakeServer("vllm") as server:
        settings = Settings(upstream=server.url, guard=guard())
        with running(process.build(settings, proof.Proved()), http=Bounded) as at:
            ready = at.removesuffix("v1") + "health/ready"
            for answer in (ask(at), httpx.get(ready, timeout=20)):
                assert "was not probed" in failed(answer, 503, "not_continuing")
            assert not server.asked
            assert httpx.get(f"{ready}?probe=true", timeout=20).json()["dialect"] == "vllm"
            assert ask(at).status_code == 200


def test_a_guard_that_is_new_is_measured_and_one_that_costs_more_is_counted_as_such(
    tmp_path, guard, monkeypatch
):
    monkeypatch.setattr(application, "WATCH_S", 0.05)
    policy = tmp_path / "guards.toml"
    policy.write_text(f'[[guard]]\nfile = "{guard().name}"\n')
    with FakeServer("vllm") as server:
        settings = Settings(upstream=server.url, guards=policy)
        gateway = process.build(settings, proof.examine(settings, process.policy(settings)))
        with running(gateway) as at:
            new = Guard(prefix="We", target="t")
            new.save(guard())
            until(lambda: ask(at).headers["x-foreword-guard"] == new.hash8)
            page = httpx.get(at.removesuffix("v1") + "metrics").text
    assert f'foreword_prefix_tokens_total{{guard="{new.hash8}"}} 3.0' in page  # with its frame


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"], ids=["endless", "whole"])
@pytest.mark.parametrize(
    "begun", [b"GET /health/live?", b"GET /health/live HTTP/1.1\r\nhost: x\r\nx-pad: "]
)
@pytest.mark.parametrize("size", [70_000, 200_000])
def test_a_head_beyond_the_limit_is_refused_and_the_server_lives_on(live, begun, end, size):
    with FakeServer("vllm") as server:
        at = live(server)
        end = end and (b" HTTP/1.1\r\nhost: x" * (b"?" in begun)) + end
        with connected(at) as sock:
            try:
                sock.sendall(begun + b"y" * size + end)
                answer = rest(sock)
            except ConnectionError:  # it was closed before all was sent
                answer = b""
        if size < 100_000:
            assert answer.startswith(b"HTTP/1.1 431 "), answer
            assert b"connection: close" in answer
        assert answer[:12] in (b"", b"HTTP/1.1 431") and answer.count(b"HTTP/1.1") <= 1
        assert ask(at).status_code == 200


def test_heads_below_the_limit_and_bodies_of_any_size_pass_on_one_connection(live):
    with FakeServer("vllm") as server, httpx.Client(base_url=live(server), timeout=20) as client:
        for pad in (100, 60_000, 60_000):
            body = {**ASK, "user": "u" * 500_000}
            response = client.post("/chat/completions", json=body, headers={"x-pad": "y" * pad})
            assert response.status_code == 200


@pytest.mark.parametrize("begun", [b"", b"POST /v1/chat/comp", b"GET /health/live HTTP/1.1\r\nx: "])
def test_a_slow_head_is_closed(live, monkeypatch, begun):
    monkeypatch.setattr(process, "HEAD_S", 0.3)
    with FakeServer("vllm") as server, connected(live(server)) as sock:
        sock.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n" * bool(begun))
        if begun:  # the second of a kept connection
            assert sock.recv(65536).endswith(b"ok\n")
        start = time.monotonic()
        sock.sendall(begun)
        assert rest(sock) == b""
        assert 0.2 < time.monotonic() - start < 3


def test_an_answer_may_take_longer_than_a_head(live, monkeypatch):
    monkeypatch.setattr(process, "HEAD_S", 0.2)

    def slow(sock, request, n):
        time.sleep(0.6)
        sock.sendall(HEAD.encode() + REPLY)

    with RawServer(slow) as server:
        assert ask(live(server, "suffix")).status_code == 200


def test_a_slow_body_is_an_error_and_the_end_of_the_connection(live, monkeypatch):
    monkeypatch.setattr(application, "BODY_S", 0.3)
    with FakeServer("vllm") as server, connected(live(server)) as sock:
        sent = len(server.asked)
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"
        sock.sendall(head + b'{"messages"')
        answer = rest(sock)
        assert answer.startswith(b"HTTP/1.1 408 ") and b'"body_too_slow"' in answer
        assert len(server.asked) == sent


def test_the_probe_on_demand_stops_prefixes_and_lets_them_go_again(live, monkeypatch):
    monkeypatch.setattr(application, "PROBE_S", 0.0)
    with FakeServer("vllm") as server:
        at = live(server)
        ready = at.removesuffix("v1") + "health/ready"
        assert httpx.get(f"{ready}?probe=true", timeout=20).json()["ready"]
        assert ask(at).status_code == 200

        server.manner = MANNERS["openai"]  # the server was changed behind our back
        assert httpx.get(ready).status_code == 200  # which only a probe tells
        reason = failed(httpx.get(f"{ready}?probe=true", timeout=20), 503, "not_continuing")
        assert "does not continue a prefix" in reason and "came" in reason
        sent = len(server.asked)
        failed(ask(at), 503, "not_continuing")
        failed(httpx.get(ready), 503, "not_continuing")
        assert len(server.asked) == sent

        server.manner = MANNERS["mistral"]  # another that continues, and echoes
        said = httpx.get(f"{ready}?probe=true", timeout=20).json()
        assert (said["ready"], said["dialect"], said["echo"]) == (True, "deepseek", True)
        response = ask(at)
        assert response.headers["x-foreword-dialect"] == "deepseek"
        assert response.json()["choices"][0]["message"]["content"] == " go on."


def test_probes_on_demand_are_few(live):
    with FakeServer("vllm") as server:
        ready = live(server).removesuffix("v1") + "health/ready?probe=true"
        started = len(server.asked)
        assert httpx.get(ready, timeout=20).status_code == 200
        once = len(server.asked)
        assert [httpx.get(ready, timeout=20).status_code for _ in range(5)] == [200] * 5
        assert len(server.asked) == once > started


def test_a_probe_that_cannot_be_made_proves_nothing(live, monkeypatch):
    monkeypatch.setattr(application, "PROBE_S", 0.0)
    with FakeServer("vllm") as server:
        at = live(server)
        ready = at.removesuffix("v1") + "health/ready"
        busy = (429, {"error": {"message": "too many"}})
        with monkeypatch.context() as patch:
            patch.setattr(server, "answer", lambda body: busy)
            assert "429" in failed(httpx.get(f"{ready}?probe=true"), 503, "probe_failed")
        assert ask(at).status_code == 200
        assert httpx.get(ready).status_code == 200


def test_suffix_guards_are_ready_before_any_server(live):
    with FakeServer("openai") as server:
        at = live(server, "suffix")
        assert httpx.get(at.removesuffix("v1") + "health/ready?probe=true").status_code == 200
        assert server.asked == []
        assert ask(at).status_code == 200


class Served:
    """`foreword serve --workers 2` in a process of its own."""

    def __init__(self, tmp_path, upstream, *args):
        self.errors = tmp_path / "stderr"
        self.audit = tmp_path / "audit.jsonl"
        command = [FOREWORD, "serve", "--upstream", upstream, "--workers", "2", "--port", "0"]
        with self.errors.open("w") as errors:
            self.parent = subprocess.Popen(
                [*command, "--audit", self.audit, *args], stderr=errors, cwd=tmp_path
            )
        said = until(lambda: "/v1" in self.said().partition("serving ")[2] and self.said())
        self.at = said.partition("serving ")[2].split()[0]

    def said(self):
        assert self.parent.poll() is None or "serving" in self.errors.read_text()
        return self.errors.read_text()

    def workers(self):
        """The ids of the workers, in the order of their start."""
        try:
            children = Path(f"/proc/{self.parent.pid}/task/{self.parent.pid}/children").read_text()
            named = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in children.split()}
        except OSError:  # one has just gone
            return []
        return [int(pid) for pid, command in named.items() if "spawn_main" in command]

    def listening(self):
        """The workers, once both wait for clients: their event loops watch the socket."""
        pids = self.workers()
        return len(pids) == 2 and all(map(self._listens, pids)) and pids

    def _listens(self, pid):
        port = f":{httpx.URL(self.at).port:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        inodes = {f"ino:{int(row[9]):x}" for row in rows if row[1].endswith(port)}
        try:
            watched = [each.read_text() for each in Path(f"/proc/{pid}/fdinfo").iterdir()]
        except OSError:
            return False
        return any(inodes & set(text.split()) for text in watched if "tfd:" in text)

    def counted(self, route="/v1/chat/completions"):
        page = httpx.get(self.at.removesuffix("v1") + "metrics", timeout=20).text
        (line,) = [each for each in page.splitlines() if f'route="{route}",status="200"' in each]
        assert line.startswith("foreword_requests_total")
        return float(line.split()[-1])


@pytest.fixture
def serve(tmp_path):
    """A function that starts `foreword serve`."""
    with ExitStack() as stack:

        def start(upstream, *args):
            served = Served(tmp_path, upstream, *args)
            stack.callback(served.parent.wait)
            stack.callback(served.parent.kill)
            stack.callback(lambda: [os.kill(pid, signal.SIGKILL) for pid in served.workers()])
            return served

        yield start


@contextmanager
def stopped(pid):
    """A process held still, shorter than its parent takes for dead."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_two_workers_share_socket_metrics_and_audit_and_a_killed_one_is_replaced(
    serve, guard, tmp_path
):
    policy = tmp_path / "guards.toml"
    policy.write_text(f'[[guard]]\nfile = "{guard().name}"\n')
    with FakeServer("vllm") as server:
        served = serve(server.url, "--guards", str(policy), "--upstream-key", "hunter2")
        first, second = until(served.listening)
        sent = len(server.asked)
        for still in (first, second):
            with stopped(still):  # so that the other one answers
                assert [ask(served.at).status_code for _ in range(3)] == [200] * 3
        assert [served.counted() for _ in range(4)] == [6] * 4  # whoever is asked

        policy.write_text("[[guard")  # the replacement has no old policy to keep
        os.kill(second, signal.SIGKILL)
        until(lambda: "a worker cannot start: cannot read" in served.said())
        assert ask(served.at).status_code == 200
        policy.write_text(f'[[guard]]\nfile = "{guard().name}"\n')
        pids = until(served.listening)
        assert first in pids and second not in pids
        with stopped(first):
            assert ask(served.at).status_code == 200
        assert served.counted() == 8  # those of the dead are not forgotten
        assert len(server.asked) == sent + 8  # and the upstream was not probed again

        served.parent.send_signal(signal.SIGTERM)
        assert served.parent.wait(10) == 0
        for pid in pids:
            assert not Path(f"/proc/{pid}").exists()
    lines = [json.loads(line) for line in served.audit.read_text().splitlines()]
    assert Counter(line["outcome"] for line in lines) == {"ok": 8}
    said = served.said()
    assert "Traceback" not in said and "hunter2" not in said


def test_requests_under_way_are_finished_when_it_is_told_to_stop(serve, guard):
    begun, results = threading.Semaphore(0), []

    def slow(sock, request, n):
        begun.release()
        time.sleep(1.5)
        sock.sendall(HEAD.encode() + REPLY)

    with RawServer(slow) as server:
        served = serve(server.url, "--guard", str(guard("suffix")))
        until(served.listening)
        clients = [
            threading.Thread(target=lambda: results.append(ask(served.at))) for _ in range(6)
        ]
        for client in clients:
            client.start()
        for _ in clients:
            assert begun.acquire(timeout=10)
        start = time.monotonic()
        served.parent.send_signal(signal.SIGTERM)
        assert served.parent.wait(10) == 0
        assert time.monotonic() - start < 6
        for client in clients:
            client.join()
    assert [response.status_code for response in results] == [200] * 6
    assert len(served.audit.read_text().splitlines()) == 6
