"""Draws follow the weights, whatever happened to them before."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rllib_dreamerv3.replay.sum_tree import BLOCK, SumTree


class Numbers:
    """A generator that returns given numbers, after checking their bound."""

    def __init__(self, bound: int, numbers: np.ndarray):
        self.bound, self.numbers = bound, numbers

    def integers(self, bound: int, size: int) -> np.ndarray:
        assert (bound, size) == (self.bound, len(self.numbers))
        return self.numbers.copy()


def drawn_of_each(tree: SumTree, total: int) -> list[int]:
    """How often each item is drawn when every number is drawn once."""
    rng: Any = Numbers(total, np.arange(total))
    return np.bincount(tree.draw(total, rng), minlength=len(tree.weights)).tolist()


def test_each_item_is_drawn_in_exact_proportion_to_its_weight():
    weights = np.zeros(3 * BLOCK, np.int64)
    weights[[0, 5, BLOCK - 1, BLOCK, 2 * BLOCK + 7]] = [3, 1, 4, 2, 10]
    tree = SumTree(len(weights), weights)
    assert drawn_of_each(tree, 20) == weights.tolist()


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 2 * BLOCK - 1), st.integers(0, 9)), max_size=12),
        min_size=1,
        max_size=6,
    )
)
def test_replaced_weights_count_and_the_last_of_repeated_ones_stays(changes):
    tree, expected = SumTree(2 * BLOCK), np.zeros(2 * BLOCK, np.int64)
    tree.set(np.array([BLOCK + 1]), 5)
    expected[BLOCK + 1] = 5
    for change in changes:
        items = np.array([item for item, _ in change], np.int64)
        tree.set(items, np.array([weight for _, weight in change], np.int64))
        for item, weight in change:
            expected[item] = weight
    if total := int(expected.sum()):
        assert drawn_of_each(tree, total) == expected.tolist()


def test_number_of_items_is_rounded_up_to_blocks():
    assert len(SumTree(BLOCK + 1).weights) == 2 * BLOCK
    assert len(SumTree(0).weights) == 0


def test_nothing_can_be_drawn_without_weights():
    for tree in (SumTree(0), SumTree(5)):
        with pytest.raises(ValueError):
            tree.draw(1, np.random.default_rng(0))
