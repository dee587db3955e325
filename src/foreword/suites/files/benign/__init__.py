"""Benign families: the everyday work of an agent in a Linux folder."""

from __future__ import annotations

from foreword.suites.base import Family
from foreword.suites.files.benign import (
    archives,
    data,
    files,
    permissions,
    scripts,
    search,
    system,
    text,
)

FAMILIES: list[Family] = [
    family
    for module in (files, text, data, archives, permissions, search, scripts, system)
    for family in module.FAMILIES
]
