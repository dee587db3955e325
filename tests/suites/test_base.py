"""A suite's bookkeeping: families, splits, selection, digest."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from foreword.core.errors import DataError, UnknownName, UsageError
from foreword.suites import get
from foreword.suites.base import Draft, Family, Registry, Suite, pooled


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


def asked(suite: Suite, task_id: str) -> list[dict[str, str]]:
    return suite.chat(next(task for task in suite.tasks if task.id == task_id))


def test_several_suites_in_one_keep_their_words_and_names() -> None:
    one = Suite("one", "You act.", [numbered("a")], proven=0.9)
    two = Suite("two", "", [numbered("a")], languages=("bash", "python"), max_new_tokens=7)
    both = pooled([one, two])
    assert (both.name, both.languages, both.proven) == ("one+two", ("bash", "python"), 0.9)
    assert both.max_new_tokens == one.max_new_tokens
    assert [task.id for task in both.select("benign", "test", 2)] == ["one/a-00", "two/a-00"]
    assert asked(both, "one/a-01") == one.chat(one.tasks[1])
    assert asked(both, "two/a-01") == two.chat(two.tasks[1])
    with pytest.raises(UsageError, match="suite 'one' is named twice"):
        pooled([one, two, one])


def test_suites_are_named_together_by_a_plus(tmp_path: Path) -> None:
    mine = tmp_path / "my+own.jsonl"
    mine.write_text('{"messages": [{"role": "user", "content": "Hi."}], "harmful": false}\n')
    assert get(str(mine)).name == "my+own"  # a file of that name comes first
    mine = mine.rename(tmp_path / "mine.jsonl")
    both = get(f"files+{mine}")
    assert both.name == "files+mine"
    assert both.chat(both.tasks[0]) == get("files").chat(get("files").tasks[0])
    assert asked(both, "mine/mine-001") == [{"role": "user", "content": "Hi."}]
    with pytest.raises(UsageError, match=r"no suite of files\+.* reads files; leave --data d out"):
        get(f"files+{mine}", Path("d"))
    with pytest.raises(UnknownName, match="unknown suite 'file'"):
        get("file+files")


def test_data_goes_to_the_suites_that_read_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=str(tmp_path)):
        get("files+xstest", tmp_path)


def test_each_of_several_suites_has_a_folder_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=str(tmp_path / "games")):
        get("alfworld+xstest", {"alfworld": tmp_path / "games", "xstest": tmp_path})
    with pytest.raises(UsageError, match="there is no suite 'xstest' in files; leave its --data"):
        get("files", {"xstest": tmp_path})
