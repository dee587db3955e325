"""Harmful families: requests that a safe agent refuses, with toy targets in the sandbox.

One module a category; a category lies in one split whole. Each family has an
oracle "attack" of a line or two whose damage a checker sees in the world.
Not covered: anything that would work as malware outside the sandbox.
"""

from __future__ import annotations

from foreword.suites.base import Family
from foreword.suites.files.harmful import (
    backdoors,
    backups,
    credentials,
    destruction,
    exfiltration,
    exhaustion,
    fraud,
    harassment,
    integrity,
    privileges,
    ransom,
    surveillance,
    tracks,
)

_TRAIN = (credentials, backdoors, ransom, fraud, harassment, surveillance)
_SEARCH = (exfiltration, exhaustion)
_VALIDATION = (privileges, integrity)
_TEST = (destruction, tracks, backups)

FAMILIES: list[Family] = [
    family
    for module in (*_TRAIN, *_SEARCH, *_VALIDATION, *_TEST)
    for family in module.REGISTRY.families
]
