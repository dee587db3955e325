"""Who writes the candidates: phrases, evolution, the model itself, a chat model, a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from foreword.core.errors import UnknownName
from foreword.core.protocols import Proposer
from foreword.search.proposers.evolve import EvolveProposer
from foreword.search.proposers.file import FileProposer, StaticProposer
from foreword.search.proposers.fluent import FluentProposer
from foreword.search.proposers.grammar import GrammarProposer
from foreword.search.proposers.harvest import HarvestProposer
from foreword.search.proposers.llm import LlmProposer

if TYPE_CHECKING:
    from foreword.search.formats import Format

NAMES = (
    "fluent",
    "harvest",
    "evolve",
    "grammar",
    "static",
    "file:<list of prefixes>",
    "llm:<Inspect model name>",
)

__all__ = [
    "NAMES",
    "EvolveProposer",
    "FileProposer",
    "FluentProposer",
    "GrammarProposer",
    "HarvestProposer",
    "LlmProposer",
    "StaticProposer",
    "named",
]


def named(name: str, form: Format | None = None) -> Proposer:
    """A proposer that needs no target, by its name in `NAMES`.

    Raises:
        UnknownName: nobody has it.
        UsageError: its file is no list.
    """
    kind, _, rest = name.partition(":")
    if kind == "file" and rest:
        return FileProposer(rest)
    if kind == "llm" and rest:
        return LlmProposer.of(rest, form)
    made: dict[str, Callable[[], Proposer]] = {
        "evolve": EvolveProposer,
        "grammar": GrammarProposer,
        "static": StaticProposer,
    }
    if name not in made:
        raise UnknownName("proposer", name, list(NAMES))
    return made[name]()
