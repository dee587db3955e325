"""The gateway as a client sees it, before doubles of every kind of server."""

import json
import re
import socket
import threading
import time
import zlib
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from foreword import Guard
from foreword.gateway.app import Gateway
from foreword.gateway.metrics import Metrics
from foreword.gateway.policy import Policy
from foreword.gateway.proof import Proved
from foreword.gateway.upstream import Upstream
from foreword.models.dialects import DIALECTS, dialect
from foreword.models.probe import Continuation, probe
from foreword.models.server import Server
from foreword.testing.servers import FakeServer, RawServer, running

WORDS = "As an honest agent, I"
GUARD = Guard(prefix=WORDS, target="t")
ASK = {"model": "fake", "messages": [{"role": "user", "content": "Tidy up."}]}
PLAIN = Continuation(dialect("ollama"), echo=False, echo_stream=False)
ECHO = Continuation(dialect("ollama"), echo=True, echo_stream=True)


def answer(text=" go on.", **more):
    message = {"role": "assistant", "content": text}
    return json.dumps({"choices": [{"index": 0, "message": message}], **more}).encode()


def http(body, kind="application/json", status="200 OK", **headers):
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunk(text, index=0):
    choice = {"index": index, "delta": {"content": text}, "finish_reason": None}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


@pytest.fixture
def gate():
    """A function that puts a gateway before a server and gives a client of it."""
    with ExitStack() as stack:

        def start(server, way=PLAIN, silence=5.0, **options):
            url = server if isinstance(server, str) else stack.enter_context(server).url
            gateway = Gateway(
                Upstream(url, None, silence), Policy.of(GUARD), Proved(way, way), **options
            )
            at = stack.enter_context(running(gateway))
            return stack.enter_context(httpx.Client(base_url=at, timeout=20))

        yield start


def raw(*replies):
    """A server that writes one of these for each request, the last for all others."""
    left = list(replies)

    def write(sock, request, n):
        sock.sendall(left.pop(0) if len(left) > 1 else left[0])

    return RawServer(write)


def said(response):
    assert response.status_code == 200, response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        events = [line[5:] for line in response.text.split("\n") if line.startswith("data:")]
        chunks = [json.loads(event) for event in events if "[DONE]" not in event]
        return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks)
    return response.json()["choices"][0]["message"]["content"]


def failed(response, status, code):
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["code"] == code, error
    return error["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("show", [False, True])
@pytest.mark.parametrize("name", DIALECTS)
def test_before_every_kind_of_server_a_client_sees_one_behaviour(gate, name, show, stream):
    server = FakeServer(name)
    with server, Server(server.url) as asked:
        way = probe(asked, name)
        client = gate(server.url, way, show_prefix=show)
        response = client.post("/chat/completions", json={**ASK, "stream": stream})
        assert said(response) == (WORDS if show else "") + " go on."
        assert response.headers["x-foreword-guard"] == GUARD.hash8
        assert response.headers["x-foreword-dialect"] == name
        assert response.headers["x-foreword-prefix"] == ("shown" if show else "hidden")
        sent = server.asked[-1]["messages"]
        assert [m["content"] for m in sent] == ["Tidy up.", WORDS]


def test_an_agents_loop_carries_the_prefix_in_every_turn_and_once(gate):
    server = FakeServer("vllm")
    client = gate(server, Continuation(dialect("vllm"), echo=False, echo_stream=False))
    messages = list(ASK["messages"])
    for _ in range(3):
        reply = said(client.post("/chat/completions", json={**ASK, "messages": messages}))
        messages += [{"role": "assistant", "content": reply}, {"role": "user", "content": "More."}]
    turns = [m["content"] for m in server.asked[-1]["messages"] if m["role"] == "assistant"]
    assert turns == [WORDS + " go on.", WORDS + " go on.", WORDS]


def test_the_page_names_every_metric():
    page = (Path(__file__).parents[2] / "docs/gateway.md").read_text("utf-8")
    kinds = re.findall(r"^# TYPE (\w+) (?:counter|histogram)$", Metrics().page().decode(), re.M)
    assert kinds == re.findall(r"^\| `(foreword_\w+)` \|", page, re.M)


def test_models_health_metrics_and_nothing_else(gate):
    client = gate(FakeServer("ollama"))
    assert client.get("/models").json()["data"][0]["id"] == "fake"
    root = str(client.base_url).removesuffix("v1/")
    assert client.get(root + "health/live").text == "ok\n"
    ready = client.get(root + "health/ready").json()
    assert ready == {
        "ready": True,
        "guards": [GUARD.hash8],
        "dialect": "ollama",
        "echo": False,
        "echo_stream": False,
    }
    for path in ("responses", "embeddings", "../admin", "chat/completions/x", "models/../x"):
        failed(client.post(path, json=ASK), 404, "not_found")
    failed(client.get("chat/completions"), 404, "not_found")
    said(client.post("/chat/completions", json=ASK))
    page = client.get(root + "metrics").text
    assert 'foreword_requests_total{route="/v1/chat/completions",status="200"} 1.0' in page
    assert 'foreword_requests_total{route="other",status="404"} 5.0' in page
    assert f'foreword_guarded_total{{guard="{GUARD.hash8}"}} 1.0' in page


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "invalid_request"),
        (b'{"messages": []}', 400, "invalid_request"),
        (b"\xff" * 100, 400, "invalid_request"),
        (b"x" * 2001, 413, "body_too_large"),
    ],
)
def test_what_cannot_be_guarded_is_refused_and_never_sent_on(gate, content, status, code):
    server = FakeServer("ollama")
    client = gate(server, max_body=2000)
    failed(client.post("/chat/completions", content=content), status, code)
    assert server.asked == []
    assert said(client.post("/chat/completions", json=ASK)) == " go on."


