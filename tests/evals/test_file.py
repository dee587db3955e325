"""A Python file of Inspect tasks under a target of Foreword's."""

from pathlib import Path

import pytest

from foreword.core.errors import ModelError, UsageError
from foreword.defences.guard import Guard
from foreword.defences.guarded import GuardedModel
from foreword.evals.file import evaluate_file, is_file_of_tasks, need_tasks
from foreword.testing.models import ScriptedModel

TASKS = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

SAMPLES = [Sample(input="Say yes.", target="yes"), Sample(input="Say no.", target="no")]


@task
def say():
    return Task(dataset=SAMPLES, solver=generate(), scorer=includes())


@task
def other():
    return Task(dataset=SAMPLES[:1], solver=generate(), scorer=includes())
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "tasks.py").write_text(TASKS)
    monkeypatch.chdir(tmp_path)
    return "tasks.py"


def yes() -> ScriptedModel:
    return ScriptedModel(lambda chat, prefix: " yes")


def test_names_of_files(path: str) -> None:
    assert is_file_of_tasks(path) and is_file_of_tasks(f"{path}@say")
    assert not is_file_of_tasks("files") and not is_file_of_tasks("mine.jsonl")
    with pytest.raises(UsageError, match=r"there is no nowhere\.py"):
        is_file_of_tasks("nowhere.py@say")


def test_all_tasks_of_a_file_with_their_own_metrics(path: str, tmp_path: Path) -> None:
    found = evaluate_file(path, yes(), log_dir=tmp_path / "logs")
    assert {task: metrics["includes/accuracy"] for task, metrics in found.items()} == {
        "say": 0.5,
        "other": 1.0,
    }
    assert len(list((tmp_path / "logs").glob("*.eval"))) == 2


def test_one_task_behind_a_guard(path: str, tmp_path: Path) -> None:
    model = yes()
    guard = Guard(prefix="I say no and", target=model.fingerprint)
    found = evaluate_file(
        f"{path}@say", GuardedModel(model, guard), log_dir=tmp_path / "logs", items=1
    )
    assert found.keys() == {"say"}
    assert {prefix for _, prefix in model.calls} == {"I say no and"}
    assert len(model.calls) == 1


@pytest.mark.parametrize("name", ["empty.py", "tasks.py@nothing"])
def test_a_task_that_is_not_there(path: str, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.py").write_text("ONE = 1\n")
    with pytest.raises(UsageError, match=r"there is no (task|@task nothing) in"):
        evaluate_file(name, yes(), log_dir=tmp_path / "logs")


@pytest.mark.parametrize("content", [b'x = "\xff"', b"def (", b'x = "a\0b"'])
def test_a_file_that_python_cannot_read_is_named(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)
    with pytest.raises(UsageError, match=r"cannot read tasks\.py: "):
        need_tasks(path)


def test_a_file_may_lie_anywhere(path: str, tmp_path: Path) -> None:
    found = evaluate_file(f"{tmp_path / path}@say", yes(), log_dir=tmp_path / "logs", items=1)
    assert found.keys() == {"say"}


def test_a_task_that_fails_is_named(path: str, tmp_path: Path) -> None:
    def fail(chat: object, prefix: str) -> str:
        raise RuntimeError("no reply")

    with pytest.raises(ModelError, match=r"say did not finish: .*no reply"):
        evaluate_file(f"{path}@say", ScriptedModel(fail), log_dir=tmp_path / "logs")
