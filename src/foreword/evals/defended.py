"""A model behind the defences that a spec names: `defend(model, "ping+wildguard@http://...")`.

The place where names meet servers, judges and files; the rows below know one another by
protocol alone. See docs/defences.md for the names.
"""

from __future__ import annotations

from foreword.core.protocols import Model
from foreword.defences.guard import Guard
from foreword.defences.registry import layers, wrap


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
