"""bench/optimisers.py on a target without a model: whoever is installed, and the promised file."""

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench" / "optimisers.py"


def run(folder, *more):
    command = [sys.executable, str(BENCH), "--toy", "--seeds", "2", "--budget", "560",
               "--cells", "cells.jsonl", "--json", "figures.json", *more]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "figures.json").read_text()), done.stdout


def test_every_installed_method_has_its_curve(tmp_path):
    figures, table = run(tmp_path, "--plot", "plot.svg")
    names = {"paper", "halving", "ours", "gepa", "random", "capo"} - set(figures["missing"])
    assert set(figures["methods"]) == names
    for name, runs in figures["methods"].items():
        assert f"| {name} | 2 |" in table
        for each in runs:
            curve = [point["openings"] for point in each["curve"]]
            assert curve == sorted(curve)
            assert curve[-1] <= 560
            assert each["final"]["validation"] == each["curve"][-1]["validation"]
            assert {"tokens", "seconds", "search", "prefix"} <= set(each["curve"][0])
            assert "openings_to_reach_paper" in each
    assert all(each["openings_to_reach_paper"] for each in figures["methods"]["paper"])
    assert figures["methods"]["paper"][0]["spent"]["openings"] == 4 * 5 * 37  # whole rounds
    for picture, unit in (("plot.svg", "openings"), ("plot_seconds.svg", "seconds")):
        svg = (tmp_path / picture).read_text()
        assert unit in svg
        assert all(f">{name}</text>" in svg for name in names)
    assert f"| after {figures['equal_seconds']:.0f} s [range] |" in table
    rivals = [row for name, row in figures["summary"].items() if name != "paper"]
    assert any(row["after_equal_seconds"][0] > 1 for row in rivals)

    cells = (tmp_path / "cells.jsonl").read_bytes()
    (tmp_path / "cells.jsonl").write_bytes(cells + b'["search", "torn')
    again, _ = run(tmp_path, "--methods", "paper,halving")
    for name, runs in again["methods"].items():
        assert [each["curve"][-1]["prefix"] for each in runs] == [
            each["final"]["prefix"] for each in figures["methods"][name]
        ]
    assert (tmp_path / "cells.jsonl").read_bytes() == cells
