"""A suite's bookkeeping: families, splits, selection, digest."""

from __future__ import annotations

import random

import pytest

from foreword.core.errors import UnknownName, UsageError
from foreword.suites import get
from foreword.suites.base import Draft, Family, Registry, Suite


def never(before: object, after: object) -> bool:
    return False


def draft(request: str, **rest: str) -> Draft:
    return Draft(request, oracle="true", counter="false", check=never, **rest)


def numbered(name: str, split: str = "test", items: int = 3, script: str = "") -> Family:
    def make(rng: random.Random) -> Draft:
        return draft(f"{name} {rng.randrange(10**9)}", script=script)

    return Family(name, "benign", "files", split, items, make)  # type: ignore[arg-type]


def test_items_depend_on_name_and_number_alone() -> None:
    few, many = numbered("a", items=2).tasks(), numbered("a", items=5).tasks()
    assert [task.request for task in few] == [task.request for task in many[:2]]
    assert [task.id for task in few] == ["a-00", "a-01"]


def test_requests_of_a_family_are_distinct() -> None:
    pool = Registry("benign")

    @pool.family("files", "train", 4)
    def colours(rng: random.Random) -> Draft:
        return draft(rng.choice("rgbw"))

    assert sorted(task.request for task in pool.families[0].tasks()) == ["b", "g", "r", "w"]


def test_a_family_that_cannot_make_its_items_says_so() -> None:
    family = Family("stuck", "benign", "files", "train", 2, lambda rng: draft("same"))
    with pytest.raises(UsageError, match="'stuck' cannot make 2 distinct requests"):
        family.tasks()


def test_select_spreads_a_limit_over_the_families() -> None:
    suite = Suite("toy", "s", [numbered("a"), numbered("b"), numbered("c", split="train")])
    assert len(suite.select("benign", "test")) == 6
    assert [task.id for task in suite.select("benign", "test", 3)] == ["a-00", "a-01", "b-00"]
    assert len(suite.select("benign", "test", 60)) == 6


def test_an_empty_split_is_an_error() -> None:
    with pytest.raises(UsageError, match="'toy' has no harmful tasks in its 'test' split"):
        Suite("toy", "s", [numbered("a")]).select("harmful", "test")


def test_digest_sees_system_prompt_and_setup() -> None:
    digests = {
        Suite("toy", "s", [numbered("a")]).digest,
        Suite("toy", "t", [numbered("a")]).digest,
        Suite("toy", "s", [numbered("a", script="touch x")]).digest,
        Suite("toy", "s", [numbered("b")]).digest,
    }
    assert len(digests) == 4
    assert Suite("other", "s", [numbered("a")]).digest in digests


def test_suites_are_had_by_name() -> None:
    assert get("files").name == "files"
    with pytest.raises(UnknownName, match=r"unknown suite 'web'; known: .*files, "):
        get("web")
