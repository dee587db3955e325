"""The engine against transformers' own generate, on tiny real models."""

import copy

import pytest
import torch

from foreword.core.errors import ModelError
from foreword.core.protocols import Model
from foreword.models import chat
from foreword.models.decoding import BATCH_MB, BATCH_ROWS, batches, common_length
from foreword.models.memory import Memory
from foreword.testing.models import tiny_model

CHATS = [[{"role": "user", "content": "do it " * n}] for n in (1, 7, 3, 12, 2)]


def plain(model):
    """The same weights under transformers' own eager attention."""
    twin = copy.deepcopy(model.model)
    twin.set_attn_implementation("eager")
    return twin


def naive(model, ids, limit):
    """One prompt, no cache, the whole forward again for every token."""
    new, twin = [], plain(model)
    while len(new) < limit:
        with torch.inference_mode():
            seq = torch.tensor([ids + new])
            token = int(twin(input_ids=seq).logits[0, -1].argmax())
        if token in model.stops:
            break
        new.append(token)
    return new


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma2"])
@pytest.mark.parametrize("prefix", ["", "Sure, I"])
def test_batched_greedy_equals_one_by_one(architecture, prefix):
    model = tiny_model(architecture)
    opening = chat.prefix_ids(model.tokenizer, prefix)
    replies = model.generate(CHATS, prefix=prefix, max_new_tokens=12)
    for messages, reply in zip(CHATS, replies, strict=True):
        expected = naive(model, chat.prompt_ids(model.tokenizer, messages) + opening, 12)
        assert reply.continuation == chat.continuation(model.tokenizer, opening, expected)
        assert reply.prefix == prefix
        assert reply.stopped == (len(expected) < 12)


def test_a_reply_ends_with_the_stop_text_and_not_before():
    model = tiny_model()
    whole = model.generate(CHATS, max_new_tokens=16)
    stop = whole[1].continuation[5:8]
    assert len(stop) == 3
    for full, cut in zip(whole, model.generate(CHATS, max_new_tokens=16, stop=stop), strict=True):
        assert full.continuation.startswith(cut.continuation)
        if stop in full.continuation:
            assert cut.stopped
            assert stop in cut.continuation
            assert len(cut.continuation) <= full.continuation.index(stop) + len(stop) + 8
        else:
            assert cut == full
    assert model.generate(CHATS, max_new_tokens=16, stop=stop)[1].tokens < whole[1].tokens


@pytest.mark.parametrize(
    ("prompts", "length"),
    [([[1, 2, 3]], 0), ([[1, 2, 3], [1, 2, 4]], 2), ([[1, 2], [1, 2, 4]], 1), ([[1], [2]], 0)],
)
def test_every_row_keeps_a_token_of_its_own(prompts, length):
    assert common_length(prompts) == length


def test_rows_that_stop_leave_the_batch_and_the_others_are_unchanged():
    model = tiny_model()
    ids = [naive(model, chat.prompt_ids(model.tokenizer, messages), 16) for messages in CHATS]
    model.stops = model.stops | {ids[1][3], ids[3][5]}  # so rows end at different steps
    replies = model.generate(CHATS, max_new_tokens=16)
    assert any(reply.stopped for reply in replies)
    for messages, reply in zip(CHATS, replies, strict=True):
        expected = naive(model, chat.prompt_ids(model.tokenizer, messages), 16)
        assert reply.continuation == chat.continuation(model.tokenizer, [], expected)


def test_sampling_depends_on_seed_and_row_not_on_the_batch(monkeypatch):
    model = tiny_model()
    once = model.generate(CHATS, max_new_tokens=8, temperature=1.0, seed=3)
    monkeypatch.setattr("foreword.models.decoding.BATCH_ROWS", 2)
    assert model.generate(CHATS, max_new_tokens=8, temperature=1.0, seed=3) == once
    assert model.generate(CHATS, max_new_tokens=8, temperature=1.0, seed=4) != once


def test_prefill_in_small_passes_changes_nothing(monkeypatch):
    model = tiny_model()
    once = model.generate(CHATS, max_new_tokens=8)
    model.memory = Memory(0)  # or hardly anything is left to read
    monkeypatch.setattr("foreword.models.decoding.PREFILL_TOKENS", 20)
    assert model.generate(CHATS, max_new_tokens=8) == once


@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
def test_the_next_turn_reads_only_what_is_new(architecture, monkeypatch):
    model, forgetful = tiny_model(architecture), tiny_model(architecture)
    forgetful.memory = Memory(0)
    read = []
    hidden = model.hidden

    def count(ids, *args):
        read.append(ids.numel() if ids.shape[1] > 1 else 0)
        return hidden(ids, *args)

    monkeypatch.setattr(model, "hidden", count)
    chats = CHATS
    for _ in range(3):
        replies = model.generate(chats, max_new_tokens=6)
        assert replies == forgetful.generate(chats, max_new_tokens=6)
        chats = [
            [*c, {"role": "assistant", "content": r.text}, {"role": "user", "content": "go on"}]
            for c, r in zip(chats, replies, strict=True)
        ]
        whole = sum(len(chat.prompt_ids(model.tokenizer, c)) for c in chats)
        read.clear()
    assert model.generate(chats, max_new_tokens=6) == forgetful.generate(chats, max_new_tokens=6)
    assert 0 < sum(read) < whole / 2


def test_progress_counts_to_the_number_of_chats():
    seen = []
    tiny_model().generate(CHATS, max_new_tokens=3, progress=seen.append)
    assert seen == [1, 2, 3, 4, 5]


def test_no_chats_and_no_tokens_are_fine():
    model = tiny_model()
    assert model.generate([]) == []
    assert [r.continuation for r in model.generate(CHATS, max_new_tokens=0)] == [""] * 5


def test_a_text_beyond_the_context_is_refused():
    with pytest.raises(ModelError, match="context of 512"):
        tiny_model().generate(CHATS, max_new_tokens=600)


def test_a_text_beyond_the_sliding_window_is_refused():
    model = tiny_model("gemma2")
    model.model.config.sliding_window = 40
    with pytest.raises(ModelError, match="sliding window of 40"):
        model.generate(CHATS, max_new_tokens=30)


def test_batches_hold_every_row_once_within_the_limits():
    slots = [(i * 37) % 900 + 1 for i in range(300)]
    size = BATCH_MB * 2**20 // 20_000
    split = list(batches(slots, size))
    assert sorted(i for rows in split for i in rows) == list(range(300))
    for rows in split:
        assert len(rows) <= BATCH_ROWS
        assert len(rows) * max(slots[i] for i in rows) <= 20_000


def test_it_is_a_model():
    assert isinstance(tiny_model(), Model)
