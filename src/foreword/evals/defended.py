"""A model behind the defences that a spec names: `defend(model, "ping+wildguard@http://...")`.

The place where names meet servers, judges and files; the rows below know one another by
protocol alone. See docs/defences.md for the names.
"""

from __future__ import annotations

from foreword.core.errors import ConfigError
from foreword.core.protocols import Model
from foreword.defences.guard import Guard
from foreword.defences.registry import REWRITES, Guarding, Rewriting, layers, wrap
from foreword.defences.rewrites import Step


def defend(model: Model, spec: str, *, guard: Guard | None = None) -> Model:
    """The model with a stack of defences around it.

    Args:
        model: the target.
        spec: names joined by "+", from the model outwards; "none" for the model itself.
        guard: the guard file behind `ping` and `suffix`; not used by a spec without them.

    Raises:
        UnknownName: nobody knows one of the names.
        ConfigError: one of them lacks something, e.g. `ping` a guard.
    """
    return wrap(model, layers(spec, guard=guard))


def steps(target: str, spec: str, guard: Guard | None) -> list[Step]:
    """The same for a target that others ask: how its messages are rewritten, step by step.

    Warns (ForewordWarning) if the guard was found for another model than `target`.

    Raises:
        ConfigError: one of the layers does more than change words.
    """
    found: list[Step] = []
    for layer in reversed(layers(spec, guard=guard)):  # the outermost hears a request first
        if not isinstance(layer, Rewriting):
            raise ConfigError(
                f"defence {spec!r} asks a model by itself; before another provider only words "
                "can be changed (none, static, ping, suffix, " + ", ".join(REWRITES) + ")"
            )
        if isinstance(layer, Guarding):
            layer.step.check_target(target)
        found.append(layer.step)
    return found
