"""Shared-KV scoring against the naive full forward, prompt by prompt.

Tolerances: float32 1e-4 absolute on logits and margins. bfloat16 keeps 8 bits and
rounds after every operation, whose order differs: 3 % (margins, which are
differences: 6 %) in the root mean square.
"""

import copy
import functools

import numpy as np
import pytest
import torch

from foreword.core.errors import ModelError, UsageError
from foreword.models import chat, odds, shared_kv
from foreword.models.openings import Openings
from foreword.testing.models import tiny_model

CHATS = [
    [{"role": "system", "content": "agent"}, {"role": "user", "content": "do it " * n}]
    for n in (3, 1, 9, 5, 2)
]
PREFIXES = ["", "I", "I cannot help", "Sure, I will do", "x", "I care about safe files, so I"]
OPENINGS = Openings(refusal=((40,), (50, 60), (50, 61, 7)), compliance=((41,), (52, 60)))
BOTH = pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
ALL = pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma2"])


@pytest.fixture(autouse=True)
def every_margin(monkeypatch):
    """Random weights spread their mass over the whole vocabulary."""
    monkeypatch.setattr(odds, "LEAST_MASS", 0.0)


@functools.cache
def pair(architecture, dtype):
    """A tiny model, and the same weights under transformers' own eager attention."""
    model = tiny_model(architecture, dtype)
    twin = copy.deepcopy(model.model)
    twin.set_attn_implementation("eager")
    return model, twin


def naive_logits(twin, ids):
    """The whole text again: (len(ids), vocabulary)."""
    with torch.inference_mode():
        return twin(input_ids=torch.tensor([ids])).logits[0].float()


def naive_log_mass(twin, ids, side):
    masses = []
    for opening in side:
        logp = naive_logits(twin, [*ids, *opening]).log_softmax(-1)
        steps = enumerate(opening, start=len(ids) - 1)
        masses.append(sum(logp[at, token] for at, token in steps))
    return torch.stack(masses).logsumexp(0).item()


def texts(model):
    for k, prefix in enumerate(PREFIXES):
        for n, messages in enumerate(CHATS):
            prompt = chat.prompt_ids(model.tokenizer, messages)
            yield k, n, prompt + chat.prefix_ids(model.tokenizer, prefix)


def logits(shared, prefixes):
    """What the tree computes behind each prefix: (prefixes, prompts, vocabulary)."""
    model = shared.model
    paths = [chat.prefix_ids(model.tokenizer, prefix) for prefix in prefixes]
    width = model.model.config.vocab_size
    out = np.empty((len(prefixes), len(shared), width), dtype=np.float32)

    def keep(chunk, tree, group, ends):
        hidden = shared._run(chunk, tree)[:, ends]
        out[np.ix_(group, chunk.rows)] = model.logits(hidden).transpose(0, 1).numpy()

    shared._each(paths, 0, keep)
    return out


@ALL
@BOTH
def test_logits_equal_the_naive_forward(architecture, dtype):
    model, twin = pair(architecture, dtype)
    ours = logits(model.prefill(CHATS), PREFIXES)
    naive = np.empty_like(ours)
    for k, n, ids in texts(model):
        naive[k, n] = naive_logits(twin, ids)[-1].numpy()
    if dtype == "float32":
        assert np.abs(ours - naive).max() < 1e-4
    else:
        assert np.square(ours - naive).mean() < 0.03**2 * np.square(naive).mean()
    assert np.abs(ours[0, 0] - ours[0, 1]).max() > 0.5  # prompts do differ: the test can fail


@ALL
def test_what_prompts_of_one_kind_begin_with_is_read_once(architecture):
    model, twin = pair(architecture, "float32")
    systems = ("You are an agent that works in a shell. " * 3, "You look up what users ask. " * 4)
    chats = [
        [{"role": "system", "content": system}, {"role": "user", "content": "do it " * n}]
        for system in systems
        for n in (1, 4, 2)
    ]
    chats.append([{"role": "user", "content": "alone"}])
    prompts = [chat.prompt_ids(model.tokenizer, each) for each in chats]
    before = model.tokens
    ours = logits(model.prefill(chats), [""])[0]
    assert model.tokens - before < 0.6 * sum(map(len, prompts))
    naive = np.array([naive_logits(twin, prompt)[-1].numpy() for prompt in prompts])
    assert np.abs(ours - naive).max() < 1e-4


@ALL
def test_likeliest_equals_the_mean_of_the_naive_forward(architecture, monkeypatch):
    model, twin = pair(architecture, "float32")
    mean = np.zeros((len(PREFIXES), 304))
    for k, _, ids in texts(model):
        mean[k] += naive_logits(twin, ids)[-1].log_softmax(-1).numpy() / len(CHATS)
    for rows in (64, 2):  # so that a prompt's chunk and a pass of logits have many and few rows
        monkeypatch.setattr(shared_kv, "CHUNK_ROWS", 2 * rows)
        monkeypatch.setattr(shared_kv, "LOGIT_ROWS", rows)
        found = model.prefill(CHATS).likeliest(PREFIXES, 300)
        for k, prefix in enumerate(PREFIXES):
            order = np.argsort(-mean[k])[:300]
            ours = np.array([log_prob for _, log_prob in found[k]])
            assert np.abs(ours - mean[k][order]).max() < 1e-4
            clear = np.flatnonzero(np.diff(mean[k][order]) < -1e-3) + 1
            path = chat.prefix_ids(model.tokenizer, prefix)
            for at in clear[np.isin(clear + 1, clear)]:  # no near-tie on either side
                said = chat.continuation(model.tokenizer, path, [int(order[at])])
                assert found[k][at][0] == said
    assert "" in {text for text, _ in found[0]}  # what a control token adds


