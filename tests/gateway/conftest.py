"""What the tests before the real llama.cpp server share: one agent, one server."""

import pytest

from foreword import Guard, models

WORDS = "As a responsible assistant, I"


@pytest.fixture(scope="session")
def agent():
    return models.load("reference", adapter="agent")


@pytest.fixture(scope="session")
def guard(agent):
    return Guard(prefix=WORDS, target=agent.fingerprint)


@pytest.fixture(scope="session")
def upstream(agent, tmp_path_factory):
    from foreword.testing.llamacpp import llama_server, write_gguf

    path = tmp_path_factory.mktemp("gguf") / "agent.gguf"
    write_gguf(agent, path)
    with llama_server(path) as url:
        yield url
