from hypothesis import given
from hypothesis import strategies as st

from foreword.models.trie import Trie, extra_nodes, split

paths = st.lists(st.lists(st.integers(0, 3), max_size=5), min_size=1, max_size=12)


@given(paths)
def test_a_node_sees_exactly_its_own_path(sequences):
    tree = Trie()
    ends = [tree.add(ids) for ids in sequences]
    seen = tree.visible()
    for ids, end in zip(sequences, ends, strict=True):
        if ids:
            nodes = [n + 1 for n in range(len(tree)) if seen[end - 1, n]]
            assert [tree.tokens[n] for n in nodes] == ids
            assert [tree.depths[n] for n in nodes] == list(range(1, len(ids) + 1))
        else:
            assert end == 0
    assert len(tree) == len({tuple(i[:c]) for i in sequences for c in range(1, len(i) + 1)})


@given(paths, st.integers(0, 3), st.integers(1, 20))
def test_split_takes_every_path_once_within_the_budget(sequences, extra, budget):
    groups = split(sequences, extra, budget)
    assert sorted(i for group in groups for i in group) == list(range(len(sequences)))
    for group in groups:
        tree = Trie()
        for index in group:
            tree.add(sequences[index])
        assert len(group) == 1 or len(tree) + extra * len(group) <= budget


def test_extra_nodes_counts_common_beginnings_once():
    assert extra_nodes([(1,), (2, 3), (2, 4, 5), (6,)]) == 2
