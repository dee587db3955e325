"""guards.toml: who gets which guard, what a broken file says, and what changes while it runs."""

import json
import logging
import os
import threading
import time
from contextlib import ExitStack

import httpx
import pytest

from foreword import Guard
from foreword.core.errors import ConfigError
from foreword.gateway import app as application
from foreword.gateway.app import Gateway
from foreword.gateway.keys import digest
from foreword.gateway.policy import PolicyFile
from foreword.gateway.proof import SUFFIX, Proved
from foreword.gateway.upstream import Upstream
from foreword.models.dialects import dialect
from foreword.models.probe import Continuation, probe
from foreword.models.server import Server
from foreword.testing.servers import FakeServer, running

ASK = {"model": "fake", "messages": [{"role": "user", "content": "Tidy up."}]}
PLAIN = Continuation(dialect("ollama"), echo=False, echo_stream=False)
TOOLS = [{"type": "function", "function": {"name": "ls", "parameters": {"type": "object"}}}]
A, B = Guard(prefix="As A, I", target="t"), Guard(prefix="As B, I", target="t")
CHECK = '[[check]]\nname = "c"\nformat = "{format}"\nurl = "{url}"\nmodel = "m"\n'
ONE = '[[guard]]\nfile = "a.json"\n'


def key(name, more=""):
    return f'[[key]]\nname = "{name}"\nsha256 = "{digest(name)}"\n{more}\n'


@pytest.fixture
def guards(tmp_path):
    """A function that writes guards.toml beside a.json and b.json and gives its path."""
    A.save(tmp_path / "a.json")
    B.save(tmp_path / "b.json")

    def write(text):
        path, new = tmp_path / "guards.toml", tmp_path / "new"
        new.write_text(text)
        return new.replace(path)  # whole or not at all, as an operator's tools do

    return write


@pytest.fixture
def gate(monkeypatch):
    """A function that puts a gateway with this file before a server and gives a client of it."""
    monkeypatch.setattr(application, "WATCH_S", 0.02)
    with ExitStack() as stack:

        def start(path, server=None, way=PLAIN, **options):
            server = server or stack.enter_context(FakeServer("ollama"))
            gateway = Gateway(Upstream(server.url), PolicyFile(path), Proved(way), **options)
            client = httpx.Client(base_url=stack.enter_context(running(gateway)), timeout=20)
            return stack.enter_context(client), server

        yield start


def ask(client, who="", **more):
    headers = {"authorization": f"Bearer {who}"} if who else {}
    return client.post("/chat/completions", json={**ASK, **more}, headers=headers)


def words(client, who="", **more):
    """By which guard the reply was begun."""
    response = ask(client, who, **more)
    assert response.status_code == 200, response.text
    return {A.hash8: "A", B.hash8: "B"}.get(hash8 := response.headers["x-foreword-guard"], hash8)


def failed(response, status, code):
    assert response.status_code == status, response.text
    assert response.json()["error"]["code"] == code
    return response.json()["error"]["message"]


def until(true, seconds=10.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.01)


def reloads(client, result):
    page = client.get(str(client.base_url).removesuffix("v1/") + "metrics").text
    said = f'foreword_policy_reloads_total{{result="{result}"}} '
    return sum(float(line.removeprefix(said)) for line in page.splitlines() if said in line)


def test_the_first_guard_that_fits_model_and_key_is_taken(guards, gate):
    path = guards(
        '[[guard]]\nfile = "b.json"\nmodels = ["coder-*", "tester"]\nkeys = ["web"]\n'
        '[[guard]]\nfile = "a.json"\nmodels = ["coder-*"]\n'
        '[[guard]]\nfile = "b.json"\nmodels = ["chat"]\n'
        '[[guard]]\nfile = "a.json"\nmodels = ["chat"]\n' + key("web") + key("ops")
    )
    client, server = gate(path)
    assert words(client, "web", model="coder-7b") == "B"
    assert words(client, "ops", model="coder-7b") == "A"
    assert words(client, "web", model="tester") == "B"
    assert words(client, "ops", model="chat") == "B"
    sent = len(server.asked)
    for who, model in (("ops", "tester"), ("web", "Coder-7b"), ("web", "chat-2"), ("web", None)):
        message = failed(ask(client, who, model=model), 403, "no_guard")
        assert repr(model or "") in message
    assert len(server.asked) == sent  # nothing goes on bare


