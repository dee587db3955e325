"""/responses of the real llama.cpp server: what it does, and what a client reads behind a guard.

The gateway's own route is not under test here; `ask` does by httpx what it does.
"""

import httpx
import openai
import pytest
from openai.types.responses import Response

from foreword.gateway.responses import ResponsesStream, guard_responses, settle_responses
from foreword.models.dialects import dialect, opened
from foreword.models.probe import probe_responses
from foreword.models.server import Server

pytest.importorskip("xllamacpp")
pytestmark = pytest.mark.model
WORDS = "As a responsible assistant, I"
ASK = {"role": "user", "content": "Say hello."}
LLAMA = dialect("llamacpp")


@pytest.fixture(scope="module")
def way(upstream):
    with Server(upstream) as server:
        return probe_responses(server, LLAMA)


@pytest.fixture(scope="module")
def ask(upstream, guard, way):
    """A function that asks behind the guard; gives a whole answer, or a stream's bytes."""

    def send(given, *, show=False, stream=False, **more):
        body = {"input": given, "max_output_tokens": 4, "temperature": 0, "stream": stream, **more}
        asked = guard_responses(body, guard, way.dialect)
        answer = httpx.post(f"{upstream}/responses", json=asked.body, timeout=60)
        assert answer.is_success, answer.text
        if not stream:
            return settle_responses(answer.json(), asked.begun, echo=way.echo, show=show)
        settling = ResponsesStream(
            asked.begun, echo=way.echo_stream, echo_whole=way.echo, show=show
        )
        return settling.feed(answer.content) + settling.end()

    return send


def text(answer):
    return Response.construct(**answer).output_text


def events(data):
    """The events of a stream, parsed by the official client."""
    reply = httpx.Response(200, content=data, headers={"content-type": "text/event-stream"})
    http = httpx.Client(transport=httpx.MockTransport(lambda request: reply))
    with openai.OpenAI(api_key="none", http_client=http) as client:
        return list(client.responses.create(model="agent", input="x", stream=True))


def test_it_continues_and_echoes_in_whole_answers_and_not_in_pieces(way):
    assert (way.dialect, way.echo, way.echo_stream) == (LLAMA, True, False)


def test_a_streams_last_events_repeat_the_beginning_though_its_pieces_do_not(upstream, guard):
    body = {"input": "Say hello.", "max_output_tokens": 4, "stream": True}
    asked = guard_responses(body, guard, LLAMA).body
    found = events(httpx.post(f"{upstream}/responses", json=asked, timeout=60).content)
    pieces = "".join(e.delta for e in found if e.type == "response.output_text.delta")
    (done,) = [e.text for e in found if e.type == "response.output_text.done"]
    assert pieces and done == WORDS + pieces


@pytest.mark.parametrize("show", [False, True])
def test_the_official_client_reads_one_behaviour_whole_and_in_a_stream(ask, show):
    whole = text(ask([ASK], show=show))
    found = events(ask([ASK], show=show, stream=True))
    pieces = "".join(e.delta for e in found if e.type == "response.output_text.delta")
    (done,) = [e.text for e in found if e.type == "response.output_text.done"]
    assert whole == pieces == done == found[-1].response.output_text
    assert whole.startswith(WORDS) is show and whole.count(WORDS) == show


def test_an_agents_history_of_calls_and_hidden_words_is_taken(ask):
    call = {"type": "function_call", "call_id": "c", "name": "ls", "arguments": "{}"}
    said = {"type": "output_text", "text": " see a.txt.", "annotations": []}
    turn = {"type": "message", "role": "assistant", "status": "completed", "content": [said]}
    history = [ASK, call, {"type": "function_call_output", "call_id": "c", "output": "a.txt"}, turn]
    answer = ask([*history, ASK])
    assert text(answer) and WORDS not in text(answer)


def test_a_prefill_comes_after_the_guards_words_and_neither_is_in_the_answer(ask):
    prefill = {"type": "message", "role": "assistant", "content": "will count: 1, 2, 3, 4,"}
    counted = ask([{"role": "user", "content": "Count to nine."}, prefill])
    assert text(counted).strip().startswith("5")


def test_a_call_without_its_output_would_not_be_continued_there_either(upstream):
    call = {"type": "function_call", "call_id": "c", "name": "ls", "arguments": "{}"}
    raw = LLAMA.ask({"input": [ASK, call, opened(WORDS)], "max_output_tokens": 2}, "input")
    answer = httpx.post(f"{upstream}/responses", json=raw, timeout=60)
    assert answer.status_code == 400 and "contains tool calls" in answer.text


def test_what_it_does_not_keep_it_refuses_by_itself(upstream, guard):
    body = {"input": [ASK], "previous_response_id": "resp_1"}
    asked = guard_responses(body, guard, LLAMA).body
    answer = httpx.post(f"{upstream}/responses", json=asked, timeout=60)
    assert answer.status_code == 400 and "previous_response_id" in answer.text
