"""Batch normalisation and local response normalisation in Numba: the twins of `minicnn/ops/norm.py`.

Batch normalisation reads its input twice: once for the sums, once to compute. The sums are float64 and taken
in pieces that do not depend on the number of threads, so neither do the results. They are sums of x less the
channel's first number, since Σx² − m·μ² would lose all digits where μ is large beside σ. And μ itself is
used as the sum of two numbers, `high + low`, for x − μ loses digits by the rounding of μ alone.

Local response normalisation keeps one pixel's channels in a small buffer with zeros on both sides, so that a
window is a sum of shifted vectors. Backward computes the scales again, for that costs less than to read them.

What limits them: memory; of local response normalisation with a β other than 0.75 the power function.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..layout import nhwc
from ..ops.arithmetic import ieee
from ..ops.norm import Needs, channels_back, channels_to_the_end
from . import settings
from .registers import load, store, vsqrt, widen, wload
from .threads import flat, kernel, part, scratch
from .vectors import lanes, lanes_of, vfill, vload, vstore

Array = Any

PIECES = 32  # of a sum at most
BLOCK = 256  # numbers of a block of rows, whose sums stay in registers; more than one page defeats prefetching


# batch_norm


@kernel
def moments_kernel(first, end, x, shift, sums, pieces, block, rows, channels, padded):
    """sums[piece] = Σ (x − shift) and Σ (x − shift)² of each channel, over one piece of the rows."""
    for piece in range(first, end):
        at, after = piece * 2 * padded, (piece + 1) * rows // pieces
        for low in range(piece * rows // pieces, after, block):
            for c in range(0, channels, lanes(x)):
                n = channels - c
                origin = wload(shift, c, x)
                total, squares = wload(sums, at + c, x), wload(sums, at + padded + c, x)
                for row in range(low, min(low + block, after)):
                    d = widen(load(x, row * channels + c, n)) - origin
                    total = total + d
                    squares = squares + d * d
                vstore(sums, at + c, total)
                vstore(sums, at + padded + c, squares)


@kernel
def gradient_sums_kernel(first, end, dy, x, mean, sums, pieces, block, rows, channels, padded):
    """sums[piece] = Σ dy and Σ dy · (x − μ) of each channel, over one piece of the rows."""
    for piece in range(first, end):
        at, after = piece * 2 * padded, (piece + 1) * rows // pieces
        for low in range(piece * rows // pieces, after, block):
            for c in range(0, channels, lanes(x)):
                n = channels - c
                origin = wload(mean, c, x)
                total, products = wload(sums, at + c, x), wload(sums, at + padded + c, x)
                for row in range(low, min(low + block, after)):
                    d = widen(load(dy, row * channels + c, n))
                    total = total + d
                    products = products + d * (widen(load(x, row * channels + c, n)) - origin)
                vstore(sums, at + c, total)
                vstore(sums, at + padded + c, products)


@kernel
def normalise_kernel(first, end, x, high, low, scale, bias, y, channels):
    """y = (x − high − low) · scale + bias; a piece is a row."""
    for row in range(first, end):
        for c in range(0, channels, lanes(x)):
            n, i = channels - c, row * channels + c
            d = load(x, i, n) - load(high, c, n) - load(low, c, n)
            store(y, i, d * load(scale, c, n) + load(bias, c, n), n)


@kernel
def normalise_eval_kernel(first, end, x, mean, variance, w, b, eps, y, inverse, scale, shares, rows, channels, padded):
    """y = (x − μ) · w / √(σ² + ε) + b; a piece is a share of the rows with its own scales (all find the same)."""
    for share in range(first, end):
        own = share * padded
        for c in range(channels):
            inverse[c] = 1.0 / math.sqrt(np.float64(variance[c]) + eps)
            scale[own + c] = inverse[c] * w[c]
        for row in range(share * rows // shares, (share + 1) * rows // shares):
            for c in range(0, channels, lanes(x)):
                n, i = channels - c, row * channels + c
                store(y, i, (load(x, i, n) - load(mean, c, n)) * vload(scale, own + c) + load(b, c, n), n)


@kernel
def normalise_backward_kernel(first, end, dy, x, high, low, of_dy, of_x, constant, dx, channels):
    """dx = dy · of_dy + (x − high − low) · of_x + constant; a piece is a row."""
    for row in range(first, end):
        for c in range(0, channels, lanes(x)):
            n, i = channels - c, row * channels + c
            d = load(x, i, n) - load(high, c, n) - load(low, c, n)
            store(dx, i, load(dy, i, n) * load(of_dy, c, n) + (d * load(of_x, c, n) + load(constant, c, n)), n)


@ieee
def batch_norm_forward(
    x: Array, w: Array | None, b: Array | None, eps: float
) -> tuple[tuple[Array, Array, Array], Any]:
    x = _channels_to_the_end(x)
    count, channels = math.prod(x.shape[:-1]), x.shape[-1]
    shift = np.zeros(_padded(channels, x.dtype))
    if count:
        start = x.reshape(count, channels)[0]
        shift[:channels] = np.where(np.isfinite(start), start, 0)
    total, squares = _sums(moments_kernel, x.dtype, count, channels, flat(x), shift)
    mean = total / max(1, count)
    variance = squares / max(1, count) - mean * mean
    mean += shift[:channels]
    inverse = 1 / np.sqrt(variance + eps)
    y = _normalised(x, _halves(mean, x.dtype), inverse, w, b)
    return (channels_back(y), mean, variance), (x, mean, inverse, w, b is not None)


@ieee
def batch_norm_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    x, mean, inverse, w, has_bias = cache
    dy = _channels_to_the_end(dy)
    count, channels = math.prod(x.shape[:-1]), x.shape[-1]
    total, slope = _gradient_sums(dy, x, mean, inverse)
    dx = None
    if needs[0]:
        scale = inverse if w is None else inverse * w
        rates = (scale, -scale * inverse * slope / max(1, count), -scale * total / max(1, count))
        dx = np.empty_like(x)
        constants = (a.astype(x.dtype) for a in (*_halves(mean, x.dtype), *rates))
        normalise_backward_kernel(count, flat(dy), flat(x), *constants, flat(dx), channels)
        dx = channels_back(dx)
    dw = slope.astype(x.dtype) if w is not None and needs[1] else None
    return dx, dw, total.astype(x.dtype) if has_bias and needs[2] else None


def batch_norm_eval_forward(
    x: Array, mean: Array, variance: Array, w: Array | None, b: Array | None, eps: float
) -> tuple[Array, Any]:
    x = _channels_to_the_end(x)
    channels, rows, y = x.shape[-1], math.prod(x.shape[:-1]), np.empty_like(x)
    inverse, padded, shares = np.zeros(channels), _padded(channels, x.dtype), min(settings.threads(), rows)
    weight = np.ones(channels, x.dtype) if w is None else w
    bias = np.zeros(channels, x.dtype) if b is None else b
    vectors = (np.ascontiguousarray(a) for a in (mean, variance, weight, bias))
    with scratch(max(1, shares) * padded, x.dtype) as scale:
        normalise_eval_kernel(shares, flat(x), *map(flat, vectors), eps, flat(y), inverse, scale, shares, rows,
                              channels, padded)  # fmt: skip
    return channels_back(y), (x, mean, inverse, w, b is not None)


@ieee
def batch_norm_eval_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    x, mean, inverse, w, has_bias = cache
    dy = _channels_to_the_end(dy)
    dx = dw = db = None
    if needs[0]:
        dx = channels_back(_normalised(dy, (np.zeros_like(mean),) * 2, inverse, w, None))
    if (w is not None and needs[1]) or (has_bias and needs[2]):
        total, slope = _gradient_sums(dy, x, mean, inverse)
        dw = slope.astype(x.dtype) if w is not None and needs[1] else None
        db = total.astype(x.dtype) if has_bias and needs[2] else None
    return dx, dw, db


def _normalised(x: Array, halves: tuple[Array, Array], inverse: Array, w: Array | None, b: Array | None) -> Array:
    """Return w · (x − μ) · inverse + b for x of (N, …, C); μ is the sum of two numbers."""
    channels, y = x.shape[-1], np.empty_like(x)
    scale = inverse if w is None else inverse * w
    bias = np.zeros(channels) if b is None else b
    constants = (flat(a.astype(x.dtype, order="C", copy=False)) for a in (*halves, scale, bias))
    normalise_kernel(math.prod(x.shape[:-1]), flat(x), *constants, flat(y), channels)
    return y


def _halves(mean: Array, dtype: Any) -> tuple[Array, Array]:
    """Return μ as its rounded value and what that leaves over."""
    high = mean.astype(dtype)
    return high, np.where(np.isfinite(high), mean - high, 0)


def _gradient_sums(dy: Array, x: Array, mean: Array, inverse: Array) -> tuple[Array, Array]:
    """Return Σ dy and Σ dy · x̂ of each channel."""
    count, channels = math.prod(x.shape[:-1]), x.shape[-1]
    origin = np.zeros(_padded(channels, x.dtype))
    origin[:channels] = mean
    total, products = _sums(gradient_sums_kernel, x.dtype, count, channels, flat(dy), flat(x), origin)
    return total, products * inverse


def _sums(sums_kernel: Any, dtype: Any, rows: int, channels: int, *arrays: Array) -> Array:
    """Return the two sums of each channel that a kernel takes in pieces."""
    padded, pieces = _padded(channels, dtype), min(PIECES, -(-rows // 256))
    sums = np.zeros((pieces, 2, padded))
    sums_kernel(pieces, *arrays, flat(sums), pieces, _block(channels), rows, channels, padded)
    return sums.sum(axis=0)[:, :channels]


def _block(channels: int) -> int:
    """Return how many rows are summed in registers, channels by channels."""
    return max(2, BLOCK // max(1, channels))


def _padded(channels: int, dtype: Any) -> int:
    """Return the channels rounded up to whole registers."""
    return -(-channels // lanes_of(dtype)) * lanes_of(dtype)


def _channels_to_the_end(x: Array) -> Array:
    return nhwc(x) if x.ndim == 4 else channels_to_the_end(x)


# local_response_norm


@part
def _scales(x, at, channels, before, window, ratio, k, beta, buffer, base, size):
    """s_c and s_c^−β of the pixel at x[at], into parts 1 and 2 of the buffer; part 0 holds the squares."""
    for c in range(0, channels, lanes(x)):
        v = load(x, at + c, channels - c)
        vstore(buffer, base + before + c, v * v)
    for c in range(0, channels, lanes(x)):
        total = vload(buffer, base + c)
        for shift in range(1, window):
            total = total + vload(buffer, base + c + shift)
        s = total * vfill(x, ratio) + vfill(x, k)
        vstore(buffer, base + size + c, s)
        if beta == 0.75:  # two roots are ten times faster than a power
            root = vsqrt(s)
            vstore(buffer, base + 2 * size + c, vfill(x, 1) / (root * vsqrt(root)))
    if beta != 0.75:
        for c in range(channels):
            buffer[base + 2 * size + c] = buffer[base + size + c] ** -beta


@kernel
def response_kernel(first, end, x, y, shares, rows, channels, before, window, ratio, k, beta, buffer, size):
    """y_c = x_c · s_c^−β; a piece is a share of the pixels with its own part of the buffer."""
    for share in range(first, end):
        base = 4 * size * share
        for row in range(share * rows // shares, (share + 1) * rows // shares):
            at = row * channels
            _scales(x, at, channels, before, window, ratio, k, beta, buffer, base, size)
            for c in range(0, channels, lanes(x)):
                n = channels - c
                store(y, at + c, load(x, at + c, n) * vload(buffer, base + 2 * size + c), n)


@kernel
def response_backward_kernel(
    first, end, dy, x, dx, shares, rows, channels, before, window, ratio, k, beta, buffer, size
):
    """dx_j = dy_j · s_j^−β − 2β·ratio · x_j · Σ dy_c · x_c · s_c^−β / s_c over the windows c that hold j."""
    for share in range(first, end):
        base = 4 * size * share
        products = base + 3 * size
        for row in range(share * rows // shares, (share + 1) * rows // shares):
            at = row * channels
            _scales(x, at, channels, before, window, ratio, k, beta, buffer, base, size)
            for c in range(0, channels, lanes(x)):
                n = channels - c
                v = load(dy, at + c, n) * load(x, at + c, n)
                v = v * vload(buffer, base + 2 * size + c) / vload(buffer, base + size + c)
                store(buffer, products + window - 1 - before + c, v, n)
            for c in range(0, channels, lanes(x)):
                n = channels - c
                total = vload(buffer, products + c)
                for shift in range(1, window):
                    total = total + vload(buffer, products + c + shift)
                direct = load(dy, at + c, n) * vload(buffer, base + 2 * size + c)
                indirect = vfill(x, 2 * beta * ratio) * load(x, at + c, n) * total
                store(dx, at + c, direct - indirect, n)


def local_response_norm_forward(x: Array, size: int, alpha: float, beta: float, k: float) -> tuple[Array, Any]:
    x = _channels_to_the_end(x)
    y = np.empty_like(x)
    _respond(response_kernel, (flat(x), flat(y)), x, size, alpha, beta, k)
    return channels_back(y), (x, size, alpha, beta, k)


def local_response_norm_backward(dy: Array, cache: Any) -> Array:
    x, *options = cache
    dx = np.empty_like(x)
    _respond(response_backward_kernel, (flat(_channels_to_the_end(dy)), flat(x), flat(dx)), x, *options)
    return channels_back(dx)


def _respond(run: Any, arrays: tuple[Array, ...], x: Array, size: int, alpha: float, beta: float, k: float) -> None:
    """Run one of the two kernels with a buffer for each share."""
    rows, channels, number = math.prod(x.shape[:-1]), x.shape[-1], x.dtype.type
    before, behind = min(size // 2, channels), min((size - 1) // 2, channels)
    length = before + _padded(channels, x.dtype) + behind
    shares = min(settings.threads(), rows)
    buffer = np.zeros(4 * shares * length, x.dtype)
    constants = (number(alpha / size), number(k), number(beta))
    run(shares, *arrays, shares, rows, channels, before, before + 1 + behind, *constants, buffer, length)