def test_requests_with_tools_can_have_the_words_on_the_users_message(guards, gate):
    client, server = gate(guards(ONE + 'with_tools = "suffix"\n'))
    said = [m["content"] for _ in [ask(client)] for m in server.asked[-1]["messages"]]
    assert said == ["Tidy up.", "As A, I"]
    assert ask(client, tools=[]).headers["x-foreword-guard"] == A.hash8
    response = ask(client, tools=TOOLS)
    moved = A.model_copy(update={"placement": "suffix"})
    assert response.headers["x-foreword-guard"] == moved.hash8
    (message,) = server.asked[-1]["messages"]
    assert message["content"] == "Tidy up.\nAs A, I"
    ask(client, functions=[TOOLS[0]["function"]])  # the older name of tools
    assert server.asked[-1]["messages"] == [message]


def test_files_are_looked_for_beside_guards_toml(guards, gate, tmp_path, monkeypatch):
    path = guards('[[guard]]\nfile = "more/c.json"\n')
    (tmp_path / "more").mkdir()
    A.save(tmp_path / "more" / "c.json")
    monkeypatch.chdir("/")
    client, _ = gate(path)
    assert words(client) == "A"
    absolute = guards(f'[[guard]]\nfile = "{tmp_path / "b.json"}"\n')
    until(lambda: words(client) == "B")
    assert PolicyFile(absolute).load().routes[0].guard == B


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "guards.toml: guard: "),
        ("guard = []", "guards.toml: guard: "),
        ("guard = 3", "guards.toml: guard: "),
        ("[[guard]\n", "guards.toml: Expected ']]'"),
        ("[[guard]]\n", "guards.toml: guard.0.file: "),
        (ONE + 'model = "x"', "guards.toml: guard.0.model: Extra inputs"),
        (ONE + 'models = "x"', "guards.toml: guard.0.models: "),
        (ONE + 'with_tools = "none"', "guards.toml: guard.0.with_tools: "),
        (ONE + "[other]", "guards.toml: other: Extra inputs"),
        (ONE + key("web") + '[[key]]\nname = "b"\nsha256 = "abc"', "guards.toml: key.1.sha256: "),
        (ONE + f'[[key]]\nname = "b"\nsha256 = "{"A" * 64}"', "guards.toml: key.0.sha256: "),
        (ONE + key(""), "guards.toml: key.0.name: "),
        (ONE + key("web", "per_minute = 0"), "guards.toml: key.0.per_minute: "),
        (ONE + key("web") + key("web"), "guards.toml: key 'web' is there twice"),
        (
            ONE + key("web") + key("web").replace('"web"', '"app"'),
            f"guards.toml: key with hash '{digest('web')}' is there twice",
        ),
        (ONE + 'keys = ["web", "who"]\n' + key("web"), "guard a.json is for an unknown key 'who'"),
        ('[[guard]]\nfile = "none.json"', "none.json: No such file"),
        ('[[guard]]\nfile = "half.json"', "half.json: it is damaged"),
        ('[[guard]]\nfile = "next.json"', "next.json: unknown schema_version 2"),
        ('[[guard]]\nfile = "foreign.json"', "foreign.json: "),
        ('[[guard]]\nfile = "."', "Is a directory"),
        ('[[guard]]\nfile = "a\\u0000b"', "cannot read guard"),
        (ONE + CHECK.format(format="nobody", url="http://h/v1"), "check.0.format: unknown format"),
        (ONE + CHECK.format(format="llama-guard-3", url="h"), "check.0.url: 'h' is no http"),
        (
            ONE + 2 * CHECK.format(format="llama-guard-3", url="http://h"),
            "check 'c' is there twice",
        ),
    ],
)
def test_a_malformed_file_is_one_line_that_names_the_place(guards, tmp_path, text, named):
    whole = A.model_dump_json()
    (tmp_path / "half.json").write_text(whole[:-3])
    (tmp_path / "next.json").write_text(whole.replace('version":1', 'version":2'))
    (tmp_path / "foreign.json").write_text('{"hello": 1}')
    path = guards(text)
    with pytest.raises(ConfigError) as error:
        PolicyFile(path).load()
    assert named in str(error.value)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    path = tmp_path / "guards.toml"
    with pytest.raises(ConfigError, match=r"cannot read .*guards.toml: No such file"):
        PolicyFile(path).load()
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"cannot read .*guards.toml: 'utf-8' codec"):
        PolicyFile(path).load()


def test_the_key_of_a_check_is_never_shown(guards):
    check = CHECK.format(format="llama-guard-3", url="http://h/v1")
    policy = PolicyFile(guards(ONE + check + 'key = "hunter2"')).load()
    assert "hunter2" not in repr(policy)
    with pytest.raises(ConfigError) as error:
        PolicyFile(guards(ONE + check + 'key = ["hunter2"]')).load()
    assert "check.0.key" in str(error.value) and "hunter2" not in str(error.value)


