"""API keys of the gateway: who is let in, how often, and who may do without the guard."""

import json
import time
from contextlib import ExitStack
from types import SimpleNamespace

import httpx
import pytest

from foreword import Guard
from foreword.gateway import keys
from foreword.gateway.app import Gateway
from foreword.gateway.keys import Bucket, Caller, Denied, KeyRing, digest, new_key
from foreword.gateway.policy import Policy, Route
from foreword.gateway.proof import Proved
from foreword.gateway.upstream import Upstream
from foreword.models.dialects import dialect
from foreword.models.probe import Continuation
from foreword.testing.servers import FakeServer, RawServer, running

GUARD = Guard(prefix="As an honest agent, I", target="t")
ASK = {"model": "fake", "messages": [{"role": "user", "content": "Tidy up."}], "n": 1}
ECHO = Continuation(dialect("lmstudio"), echo=True, echo_stream=True)


def caller(name, **more):
    return Caller(name, digest=digest(f"key of {name}"), **more)


def bearer(name):
    return {"authorization": f"Bearer key of {name}"}


@pytest.fixture
def gate():
    """A function that puts a gateway with these callers before a server, and a client of it."""
    with ExitStack() as stack:

        def start(server, *callers, key=None):
            stack.enter_context(server)
            policy = Policy((Route(GUARD),), KeyRing(callers))
            gateway = Gateway(Upstream(server.url, key), policy, Proved(ECHO, ECHO))
            at = stack.enter_context(running(gateway))
            return stack.enter_context(httpx.Client(base_url=at, timeout=20))

        yield start


class Clock:
    """Stands still until it is moved; an hour ahead, so that all buckets are full."""

    def __init__(self):
        self.now = time.monotonic() + 3600

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(keys, "monotonic", clock)
    return clock


def ask(client, headers=None, **more):
    return client.post("/chat/completions", json={**ASK, **more}, headers=headers or {})


def failed(response, status, code):
    assert response.status_code == status, response.text
    assert response.json()["error"]["code"] == code
    return response


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer key of nobody"},
        {"authorization": "Bearer key of web2"},
        {"authorization": "Basic key of web"},
        {"authorization": "key of web"},
        {"authorization": f"Bearer {digest('key of web')}"},
        {"authorization": b"Bearer \xff\xfe"},
        {"x-api-key": "key of web"},
    ],
)
def test_without_a_good_key_nothing_reaches_the_upstream(gate, headers):
    server = FakeServer("lmstudio")
    client = gate(server, caller("web"), caller("ops"))
    failed(ask(client, headers), 401, "invalid_api_key")
    failed(
        client.post("/completions", json={"prompt": "x"}, headers=headers), 401, "invalid_api_key"
    )
    failed(client.get("/models", headers=headers), 401, "invalid_api_key")
    assert server.asked == []


def test_with_a_good_key_all_routes_answer(gate):
    client = gate(FakeServer("lmstudio"), caller("web"), caller("ops"))
    for name in ("web", "ops"):
        assert ask(client, bearer(name)).status_code == 200
        assert client.get("/models", headers=bearer(name)).status_code == 200
    assert ask(client, {"authorization": "bEARER  key of web"}).status_code == 200


def test_health_and_metrics_need_no_key(gate):
    client = gate(FakeServer("lmstudio"), caller("web"))
    root = str(client.base_url).removesuffix("v1/")
    for path in ("health/live", "health/ready", "metrics"):
        assert client.get(root + path).status_code == 200
    failed(ask(client), 401, "invalid_api_key")
    assert 'route="/v1/chat/completions",status="401"' in client.get(root + "metrics").text


@pytest.mark.parametrize("key", [None, "of the upstream"])
def test_the_gateways_key_stays_here_and_the_upstreams_goes_there(gate, key):
    heads = []
    reply = json.dumps({"choices": [{"index": 0, "message": {"content": " go on."}}]}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(reply)}"

    def look(sock, request, n):
        heads.append(request.decode())
        sock.sendall(head.encode() + b"\r\n\r\n" + reply)

    client = gate(RawServer(look), caller("web", may_opt_out=True), key=key)
    assert ask(client, bearer("web")).status_code == 200
    assert ask(client, bearer("web") | {"x-foreword-guard": "off"}).status_code == 200
    assert client.get("/models", headers=bearer("web")).status_code == 200
    assert len(heads) == 3
    for each in heads:
        assert "key of web" not in each and "x-foreword-guard" not in each
        assert ("authorization: Bearer of the upstream\r\n" in each) == (key is not None)
        assert each.lower().count("authorization") == (key is not None)


