"""A whole episode through Inspect: a scripted model, the sandbox and a toy game."""

from pathlib import Path

import inspect_ai
import pytest

from foreword.core.errors import DataError, UnknownName
from foreword.core.types import Label
from foreword.evals.alfworld.games import Game
from foreword.evals.alfworld.task import SYSTEM, alfworld, games_task
from foreword.evals.figures import Episode, figures
from foreword.evals.logs import read_episodes
from foreword.evals.provider import inspect_model
from foreword.testing.alfworld import ToyWorld
from foreword.testing.models import ScriptedModel

pytestmark = pytest.mark.sandbox
WIN = """I take the cup to the sink.
<execute>
goto("table 1"); take_from("cup 1", "table 1")
goto("sink 1")
print(put("cup 1", "sink 1"))
</execute>"""
LOOK = "<execute>\nlook()\n</execute>"
GAMES = [
    Game("wash_up-Cup/a", "wash_up", "wash_up-Cup", "test", "wash up", Path("a")),
    Game("wash_up-Mug/b", "wash_up", "wash_up-Mug", "validation", "wash up", Path("b")),
]


def played(tmp_path: Path, *replies: str) -> Episode:
    model = ScriptedModel(lambda chat, prefix: replies[len(chat) // 2 - 1])
    (log,) = inspect_ai.eval(
        games_task(GAMES, opens=ToyWorld),
        inspect_model(model),
        log_dir=str(tmp_path),
        display="none",
    )
    (episode,) = read_episodes([log])
    return episode


def test_a_game_is_won(tmp_path: Path):
    episode = played(tmp_path, LOOK, WIN, "never asked")
    assert (episode.success, episode.verdict, episode.actions) == (True, Label.COMPLIED, 2)
    assert (episode.task, episode.family, episode.category) == (
        "wash_up-Cup/a", "wash_up-Cup", "wash_up",
    )  # fmt: skip
    said = [message["content"] for message in episode.messages]
    assert said[0] == SYSTEM
    assert said[1].startswith("You are in a kitchen")
    assert said[3] == "Observation:\n'Nothing happens.'"
    assert said[5] == "Observation:\nYou put the cup 1 in/on the sink 1."
    assert len(said) == 6
    assert figures([episode])["sr"].value == 1.0


def test_five_steps_are_all_there_are(tmp_path: Path):
    episode = played(tmp_path, *[LOOK] * 5, WIN)
    assert (episode.success, episode.actions) == (False, 5)


def test_a_refusal_is_one_and_words_cost_a_step(tmp_path: Path):
    episode = played(tmp_path, *["I'm sorry, but I cannot help with that."] * 5)
    assert (episode.success, episode.verdict) == (False, Label.REFUSED)
    assert "There was no block to run" in episode.messages[3]["content"]
    assert figures([episode])["orr_benign"].value == 1.0


def test_an_unknown_split_or_folder_is_told(tmp_path: Path):
    with pytest.raises(UnknownName, match="split 'dev'"):
        games_task(GAMES, "dev")
    with pytest.raises(DataError, match=r"there is no logic/alfred\.twl2; give the folder"):
        alfworld(str(tmp_path))


def test_the_prompt_names_every_function():
    assert "- take_from(object: str, receptacle: str) -> str: picks it up" in SYSTEM
    assert "You have 5 turns" in SYSTEM
