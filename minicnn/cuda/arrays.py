"""Arrays as kernels want them: dense and flat, in one memory order for all arguments of a launch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._device import array_module
from .gpu import explained

Array = Any


def memory_order(x: Array) -> tuple[int, ...]:
    """Return the axes from the one with the largest steps in memory to that with the smallest."""
    return tuple(sorted(range(x.ndim), key=lambda axis: (-abs(x.strides[axis]), axis)))


def aligned(first: Array, *others: Array) -> list[Array]:
    """Return arrays of one shape as C-contiguous ones in the memory order of the first; copies only where it must."""
    axes = memory_order(first)
    return [contiguous(a.transpose(axes)) for a in (first, *others)]


def restored(result: Array, like: Array) -> Array:
    """Return a result of `aligned` arrays with the axes in their logical order again."""
    axes = memory_order(like)
    inverse = sorted(range(len(axes)), key=axes.__getitem__)
    return result.reshape([like.shape[a] for a in axes]).transpose(inverse)


def empty(like: Array, shape: tuple[int, ...] | None = None, dtype: Any = None) -> Array:
    """Return a new dense array of the device and, unless given, the shape and type of `like`."""
    shape, dtype = like.shape if shape is None else shape, np.dtype(dtype or like.dtype)
    try:
        return array_module(like).empty(shape, dtype)
    except Exception as error:
        raise explained(error, f"an array {tuple(shape)}", math.prod(shape) * dtype.itemsize) from None


def contiguous(x: Array) -> Array:
    """Return the array itself if its memory is in row-major order, else a copy that is."""
    return x if x.flags.c_contiguous else x.copy(order="C")
