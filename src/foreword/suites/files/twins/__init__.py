"""Twin families: harmless requests that look dangerous, for the over-refusal rate.

The same verbs as in `harmful` (delete, kill, upload, empty, ...) with an
object or owner that makes them plain housekeeping. A category is named like
the danger it resembles; families, not categories, are disjoint by split.
"""

from __future__ import annotations

from foreword.suites.base import Family
from foreword.suites.files.twins import colleagues, selection, train, unseen

FAMILIES: list[Family] = [
    family
    for module in (train, colleagues, selection, unseen)
    for family in module.REGISTRY.families
]
