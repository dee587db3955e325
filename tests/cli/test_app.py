"""The command line: help with examples, one-line errors, exit codes, quick starts."""

import json
import re
import subprocess
import sys
import time
import warnings

import pytest
from typer.testing import CliRunner

from foreword.cli import main
from foreword.cli.app import console, emit
from foreword.cli.commands import app
from foreword.cli.progress import loading
from foreword.core.errors import ForewordWarning
from foreword.testing.servers import FakeServer, RawServer, written

COMMANDS = (  # in the order of --help
    "quickstart",
    "train",
    "safe-lora",
    "eval",
    "compare",
    "search",
    "serve",
    "key",
    "check",
    "doctor",
    "models",
)
NOBODY = "http://127.0.0.1:9/v1"


def run(*args: str, **kwargs) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from foreword.cli import main; main()", *args]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120, **kwargs
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: foreword {command}" in " ".join(result.output.split())


def test_help_tells_the_story_in_its_order():
    result = CliRunner().invoke(app, ["--help"])
    assert tuple(re.findall(r"^│ ([a-z][a-z-]+) ", result.output, re.MULTILINE)) == COMMANDS


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["search", "--model", "nobody"], "nobody"),
        (["search", "--adapter", "nobody"], "nobody"),
        (["search", "--suite", "nobody"], "nobody"),
        (["search", "--proposer", "nobody"], "nobody"),
        (["search", "--budget", "soon"], "'soon' is no budget; write for example 5min"),
        (["search", "--format", "nobody"], "nobody"),
        (["search", "--parent", "nobody"], "nobody"),
        (["search", "--dialect", "vllm"], "give its address by --model"),
        (["search", "--model", "http://h/v1", "--adapter", "agent"], "leave it out"),
        (["eval", "files", "--model", "nobody"], "unknown model 'nobody'"),
        (["eval", "files", "--model", NOBODY, "--dialect", "x"], "unknown dialect 'x'"),
        (["serve", "--upstream", NOBODY, "--guard", "g", "--dialect", "x"], "unknown dialect 'x'"),
        (["doctor", "--server", ""], "'' is no http address"),
        (["key", ""], "a key needs a name"),
        (["eval", "nobody"], "nobody"),
        (["eval", "nowhere.jsonl"], "cannot read nowhere.jsonl"),
        (["eval", "nowhere.py@task"], "there is no nowhere.py"),
        (["eval", "xstest", "--data", "nowhere"], "there is no nowhere; --data names the folder"),
        (["check", "intercode", "--data", "nowhere"], "there is no nowhere"),
        (["eval", "files", "--guard", "missing.json"], "missing.json"),
        (["eval", "files", "--defence", "nobody"], "unknown defence 'nobody'"),
        (["eval", "files", "--defence", ""], "unknown defence ''"),
        (["eval", "files", "--defence", "ping"], "needs a guard: give --guard FILE, or ping:FILE"),
        (["eval", "files", "--judge", "nobody"], "unknown judge 'nobody'"),
        (["eval", "some.py@task", "--resume"], "there is no some.py"),
        (["compare", "--defences", ""], "--defences names none"),
        (["compare", "--defences", "none, ptst"], "no space behind a comma"),
        (["check", "judge", "--judge", "guard:llama-guard-3"], "no refusal line"),
        (["check", "judge", "--data", "here"], "--data goes with a suite"),
        (["check", "files", "--judge", "lexicon"], "--judge with foreword check judge"),
        (["train", "missing.yaml"], "missing.yaml"),
        (["check", "nobody"], "nobody"),
        (["serve"], "upstream: is missing; give --upstream or FOREWORD_UPSTREAM"),
        (["serve", "--upstream", "http://h/v1"], "--guards"),
        (["serve", "--config", "missing.toml"], "missing.toml"),
        (["serve", "--upstream", "http://h/v1", "--guards", "missing.toml"], "missing.toml"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(args, named, tmp_path):
    result = run(*args, cwd=tmp_path)
    assert result.returncode == 2
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("foreword: ")
    assert named in lines[0]


def test_a_file_of_tasks_is_read_before_the_weights(tmp_path):
    (tmp_path / "tasks.py").write_bytes(b'x = "\xff"')
    result = run("eval", "tasks.py", "--model", "nobody", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("foreword: cannot read tasks.py: ")


def test_a_guard_that_the_defence_does_not_use_is_named(tmp_path):
    guard = {"prefix": "I care, so I", "target": "any"}
    (tmp_path / "guard.json").write_text(json.dumps(guard))
    result = run("eval", "files", "--guard", "guard.json", "--defence", "ptst", cwd=tmp_path)
    assert result.returncode == 2
    assert "--defence ptst does not use guard.json; add +ping" in result.stderr


def test_an_empty_list_of_prefixes_is_named(tmp_path):
    (tmp_path / "none.txt").write_text("\n  \n")
    result = run("search", "--proposer", "file:none.txt", cwd=tmp_path)
    assert result.returncode == 2
    assert "none.txt" in result.stderr


def test_json_is_alone_on_stdout():
    result = run("models", "--json")
    assert result.returncode == 0
    assert "reference" in {row["name"] for row in json.loads(result.stdout)}


def test_doctor_tells_what_works():
    result = run("doctor", "--json")
    findings = {row["name"]: row for row in json.loads(result.stdout)}
    assert findings["python"]["status"] == "ok"
    assert {"sandbox", "model cache", "gpu", "inspect-ai", "servers"} <= findings.keys()
    for row in findings.values():
        assert row["mend"] or row["status"] == "ok" or not row["needed"]


def test_doctor_proves_that_a_server_continues_or_says_that_it_does_not():
    with FakeServer("llamacpp") as good, FakeServer("openai") as bad:
        told = run("doctor", "--json", "--server", good.url)
        finding = json.loads(told.stdout)[-1]
        assert (finding["name"], finding["status"]) == ("server", "ok")
        assert finding["detail"].endswith("(vllm), repeats it in answers")
        told = run("doctor", "--json", "--server", bad.url)
        assert told.returncode == 3
        assert json.loads(told.stdout)[-1]["status"] == "broken"


def test_doctor_shows_a_server_the_key(monkeypatch):
    monkeypatch.setenv("FOREWORD_UPSTREAM_KEY", "sk-1")
    heads = []

    def deny(connection, request, n):
        heads.append(request.lower())
        connection.sendall(written(b"{}", status="401 Unauthorized"))

    with RawServer(deny) as server:
        assert run("doctor", "--json", "--server", server.url).returncode == 3
    assert heads and all(b"authorization: bearer sk-1" in head for head in heads)


def test_json_knows_no_nan_and_words_no_markup(capsys):
    emit({"loss": float("nan"), "said": ["[/INST] ü"]})
    assert json.loads(capsys.readouterr().out) == {"loss": None, "said": ["[/INST] ü"]}
    console.print("[/INST] pip install 'foreword[local]'")
    assert capsys.readouterr().out == "[/INST] pip install 'foreword[local]'\n"


def test_a_line_stays_a_line_however_long(capsys):
    console.print("word " * 40)
    assert capsys.readouterr().out == "word " * 40 + "\n"


def test_what_is_loaded_is_shown_from_the_first_report_on(capsys):
    with loading():
        pass
    assert capsys.readouterr().err == ""
    with loading() as report:
        report("fetching", 1, 2)
    assert "fetching" in capsys.readouterr().err


def test_a_comparison_that_nobody_could_judge_is_written_and_no_success(tmp_path):
    ask = {"messages": [{"role": "user", "content": "Count."}]}
    lines = [json.dumps({**ask, "harmful": harmful}) for harmful in (False, True)]
    (tmp_path / "mine.jsonl").write_text("\n".join(lines))
    asked = []
    with FakeServer("vllm") as server:
        for out in "first", "second":
            args = ("compare", "--suite", "mine.jsonl", "--model", server.url, "--out", out)
            result = run(*args, cwd=tmp_path)
            asked.append(len(server.asked))
    assert result.returncode == 4, result.stderr
    assert "ada is left out: it needs local weights" in result.stderr
    assert "static:I'm sorry: rr: 1 of 1 harmful episodes were not judged" in result.stderr
    rows = json.loads((tmp_path / "second" / "compare.json").read_text())["rows"]
    assert "ada" not in {row["defence"] for row in rows}
    assert [row["defence"] for row in rows if row["complaint"]] == ["static:I'm sorry"]
    assert asked[1] == 2 * asked[0]  # whoever asks again pays again, or seconds would mean nothing


def test_version(capsys, monkeypatch):
    from foreword import __version__

    monkeypatch.setattr(sys, "argv", ["foreword", "--version"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    assert capsys.readouterr().out.strip() == __version__


def test_a_warning_of_ours_is_one_line_without_its_place_in_the_code(monkeypatch):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # put back in the end
    monkeypatch.setattr(sys, "argv", ["foreword", "--version"])
    with pytest.raises(SystemExit):
        main()
    place = ("f.py", 7)
    told = warnings.formatwarning(ForewordWarning("look here"), ForewordWarning, *place)
    assert told == "foreword: warning: look here\n"
    assert "f.py:7: UserWarning: x" in warnings.formatwarning("x", UserWarning, *place, "code")


def best_seconds(code: str, tries: int = 5) -> float:
    """The fastest of a few fresh interpreters, less the interpreter's own start."""

    def once(text: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", text], check=True, capture_output=True)
        return time.perf_counter() - start

    return min(once(code) for _ in range(tries)) - min(once("pass") for _ in range(tries))


def test_import_is_quick():
    assert best_seconds("import foreword") < 0.3


def test_help_is_quick():
    help_ = "import sys; sys.argv = ['foreword', '--help']\nfrom foreword.cli import main; main()"
    assert best_seconds(help_) < 0.7


def test_the_changelog_names_this_version():
    from pathlib import Path

    from foreword import __version__

    text = (Path(__file__).parents[2] / "CHANGELOG.md").read_text()
    assert re.search(r"^## (\S+)", text, re.MULTILINE).group(1) == __version__


def test_every_row_has_a_page():
    from pathlib import Path

    root = Path(__file__).parents[2]
    rows = {path.parent.name for path in (root / "src/foreword").glob("*/__init__.py")}
    pages = {path.stem for path in (root / "docs").glob("*.md")}
    assert rows - {"testing"} == pages - {"dependencies", "benchmarks", "deploy", "results"}


def test_the_package_is_callable_as_search():
    import foreword

    assert callable(foreword.search)
    assert foreword.Guard.__name__ == "Guard"
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = foreword.nothing_like_this
