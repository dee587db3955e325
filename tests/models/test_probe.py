"""The live probe against a double of every server of docs/gateway.md."""

from contextlib import ExitStack

import pytest

from foreword.core.errors import ModelError, UnknownName, UsageError
from foreword.models.dialects import DIALECTS, dialect
from foreword.models.probe import BEGINNINGS, NO_ROUTE, NoContinuation, probe, probe_responses
from foreword.models.server import Rejected, Server
from foreword.testing.servers import MANNERS, FakeServer, Manner, RawServer


@pytest.fixture
def served():
    """A function that starts a server of some manner and connects to it."""
    with ExitStack() as stack:

        def start(manner):
            fake = stack.enter_context(FakeServer(manner))
            return fake, stack.enter_context(Server(fake.url))

        yield start


ECHOES = {"llamacpp": (True, False), "lmstudio": (True, True), "mistral": (True, True)}


@pytest.mark.parametrize("name", DIALECTS)
def test_each_dialect_makes_its_server_continue_and_the_echo_is_measured(served, name):
    _, server = served(name)
    found = probe(server, name)
    assert found.dialect is dialect(name)
    assert (found.echo, found.echo_stream) == ECHOES.get(name, (False, False))


@pytest.mark.parametrize("name", sorted(set(DIALECTS) - {"sglang"}))
def test_auto_finds_a_way_that_works(served, name):
    fake, server = served(name)
    found = probe(server)
    assert fake.manner.continues(fake.asked[-1])
    assert (found.echo, found.echo_stream) == ECHOES.get(name, (False, False))


@pytest.mark.parametrize("manner", ["vllm", "sglang", "deepseek", "mistral"])
def test_a_server_asked_in_the_wrong_way_begins_a_new_turn_and_is_found_out(served, manner):
    _, server = served(manner)
    with pytest.raises(NoContinuation, match=r"ollama: after '1, 2, .* came 'Sure"):
        probe(server, "ollama")


@pytest.mark.parametrize("manner", ["openai", "anthropic"])
def test_a_server_that_never_continues_is_refused_with_what_it_said(served, manner):
    _, server = served(manner)
    with pytest.raises(NoContinuation) as raised:
        probe(server)
    said = "came 'Sure" if manner == "openai" else "does not support assistant message prefill"
    assert str(raised.value).count(said) == 3
    assert "placement suffix" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_server_that_continues_whole_answers_only_is_refused(served):
    _, server = served(Manner(lambda body: not body["stream"]))
    with pytest.raises(NoContinuation):
        probe(server, "ollama")


def test_a_new_turn_that_says_it_all_again_is_no_echo(served, monkeypatch):
    again = {each.question: each.prefix + each.goes_on for each in BEGINNINGS}
    monkeypatch.setattr(
        "foreword.testing.servers.talk", lambda messages, _: again[messages[0]["content"]]
    )
    _, server = served("openai")
    with pytest.raises(NoContinuation, match="came '1, 2, 3, 4,'"):
        probe(server, "ollama")


@pytest.mark.parametrize("name", ["vllm", "llamacpp", "ollama", "lmstudio"])
def test_on_responses_each_server_that_has_the_route_is_proved_on_its_own(served, name):
    fake, server = served(name)
    found = probe_responses(server, dialect(name))
    assert found is not None and found.dialect is dialect(name)
    assert (found.echo, found.echo_stream) == ECHOES.get(name, (False, False))
    assert all("messages" not in body and body["store"] is False for body in fake.asked)


@pytest.mark.parametrize("name", ["deepseek", "mistral"])
def test_a_server_without_responses_is_no_failure(served, name):
    _, server = served(name)
    assert probe_responses(server, dialect(name)) is None


@pytest.mark.parametrize("status", NO_ROUTE)
def test_what_servers_say_of_a_route_that_they_do_not_have(served, status):
    _, server = served(Manner(lambda body: True, no_responses=status))
    assert probe_responses(server, dialect("ollama")) is None


@pytest.mark.parametrize("name", ["sglang", "openai"])
def test_a_server_that_begins_a_new_turn_on_responses_alone_is_found_out(served, name):
    _, server = served(name)
    with pytest.raises(NoContinuation, match="came 'Sure"):
        probe_responses(server, dialect("sglang"))


def test_a_server_that_refuses_a_beginning_on_responses_says_why(served):
    _, server = served("llamacpp")
    with pytest.raises(NoContinuation, match="incompatible with enable_thinking"):
        probe_responses(server, dialect("ollama"))


def test_a_failure_of_the_responses_route_is_neither_yes_nor_no(served):
    _, server = served(Manner(lambda body: True, no_responses=503))
    with pytest.raises(Rejected, match="503"):
        probe_responses(server, dialect("ollama"))


def test_what_a_server_says_of_a_key_is_not_repeated():
    said = "bad key sk-secret"
    raw = f"HTTP/1.1 401 No\r\ncontent-length: {len(said)}\r\n\r\n{said}".encode()
    with (
        RawServer(lambda line, request, n: line.sendall(raw)) as fake,
        pytest.raises(Rejected, match="401 it does not take the key") as caught,
    ):
        Server(fake.url, api_key="sk-secret")
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize("odd", ["[]", "{}", '{"output": 7}', "data: {}"])
def test_an_answer_that_is_no_response_is_told_apart(odd):
    raw = f"HTTP/1.1 200 OK\r\ncontent-length: {len(odd)}\r\n\r\n{odd}".encode()
    with (
        RawServer(lambda line, request, n: line.sendall(raw)) as fake,
        Server(fake.url, "m") as server,
        pytest.raises(ModelError, match="gave no response"),
    ):
        server.respond({}, stream=odd.startswith("data"))


def test_an_unknown_dialect_is_named_with_the_known(served):
    _, server = served("vllm")
    with pytest.raises(UnknownName, match="unknown dialect 'vlm'; known: deepseek, llamacpp"):
        probe(server, "vlm")


def test_the_first_listed_model_is_asked_and_a_named_one_instead(served):
    fake, server = served("ollama")
    assert server.model == fake.model
    with Server(fake.url, "other") as named:
        probe(named, "ollama")
    assert {body["model"] for body in fake.asked} == {"other"}


def test_an_address_without_a_server_or_scheme_or_path_is_told_apart(served):
    fake, _ = served("vllm")
    with pytest.raises(UsageError, match="is no http address"):
        Server("127.0.0.1:8000")
    with pytest.raises(UsageError, match="is no http address"):
        Server("http://localhost:abc/v1")
    with pytest.raises(ModelError, match="does not answer"):
        Server("http://127.0.0.1:9/v1")
    with pytest.raises(ModelError, match=r"ends in /v1"):
        Server(fake.url.removesuffix("/v1"))


def test_every_manner_has_a_row():
    assert set(DIALECTS) <= set(MANNERS)
