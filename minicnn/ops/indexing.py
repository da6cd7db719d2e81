"""What may stand in x[...]: checked, and brought into one form that means the same on every device.

NumPy and PyTorch agree except on x[0, :, [1, 2]], a number beside an array: NumPy takes the number for an array,
too, and puts the chosen axis first; PyTorch takes the number first, as we do. So an index is applied in two
steps, `x[first]` with numbers, slices, None and ..., which is a view, then `[then]` with arrays, a copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._tensor import Tensor
from ..errors import DTypeError, ShapeError
from . import arguments

First = tuple[Any, ...]
Then = tuple[Any, ...] | None


def parsed(name: str, input: Tensor, index: Any) -> tuple[First, Then]:
    """Return an index in two steps, the second None where no array chooses.

    Every number is checked here, since not every kind of array refuses one that is out of range. Raises
    ShapeError for that, for too many indices and for masks and arrays that do not fit, DTypeError for what is
    no index.
    """
    shape = input.shape
    items = [_item(name, i) for i in (index if isinstance(index, tuple) else (index,))]
    consumed = sum(map(_consumed, items))
    if consumed > len(shape):
        raise ShapeError(f"{name}: {consumed} indices are too many for a tensor of shape {shape}")
    gaps = [i for i, item in enumerate(items) if item is Ellipsis]
    if len(gaps) > 1:
        raise ShapeError(f"{name}: an index may hold ... once, this one holds it {len(gaps)} times")
    gap = gaps[0] if gaps else len(items)  # ... stands for the axes that nothing else takes
    items[gap : gap + 1] = [slice(None)] * (len(shape) - consumed)

    first: list[Any] = []
    then: list[Any] = []
    axis = 0
    for item in items:
        sizes = shape[axis : axis + _consumed(item)]
        _check_range(name, item, sizes, axis, shape)
        if not isinstance(item, np.ndarray):
            first.append(item)
            then += [] if isinstance(item, int) else [slice(None)]
        elif item.ndim == 0:  # x[True] is x[None], x[False] nothing of it
            first.append(None)
            then.append(item.reshape(1))
        else:
            first += [slice(None)] * len(sizes)
            then.append(item)
        axis += len(sizes)
    arrays = [i for i in then if isinstance(i, np.ndarray)]
    if not arrays:
        return (*first, ...), None  # the ... makes the result an array, even if a number would do
    arguments.broadcast(name, *((int(a.sum()),) if a.dtype.kind == "b" else a.shape for a in arrays))
    return tuple(first), tuple(then)


def _item(name: str, item: Any) -> Any:
    """Return one part of an index as None, ..., a slice, a number, or an array of whole numbers or bools."""
    if item is None or item is Ellipsis:
        return item
    if isinstance(item, slice):
        parts = [p if p is None else arguments.integer(name, "slice", p) for p in (item.start, item.stop, item.step)]
        if parts[2] == 0:
            raise ShapeError(f"{name}: the step of a slice cannot be 0")
        return slice(*parts)
    if not isinstance(item, (int, list, tuple, range, np.ndarray, np.generic, Tensor)):
        raise DTypeError(f"{name}: an index is made of whole numbers, slices, None, ... and tensors, got {item!r}")
    try:
        array = np.asarray(item)
    except ValueError:
        raise ShapeError(f"{name}: the lists in an index have different lengths") from None
    if array.size == 0 and isinstance(item, (list, tuple)):
        array = array.astype(np.int64)
    if array.dtype.kind not in "biu":
        raise DTypeError(f"{name}: an index is {array.dtype}, needs whole numbers or bools")
    if array.dtype == np.uint8:
        raise DTypeError(f"{name}: an index of uint8 may mean numbers or a mask; convert it with .long() or .bool()")
    return int(array) if array.ndim == 0 and array.dtype.kind != "b" else array


def _consumed(item: Any) -> int:
    """Return how many axes a part of an index takes."""
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if isinstance(item, np.ndarray) and item.dtype.kind == "b" else 1


def _check_range(name: str, item: Any, sizes: tuple[int, ...], axis: int, shape: tuple[int, ...]) -> None:
    """Check that all numbers lie within their axis, and that a mask has the shape of its axes."""
    if isinstance(item, np.ndarray) and item.dtype.kind == "b":
        if item.shape != sizes:
            raise ShapeError(f"{name}: mask {item.shape} does not fit axes {sizes} of a tensor of shape {shape}")
        return
    numbers: tuple[int, ...] = ()
    if isinstance(item, int):
        numbers = (item,)
    elif isinstance(item, np.ndarray) and item.size:
        numbers = (item.min(), item.max())
    for number in numbers:
        if not -sizes[0] <= number < sizes[0]:
            raise ShapeError(f"{name}: index {number} is out of range for axis {axis} of a tensor of shape {shape}")
