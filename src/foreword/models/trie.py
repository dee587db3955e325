"""Many token sequences behind one prompt, as a tree.

Node 0 is the end of the prompt; every other node is one token that follows its
parent. Sequences with a common beginning share its nodes, so a forward pass
over the tree computes it once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


class Trie:
    """A growing token tree; nodes are numbered so that parents come first."""

    def __init__(self) -> None:
        self.tokens: list[int] = [-1]
        self.parents: list[int] = [-1]
        self.depths: list[int] = [0]
        self._children: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        """The number of tokens, the prompt's end not counted."""
        return len(self.tokens) - 1

    def add(self, ids: Sequence[int], start: int = 0) -> int:
        """Append a sequence behind a node; returns its last node."""
        node = start
        for token in ids:
            key = (node, token)
            if key not in self._children:
                self._children[key] = len(self.tokens)
                self.tokens.append(token)
                self.parents.append(node)
                self.depths.append(self.depths[node] + 1)
            node = self._children[key]
        return node

    def visible(self) -> torch.Tensor:
        """Which node sees which, (tokens, tokens): itself and its ancestors."""
        size = len(self)
        seen = torch.zeros((size, size), dtype=torch.bool)
        for node in range(1, size + 1):
            parent = self.parents[node]
            if parent:
                seen[node - 1] = seen[parent - 1]
            seen[node - 1, node - 1] = True
        return seen


def extra_nodes(openings: Sequence[Sequence[int]]) -> int:
    """The most nodes that the openings can add behind one prefix: all but their last tokens."""
    return len({tuple(ids[:cut]) for ids in openings for cut in range(1, len(ids))})


def split(paths: Sequence[Sequence[int]], extra: int, budget: int) -> list[list[int]]:
    """Split paths into groups whose trees have about `budget` nodes; neighbours share most.

    Args:
        paths: Token ids of each candidate.
        extra: Nodes added behind every candidate.
        budget: Nodes a group may have; a single longer candidate stays alone.

    Returns:
        Groups of indices into `paths`.
    """
    groups: list[list[int]] = []
    tree = Trie()
    for index in sorted(range(len(paths)), key=lambda i: tuple(paths[i])):
        before = len(tree)
        tree.add(paths[index])
        if groups and len(tree) + extra * (len(groups[-1]) + 1) <= budget:
            groups[-1].append(index)
            continue
        if before or groups:
            tree = Trie()
            tree.add(paths[index])
        groups.append([index])
    return groups