def test_the_key_of_a_check_is_one_that_can_be_sent(guards):
    check = CHECK.format(format="llama-guard-3", url="http://h/v1")
    (entry,) = PolicyFile(guards(ONE + check + 'key = "hunter2\\r\\n"')).load().checks
    assert entry.key.get_secret_value() == "hunter2"
    for bad in ("hunt\u0117r2", "hun\\nter2"):
        with pytest.raises(ConfigError, match=r"check\.0\.key: the key holds a char") as error:
            PolicyFile(guards(ONE + check + f'key = "{bad}"')).load()
        assert "hun" not in str(error.value)


def test_changes_act_while_requests_run_and_none_of_them_fails(guards, gate, tmp_path):
    client, _ = gate(guards(ONE))
    seen, stop = [], threading.Event()

    def go_on():
        while not stop.is_set():
            seen.append(ask(client))

    threads = [threading.Thread(target=go_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: seen)
        guards('[[guard]]\nfile = "b.json"\n')  # another guard
        until(lambda: reloads(client, "done") == 1)
        assert words(client) == "B"
        until(lambda: seen[-1].headers["x-foreword-guard"] == B.hash8)
        A.save(tmp_path / "b.json")  # the same file with other words
        until(lambda: reloads(client, "done") == 2)
        assert words(client) == "A"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {response.status_code for response in seen} == {200}
    assert {r.headers["x-foreword-guard"] for r in seen} == {A.hash8, B.hash8}


@pytest.mark.parametrize(
    "broken",
    [
        "[[guard",
        '[[guard]]\nfile = "none.json"\n',
        ONE + CHECK.format(format="llama-guard-3", url="no address"),
    ],
)
def test_a_broken_file_changes_nothing_and_is_said(guards, gate, caplog, tmp_path, broken):
    client, _ = gate(guards(ONE))
    guards(broken)
    until(lambda: reloads(client, "failed") == 1)
    assert words(client) == "A"
    assert [r.levelno for r in caplog.records if "old policy stays" in r.message] == [logging.ERROR]
    time.sleep(0.1)
    assert reloads(client, "failed") == 1  # said once, not at each look
    if "none.json" in broken:
        B.save(tmp_path / "none.json")  # mended by the file it names
    else:
        guards('[[guard]]\nfile = "b.json"\n')
    until(lambda: words(client) == "B")
    assert reloads(client, "done") == 1


def test_a_guard_file_that_breaks_or_goes_leaves_the_old_words(guards, gate, tmp_path):
    client, _ = gate(guards(ONE))
    (tmp_path / "a.json").write_text("{")
    until(lambda: reloads(client, "failed") == 1)
    (tmp_path / "a.json").unlink()
    until(lambda: reloads(client, "failed") == 2)
    assert words(client) == "A"
    os.link(tmp_path / "b.json", tmp_path / "a.json")
    until(lambda: words(client) == "B")


def test_a_used_up_limit_stays_used_up_and_a_removed_key_is_out(guards, gate):
    limited = ONE + key("web", "per_minute = 2") + key("ops")
    client, _ = gate(guards(limited))
    assert [ask(client, "web").status_code for _ in range(3)] == [200, 200, 429]
    guards("# the same with a remark\n" + limited)
    until(lambda: reloads(client, "done") == 1)
    assert ask(client, "web").status_code == 429
    guards(ONE + key("ops"))
    until(lambda: reloads(client, "done") == 2)
    assert ask(client, "web").status_code == 401
    assert words(client, "ops") == "A"


@pytest.mark.parametrize(("manner", "result"), [("vllm", "done"), ("openai", "failed")])
def test_the_first_prefix_guard_of_a_running_gateway_needs_the_proof_of_its_start(
    guards, gate, tmp_path, manner, result
):
    A.model_copy(update={"placement": "suffix"}).save(tmp_path / "s.json")
    path = guards('[[guard]]\nfile = "s.json"\n')
    with FakeServer(manner) as server:

        def prove(before):
            with Server(server.url) as asked:
                return Proved(probe(asked))

        client, _ = gate(path, server, SUFFIX, prove=prove)
        assert ask(client).headers["x-foreword-dialect"] == "suffix"
        guards(ONE)
        until(lambda: reloads(client, result) == 1)
        response = ask(client)
        assert response.headers["x-foreword-dialect"] == ("vllm" if result == "done" else "suffix")
        last = server.asked[-1]["messages"][-1]
        assert last["role"] == ("assistant" if result == "done" else "user")
        assert json.dumps(last).count("As A, I") == 1
