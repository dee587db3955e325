"""What the memory recalls, and what it forgets."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from foreword.models.memory import Memory, shared


def states(ids):
    """One layer, one head, one number a token: the token itself."""
    return torch.tensor([float(i) for i in ids]).view(1, 1, 1, -1, 1).expand(1, 2, 1, -1, 1).clone()


def recalled(memory, ids):
    found = memory.recall(ids)
    return [] if found is None else [int(x) for x in found[0, 0, 0, :, 0]]


texts = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), max_size=12)


@given(texts, st.lists(st.integers(0, 2), min_size=1, max_size=7))
def test_it_recalls_the_longest_known_beginning(known, asked):
    memory = Memory(1)
    for ids in known:
        memory.keep(ids, states(ids))
    longest = max((shared(ids, asked[:-1]) for ids in known), default=0)
    assert recalled(memory, asked) == asked[:longest]


def test_the_last_token_is_always_read_again():
    memory = Memory(1)
    memory.keep([1, 2, 3], states([1, 2, 3]))
    assert recalled(memory, [1, 2, 3]) == [1, 2]
    assert recalled(memory, [1]) == []


def test_the_oldest_is_forgotten_first_when_the_budget_is_spent():
    memory = Memory(1)
    big = torch.zeros(1, 2, 1, 1, 2**15)  # a quarter of the budget
    for token in range(1, 6):
        memory.keep([token], big)
    assert memory.recall([1, 9]) is None
    assert all(memory.recall([token, 9]) is not None for token in (2, 3, 4, 5))


def test_a_text_takes_the_place_of_those_it_continues():
    memory = Memory(1)
    for ids in ([1], [1, 2], [2], [1, 2, 3], [1, 2]):
        memory.keep(ids, states(ids))
    assert memory._sorted == [(1, 2, 3), (2,)]
