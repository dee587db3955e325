"""Many questions to one server: some at a time, patiently, and none twice.

A busy server (429, 503) is waited for, minutes if need be, as long as it asks for and in
growing random pauses; a line that breaks and a 500 are tried a few times. Each answer is
kept when it arrives, so that whatever ends the work, the next attempt asks for the rest.

Not covered: calls from a thread whose event loop is running (a notebook's cell:
`await asyncio.to_thread(model.generate, ...)`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception_type

from foreword.core.errors import ConfigError, ModelError
from foreword.models.dialects import Body
from foreword.models.replies import Replies, Said
from foreword.models.server import DENIED, Rejected, bearer, checked_key, reason, short

KEY_VARIABLE = "FOREWORD_UPSTREAM_KEY"  # as of the gateway's upstream
CHAT, COMPLETIONS = "/chat/completions", "/completions"
CONNECT_S = 10.0
SILENCE_S = 300.0  # longest wait for the next byte; a full server makes requests queue
_BUSY = (408, 409, 425, 429, 502, 503, 504, 529)  # the last is Anthropic's

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long a server that does not answer is asked again."""

    first_s: float = 1.0  # the first pause is random up to this, the next up to twice as much
    longest_s: float = 60.0  # of a random pause
    total_s: float = 300.0  # of all pauses for one request that a busy server turns away
    tries: int = 5  # of one request on a line that breaks


@dataclass(frozen=True)
class Question:
    """One request; the words in `echo` are repeated where the answer begins, and cut."""

    path: str
    body: Body
    echo: str = ""

    @property
    def content(self) -> bytes:
        """The body in bytes, equal for equal bodies."""
        return json.dumps(self.body, sort_keys=True).encode()


class Unanswered(ModelError):
    """No answer this time; the next try may have one."""

    def __init__(self, message: str, *, busy: bool = False, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.busy, self.after_s = busy, after_s


class Line:
    """The way to one server: its key, how many requests at a time, and what was answered."""

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        *,
        concurrency: int,
        cache: Path | None,
        patience: Patience,
        key_variable: str = KEY_VARIABLE,
    ) -> None:
        """`cache` is the folder in which answers are kept, `key_variable` where the key is from.

        Raises:
            ConfigError: the key could not be sent.
        """
        self.base_url, self.tokens, self.requests, self.kept = base_url, 0, 0, 0
        key = bearer(checked_key(api_key, key_variable))
        self._headers = {"Content-Type": "application/json", **key}
        self._concurrency, self._cache, self._patience = concurrency, cache, patience
        self._key_variable = key_variable

    def ask(self, questions: Sequence[Question]) -> list[Said]:
        """An answer a question, in order.

        Raises:
            ConfigError: the server does not take the key.
            ModelError: it refuses a request, or has not answered after all patience.
            DiskFull: an answer could not be kept.
        """
        keys = [self._key(question) for question in questions]
        with Replies(self._cache) as replies:
            known = {key: said for key in {*keys} if (said := replies.get(key))}
            self.kept += sum(key in known for key in keys)
            new = {key: q for key, q in zip(keys, questions, strict=True) if key not in known}
            if new:
                known |= asyncio.run(self._all(new, replies))
        return [known[key] for key in keys]

    def patiently(self, ask: Callable[[], T]) -> T:
        """What `ask` returns, with the same patience where it raises `Rejected`.

        Raises:
            ConfigError: the server does not take the key.
            ModelError: as `ask` raises it.
        """

        def once() -> T:
            try:
                return ask()
            except Rejected as error:
                raise self._refusal(error.status, str(error)) from None

        return Retrying(**self._policy())(once)

    def _key(self, question: Question) -> bytes:
        """Of the cache; an answer to one address, route and body is an answer for good."""
        said = (self.base_url.encode(), question.path.encode(), question.content)
        return hashlib.sha256(b"\0".join(said)).digest()

    async def _all(
        self, questions: Mapping[bytes, Question], replies: Replies
    ) -> dict[bytes, Said]:
        """Answers by key; each is kept as soon as it is there."""
        gate, answers = asyncio.Semaphore(self._concurrency), dict[bytes, Said]()

        async def one(key: bytes, question: Question) -> None:
            async with gate:
                answers[key] = await AsyncRetrying(**self._policy())(self._once, client, question)
                replies.put(key, answers[key])

        many = httpx.Limits(max_connections=self._concurrency)
        patient = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
        async with httpx.AsyncClient(headers=self._headers, limits=many, timeout=patient) as client:
            try:
                async with asyncio.TaskGroup() as group:
                    for key, question in questions.items():
                        group.create_task(one(key, question))
            except ExceptionGroup as failures:  # one is enough to end the others
                failure = failures.exceptions[0]
                raise failure from failure.__cause__
        return answers

    async def _once(self, client: httpx.AsyncClient, question: Question) -> Said:
        self.requests += 1
        url = self.base_url + question.path
        try:
            answer = await client.post(url, content=question.content)
        except httpx.HTTPError as error:
            raise Unanswered(f"{self.base_url} does not answer: {reason(error)}") from error
        if not answer.is_success:
            message = f"{url}: {answer.status_code} {short(answer)}"
            raise self._refusal(answer.status_code, message, pause_s(answer.headers))
        try:
            said, total = read(answer.json(), question)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise Unanswered(f"{url} gave no reply: {short(answer)}") from error
        self.tokens += total
        return said

    def _refusal(self, status: int, message: str, after_s: float = 0.0) -> Exception:
        if status in DENIED:  # what the server says might repeat the key
            return ConfigError(
                f"{self.base_url} does not let us in ({status}); "
                f"set {self._key_variable} to a key of it"
            )
        if status in _BUSY or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return Unanswered(message, busy=status in _BUSY, after_s=after_s)
        return ModelError(message)

    def _policy(self) -> dict[str, Any]:
        """Of tenacity, for one request."""
        patience, broken = self._patience, 0

        def wait(state: RetryCallState) -> float:
            doubled = min(state.attempt_number - 1, 64)  # or a long wait overflows
            ceiling = min(patience.longest_s, patience.first_s * 2.0**doubled)
            return _failure(state).after_s + random.uniform(0, ceiling)

        def stop(state: RetryCallState) -> bool:
            nonlocal broken
            if _failure(state).busy:
                return state.idle_for + state.upcoming_sleep > patience.total_s
            broken += 1
            return broken >= patience.tries

        retry = retry_if_exception_type(Unanswered)
        return {"retry": retry, "wait": wait, "stop": stop, "reraise": True}


