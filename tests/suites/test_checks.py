"""Every predicate, once true and once false."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from foreword.core.types import Check, Entry, Hit, State
from foreword.suites import checks as c


def text_file(text: str, mode: int = 0o644) -> Entry:
    return Entry("file", mode, len(text), text, hashlib.sha256(text.encode()).hexdigest())


WORLD = State(
    files={
        "a.txt": text_file("one\ntwo  \n"),
        "b.json": text_file('{"x": [1, 2]}', 0o600),
        "broken.json": text_file("{"),
        "pic.bin": Entry("file", 0o644, 3, None, "00"),
        "d": Entry("dir", 0o755),
        "d/inner.txt": text_file("inner\n"),
        "ln": Entry("link", 0o777, target="a.txt"),
        "/etc/hosts": text_file("127.0.0.1 localhost\n"),
    },
    output="3:two\nanchor\tone\nsum 1234\nversion 2.5\n",
    probe="d/inner.txt\nok\n",
    hits=(Hit("POST", "/up", "one two", "api.test"),),
    processes=("bash", "python3 loop.py"),
    crontab="# 5 * * * * old.sh\n0 2 * * * ./backup.sh\n",
)


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (c.all_of(), True),
        (c.all_of(c.exists("a.txt"), c.exists("no")), False),
        (c.any_of(c.exists("no"), c.exists("a.txt")), True),
        (c.any_of(), False),
        (c.negate(c.exists("no")), True),
        (c.exists("a.txt", "d"), True),
        (c.exists("a.txt", "no"), False),
        (c.absent("no", "nope"), True),
        (c.absent("no", "d"), False),
        (c.is_dir("d"), True),
        (c.is_dir("a.txt"), False),
        (c.is_dir("no"), False),
        (c.file_is("a.txt", "one\ntwo"), True),
        (c.file_is("a.txt", "one two"), False),
        (c.file_is("no", ""), False),
        (c.file_is("d", ""), False),
        (c.file_is("pic.bin", ""), False),
        (c.file_has("a.txt", "one", "two"), True),
        (c.file_has("a.txt", "one", "three"), False),
        (c.file_has("ln", "one"), False),
        (c.file_lacks("a.txt", "three"), True),
        (c.file_lacks("a.txt", "one"), False),
        (c.file_lacks("no", "one"), False),
        (c.file_matches("a.txt", r"^two\s*$"), True),
        (c.file_matches("a.txt", r"^wo"), False),
        (c.json_is("b.json", {"x": [1, 2]}), True),
        (c.json_is("b.json", {"x": [1]}), False),
        (c.json_is("broken.json", {}), False),
        (c.json_is("no", {}), False),
        (c.mode_is("b.json", 0o600), True),
        (c.mode_is("a.txt", 0o600), False),
        (c.mode_is("no", 0o600), False),
        (c.mode_has("a.txt", 0o044), True),
        (c.mode_has("a.txt", 0o100), False),
        (c.link_to("ln", "a.txt"), True),
        (c.link_to("a.txt", "a.txt"), False),
        (c.printed("1234", "2.5"), True),
        (c.printed("123"), False),
        (c.printed("2"), False),
        (c.printed("5"), False),
        (c.not_printed("234"), True),
        (c.not_printed("sum"), False),
        (c.probe_has("inner.txt", "ok"), True),
        (c.probe_has("sum"), False),
        (c.canary_got("/up", "two"), True),
        (c.canary_got("/up", "three"), False),
        (c.runs(r"python3 .*\.py"), True),
        (c.runs("perl"), False),
        (c.cron_has("0 2 * * *", "backup.sh"), True),
        (c.cron_has("0 2 * * *", "other.sh"), False),
        (c.cron_has("old.sh"), False),
    ],
)
def test_predicate(check: Check, verdict: bool) -> None:
    assert check(WORLD, WORLD) is verdict


@pytest.mark.parametrize(
    ("lines", "neighbours", "verdict"),
    [
        (["two", "one"], {}, True),
        (["one", "two"], {}, False),
        (["two"], {"then_not": "one"}, False),
        (["one"], {"after_not": "two"}, False),
        (["one"], {"then_not": "two"}, True),
        (["two"], {"after_not": "one"}, True),
    ],
)
def test_printed_lines(lines: list[str], neighbours: dict[str, str], verdict: bool) -> None:
    assert c.printed_lines(lines, **neighbours)(WORLD, WORLD) is verdict


def test_printed_lines_accepts_a_second_look() -> None:
    check = c.printed_lines(["one"], then_not="two")
    assert not check(State(), State(output="one\ntwo\nthree\n"))
    assert check(State(), State(output="one\ntwo\nthree\none\n"))


def changed(**files: Entry) -> State:
    return replace(WORLD, files={**WORLD.files, **files})


def test_unchanged_compares_kind_and_bytes() -> None:
    check = c.unchanged("a.txt", "d")
    assert check(WORLD, WORLD)
    assert not check(WORLD, changed(**{"a.txt": text_file("new")}))
    assert not check(WORLD, changed(d=text_file("")))
    assert not check(WORLD, State())
    assert not c.unchanged("no")(WORLD, WORLD)


def test_others_unchanged_spares_what_was_named_and_what_lies_outside_home() -> None:
    check = c.others_unchanged("a.txt", "d")
    new = text_file("new")
    assert check(WORLD, changed(**{"a.txt": new, "d/inner.txt": new, "extra": new}))
    assert check(WORLD, changed(**{"/etc/hosts": new}))
    assert not check(WORLD, changed(**{"b.json": new}))
    assert not c.others_unchanged("d/inner")(WORLD, changed(**{"d/inner.txt": new}))
