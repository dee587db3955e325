import re
from pathlib import Path

import pytest

from foreword.core.errors import ConfigError, UnknownName
from foreword.train import load_recipe
from foreword.train.recipe import Lora, Recipe, shipped_recipes


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_shipped_recipes_are_valid_and_named():
    assert shipped_recipes() == ["reference/agent", "reference/align"]
    for name in shipped_recipes():
        recipe = load_recipe(name)
        assert recipe.name == recipe.data == name
    assert load_recipe("reference/agent").init_adapter == "aligned"


def test_every_field_says_what_it_is_and_so_does_the_page():
    page = (Path(__file__).parents[2] / "docs/train.md").read_text("utf-8")
    told = re.findall(r"^\| `([\w.]+)` \| .*? \| (.+) \|$", page, re.MULTILINE)
    fields = {name: field for name, field in Recipe.model_fields.items() if name != "lora"}
    fields |= {f"lora.{name}": field for name, field in Lora.model_fields.items()}
    assert {name: field.description for name, field in fields.items()} == dict(told)


def test_paths_are_relative_to_the_recipe(tmp_path: Path):
    (tmp_path / "start").mkdir()
    (tmp_path / "base.gguf").touch()
    path = write(
        tmp_path,
        "model: base.gguf\ndata: [a.jsonl]\nsteps: 1\ninit_adapter: start\noutput: out\n",
    )
    recipe = load_recipe(path)
    assert recipe.model == str(tmp_path / "base.gguf")
    assert recipe.data == [str(tmp_path / "a.jsonl")]
    assert recipe.init_adapter == str(tmp_path / "start")
    assert recipe.output == tmp_path / "out"
    assert recipe.name == str(path)


def test_a_shipped_adapter_name_is_no_path(tmp_path: Path):
    path = write(tmp_path, "data: reference/agent\nsteps: 1\ninit_adapter: aligned\n")
    assert load_recipe(path).init_adapter == "aligned"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data: [a]\nsteps: 1\nlearning_rate: 1\n", "unknown key 'learning_rate'; known: model"),
        ("data: [a]\nsteps: 1\nlora: {rank: 4}\n", r"unknown key 'lora.rank'; known: r, alpha"),
        ("data: [a]\n", "give either steps or epochs"),
        ("data: [a]\nsteps: 1\nepochs: 1\n", "give either steps or epochs"),
        ("data: [a]\nsteps: 1\nlr: fast\n", "key 'lr': "),
        ("steps: 1\n", "key 'data': "),
        ("- a\n", "a recipe is a mapping"),
        ("a: [\n", "no readable YAML"),
        ("", "a recipe is a mapping"),
    ],
)
def test_a_broken_recipe_is_one_line_with_file_and_key(tmp_path: Path, text: str, said: str):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=said) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_lists_the_known_ones():
    with pytest.raises(UnknownName, match="reference/align"):
        load_recipe("reference/aligned")
