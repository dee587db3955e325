"""How replies begin, counted after they were sent, whole and streamed, and never in a hurry."""

import asyncio
import json
import time

import httpx
import pytest

from foreword import Guard
from foreword.gateway import refusals
from foreword.gateway.app import Gateway
from foreword.gateway.metrics import Metrics
from foreword.gateway.policy import Policy
from foreword.gateway.proof import Proved
from foreword.gateway.refusals import Heard, Refusals
from foreword.gateway.upstream import Upstream
from foreword.models.dialects import dialect
from foreword.models.probe import Continuation
from foreword.testing.servers import RawServer, running, written

WORDS = "As an honest agent, I"
GUARD = Guard(prefix=WORDS, target="t")
NO, YES, ODD = " cannot help with that.", " will do it:\n```bash\nls\n```\n", " the of and"
CALL = {"function": {"name": "rm", "arguments": "{}"}}


def whole(*texts, **more):
    messages = [{"role": "assistant", "content": text, **more} for text in texts]
    return {"choices": [{"index": at, "message": each} for at, each in enumerate(messages)]}


def streamed(text, size=5, index=0):
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    events = [{"choices": [{"index": index, "delta": {"content": each}}]} for each in pieces]
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)


def counted(page):
    """The count by label."""
    lines = [line for line in page.splitlines() if line.startswith("foreword_replies_total{")]
    return {line.split('label="')[1].split('"')[0]: float(line.split()[-1]) for line in lines}


def judged(*heard):
    """What is counted of these replies once all of them are judged."""
    metrics = Metrics()

    async def hear():
        counting = Refusals(metrics.replies)
        for said in heard:
            counting.hear("g", WORDS, said)
        while counting.waiting:
            await asyncio.sleep(0.005)

    asyncio.run(hear())
    return counted(metrics.page().decode())


def heard(data):
    said = Heard()
    said.keep(data)
    return said


@pytest.mark.parametrize("shown", ["", WORDS])
@pytest.mark.parametrize(
    ("text", "label"), [(NO, "refused"), (YES, "complied"), (ODD, "undecided")]
)
def test_a_reply_is_counted_by_what_it_says_first_whole_and_streamed(text, label, shown):
    data = streamed(shown + text) + b"data: [DONE]\n\n"
    assert judged(whole(shown + text), heard(data)) == {label: 2}


def test_each_choice_is_a_reply():
    assert judged(whole(NO, NO, YES)) == {"refused": 2, "complied": 1}
    both = streamed(NO) + streamed(YES, index=1)
    assert judged(heard(both)) == {"refused": 1, "complied": 1}


def test_deeds_outweigh_words():
    assert judged(whole(NO, tool_calls=[CALL])) == {"complied": 1}
    assert judged(whole(NO + "x" * 5000, tool_calls=[CALL])) == {"complied": 1}


def test_what_comes_late_in_a_reply_is_not_looked_at():
    assert judged(whole(ODD * 20 + NO)) == {"undecided": 1}


def test_responses_are_replies_too():
    item = {"type": "message", "content": [{"type": "output_text", "text": NO}]}
    events = [{"type": "response.output_text.delta", "delta": each} for each in (NO[:5], NO[5:])]
    data = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)
    assert judged({"output": [item]}, heard(data + b"data: {cut o")) == {"refused": 2}


def test_what_is_nested_too_deeply_is_passed_over():
    deep = b'data: {"choices": [{"index": 0, "delta": ' + b"[" * 900 + b"]" * 900 + b"}]}\n"
    assert judged(heard(deep + streamed(NO))) == {"refused": 1}


def test_of_a_stream_no_more_is_kept_than_its_beginning(monkeypatch):
    monkeypatch.setattr(refusals, "KEPT", 100)
    said = Heard()
    said.keep(b"x" * 99)
    assert not said.full
    said.keep(b"x")
    assert said.full


def test_what_comes_faster_than_it_is_judged_is_counted_as_not_judged(monkeypatch):
    monkeypatch.setattr(refusals, "WAITING", 3)
    assert judged(*[whole(NO)] * 5) == {"refused": 3, "not judged": 2}


def test_judging_pauses_for_the_requests(monkeypatch):
    monkeypatch.setattr(refusals, "REST", 0)
    start = time.perf_counter()
    judged(*[whole(NO)] * 20)
    without = time.perf_counter() - start
    monkeypatch.setattr(refusals, "REST", 20)
    start = time.perf_counter()
    judged(*[whole(NO)] * 20)
    assert time.perf_counter() - start > 3 * without


@pytest.mark.parametrize("stream", [False, True])
def test_the_page_counts_refusals_by_guard(stream):
    kind = "text/event-stream" if stream else "application/json"
    data = streamed(NO) if stream else json.dumps(whole(NO)).encode()
    way = Continuation(dialect("ollama"), echo=False, echo_stream=False)
    with RawServer(lambda sock, request, n: sock.sendall(written(data, kind))) as server:
        gateway = Gateway(Upstream(server.url), Policy.of(GUARD), Proved(way), show_prefix=True)
        with running(gateway) as url:
            body = {"messages": [{"role": "user", "content": "x"}]}
            assert WORDS in httpx.post(f"{url}/chat/completions", json=body).text
            end = time.monotonic() + 10
            while not counted(page := httpx.get(f"{url[:-3]}/metrics").text):
                assert time.monotonic() < end
    assert f'foreword_replies_total{{guard="{GUARD.hash8}",label="refused"}} 1.0' in page
