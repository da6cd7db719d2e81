"""im2col and col2im on CUDA: launches of `kernels/im2col.cu`."""

from __future__ import annotations

from typing import Any

from ..ops.conv import Padding, Pair, output_size
from .arrays import contiguous, empty
from .launch import Family, per_element

Array = Any

LAUNCHES = {"im2col": per_element("n"), "col2im": per_element("n")}
kernels = Family("im2col", LAUNCHES)


def unfold_forward(
    x: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> tuple[Array, Any]:  # (N, C, H, W) → (N, C, KH, KW, OH, OW)
    n, c, h, w = x.shape
    output = tuple(output_size(*a) for a in zip((h, w), kernel, stride, padding, dilation))
    columns = empty(x, (n, c, *kernel, *output))
    numbers = _window(kernel, stride, padding, dilation)
    kernels("im2col", x=contiguous(x), columns=columns, H=h, W=w, OH=output[0], OW=output[1], n=columns.size, **numbers)
    return columns, ((h, w), kernel, stride, padding, dilation)


def unfold_backward(dcolumns: Array, cache: Any) -> Array:
    return fold_forward(dcolumns, *cache)[0]


def fold_forward(
    columns: Array, size: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> tuple[Array, Any]:  # (N, C, KH, KW, OH, OW) → (N, C, H, W)
    n, c, _, _, oh, ow = columns.shape
    x = empty(columns, (n, c, *size))
    numbers = _window(kernel, stride, padding, dilation)
    kernels("col2im", columns=contiguous(columns), x=x, H=size[0], W=size[1], OH=oh, OW=ow, n=x.size, **numbers)
    return x, (kernel, stride, padding, dilation)


def fold_backward(dx: Array, cache: Any) -> Array:
    return unfold_forward(dx, *cache)[0]


def _window(kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> dict[str, int]:
    """Return a window's sizes as arguments of a kernel; the padding below and right is in the output's size."""
    pairs = {"K": kernel, "S": stride, "P": (padding[0][0], padding[1][0]), "D": dilation}
    return {name + axis: size for name, pair in pairs.items() for axis, size in zip("HW", pair)}