def read(answer: Any, question: Question) -> tuple[Said, int]:
    """The first choice of an answer, and how many tokens were paid for.

    Raises:
        LookupError, TypeError, AttributeError, ValueError: it is no such answer.
        ModelError: it holds nothing but the model's thoughts.
    """
    choice, usage = answer["choices"][0], answer.get("usage") or {}
    turn = choice["message"] if question.path == CHAT else {"content": choice["text"]}
    text = turn["content"]
    if not text and (turn.get("reasoning_content") or turn.get("reasoning")):
        raise ModelError(
            "the server thinks and says nothing: its words are in `reasoning_content`, where no "
            "prefix begins them; switch its thinking off"
        )
    if not text and choice.get("finish_reason") == "length":
        raise ValueError("cut off at its greatest length, and nothing is there")
    whole = (text or "").encode("utf-8", "replace").decode()  # half a character cannot be kept
    tokens, total = (usage.get(name) or 0 for name in ("completion_tokens", "total_tokens"))
    stopped = choice.get("finish_reason") == "stop"
    shown = int(total) - int(tokens) if total else 0
    return Said(whole.removeprefix(question.echo), int(tokens), stopped, shown), int(total)


def pause_s(headers: Mapping[str, str]) -> float:
    """Seconds for which a server asks to be left alone; 0 if it does not."""
    value = headers.get("retry-after", "")
    with suppress(ValueError):
        seconds = float(value)
        return max(0.0, seconds) if math.isfinite(seconds) else 0.0
    with suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    return 0.0


def _failure(state: RetryCallState) -> Unanswered:
    failure = state.outcome and state.outcome.exception()
    assert isinstance(failure, Unanswered)  # nothing else is tried again  # noqa: S101
    return failure
