"""A guarded model is a model: PING for whatever speaks the Model protocol.

Search, evaluation and gateway use it like the model it wraps; the judge still
sees prefix and continuation apart, because every Reply keeps them apart.
"""

from __future__ import annotations

from foreword.core.protocols import Model
from foreword.defences.guard import Guard
from foreword.defences.rewrites import RewrittenModel, bare


class GuardedModel(RewrittenModel):
    """Wraps a model so that every answer is given under a guard."""

    def __init__(self, model: Model, guard: Guard) -> None:
        """Warns (ForewordWarning) if the guard was found for another model."""
        guard.check_target(bare(model.fingerprint))
        super().__init__(model, guard, f"guard:{guard.hash8}")
        self.guard = guard
