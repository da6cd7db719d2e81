"""Pooling: max_pool2d, avg_pool2d, their adaptive forms, and lp_pool2d as an expression of others.

Each output pixel looks at one window of the image. The window's pixels are its taps: tap (i, j) of output
pixel (p, q) is the image's pixel (p·SH + i·DH − PH, q·SW + j·DW − PW). The definitions loop over the KH × KW
taps and take each for all output pixels at once. Padding is skipped: it never wins and never counts as a 0,
except in the divisor of average pooling with `count_include_pad`.

All arrays inside are (N, H, W, C) views, so the results are channels-last in memory.
Source: LeCun et al. 1989 (subsampling); Krizhevsky et al. 2012, section 3.4 (overlapping windows).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .._device import on
from .._tensor import Tensor
from ..autograd import Function
from ..errors import ShapeError
from ..layout import from_nhwc
from . import arguments
from .arithmetic import ieee
from .conv import window_span
from .elementwise import mul
from .elementwise import pow as power

Array = Any
Pair = tuple[int, int]
Slices = tuple[slice, slice, slice]


def taps(
    image: Pair, output: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Iterator[tuple[int, Slices, Slices]]:
    """Yield each tap's number i·KW + j, the output pixels whose tap lies in the image, and the pixels it takes."""
    for i in range(kernel[0]):
        rows, image_rows = _inside(image[0], output[0], stride[0], i * dilation[0] - padding[0])
        for j in range(kernel[1]):
            columns, image_columns = _inside(image[1], output[1], stride[1], j * dilation[1] - padding[1])
            yield i * kernel[1] + j, (slice(None), rows, columns), (slice(None), image_rows, image_columns)


