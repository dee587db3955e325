"""Inspect's own warnings are not ours to mend; everything else stays an error here."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
THIRD_PARTY = (
    "ignore:The 'initial' parameter:DeprecationWarning",  # inspect_ai's use of tenacity
    "ignore:Unclosed <MemoryObject:ResourceWarning",  # anyio streams that inspect_ai drops
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            for line in THIRD_PARTY:
                item.add_marker(pytest.mark.filterwarnings(line))


@pytest.fixture(autouse=True)
def collect_garbage() -> Iterator[None]:
    """Dropped streams warn when they are collected: that is to happen under the filter above."""
    yield
    gc.collect()
