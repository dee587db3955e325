"""/v1/responses through a live gateway, before doubles of every kind of server."""

import json

import httpx
import pytest

from foreword import Guard
from foreword.gateway import process, settings
from foreword.gateway.app import Gateway
from foreword.gateway.policy import Policy
from foreword.gateway.upstream import Upstream
from foreword.models.dialects import dialect
from foreword.models.probe import probe, probe_responses
from foreword.models.server import Server
from foreword.testing.servers import FakeServer, running

WORDS = "As an honest agent, I"
GUARD = Guard(prefix=WORDS, target="t")


def gateway(server, name, **options):
    with Server(server.url) as asked:
        way = probe(asked, name)
        responses = probe_responses(asked, way.dialect)
    return Gateway(Upstream(server.url), Policy.of(GUARD), way, responses=responses, **options)


def said(response):
    assert response.status_code == 200, response.text
    if not response.headers["content-type"].startswith("text/event-stream"):
        parts = [part for item in response.json()["output"] for part in item["content"]]
        return "".join(part["text"] for part in parts)
    events = [json.loads(line[5:]) for line in response.text.split("\n") if line[:5] == "data:"]
    return "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("show", [False, True])
@pytest.mark.parametrize("name", ["vllm", "llamacpp", "ollama", "lmstudio"])
def test_a_client_sees_one_behaviour(name, show, stream):
    with FakeServer(name) as server:
        app = gateway(server, name, show_prefix=show)
        with running(app) as url, httpx.Client(base_url=url) as client:
            answer = client.post("/responses", json={"input": "Tidy up.", "stream": stream})
            assert said(answer) == (WORDS if show else "") + " go on."
            assert answer.headers["x-foreword-guard"] == GUARD.hash8
            assert WORDS in json.dumps(server.asked[-1]["input"][-1])


@pytest.mark.parametrize("name", ["deepseek", "mistral"])
def test_where_the_upstream_has_no_such_route_the_gateway_has_none(name):
    with FakeServer(name) as server, running(gateway(server, name)) as url:
        answer = httpx.post(f"{url}/responses", json={"input": "Tidy up."})
        assert answer.status_code == 404
        assert "POST /v1/chat/completions" in answer.json()["error"]["message"]


def test_where_the_upstream_does_not_continue_there_the_gateway_has_none(caplog):
    caplog.set_level("WARNING", "foreword.gateway")
    with FakeServer("sglang") as server:
        said = settings.load(None, {"upstream": server.url, "guard": "guard.json"})
        assert process.prove_responses(said, dialect("sglang")) is None
    assert "/v1/responses is not served" in caplog.text


def test_after_a_probe_that_failed_nothing_is_sent_there():
    with FakeServer("ollama") as server:
        app = gateway(server, "ollama")
        app._responses = None  # as a probe on demand leaves it
        with running(app) as url, httpx.Client(base_url=url) as client:
            asked = len(server.asked)
            answer = client.post("/responses", json={"input": "Tidy up."})
            assert answer.json()["error"]["code"] == "not_continuing"
            assert len(server.asked) == asked