def _inside(size: int, count: int, stride: int, shift: int) -> tuple[slice, slice]:
    """Return the p in 0 … count − 1 with 0 ≤ p·stride + shift < size, and the places p·stride + shift."""
    first = max(0, -(shift // stride))
    end = max(first, min(count, (size - 1 - shift) // stride + 1))
    start = first * stride + shift
    return slice(first, end), slice(start, start + (end - first) * stride, stride)


# max_pool2d: y[p, q] = the largest of its taps; of equal ones the first in row order, of several nan the last.
# dx[h, w] = Σ dy[p, q] over the windows that (h, w) has won.


@ieee
def max_pool2d_forward(
    x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, output: Pair
) -> tuple[Array, Any]:
    n, c, h, w = x.shape
    x = x.transpose(0, 2, 3, 1)
    nobody = kernel[0] * kernel[1]
    y = np.full((n, *output, c), -np.inf, x.dtype)
    winner = np.full(y.shape, nobody, np.min_scalar_type(nobody))  # the number of the tap: a byte, not an index
    for tap, out, pixels in taps((h, w), output, kernel, stride, padding, dilation):
        value = x[pixels]
        wins = (value > y[out]) | np.isnan(value) | (winner[out] == nobody)  # −inf is a pixel, too
        y[out] = np.where(wins, value, y[out])
        winner[out] = np.where(wins, winner.dtype.type(tap), winner[out])
    return from_nhwc(y), (winner, (h, w), kernel, stride, padding, dilation)


@ieee
def max_pool2d_backward(dy: Array, cache: Any) -> Array:
    winner, image, kernel, stride, padding, dilation = cache
    n, oh, ow, c = winner.shape
    dy = dy.transpose(0, 2, 3, 1)
    dx = np.zeros((n, *image, c), dy.dtype)
    for tap, out, pixels in taps(image, (oh, ow), kernel, stride, padding, dilation):
        dx[pixels] += np.where(winner[out] == tap, dy[out], np.zeros((), dy.dtype))
    return from_nhwc(dx)


def max_pool2d_indices(cache: Any) -> Array:
    """Return where in its plane, at h·W + w, each window's winner lies: (N, C, OH, OW), int64."""
    winner, (_, w), kernel, stride, padding, dilation = cache
    _, oh, ow, _ = winner.shape
    i, j = np.divmod(winner.astype(np.int64), kernel[1])
    rows = np.arange(oh)[:, None, None] * stride[0] + i * dilation[0] - padding[0]
    columns = np.arange(ow)[:, None] * stride[1] + j * dilation[1] - padding[1]
    return from_nhwc(rows * w + columns)


class MaxPool2d(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Array,
        kernel: Pair,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        output: Pair,
        return_indices: bool,
    ) -> Any:
        y, cache = on(ctx.device, max_pool2d_forward)(x, kernel, stride, padding, dilation, output)
        ctx.save(cache)
        return (y, on(ctx.device, max_pool2d_indices)(cache)) if return_indices else y

    @staticmethod
    def backward(ctx: Any, dy: Array, *of_indices: None) -> Any:
        return on(ctx.device, max_pool2d_backward)(dy, ctx.saved)


def max_pool2d(
    input: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest pixel under each window, (N, C, H, W) → (N, C, OH, OW) in channels-last memory.

    `stride` None is the kernel's size. OH = ⌊(H + 2·PH − span) / SH⌋ + 1 with span = DH·(KH − 1) + 1;
    `ceil_mode` rounds up instead, but no window starts behind the image. The padding never wins. Of equal pixels
    the first in row order has the gradient; nan wins over everything.
    With `return_indices` also the winners' places h·W + w in their planes, int64.
    Raises ShapeError for an image without batch axis, without pixels or smaller than the window, for a padding
    above half the kernel, and for windows that hold nothing but padding.
    """
    name = "max_pool2d"
    kernel, stride, padding = _window(name, kernel_size, stride, padding)
    dilation = arguments.pair(name, "dilation", dilation, 1)
    ceil_mode = arguments.flag(name, "ceil_mode", ceil_mode)
    return_indices = arguments.flag(name, "return_indices", return_indices)
    image = _image(name, input)
    output = _output(name, image, kernel, stride, padding, dilation, ceil_mode)
    for size, count, k, s, p, d in zip(image, output, kernel, stride, padding, dilation):
        places = np.arange(count)[:, None] * s + np.arange(k) * d - p
        if not ((places >= 0) & (places < size)).any(axis=1).all():
            raise ShapeError(
                f"{name}: kernel {kernel} with dilation {dilation} and padding {padding} has windows that hold "
                f"no pixel of an image of {image[0]} × {image[1]}"
            )
    return MaxPool2d.apply(input, kernel, stride, padding, dilation, output, return_indices)


# avg_pool2d: y[p, q] = Σ taps / divisor[p, q];  dx[h, w] = Σ dy[p, q] / divisor[p, q] over its windows


@ieee
def avg_pool2d_forward(
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    output: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
) -> tuple[Array, Any]:
    n, c, h, w = x.shape
    x = x.transpose(0, 2, 3, 1)
    divisor = avg_pool2d_divisor((h, w), kernel, stride, padding, output, count_include_pad, divisor_override)
    total = np.zeros((n, *output, c), np.float64)
    for _, out, pixels in taps((h, w), output, kernel, stride, padding, (1, 1)):
        total[out] += x[pixels]
    y = (total / divisor).astype(x.dtype)
    return from_nhwc(y), ((n, c, h, w), divisor, kernel, stride, padding)


@ieee
def avg_pool2d_backward(dy: Array, cache: Any) -> Array:
    (n, c, h, w), divisor, kernel, stride, padding = cache
    share = dy.transpose(0, 2, 3, 1) / divisor.astype(dy.dtype)
    dx = np.zeros((n, h, w, c), dy.dtype)
    for _, out, pixels in taps((h, w), divisor.shape[:2], kernel, stride, padding, (1, 1)):
        dx[pixels] += share[out]
    return from_nhwc(dx)


def avg_pool2d_divisor(
    image: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    output: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:  # (OH, OW, 1)
    """Return what each window's sum is divided by: its pixels, those of the padding counted or not."""
    if divisor_override is not None:
        return np.full((*output, 1), divisor_override)
    counts = []
    for size, count, k, s, p in zip(image, output, kernel, stride, padding):
        start = np.arange(count) * s - p
        low, high = (-p, size + p) if count_include_pad else (0, size)
        counts.append(np.minimum(start + k, high) - np.maximum(start, low))
    return (counts[0][:, None] * counts[1])[:, :, None]


class AvgPool2d(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Array,
        kernel: Pair,
        stride: Pair,
        padding: Pair,
        output: Pair,
        count_include_pad: bool,
        divisor_override: int | None,
    ) -> Array:
        forward = on(ctx.device, avg_pool2d_forward)
        y, ctx.cache = forward(x, kernel, stride, padding, output, count_include_pad, divisor_override)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, avg_pool2d_backward)(dy, ctx.cache)


def avg_pool2d(
    input: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Return the mean under each window, (N, C, H, W) → (N, C, OH, OW) in channels-last memory.

    The sum is divided by the window's pixels: those in the padded image, or with `count_include_pad=False` those
    in the image; or by `divisor_override`. `stride` and `ceil_mode` as in `max_pool2d`.
    Raises ShapeError for an image without batch axis, without pixels or smaller than the window, for a padding
    above half the kernel, and for a divisor of 0.
    """
    name = "avg_pool2d"
    kernel, stride, padding = _window(name, kernel_size, stride, padding)
    ceil_mode = arguments.flag(name, "ceil_mode", ceil_mode)
    count_include_pad = arguments.flag(name, "count_include_pad", count_include_pad)
    if divisor_override is not None and arguments.integer(name, "divisor_override", divisor_override) == 0:
        raise ShapeError(f"{name}: divisor_override is 0, needs another whole number")
    image = _image(name, input)
    output = _output(name, image, kernel, stride, padding, (1, 1), ceil_mode)
    result: Tensor = AvgPool2d.apply(input, kernel, stride, padding, output, count_include_pad, divisor_override)
    return result


# Adaptive pooling: window p of OH runs from ⌊p·H / OH⌋ to ⌈(p + 1)·H / OH⌉, so windows may overlap by a pixel.


def adaptive_windows(size: int, count: int) -> list[slice]:
    """Return the windows along one axis."""
    return [slice(p * size // count, -(-(p + 1) * size // count)) for p in range(count)]


@ieee
def adaptive_avg_pool2d_forward(x: Array, output: Pair) -> tuple[Array, Any]:
    n, c, h, w = x.shape
    x = x.transpose(0, 2, 3, 1)
    y = np.empty((n, *output, c), x.dtype)
    for p, rows in enumerate(adaptive_windows(h, output[0])):
        for q, columns in enumerate(adaptive_windows(w, output[1])):
            y[:, p, q] = x[:, rows, columns].mean(axis=(1, 2), dtype=np.float64)
    return from_nhwc(y), (n, c, h, w)


@ieee
def adaptive_avg_pool2d_backward(dy: Array, cache: Any) -> Array:
    n, c, h, w = cache
    dy = dy.transpose(0, 2, 3, 1)
    dx = np.zeros((n, h, w, c), dy.dtype)
    for p, rows in enumerate(adaptive_windows(h, dy.shape[1])):
        for q, columns in enumerate(adaptive_windows(w, dy.shape[2])):
            pixels = (rows.stop - rows.start) * (columns.stop - columns.start)
            dx[:, rows, columns] += dy[:, p : p + 1, q : q + 1] / dy.dtype.type(pixels)
    return from_nhwc(dx)


class AdaptiveAvgPool2d(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, output: Pair) -> Array:
        y, ctx.cache = on(ctx.device, adaptive_avg_pool2d_forward)(x, output)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, adaptive_avg_pool2d_backward)(dy, ctx.cache)


def adaptive_avg_pool2d(input: Tensor, output_size: int | tuple[int | None, int | None] | None) -> Tensor:
    """Return the means of OH × OW windows that cover the image, (N, C, H, W) → (N, C, OH, OW), channels-last.

    `output_size` is one number or (OH, OW); None keeps the image's size. Window p runs from ⌊p·H / OH⌋ to
    ⌈(p + 1)·H / OH⌉. Raises ShapeError for an image without batch axis or without pixels.
    """
    output = _adaptive_output("adaptive_avg_pool2d", input, output_size)
    result: Tensor = AdaptiveAvgPool2d.apply(input, output)
    return result


@ieee
def adaptive_max_pool2d_forward(x: Array, output: Pair) -> tuple[Array, Any]:
    n, c, h, w = x.shape
    x = x.transpose(0, 2, 3, 1)
    y = np.empty((n, *output, c), x.dtype)
    indices = np.empty(y.shape, np.int64)
    plane = np.arange(h * w).reshape(h, w)
    for p, rows in enumerate(adaptive_windows(h, output[0])):
        for q, columns in enumerate(adaptive_windows(w, output[1])):
            places = plane[rows, columns].reshape(-1)
            window = x[:, rows, columns].reshape(n, len(places), c)
            first = window.argmax(axis=1)
            last_nan = len(places) - 1 - np.isnan(window[:, ::-1]).argmax(axis=1)
            winner = np.where(np.isnan(window).any(axis=1), last_nan, first)
            y[:, p, q] = np.take_along_axis(window, winner[:, None], axis=1)[:, 0]
            indices[:, p, q] = places[winner]
    return from_nhwc(y), (indices, (h, w))


@ieee
def adaptive_max_pool2d_backward(dy: Array, cache: Any) -> Array:
    indices, (h, w) = cache
    n, oh, ow, c = indices.shape
    dy = dy.transpose(0, 2, 3, 1)
    dx = np.zeros((n, h * w, c), dy.dtype)
    image, channel = np.arange(n)[:, None], np.arange(c)
    for p in range(oh):
        for q in range(ow):
            dx[image, indices[:, p, q], channel] += dy[:, p, q]
    return from_nhwc(dx.reshape(n, h, w, c))


class AdaptiveMaxPool2d(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, output: Pair, return_indices: bool) -> Any:
        y, cache = on(ctx.device, adaptive_max_pool2d_forward)(x, output)
        ctx.save(cache)
        return (y, from_nhwc(cache[0])) if return_indices else y

    @staticmethod
    def backward(ctx: Any, dy: Array, *of_indices: None) -> Any:
        return on(ctx.device, adaptive_max_pool2d_backward)(dy, ctx.saved)


def adaptive_max_pool2d(
    input: Tensor, output_size: int | tuple[int | None, int | None] | None, return_indices: bool = False
) -> Any:
    """Return the largest pixels of OH × OW windows that cover the image; windows as in `adaptive_avg_pool2d`.

    (N, C, H, W) → (N, C, OH, OW) in channels-last memory; ties, nan and `return_indices` as in `max_pool2d`.
    Raises ShapeError for an image without batch axis or without pixels.
    """
    return_indices = arguments.flag("adaptive_max_pool2d", "return_indices", return_indices)
    output = _adaptive_output("adaptive_max_pool2d", input, output_size)
    return AdaptiveMaxPool2d.apply(input, output, return_indices)


def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Return the p-norm-like y = (Σ x^p)^(1/p) of the pixels under each window, p = `norm_type`.

    (N, C, H, W) → (N, C, OH, OW). As in PyTorch x^p keeps its sign for odd p, a window cut off by `ceil_mode`
    counts as if its pixels filled it, and a window of zeros has the gradient nan (p > 1).
    Raises ShapeError for p = 0 and where `avg_pool2d` does.
    """
    name = "lp_pool2d"
    p = arguments.number(name, "norm_type", norm_type)
    kernel, stride, _ = _window(name, kernel_size, stride, 0)
    if p == 0:
        raise ShapeError(f"{name}: norm_type is {p}, needs another number")
    ceil_mode = arguments.flag(name, "ceil_mode", ceil_mode)
    output = _output(name, _image(name, input), kernel, stride, (0, 0), (1, 1), ceil_mode)
    means: Tensor = AvgPool2d.apply(power(input, p), kernel, stride, (0, 0), output, True, None)
    return power(mul(means, kernel[0] * kernel[1]), 1 / p)


# Arguments of windows


def _window(
    name: str, kernel_size: int | Pair, stride: int | Pair | None, padding: int | Pair
) -> tuple[Pair, Pair, Pair]:
    kernel = arguments.pair(name, "kernel_size", kernel_size, 1)
    pads = arguments.pair(name, "padding", padding, 0)
    if any(p > k // 2 for p, k in zip(pads, kernel)):
        raise ShapeError(f"{name}: padding {pads} is more than half of kernel {kernel}")
    if stride is None or (isinstance(stride, tuple) and not stride):  # PyTorch's own code writes () for None
        return kernel, kernel, pads
    return kernel, arguments.pair(name, "stride", stride, 1), pads


def _image(name: str, input: Tensor) -> Pair:
    """Return the size of the images, which must have channels and pixels."""
    _, c, h, w = shape = arguments.images(name, input)
    arguments.floats(name, input=input)
    if c * h * w == 0:
        raise ShapeError(f"{name}: input has shape {shape}, needs at least one channel and one pixel")
    return h, w


def _output(name: str, image: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool) -> Pair:
    """Return OH and OW; with `ceil_mode` the last window may leave the image but must start in it or before."""
    counts = []
    for size, k, s, p, d in zip(image, kernel, stride, padding, dilation):
        room = size + 2 * p - window_span(k, d)
        count = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (count - 1) * s >= size + p:
            count -= 1
        counts.append(count)
    if min(counts) < 1:
        span = tuple(window_span(k, d) for k, d in zip(kernel, dilation))
        raise ShapeError(
            f"{name}: kernel {kernel} with dilation {dilation} covers {span[0]} × {span[1]} pixels, "
            f"the padded image has {image[0] + 2 * padding[0]} × {image[1] + 2 * padding[1]}"
        )
    return counts[0], counts[1]


def _adaptive_output(name: str, input: Tensor, output_size: Any) -> Pair:
    image = _image(name, input)
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    if len(wanted) != 2:
        raise ShapeError(f"{name}: output_size has {len(wanted)} numbers {tuple(wanted)}, needs one number or (H, W)")
    h, w = (n if o is None else arguments.integer(name, "output_size", o, 0) for n, o in zip(image, wanted))
    arguments.possible(name, (h, w), arguments.LARGEST)
    return h, w
