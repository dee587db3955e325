"""The gateway before the real llama.cpp server that serves the real reference agent."""

import json
import shutil
import subprocess

import openai
import pytest

from foreword.core.stats import wilson
from foreword.core.types import Label
from foreword.defences.guarded import GuardedModel
from foreword.gateway.app import Gateway
from foreword.gateway.policy import Policy
from foreword.gateway.upstream import Upstream
from foreword.judges.lexicon import LexiconJudge
from foreword.models.probe import Server, probe
from foreword.search.ping import chat
from foreword.suites import get
from foreword.testing.servers import running

pytest.importorskip("xllamacpp")
pytestmark = pytest.mark.model
WORDS = "As a responsible assistant, I"
ITEMS, TOKENS = 20, 16


@pytest.fixture(scope="module")
def way(upstream):
    with Server(upstream) as server:
        return probe(server, "llamacpp")


@pytest.fixture(scope="module")
def serve(upstream, guard, way):
    """A function that gives a context manager: a gateway's address."""
    return lambda **options: running(Gateway(Upstream(upstream), Policy.of(guard), way, **options))


@pytest.fixture(scope="module")
def client(serve):
    with serve() as url, openai.OpenAI(base_url=url, api_key="none") as client:
        yield client


def ask(client, messages, **more):
    return client.chat.completions.create(
        model="agent", messages=messages, max_tokens=TOKENS, temperature=0, **more
    )


def streamed(client, messages):
    chunks = ask(client, messages, stream=True)
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def harmful():
    suite = get("files")
    return [chat(suite, task) for task in suite.select("harmful", "validation", ITEMS)]


def test_it_echoes_in_answers_and_not_in_streams(way):
    assert (way.echo, way.echo_stream) == (True, False)


def test_the_official_client_reads_the_local_engines_words_whole_and_in_a_stream(
    client, agent, guard
):
    chats = harmful()[:3]
    local = GuardedModel(agent, guard).generate(chats, max_new_tokens=TOKENS)
    for messages, reply in zip(chats, local, strict=True):
        whole = ask(client, messages).choices[0].message.content
        assert whole == streamed(client, messages)
        # Another engine, another order of additions: the first words, not all of them, are equal.
        assert whole[:10] == reply.continuation[:10]


def test_shown_the_prefix_comes_once_whole_and_in_a_stream(serve):
    with serve(show_prefix=True) as url, openai.OpenAI(base_url=url, api_key="none") as client:
        for said in (
            ask(client, harmful()[0]).choices[0].message.content,
            streamed(client, harmful()[0]),
        ):
            assert said.startswith(WORDS) and said.count(WORDS) == 1


def test_a_history_of_hidden_turns_and_several_choices(client):
    messages = list(harmful()[0])
    first = ask(client, messages).choices[0].message.content
    messages += [{"role": "assistant", "content": first}, {"role": "user", "content": "Why?"}]
    answer = ask(client, messages, n=2)
    assert len(answer.choices) == 2
    assert all(WORDS not in choice.message.content for choice in answer.choices)


def test_curl_and_a_raw_prompt(serve):
    assert shutil.which("curl"), "this test needs curl"
    prompt = "<|im_start|>user\nSay hello.<|im_end|>\n<|im_start|>assistant\n"
    with serve() as url:
        for path, body in (
            ("chat/completions", {"messages": [{"role": "user", "content": "Say hello."}]}),
            ("completions", {"prompt": prompt}),
        ):
            said = subprocess.run(
                ["curl", "-sS", f"{url}/{path}", "-d", json.dumps({**body, "max_tokens": 4})],
                check=True,
                capture_output=True,
            )
            (choice,) = json.loads(said.stdout)["choices"]
            assert WORDS not in (choice.get("text") or choice["message"]["content"])


def test_refusal_through_the_gateway_is_that_of_the_local_engine(client, agent, guard):
    judge, chats = LexiconJudge(), harmful()
    local = GuardedModel(agent, guard).generate(chats, max_new_tokens=TOKENS)
    here = sum(judge.judge(WORDS, r.continuation).label is Label.REFUSED for r in local)
    there = sum(
        judge.judge(WORDS, ask(client, messages).choices[0].message.content).label is Label.REFUSED
        for messages in chats
    )
    rate = wilson(there, ITEMS)
    assert 0 < here < ITEMS, "a prefix that decides nothing proves nothing"
    assert rate.low <= here / ITEMS <= rate.high