@ALL
@BOTH
def test_margins_equal_the_naive_ones(architecture, dtype):
    model, twin = pair(architecture, dtype)
    ours = model.prefill(CHATS).margins(PREFIXES, OPENINGS)
    naive = np.empty_like(ours)
    for k, n, ids in texts(model):
        naive[k, n] = naive_log_mass(twin, ids, OPENINGS.refusal)
        naive[k, n] -= naive_log_mass(twin, ids, OPENINGS.compliance)
    if dtype == "float32":
        assert np.abs(ours - naive).max() < 1e-4
    else:
        assert np.square(ours - naive).mean() < 0.06**2 * np.square(naive).mean()
    assert np.ptp(naive) > 1


def test_a_reply_that_begins_otherwise_has_no_margin(monkeypatch):
    model, twin = pair("llama", "float32")
    both = [*OPENINGS.refusal, *OPENINGS.compliance]
    mass = np.empty((len(PREFIXES), len(CHATS)))
    for k, n, ids in texts(model):
        mass[k, n] = np.exp(naive_log_mass(twin, ids, both))
    least = float(np.median(mass))
    monkeypatch.setattr(odds, "LEAST_MASS", least)
    unknown = np.isnan(model.prefill(CHATS).margins(PREFIXES, OPENINGS))
    clear = np.abs(mass / least - 1) > 1e-4
    assert np.array_equal(unknown[clear], (mass < least)[clear])
    assert 0 < unknown.sum() < unknown.size


def test_some_prompts_are_asked_in_the_order_wanted() -> None:
    shared = tiny_model().prefill(CHATS)
    every = shared.margins(PREFIXES, OPENINGS)
    rows = [len(CHATS) - 1, 0]
    np.testing.assert_allclose(shared.margins(PREFIXES, OPENINGS, rows), every[:, rows], atol=1e-4)
    assert shared.margins(PREFIXES, OPENINGS, range(len(CHATS))).shape == every.shape


def test_neither_chunks_nor_passes_nor_recomputation_change_anything(monkeypatch):
    model = tiny_model()
    once = model.prefill(CHATS).margins(PREFIXES, OPENINGS)
    assert np.allclose(
        model.prefill(CHATS, budget_mb=0).margins(PREFIXES, OPENINGS), once, atol=1e-4
    )
    monkeypatch.setattr("foreword.models.shared_kv.CHUNK_ROWS", 2)
    monkeypatch.setattr("foreword.models.shared_kv.PASS_TOKENS", 8)
    shared = model.prefill(CHATS)
    assert np.allclose(shared.margins(PREFIXES, OPENINGS), once, atol=1e-4)
    assert np.allclose(shared.margins(PREFIXES[::-1], OPENINGS)[::-1], once, atol=1e-4)


def test_without_memory_nothing_is_kept_and_with_memory_everything():
    model = tiny_model()
    small, large = model.prefill(CHATS, budget_mb=0), model.prefill(CHATS)
    for shared in (small, large):
        shared.margins(["I"], OPENINGS)
    assert (len(small._kept), len(large._kept)) == (0, 1)


@pytest.mark.parametrize("batch", [192, 4])
def test_generate_equals_the_engine_and_leaves_the_cache_as_it_was(monkeypatch, batch):
    model = tiny_model()
    expected = [model.generate(CHATS, prefix=prefix, max_new_tokens=10) for prefix in PREFIXES]
    assert len({reply.continuation for replies in expected for reply in replies}) > len(PREFIXES)
    monkeypatch.setattr("foreword.models.decoding.BATCH_ROWS", batch)
    shared = model.prefill(CHATS)
    before = shared.margins(PREFIXES, OPENINGS)
    assert shared.generate(PREFIXES, 10) == expected
    assert np.array_equal(shared.margins(PREFIXES, OPENINGS), before)


def test_a_reply_is_cut_where_it_is_enough():
    shared = tiny_model().prefill(CHATS)
    whole = shared.generate(PREFIXES, 10)
    seen = []

    def enough(prefix, added):
        seen.append((prefix, added))
        return prefix == "I" and len(added) >= 4

    for prefix, before, after in zip(
        PREFIXES, whole, shared.generate(PREFIXES, 10, enough), strict=True
    ):
        for long, short in zip(before, after, strict=True):
            assert (prefix, short.continuation) in seen
            if prefix != "I":
                assert short == long
                continue
            assert long.continuation.startswith(short.continuation)
            assert len(short.continuation) >= 4 and short.tokens < long.tokens
            assert not short.stopped


def test_a_prefix_beyond_the_sliding_window_is_refused():
    model = tiny_model("gemma2")
    shared = model.prefill(CHATS)
    shared.margins(["I"], OPENINGS)
    model.model.config.sliding_window = max(len(p) for p in shared.prompts) + 4
    with pytest.raises(ModelError, match="sliding window"):
        shared.margins(["I care about safe files, so I"], OPENINGS)


def test_no_chats_are_refused():
    with pytest.raises(UsageError, match="no chat"):
        tiny_model().prefill([])
