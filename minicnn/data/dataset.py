"""Dataset, Subset, random_split: numbered items, and parts of them.

A dataset has a length and items `dataset[0] … dataset[len(dataset) − 1]`; for pictures an item is
`(image (C, H, W) float32 in [0, 1], label)`.

A dataset may offer more, so that a transform can work on a whole batch at once: `batch(indices)` gives
`(images, labels)` of those items *without* the transform, and `transform` is the transform still to be
applied (or None). Images are one array (N, C, H, W), or a list of (C, H, W) where they differ in shape;
labels are int64 (N,). Whoever finds no `batch` takes the items one by one.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from .. import random
from ..errors import DTypeError, ShapeError
from ..ops import arguments

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Transform = Callable[[Any], Any]
Batch = tuple[Images | list[Images], Labels]


class Dataset:
    """The base class: give `__len__` and `__getitem__` in your own."""

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} needs a method __len__(self)")

    def __getitem__(self, index: SupportsIndex) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a method __getitem__(self, index)")

    def __iter__(self) -> Iterator[Any]:
        for i in range(len(self)):
            yield self[i]


class Subset(Dataset):
    """The items of a dataset at the given indices, in their order.

    `batch` and `transform` are the dataset's own; a dataset without them gives a Subset without them.
    Raises `ShapeError` if an index lies outside the dataset.
    """

    def __init__(self, dataset: Any, indices: Sequence[SupportsIndex]) -> None:
        self.dataset = dataset
        self.indices = [_inside("Subset", i, len(dataset)) for i in indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: SupportsIndex) -> Any:
        return self.dataset[self.indices[item_number("Subset", index, len(self))]]

    @property
    def transform(self) -> Transform | None:
        """The dataset's transform, still to be applied to a `batch`."""
        transform: Transform | None = self.dataset.transform
        return transform

    @property
    def batch(self) -> Callable[[Sequence[SupportsIndex]], Batch]:
        """The dataset's `batch`, on this part's indices."""
        source: Callable[[Sequence[int]], Batch] = self.dataset.batch  # hasattr(subset, "batch") tells the truth
        return lambda indices: source([self.indices[operator.index(i)] for i in indices])


def item_number(name: str, index: SupportsIndex, length: int) -> int:
    """Return the index counted from 0; −1 is the last item.

    Outside it is Python's own IndexError: the protocol by which loops over sequences end.
    """
    number = operator.index(index)
    if not -length <= number < length:
        raise IndexError(f"{name}: index {number} is out of range, there are {length} items")
    return number % length


def _inside(name: str, index: SupportsIndex, length: int) -> int:
    try:
        return item_number(name, index, length)
    except IndexError as error:
        raise ShapeError(str(error)) from None


def random_split(dataset: Any, lengths: Sequence[float], seed: int | None = None) -> list[Subset]:
    """Split a dataset at random into parts that share no item.

    `lengths` are whole numbers that sum to the dataset's length, or fractions that sum to 1: each part gets
    ⌊fraction · length⌋ items, and what is left over goes one by one to the parts from the first on, as in
    PyTorch. An integer `seed` gives the same split everywhere; with None it follows from `mc.manual_seed`.
    Raises `ShapeError` where the lengths do not fit, or a fraction above 0 would give an empty part.
    """
    if not hasattr(dataset, "__len__"):
        raise DTypeError(f"random_split: dataset must be a data set with a length, got {type(dataset).__name__}")
    if not isinstance(lengths, (tuple, list)):
        raise DTypeError(f"random_split: lengths must be a list such as [0.8, 0.2], got {type(lengths).__name__}")
    counts = _counts(lengths, len(dataset))
    if seed is None:
        seed, call = random.next_call(random.DATA)
    else:
        seed, call = arguments.integer("random_split", "seed", seed, minimum=0), 0
    order = random.permutation(len(dataset), seed=seed, stream=random.DATA, call=call).tolist()
    ends = np.cumsum(counts)
    return [Subset(dataset, order[end - count : end]) for count, end in zip(counts, ends)]


def _counts(lengths: Sequence[float], total: int) -> list[int]:
    if not any(isinstance(length, (float, np.floating)) for length in lengths):
        counts = [arguments.integer("random_split", "a length", length, minimum=0) for length in lengths]
        if sum(counts) != total:
            raise ShapeError(
                f"random_split: lengths {counts} sum to {sum(counts)}, the dataset has {total} items; "
                "they must be equal (or give fractions such as 0.8, 0.2)"
            )
        return counts
    fractions = [arguments.number("random_split", "a fraction", length, 0, 1) for length in lengths]
    if not math.isclose(sum(fractions), 1):
        raise ShapeError(f"random_split: fractions {fractions} sum to {sum(fractions)}, they must sum to 1")
    counts = [math.floor(fraction * total) for fraction in fractions]
    for i in range(total - sum(counts)):
        counts[i % len(counts)] += 1
    for fraction, count in zip(fractions, counts):
        if fraction > 0 and count == 0:
            raise ShapeError(f"random_split: {fraction} of {total} items would be an empty part; make it larger")
    return counts