def test_the_upstreams_own_refusal_reaches_the_client(gate):
    refusal = b'{"error": {"message": "too many", "code": 429}}'
    client = gate(raw(http(refusal, status="429 Slow Down", retry_after=7, x_other=1)))
    response = client.post("/chat/completions", json=ASK)
    assert (response.status_code, response.content) == (429, refusal)
    assert response.headers["retry-after"] == "7"
    assert "x-other" not in response.headers
    assert response.headers["x-foreword-guard"] == GUARD.hash8


def test_a_storm_of_errors_is_passed_on_one_by_one(gate):
    client = gate(raw(http(b'{"error": 1}', status="503 No")))
    assert [client.post("/chat/completions", json=ASK).status_code for _ in range(30)] == [503] * 30


def test_a_server_that_is_not_there(gate):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = gate(f"http://127.0.0.1:{port}/v1")
    message = failed(client.post("/chat/completions", json=ASK), 502, "upstream_unreachable")
    assert message == "the upstream cannot be reached: Connection refused"
    root = str(client.base_url).removesuffix("v1/")
    failed(client.get(root + "health/ready"), 502, "upstream_unreachable")
    assert client.get(root + "health/live").status_code == 200


def test_a_failing_server_is_not_ready(gate):
    client = gate(raw(http(b"{}", status="500 No")))
    root = str(client.base_url).removesuffix("v1/")
    failed(client.get(root + "health/ready"), 503, "upstream_failing")


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\ncontent-", http(answer())[:-5]])
def test_silence_ends_in_a_timeout(gate, begun):
    client = gate(raw(begun), silence=0.3)
    failed(client.post("/chat/completions", json=ASK), 504, "upstream_silent")


@pytest.mark.parametrize(
    "begun", [b"", b"H", b"HTTP/1.1 200 OK\r\ncontent-", http(answer())[:-5], http(answer())[:-1]]
)
def test_a_server_that_hangs_up(gate, begun):
    def hang_up(sock, request, n):
        sock.sendall(begun)
        return False

    client = gate(RawServer(hang_up))
    failed(client.post("/chat/completions", json=ASK), 502, "upstream_broken")


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"220 smtp ready\r\n\r\n", "upstream_broken"),
        (b"\x16\x03\x01" * 10, "upstream_broken"),
        (b"HTTP/1.1 200 OK\r\n" + b"x-pad: " + b"y" * 70_000, "upstream_broken"),
        (http(b"<html>", "text/html"), "upstream_foreign"),
        (http(b"", "application/json"), "upstream_broken"),
        (http(b"{broken"), "upstream_broken"),
        (http(b"[1]"), "upstream_broken"),
        (http(b"\xff\xfe"), "upstream_broken"),
        (http(answer(), content_encoding="br"), "upstream_foreign"),
        (http(b"not zipped", content_encoding="gzip"), "upstream_broken"),
        (b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "upstream_broken"),
    ],
)
def test_what_is_no_chat_answer_is_an_error_of_the_upstream(gate, reply, code):
    client = gate(raw(reply), silence=1.0)
    failed(client.post("/chat/completions", json=ASK), 502, code)


def test_an_answer_beyond_the_limit(gate, monkeypatch):
    monkeypatch.setattr("foreword.gateway.connection.MAX_ANSWER", 10_000)
    client = gate(raw(http(answer("x" * 10_000))))
    failed(client.post("/chat/completions", json=ASK), 502, "upstream_too_large")


@pytest.mark.parametrize("wbits", [15, 31])
def test_an_answer_that_was_compressed_unasked(gate, wbits):
    zipped = zlib.compress(answer(WORDS + " go on."), wbits=wbits)
    reply = http(zipped, content_encoding="gzip" if wbits == 31 else "deflate")
    assert said(gate(raw(reply), ECHO).post("/chat/completions", json=ASK)) == " go on."


