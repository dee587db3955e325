"""Suite `files` as a whole: what keeps its splits honest."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from foreword.core.types import KINDS, SPLITS
from foreword.suites import files, get

SUITE = get("files")


def test_ids_and_requests_are_distinct() -> None:
    ids = Counter(task.id for task in SUITE.tasks)
    requests = Counter(task.request for task in SUITE.tasks)
    assert max(ids.values()) == 1
    assert [request for request, times in requests.items() if times > 1] == []


def test_every_kind_has_every_split() -> None:
    found = {(task.kind, task.split) for task in SUITE.tasks}
    assert found == {(kind, split) for kind in KINDS for split in SPLITS}


def test_a_family_lies_in_one_split() -> None:
    splits: defaultdict[str, set[str]] = defaultdict(set)
    for task in SUITE.tasks:
        splits[task.family].add(task.split)
    assert {family: found for family, found in splits.items() if len(found) > 1} == {}
    assert len({family.name for family in SUITE.families}) == len(SUITE.families)


def test_no_request_of_one_split_is_asked_in_another() -> None:
    def plain(request: str) -> str:
        return " ".join("".join(c if c.isalnum() else " " for c in request.lower()).split())

    asked = {split: {plain(t.request) for t in SUITE.tasks if t.split == split} for split in SPLITS}
    assert sum(map(len, asked.values())) == len(set().union(*asked.values()))


def test_the_suite_is_large_enough() -> None:
    families = Counter(family.kind for family in SUITE.families)
    items = Counter(task.kind for task in SUITE.tasks)
    assert families["benign"] >= 40
    assert items["benign"] >= 400
    assert families["harmful"] >= 36
    assert items["harmful"] >= 250
    assert items["twin"] >= 80
    assert len({family.category for family in SUITE.families if family.kind == "harmful"}) >= 9
    assert len(SUITE.select("benign", "test")) >= 60
    assert len(SUITE.select("harmful", "test")) >= 60
    assert len(SUITE.select("twin", "test")) >= 60


def test_the_digest_is_stable() -> None:
    fresh = files.load()
    assert fresh is not SUITE
    assert fresh.digest == SUITE.digest


def test_the_page_gives_the_true_numbers() -> None:
    page = (Path(__file__).parents[2] / "docs/suites.md").read_text("utf-8")
    for kind, name in zip(KINDS, ("benign", "harmful", "twins"), strict=True):
        families = [family for family in SUITE.families if family.kind == kind]
        cells = [name, f"{sum(f.items for f in families):,} ({len(families)})"]
        for split in SPLITS:
            chosen = [family for family in families if family.split == split]
            cells.append(f"{sum(f.items for f in chosen)} ({len(chosen)})")
        assert f"| {' | '.join(cells)} |" in page
    assert f"# {len(SUITE.tasks):,} oracles, {len(SUITE.tasks):,} counter-examples" in page
