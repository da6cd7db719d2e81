"""im2col and col2im on CUDA: launches of `kernels/im2col.cu`."""

from __future__ import annotations

from typing import Any

from ..ops.conv import Padding, Pair, output_size
from .arrays import contiguous, empty
from .launch import Family, per_element

Array = Any

LAUNCHES = {"im2col": per_element("n"), "col2im": per_element("n")}
kernels = Family("im2col", LAUNCHES)


def im2col(
    x: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> Array:  # (N, C, H, W) → (N, C, KH, KW, OH, OW)
    n, c, h, w = x.shape
    oh, ow = (output_size(*a) for a in zip((h, w), kernel, stride, padding, dilation))
    columns = empty(x, (n, c, *kernel, oh, ow))
    numbers = _window(kernel, stride, padding, dilation)
    kernels("im2col", x=contiguous(x), columns=columns, H=h, W=w, OH=oh, OW=ow, n=columns.size, **numbers)
    return columns


def col2im(
    columns: Array, size: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> Array:  # (N, C, KH, KW, OH, OW) → (N, C, H, W)
    n, c, _, _, oh, ow = columns.shape
    x = empty(columns, (n, c, *size))
    numbers = _window(kernel, stride, padding, dilation)
    kernels("col2im", columns=contiguous(columns), x=x, H=size[0], W=size[1], OH=oh, OW=ow, n=x.size, **numbers)
    return x


def _window(kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> dict[str, int]:
    """Return a window's sizes as arguments of a kernel; the padding below and right is in the output's size."""
    pairs = {"K": kernel, "S": stride, "P": (padding[0][0], padding[1][0]), "D": dilation}
    return {name + axis: size for name, pair in pairs.items() for axis, size in zip("HW", pair)}
