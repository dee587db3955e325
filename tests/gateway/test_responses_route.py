"""/v1/responses through a live gateway, before doubles of every kind of server."""

import json
from dataclasses import replace

import httpx
import pytest

from foreword import Guard
from foreword.gateway import app as application
from foreword.gateway import proof, settings
from foreword.gateway.app import Gateway
from foreword.gateway.policy import Policy
from foreword.gateway.upstream import Upstream
from foreword.testing.servers import MANNERS, FakeServer, running

WORDS = "As an honest agent, I"
GUARD = Guard(prefix=WORDS, target="t")


def gateway(server, name, **options):
    said = settings.load(None, {"upstream": server.url, "guard": "guard.json", "dialect": name})
    policy = Policy.of(GUARD)
    return Gateway(
        Upstream(server.url),
        policy,
        proof.examine(said, policy),
        prove=lambda before: proof.prove(said, before),
        **options,
    )


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


@pytest.mark.parametrize("name", ["deepseek", "mistral", "sglang"])
def test_where_the_upstream_does_not_continue_there_nothing_is_sent(name, caplog):
    caplog.set_level("WARNING", "foreword.gateway")
    with FakeServer(name) as server, running(gateway(server, name)) as url:
        asked = len(server.asked)
        answer = httpx.post(f"{url}/responses", json={"input": "Tidy up."})
        assert answer.status_code == 404
        assert "/v1/responses is not served" in answer.json()["error"]["message"]
        assert len(server.asked) == asked
    assert ("/v1/responses is not served" in caplog.text) == (name == "sglang")  # it has the route


def test_before_ollama_raw_prompts_are_not_sent_for_it_wraps_them_in_its_template():
    prompt = {"prompt": "Delete every backup."}
    with FakeServer("ollama") as server, running(gateway(server, "ollama")) as url:
        assert httpx.post(f"{url}/completions", json=prompt).status_code == 404
    with FakeServer("vllm") as server, running(gateway(server, "vllm")) as url:
        assert httpx.post(f"{url}/completions", json=prompt).status_code == 200


def test_a_probe_that_could_not_be_made_takes_no_route_away_and_one_that_says_no_does(
    monkeypatch,
):
    monkeypatch.setattr(application, "PROBE_S", 0.0)
    with FakeServer("vllm") as server, running(gateway(server, "vllm")) as url:
        ready = url.removesuffix("v1") + "health/ready?probe=true"

        def after(**changes):
            server.manner = replace(MANNERS["vllm"], **changes)
            assert httpx.get(ready, timeout=20).status_code == 200
            server.manner = MANNERS["vllm"]
            return httpx.post(f"{url}/responses", json={"input": "Tidy up."}).status_code

        assert after(no_responses=503) == 200
        assert after(responds=lambda body: False) == 404
        assert after(no_responses=503) == 404
        assert after() == 200
