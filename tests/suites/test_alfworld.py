"""Games of a folder: those that count, their splits, and what is wrong with a folder."""

import hashlib
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from foreword.core.errors import DataError, UsageError
from foreword.suites import get
from foreword.suites.alfworld import SYSTEM, games
from foreword.suites.alfworld.games import INSIDE, find_games, load_games, splits

GRAMMAR = 'grammar :: """{"task": [{"rhs": "Your task is to: UNKNOWN GOAL."}]}"""\n'


def write(root: Path, name: str, solvable: object = True, goal: str = "wash up") -> Path:
    path = root / "json_2.1.1" / "valid_unseen" / name / "game.tw-pddl"
    path.parent.mkdir(parents=True)
    row = {"pddl_domain": "", "pddl_problem": "", "grammar": GRAMMAR.replace("UNKNOWN GOAL", goal)}
    path.write_text(json.dumps(row | ({"solvable": solvable} if solvable is not None else {})))
    return path


@pytest.fixture
def data(tmp_path: Path, monkeypatch) -> Path:
    """Three families of two types, and games that do not count."""
    (tmp_path / "logic").mkdir()
    (tmp_path / games.LOGIC).write_text(GRAMMAR)
    monkeypatch.setattr(games, "LOGIC_SHA256", hashlib.sha256(GRAMMAR.encode()).hexdigest())
    for name in ("wash-Cup/a", "wash-Cup/b", "wash-Pan/a", "heat-Egg/a"):
        write(tmp_path, name)
    write(tmp_path, "heat-Egg/b", solvable=False)
    write(tmp_path, "heat-Egg/c", solvable=None)
    return tmp_path


def test_only_solvable_games_count(data: Path):
    found = find_games(data)
    assert [game.id for game in found] == ["heat-Egg/a", "wash-Cup/a", "wash-Cup/b", "wash-Pan/a"]
    assert {(game.category, game.request) for game in found} == {
        ("heat", "Your task is to: wash up."), ("wash", "Your task is to: wash up."),
    }  # fmt: skip
    assert Path(found[0].setup.game).is_file()


def test_mints_repository_will_do(data: Path, tmp_path_factory):
    repository = tmp_path_factory.mktemp("mint")
    (repository / INSIDE).parent.mkdir(parents=True)
    (repository / INSIDE).symlink_to(data)
    assert len(find_games(repository)) == 4


def test_a_family_lies_in_one_split_and_each_type_in_all():
    families = [f"{category}-{i}" for category in ("a", "b") for i in range(5)]
    found = splits(families)
    assert found == splits(reversed(families))
    for category in ("a", "b"):
        counts = Counter(split for name, split in found.items() if name.startswith(category))
        assert counts == {"test": 3, "search": 1, "validation": 1}
    assert splits(["c-1"]) == {"c-1": "test"}


def test_a_partial_folder_is_told(data: Path):
    with pytest.raises(DataError, match="4 solvable games, and the benchmark has 134"):
        load_games(data)


def test_a_folder_without_logic_or_games_is_told(data: Path):
    with pytest.raises(DataError, match=r"no logic/alfred\.twl2; give the folder of MINT's"):
        find_games(data / "nowhere")
    (data / "json_2.1.1").rename(data / "other")
    with pytest.raises(DataError, match="no solvable games; there should be json_"):
        find_games(data)


def test_another_version_is_told(data: Path):
    (data / games.LOGIC).write_text(GRAMMAR + "# more\n")
    with pytest.raises(DataError, match=r"alfred\.twl2: not the version"):
        find_games(data)


@pytest.mark.parametrize("text", ["{", "[]", '{"solvable": true}'])
def test_a_broken_game_is_named(data: Path, text: str):
    path = write(data, "wash-Fork/a")
    path.write_text(text)
    with pytest.raises(DataError, match=r"wash-Fork/a/game\.tw-pddl: no game of ALFWorld"):
        find_games(data)


@pytest.mark.parametrize("goal", ["{__import__('os')}", 'x"}, {"rhs": "{1 + 1}'])
def test_a_grammar_with_code_in_it_is_refused(data: Path, goal: str):
    write(data, "wash-Fork/a", goal=goal)
    with pytest.raises(DataError, match="its grammar is not the one of"):
        find_games(data)


def test_the_folder_has_to_be_given():
    with pytest.raises(UsageError, match="games come from a folder; give it by --data"):
        get("alfworld")


def test_the_prompt_names_every_function():
    assert "- take_from(object: str, receptacle: str) -> str: picks it up" in SYSTEM
    assert "You have 5 turns" in SYSTEM


@pytest.mark.skipif("FOREWORD_DATA" not in os.environ, reason="FOREWORD_DATA names no data")
def test_the_benchmark():
    found = get("alfworld", Path(os.environ["FOREWORD_DATA"], "mint_alfworld")).tasks
    assert Counter(game.split for game in found) == {"test": 100, "search": 16, "validation": 18}
    for split in ("test", "search", "validation"):
        assert len({game.category for game in found if game.split == split}) == 6
