"""What tests share: one agent behind the real llama.cpp server, and a gateway under checks."""

import json
import time
from contextlib import ExitStack
from types import SimpleNamespace

import httpx
import pytest

from foreword import Guard, models
from foreword.gateway.app import Gateway
from foreword.gateway.policy import CheckEntry, Policy, Route
from foreword.gateway.proof import Proved
from foreword.gateway.upstream import Upstream
from foreword.models.dialects import dialect
from foreword.models.probe import Continuation
from foreword.testing.servers import ScriptedServer, running

WORDS = "As a responsible assistant, I"
GUARD = Guard(prefix="As an honest agent, I", target="t")
PLAIN = Continuation(dialect("ollama"), echo=False, echo_stream=False)


@pytest.fixture(scope="session")
def agent():
    return models.load("reference", adapter="agent")


@pytest.fixture(scope="session")
def guard(agent):
    return Guard(prefix=WORDS, target=agent.fingerprint)


@pytest.fixture(scope="session")
def gguf(agent, tmp_path_factory):
    from foreword.testing.llamacpp import write_gguf

    path = tmp_path_factory.mktemp("gguf") / "agent.gguf"
    write_gguf(agent, path)
    return path


@pytest.fixture(scope="session")
def upstream(gguf):
    from foreword.testing.llamacpp import llama_server

    with llama_server(gguf) as url:
        yield url


def verdict(body):
    """What a guard model says that knows one evil: HARM."""
    return "unsafe: harm" if "HARM" in body["messages"][1]["content"] else "safe"


def read_by(server):
    """The last turn of each question that a guardrail model was asked."""
    return [json.loads(body["messages"][1]["content"])[-1]["content"] for body in server.asked]


@pytest.fixture
def kept(caplog):
    """A function that waits for so many records: one is kept after its client has the answer."""
    caplog.set_level("INFO", "foreword.gateway.requests")

    def wait(count):
        end = time.monotonic() + 20
        while True:
            found = [each.record for each in caplog.records if hasattr(each, "record")]
            if len(found) >= count or time.monotonic() > end:
                assert len(found) == count
                return found
            time.sleep(0.005)

    return wait


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def checked(stack):
    """A function that puts a gateway with checks before an upstream; gives a client and more."""

    def start(upstream, *checks, say=verdict, **options):
        """`checks`: the fields of each; where no url is given, a double that says `say`."""
        models, entries = [], []
        for fields in checks or ({},):
            given = dict(fields)
            if "url" not in given:
                models.append(stack.enter_context(ScriptedServer(given.pop("say", say))))
                given["url"] = models[-1].url
            given = {"name": f"c{len(entries)}", "format": "generic", "model": "g", **given}
            entries.append(CheckEntry(**given))
        stack.enter_context(upstream)
        policy = Policy((Route(GUARD),), checks=tuple(entries), **options.pop("policy", {}))
        proved = Proved(PLAIN, PLAIN, PLAIN, options.pop("costs", {}))
        gateway = Gateway(Upstream(upstream.url, None, 5.0), policy, proved, **options)
        client = stack.enter_context(
            httpx.Client(base_url=stack.enter_context(running(gateway)), timeout=20)
        )
        return SimpleNamespace(client=client, models=models, gateway=gateway, read=read_by)

    return start
