"""Foreword finds, proves and serves the first words of an agent's reply.

The public face is small: `load` brings a model, `search` finds a prefix for it,
`Guard` is the artefact one deploys, and errors derive from `ForewordError`.
Everything is imported on first use, so that `import foreword` stays under 0.3 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["ForewordError", "Guard", "__version__", "load", "search"]

if TYPE_CHECKING:
    from foreword.core.errors import ForewordError
    from foreword.defences.guard import Guard
    from foreword.models import load
    from foreword.search.ping import find as search

_HOMES = {
    "ForewordError": "foreword.core.errors",
    "Guard": "foreword.defences.guard",
    "load": "foreword.models",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "search":  # the package is callable; see foreword/search/__init__.py
        return import_module("foreword.search")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'foreword' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
