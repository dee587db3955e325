import pytest

from foreword.core.errors import ConfigError
from foreword.models import chat
from foreword.testing.models import tiny_tokenizer

CHAT = [{"role": "user", "content": "do it"}]


def test_renders_up_to_the_assistants_turn():
    text = chat.render(tiny_tokenizer(), CHAT)
    assert text == "<|im_start|>user\ndo it<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("prefix", ["I", "Sure, I will", "As a safe agent, I", "```bash"])
def test_a_prefix_behind_a_line_end_tokenises_as_if_joined(prefix):
    tokenizer = tiny_tokenizer()
    joined = tokenizer(chat.render(tokenizer, CHAT) + prefix, add_special_tokens=False)["input_ids"]
    assert chat.prompt_ids(tokenizer, CHAT) + chat.prefix_ids(tokenizer, prefix) == joined


@pytest.mark.parametrize(
    "template",
    [None, "{% for m in messages %}{{ m['content'] }}{% endfor %}", "{{ raise_exception('no') }}"],
)
def test_a_template_that_cannot_serve_is_an_error(template):
    with pytest.raises(ConfigError, match="template"):
        chat.render(tiny_tokenizer(template), CHAT)


def test_a_continuation_keeps_characters_that_span_tokens():
    tokenizer = tiny_tokenizer()
    ids = chat.prefix_ids(tokenizer, "safé ✓ file")
    for cut in range(len(ids) + 1):
        text = chat.continuation(tokenizer, ids[:cut], ids[cut:])
        if not tokenizer.decode(ids[:cut]).endswith("\ufffd"):
            assert tokenizer.decode(ids[:cut]) + text == "safé ✓ file"
