"""The nouns of Foreword, on one page.

Everything that crosses a row of the architecture is one of these frozen
records. They carry data, never behaviour that needs a model, a sandbox or a
network; their meaning is fixed in docs/core.md.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NotRequired, TypedDict

Role = Literal["system", "user", "assistant", "tool"]
Kind = Literal["benign", "harmful", "twin"]
Split = Literal["train", "search", "validation", "test"]
Fidelity = Literal["margin", "opening", "episode"]  # the rungs of the search, the cheaper first
Placement = Literal["prefix", "suffix"]

FIDELITIES: tuple[Fidelity, ...] = ("margin", "opening", "episode")
KINDS: tuple[Kind, ...] = ("benign", "harmful", "twin")
SPLITS: tuple[Split, ...] = ("train", "search", "validation", "test")


class Message(TypedDict):
    """One chat turn, in the shape every server and template understands."""

    role: Role
    content: str
    weight: NotRequired[int]  # in training data: 0 for an assistant turn that is only context


Chat = Sequence[Message]


class Label(enum.StrEnum):
    """What a judge can say."""

    REFUSED = "refused"
    COMPLIED = "complied"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Verdict:
    """A judge's label and, in a few words, why (always given for UNDECIDED)."""

    label: Label
    reason: str = ""


class Safety(enum.StrEnum):
    """What a guardrail can say."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Finding:
    """A guardrail's answer; `reason` names the categories of an unsafe one, or why undecided."""

    safety: Safety
    reason: str = ""


class Sampling(TypedDict, total=False):
    """How replies are written, as `Model.generate` takes it; what wraps a model hands it on."""

    max_new_tokens: int
    temperature: float
    seed: int
    stop: str


@dataclass(frozen=True)
class Reply:
    """What a model said: the injected prefix and the text it added itself."""

    prefix: str
    continuation: str
    tokens: int  # newly generated tokens
    stopped: bool  # True if the model ended its turn, False if it hit the token limit
    # What it cost is not what was said: equal replies may have cost differently.
    read: int = field(default=0, compare=False)  # tokens shown, prefix included; 0 if not counted
    seconds: float = field(default=0.0, compare=False)  # of the model, a batch's time shared out

    @property
    def text(self) -> str:
        """The whole assistant turn as the environment sees it."""
        return self.prefix + self.continuation


@dataclass(frozen=True)
class Entry:
    """One path of a snapshot. `text` is None for folders, links and binary or huge files."""

    kind: Literal["file", "dir", "link"]
    mode: int  # permission bits, e.g. 0o644
    size: int = 0  # bytes
    text: str | None = None
    sha256: str = ""
    target: str = ""  # of a link


@dataclass(frozen=True)
class Hit:
    """One request that reached the canary server inside the sandbox."""

    method: str
    path: str
    body: str
    host: str = ""


@dataclass(frozen=True)
class State:
    """The world of a sandbox at one moment: what a checker may look at.

    Paths below the home folder are relative ("notes.txt", ".bashrc"); all
    others are absolute ("/tmp/x", "/etc/hosts").
    """

    files: Mapping[str, Entry] = field(default_factory=dict)
    output: str = ""  # stdout and stderr of every action so far, bounded
    probe: str = ""  # what the task's probe command printed afterwards
    hits: tuple[Hit, ...] = ()  # requests received by the canary server
    processes: tuple[str, ...] = ()  # command lines of the agent's live processes
    crontab: str = ""


Check = Callable[[State, State], bool]  # (before, after) -> did it happen?


@dataclass(frozen=True)
class Port:
    """A server on the sandbox's own loopback; whatever it hears is a hit.

    A "tcp" server says its first line to whoever connects, and the next one each time
    that it has heard `awaits`; after the last it says no more, and only listens.
    """

    number: int  # 1024 or more
    kind: Literal["http", "tcp", "udp"]
    lines: tuple[str, ...] = ()
    awaits: str = ""  # "" is anything


@dataclass(frozen=True)
class World:
    """What a sandbox has beyond the plain one. Like all in it, it is private and ends with it."""

    folders: tuple[str, ...] = ()  # writable as well; those of /usr keep what is in them
    files: Mapping[str, str] = field(default_factory=dict)  # text by absolute path
    pages: Mapping[str, str] = field(default_factory=dict)  # by URL, what an outside host answers
    ports: tuple[Port, ...] = ()
    packages: tuple[str, ...] = ()  # Python distributions of Foreword's own environment


@dataclass(frozen=True)
class Setup:
    """How the folder looks before the agent starts: text files, then a bash script."""

    files: Mapping[str, str] = field(default_factory=dict)
    script: str = ""
    world: World = World()
    game: str = ""  # path of a household game that is played instead (suites/alfworld)


@dataclass(frozen=True)
class Task:
    """One request with its proof.

    `oracle` is bash that must make `check` true, `counter` is plausible bash
    (a near miss, or a harmless look) that must leave it false. For harmful
    tasks `check` is true when the damage was done. A task without a `check` is
    talk: it can be refused or not, and nothing else is measured.
    """

    id: str
    kind: Kind
    category: str
    family: str
    split: Split
    request: str
    oracle: str = ""
    counter: str = ""
    check: Check | None = None
    setup: Setup = Setup()
    probe: str = ""  # bash run after the agent, its output lands in State.probe
    history: tuple[Message, ...] = ()  # said before the request; may bring its own system prompt


@dataclass(frozen=True)
class Rate:
    """k of n judged, of total run, with a Wilson 95 % interval (fractions)."""

    k: int
    n: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share k / n, or nan when nothing was judged."""
        return self.k / self.n if self.n else float("nan")


@dataclass(frozen=True)
class Score:
    """What the search learns about a prefix (paper, section PING).

    `perf` is the share of benign tasks not refused (of an agent's openings: gone
    to work on), `refusal` the share of harmful tasks refused, both in 0..1 over
    the *judged* tasks. `margins` holds one log-odds (natural log, refusal against
    compliance) a task where they were measured; `outcomes` one letter a task, the
    benign before the bar and the harmful behind it: r(efused), c(omplied),
    u(ndecided), - where the race was over before the task.
    """

    perf: float
    refusal: float
    benign: int  # judged benign tasks
    harmful: int  # judged harmful tasks
    undecided: int
    fidelity: Fidelity
    margins: tuple[float, ...] = ()
    outcomes: str = ""

    @property
    def overall(self) -> float:
        """The paper's perf + refusal, at most 2."""
        return self.perf + self.refusal

    @property
    def complete(self) -> bool:
        """Whether every task was scored."""
        return "-" not in self.outcomes


@dataclass(frozen=True)
class Spent:
    """What a search has cost so far, whatever the machine."""

    openings: int = 0  # replies begun and judged
    tokens: int = 0  # positions of forward passes, padding included; of a server: as it counts

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.openings + other.openings, self.tokens + other.tokens)


@dataclass(frozen=True)
class Trial:
    """One scored candidate of a search, as the log keeps it."""

    index: int
    round: int
    prefix: str
    score: Score
    proposer: str
    seconds: float  # since the search started, resumed time included
    spent: Spent = Spent()  # since the search started, its round included
