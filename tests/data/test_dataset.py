import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import random_split as torch_random_split

import minicnn as mc
from minicnn.data import Dataset, Subset, random_split
from minicnn.errors import DTypeError, ShapeError


class Squares(Dataset):
    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: Any) -> int:
        return int(index) ** 2


class Pictures(Squares):
    transform = staticmethod(abs)

    def batch(self, indices: Any) -> Any:
        return np.array(indices) * 100, np.array(indices)


def test_a_dataset_is_gone_through_in_order() -> None:
    assert list(Squares()) == [i**2 for i in range(10)]


def test_a_dataset_without_its_methods_says_which() -> None:
    with pytest.raises(NotImplementedError, match=r"Dataset needs a method __len__\(self\)"):
        len(Dataset())
    with pytest.raises(NotImplementedError, match=r"Dataset needs a method __getitem__\(self, index\)"):
        Dataset()[0]


def test_a_subset_has_its_items_in_the_order_of_the_indices() -> None:
    subset = Subset(Squares(), [3, -1, 3])
    assert len(subset) == 3
    assert list(subset) == [9, 81, 9]
    assert subset[-1] == 9
    assert list(Subset(subset, np.array([1, 0]))) == [81, 9]


def test_a_subset_has_batch_and_transform_where_its_dataset_has() -> None:
    subset = Subset(Subset(Pictures(), [5, 6, 7, 8]), [3, 1])
    images, labels = subset.batch([1, 0, -1])
    np.testing.assert_array_equal(images, [600, 800, 600])
    np.testing.assert_array_equal(labels, [6, 8, 6])
    assert subset.transform is abs
    assert not hasattr(Subset(Squares(), [0]), "batch")
    assert not hasattr(Subset(Squares(), [0]), "transform")


@pytest.mark.parametrize("index", [10, -11])
def test_indices_outside_the_dataset_are_refused(index: int) -> None:
    with pytest.raises(ShapeError, match=f"Subset: index {index} is out of range, there are 10 items"):
        Subset(Squares(), [0, index])
    with pytest.raises(IndexError, match="Subset: index 2 is out of range, there are 2 items"):
        Subset(Squares(), [0, 1])[2]


@pytest.mark.parametrize(
    "lengths",
    [[10], [7, 3], [10, 0], [0.8, 0.2], [0.7, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25], [0.34, 0.33, 0.33], [1.0]],
)
def test_lengths_are_those_of_pytorch(lengths: list[float]) -> None:
    theirs = [len(part) for part in torch_random_split(range(10), lengths, torch.Generator())]
    parts = random_split(Squares(), lengths, seed=0)
    assert [len(part) for part in parts] == theirs
    assert Counter(i for part in parts for i in part.indices) == Counter(range(10))


def test_a_seed_decides_the_split() -> None:
    def split(seed: int | None) -> list[list[int]]:
        return [part.indices for part in random_split(range(100), [60, 40], seed=seed)]

    assert split(0) != split(1)
    mc.manual_seed(3)
    first, second = split(None), split(None)
    assert first != second
    mc.manual_seed(3)
    assert [split(None), split(None)] == [first, second]
    assert split(0) == split(0)


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([7, 2], ShapeError, "random_split: lengths [7, 2] sum to 9, the dataset has 10 items"),
        ([], ShapeError, "random_split: lengths [] sum to 0, the dataset has 10 items"),
        ([11, -1], ShapeError, "random_split: a length is -1, needs at least 0"),
        (["a"], DTypeError, "random_split: a length must be a whole number, got 'a'"),
        ([0.5, 0.4], ShapeError, "random_split: fractions [0.5, 0.4] sum to 0.9, they must sum to 1"),
        ([1.5, -0.5], ShapeError, "random_split: a fraction is 1.5, needs a number in [0, 1]"),
        ([0.96, 0.02, 0.02], ShapeError, "random_split: 0.02 of 10 items would be an empty part; make it larger"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(lengths: list[Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        random_split(Squares(), lengths)


@pytest.mark.parametrize(
    ("seed", "error", "message"),
    [
        (-1, ShapeError, "random_split: seed is -1, needs at least 0"),
        (2**64, ShapeError, "seed is 18446744073709551616, needs a whole number below 2^64"),
        (0.5, DTypeError, "random_split: seed must be a whole number, got 0.5"),
    ],
)
def test_seeds_are_whole_numbers(seed: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        random_split(Squares(), [10], seed=seed)
