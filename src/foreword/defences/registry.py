"""Defences by name: `none`, `ping`, `ping:other.json`, `static:I cannot`, `ptst+ping`, ...

A spec names layers with "+", from the model outwards: in `a+b` a stands next to the model
and b around it, so b hears a request first and a reply last. The words of prefixes therefore
stand in the order of the spec, and a guardrail that is named last sees the user's own
request. What needs more than words (a guard file, a guardrail's server) is handed in by
whoever knows where it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from foreword.core.errors import ConfigError, UnknownName
from foreword.core.protocols import Model
from foreword.defences.constitution import CONSTITUTION, CritiquedModel
from foreword.defences.few_shot import FEW_SHOT
from foreword.defences.guard import Guard, check_prefix
from foreword.defences.guarded import GuardedModel
from foreword.defences.icd import ICD
from foreword.defences.ptst import PTST
from foreword.defences.reminder import SELF_REMINDER
from foreword.defences.rewrites import Rewrite, RewrittenModel, Step, hash8

Layer = Callable[[Model], Model]
REWRITES: Mapping[str, Rewrite] = {
    "ptst": PTST,
    "few-shot": FEW_SHOT,
    "constitution": CONSTITUTION,
    "self-reminder": SELF_REMINDER,
    "icd": ICD,
}


@dataclass(frozen=True)
class Rewriting:
    """A layer that only changes words, so that it can stand before a server of any kind."""

    name: str
    step: Step

    def __call__(self, model: Model) -> Model:
        """The model behind this layer."""
        return RewrittenModel(model, self.step, self.name)


@dataclass(frozen=True)
class Guarding(Rewriting):
    """The layer of a guard file."""

    step: Guard

    def __call__(self, model: Model) -> Model:
        """The model behind the guard; warns if it was found for another one."""
        return GuardedModel(model, self.step)


Make = Callable[[str], Layer]  # what follows a name in the spec (":..." or "@...") -> the layer


def layers(
    spec: str, *, guard: Guard | None = None, more: Mapping[str, Make] | None = None
) -> list[Layer]:
    """The layers a spec names, from the model outwards; none for "none".

    Args:
        spec: names joined by "+".
        guard: the guard behind `ping` and `suffix` that name no file of their own.
        more: makers of the defences that need something from outside.

    Raises:
        UnknownName: nobody knows one of the names.
        ConfigError: one of them lacks something, or its guard file is damaged.
    """
    makers = _makers(guard) | dict(more or {})
    found = []
    for part in spec.split("+"):
        name, rest = _parted(part.strip())
        if name == "none":
            plain(name, lambda model: model)(rest)
            continue
        if name not in makers:
            raise UnknownName("defence", name, ["none", *makers])
        found.append(makers[name](rest))
    return found


def wrap(model: Model, around: Sequence[Layer]) -> Model:
    """The model with the layers around it, the first next to it."""
    return reduce(lambda inner, layer: layer(inner), around, model)


def plain(name: str, layer: Layer) -> Make:
    """The maker of a defence that has no variants.

    The maker raises ConfigError if something follows the name.
    """

    def make(rest: str) -> Layer:
        if rest:
            hint = " (no space behind a comma between specs)" if rest.startswith(",") else ""
            raise ConfigError(
                f"defence {name!r} takes nothing behind its name; leave {rest!r} out{hint}"
            )
        return layer

    return make


def _makers(guard: Guard | None) -> dict[str, Make]:
    prompts = {
        name: plain(name, Rewriting(f"{name}:{hash8(rewrite)}", rewrite))
        for name, rewrite in REWRITES.items()
    }
    return {
        "static": _static,
        "ping": _of_file("ping", guard),
        "suffix": _of_file("suffix", guard, placement="suffix"),
        "critique": plain("critique", CritiquedModel),
        **prompts,
    }


def _static(rest: str) -> Layer:
    """The same first words whoever asks, e.g. "I can't", "I cannot", "I'm sorry"."""
    words = rest.removeprefix(":").strip()
    try:
        check_prefix(words)
    except ValueError as error:
        raise ConfigError(f"static needs words, e.g. 'static:I cannot': {error}") from error
    return Rewriting(f"static:{hash8(words)}", Guard(prefix=words, target="any"))


def _of_file(name: str, guard: Guard | None, **changes: str) -> Make:
    """The maker of a guard's layer: the one at hand, or that of the file in the spec, changed."""

    def make(rest: str) -> Layer:
        file = rest.removeprefix(":").strip()
        found = Guard.load(file) if file else guard
        if found is None:
            raise ConfigError(f"defence {name!r} needs a guard: give --guard FILE, or {name}:FILE")
        found = found.model_copy(update=changes)
        return Guarding(f"guard:{found.hash8}", found)

    return make


def _parted(part: str) -> tuple[str, str]:
    found = re.match(r"[\w.-]*", part)
    name = found.group() if found else ""
    return name, part[len(name) :]
