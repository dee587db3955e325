import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from foreword.core.errors import DiskFull, RunError
from foreword.core.runs import Run, environment, make_folder, write_json, write_text

MANIFEST = {"seed": 0, "search": {"rounds": 20, "tau": 1.0}, "model": "reference@1"}


def test_a_run_keeps_its_records(tmp_path: Path) -> None:
    with Run.open(tmp_path / "deep" / "run", MANIFEST) as run:
        assert not run.resumed
        run.append("trials", {"prefix": "I ü\n", "overall": 1.5})
        run.append("trials", {"prefix": "My"})
        run.append("other", {})
        write_json(run.path / "result.json", [1])
        assert (run.path / "result.json").read_text() == "[\n  1\n]\n"
    with Run.open(tmp_path / "deep" / "run", MANIFEST) as run:
        assert run.resumed
        assert run.records("trials") == [{"prefix": "I ü\n", "overall": 1.5}, {"prefix": "My"}]
        assert run.records("never") == []


def test_the_manifest_names_the_environment(tmp_path: Path) -> None:
    Run.open(tmp_path, MANIFEST).close()
    stored = json.loads((tmp_path / "manifest.json").read_text())
    assert stored["seed"] == 0
    assert {"foreword", "python", "platform"} <= set(stored["environment"])


def test_torch_is_named_only_if_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Torch:
        __version__ = "9.9"

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert "torch" not in environment()
    monkeypatch.setitem(sys.modules, "torch", Torch())
    assert environment()["torch"] == "9.9"


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    first = Run.open(tmp_path, MANIFEST)
    with pytest.raises(RunError, match="another run is at work"):
        Run.open(tmp_path, MANIFEST)
    first.close()
    first.close()
    Run.open(tmp_path, MANIFEST).close()


def test_a_folder_in_which_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    make_folder(tmp_path / "deep" / "logs")
    assert list((tmp_path / "deep" / "logs").iterdir()) == []
    (tmp_path / "file").touch()
    for bad in tmp_path / "file", tmp_path / "file" / "logs", Path("/proc/nowhere"), Path("/proc"):
        with pytest.raises(RunError, match=f"cannot use {bad}: "):
            make_folder(bad)


def test_a_failed_open_gives_the_lock_back(tmp_path: Path) -> None:
    Run.open(tmp_path, MANIFEST).close()
    with pytest.raises(RunError, match="seed"):
        Run.open(tmp_path, {**MANIFEST, "seed": 1})
    Run.open(tmp_path, MANIFEST).close()


@pytest.mark.parametrize(
    ("other", "key"),
    [
        ({**MANIFEST, "seed": 1}, "seed"),
        ({**MANIFEST, "search": {"rounds": 20, "tau": 1.5}}, "search.tau"),
        ({**MANIFEST, "more": None}, "more"),
        ({"seed": 0, "search": MANIFEST["search"]}, "model"),
    ],
)
def test_another_manifest_names_the_key(tmp_path: Path, other, key: str) -> None:
    Run.open(tmp_path, MANIFEST).close()
    with pytest.raises(RunError, match=f"another '{key}'"):
        Run.open(tmp_path, other)


def test_tuples_and_lists_are_the_same_manifest(tmp_path: Path) -> None:
    Run.open(tmp_path, {"splits": ("search", "validation")}).close()
    with Run.open(tmp_path, {"splits": ["search", "validation"]}) as run:
        assert run.resumed


def test_another_version_of_foreword(tmp_path: Path) -> None:
    Run.open(tmp_path, MANIFEST).close()
    file = tmp_path / "manifest.json"
    stored = json.loads(file.read_text())
    stored["environment"]["foreword"] = "0.0.1"
    file.write_text(json.dumps(stored))
    with pytest.raises(RunError, match=r"foreword 0\.0\.1"):
        Run.open(tmp_path, MANIFEST)


@pytest.mark.parametrize("damage", ["", "[]", '{"seed": 0}', '{"environment": 3}'])
def test_a_damaged_manifest(tmp_path: Path, damage: str) -> None:
    (tmp_path / "manifest.json").write_text(damage)
    with pytest.raises(RunError, match="damaged"):
        Run.open(tmp_path, MANIFEST)


def test_a_log_without_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "trials.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match=r"without a manifest\.json"):
        Run.open(tmp_path, MANIFEST)


@pytest.mark.parametrize("tail", ['{"n": 2', "{", '{"n": 2}'])
def test_a_cut_last_line_is_dropped(tmp_path: Path, tail: str) -> None:
    with Run.open(tmp_path, MANIFEST) as run:
        run.append("trials", {"n": 1})
    with (tmp_path / "trials.jsonl").open("a") as file:
        file.write(tail)
    with Run.open(tmp_path, MANIFEST) as run:
        run.append("trials", {"n": 3})
        assert run.records("trials") == [{"n": 1}, {"n": 3}]


@pytest.mark.parametrize("line", ["{broken", "[1]", ""])
def test_a_broken_line_in_the_middle_is_named(tmp_path: Path, line: str) -> None:
    Run.open(tmp_path, MANIFEST).close()
    (tmp_path / "trials.jsonl").write_text(f'{{"n": 1}}\n{line}\n{{"n": 3}}\n')
    with Run.open(tmp_path, MANIFEST) as run, pytest.raises(RunError, match="line 2"):
        run.records("trials")


def test_a_closed_run_takes_no_records(tmp_path: Path) -> None:
    run = Run.open(tmp_path, MANIFEST)
    run.close()
    with pytest.raises(RunError, match="closed"):
        run.append("trials", {})


def test_a_full_disk_while_appending(tmp_path: Path) -> None:
    with Run.open(tmp_path, MANIFEST) as run:
        (tmp_path / "trials.jsonl").symlink_to("/dev/full")
        with pytest.raises(DiskFull, match="free some space"):
            run.append("trials", {"n": 1})


def test_a_short_write_is_rolled_back(tmp_path: Path) -> None:
    """A file size limit makes the kernel write half a record, as a full disk does."""
    code = f"""
import resource, signal
from foreword.core.errors import RunError
from foreword.core.runs import Run
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Run.open({str(tmp_path)!r}, {{}}) as run:
    run.append("trials", {{"n": 1}})
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
    try:
        run.append("trials", {{"n": "x" * 40}})
    except RunError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "File too large" in done.stdout
    assert (tmp_path / "trials.jsonl").read_text() == '{"n":1}\n'


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "guard.json"
    write_json(file, {"old": True})
    (tmp_path / f".guard.json.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(DiskFull, match=r"guard\.json"):
        write_json(file, {"new": True})
    assert json.loads(file.read_text()) == {"old": True}
    assert [path.name for path in tmp_path.iterdir()] == ["guard.json"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot use"):
        write_text(tmp_path / "file" / "below.txt", "x")
    with pytest.raises(RunError, match="cannot use"):
        Run.open(tmp_path / "file", MANIFEST)


def test_not_a_number_never_reaches_a_file(tmp_path: Path) -> None:
    with Run.open(tmp_path, MANIFEST) as run, pytest.raises(ValueError, match="JSON compliant"):
        run.append("trials", {"perf": float("nan")})


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    code = f"""
import time
from foreword.core.runs import Run
run = Run.open({str(tmp_path)!r}, {{}})
run.append("trials", {{"n": 1}})
print("ready", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(RunError, match="another run"):
            Run.open(tmp_path, {})
        process.send_signal(signal.SIGKILL)
    with Run.open(tmp_path, {}) as run:
        assert run.records("trials") == [{"n": 1}]
