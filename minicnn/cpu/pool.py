"""Pooling in Numba: the twins of `minicnn/ops/pool.py`. Windows are tables.

A window is a range of taps along each axis. Which of them lie in the image is worked out once per shape, in
Python, and read from a table by the kernels. So one kernel serves every stride, padding, dilation, `ceil_mode`,
and adaptive pooling. Backward asks from the other side, row by row: each row of the image looks up the rows of windows
that it is in, and they add to it while it is in the first cache. So every pixel is written by one thread, and goes to
memory once.

What limits it: memory, that is to read the input once and to write the output once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..layout import from_nhwc, nhwc
from ..ops.pool import adaptive_windows, avg_pool2d_divisor
from .registers import load, store
from .threads import flat, kernel
from .vectors import I32, I64, lane_mask, lanes, splat, vfill, vload, vstore, vzero

Array = Any
Pair = tuple[int, int]
# The windows along one axis: size, windows, kernel, stride, padding, dilation; of adaptive pooling size, windows.
Axis = tuple[int, ...]


@lru_cache(maxsize=512)
def windows(axis: Axis) -> Array:
    """Return for each window its first pixel in the image, how many of its taps lie there, and the first's number."""
    if len(axis) == 2:
        found = [(pixels.start, pixels.stop - pixels.start, 0) for pixels in adaptive_windows(*axis)]
        return np.array(found, np.int64).reshape(-1)
    size, count, kernel_size, stride, padding, dilation = axis
    start = np.arange(count) * stride - padding
    tap = np.maximum(0, -(start // dilation))  # the first with start + tap · dilation ≥ 0
    end = np.minimum(kernel_size, (size - 1 - start) // dilation + 1)
    return np.stack([start + tap * dilation, end - tap, tap], axis=1).reshape(-1)


@lru_cache(maxsize=512)
def memberships(axis: Axis) -> Array:
    """Return for each pixel the windows that it is in, and as which tap: where its pairs begin, then all pairs."""
    size, dilation = axis[0], axis[-1] if len(axis) > 2 else 1
    pairs: list[list[tuple[int, int]]] = [[] for _ in range(size)]
    for window, (first, taps, tap) in enumerate(windows(axis).reshape(-1, 3).tolist()):
        for i in range(taps):
            pairs[first + i * dilation].append((window, tap + i))
    begin = np.cumsum([0, *map(len, pairs)])
    return np.concatenate([begin, np.array([n for pixel in pairs for pair in pixel for n in pair], np.int64)])


# Vectors of tap numbers: floats in registers, as wide as the pixels; bytes in memory


@intrinsic
def _pick(typingctx: Any, new: Any, old: Any, v: Any, highest: Any) -> Any:
    """`new` where v is larger than the highest so far, or nan; else `old`"""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        new, old, v, highest = args
        wins = builder.or_(builder.fcmp_ordered(">", v, highest), builder.fcmp_unordered("uno", v, v))
        return builder.select(wins, new, old)

    return new(new, old, v, highest), codegen


def _address(context: Any, builder: Any, kind: Any, taps: Any, index: Any, count: int) -> tuple[Any, Any]:
    """Emit the address of `count` tap numbers, and give their type."""
    vec = ir.VectorType(ir.IntType(kind.dtype.bitwidth), count)
    data = context.make_array(kind)(context, builder, taps).data
    return builder.bitcast(builder.gep(data, [index]), vec.as_pointer()), vec


def _masked(builder: Any, name: str, vec: Any, result: Any, args: list[Any]) -> Any:
    kind = ir.FunctionType(result, [a.type for a in args])
    name = f"llvm.masked.{name}.v{vec.count}i{vec.element.width}.p0"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


@intrinsic
def _store_taps(typingctx: Any, taps: Any, index: Any, v: Any, n: Any) -> Any:
    """taps[index : index + lanes] = the whole numbers in v, or only the first n"""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        taps, index, v, n = args
        count = sig.args[2].lanes
        address, vec = _address(context, builder, sig.args[0], taps, index, count)
        numbers = builder.fptoui(v, ir.VectorType(I32, count))
        if vec.element.width < 32:
            numbers = builder.trunc(numbers, vec)
        with builder.if_else(builder.icmp_signed(">=", n, I64(count))) as (whole, partly):
            with whole:
                builder.store(numbers, address, align=1)
            with partly:
                _masked(builder, "store", vec, ir.VoidType(), [numbers, address, I32(1), lane_mask(builder, n, count)])
        return context.get_dummy_value()

    return types.void(taps, types.int64, v, types.int64), codegen


@intrinsic
def _won(typingctx: Any, v: Any, taps: Any, index: Any, tap: Any, n: Any) -> Any:
    """v where taps[index + lane] is this tap, else 0; reads no more than n taps"""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        v, taps, index, tap, n = args
        count = sig.args[0].lanes
        address, vec = _address(context, builder, sig.args[1], taps, index, count)
        with builder.if_else(builder.icmp_signed(">=", n, I64(count))) as (whole, partly):
            with whole:
                all_lanes = builder.load(address, align=1)
                after_whole = builder.block
            with partly:
                nothing, mask = ir.Constant(vec, None), lane_mask(builder, n, count)
                some_lanes = _masked(builder, "load", vec, vec, [address, I32(1), mask, nothing])
                after_partly = builder.block
        winners = builder.phi(vec)
        winners.add_incoming(all_lanes, after_whole)
        winners.add_incoming(some_lanes, after_partly)
        same = builder.icmp_unsigned("==", winners, splat(builder, builder.trunc(tap, vec.element), count))
        return builder.select(same, v, ir.Constant(v.type, None))

    return v(v, taps, types.int64, types.int64, types.int64), codegen


# The kernels: a piece is one row of the output, or backward one row of the input


@kernel
def max_kernel(first, end, x, y, winner, rows, columns, image, output, channels, width, down, right):
    """y and the number i · width + j of the tap that won."""
    (h, w), (oh, ow), L = image, output, lanes(x)
    pairs = channels - channels % (2 * L)  # two registers at once: one waits seven cycles for each comparison
    for piece in range(first, end):
        number, p = piece // oh, piece % oh
        top, high, first_i = rows[3 * p], rows[3 * p + 1], rows[3 * p + 2]
        for q in range(ow):
            left, broad, first_j = columns[3 * q], columns[3 * q + 1], columns[3 * q + 2]
            start = ((number * h + top) * w + left) * channels
            out = (piece * ow + q) * channels
            for c in range(0, pairs, 2 * L):
                highest = highest_2 = vfill(x, -np.inf)
                won = won_2 = vfill(x, first_i * width + first_j)  # all are −inf: the first pixel
                for i in range(high):
                    tap = vfill(x, (first_i + i) * width + first_j)
                    at = start + i * down + c
                    for j in range(broad):
                        v, v_2 = vload(x, at + j * right), vload(x, at + j * right + L)
                        won, won_2 = _pick(tap, won, v, highest), _pick(tap, won_2, v_2, highest_2)
                        highest, highest_2 = _pick(v, highest, v, highest), _pick(v_2, highest_2, v_2, highest_2)
                        tap = tap + 1
                vstore(y, out + c, highest)
                vstore(y, out + c + L, highest_2)
                _store_taps(winner, out + c, won, L)
                _store_taps(winner, out + c + L, won_2, L)
            for c in range(pairs, channels, L):
                n = channels - c
                highest = vfill(x, -np.inf)
                won = vfill(x, first_i * width + first_j)
                for i in range(high):
                    tap = vfill(x, (first_i + i) * width + first_j)
                    at = start + i * down + c
                    for j in range(broad):
                        v = load(x, at + j * right, n)
                        won = _pick(tap, won, v, highest)
                        highest = _pick(v, highest, v, highest)
                        tap = tap + 1
                store(y, out + c, highest, n)
                _store_taps(winner, out + c, won, n)


@kernel
def max_backward_kernel(first, end, dy, winner, dx, rows, columns, image, output, channels, width, right):
    """Each pixel's sum of dy over the windows it has won: a row's windows give to its pixels, one after the other."""
    (h, w), (oh, ow), L = image, output, lanes(dx)
    whole = channels - channels % L
    n = channels - whole
    for piece in range(first, end):
        number, row = piece // h, piece % h
        line = piece * w * channels
        vzero(dx, line, w * channels)
        for a in range(rows[row], rows[row + 1]):
            p, i = rows[h + 1 + 2 * a], rows[h + 2 + 2 * a]
            for q in range(ow):
                left, broad, first_j = columns[3 * q], columns[3 * q + 1], columns[3 * q + 2]
                at, out = ((number * oh + p) * ow + q) * channels, line + left * channels
                for j in range(broad):
                    tap, to = i * width + first_j + j, out + j * right
                    for c in range(0, whole, L):
                        more = _won(vload(dy, at + c), winner, at + c, tap, L)
                        vstore(dx, to + c, vload(dx, to + c) + more)
                    if n > 0:
                        more = _won(load(dy, at + whole, n), winner, at + whole, tap, n)
                        store(dx, to + whole, load(dx, to + whole, n) + more, n)


@kernel
def average_kernel(first, end, x, y, divisor, rows, columns, image, output, channels):
    """y = Σ / divisor."""
    (h, w), (oh, ow) = image, output
    for piece in range(first, end):
        number, p = piece // oh, piece % oh
        top, high = rows[3 * p], rows[3 * p + 1]
        for q in range(ow):
            left, broad = columns[3 * q], columns[3 * q + 1]
            start = ((number * h + top) * w + left) * channels
            out = (piece * ow + q) * channels
            for c in range(0, channels, lanes(x)):
                n = channels - c
                total = vfill(x, 0)
                for i in range(high):
                    line = vfill(x, 0)  # a sum of sums of rows loses less than one long sum
                    at = start + i * w * channels + c
                    for j in range(broad):
                        line = line + load(x, at + j * channels, n)
                    total = total + line
                store(y, out + c, total / vfill(x, divisor[p * ow + q]), n)


@kernel
def average_backward_kernel(first, end, dy, dx, share, rows, columns, image, output, channels):
    """Each pixel's sum of dy · share over the windows it is in."""
    (h, w), (oh, ow), L = image, output, lanes(dx)
    whole = channels - channels % L
    n = channels - whole
    for piece in range(first, end):
        number, row = piece // h, piece % h
        line = piece * w * channels
        vzero(dx, line, w * channels)
        for a in range(rows[row], rows[row + 1]):
            p = rows[h + 1 + 2 * a]
            for q in range(ow):
                left, broad = columns[3 * q], columns[3 * q + 1]
                at, rate = ((number * oh + p) * ow + q) * channels, vfill(dx, share[p * ow + q])
                for j in range(broad):
                    to = line + (left + j) * channels
                    for c in range(0, whole, L):
                        vstore(dx, to + c, vload(dx, to + c) + vload(dy, at + c) * rate)
                    if n > 0:
                        store(dx, to + whole, load(dx, to + whole, n) + load(dy, at + whole, n) * rate, n)


# max_pool2d. The cache is the definition's, so max_pool2d_indices needs no twin.


def max_pool2d_forward(
    x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, output: Pair
) -> tuple[Array, Any]:
    n, c, h, w = x.shape
    rows, columns = map(windows, zip((h, w), output, kernel, stride, padding, dilation))
    y = np.empty((n, *output, c), x.dtype)
    winner = np.empty(y.shape, np.uint8 if kernel[0] * kernel[1] <= 256 else np.uint32)
    step = (dilation[0] * w * c, dilation[1] * c)
    arrays = (flat(nhwc(x)), flat(y), flat(winner))
    max_kernel(n * output[0], *arrays, rows, columns, (h, w), output, c, kernel[1], *step)
    return from_nhwc(y), (winner, (h, w), kernel, stride, padding, dilation)


def max_pool2d_backward(dy: Array, cache: Any) -> Array:
    winner, image, kernel, stride, padding, dilation = cache
    n, oh, ow, c = winner.shape
    axes = tuple(zip(image, (oh, ow), kernel, stride, padding, dilation))
    dx = np.empty((n, *image, c), dy.dtype)
    arrays = (flat(nhwc(dy)), flat(winner), flat(dx), memberships(axes[0]), windows(axes[1]))
    max_backward_kernel(n * image[0], *arrays, image, (oh, ow), c, kernel[1], dilation[1] * c)
    return from_nhwc(dx)


# avg_pool2d and adaptive_avg_pool2d


def avg_pool2d_forward(
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    output: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
) -> tuple[Array, Any]:
    image = x.shape[2:]
    axes = tuple(zip(image, output, kernel, stride, padding, (1, 1)))
    divisor = _divisor(image, kernel, stride, padding, output, count_include_pad, divisor_override)
    return _average(x, output, axes, divisor), (x.shape, output, axes, divisor)


def avg_pool2d_backward(dy: Array, cache: Any) -> Array:
    return _average_backward(dy, *cache)


def adaptive_avg_pool2d_forward(x: Array, output: Pair) -> tuple[Array, Any]:
    axes = tuple(zip(x.shape[2:], output))
    rows, columns = map(windows, axes)
    divisor = np.outer(rows[1::3], columns[1::3])
    return _average(x, output, axes, divisor), (x.shape, output, axes, divisor)


def adaptive_avg_pool2d_backward(dy: Array, cache: Any) -> Array:
    return _average_backward(dy, *cache)


_divisor = lru_cache(maxsize=512)(avg_pool2d_divisor)


def _average(x: Array, output: Pair, axes: tuple[Axis, ...], divisor: Array) -> Array:
    n, c, h, w = x.shape
    y = np.empty((n, *output, c), x.dtype)
    arrays = (flat(nhwc(x)), flat(y), divisor.reshape(-1).astype(x.dtype))
    average_kernel(n * output[0], *arrays, *map(windows, axes), (h, w), output, c)
    return from_nhwc(y)


def _average_backward(dy: Array, shape: tuple[int, ...], output: Pair, axes: tuple[Axis, ...], divisor: Array) -> Array:
    n, c, h, w = shape
    dx = np.empty((n, h, w, c), dy.dtype)
    arrays = (flat(nhwc(dy)), flat(dx), (1 / divisor.reshape(-1)).astype(dy.dtype))
    average_backward_kernel(n * h, *arrays, memberships(axes[0]), windows(axes[1]), (h, w), output, c)
    return from_nhwc(dx)
