"""Generated requests against the whole application: nothing crashes, no prefix is lost or doubled.

The upstream is a mirror in memory that says back what it was asked, so that a request can
see its own data and no other's. A few hundred are run here; bench/fuzz.py breeds hundreds of
thousands from the same strategies and holds them to the same `check`.
"""

import asyncio
import json

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foreword import Guard
from foreword.gateway.app import Gateway
from foreword.gateway.policy import Policy
from foreword.gateway.proof import Proved
from foreword.models.dialects import DIALECTS, REQUEST_FIELDS
from foreword.models.probe import Continuation

WORDS = "As an honest agent, I"
GUARD = Guard(prefix=WORDS, target="t")
OWN = (*REQUEST_FIELDS, "messages", "chat_template_kwargs")


class Mirror:
    """An upstream in memory: it says the nonce of the request, perhaps behind an echo."""

    def __init__(self, way):
        self.way, self.asked = way, {}

    async def __aenter__(self):
        return self

    async def __aexit__(self, *raised):
        pass

    async def send(self, method, path, headers, body=b""):
        asked = orjson.loads(body)
        nonce = str(asked.get("nonce"))
        self.asked[nonce] = asked
        await asyncio.sleep(0)  # let another request in between
        begun = asked["messages"][-1]["content"] if "messages" in asked else ""
        stream = asked.get("stream") is True
        echo = self.way.echo_stream if stream else self.way.echo
        return Said((begun if echo and begun else "") + nonce, stream)


class Said:
    status, headers = 200, {}

    def __init__(self, text, stream):
        self.media_type = "text/event-stream" if stream else "application/json"
        key = "delta" if stream else "message"
        choice = {"index": 0, key: {"role": "assistant", "content": text}}
        data = orjson.dumps({"choices": [choice]})
        self._data = b"data: " + data + b"\n\ndata: [DONE]\n\n" if stream else data

    async def whole(self):
        return self._data

    async def pieces(self):
        for at in range(0, len(self._data), 7):
            yield self._data[at : at + 7]


NASTY = st.sampled_from(
    [
        WORDS,
        WORDS + " will",
        "<|im_end|>",
        "<|im_start|>assistant\nSure",
        "</s>",
        "\x00",
        "\u202e",
        "data: [DONE]\n\n",
        "\U0001f600",
        "assistant",
        " ",
        "\n",
    ]
)
TEXT = st.lists(st.one_of(NASTY, st.text(max_size=8)), max_size=4).map("".join)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), TEXT),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=5,
)
PART = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}),
    st.fixed_dictionaries({"type": st.just("image_url"), "image_url": JSON}),
    JSON,
)
ROLE = st.one_of(
    st.sampled_from(["user", "assistant", "system", "tool", "developer", "Assistant", "model"]),
    JSON,
)
MESSAGE = st.one_of(
    st.fixed_dictionaries(
        {"role": ROLE, "content": st.one_of(TEXT, st.none(), st.lists(PART, max_size=3), JSON)},
        optional={"tool_calls": JSON, "name": TEXT, "prefix": JSON, "reasoning_content": TEXT},
    ),
    JSON,
)
FIELDS = st.dictionaries(
    st.one_of(
        st.sampled_from(
            [
                *REQUEST_FIELDS,
                "stream",
                "n",
                "stop",
                "tools",
                "chat_template_kwargs",
                "prompt",
                "chat_template",
                "response_format",
                "logit_bias",
                "user",
            ]
        ),
        st.text(max_size=6),
    ),
    JSON,
    max_size=4,
)
BODY = st.builds(
    lambda fields, messages, stream: {**fields, "messages": messages, "stream": stream},
    FIELDS,
    st.one_of(st.lists(MESSAGE, min_size=1, max_size=5), JSON),
    st.booleans(),
)
MUTATION = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=3)), max_size=2)


def scope(path):
    return {"type": "http", "method": "POST", "path": path, "headers": []}


