"""The only place where a chat template is rendered.

A prefix never goes through the template: it is tokenised on its own and
appended to the ids of the rendered prompt. So the ids of the prompt are the
same for every prefix (its keys and values can be shared), and every server that
continues an assistant turn does it the same way. Where the prompt ends a line,
as in ChatML, this equals tokenising both together.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from foreword.core.errors import ConfigError
from foreword.core.types import Chat

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_CONTROL_TOKEN = re.compile(
    r"<\|[^|<>]{1,40}\|>"  # ChatML, Llama 3, Phi
    r"|<｜[^｜<>]{1,40}｜>"  # DeepSeek
    r"|</?s>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>"
    r"|\[/?INST\]|<</?SYS>>"
)


def render(tokenizer: PreTrainedTokenizerBase, chat: Chat) -> str:
    """The chat as text that ends where the assistant's next turn begins.

    Raises:
        ConfigError: There is no template, it adds no generation prompt, or it refuses the chat.
    """
    text = _apply(tokenizer, chat, generation=True)
    if text == render_whole(tokenizer, chat):
        raise ConfigError(
            "the chat template adds no generation prompt; "
            "use a model whose template handles add_generation_prompt"
        )
    return text


def render_whole(tokenizer: PreTrainedTokenizerBase, chat: Chat) -> str:
    """The chat as text that ends with its last turn, as training data does.

    Raises:
        ConfigError: There is no template, or it refuses the chat.
    """
    return _apply(tokenizer, chat, generation=False)


def prompt_ids(tokenizer: PreTrainedTokenizerBase, chat: Chat) -> list[int]:
    """The token ids of `render`."""
    return list(tokenizer(render(tokenizer, chat), add_special_tokens=False)["input_ids"])


def prefix_ids(tokenizer: PreTrainedTokenizerBase, prefix: str) -> list[int]:
    """The token ids of a prefix, tokenised on its own."""
    return list(tokenizer(prefix, add_special_tokens=False)["input_ids"]) if prefix else []


def stop_ids(tokenizer: PreTrainedTokenizerBase, generation_config: Any) -> frozenset[int]:
    """The token ids that end an assistant turn."""
    ends = getattr(generation_config, "eos_token_id", None)
    ids = {ends} if isinstance(ends, int) else set(ends or ())
    ids.add(tokenizer.eos_token_id)
    for name in ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>"):
        if name in tokenizer.get_added_vocab():
            ids.add(tokenizer.convert_tokens_to_ids(name))
    return frozenset(i for i in ids if i is not None)


def continuation(tokenizer: PreTrainedTokenizerBase, prefix: list[int], new: list[int]) -> str:
    """The text that `new` adds behind `prefix` (ids; characters may span tokens)."""
    before, both = _decode(tokenizer, prefix), _decode(tokenizer, prefix + new)
    return both[len(before) :] if both.startswith(before) else _decode(tokenizer, new)


def control_token(text: str) -> str | None:
    """The first token of a chat template in `text`: with it, words could end their own turn."""
    found = _CONTROL_TOKEN.search(text)
    return found.group() if found else None


def _decode(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    text = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return str(text)


def _apply(tokenizer: PreTrainedTokenizerBase, chat: Chat, *, generation: bool) -> str:
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        raise ConfigError("the tokenizer has no chat template; use a chat model")
    messages = [dict(message) for message in chat]
    try:
        return str(
            tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=generation
            )
        )
    except TemplateError as error:
        raise ConfigError(f"the chat template refuses this chat: {error}") from error
