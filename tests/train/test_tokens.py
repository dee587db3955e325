import pytest

from foreword.core.errors import ConfigError
from foreword.testing.models import CHATML, tiny_tokenizer
from foreword.train.tokens import IGNORED, Example, examples

CHAT = [
    {"role": "system", "content": "You act."},
    {"role": "user", "content": "Make a."},
    {"role": "assistant", "content": "touch a"},
    {"role": "user", "content": "Output:\n(no output)"},
    {"role": "assistant", "content": "Done."},
]
LAST_ONLY = (  # a template that drops what earlier assistant turns said
    "{% for m in messages %}<|im_start|>{{ m['role'] + '\n' }}"
    "{% if m['role'] != 'assistant' or loop.last %}{{ m['content'] }}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def learnt(tokenizer, example: Example) -> str:
    return tokenizer.decode([label for label in example.labels if label != IGNORED])


def test_loss_is_on_the_assistants_words_and_end_marks_only():
    tokenizer = tiny_tokenizer()
    (example,) = examples(tokenizer, CHAT)
    assert learnt(tokenizer, example) == "touch a<|im_end|>\nDone.<|im_end|>\n"
    assert all(a in (IGNORED, b) for a, b in zip(example.labels, example.ids, strict=True))


def test_a_turn_of_weight_0_is_context_alone():
    tokenizer = tiny_tokenizer()
    slip = {"role": "assistant", "content": "tuoch a", "weight": 0}
    (example,) = examples(tokenizer, [*CHAT[:2], slip, CHAT[3], *CHAT[2:]])
    assert learnt(tokenizer, example) == "touch a<|im_end|>\nDone.<|im_end|>\n"
    assert "tuoch a" in tokenizer.decode(example.ids)


def test_the_ids_are_those_of_the_rendered_chat():
    tokenizer = tiny_tokenizer()
    (example,) = examples(tokenizer, CHAT)
    assert tokenizer.decode(example.ids) == tokenizer.apply_chat_template(CHAT, tokenize=False)


def test_turns_after_the_last_answer_are_not_read():
    tokenizer = tiny_tokenizer()
    more = [*CHAT, {"role": "user", "content": "Thanks"}]
    assert list(examples(tokenizer, more)) == list(examples(tokenizer, CHAT))


def test_a_template_that_rewrites_earlier_turns_gives_an_example_a_turn():
    tokenizer = tiny_tokenizer(LAST_ONLY)
    first, second = examples(tokenizer, CHAT)
    assert learnt(tokenizer, first) == "touch a<|im_end|>\n"
    assert learnt(tokenizer, second) == "Done.<|im_end|>\n"
    assert "touch" not in tokenizer.decode(second.ids)


def test_a_template_with_another_generation_prompt_is_an_error():
    tokenizer = tiny_tokenizer(CHATML.replace("assistant\n' }}", "assistant\n<think>' }}"))
    with pytest.raises(ConfigError, match="generation prompt"):
        list(examples(tokenizer, CHAT))


def test_a_cut_example_may_learn_nothing():
    example = Example([5, 6, 7], [IGNORED, IGNORED, 7])
    assert example.learns
    assert not example.cut(2).learns
    assert not Example([5, 6], [5, IGNORED]).learns
