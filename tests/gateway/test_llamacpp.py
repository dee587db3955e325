"""The gateway before the real llama.cpp server that serves the real reference agent."""

import json
import shutil
import subprocess

import httpx
import openai
import pytest

from foreword.core.stats import wilson
from foreword.core.types import Label
from foreword.defences.guarded import GuardedModel
from foreword.gateway.app import Gateway
from foreword.gateway.faces import rendered
from foreword.gateway.policy import Policy
from foreword.gateway.proof import Proved
from foreword.gateway.rendered import guard_rendered, render
from foreword.gateway.requests import guard_chat
from foreword.gateway.upstream import Upstream
from foreword.judges.lexicon import LexiconJudge
from foreword.models.dialects import dialect
from foreword.models.probe import probe, probe_rendered, probe_text
from foreword.models.server import Server
from foreword.models.templates import Template
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
def text(upstream, way):
    with Server(upstream) as server:
        return probe_text(server, way.dialect)


@pytest.fixture(scope="module")
def serve(upstream, guard, way, text):
    """A function that gives a context manager: a gateway's address."""
    return lambda **options: running(
        Gateway(Upstream(upstream), Policy.of(guard), Proved(way, text), **options)
    )


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
    return [suite.chat(task) for task in suite.select("harmful", "validation", ITEMS)]


def test_it_echoes_in_answers_and_not_in_streams_and_raw_prompts_nowhere(way, text):
    assert (way.echo, way.echo_stream) == (True, False)
    assert (text.echo, text.echo_stream) == (False, False)


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


def test_a_prompt_rendered_here_is_the_servers_own_and_so_is_the_reply(upstream, client, guard):
    template = Template.load("reference")
    with Server(upstream) as server:
        proved = probe_rendered(server, lambda body: render(body, template))
    gateway = Gateway(Upstream(upstream), Policy.of(guard), Proved(proved), chat=rendered(template))
    history = [*harmful()[0], {"role": "assistant", "content": " won't."}, *harmful()[1][-1:]]
    for messages in (harmful()[0], history):
        body = {"messages": messages}
        here = guard_rendered(body, guard, template).body["prompt"]
        asked = guard_chat(body, guard, dialect("llamacpp")).body
        there = httpx.post(f"{upstream.removesuffix('/v1')}/apply-template", json=asked)
        assert here == there.json()["prompt"]
    with running(gateway) as url, openai.OpenAI(base_url=url, api_key="none") as other:
        whole, usual = ask(other, history), ask(client, history)
        assert whole.choices[0].message.content == usual.choices[0].message.content
        assert whole.choices[0].finish_reason == usual.choices[0].finish_reason
        assert whole.usage.prompt_tokens == usual.usage.prompt_tokens
        assert streamed(other, history) == whole.choices[0].message.content
        # No word of a limit is not the 16 tokens of /completions; a client's stop is kept.
        prefill = {"role": "assistant", "content": "will count: 1, 2, 3, 4,"}
        count = [{"role": "user", "content": "Count to forty."}, prefill]
        body = {"model": "agent", "messages": count, "temperature": 0, "stop": "13"}
        counted = other.chat.completions.create(**body)
        assert counted.choices[0].message.content.endswith("12, ")
        assert counted.usage.completion_tokens > 16


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
