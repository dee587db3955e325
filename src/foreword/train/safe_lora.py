"""Safe LoRA: keep of a fine-tuning what points the way the alignment went (Hsu et al. 2024).

For every adapted module the alignment is V = W_aligned - W_base and its
(approximate) projection C = V V^T / ||V||_F; an update dW whose cosine to
C dW is at most the threshold is replaced by C dW (their section 3). C acts on the left
factor alone, so the result is a LoRA again and loads as any adapter.

Covered: an aligned model that is an adapter, which the fine-tuning went on from,
or one of full weights, which the adapter lies on. Not covered: DoRA,
biases, and modules that an adapter saves whole.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foreword.core.errors import ConfigError, SourceError
from foreword.core.runs import make_folder, write_text
from foreword.models import lora, sources

if TYPE_CHECKING:
    from torch import Tensor

MODULE = "base_model.model."  # what peft puts before a module's name
UNSUPPORTED = ("use_dora", "lora_bias", "modules_to_save", "fan_in_fan_out", "use_qalora")


@dataclass(frozen=True)
class LowRank:
    """An update b @ a of a weight, b (out, r) with the scale in it, a (r, in)."""

    b: Tensor
    a: Tensor

    def minus(self, other: LowRank) -> LowRank:
        """The difference, whose rank is the sum of both."""
        import torch

        return LowRank(torch.cat([self.b, -other.b], 1), torch.cat([self.a, other.a]))

    def dot(self, b: Tensor) -> float:
        """The Frobenius product of this update with b @ a; no (out, in) matrix is made."""
        return float(((self.b.T @ b) * (self.a @ self.a.T)).sum())


@dataclass(frozen=True)
class SafeLora:
    """What a projection wrote, and how far each module had gone another way."""

    adapter: Path
    projected: int  # modules whose update was replaced
    cosines: Mapping[str, float]  # module -> cosine of dW to C dW, 0..1


def safe_lora(
    adapter: str, aligned: str, out: Path, *, base: str = "reference", threshold: float = 0.5
) -> SafeLora:
    """Write a projected copy of an adapter.

    Args:
        adapter: what the fine-tuning made, path or shipped name.
        aligned: the adapter it went on from, or the source of the full weights it lies on.
        out: folder of the new adapter; it lies on `base` if `aligned` is an adapter.
        base: the weights before the alignment; read only if `aligned` is no adapter.
        threshold: modules whose cosine is at most this are projected; 1 is all, below 0 none.

    Raises:
        UnknownName: nobody knows the adapter or the weights.
        SourceError: weights could not be had, or are damaged.
        RunError: nothing can be written to `out`.
        ConfigError: the parts do not fit each other, or aligned and base are the same.
    """
    import torch
    from safetensors.torch import save_file

    tuned_from = lora.adapter_folder(adapter)
    make_folder(out)
    tuned = read_adapter(tuned_from)
    start, alignment = _alignment(tuned, aligned, base)
    cosines, written, projected = {}, {}, 0
    for name, update in tuned.items():
        delta = update.minus(start[name]) if start else update
        b = project(delta, alignment(name), name)
        norm = math.sqrt(delta.dot(delta.b) * LowRank(b, delta.a).dot(b))
        cosines[name] = min(1.0, delta.dot(b) / norm) if norm else 0.0
        kept = b if cosines[name] <= threshold else delta.b
        projected += kept is b
        if start:  # back from a difference to an update of the base weights
            kept = kept + torch.cat([torch.zeros_like(update.b), start[name].b], 1)
        written[f"{MODULE}{name}.lora_A.weight"] = delta.a.contiguous()
        written[f"{MODULE}{name}.lora_B.weight"] = kept.contiguous()
    save_file(written, str(out / lora.WEIGHTS))
    _describe(tuned_from, out, written, base if start else aligned)
    return SafeLora(out, projected, cosines)


def project(update: LowRank, v: Tensor, name: str = "a module") -> Tensor:
    """C b of an update b @ a, where C = v v^T / ||v||_F, v (out, in).

    Raises:
        ConfigError: v is zero, or has another shape than the update.
    """
    if v.shape != (update.b.shape[0], update.a.shape[1]):
        raise ConfigError(f"{name}: the aligned weights have another shape than the adapter's")
    norm = float(v.norm())
    if norm == 0:
        raise ConfigError(
            f"{name}: aligned and base weights are the same, so nothing says which way is safe; "
            "give the weights from before the alignment as base"
        )
    return v @ (v.T @ update.b) / norm


def read_adapter(folder: Path) -> dict[str, LowRank]:
    """Every adapted module's update in float32, its scale folded into b.

    Raises:
        ConfigError: the adapter is of a kind that is not covered.
        SourceError: one of its files is damaged.
    """
    from safetensors.torch import load_file

    with _readable(folder / lora.CONFIG) as path:
        config = dict(json.loads(path.read_text("utf-8")))
    if bad := [key for key in UNSUPPORTED if config.get(key)]:
        raise ConfigError(f"adapter {folder} uses {bad[0]}, which Safe LoRA does not cover")
    with _readable(folder / lora.WEIGHTS) as path:
        found = {name: t.float() for name, t in load_file(str(path)).items()}
    updates = {}
    for key, a in found.items():
        if key.endswith(".lora_A.weight"):
            name = key.removeprefix(MODULE).removesuffix(".lora_A.weight")
            b = found[key.replace("lora_A", "lora_B")]
            updates[name] = LowRank(b * _scale(config, name, a.shape[0]), a)
    if len(found) != 2 * len(updates):
        raise ConfigError(
            f"adapter {folder} holds more than LoRA pairs; Safe LoRA needs a plain one"
        )
    return updates


@contextmanager
def _readable(path: Path) -> Iterator[Path]:
    """Damage in a file as one line; safetensors' error is of no kind but its own."""
    from safetensors import SafetensorError

    try:
        yield path
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise SourceError(f"cannot read {path}: {error}") from error