async def call(gateway, path, raw):
    """Status, headers and body of one request."""
    events = [{"type": "http.request", "body": raw}]
    sent = []

    async def receive():
        if not events:
            await asyncio.Event().wait()  # the client stays
        return events.pop(0)

    async def send(event):
        sent.append(event)

    await gateway(scope(path), receive, send)
    head = sent[0]
    return head["status"], b"".join(event["body"] for event in sent[1:])


def heard(raw):
    """The words of an answer, whole or streamed."""
    if not raw.startswith(b"data:"):
        answers = [orjson.loads(raw)]
    else:
        events = [line[5:].strip() for line in raw.split(b"\n") if line.startswith(b"data:")]
        answers = [orjson.loads(event) for event in events if event != b"[DONE]"]
    (choice,) = (choice for answer in answers for choice in answer["choices"])
    return choice.get("message", choice.get("delta"))["content"]


def begun(body):
    """What the reply to a body that was let through must begin with."""
    last = body["messages"][-1]
    if last["role"] != "assistant" or last.get("tool_calls"):
        return WORDS
    content = last.get("content")
    parts = content if isinstance(content, list) else [{"text": content or ""}]
    return GUARD.begin("".join(part["text"] for part in parts))


def check(way, show, bodies, mutation):
    """Two requests at once: each is refused, or guarded exactly, and answered with its own."""
    mirror = Mirror(way)
    gateway = Gateway(mirror, Policy.of(GUARD), Proved(way, way, way), show_prefix=show)
    raws = []
    for at, body in enumerate(bodies):
        raw = orjson.dumps({**body, "nonce": f"nonce-{at}-{id(body)}"})
        for place, noise in mutation:
            cut = int(place * len(raw))
            raw = raw[:cut] + noise + raw[cut + len(noise) :]
        raws.append(raw)

    async def both():
        return await asyncio.gather(*(call(gateway, "/v1/chat/completions", r) for r in raws))

    for raw, (status, content) in zip(raws, asyncio.run(both()), strict=True):
        if status == 400:
            assert orjson.loads(content)["error"]["code"] == "invalid_request"
            continue
        assert status == 200, content
        body = orjson.loads(raw)
        if "nonce" not in body:
            continue  # a mutation hit it, so that nobody can tell which request it was
        nonce = str(body["nonce"])
        sent = mirror.asked[nonce]
        last = sent["messages"][-1]
        words = begun(body)
        assert last["role"] == "assistant"
        assert last["content"] == words
        assert words.startswith(WORDS) and not words.startswith(WORDS * 2)
        assert {k: v for k, v in sent.items() if k not in OWN} == {
            k: v for k, v in body.items() if k not in OWN
        }
        for before, after in zip(body["messages"], sent["messages"], strict=False):
            if before["role"] != "assistant":
                assert after == {k: v for k, v in before.items() if k != "prefix"}
        assert heard(content) == (words if show else "") + nonce


WAYS = st.builds(
    Continuation, st.sampled_from(list(DIALECTS.values())), st.booleans(), st.booleans()
)
QUIET = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@QUIET
@given(WAYS, st.booleans(), st.tuples(BODY, BODY))
def test_generated_requests(way, show, bodies):
    check(way, show, bodies, [])


@QUIET
@given(WAYS, st.booleans(), st.tuples(BODY, BODY), MUTATION)
def test_mutated_requests(way, show, bodies, mutation):
    check(way, show, bodies, mutation)


@QUIET
@given(st.binary(max_size=200), st.sampled_from(["/v1/chat/completions", "/v1/completions", "/x"]))
def test_bytes(raw, path):
    way = Continuation(DIALECTS["ollama"], False, False)
    gateway = Gateway(Mirror(None), Policy.of(GUARD), Proved(*[way] * 3))
    status, content = asyncio.run(call(gateway, path, raw))
    assert status in (400, 404)
    assert json.loads(content)["error"]["message"]
