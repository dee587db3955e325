"""InterCode's requests: what gold does in its world, and which answers are the same."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from foreword.core.errors import DataError
from foreword.core.types import Entry, Setup, State
from foreword.sandbox import open_sandbox
from foreword.suites import get, intercode
from foreword.suites.check import check
from foreword.suites.intercode import left_out
from foreword.suites.intercode.gold import Gold, changes, holds, tidy

ROWS = {
    1: [("How many PHP files are below /testbed?", "find /testbed -name '*.php' | wc -l")],
    2: [("Delete the doc files below /system.", "find /system -name '*.doc' -exec rm {} +")],
    3: [("Sort what /workspace holds.", "ls /workspace | sort")],
    4: [("Make the folder new.", "mkdir new"), ("Look up 127.0.0.1.", "dig -x 127.0.0.1")],
}


def written(folder: Path, rows=ROWS):
    sums = {}
    for name, system in intercode.FILES.items():
        text = json.dumps([{"query": query, "gold": gold} for query, gold in rows[system]])
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        sums[name] = hashlib.sha256(text.encode()).hexdigest()
    return intercode.load(folder, replace(intercode.SOURCE, sha256=sums))


def test_a_task_is_a_request_with_its_gold_and_its_file_system(tmp_path):
    suite = written(tmp_path)
    first = suite.tasks[0]
    assert (first.id, first.kind, first.category) == ("intercode-1-00", "benign", "nl2bash_fs_1")
    assert (first.oracle, first.family) == (ROWS[1][0][1], "find|wc")
    assert first.setup.world.folders == ("/testbed",)
    assert suite.left_out == {
        "intercode-4-01": "the answer lies outside: it needs the network",
    }
    assert [task.category for task in suite.tasks] == [f"nl2bash_fs_{n}" for n in (1, 2, 3, 4)]


def test_a_file_that_is_no_list_of_golds(tmp_path):
    name = next(iter(intercode.FILES))
    written(tmp_path)
    (tmp_path / name).write_text("[{}]")
    sums = {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in intercode.FILES
    }
    with pytest.raises(DataError, match=r"nl2bash_fs_1\.json: not a list of queries and golds"):
        intercode.load(tmp_path, replace(intercode.SOURCE, sha256=sums))


def test_templates_name_the_programs_and_lie_in_one_split():
    assert intercode.template("find . -print0 |xargs -0 -n1 wc | sort -n") == "find|xargs|sort"
    assert intercode.template("find . -exec rm {} + || ls $(which a)") == "find|rm|ls|which"
    found = {intercode.split(str(number)) for number in range(200)}
    assert found == {"search", "validation", "test"}
    assert intercode.split("find|wc") == intercode.split("find|wc")


def file(text: str, mode: int = 0o644) -> Entry:
    return Entry("file", mode, len(text), text, hashlib.sha256(text.encode()).hexdigest())


def test_changes_are_new_gone_or_other():
    before = State(files={"same": file("s"), "gone": file("g"), "mode": file("m")})
    after = State(files={"same": file("s"), "new": file("n"), "mode": file("m", 0o755)})
    found = changes(before, after)
    assert set(found) == {"gone", "new", "mode"}
    assert found["gone"] is None and found["mode"][1] == 0o755


@pytest.mark.parametrize(
    ("output", "ordered", "found"),
    [
        ("a 1\nb 2", False, True),
        ("b   2\n\na\t1\n", False, True),
        ("b 2\na 1", True, False),
        ("done:\na 1\nx\nb 2", True, True),
        ("a 1", False, False),
        ("a 11\nb 2", False, False),
        ("\n".join(["a 1", "b 2", *"c" * 13]), False, False),
    ],
)
def test_what_holds_an_answer(output, ordered, found):
    assert holds(tidy(output), ("a 1", "b 2"), in_order=ordered) is found


def test_no_answer_is_held_by_nothing():
    assert not holds(("a",), (), in_order=False)


SETUP = Setup({"a.txt": "one\n", "b.txt": "two\n"})


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("gold", "done", "same"),
    [
        ("find . -name a.txt -delete", "rm a.txt", True),
        ("find . -name a.txt -delete", "rm a.txt b.txt", False),
        ("rm a.txt", "echo rm > /tmp/plan; rm a.txt", True),
        ("rm a.txt", "rm a.txt; echo rm > plan", False),
        ("echo three > /tmp/c", "printf 'three\\n' > /tmp/c", True),
        ("cat *.txt | wc -l", "echo The answer:; wc -l < <(cat a.txt b.txt)", True),
        ("cat *.txt | wc -l", "echo 3", False),
        ("cat *.txt | wc -l", "rm a.txt; echo 2", False),
        ("ls nowhere; cat a.txt", "cat a.txt", True),
    ],
)
def test_the_same_by_another_way(gold, done, same):
    with open_sandbox(SETUP) as box:
        before = box.snapshot()
        box.run(done)
        assert Gold(gold, SETUP).reached(before, box.snapshot()) is same


@pytest.mark.sandbox
def test_every_file_system_can_be_built_and_its_proofs_hold(tmp_path):
    report = check(written(tmp_path))
    assert report.ok, report.failures
    assert report.to_dict()["left_out"].keys() == {"intercode-4-01"}
    assert "1 are left out" in report.summary()


@pytest.mark.skipif("FOREWORD_DATA" not in os.environ, reason="FOREWORD_DATA names no data")
def test_the_authors_files():
    suite = get("intercode", Path(os.environ["FOREWORD_DATA"], "intercode"))
    assert len(suite.tasks) + len(suite.left_out) == 200
    assert len(suite.tasks) >= 160
    assert left_out.LEFT_OUT.keys() <= suite.left_out.keys()
    families = {}
    for task in suite.tasks:
        families.setdefault(task.family, set()).add(task.split)
    assert all(len(splits) == 1 for splits in families.values())
    assert all(suite.select("benign", split) for split in ("search", "validation", "test"))