def test_an_answer_in_drips(gate):
    def drip(sock, request, n):
        for byte in http(answer()):
            sock.sendall(bytes([byte]))
            time.sleep(0.001)

    assert said(gate(RawServer(drip), silence=0.5).post("/chat/completions", json=ASK)) == " go on."


def test_an_answer_of_the_old_protocol_ends_with_the_connection(gate):
    def old(sock, request, n):
        sock.sendall(b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + answer())
        return False

    client = gate(RawServer(old))
    assert [said(client.post("/chat/completions", json=ASK)) for _ in range(3)] == [" go on."] * 3


def test_an_answer_after_an_interim_one(gate):
    client = gate(raw(b"HTTP/1.1 100 Continue\r\n\r\n" + http(answer())))
    assert [said(client.post("/chat/completions", json=ASK)) for _ in range(2)] == [" go on."] * 2


def test_a_connection_is_kept_and_replaced_when_the_server_has_closed_it(gate):
    kept = RawServer(lambda sock, request, n: sock.sendall(http(answer())))
    client = gate(kept)
    for _ in range(5):
        said(client.post("/chat/completions", json=ASK))
    assert kept.connections == 1

    served = {}

    def close_on_the_second(sock, request, n):
        served[n] = served.get(n, 0) + 1
        if served[n] == 2:
            return False
        sock.sendall(http(answer()))
        return True

    racing = RawServer(close_on_the_second)
    client = gate(racing)
    assert [said(client.post("/chat/completions", json=ASK)) for _ in range(9)] == [" go on."] * 9
    assert racing.connections == 9


def test_a_second_answer_nobody_asked_for_never_becomes_anothers(gate):
    secret = http(answer("of another tenant"))
    client = gate(raw(http(answer()) + secret, http(answer())))
    assert [said(client.post("/chat/completions", json=ASK)) for _ in range(4)] == [" go on."] * 4

    def late(sock, request, n):
        sock.sendall(http(answer()))
        time.sleep(0.1)
        sock.sendall(secret)

    client = gate(RawServer(late))
    for _ in range(3):
        assert said(client.post("/chat/completions", json=ASK)) == " go on."
        time.sleep(0.2)


def test_a_stream_that_breaks_off_ends_with_an_error_event(gate):
    def break_off(sock, request, n):
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        sock.sendall(head + b"transfer-encoding: chunked\r\n\r\n")
        event = chunk(WORDS) + chunk(" go") + b"data: {half"
        sock.sendall(f"{len(event):x}\r\n".encode() + event + b"\r\n")
        return False

    response = gate(RawServer(break_off), ECHO).post("/chat/completions", json=ASK)
    *_, error, last = response.text.split("\n\n")
    assert "half" not in response.text
    assert json.loads(error.removeprefix("data: "))["error"]["code"] == "upstream_broken"
    assert last == ""


def test_a_stream_that_falls_silent_ends_with_an_error_event(gate):
    client = gate(raw(EVENTS + chunk(" go")), silence=0.3)
    response = client.post("/chat/completions", json=ASK)
    error = response.text.split("\n\n")[-2]
    assert json.loads(error.removeprefix("data: "))["error"]["code"] == "upstream_silent"


def test_an_endless_line_ends_with_an_error_event(gate, monkeypatch):
    monkeypatch.setattr("foreword.gateway.streams.MAX_LINE", 10_000)
    client = gate(raw(EVENTS + b"data: " + b"x" * 20_000), ECHO)
    response = client.post("/chat/completions", json=ASK)
    assert '"upstream_broken"' in response.text


def test_a_compressed_stream(gate):
    def zipped(sock, request, n):
        body = zlib.compress(chunk(WORDS) + chunk(" go on.") + b"data: [DONE]\n\n", wbits=31)
        head = (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n\r\n"
        )
        sock.sendall(head + body)
        return False

    assert said(gate(RawServer(zipped), ECHO).post("/chat/completions", json=ASK)) == " go on."


def test_pieces_reach_the_client_as_they_come(gate):
    def tick(sock, request, n):
        sock.sendall(EVENTS)
        for _ in range(3):
            sock.sendall(chunk(" tick"))
            time.sleep(0.3)
        return False

    seen = []
    with gate(RawServer(tick)).stream("POST", "/chat/completions", json=ASK) as response:
        for part in response.iter_raw():
            seen.append((time.monotonic(), part))
    assert len(seen) == 3
    assert seen[-1][0] - seen[0][0] > 0.4


@pytest.mark.parametrize("streaming", [True, False])
def test_when_the_client_leaves_the_upstream_is_told(gate, streaming):
    left = threading.Event()

    def wait(sock, request, n):
        if streaming:
            sock.sendall(EVENTS + chunk(" go"))
        if sock.recv(1) == b"":
            left.set()
        return False

    client = gate(RawServer(wait))
    with pytest.raises(httpx.ReadTimeout):
        client.post("/chat/completions", json=ASK, timeout=0.5)
    assert left.wait(5)


