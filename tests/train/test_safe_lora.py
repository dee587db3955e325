"""Safe LoRA's mathematics on small random weights, and its adapters through peft."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from foreword import models
from foreword.cli.commands import app
from foreword.core.errors import ConfigError, RunError, SourceError, UnknownName
from foreword.models import loading
from foreword.testing.models import tiny_folder
from foreword.train.safe_lora import LowRank, project, read_adapter, safe_lora

# peft reads an attribute that transformers is about to rename.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")

NAME = "model.layers.0.self_attn.q_proj"


def adapter(base: Path, folder: Path, seed: int, **more) -> Path:
    model, _ = loading.read(base, "float32")
    torch.manual_seed(seed)
    settings = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"]} | more
    tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    tuned.save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def aligned(base: Path, tmp_path_factory) -> Path:
    return adapter(base, tmp_path_factory.mktemp("aligned"), 1)


@pytest.fixture(scope="module")
def tuned(base: Path, tmp_path_factory) -> Path:
    return adapter(base, tmp_path_factory.mktemp("tuned"), 2)


def random_update(out: int = 12, inner: int = 10, rank: int = 3, seed: int = 0) -> LowRank:
    torch.manual_seed(seed)
    return LowRank(torch.randn(out, rank), torch.randn(rank, inner))


def full(folder: Path, name: str = NAME) -> torch.Tensor:
    update = read_adapter(folder)[name]
    return update.b @ update.a


def test_the_projection_is_the_papers():
    update, v = random_update(), torch.randn(12, 10)
    c = v @ v.T / torch.linalg.matrix_norm(v)
    assert torch.allclose(project(update, v) @ update.a, c @ (update.b @ update.a), atol=1e-4)


def test_it_is_idempotent_up_to_scale_where_the_alignment_has_one_direction():
    update, v = random_update(), torch.outer(torch.randn(12), torch.randn(10))
    once = project(update, v)
    twice = project(LowRank(once, update.a), v)
    assert torch.allclose(twice, v.norm() * once, rtol=1e-4, atol=1e-4)


def test_it_leaves_the_aligned_directions_and_removes_the_others():
    v = torch.zeros(12, 10)
    v[:4] = torch.randn(4, 10)
    update = random_update()
    assert not project(update, v)[4:].any()
    assert project(update, v)[:4].abs().min() > 0


def test_products_need_no_full_matrix():
    update, b = random_update(), torch.randn(12, 3)
    expected = ((update.b @ update.a) * (b @ update.a)).sum()
    assert update.dot(b) == pytest.approx(float(expected), rel=1e-4)


def test_no_alignment_is_an_error():
    with pytest.raises(ConfigError, match=r"q_proj: aligned and base weights are the same"):
        project(random_update(), torch.zeros(12, 10), "q_proj")
    with pytest.raises(ConfigError, match="another shape"):
        project(random_update(), torch.zeros(10, 12))


def test_a_threshold_of_one_projects_all_and_below_zero_none(tuned, aligned, tmp_path: Path):
    every = safe_lora(str(tuned), str(aligned), tmp_path / "all", threshold=1)
    none = safe_lora(str(tuned), str(aligned), tmp_path / "none", threshold=-1)
    assert every.projected == len(every.cosines) == len(read_adapter(tuned))
    assert none.projected == 0
    assert none.cosines == every.cosines
    assert all(0 <= cosine <= 1 for cosine in every.cosines.values())
    assert torch.allclose(full(none.adapter), full(tuned), atol=1e-5)
    v, delta = full(aligned), full(tuned) - full(aligned)
    safe = v @ (v.T @ delta) / v.norm()
    assert torch.allclose(full(every.adapter), v + safe, atol=1e-5)
    cosine = torch.nn.functional.cosine_similarity(delta.flatten(), safe.flatten(), dim=0)
    assert every.cosines[NAME] == pytest.approx(float(cosine), abs=1e-4)


def test_a_threshold_between_takes_the_modules_below_it(tuned, aligned, tmp_path: Path):
    cosines = sorted(safe_lora(str(tuned), str(aligned), tmp_path / "a").cosines.values())
    middle = cosines[len(cosines) // 2]
    made = safe_lora(str(tuned), str(aligned), tmp_path / "b", threshold=middle)
    assert made.projected == len(cosines) // 2 + 1


def test_the_result_loads_as_any_adapter(base, tuned, aligned, tmp_path: Path):
    made = safe_lora(str(tuned), str(aligned), tmp_path / "out", base=f"hf:{base}", threshold=1)
    weight = load_file(base / "model.safetensors")[f"{NAME}.weight"]
    loaded = models.load(f"hf:{base}", adapter=str(made.adapter), dtype="float32").model
    merged = loaded.get_submodule(NAME).weight
    assert torch.allclose(merged, weight + full(made.adapter), atol=1e-5)
    assert json.loads((made.adapter / "adapter_config.json").read_text())[
        "base_model_name_or_path"
    ] == f"hf:{base}"  # fmt: skip


def test_aligned_weights_may_be_a_model(base, tuned, tmp_path: Path):
    other = tiny_folder(tmp_path / "other", seed=5)
    made = safe_lora(str(tuned), f"hf:{other}", tmp_path / "out", base=f"hf:{base}", threshold=1)
    after, before = (load_file(f / "model.safetensors")[f"{NAME}.weight"] for f in (other, base))
    v, delta = after - before, full(tuned)
    assert torch.allclose(full(made.adapter), v @ (v.T @ delta) / v.norm(), atol=1e-5)
    with pytest.raises(ConfigError, match="aligned and base weights are the same"):
        safe_lora(str(tuned), f"hf:{base}", tmp_path / "same", base=f"hf:{base}")


def test_scales_are_folded_in(base, tmp_path: Path):
    plain = adapter(base, tmp_path / "plain", 3)
    rank = adapter(base, tmp_path / "rank", 3, use_rslora=True)
    one = adapter(base, tmp_path / "one", 3, alpha_pattern={"q_proj": 32})
    assert torch.allclose(2 * full(plain), full(rank), atol=1e-6)  # 8 / 4 against 8 / 2
    assert torch.allclose(4 * full(plain), full(one), atol=1e-6)
    down = NAME.replace("self_attn.q_proj", "mlp.down_proj")
    assert torch.equal(full(plain, down), full(one, down))


def test_what_does_not_fit_is_told(base, tuned, tmp_path: Path):
    other = adapter(base, tmp_path / "other", 3, target_modules=["v_proj"])
    with pytest.raises(ConfigError, match="adapts other modules"):
        safe_lora(str(tuned), str(other), tmp_path / "out")
    dora = adapter(base, tmp_path / "dora", 3, use_dora=True)
    with pytest.raises(ConfigError, match="uses use_dora, which Safe LoRA does not cover"):
        safe_lora(str(dora), str(tuned), tmp_path / "out")
    with pytest.raises(UnknownName, match="adapter"):
        safe_lora("nobody", str(tuned), tmp_path / "out")
    weights = load_file(tuned / "adapter_model.safetensors")
    save_file(weights | {"more": torch.zeros(1)}, str(other / "adapter_model.safetensors"))
    with pytest.raises(ConfigError, match="more than LoRA pairs"):
        read_adapter(other)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("adapter_config.json", "{"),
        ("adapter_config.json", "[1]"),
        ("adapter_model.safetensors", "no tensors"),
    ],
)
def test_a_damaged_adapter_is_told(tuned, aligned, tmp_path: Path, name, content):
    damaged = shutil.copytree(tuned, tmp_path / "damaged")
    (damaged / name).write_text(content)
    for pair in (str(damaged), str(aligned)), (str(tuned), str(damaged)):
        with pytest.raises(SourceError, match=f"cannot read .*{name}"):
            safe_lora(*pair, tmp_path / "out")


def test_a_damaged_model_is_told(base, tuned, tmp_path: Path):
    damaged = shutil.copytree(base, tmp_path / "damaged")
    (damaged / "model.safetensors").write_text("no tensors")
    with pytest.raises(SourceError, match=r"cannot read .*model\.safetensors"):
        safe_lora(str(tuned), f"hf:{damaged}", tmp_path / "out", base=f"hf:{base}")


def test_an_unwritable_folder_is_told_before_anything_is_read(tuned, tmp_path: Path):
    damaged = shutil.copytree(tuned, tmp_path / "damaged")
    (damaged / "adapter_config.json").write_text("{")
    (tmp_path / "out").write_text("a file")
    with pytest.raises(RunError, match=r"cannot use .*out"):
        safe_lora(str(damaged), "aligned", tmp_path / "out")


def test_a_model_without_the_modules_is_told(base, tuned, tmp_path: Path):
    other = tiny_folder(tmp_path / "other", seed=5)
    weights = load_file(other / "model.safetensors")
    del weights[f"{NAME}.weight"]
    save_file(weights, str(other / "model.safetensors"))
    with pytest.raises(ConfigError, match=f"holds no weights of {NAME}"):
        safe_lora(str(tuned), f"hf:{other}", tmp_path / "out", base=f"hf:{base}")


def test_the_command(tuned, aligned, tmp_path: Path):
    arguments = ["safe-lora", str(tuned), "--aligned", str(aligned), "--threshold", "1"]
    said = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "a"), "--json"])
    assert said.exit_code == 0, said.output
    result = json.loads(said.output)
    assert result["projected"] == result["modules"] == len(result["cosines"])
    said = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "b")])
    assert f"{result['modules']} of {result['modules']} modules projected" in said.output
