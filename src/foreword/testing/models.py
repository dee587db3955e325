"""Models for tests: one that follows a script, and tiny real ones with random weights.

The tiny ones are genuine transformers models and a genuine byte-level tokenizer,
made in code in a moment, so every path of the engine runs on them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foreword.core.types import Chat, Reply

if TYPE_CHECKING:
    from foreword.models.engine import LocalModel

Script = Callable[[Chat, str], str]  # (chat, prefix) -> continuation

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
WORDS = "I cannot help with that. Sure, I will do it. bash\necho safe file user system assistant"


class ScriptedModel:
    """A model whose replies come from a function; it keeps what it was asked in `calls`."""

    def __init__(self, script: Script, fingerprint: str = "scripted@00000000") -> None:
        self.script = script
        self.calls: list[tuple[Chat, str]] = []
        self._fingerprint = fingerprint

    @property
    def fingerprint(self) -> str:
        """The name given at construction."""
        return self._fingerprint

    def generate(
        self,
        chats: Sequence[Chat],
        *,
        prefix: str = "",
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        stop: str = "",
        progress: Callable[[int], None] | None = None,
    ) -> list[Reply]:
        """Ask the script for every chat; a token is a word here."""
        replies = []
        for chat in chats:
            self.calls.append((chat, prefix))
            words = self.script(chat, prefix).split(" ")
            text = " ".join(words[:max_new_tokens])
            stopped = len(words) <= max_new_tokens
            if stop and stop in text:
                text, stopped = text[: text.index(stop) + len(stop)], True
            replies.append(Reply(prefix, text, min(len(words), max_new_tokens), stopped))
            if progress:
                progress(len(replies))
        return replies


def tiny_tokenizer(template: str | None = CHATML) -> Any:
    """A byte-level BPE tokenizer of about 300 tokens, with ChatML's special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator([WORDS] * 8, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, **{"eos_token": SPECIAL[2], "pad_token": SPECIAL[2]}
    )
    tokenizer.chat_template = template
    return tokenizer


def tiny_config(architecture: str) -> Any:
    """The config of a two-layer "llama", "qwen2" or "gemma2" with grouped key heads."""
    from transformers import AutoConfig

    return AutoConfig.for_model(
        architecture,
        vocab_size=304,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=512,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=2,
        initializer_range=0.3,  # large, so that random logits differ clearly
    )


def tiny_folder(folder: Path, architecture: str = "llama", seed: int = 0) -> Path:
    """Save a tiny random model and its tokenizer as a folder that `models.load` reads."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(tiny_config(architecture))
    model.save_pretrained(str(folder))
    tiny_tokenizer().save_pretrained(str(folder))
    return folder


def tiny_model(architecture: str = "llama", dtype: str = "float32", seed: int = 0) -> LocalModel:
    """A tiny random `LocalModel`, without a detour over the disk."""
    import torch
    from transformers import AutoModelForCausalLM

    from foreword.models.engine import LocalModel

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(tiny_config(architecture))
    name = hashlib.sha256(f"{architecture}{seed}".encode()).hexdigest()[:8]
    model = model.to(getattr(torch, dtype))
    return LocalModel(model, tiny_tokenizer(), fingerprint=f"tiny-{architecture}@{name}")