@pytest.mark.parametrize("name", ["first", "last", "nobody"])
def test_every_key_is_compared_in_constant_time_whoever_asks(monkeypatch, name):
    ring = KeyRing([caller("first"), caller("middle"), caller("last")])
    compared, real = [], keys.hmac.compare_digest

    def compare(a, b):
        compared.append({a, b})
        return real(a, b)

    monkeypatch.setattr(keys, "hmac", SimpleNamespace(compare_digest=compare))
    try:
        assert ring.admit(bearer(name)).name == name
    except Denied:
        assert name == "nobody"
    given = digest(f"key of {name}")
    assert compared == [{each.digest, given} for each in ring.callers]


def test_a_limit_says_when_to_come_back_and_then_lets_in(gate, clock):
    server = FakeServer("lmstudio")
    client = gate(server, caller("web", bucket=Bucket(2)), caller("ops"))
    assert [ask(client, bearer("web")).status_code for _ in range(2)] == [200, 200]
    response = failed(ask(client, bearer("web")), 429, "rate_limited")
    assert response.headers["retry-after"] == "30"
    assert "more than 2 requests a minute" in response.text
    assert failed(client.get("/models", headers=bearer("web")), 429, "rate_limited")
    assert len(server.asked) == 2
    assert ask(client, bearer("ops")).status_code == 200  # each has its own
    clock.now += 28.6
    response = failed(ask(client, bearer("web")), 429, "rate_limited")
    assert response.headers["retry-after"] == "2"  # 1.4 s: who waits 1 s would be sent off again
    clock.now += 2
    assert ask(client, bearer("web")).status_code == 200
    failed(ask(client, bearer("web")), 429, "rate_limited")
    clock.now += 3600  # a long rest saves up no more than a minute's worth
    assert [ask(client, bearer("web")).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("per_minute", [1, 7, 60, 1000])
def test_over_time_a_bucket_gives_its_rate_and_one_burst(per_minute):
    bucket = Bucket(per_minute)
    start = bucket.seen
    passed = sum(bucket.take(start + tick / 50) == 0 for tick in range(50 * 600))
    assert passed in (11 * per_minute - 1, 11 * per_minute)  # ten minutes and the burst


@pytest.mark.parametrize("stream", [False, True])
def test_who_may_opt_out_gets_a_reply_without_the_guard(gate, stream):
    server = FakeServer("lmstudio")
    client = gate(server, caller("lab", may_opt_out=True), caller("web"))
    off = {"x-foreword-guard": "OFF"}
    odd = {"messages": [*ASK["messages"], {"role": "assistant", "content": "Well"}], "unknown": [1]}
    response = ask(client, bearer("lab") | off, stream=stream, **odd)
    assert response.status_code == 200
    assert response.headers["x-foreword-guard"] == "off"
    assert server.asked == [{**ASK, **odd, "stream": stream}]  # as it came
    assert "Well" in response.text  # the server's own echo, untouched
    response = ask(client, bearer("lab"), stream=stream)  # only that one request
    assert response.headers["x-foreword-guard"] == GUARD.hash8
    assert server.asked[-1]["messages"][-1]["content"] == GUARD.prefix

    sent = len(server.asked)
    failed(ask(client, bearer("web") | off), 403, "guard_required")
    for wrong in ("on", "", "false", GUARD.hash8):
        for name in ("lab", "web"):
            header = {"x-foreword-guard": wrong}
            failed(ask(client, bearer(name) | header), 400, "invalid_request")
    assert len(server.asked) == sent
    page = client.get(str(client.base_url).removesuffix("v1/") + "metrics").text
    assert 'foreword_guarded_total{guard="off"}' not in page


def test_where_no_keys_are_set_everybody_may_ask_and_nobody_opt_out(gate):
    server = FakeServer("lmstudio")
    client = gate(server)
    assert ask(client, bearer("whoever")).status_code == 200
    sent = len(server.asked)
    failed(ask(client, {"x-foreword-guard": "off"}), 403, "guard_required")
    assert len(server.asked) == sent


def test_new_keys_are_long_random_and_kept_as_a_hash_only():
    made = {new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(key.startswith("fw-") and len(key) >= 3 + 43 for key in made)
    key = made.pop()
    assert key not in repr(KeyRing([Caller("web", digest=digest(key))]).callers)
