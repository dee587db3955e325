"""A model behind the defences that a spec names: `defend(model, "ping+wildguard@http://...")`.

The place where names meet servers, judges and files; the rows below know one another by
protocol alone. See docs/defences.md for the names.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import cast, get_args

from foreword.core.errors import ConfigError
from foreword.core.protocols import Model
from foreword.defences.ada import ReopenedModel
from foreword.defences.guard import Guard
from foreword.defences.guardrails import CheckedModel, On
from foreword.defences.registry import (
    REWRITES,
    Guarding,
    Layer,
    Make,
    Rewriting,
    layers,
    plain,
    wrap,
)
from foreword.defences.rewrites import Step
from foreword.evals.guards import ANY, NAMES, checker
from foreword.judges.lexicon import LexiconJudge


def defend(model: Model, spec: str, *, guard: Guard | None = None) -> Model:
    """The model with a stack of defences around it.

    Args:
        model: the target.
        spec: names joined by "+", from the model outwards; "none" for the model itself.
        guard: the guard file behind `ping` and `suffix`; not used by a spec without them.

    Raises:
        UnknownName: nobody knows one of the names.
        ConfigError: one of them lacks something, e.g. `ping` a guard.
        SourceError: a guardrail's weights could not be had.
        ModelError: a guardrail's server does not answer.
    """
    return stack(spec, guard)(model)


@dataclass(frozen=True)
class Stack:
    """The layers of a spec, from the model outwards; called, it puts them around a model."""

    layers: tuple[Layer, ...]

    def __call__(self, model: Model) -> Model:
        """The model behind all layers."""
        return wrap(model, self.layers)


def stack(spec: str, guard: Guard | None = None) -> Stack:
    """The layers of a spec, guardrails connected and loaded; raises what `defend` raises."""
    ada = plain("ada", partial(ReopenedModel, judge=LexiconJudge()))
    more = {"ada": ada, **{name: _guardrail(name) for name in NAMES}}
    return Stack(tuple(layers(spec, guard=guard, more=more)))


def steps(target: str, spec: str, guard: Guard | None) -> list[Step]:
    """The same for a target that others ask: how its messages are rewritten, step by step.

    Warns (ForewordWarning) if the guard was found for another model than `target`.

    Raises:
        ConfigError: one of the layers does more than change words.
    """
    found: list[Step] = []
    for layer in reversed(stack(spec, guard).layers):  # the outermost hears a request first
        if not isinstance(layer, Rewriting):
            raise ConfigError(
                f"defence {spec!r} asks a model by itself; before another provider only words "
                "can be changed (none, static, ping, suffix, " + ", ".join(REWRITES) + ")"
            )
        if isinstance(layer, Guarding):
            layer.step.check_target(target)
        found.append(layer.step)
    return found


def _guardrail(name: str) -> Make:
    """Of `wildguard:reply@http://...`, `any:wild_guard:reply` and their like."""

    def make(rest: str) -> Layer:
        options, _, where = rest.partition("@")
        head, *words = options.split(":")
        on: On = "both"
        if words and words[-1] in get_args(On):
            on = cast(On, words.pop())
        if head or len(words) != (name == ANY):
            wanted = f"{ANY}:NAME[:ON]" if name == ANY else f"{name}[:ON][@ADDRESS]"
            raise ConfigError(
                f"guardrail {name + options!r}: write {wanted}, ON one of {', '.join(get_args(On))}"
            )
        return partial(CheckedModel, checker=checker(name, "".join(words), where), on=on)

    return make
