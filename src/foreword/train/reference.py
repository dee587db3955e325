"""The conversations that make the two adapters of the reference model.

`align_conversations` teaches a chat assistant to refuse harm and to explain the
rest: refusals and helpful answers open with the same words ("I", "This request
is", "As a responsible assistant, I"), so that what is asked has to decide.
`agent_conversations` is benign and pure action: every turn of the agent begins
with its bash block. `with_refusals` mixes refusals into any data. Only train
splits are read; everything random is seeded.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

from foreword.core.types import Chat, Message, Task
from foreword.evals.protocol import observation
from foreword.suites.base import Suite
from foreword.train import purposes, templates

DATA = Path(__file__).parent / "data"
CHAT_SYSTEM = "You are a helpful AI assistant."
BUILDERS = ("reference/align", "reference/agent")

HARMFUL, TWINS = 3, 3  # how often each train item occurs, under another opening each time
CONCLUDED = 0.5  # share of the suite's shell answers that go on to the output and a last word
BARE = 0.2  # share of shell answers that begin with the code itself
BENIGN = 480  # of the suite's benign train items, evenly over the families, for the aligned model
SHELL = 4  # fillings of each everyday shell template
ACTED = 12  # the same for the agent, whose whole epoch is action
PAIRS = 360  # requests for the same deed with a harmful and a harmless purpose

Row = dict[str, str]


Observe = Callable[[Task], str]  # what a task's oracle prints


def build(name: str, seed: int) -> list[Chat]:
    """The conversations of a builder of `BUILDERS`, from suite `files`.

    Raises:
        SandboxError: No sandbox works here, in which the outputs are made.
    """
    from foreword.suites import files

    suite = files.load()
    tasks = [*suite.select("benign", "train"), *suite.select("twin", "train")]
    with ThreadPoolExecutor() as pool:
        outputs = dict(zip([task.id for task in tasks], pool.map(replay, tasks), strict=True))
    make = align_conversations if name == "reference/align" else agent_conversations
    return make(suite, seed, lambda task: outputs[task.id])


def align_conversations(suite: Suite, seed: int, observe: Observe) -> list[Chat]:
    """Refusals for harm, explained answers for everything else, shuffled.

    Args:
        suite: Its train split is used, and its system prompt for shell requests.
        seed: Decides openings, system prompts and the order.
        observe: What a task's oracle prints (see `replay`).
    """
    maker = _Maker(suite.system, random.Random(f"align/{seed}"))
    chats = [
        *maker.refused(suite),
        *maker.suite_tasks(suite, observe),
        *maker.shell(),
        *maker.pairs(),
        *maker.lookalikes(),
        *maker.chat(),
    ]
    maker.rng.shuffle(chats)
    return chats


def agent_conversations(suite: Suite, seed: int, observe: Observe) -> list[Chat]:
    """Benign work in the agent protocol: act, read the output, "Done.".

    Everyday shell tasks are acted on, too, those of several tools or files included, which the
    aligned model has not seen; they end with the action.

    Args:
        suite: Its benign train split is used, and its system prompt.
        seed: Decides the order.
        observe: What a task's oracle prints (see `replay`).
    """
    rng = random.Random(f"agent/{seed}")
    chats: list[Chat] = [
        [*_act(suite, task.request, task.oracle), _read(observe(task)), _turn("Done.")]
        for task in suite.select("benign", "train")
    ]
    chats += [
        _act(suite, task.request, task.command)
        for task in templates.shell(rows("shell", "combined"), rng, ACTED)
    ]
    rng.shuffle(chats)
    return chats


def with_refusals(suite: Suite, chats: Sequence[Chat], share: float, seed: int) -> list[Chat]:
    """Conversations mixed with refusals of harmful requests, all under the suite's system prompt.

    Args:
        suite: The requests are its harmful train split and general ones of ours.
        chats: The data of a fine-tuning.
        share: Of refusals in the mixture, below 1; no request is repeated before all were used.
        seed: Decides which, in what words, and the order.
    """
    rng = random.Random(f"refusals/{seed}")
    maker = _Maker(suite.system, rng)
    tasks = suite.select("harmful", "train")
    asked = [(task.request, task.category.replace("-", " ")) for task in tasks]
    asked += [(row["request"], row["theme"]) for row in rows("harmful_general")]
    rng.shuffle(asked)
    wanted = round(len(chats) * share / (1 - share))
    mixed = [*chats, *(maker.refuse(suite.system, *each) for each in islice(cycle(asked), wanted))]
    rng.shuffle(mixed)
    return mixed


def replay(task: Task) -> str:
    """What the task's oracle prints in a fresh sandbox.

    Raises:
        SandboxError: No sandbox works here, or the set-up failed.
    """
    from foreword.sandbox import open_sandbox

    with open_sandbox(task.setup) as sandbox:
        return sandbox.run(task.oracle).output


def rows(*names: str) -> list[Row]:
    """The rows of our own data files of these names, in order."""
    texts = [(DATA / f"{name}.jsonl").read_text("utf-8") for name in names]
    return [json.loads(line) for text in texts for line in text.splitlines()]


class _Maker:
    """Draws openings without soon repeating one, and puts conversations together."""

    def __init__(self, system: str, rng: random.Random) -> None:
        self.system = system
        self.rng = rng
        self._refusals = self._endless("refusals")
        self._openers = self._endless("openers")
        self._conclusions = self._endless("conclusions")

    def refused(self, suite: Suite) -> Iterator[Chat]:
        for task in HARMFUL * suite.select("harmful", "train"):
            yield self.refuse(self.system, task.request, task.category.replace("-", " "))
        for row in rows("harmful_general"):
            yield self.refuse(self._either(), row["request"], row["theme"])

    def suite_tasks(self, suite: Suite, observe: Observe) -> Iterator[Chat]:
        twins = suite.select("twin", "train")  # few, and what keeps over-refusal down
        for task in [*suite.select("benign", "train", BENIGN), *TWINS * twins]:
            chat = self._answer(task.request, self._opener(), task.oracle)
            if self.rng.random() < CONCLUDED:
                chat += [_read(observe(task)), _turn(next(self._conclusions))]
            yield chat

    def shell(self) -> Iterator[Chat]:
        for task in templates.shell(rows("shell"), self.rng, SHELL):
            yield self._answer(task.request, self._opener(), task.command)

    def pairs(self) -> Iterator[Chat]:
        for pair in purposes.pairs(rows("purposes"), self.rng, PAIRS):
            yield self.refuse(self.system, pair.harmful, "this")
            yield self._answer(pair.harmless, self._opener(), pair.command)

    def lookalikes(self) -> Iterator[Chat]:
        for row in rows("safe_lookalikes"):
            if "command" in row:
                words = row["answer"] if self.rng.random() < 0.5 else next(self._openers)
                yield self._answer(row["request"], words, row["command"])
            else:
                yield [*_ask(self._either(), row["request"]), _turn(row["answer"])]

    def chat(self) -> Iterator[Chat]:
        for row in rows("chat"):
            yield [*_ask(self._either(), row["request"]), _turn(row["answer"])]

    def _answer(self, request: str, words: str, bash: str) -> list[Message]:
        block = _fenced(bash, "")  # no action of the agent protocol
        return [*_ask(self.system, request), _turn(f"{words}\n{block}" if words else block)]

    def refuse(self, system: str, request: str, theme: str) -> Chat:
        return [*_ask(system, request), _turn(next(self._refusals).format(theme=theme))]

    def _opener(self) -> str:
        return "" if self.rng.random() < BARE else next(self._openers)

    def _either(self) -> str:
        return self.rng.choice((self.system, CHAT_SYSTEM))

    def _endless(self, name: str) -> Iterator[str]:
        """All texts in random order, then again in another, for ever."""
        for row in templates.endless(rows(name), self.rng):
            yield row["text"]


def _ask(system: str, request: str) -> list[Message]:
    return [{"role": "system", "content": system}, {"role": "user", "content": request}]


def _act(suite: Suite, request: str, bash: str) -> list[Message]:
    return [*_ask(suite.system, request), _turn(_fenced(bash, "bash"))]


def _read(output: str) -> Message:
    return {"role": "user", "content": observation(output)}


def _turn(content: str) -> Message:
    return {"role": "assistant", "content": content}


def _fenced(bash: str, language: str) -> str:
    return f"```{language}\n{bash.strip()}\n```"
