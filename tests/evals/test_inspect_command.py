"""The command line of Inspect finds task, provider and sandbox by their names."""

import subprocess
import sys
from pathlib import Path

import pytest
from inspect_ai.log import read_eval_log

from foreword.defences.guard import Guard
from foreword.evals.logs import find_logs, read_episodes
from foreword.testing.models import tiny_folder

EVAL = "from inspect_ai._cli.main import main; main()"


@pytest.mark.sandbox
def test_inspect_eval_with_a_local_model_and_a_guard(tmp_path: Path) -> None:
    weights = tiny_folder(tmp_path / "weights")
    guard = tmp_path / "guard.json"
    Guard(prefix="I care, so I", target="other").save(guard)
    command = [sys.executable, "-c", EVAL, "eval", "foreword/files_benign"]
    command += ["--model", f"foreword/local/hf:{weights}", "-M", f"guard={guard}"]
    command += ["-T", "items=3", "--log-dir", str(tmp_path / "logs"), "--display", "plain"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "this guard was found for 'other'" in done.stdout + done.stderr
    logs = find_logs(tmp_path / "logs")
    assert [log.eval.task for log in logs] == ["files_benign"]
    log = read_eval_log(logs[0].location)
    assert log.samples is not None and len(log.samples) == 3
    assert len({sample.metadata["family"] for sample in log.samples}) == 3
    for episode in read_episodes([log]):
        assert not episode.error and episode.success is False
        assert episode.prefix == "I care, so I"
        assert episode.messages[2]["content"].startswith("I care, so I")
