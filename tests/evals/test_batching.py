"""The batching queue: full batches, right answers, failures and cancellations contained."""

import threading
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from foreword.core.errors import ChatsFailed, ModelError
from foreword.core.types import Chat, Reply
from foreword.evals.batching import Batcher, Settings


class EchoModel:
    """Repeats the last message; can be slow, fail, or give too few replies."""

    fingerprint = "echo"

    def __init__(self, *, seconds: float = 0.0, fail: bool = False, short: bool = False) -> None:
        self.seconds, self.fail, self.short = seconds, fail, short
        self.calls: list[tuple[int, str]] = []
        self.gate = threading.Event()

    def generate(self, chats: Sequence[Chat], *, prefix: str = "", **rest: Any) -> list[Reply]:
        self.calls.append((len(chats), prefix))
        self.gate.wait(self.seconds)
        if self.fail:
            raise ValueError("broken pipe")
        replies = [Reply(prefix, chat[-1]["content"], 1, True) for chat in chats]
        return replies[1:] if self.short else replies


def _ask_all(batcher: Batcher, texts: Sequence[str], settings: Settings | None = None) -> list[Any]:
    answers: list[Any] = [None] * len(texts)

    async def one(index: int) -> None:
        try:
            chat = [{"role": "user", "content": texts[index]}]
            answers[index] = await batcher.ask(chat, settings or Settings())
        except ModelError as error:
            answers[index] = error

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for index in range(len(texts)):
                group.start_soon(one, index)

    anyio.run(main)
    return answers


def test_concurrent_requests_share_batches_and_keep_their_answers() -> None:
    model = EchoModel()
    answers = _ask_all(Batcher(model, max_batch=4, window_s=0.01), [f"t{i}" for i in range(10)])
    assert [answer.text for answer in answers] == [f"t{i}" for i in range(10)]
    assert [size for size, _ in model.calls] == [4, 4, 2]


def test_different_settings_do_not_mix() -> None:
    model = EchoModel()
    batcher = Batcher(model, window_s=0.01)
    answers: dict[str, Reply] = {}

    async def one(text: str, prefix: str) -> None:
        chat = [{"role": "user", "content": text}]
        answers[text] = await batcher.ask(chat, Settings(prefix=prefix))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for text, prefix in [("a", "P"), ("b", ""), ("c", "P"), ("d", "")]:
                group.start_soon(one, text, prefix)

    anyio.run(main)
    assert {text: reply.text for text, reply in answers.items()} == {
        "a": "Pa",
        "b": "b",
        "c": "Pc",
        "d": "d",
    }
    assert sorted(model.calls) == [(2, ""), (2, "P")]


@pytest.mark.parametrize("broken", [{"fail": True}, {"short": True}])
def test_a_failing_engine_is_an_error_for_everyone(broken: dict[str, bool]) -> None:
    answers = _ask_all(Batcher(EchoModel(**broken), window_s=0.01), ["a", "b"])
    assert all(isinstance(answer, ModelError) for answer in answers)


def test_chats_that_fail_are_errors_and_the_others_are_asked_again() -> None:
    class Choosy(EchoModel):
        def generate(self, chats: Sequence[Chat], **rest: Any) -> list[Reply]:
            replies = super().generate(chats, **rest)
            rows = [row for row, reply in enumerate(replies) if "bad" in reply.text]
            if rows:
                raise ChatsFailed("not judged", rows[:1])
            return replies

    model = Choosy()
    answers = _ask_all(Batcher(model, window_s=0.01), ["bad", "fine", "bad"])
    assert answers[1].text == "fine"
    assert [str(answers[n]) for n in (0, 2)] == ["not judged"] * 2
    assert [size for size, _ in model.calls] == [3, 2, 1]


def test_a_failure_without_rows_is_everyones() -> None:
    class Vague(EchoModel):
        def generate(self, chats: Sequence[Chat], **rest: Any) -> list[Reply]:
            raise ChatsFailed("some", [])

    answers = _ask_all(Batcher(Vague(), window_s=0.01), ["a", "b"])
    assert all(isinstance(answer, ChatsFailed) for answer in answers)


def test_a_cancelled_leader_leaves_the_others_served() -> None:
    model = EchoModel()
    batcher = Batcher(model, window_s=0.05)
    answers: list[str] = []

    async def one(text: str, scope: anyio.CancelScope) -> None:
        with scope:
            reply = await batcher.ask([{"role": "user", "content": text}], Settings())
            answers.append(reply.text)

    async def main() -> None:
        first, second = anyio.CancelScope(), anyio.CancelScope()
        async with anyio.create_task_group() as group:
            group.start_soon(one, "first", first)
            group.start_soon(one, "second", second)
            await anyio.sleep(0.02)
            first.cancel()

    with anyio.from_thread.start_blocking_portal() as portal:
        portal.call(main)
    assert answers == ["second"]
    assert model.calls == [(1, "")]


def test_newcomers_wait_while_the_engine_works() -> None:
    model = EchoModel(seconds=0.2)
    batcher = Batcher(model, window_s=0.01)

    async def one(text: str) -> None:
        await batcher.ask([{"role": "user", "content": text}], Settings())

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(one, "early")
            await anyio.sleep(0.1)
            for text in "abc":
                group.start_soon(one, text)

    anyio.run(main)
    assert [size for size, _ in model.calls] == [1, 3]


def test_one_bad_request_does_not_take_its_neighbours_with_it() -> None:
    class Picky(EchoModel):
        def generate(self, chats: Sequence[Chat], **rest: Any) -> list[Reply]:
            if any(chat[-1]["content"] == "bad" for chat in chats):
                raise ModelError("the guard says nothing that can be read")
            return super().generate(chats, **rest)

    answers = _ask_all(Batcher(Picky(), window_s=0.01), ["a", "bad", "c"])
    assert [answer.text for answer in (answers[0], answers[2])] == ["a", "c"]
    assert isinstance(answers[1], ModelError) and "can be read" in str(answers[1])
