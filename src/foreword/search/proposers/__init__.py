"""Who writes the candidates: a phrase grammar, any chat model, or a user's file."""

from foreword.search.proposers.file import FileProposer
from foreword.search.proposers.grammar import OfflineProposer
from foreword.search.proposers.llm import LlmProposer

__all__ = ["FileProposer", "LlmProposer", "OfflineProposer"]
