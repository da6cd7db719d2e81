"""Convolution on the CPU: the twins of `minicnn/ops/conv.py`, and which kernel runs.

The choice is a function of shape, type, vector width and threads alone, so runs stay bit-identical:
one filter per channel → `depthwise.py`;
where `winograd.wins` and `switches.winograd` → `winograd.py`; where `narrow.wins` (few filters per group) →
`narrow.py`; everything else → `direct.py`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..layout import from_nhwc, nhwc
from ..ops.conv import Needs, Padding, Pair, output_size, transposed_size
from . import depthwise, direct, narrow, switches, winograd
from .direct import Shape

Array = Any


@lru_cache(maxsize=512)
def _shape(
    x: tuple[int, ...], w: tuple[int, ...], stride: Pair, padding: Padding, dilation: Pair, groups: int, dtype: Any
) -> Shape:
    (n, c, h, width), (o, _, kh, kw) = x, w
    oh, ow = (output_size(*a) for a in zip((h, width), (kh, kw), stride, padding, dilation))
    return Shape(n, h, width, c, o, (kh, kw), stride, padding, dilation, groups, (oh, ow), dtype)


def conv2d_forward(
    x: Array, w: Array, b: Array | None, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> tuple[Array, Any]:
    s = _shape(x.shape, w.shape, stride, padding, dilation, groups, w.dtype)
    y = _forward(nhwc(x), w, b, s)
    return from_nhwc(y), (x, w, b is not None, s)


def conv2d_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    x, w, has_bias, s = cache
    dy = nhwc(dy)
    dx = from_nhwc(_input_gradient(dy, w, s)) if needs[0] else None
    dw = db = None
    needs_bias = has_bias and needs[2]
    if needs[1]:
        dw, db = _weight_gradient(nhwc(x), dy, s)
    elif needs_bias:
        db = dy.sum(axis=(0, 1, 2))
    return dx, dw, db if needs_bias else None


# The three kernels of a convolution; a transposed convolution exchanges the first two.


def _flattened(s: Shape) -> Shape:
    """A 1 × 1 convolution is a matrix product: all images are one image, one pixel wide."""
    plain = s.kernel == s.stride == (1, 1) and s.padding == ((0, 0), (0, 0))
    return s._replace(N=1, H=s.N * s.H * s.W, W=1, out=(s.N * s.H * s.W, 1)) if plain else s


def _forward(x: Array, w: Array, b: Array | None, s: Shape) -> Array:
    if s.N == 0:
        return np.zeros((0, *s.out, s.O), s.dtype)
    if depthwise.fits(s):
        return depthwise.forward(x, np.ascontiguousarray(w), b, s)
    if switches.winograd and winograd.wins(s, gradient=False):
        return winograd.forward(x, np.ascontiguousarray(w), b, s)
    if narrow.wins(s):
        return narrow.forward(x, np.ascontiguousarray(w), b, s)
    return direct.forward(x, np.ascontiguousarray(w), b, _flattened(s)).reshape(s.N, *s.out, s.O)


def _input_gradient(dy: Array, w: Array, s: Shape, b: Array | None = None) -> Array:
    if s.N == 0:
        return np.zeros((0, s.H, s.W, s.C), s.dtype)
    if depthwise.fits(s):
        return depthwise.input_gradient(dy, np.ascontiguousarray(w), s, b)
    if switches.winograd and winograd.wins(s):
        return winograd.input_gradient(dy, np.ascontiguousarray(w), s, b)
    if narrow.wins(s, transpose=True):
        return narrow.input_gradient(dy, np.ascontiguousarray(w), s, b)
    return direct.input_gradient(dy, np.ascontiguousarray(w), _flattened(s), b).reshape(s.N, s.H, s.W, s.C)


def _weight_gradient(x: Array, dy: Array, s: Shape) -> tuple[Array, Array]:
    if s.N == 0:
        return np.zeros((s.O, s.C // s.groups, *s.kernel), s.dtype), np.zeros(s.O, s.dtype)
    if depthwise.fits(s):
        return depthwise.weight_gradient(x, dy, s)
    if switches.winograd and winograd.wins(s):
        return winograd.weight_gradient(x, dy, s)
    if narrow.gradient_wins(s):
        return narrow.weight_gradient(x, dy, s)
    return direct.weight_gradient(x, dy, _flattened(s))


# Transposed convolution


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
    (n, c, h, width), (_, og, kh, kw) = x.shape, w.shape
    pads = ((padding[0], padding[0]), (padding[1], padding[1]))
    high, wide = transposed_size((h, width), (kh, kw), stride, padding, output_padding, dilation)
    s = Shape(n, high, wide, og * groups, c, (kh, kw), stride, pads, dilation, groups, (h, width), w.dtype)
    y = _input_gradient(nhwc(x), w, s, b)
    return from_nhwc(y), (x, w, b is not None, s)


def conv_transpose2d_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    x, w, has_bias, s = cache
    dy = nhwc(dy)
    dx = from_nhwc(_forward(dy, w, None, s)) if needs[0] else None
    dw = _weight_gradient(dy, nhwc(x), s)[0] if needs[1] else None
    db = dy.sum(axis=(0, 1, 2)) if has_bias and needs[2] else None
    return dx, dw, db
