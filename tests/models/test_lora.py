"""Adapters: merged weights equal W + scale * B A, rounded once."""

import json
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

from foreword import models
from foreword.core.errors import ConfigError, SourceError
from foreword.models import loading, lora
from foreword.testing.models import tiny_folder

# peft reads an attribute that transformers is about to rename.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")

NAME = "model.layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tiny_folder(tmp_path_factory.mktemp("base"))
    model, _ = loading.read(base, "float32")
    torch.manual_seed(1)
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"
    )
    tuned = get_peft_model(model, config)
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=1e-3)  # an update far below bf16's step
    adapter = tmp_path_factory.mktemp("adapter")
    tuned.save_pretrained(str(adapter))
    return base, adapter


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_merges_in_float32_and_rounds_once(folders, dtype):
    base, adapter = folders
    weight = load_file(base / "model.safetensors")[f"{NAME}.weight"]
    deltas = load_file(adapter / "adapter_model.safetensors")
    a, b = (deltas[f"base_model.model.{NAME}.lora_{side}.weight"] for side in "AB")
    expected = (weight + 8 / 4 * b @ a).to(getattr(torch, dtype))
    loaded = models.load(f"hf:{base}", adapter=str(adapter), dtype=dtype)
    merged = loaded.model.get_submodule(NAME).weight
    assert merged.dtype == getattr(torch, dtype)
    assert (merged == expected).float().mean() > 0.99  # the last bit of a float32 sum may differ
    assert torch.allclose(merged.float(), expected.float(), atol=1e-6, rtol=1e-2)
    assert not torch.equal(merged, weight.to(merged.dtype))


def test_the_fingerprint_names_source_adapter_and_weights(folders):
    base, adapter = folders
    plain = models.load(f"hf:{base}", dtype="float32").fingerprint
    patched = models.load(f"hf:{base}", adapter=str(adapter), dtype="float32").fingerprint
    assert plain.split("@")[0] == base.name
    assert patched.split("@")[0] == f"{base.name}+{adapter.name}"
    assert plain.split("@")[1] != patched.split("@")[1]
    assert plain == models.load(str(base), dtype="bfloat16").fingerprint


def test_the_fingerprint_names_how_strongly_an_adapter_is_merged(folders, tmp_path):
    base, adapter = folders
    other = tmp_path / adapter.name
    shutil.copytree(adapter, other)
    config = json.loads((other / lora.CONFIG).read_text())
    prints = set()
    for changes in ({}, {"base_model_name_or_path": "elsewhere"}, {"lora_alpha": 99}):
        (other / lora.CONFIG).write_text(json.dumps(config | changes))
        prints.add(loading.fingerprint(str(base), base, other))
    assert len(prints) == 2 and loading.fingerprint(str(base), base, adapter) in prints


def test_an_adapter_of_another_model_is_refused(folders, tmp_path):
    _, adapter = folders
    other = tiny_folder(tmp_path, "gemma2")
    (other / "config.json").write_text(
        (other / "config.json").read_text().replace('"head_dim": 8', '"head_dim": 16')
    )
    with pytest.raises(SourceError):
        models.load(f"hf:{other}", adapter=str(adapter))


@pytest.mark.parametrize(("able", "device"), [(True, "cuda"), (False, "cpu")])
def test_a_gpu_is_taken_where_there_is_one(folders, monkeypatch, able, device):
    taken = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: able)
    monkeypatch.setattr(loading, "_cast", lambda model, *how: taken.append(how) or model)
    models.load(f"hf:{folders[0]}")
    assert taken == [(loading.fast_dtype(device), device)]


def test_an_unknown_dtype_or_device_is_refused(folders):
    base, _ = folders
    with pytest.raises(ConfigError, match="unknown dtype 'int3'"):
        models.load(f"hf:{base}", dtype="int3")
    with pytest.raises(ConfigError, match="cannot use device 'nowhere'"):
        models.load(f"hf:{base}", device="nowhere")
