"""The real llama.cpp server on the real reference weights, for tests and benchmarks.

`write_gguf` turns a loaded model of the Llama family, adapter and all, into a
GGUF file; `llama_server` serves such a file in a process of its own (the wheel
`xllamacpp` holds the server, compiled).
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import httpx

from foreword.core.errors import ModelError

if TYPE_CHECKING:
    import torch

    from foreword.models.engine import LocalModel

START_S = 60.0
_SERVER = """
import sys, threading, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.port, params.n_parallel = sys.argv[1], int(sys.argv[2]), 4
params.n_ctx, params.cpuparams.n_threads, params.verbosity = 8192, 2, 0
server = xllamacpp.Server(params)
threading.Event().wait()
"""


def write_gguf(model: LocalModel, path: Path) -> None:
    """Write weights (bfloat16), tokenizer and chat template as one GGUF file.

    Raises:
        ValueError: the model is not of the Llama family.
    """
    import torch
    from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType

    config = model.model.config
    if config.model_type != "llama":
        raise ValueError(f"{config.model_type} models are not written here")
    writer = GGUFWriter(path, "llama")
    writer.add_name(model.fingerprint)
    writer.add_file_type(LlamaFileType.MOSTLY_BF16)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)

    tokenizer = model.tokenizer
    backend = tokenizer.backend_tokenizer
    special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    merges = json.loads(backend.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([backend.id_to_token(i) for i in range(config.vocab_size)])
    writer.add_token_types(
        [TokenType.CONTROL if i in special else TokenType.NORMAL for i in range(config.vocab_size)]
    )
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(tokenizer.chat_template)

    for name, tensor in model.model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        if tensor.ndim == 1:
            writer.add_tensor(_named(name), tensor.float().numpy())
        else:
            raw = _rotated(name, tensor, config).to(torch.bfloat16).contiguous()
            bf16 = GGMLQuantizationType.BF16
            writer.add_tensor(_named(name), raw.view(torch.uint8).numpy(), raw_dtype=bf16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _rotated(name: str, weight: torch.Tensor, config: Any) -> torch.Tensor:
    """Rows of queries and keys in the order in which llama.cpp rotates them: pairs side by side."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    count = heads.get(name.split(".")[-2])
    if count is None:
        return weight
    rows, columns = weight.shape
    pairs = weight.view(count, 2, rows // count // 2, columns)
    return pairs.transpose(1, 2).reshape(rows, columns)


def _named(name: str) -> str:
    """llama.cpp's name of a tensor."""
    outer = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }
    if name in outer:
        return outer[name]
    inner = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    _, _, block, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{block}.{inner[part]}.weight"


@contextmanager
def llama_server(gguf: Path) -> Iterator[str]:
    """Serve a GGUF file on a free port of loopback; gives the /v1 address.

    Raises:
        ModelError: it does not come up within START_S.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(gguf), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        limit = monotonic() + START_S
        while not _answers(url):
            if process.poll() is not None or monotonic() > limit:
                raise ModelError(f"llama.cpp does not serve {gguf}")
            sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/models", timeout=1).is_success
    except httpx.HTTPError:
        return False