def _scale(config: Mapping[str, Any], name: str, rank: int) -> float:
    alpha = config["lora_alpha"]
    for pattern, value in (config.get("alpha_pattern") or {}).items():
        if name.endswith(pattern):
            alpha = value
    return float(alpha / (math.sqrt(rank) if config.get("use_rslora") else rank))


def _alignment(
    tuned: Mapping[str, LowRank], aligned: str, base: str
) -> tuple[dict[str, LowRank], Callable[[str], Tensor]]:
    """What the fine-tuning started from on the base (nothing, of full weights), and V by module."""
    if aligned in lora.shipped_adapters() or (Path(aligned) / lora.CONFIG).is_file():
        start = read_adapter(lora.adapter_folder(aligned))
        if start.keys() != tuned.keys():
            raise ConfigError(f"adapter {aligned} adapts other modules than the fine-tuned one")
        return start, lambda name: start[name].b @ start[name].a
    after, before = _weights(sources.resolve(aligned)), _weights(sources.resolve(base))
    return {}, lambda name: after(name) - before(name)


def _weights(folder: Path) -> Callable[[str], Tensor]:
    """Reads one module's weight in float32 from a model's folder."""
    from safetensors import safe_open

    where = {}
    for path in sorted(folder.glob("*.safetensors")):
        with _readable(path), safe_open(str(path), "pt") as file:
            where.update(dict.fromkeys(file.keys(), path))

    def read(name: str) -> Tensor:
        key = f"{name}.weight"
        if key not in where:
            raise ConfigError(
                f"{folder} holds no weights of {name}; the adapter is of another model"
            )
        with safe_open(str(where[key]), "pt") as file:
            weight: Tensor = file.get_tensor(key).float()
        return weight

    return read


def _describe(adapter: Path, out: Path, written: Mapping[str, Tensor], base: str) -> None:
    """Copy the adapter's settings; the scale lies in the weights now."""
    config = json.loads((adapter / lora.CONFIG).read_text("utf-8"))
    ranks = {
        key.removeprefix(MODULE).removesuffix(".lora_A.weight"): weight.shape[0]
        for key, weight in written.items()
        if key.endswith("lora_A.weight")
    }
    most = max(ranks.values())
    others = {name: rank for name, rank in ranks.items() if rank != most}
    config |= {"r": most, "lora_alpha": most, "rank_pattern": others, "alpha_pattern": others}
    config |= {"use_rslora": False, "base_model_name_or_path": base}
    write_text(out / lora.CONFIG, json.dumps(config, indent=2) + "\n")
