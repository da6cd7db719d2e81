"""Convolution on CUDA, twice: as an implicit matrix product, and as im2col with a matrix product.

    with algorithm("im2col"): …        # the readable one; outside, "implicit": the fast one

Both make channels-last images.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..layout import channels_last, nhwc
from ..ops.conv import Needs, Padding, Pair, output_size, transposed_size
from .arrays import contiguous
from .im2col import col2im, im2col
from .implicit import LAUNCHES as LAUNCHES
from .implicit import Window, convolved, filter_gradient, packed_filters
from .matmul import product
from .reduce import sum_columns, sum_to

Array = Any


class _Algorithm:
    name = "implicit"


@contextmanager
def algorithm(name: str) -> Iterator[None]:
    """Convolve inside this block by "implicit" matrix products (the default) or by "im2col"."""
    former, _Algorithm.name = _Algorithm.name, name
    try:
        yield
    finally:
        _Algorithm.name = former


def _bias_gradient(dy: Array) -> Array:
    rows = nhwc(dy)
    return sum_columns(rows.reshape(math.prod(rows.shape[:3]), rows.shape[3]))


def conv2d_forward(
    x: Array, w: Array, b: Array | None, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> tuple[Array, Any]:
    window = Window((w.shape[2], w.shape[3]), stride, padding, dilation, groups)
    h, width = (output_size(*a) for a in zip(x.shape[2:], window.kernel, stride, padding, dilation))
    if _Algorithm.name == "im2col":
        y = _forward_by_im2col(x, w, b, (h, width), window)
    else:
        y = convolved(x, packed_filters(w, groups, turned=False), b, (h, width), window, transposed=False)
    return y, (x, w, b is not None, window)


def conv2d_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    x, w, has_bias, window = cache
    dx = dw = None
    if _Algorithm.name == "im2col":
        dx = _input_gradient_by_im2col(dy, w, x.shape[2:], window) if needs[0] else None
        dw = _filter_gradient_by_im2col(x, dy, w.shape, window) if needs[1] else None
    else:
        if needs[0]:
            packed = packed_filters(w, window.groups, turned=True)
            dx = convolved(dy, packed, None, x.shape[2:], window, transposed=True)
        dw = filter_gradient(x, dy, w.shape, window) if needs[1] else None
    return dx, dw, _bias_gradient(dy) if has_bias and needs[2] else None


def conv_transpose2d_forward(
    x: Array,
    w: Array,
    b: Array | None,
    stride: Pair,
    padding: Pair,
    output_padding: Pair,
    groups: int,
    dilation: Pair,
) -> tuple[Array, Any]:
    kernel = (w.shape[2], w.shape[3])
    pads = ((padding[0], padding[0]), (padding[1], padding[1]))
    window = Window(kernel, stride, pads, dilation, groups)
    size = transposed_size(x.shape[2:], kernel, stride, padding, output_padding, dilation)
    y = convolved(x, packed_filters(w, groups, turned=True), b, size, window, transposed=True)
    return y, (x, w, b is not None, window)


def conv_transpose2d_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    x, w, has_bias, window = cache
    dx = dw = None
    if needs[0]:
        dx = convolved(dy, packed_filters(w, window.groups, turned=False), None, x.shape[2:], window, transposed=False)
    if needs[1]:
        dw = filter_gradient(dy, x, w.shape, window)
    return dx, dw, _bias_gradient(dy) if has_bias and needs[2] else None


# im2col (`unfold`) and its transpose col2im (`fold`)


def unfold_forward(x: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> tuple[Array, Any]:
    window = (kernel, stride, padding, dilation)
    return im2col(x, *window), (x.shape[2:], *window)


def unfold_backward(dcolumns: Array, cache: Any) -> Array:
    return col2im(dcolumns, *cache)


def fold_forward(
    columns: Array, size: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> tuple[Array, Any]:
    window = (kernel, stride, padding, dilation)
    return col2im(columns, size, *window), window


def fold_backward(dx: Array, cache: Any) -> Array:
    return im2col(dx, *cache)


# conv2d by im2col: the definition's lines, each a kernel


def _columns(x: Array, window: Window) -> Array:
    """Return im2col's matrices, (N·G, C/G·KH·KW, OH·OW)."""
    columns = im2col(x, *window[:4])
    n, c, kh, kw, oh, ow = columns.shape
    return columns.reshape(n * window.groups, c // window.groups * kh * kw, oh * ow)


def _filters(w: Array, groups: int) -> Array:
    """Return filters as matrices, (G, O/G, C/G·KH·KW)."""
    return w.reshape(groups, len(w) // groups, -1)


def _output_rows(dy: Array, groups: int) -> Array:
    """Return (N, O, OH, OW) as matrices, (N·G, O/G, OH·OW)."""
    n, o, oh, ow = dy.shape
    return contiguous(dy).reshape(n * groups, o // groups, oh * ow)


def _forward_by_im2col(x: Array, w: Array, b: Array | None, size: Pair, window: Window) -> Array:
    y = product(_columns(x, window), _filters(w, window.groups), b, xt=True, yt=True)  # (N·G, OH·OW, O/G)
    y = y.reshape(len(x), window.groups, *size, len(w) // window.groups).transpose(0, 1, 4, 2, 3)
    return channels_last(y.reshape(len(x), len(w), *size))


def _input_gradient_by_im2col(dy: Array, w: Array, size: Pair, window: Window) -> Array:
    dcolumns = product(_filters(w, window.groups), _output_rows(dy, window.groups), xt=True)
    dcolumns = dcolumns.reshape(len(dy), w.shape[1] * window.groups, *window.kernel, *dy.shape[2:])
    return channels_last(col2im(dcolumns, size, *window[:4]))


def _filter_gradient_by_im2col(x: Array, dy: Array, shape: tuple[int, ...], window: Window) -> Array:
    each = product(_output_rows(dy, window.groups), _columns(x, window), yt=True)  # (N·G, O/G, C/G·KH·KW)
    each = each.reshape(len(x), window.groups, *each.shape[1:])  # one for each image
    return sum_to(each, each.shape[1:]).reshape(shape)
