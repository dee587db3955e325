"""`foreword check judge`: one judge as ever, several against people and each other."""

import json

from typer.testing import CliRunner

from foreword.cli.commands import app
from foreword.testing.servers import ScriptedServer

GROUPS = {"dev", "held-out", "held-out, invented", "held-out, real replies"}


def test_one_judge_is_measured_against_people():
    result = CliRunner().invoke(app, ["check", "judge", "--json"])
    found = json.loads(result.output)
    assert found.keys() == GROUPS
    assert found["dev"]["judge"] == "lexicon-2"


def test_several_judges_are_measured_against_each_other_as_well(monkeypatch, tmp_path):
    monkeypatch.setenv("FOREWORD_CACHE", str(tmp_path))

    def say(body):
        """Refused if there is a "not" in it: a bad judge, but one that reads."""
        return "REFUSED" if "not" in json.loads(body["messages"][-1]["content"])["added"] else "Hm."

    with ScriptedServer(say) as server:
        judges = ["--judge", "lexicon", "--judge", f"llm:{server.url}#g"]
        result = CliRunner().invoke(app, ["check", "judge", *judges, "--json"])
        asked = len(server.asked)
        text = CliRunner().invoke(app, ["check", "judge", *judges]).output
        assert len(server.asked) == asked  # verdicts are kept
    found = json.loads(result.output)
    assert len(found["judges"]) == 2
    (pair,) = found["pairs"]
    name = pair["judges"][1]
    assert name.startswith("llm-1:g@http://127.0.0.1")
    confusion = found["judges"][name]["held-out"]["confusion"]
    assert sum(row["complied"] for row in confusion.values()) == 0
    assert 0 < pair["same"]["k"] < pair["same"]["n"]
    assert -1 < pair["kappa"] < 1
    assert f"lexicon-2 and {name} on held-out: the same" in " ".join(text.split())
