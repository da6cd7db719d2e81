"""DataLoader: from a dataset to batches of tensors, one step ahead of the network."""

from __future__ import annotations

import inspect
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from .. import random
from .._device import current_device, put, usable
from .._device import device as named_device
from .._tensor import Tensor, wrap
from ..errors import DataError, DTypeError
from ..ops import arguments

AHEAD = 2  # batches that wait ready: one hides the preparation, the second evens out a slow one


class DataLoader:
    """Batches of a dataset's items, as tensors, in order or shuffled anew in each epoch.

    Iterating is one epoch. While the caller computes, a thread prepares the next batches: it takes
    `dataset.batch(indices)` and applies the transform to the whole batch where the dataset offers that, else
    it takes the items one by one. Arrays and numbers are stacked; tuples, lists and dicts of them stay such.

    Order and augmentation depend on `seed` and the number of the epoch alone, or, without a `seed`, on
    `mc.manual_seed`; never on the timing of the thread. (So do transforms that a dataset applies to its items
    itself: while it makes a batch, `random.Generator.next` gives it that batch's generator.)

    `num_workers` is how many batches may wait ready beyond two; there is always the one thread, since processes
    would not pay for pictures of this size.

    Raises ShapeError for a batch size below 1 and DataError for an empty dataset that is to be shuffled, and
    for items that do not stack.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        seed: int | None = None,
        drop_last: bool = False,
        num_workers: int = 0,
        device: str | None = None,
    ) -> None:
        name = "DataLoader"
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise DTypeError(
                f"{name}: dataset must be a data set, with a length and items, got {type(dataset).__name__}"
            )
        self.dataset = dataset
        self.batch_size = arguments.integer(name, "batch_size", batch_size, 1)
        self.shuffle = arguments.flag(name, "shuffle", shuffle)
        self.drop_last = arguments.flag(name, "drop_last", drop_last)
        self.num_workers = arguments.integer(name, "num_workers", num_workers, 0)
        self.seed = None if seed is None else arguments.integer(name, "seed", seed, 0)
        self.device = None if device is None else usable(named_device(device))
        self.epoch = 0
        """The number of epochs begun; set it to repeat or to resume (it counts only with a `seed`)."""
        if shuffle and len(dataset) == 0:
            raise DataError("DataLoader: the dataset is empty, there is nothing to shuffle")

    def __len__(self) -> int:
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + bool(rest and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        # All numbers are drawn here, in the caller's thread: how far the other one runs ahead does not matter.
        if self.seed is None:
            order = random.Generator.next(random.SHUFFLE)
            generators = [random.Generator.next(random.AUGMENT) for _ in range(len(self))]
        else:
            order = random.Generator(self.seed, random.SHUFFLE, self.epoch)
            first = self.epoch * len(self)
            generators = [random.Generator(self.seed, random.AUGMENT, first + i) for i in range(len(self))]
            self.epoch += 1
        count = len(self.dataset)
        indices = order.permutation(count) if self.shuffle else np.arange(count)
        batches = [indices[i * self.batch_size :][: self.batch_size].tolist() for i in range(len(self))]
        device = self.device or current_device()
        return _ahead(
            lambda i: _tensors(self._prepare(batches[i], generators[i]), device), len(batches), AHEAD + self.num_workers
        )

    def _prepare(self, indices: list[int], generator: random.Generator) -> Any:
        """Return one batch as arrays, transformed."""
        batch = getattr(self.dataset, "batch", None)
        if batch is None:
            with generator.lent():
                return collate([self.dataset[i] for i in indices])
        images, labels = batch(indices)
        transform = _with_generator(getattr(self.dataset, "transform", None), generator)
        if isinstance(images, np.ndarray):
            return transform(images), labels
        return collate([transform(image) for image in images]), labels


def _with_generator(transform: Callable[..., Any] | None, generator: random.Generator) -> Callable[[Any], Any]:
    """Return a transform that draws from the batch's own generator, if it draws at all."""
    if transform is None:
        return lambda images: images
    try:
        draws = "generator" in inspect.signature(transform).parameters
    except (TypeError, ValueError):  # a builtin without a signature
        draws = False
    return (lambda images: transform(images, generator=generator)) if draws else transform


def collate(items: Sequence[Any]) -> Any:
    """Return items as one: numbers and arrays stacked along a new first axis, containers item by item.

    Raises DataError for items whose shapes or kinds differ.
    """
    first = items[0]
    kinds = sorted({_kind(item) for item in items})
    if len(kinds) > 1:
        raise DataError(f"DataLoader: items of one batch are of different kinds, {kinds[0]} and {kinds[-1]}")
    if isinstance(first, (tuple, list)):
        if len({len(item) for item in items}) > 1:
            raise DataError("DataLoader: items of one batch have different lengths")
        return _container(type(first), [collate(part) for part in zip(*items)])
    if isinstance(first, Mapping):
        if any(item.keys() != first.keys() for item in items):
            raise DataError(f"DataLoader: items of one batch have different keys, the first has {list(first)}")
        return {key: collate([item[key] for item in items]) for key in first}
    if isinstance(first, str):
        return list(items)
    arrays = [np.asarray(item) for item in items]
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise DataError(
            f"DataLoader: items of one batch have different shapes, {shapes[0]} and {shapes[-1]}; "
            "bring them to one size with transforms.Resize"
        )
    for item, array in zip(items, arrays):
        if array.dtype.kind not in "fiub":
            raise DataError(f"DataLoader: cannot make a tensor of {type(item).__name__}")
    return np.stack(arrays)


def _kind(item: Any) -> str:
    """Return what an item is for `collate`, in a word."""
    for kind, word in (((tuple, list), "a tuple or list"), (Mapping, "a dict"), (str, "a str")):
        if isinstance(item, kind):
            return word
    return "a number or array"


def _container(kind: type, parts: list[Any]) -> Any:
    """Return a list, tuple or named tuple of these parts."""
    return kind(*parts) if hasattr(kind, "_fields") else kind(parts)


def _tensors(batch: Any, device: Any) -> Any:
    """Return the arrays of a batch as tensors on the device; Python's floats and ints have PyTorch's types."""
    if isinstance(batch, (tuple, list)) and not (batch and isinstance(batch[0], str)):
        return _container(type(batch), [_tensors(part, device) for part in batch])
    if isinstance(batch, dict):
        return {key: _tensors(part, device) for key, part in batch.items()}
    if isinstance(batch, Tensor):
        return batch.to(device)
    return wrap(put(batch, device), device, None, 0) if isinstance(batch, np.ndarray) else batch


def _ahead(make: Callable[[int], Any], count: int, ahead: int) -> Iterator[Any]:
    """Yield make(0) … make(count − 1), computed by a thread that is at most `ahead` results in front.

    An error inside the thread is raised here, in its place in the order. The thread ends with the iterator.
    """
    ready: queue.Queue[tuple[bool, Any]] = queue.Queue(ahead)
    stop = threading.Event()

    def hand_over(item: tuple[bool, Any]) -> None:
        while not stop.is_set():
            with suppress(queue.Full):
                ready.put(item, timeout=0.1)
                return

    def work() -> None:
        for i in range(count):
            try:
                item = (True, make(i))
            except BaseException as error:
                hand_over((False, error))
                return
            hand_over(item)
            if stop.is_set():
                return

    thread = threading.Thread(target=work, name="DataLoader", daemon=True)
    thread.start()
    try:
        for _ in range(count):
            good, item = ready.get()
            if not good:
                raise item
            yield item
    finally:
        stop.set()
