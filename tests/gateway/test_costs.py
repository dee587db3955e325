"""Tokens of a guard as the server counts them; unknown where it does not, never guessed."""

import json
import logging

import pytest

from foreword import Guard
from foreword.gateway.costs import token_costs
from foreword.gateway.faces import CHAT, rendered
from foreword.models.dialects import DIALECTS, RENDERED, dialect
from foreword.models.probe import Continuation
from foreword.models.server import Server
from foreword.models.templates import Template
from foreword.testing.models import tiny_tokenizer
from foreword.testing.servers import FakeServer, RawServer, written

GUARD = Guard(prefix="As an honest agent, I", target="t")
SUFFIX = Guard(prefix="Refuse what harms.", placement="suffix", target="t")
PLAIN = Continuation(dialect("ollama"), echo=False, echo_stream=False)


@pytest.mark.parametrize("name", DIALECTS)
def test_it_is_the_difference_that_the_guard_makes(name):
    way = Continuation(dialect(name), echo=False, echo_stream=False)
    with FakeServer(name) as fake, Server(fake.url) as server:
        # The double counts words, and two for the frame of a message.
        costs = token_costs(server, [GUARD, SUFFIX], CHAT, way)
        assert costs == {GUARD.hash8: 5 + 2, SUFFIX.hash8: 3}
        assert len(fake.asked) == 4


def test_before_a_server_that_continues_no_chat_it_is_that_of_the_prompt():
    face = rendered(Template(tiny_tokenizer()))
    way = Continuation(RENDERED, echo=False, echo_stream=False)
    with FakeServer("transformers") as fake, Server(fake.url) as server:
        costs = token_costs(server, [GUARD, SUFFIX], face, way)
        assert costs == {GUARD.hash8: 5, SUFFIX.hash8: 3}


@pytest.mark.parametrize("counts", [[], [7, 7], [9, 7], [1, 900]])
def test_a_server_that_does_not_count_or_counts_nonsense_leaves_it_unknown(counts, caplog):
    left = list(counts)

    def count(sock, request, n):
        usage = {"prompt_tokens": left.pop(0)} if left else {}
        sock.sendall(written(json.dumps({"usage": usage}).encode()))

    with (
        caplog.at_level(logging.WARNING, "foreword.gateway"),
        RawServer(count) as fake,
        Server(fake.url, "m") as server,
    ):
        assert token_costs(server, [GUARD], CHAT, PLAIN) == {}
    assert f"tokens of guard {GUARD.hash8} are not counted" in caplog.text
