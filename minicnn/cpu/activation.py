"""Activations on the CPU: the twins of relu and its gradient. The others are NumPy's, see `minicnn/ops/activation.py`.

What limits them: memory; one or two arrays are read and one is written. On two threads the gradient takes 0.3 ns per
float32 number, `np.where` 4 (2.6 million numbers, Zen 4); `np.maximum` takes three to six times as long as the kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops import activation as definition
from .threads import flat, kernel
from .vectors import lanes, vfill, vgate, vload, vload_part, vmax, vstore, vstore_part

Array = Any

BLOCK = 4096  # numbers per piece


@kernel
def relu_kernel(first, end, x, y):  # type: ignore[no-untyped-def]  # a body
    """y = max(x, 0); pieces are blocks of numbers."""
    step = lanes(x)
    last = min(end * BLOCK, len(x))
    whole = last - (last - first * BLOCK) % step
    zero = vfill(x, 0)
    for i in range(first * BLOCK, whole, step):
        vstore(y, i, vmax(vload(x, i), zero))
    if whole < last:
        m = last - whole
        vstore_part(y, whole, vmax(vload_part(x, whole, m), zero), m)


@kernel
def relu_backward_kernel(first, end, dy, y, dx):  # type: ignore[no-untyped-def]  # a body
    """dx = 0 where y ≤ 0, else dy; pieces are blocks of numbers."""
    step = lanes(y)
    last = min(end * BLOCK, len(y))
    whole = last - (last - first * BLOCK) % step
    for i in range(first * BLOCK, whole, step):
        vstore(dx, i, vgate(vload(dy, i), vload(y, i)))
    if whole < last:
        m = last - whole
        vstore_part(dx, whole, vgate(vload_part(dy, whole, m), vload_part(y, whole, m)), m)


def relu_forward(x: Array) -> tuple[Array, Any]:
    axes = memory_order(x)
    dense = x.transpose(axes)
    if x.dtype.char not in "fd" or not dense.flags.c_contiguous:
        return definition.relu_forward(x)
    y = np.empty_like(x)
    relu_kernel(-(-x.size // BLOCK), flat(dense), flat(y.transpose(axes)))
    return y, y


def relu_backward(dy: Array, cache: Any) -> Array:
    y = cache
    if y.dtype.itemsize < 4:
        return definition.relu_backward(dy, y)
    axes = memory_order(y)
    dx = np.empty_like(y)  # in the memory order of y, which is dense: it was computed
    dy, y, out = (np.ascontiguousarray(a.transpose(axes)) for a in (dy, y, dx))
    relu_backward_kernel(-(-y.size // BLOCK), flat(dy), flat(y), flat(out))
    return dx


def memory_order(x: Array) -> list[int]:
    """Return the axes from the one with the largest steps in memory to that with the smallest."""
    return sorted(range(x.ndim), key=lambda axis: (-x.strides[axis], axis))