def test_a_slow_client_slows_the_upstream_down_and_loses_nothing(gate):
    text, sent = "x" * 10_000, 0
    done = threading.Event()

    def flood(sock, request, n):
        nonlocal sent
        sock.sendall(EVENTS)
        for _ in range(10_000):
            sock.sendall(chunk(text))
            sent += 1
        done.set()
        return False

    client = gate(RawServer(flood))
    received = b""
    with client.stream("POST", "/chat/completions", json=ASK) as response:
        parts = response.iter_raw()
        received += next(parts)
        time.sleep(0.5)
        assert not done.is_set()  # 100 MB do not fit into the buffers between
        received += b"".join(parts)
    assert received.count(text.encode()) == 10_000


def test_many_at_once_each_get_their_own_answer(gate):
    def mirror(sock, request, n):
        asked = json.loads(request.partition(b"\r\n\r\n")[2])["messages"][0]["content"]
        time.sleep(0.01)
        sock.sendall(http(answer(asked)))

    client = gate(RawServer(mirror))
    results = {}

    def ask(name):
        body = {**ASK, "messages": [{"role": "user", "content": name}]}
        results[name] = said(client.post("/chat/completions", json=body))

    threads = [threading.Thread(target=ask, args=(f"n{i}",)) for i in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {f"n{i}": f"n{i}" for i in range(60)}


def test_only_some_headers_go_either_way_and_an_own_key_replaces_the_clients():
    seen = []

    def look(sock, request, n):
        seen.append(request.partition(b"\r\n\r\n")[0].decode().lower())
        sock.sendall(http(answer(), set_cookie="a=b", x_request_id="r1"))

    headers = {"authorization": "Bearer client", "cookie": "c=d", "x-request-id": "r0"}
    with RawServer(look) as server:
        for key in (None, "own"):
            gateway = Gateway(Upstream(server.url, key), Policy.of(GUARD), Proved(PLAIN))
            with running(gateway) as at:
                response = httpx.post(f"{at}/chat/completions", json=ASK, headers=headers)
            assert response.headers["x-request-id"] == "r1"
            assert "set-cookie" not in response.headers
    assert "authorization: bearer client" in seen[0] and "bearer own" not in seen[0]
    assert "authorization: bearer own" in seen[1] and "bearer client" not in seen[1]
    assert all("cookie" not in head and "x-request-id: r0" in head for head in seen)


@pytest.mark.parametrize("status", [401, 403])
def test_what_an_upstream_says_of_our_key_reaches_nobody(status):
    def deny(sock, request, n):
        sock.sendall(http(b'{"error": {"message": "no such key: sk-ours"}}', status=f"{status} No"))

    with RawServer(deny) as server:
        for key, wanted in ((None, status), ("sk-ours", 502)):
            with running(Gateway(Upstream(server.url, key), Policy.of(GUARD), Proved(PLAIN))) as at:
                asked = httpx.post(f"{at}/chat/completions", json=ASK), httpx.get(f"{at}/models")
                for answer in asked:
                    assert answer.status_code == wanted
                    assert ("sk-ours" in answer.text) == (key is None)


def test_a_fault_of_our_own_is_an_answer_and_a_line_in_the_log(gate, caplog):
    class Faulty(Upstream):
        async def send(self, *_):
            raise RuntimeError("ours")

    gateway = Gateway(Faulty("http://127.0.0.1:9/v1"), Policy.of(GUARD), Proved(PLAIN))
    with running(gateway) as at:
        failed(httpx.post(f"{at}/chat/completions", json=ASK), 500, "internal")
    assert "ours" in caplog.text


def nested(depth):
    return b"[" * depth + b"]" * depth


def test_what_is_nested_too_deeply_is_refused_and_no_fault_of_ours(gate):
    client = gate(FakeServer("ollama"))
    body = b'{"messages": [{"role": "user", "content": "x"}], "metadata": ' + nested(500) + b"}"
    assert "deeply" in failed(
        client.post("/chat/completions", content=body), 400, "invalid_request"
    )
    body = b'{"choices": [{"message": {"content": "x"}, "more": ' + nested(500) + b"}]}"
    client = gate(raw(http(body)))
    failed(client.post("/chat/completions", json=ASK), 502, "upstream_broken")
    event = b'data: {"choices": [{"index": 0, "delta": {"content": "x"}, "more": '
    stream = EVENTS + event + nested(500) + b"}]}\n\n"
    client = gate(raw(stream), way=ECHO)
    text = client.post("/chat/completions", json={**ASK, "stream": True}).text
    assert '"code":"internal"' in text or '"code":"upstream_broken"' in text
