import json
import shutil
from pathlib import Path

import pytest

from foreword import train
from foreword.core.errors import ConfigError, ForewordWarning, UnknownName
from foreword.testing.models import tiny_folder
from foreword.train import trainer
from foreword.train.recipe import Recipe


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("base"))


@pytest.fixture(autouse=True)
def float32(monkeypatch):
    monkeypatch.setattr(trainer.loading, "fast_dtype", lambda device: "float32")


@pytest.fixture
def recipe(base: Path, tmp_path: Path) -> Recipe:
    rows = [
        {"prompt": f"Make file {i}.", "completion": f"touch {i}" if i % 2 else "I cannot."}
        for i in range(12)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Recipe(
        model=f"hf:{base}", data=[str(tmp_path / "a.jsonl")], steps=6, batch=2, lr=1e-2,
        lora={"r": 4, "alpha": 8}, output=tmp_path / "out",
    )  # fmt: skip


def weights(folder: Path):
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(bool((a[key] == b[key]).all()) for key in a)


def test_training_writes_a_small_adapter_with_a_card(recipe: Recipe, base: Path):
    steps = []
    result = train.run(recipe, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(i, 6) for i in range(1, 7)]
    assert (result.adapter, result.steps, result.conversations) == (recipe.output, 6, 12)
    assert result.tokens_per_s > 0
    assert 0 < result.loss < 10
    assert sorted(path.name for path in recipe.output.iterdir()) == [
        "README.md", "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip
    assert {str(w.dtype) for w in weights(recipe.output).values()} == {"torch.float16"}
    card = (recipe.output / "README.md").read_text()
    assert "12 conversations" in card
    assert "a.jsonl" in card
    assert str(recipe.output.parent) not in card


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft's call
def test_the_adapter_loads_and_lowers_the_loss(recipe: Recipe, base: Path):
    from foreword import models

    longer = recipe.model_copy(update={"steps": 60})
    trained = train.run(longer)
    start = train.run(recipe.model_copy(update={"steps": 1}), out=recipe.output.parent / "one")
    assert trained.loss < 0.7 * start.loss
    merged = models.load(f"hf:{base}", adapter=str(trained.adapter), dtype="float32")
    (reply,) = merged.generate([[{"role": "user", "content": "Make file 3."}]], max_new_tokens=8)
    assert reply.continuation.startswith(("touch", "I cannot"))


def test_the_seed_decides(recipe: Recipe, tmp_path: Path):
    train.run(recipe, out=tmp_path / "a")
    train.run(recipe, out=tmp_path / "b")
    train.run(recipe.model_copy(update={"seed": 1}), out=tmp_path / "c")
    assert same(tmp_path / "a", tmp_path / "b")
    assert not same(tmp_path / "a", tmp_path / "c")


def test_an_interrupted_training_goes_on_and_ends_the_same(
    recipe: Recipe, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(trainer, "SAVE_EVERY", 2)

    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.run(recipe, out=tmp_path / "a", progress=interrupt)
    assert not (tmp_path / "a" / "adapter_model.safetensors").exists()
    steps = []
    train.run(recipe, out=tmp_path / "a", progress=lambda done, total: steps.append(done))
    assert steps == [5, 6]
    train.run(recipe, out=tmp_path / "b")
    assert same(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("state", [None, '{"epoch": 0.6, "global'])
def test_a_checkpoint_that_was_cut_off_is_passed_over(recipe: Recipe, monkeypatch, state):
    monkeypatch.setattr(trainer, "SAVE_EVERY", 2)

    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.run(recipe, progress=interrupt)
    (last,) = (recipe.output / trainer.CHECKPOINTS).glob("checkpoint-*")
    killed = shutil.copytree(last, last.with_name("checkpoint-6")) / "trainer_state.json"
    killed.unlink()
    if state:
        killed.write_text(state)
    steps = []
    train.run(recipe, progress=lambda done, total: steps.append(done))
    assert (last.name, steps) == ("checkpoint-4", [5, 6])


def test_another_recipe_does_not_go_on_from_these_checkpoints(
    recipe: Recipe, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(trainer, "SAVE_EVERY", 2)

    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.run(recipe, out=tmp_path / "a", progress=interrupt)
    steps = []
    other = recipe.model_copy(update={"lr": 2e-2})
    train.run(other, out=tmp_path / "a", progress=lambda done, total: steps.append(done))
    assert steps[0] == 1


def test_an_adapter_that_was_trained_anew_is_started_from_anew(
    recipe: Recipe, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(trainer, "SAVE_EVERY", 2)
    train.run(recipe, out=tmp_path / "first")
    further = recipe.model_copy(update={"init_adapter": str(tmp_path / "first")})

    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.run(further, out=tmp_path / "a", progress=interrupt)
    train.run(recipe.model_copy(update={"steps": 1}), out=tmp_path / "first")
    steps = []
    train.run(further, out=tmp_path / "a", progress=lambda done, total: steps.append(done))
    assert steps[0] == 1


def test_training_continues_from_an_adapter(recipe: Recipe, tmp_path: Path):
    train.run(recipe, out=tmp_path / "first")
    still = recipe.model_copy(
        update={"init_adapter": str(tmp_path / "first"), "lr": 1e-12, "steps": 1}
    )
    train.run(still, out=tmp_path / "second")
    assert same(tmp_path / "first", tmp_path / "second")
    train.run(still.model_copy(update={"lr": 1e-2, "steps": 3}), out=tmp_path / "third")
    assert not same(tmp_path / "first", tmp_path / "third")


def test_epochs_count_passes_over_the_data(recipe: Recipe):
    assert train.run(recipe.model_copy(update={"steps": None, "epochs": 2.0})).steps == 12


def test_what_does_not_fit_is_said(recipe: Recipe, base: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="unknown builder 'reference/x'"):
        train.run(recipe.model_copy(update={"data": "reference/x"}))
    with pytest.raises(UnknownName, match="adapter"):
        train.run(recipe.model_copy(update={"init_adapter": "nobody"}))
    with pytest.raises(ConfigError, match="raise max_length"):
        train.run(recipe.model_copy(update={"max_length": 8}))
    wrong = recipe.lora.model_copy(update={"targets": ["nowhere"]})
    with pytest.raises(ConfigError, match="does not fit the model"):
        train.run(recipe.model_copy(update={"lora": wrong}))


def test_conversations_beyond_the_length_are_counted(base: Path):
    from foreword.models import loading

    _, tokenizer = loading.read(base, dtype="float32")
    short = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    long = [{"role": "user", "content": "a" * 100}, {"role": "assistant", "content": "b"}]
    with pytest.warns(ForewordWarning, match="1 of 2 examples are left out"):
        assert len(trainer.tokenised(tokenizer, [short, long], 60)) == 1


def test_conversations_are_counted_not_their_examples(recipe: Recipe, monkeypatch):
    user, answer = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    long = [{"role": "user", "content": "a" * 900}, answer]
    every = trainer.tokens.examples

    def of_each_turn(tokenizer, chat):  # as under a template that rewrites earlier turns
        for at in range(2, len(chat) + 1, 2):
            yield from every(tokenizer, chat[at - 2 : at])

    monkeypatch.setattr(trainer.tokens, "examples", of_each_turn)
    chats = [[user, answer, user, answer], [user, answer], long]
    short = recipe.model_copy(update={"steps": 1, "max_length": 500})
    with pytest.warns(ForewordWarning, match="1 of 4 examples are left out"):
        assert trainer.train(short, conversations=chats).conversations == 3


def test_refusals_join_the_data_a_recipe_names(recipe: Recipe):
    plain = trainer.load_data(recipe)
    mixed = trainer.load_data(recipe.model_copy(update={"refusals": 0.25}))
    assert (len(plain), len(mixed)) == (12, 16)
    assert all(chat in mixed for chat in plain)
