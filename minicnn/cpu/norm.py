"""Batch normalisation and local response normalisation in Numba: the twins of `minicnn/ops/norm.py`.

Batch normalisation reads its input twice: once for the sums, once to compute. The sums are float64 and taken
in pieces that do not depend on the number of threads, so neither do the results. They are sums of x less the
channel's first number, since Σx² − m·μ² would lose all digits where μ is large beside σ. And μ itself is
used as the sum of two numbers, `high + low`, for x − μ loses digits by the rounding of μ alone.

The kernels see the channels-last image as one axis on which the channels repeat. After lcm(C, lanes) numbers, a
period, a channel's number stands again in the same lane of a register. So the constants or sums of one register
serve that register of many periods, and only the end of the image, less than a period, needs masks.

Local response normalisation keeps one pixel's channels in a small buffer with zeros on both sides, so that a
window is a sum of shifted vectors. Backward computes the scales again, for that costs less than to read them.

What limits them: memory; of local response normalisation with a β other than 0.75 the power function. So batch
normalisation goes through a large image in the order of memory: registers that follow one lane through 2 KB keep their
constants longer, but the processor fetches little ahead of them. Results too large for any cache go past the caches.
Forward and backward of a float32 image of 8×64×112×112 (26 MB), on two cores of a Zen 4: 4.6 ms in place of 7.0, and
5.1 if the results did not go past the caches. Of 13 MB, they must not: the ReLU that reads them next loses more.
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
from .threads import flat, kernel, part
from .vectors import lanes, lanes_of, vcopy, vdrain, vfill, vload, vstore, vstream

Array = Any

PIECES = 32  # of a sum at most
BLOCK = 512  # numbers that one register after the other goes through; of very many, none stays in the first cache
LARGE = 1 << 22  # bytes of an image for which memory is the limit
LARGE_BLOCK = 128  # the same for a large image, which is read and written almost in the order of memory
HUGE = 1 << 24  # bytes of a result that leaves the caches before anybody reads it


# batch_norm


@part
def _repeat(values, at, channels, out, to, period):
    """out[to : to + period] = values[at : at + channels], again and again"""
    for start in range(0, period, channels):
        vcopy(values, at, out, to + start, min(channels, period - start))


@kernel
def moments_kernel(first, end, x, shift, sums, pieces, block, period):
    """sums[piece] = Σ (x − shift) and Σ (x − shift)² of each number of a period, over one piece of the periods."""
    periods = len(x) // period
    for piece in range(first, end):
        at, after = piece * 2 * period, (piece + 1) * periods // pieces
        for low in range(piece * periods // pieces, after, block):
            for c in range(0, period, lanes(x)):
                origin = wload(shift, c, x)
                total, squares = wload(sums, at + c, x), wload(sums, at + period + c, x)
                for k in range(low, min(low + block, after)):
                    d = widen(vload(x, k * period + c)) - origin
                    total = total + d
                    squares = squares + d * d
                vstore(sums, at + c, total)
                vstore(sums, at + period + c, squares)
        if piece == pieces - 1:
            for i in range(periods * period, len(x), lanes(x)):
                c, n = i - periods * period, len(x) - i
                d = widen(load(x, i, n)) - wload(shift, c, x)
                store(sums, at + c, wload(sums, at + c, x) + d, n)
                store(sums, at + period + c, wload(sums, at + period + c, x) + d * d, n)


@kernel
def gradient_sums_kernel(first, end, dy, x, mean, sums, pieces, block, period):
    """sums[piece] = Σ dy and Σ dy · (x − μ) of each number of a period, over one piece of the periods."""
    periods = len(x) // period
    for piece in range(first, end):
        at, after = piece * 2 * period, (piece + 1) * periods // pieces
        for low in range(piece * periods // pieces, after, block):
            for c in range(0, period, lanes(x)):
                origin = wload(mean, c, x)
                total, products = wload(sums, at + c, x), wload(sums, at + period + c, x)
                for k in range(low, min(low + block, after)):
                    d = widen(vload(dy, k * period + c))
                    total = total + d
                    products = products + d * (widen(vload(x, k * period + c)) - origin)
                vstore(sums, at + c, total)
                vstore(sums, at + period + c, products)
        if piece == pieces - 1:
            for i in range(periods * period, len(x), lanes(x)):
                c, n = i - periods * period, len(x) - i
                d = widen(load(dy, i, n))
                product = d * (widen(load(x, i, n)) - wload(mean, c, x))
                store(sums, at + c, wload(sums, at + c, x) + d, n)
                store(sums, at + period + c, wload(sums, at + period + c, x) + product, n)


@kernel
def normalise_kernel(first, end, x, constants, y, buffer, shares, block, channels, period, past):
    """y = (x − high − low) · scale + bias; a piece is a share of the periods with its own part of the buffer."""
    periods = len(x) // period
    for share in range(first, end):
        at = 4 * period * share
        for k in range(4):
            _repeat(constants, k * channels, channels, buffer, at + k * period, period)
        after = (share + 1) * periods // shares
        for low in range(share * periods // shares, after, block):
            for c in range(at, at + period, lanes(x)):
                high, rest = vload(buffer, c), vload(buffer, c + period)
                scale, bias = vload(buffer, c + 2 * period), vload(buffer, c + 3 * period)
                for k in range(low, min(low + block, after)):
                    i = k * period + c - at
                    vstream(y, i, (vload(x, i) - high - rest) * scale + bias, past)
        if share == shares - 1:
            for i in range(periods * period, len(x), lanes(x)):
                c, n = at + i - periods * period, len(x) - i
                d = load(x, i, n) - vload(buffer, c) - vload(buffer, c + period)
                store(y, i, d * vload(buffer, c + 2 * period) + vload(buffer, c + 3 * period), n)
        vdrain()


@kernel
def normalise_eval_kernel(
    first, end, x, mean, variance, w, b, eps, y, inverse, buffer, shares, block, channels, period, past
):
    """y = (x − μ) · w / √(σ² + ε) + b; a piece is a share of the periods with its own part of the buffer."""
    periods = len(x) // period
    for share in range(first, end):
        at = 3 * period * share
        for c in range(channels):  # all shares find the same
            inverse[c] = 1.0 / math.sqrt(np.float64(variance[c]) + eps)
            buffer[at + period + c] = inverse[c] * w[c]
        _repeat(mean, 0, channels, buffer, at, period)
        _repeat(buffer, at + period, channels, buffer, at + period, period)
        _repeat(b, 0, channels, buffer, at + 2 * period, period)
        after = (share + 1) * periods // shares
        for low in range(share * periods // shares, after, block):
            for c in range(at, at + period, lanes(x)):
                origin, scale, bias = vload(buffer, c), vload(buffer, c + period), vload(buffer, c + 2 * period)
                for k in range(low, min(low + block, after)):
                    i = k * period + c - at
                    vstream(y, i, (vload(x, i) - origin) * scale + bias, past)
        if share == shares - 1:
            for i in range(periods * period, len(x), lanes(x)):
                c, n = at + i - periods * period, len(x) - i
                d = load(x, i, n) - vload(buffer, c)
                store(y, i, d * vload(buffer, c + period) + vload(buffer, c + 2 * period), n)
        vdrain()


@kernel
def normalise_backward_kernel(first, end, dy, x, constants, dx, buffer, shares, block, channels, period, past):
    """dx = dy · of_dy + (x − high − low) · of_x + constant; a piece is a share with its own part of the buffer."""
    periods = len(x) // period
    for share in range(first, end):
        at = 5 * period * share
        for k in range(5):
            _repeat(constants, k * channels, channels, buffer, at + k * period, period)
        after = (share + 1) * periods // shares
        for low in range(share * periods // shares, after, block):
            for c in range(at, at + period, lanes(x)):
                high, rest, of_dy = vload(buffer, c), vload(buffer, c + period), vload(buffer, c + 2 * period)
                of_x, constant = vload(buffer, c + 3 * period), vload(buffer, c + 4 * period)
                for k in range(low, min(low + block, after)):
                    i = k * period + c - at
                    vstream(dx, i, vload(dy, i) * of_dy + ((vload(x, i) - high - rest) * of_x + constant), past)
        if share == shares - 1:
            for i in range(periods * period, len(x), lanes(x)):
                c, n = at + i - periods * period, len(x) - i
                d = load(x, i, n) - vload(buffer, c) - vload(buffer, c + period)
                d = d * vload(buffer, c + 3 * period) + vload(buffer, c + 4 * period)
                store(dx, i, load(dy, i, n) * vload(buffer, c + 2 * period) + d, n)
        vdrain()


@ieee
def batch_norm_forward(
    x: Array, w: Array | None, b: Array | None, eps: float
) -> tuple[tuple[Array, Array, Array], Any]:
    x = _channels_to_the_end(x)
    count, channels = math.prod(x.shape[:-1]), x.shape[-1]
    shift = np.zeros(channels)
    if count:
        start = x.reshape(count, channels)[0]
        shift = np.where(np.isfinite(start), start, shift)
    total, squares = _sums(moments_kernel, count, shift, x)
    mean = total / max(1, count)
    variance = squares / max(1, count) - mean * mean
    mean += shift
    inverse = 1 / np.sqrt(variance + eps)
    y = _normalised(x, _halves(mean, x.dtype), inverse, w, b)
    return (channels_back(y), mean, variance), (x, mean, inverse, w, b is not None)


@ieee
def batch_norm_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    x, mean, inverse, w, has_bias = cache
    dy = _channels_to_the_end(dy)
    count = math.prod(x.shape[:-1])
    total, slope = _gradient_sums(dy, x, mean, inverse)
    dx = None
    if needs[0]:
        scale = inverse if w is None else inverse * w
        rates = (scale, -scale * inverse * slope / max(1, count), -scale * total / max(1, count))
        dx = np.empty_like(x)
        _normalise(normalise_backward_kernel, (*_halves(mean, x.dtype), *rates), (dy, x), dx)
        dx = channels_back(dx)
    dw = slope.astype(x.dtype) if w is not None and needs[1] else None
    return dx, dw, total.astype(x.dtype) if has_bias and needs[2] else None


def batch_norm_eval_forward(
    x: Array, mean: Array, variance: Array, w: Array | None, b: Array | None, eps: float
) -> tuple[Array, Any]:
    x = _channels_to_the_end(x)
    channels, y = x.shape[-1], np.empty_like(x)
    inverse, period, shares = np.zeros(channels), _period(channels, x.dtype), settings.threads()
    weight = np.ones(channels, x.dtype) if w is None else w
    bias = np.zeros(channels, x.dtype) if b is None else b
    vectors = (np.ascontiguousarray(a) for a in (mean, variance, weight, bias))
    if y.size:
        buffer = np.empty(3 * shares * period, x.dtype)
        normalise_eval_kernel(shares, flat(x), *map(flat, vectors), eps, flat(y), inverse, buffer, shares,
                              _block(period, x), channels, period, _past(y))  # fmt: skip
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
    y = np.empty_like(x)
    scale = inverse if w is None else inverse * w
    bias = np.zeros(x.shape[-1]) if b is None else b
    _normalise(normalise_kernel, (*halves, scale, bias), (x,), y)
    return y


def _normalise(run: Any, constants: tuple[Array, ...], arrays: tuple[Array, ...], y: Array) -> None:
    """Run one of the two kernels with a buffer for each share."""
    channels, dtype, shares = y.shape[-1], y.dtype, settings.threads()
    period = _period(channels, dtype)
    if y.size:
        numbers = np.concatenate(constants).astype(dtype, copy=False)
        buffer = np.empty(len(constants) * shares * period, dtype)
        run(shares, *map(flat, arrays), numbers, flat(y), buffer, shares, _block(period, y), channels, period, _past(y))


def _past(y: Array) -> bool:
    """Return whether the result goes past the caches; it must lie as `vstream` needs it."""
    return y.nbytes >= HUGE and y.ctypes.data % 16 == 0


def _halves(mean: Array, dtype: Any) -> tuple[Array, Array]:
    """Return μ as its rounded value and what that leaves over."""
    high = mean.astype(dtype)
    return high, np.where(np.isfinite(high), mean - high, 0)


def _gradient_sums(dy: Array, x: Array, mean: Array, inverse: Array) -> tuple[Array, Array]:
    """Return Σ dy and Σ dy · x̂ of each channel."""
    total, products = _sums(gradient_sums_kernel, math.prod(x.shape[:-1]), mean, dy, x)
    return total, products * inverse


def _sums(sums_kernel: Any, rows: int, origin: Array, *arrays: Array) -> Array:
    """Return the two sums of each channel that a kernel takes in pieces."""
    channels, pieces = len(origin), min(PIECES, -(-rows // 256))
    period = _period(channels, arrays[0].dtype)
    sums = np.zeros((pieces, 2, period))
    origin = np.resize(origin, period).astype(np.float64, copy=False)
    sums_kernel(pieces, *map(flat, arrays), origin, flat(sums), pieces, _block(period, arrays[0]), period)
    pixels = period // max(1, channels)
    return sums[:, :, : pixels * channels].reshape(pieces, 2, pixels, channels).sum(axis=(0, 2))


def _period(channels: int, dtype: Any) -> int:
    """Return after how many numbers whole pixels end where whole registers end."""
    return math.lcm(max(1, channels), lanes_of(dtype))


def _block(period: int, x: Array) -> int:
    """Return for how many periods the constants or sums of a register stay there."""
    if x.nbytes >= LARGE and period > lanes_of(x.dtype):  # one register alone goes through memory in order anyhow
        return max(1, LARGE_BLOCK // period)
    return max(2, BLOCK // period)


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
