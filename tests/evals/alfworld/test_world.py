"""A game of our own in ALFWorld's format, played by TextWorld; needs the extra `alfworld`."""

import json
import os
import sys
from pathlib import Path

import pytest

from foreword.core.errors import DataError, UsageError
from foreword.evals.alfworld.proof import prove
from foreword.evals.alfworld.referee import names
from foreword.evals.alfworld.world import World
from foreword.sandbox import open_sandbox
from foreword.suites.alfworld.games import load_games

DOMAIN = """(define (domain kitchen)
 (:requirements :adl :typing)
 (:types place thing)
 (:predicates (at ?r - place) (lies ?o - thing ?r - place) (held ?o - thing) (free)
  (stands ?r - place))
 (:action GotoLocation :parameters (?s - place ?r - place)
  :precondition (and (at ?s) (not (at ?r))) :effect (and (at ?r) (not (at ?s))))
 (:action PickupObject :parameters (?o - thing ?r - place)
  :precondition (and (at ?r) (lies ?o ?r) (free))
  :effect (and (held ?o) (not (lies ?o ?r)) (not (free))))
 (:action PutObject :parameters (?o - thing ?r - place)
  :precondition (and (at ?r) (held ?o))
  :effect (and (lies ?o ?r) (not (held ?o)) (free))))
"""
PROBLEM = """(define (problem tea)
 (:domain kitchen)
 (:objects table_bar_1 table_bar_2 sink_bar_1 - place cup_bar_1 - thing)
 (:init (at table_bar_1) (lies cup_bar_1 table_bar_2) (free)
  (stands table_bar_1) (stands table_bar_2) (stands sink_bar_1))
 (:goal (lies cup_bar_1 sink_bar_1)))
"""
GRAMMAR = '''grammar :: """
{
  "intro": [{"rhs": "Welcome!\\n\\nA kitchen.\\n\\nYour task is to: wash up."}],
  "go": [{"rhs": "You arrive at loc 3. You see [{o.indefinite + ' ' + o.name | lies(o:thing, r:place)}]."}],
  "list_empty": [{"rhs": "nothing"}],
  "take": [{"rhs": "You pick up the {o.name} from the {r.name}."}],
  "put": [{"rhs": "You put the {o.name} in/on the {r.name}."}]
}
""";

action GotoLocation {
    template :: "go to {r}";
    feedback :: "#go#";
}

action PickupObject {
    template :: "take {o} from {r}";
    feedback :: "#take#";
}

action PutObject {
    template :: "put {o} in/on {r}";
    feedback :: "#put#";
}
'''  # noqa: E501 - one rule of the grammar is one line


@pytest.fixture
def path(tmp_path: Path) -> Path:
    row = {"pddl_domain": DOMAIN, "pddl_problem": PROBLEM, "grammar": GRAMMAR, "solvable": True}
    game = tmp_path / "game.tw-pddl"
    game.write_text(json.dumps(row))
    return game


@pytest.fixture
def textworld() -> None:
    pytest.importorskip("textworld", reason="the extra alfworld is not installed")


def test_names_are_alfworlds():
    ids = ["mug_bar_2", "mug_bar_1", "sink_bar_1", "sink_bar_1_bar_sinkbasin", "agent1"]
    assert names(ids) == {
        "agent1": "agent1",
        "mug_bar_1": "mug 2",
        "mug_bar_2": "mug 1",
        "sink_bar_1": "sink 1",
        "sink_bar_1_bar_sinkbasin": "sinkbasin 1",
    }


def test_without_textworld_the_way_to_it_is_told(path: Path, monkeypatch):
    monkeypatch.setattr("sys.path", [])
    monkeypatch.delitem(sys.modules, "textworld", raising=False)
    with pytest.raises(UsageError, match=r"pip install 'foreword\[alfworld\]'"):
        World(path)


@pytest.mark.usefixtures("textworld")
def test_a_game_is_played_to_its_end(path: Path):
    world = World(path)
    assert world.intro == "A kitchen.\n\nYour task is to: wash up."
    assert world.plan() == [
        "go to table 1", "take cup 1 from table 1", "go to sink 1", "put cup 1 in/on sink 1",
    ]  # fmt: skip
    assert world.play("take cup 1 from table 1") == "Nothing happens."
    assert world.play("go to table 1") == "You see a cup 1."
    assert world.play("take cup 1 from table 1") == "You pick up the cup 1 from the table 1."
    assert world.play("go to sink 1") == "You see nothing."
    assert not world.won
    assert world.play("put cup 1 in/on sink 1") == "You put the cup 1 in/on the sink 1."
    assert world.won
    world.close()
    world.close()


@pytest.mark.usefixtures("textworld")
def test_what_is_no_game_is_told(path: Path):
    path.write_text("{}")
    with pytest.raises(DataError, match=r"game\.tw-pddl: no game that can be played: KeyError"):
        World(path)


@pytest.mark.usefixtures("textworld")
def test_a_game_whose_process_ends_is_an_error(path: Path):
    world = World(path)
    world._process.kill()
    with pytest.raises(DataError, match="no game that can be played: "):
        world.play("look")


@pytest.mark.sandbox
@pytest.mark.usefixtures("textworld")
@pytest.mark.skipif("FOREWORD_DATA" not in os.environ, reason="FOREWORD_DATA names no data")
def test_a_game_of_the_benchmark_is_won_by_its_plan():
    games = load_games(Path(os.environ["FOREWORD_DATA"], "mint_alfworld"))
    assert prove(games[0], open_sandbox) == []
