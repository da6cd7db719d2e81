"""Convolution: conv2d, its transpose conv_transpose2d, and im2col / col2im as operations of their own.

The definition is the textbook's: lay the window under each output pixel out as one row of a matrix
(im2col), and the convolution is one matrix product; walk the same way back for the gradients.

    y[n, o, p, q] = b[o] + Σ_{c, i, j}  w[o, c, i, j] · x[n, c, p·SH + i·DH − PH, q·SW + j·DW − PW]

Letters: N images, C channels, H × W pixels; O filters of KH × KW; stride SH SW, padding PH PW, dilation
DH DW, G groups; OH × OW output pixels. Strictly this is a cross-correlation, as everywhere in the field.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._device import on
from .._tensor import Tensor
from ..autograd import Function
from ..errors import ShapeError
from ..layout import from_nhwc
from . import arguments
from .arithmetic import ieee

Array = Any
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]  # (top, bottom), (left, right)
Needs = tuple[bool, ...]


def window_span(kernel: int, dilation: int) -> int:
    """Return how many pixels a dilated window covers from its first to its last one."""
    return dilation * (kernel - 1) + 1


def output_size(size: int, kernel: int, stride: int, padding: Pair, dilation: int) -> int:
    """Return how many windows fit: OH = ⌊(H + padding − span) / stride⌋ + 1."""
    return (size + padding[0] + padding[1] - window_span(kernel, dilation)) // stride + 1


# im2col (`unfold`) and its transpose col2im (`fold`)


def unfold_forward(
    x: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> tuple[Array, Any]:  # (N, C, H, W) → (N, C, KH, KW, OH, OW)
    (n, c, h, w), (kh, kw), (sh, sw), (dh, dw) = x.shape, kernel, stride, dilation
    oh, ow = (output_size(*a) for a in zip((h, w), kernel, stride, padding, dilation))
    padded = np.pad(x, ((0, 0), (0, 0), *padding))
    columns = np.empty((n, c, kh, kw, oh, ow), x.dtype)
    for i in range(kh):
        for j in range(kw):
            top, left = i * dh, j * dw
            columns[:, :, i, j] = padded[:, :, top : top + sh * oh : sh, left : left + sw * ow : sw]
    return columns, ((h, w), kernel, stride, padding, dilation)


def unfold_backward(dcolumns: Array, cache: Any) -> Array:
    dx, _ = fold_forward(dcolumns, *cache)
    return dx


def fold_forward(
    columns: Array, size: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> tuple[Array, Any]:  # (N, C, KH, KW, OH, OW) → (N, C, H, W): each pixel sums over the windows it is in
    n, c, kh, kw, oh, ow = columns.shape
    (h, w), (sh, sw), (dh, dw), ((pt, pb), (pl, pr)) = size, stride, dilation, padding
    padded = np.zeros((n, c, h + pt + pb, w + pl + pr), columns.dtype)
    for i in range(kh):
        for j in range(kw):
            top, left = i * dh, j * dw
            padded[:, :, top : top + sh * oh : sh, left : left + sw * ow : sw] += columns[:, :, i, j]
    return padded[:, :, pt : pt + h, pl : pl + w], (kernel, stride, padding, dilation)


def fold_backward(dx: Array, cache: Any) -> Array:
    dcolumns, _ = unfold_forward(dx, *cache)
    return dcolumns


class Unfold(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Array:
        columns, ctx.cache = on(ctx.device, unfold_forward)(x, kernel, stride, padding, dilation)
        ctx.shape = columns.shape
        n, c, kh, kw, oh, ow = columns.shape
        return columns.reshape(n, c * kh * kw, oh * ow)

    @staticmethod
    def backward(ctx: Any, dcolumns: Array) -> Any:
        return on(ctx.device, unfold_backward)(dcolumns.reshape(ctx.shape), ctx.cache)


class Fold(Function):
    @staticmethod
    def forward(
        ctx: Any, columns: Array, size: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
    ) -> Array:
        ctx.shape = columns.shape
        oh, ow = (output_size(*a) for a in zip(size, kernel, stride, padding, dilation))
        columns = columns.reshape(len(columns), -1, *kernel, oh, ow)
        x, ctx.cache = on(ctx.device, fold_forward)(columns, size, kernel, stride, padding, dilation)
        return x

    @staticmethod
    def backward(ctx: Any, dx: Array) -> Any:
        return on(ctx.device, fold_backward)(dx, ctx.cache).reshape(ctx.shape)


def unfold(
    input: Tensor, kernel_size: int | Pair, dilation: int | Pair = 1, padding: int | Pair = 0, stride: int | Pair = 1
) -> Tensor:
    """Return im2col: the window under each output pixel as one column.

    (N, C, H, W) → (N, C·KH·KW, OH·OW). The gradient is col2im: overlapping windows add up.
    Raises ShapeError for an image without batch axis and for a window larger than the padded image.
    """
    kernel, strides, pads, dilations = _window("unfold", kernel_size, stride, padding, dilation)
    shape = arguments.images("unfold", input)
    arguments.floats("unfold", input=input)
    _check_fits("unfold", shape[2:], kernel, pads, dilations)
    result: Tensor = Unfold.apply(input, kernel, strides, pads, dilations)
    return result


def fold(
    input: Tensor,
    output_size: int | Pair,
    kernel_size: int | Pair,
    dilation: int | Pair = 1,
    padding: int | Pair = 0,
    stride: int | Pair = 1,
) -> Tensor:
    """Return col2im: columns put back where im2col took them, overlaps added up.

    (N, C·KH·KW, OH·OW) → (N, C, H, W) with (H, W) = `output_size`.
    Raises ShapeError when the columns do not belong to such an image.
    """
    size = arguments.pair("fold", "output_size", output_size, 1)
    kernel, strides, pads, dilations = _window("fold", kernel_size, stride, padding, dilation)
    arguments.floats("fold", input=input)
    _check_fits("fold", size, kernel, pads, dilations)
    windows = [_output_size(*a) for a in zip(size, kernel, strides, pads, dilations)]
    if input.ndim != 3 or input.shape[1] % (kernel[0] * kernel[1]) or input.shape[2] != windows[0] * windows[1]:
        raise ShapeError(
            f"fold: input has shape {input.shape}, needs (N, C·{kernel[0]}·{kernel[1]}, {windows[0]}·{windows[1]}): "
            f"an image of {size} has {windows[0]} × {windows[1]} windows of {kernel}"
        )
    result: Tensor = Fold.apply(input, size, kernel, strides, pads, dilations)
    return result


_output_size = output_size  # `fold` has an argument of this name


# conv2d


@ieee
def conv2d_forward(
    x: Array, w: Array, b: Array | None, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> tuple[Array, Any]:
    n, g, (o, _, kh, kw) = len(x), groups, w.shape
    columns, _ = unfold_forward(x, (kh, kw), stride, padding, dilation)
    oh, ow = columns.shape[-2:]
    rows = _rows(columns, g)  # (G, N·OH·OW, C/G·KH·KW)
    y = rows @ w.reshape(g, o // g, -1).transpose(0, 2, 1)  # (G, N·OH·OW, O/G)
    y = y.transpose(1, 0, 2).reshape(n, oh, ow, o)  # channels last: the product's own order
    if b is not None:
        y = y + b
    return from_nhwc(y), (x, w, b is not None, stride, padding, dilation, groups)


@ieee
def conv2d_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    x, w, has_bias, stride, padding, dilation, g = cache
    (o, cg, kh, kw), (n, _, oh, ow) = w.shape, dy.shape
    dy_rows = dy.transpose(0, 2, 3, 1).reshape(n * oh * ow, g, o // g).transpose(1, 0, 2)  # (G, N·OH·OW, O/G)
    dx = dw = db = None
    if needs[0]:
        drows = dy_rows @ w.reshape(g, o // g, -1)  # (G, N·OH·OW, C/G·KH·KW)
        dcolumns = drows.reshape(g, n, oh, ow, cg, kh, kw).transpose(1, 0, 4, 5, 6, 2, 3)
        dcolumns = dcolumns.reshape(n, g * cg, kh, kw, oh, ow)
        dx, _ = fold_forward(dcolumns, x.shape[2:], (kh, kw), stride, padding, dilation)
    if needs[1]:
        columns, _ = unfold_forward(x, (kh, kw), stride, padding, dilation)  # again: keeping it costs KH·KW × x
        dw = (dy_rows.transpose(0, 2, 1) @ _rows(columns, g)).reshape(w.shape)
    if has_bias and needs[2]:
        db = dy.sum(axis=(0, 2, 3))
    return dx, dw, db


def _rows(columns: Array, groups: int) -> Array:
    """Return im2col's windows as rows: (N, C, KH, KW, OH, OW) → (G, N·OH·OW, C/G·KH·KW)."""
    n, c, kh, kw, oh, ow = columns.shape
    columns = columns.reshape(n, groups, c // groups, kh, kw, oh, ow)
    return columns.transpose(1, 0, 5, 6, 2, 3, 4).reshape(groups, n * oh * ow, (c // groups) * kh * kw)


class Conv2d(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Array, w: Array, b: Array | None, stride: Pair, padding: Padding, dilation: Pair, groups: int
    ) -> Array:
        y, cache = on(ctx.device, conv2d_forward)(x, w, b, stride, padding, dilation, groups)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, conv2d_backward)(dy, ctx.saved, ctx.needs_input_grad[:3])


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Return the 2-D convolution of a batch of images with O filters.

    (N, C, H, W), weight (O, C/groups, KH, KW), bias (O,) → (N, O, OH, OW) in channels-last memory.
    `padding` is a number, (PH, PW), "valid" (none) or "same" (OH = H, OW = W; stride 1 only).
    Raises ShapeError for shapes that do not fit together and a window larger than the padded image,
    DTypeError for integers or mixed types.
    """
    name = "conv2d"
    shape = arguments.images(name, input)
    if len(arguments.tensor(name, "weight", weight).shape) != 4:
        raise ShapeError(f"{name}: weight has shape {weight.shape}, needs (O, C/groups, KH, KW)")
    arguments.floats(name, input=input, weight=weight, bias=bias)
    o, c, *kernel = weight.shape
    stride, dilation = arguments.pair(name, "stride", stride, 1), arguments.pair(name, "dilation", dilation, 1)
    groups = arguments.integer(name, "groups", groups, 1)
    pads = _padding(name, padding, (kernel[0], kernel[1]), stride, dilation)
    if shape[1] != c * groups:
        raise ShapeError(
            f"{name}: input has {shape[1]} channels, weight {weight.shape} with groups={groups} needs {c * groups}"
        )
    if o % groups or o == 0:
        raise ShapeError(f"{name}: weight {weight.shape} has {o} filters, they must divide into groups={groups}")
    if bias is not None and bias.shape != (o,):
        raise ShapeError(f"{name}: bias has shape {bias.shape}, weight {weight.shape} needs ({o},)")
    _check_fits(name, shape[2:], (kernel[0], kernel[1]), pads, dilation)
    result: Tensor = Conv2d.apply(input, weight, bias, stride, pads, dilation, groups)
    return result


# conv_transpose2d: the input gradient of a convolution, as an operation.
# y[n, o, h, w] = b[o] + Σ x[n, c, p, q] · w[c, o, i, j] over all p·SH + i·DH − PH = h, q·SW + j·DW − PW = w


@ieee
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
    (n, c, h, width), (_, og, kh, kw), g = x.shape, w.shape, groups
    pads = ((padding[0], padding[0]), (padding[1], padding[1]))
    size = transposed_size((h, width), (kh, kw), stride, padding, output_padding, dilation)
    x_rows = x.reshape(n, g, c // g, h * width).transpose(1, 0, 3, 2).reshape(g, n * h * width, c // g)
    rows = x_rows @ w.reshape(g, c // g, og * kh * kw)  # (G, N·H·W, O/G·KH·KW)
    columns = rows.reshape(g, n, h, width, og, kh, kw).transpose(1, 0, 4, 5, 6, 2, 3)
    y, _ = fold_forward(columns.reshape(n, g * og, kh, kw, h, width), size, (kh, kw), stride, pads, dilation)
    if b is not None:
        y = y + b[:, None, None]
    return y, (x, w, b is not None, stride, pads, dilation, groups)


@ieee
def conv_transpose2d_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    x, w, has_bias, stride, pads, dilation, g = cache
    (n, c, h, width), (_, og, kh, kw) = x.shape, w.shape
    columns, _ = unfold_forward(dy, (kh, kw), stride, pads, dilation)
    rows = _rows(columns[..., :h, :width], g)  # (G, N·H·W, O/G·KH·KW)
    dx = dw = db = None
    if needs[0]:
        dx_rows = rows @ w.reshape(g, c // g, og * kh * kw).transpose(0, 2, 1)  # (G, N·H·W, C/G)
        dx = from_nhwc(dx_rows.transpose(1, 0, 2).reshape(n, h, width, c))
    if needs[1]:
        x_rows = x.reshape(n, g, c // g, h * width).transpose(1, 2, 0, 3).reshape(g, c // g, n * h * width)
        dw = (x_rows @ rows).reshape(w.shape)
    if has_bias and needs[2]:
        db = dy.sum(axis=(0, 2, 3))
    return dx, dw, db


def transposed_size(
    size: Pair, kernel: Pair, stride: Pair, padding: Pair, output_padding: Pair, dilation: Pair
) -> Pair:
    """Return the output's size: (H − 1) · stride − 2 · padding + span + output_padding."""
    h, w = (
        (n - 1) * s - 2 * p + window_span(k, d) + extra
        for n, k, s, p, extra, d in zip(size, kernel, stride, padding, output_padding, dilation)
    )
    return h, w


class ConvTranspose2d(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Array,
        w: Array,
        b: Array | None,
        stride: Pair,
        padding: Pair,
        output_padding: Pair,
        groups: int,
        dilation: Pair,
    ) -> Array:
        forward = on(ctx.device, conv_transpose2d_forward)
        y, cache = forward(x, w, b, stride, padding, output_padding, groups, dilation)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, conv_transpose2d_backward)(dy, ctx.saved, ctx.needs_input_grad[:3])


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    groups: int = 1,
    dilation: int | Pair = 1,
) -> Tensor:
    """Return the transposed convolution, which puts a filter under each input pixel and adds them up.

    (N, C, H, W), weight (C, O/groups, KH, KW), bias (O,) → (N, O, OH, OW) with
    OH = (H − 1)·SH − 2·PH + DH·(KH − 1) + 1 + output_padding.
    Raises ShapeError for shapes that do not fit together, for an output of no pixels, and for an output
    padding that is neither below the stride nor below the dilation; DTypeError for integers or mixed types.
    """
    name = "conv_transpose2d"
    shape = arguments.images(name, input)
    if len(arguments.tensor(name, "weight", weight).shape) != 4:
        raise ShapeError(f"{name}: weight has shape {weight.shape}, needs (C, O/groups, KH, KW)")
    arguments.floats(name, input=input, weight=weight, bias=bias)
    c, og, *kernel = weight.shape
    stride, dilation = arguments.pair(name, "stride", stride, 1), arguments.pair(name, "dilation", dilation, 1)
    padding = arguments.pair(name, "padding", padding, 0)
    extra = arguments.pair(name, "output_padding", output_padding, 0)
    groups = arguments.integer(name, "groups", groups, 1)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise ShapeError(f"{name}: output_padding {extra} must be smaller than stride {stride} or dilation {dilation}")
    if shape[1] != c:
        raise ShapeError(f"{name}: input has {shape[1]} channels, weight {weight.shape} needs {c}")
    if c % groups:
        raise ShapeError(f"{name}: weight {weight.shape} has {c} input channels, not divisible by groups={groups}")
    if bias is not None and bias.shape != (og * groups,):
        raise ShapeError(
            f"{name}: bias has shape {bias.shape}, weight {weight.shape} with groups={groups} needs ({og * groups},)"
        )
    size = transposed_size((shape[2], shape[3]), (kernel[0], kernel[1]), stride, padding, extra, dilation)
    if min(size) < 1:
        raise ShapeError(f"{name}: input {shape}, weight {weight.shape} and padding {padding} give no pixels: {size}")
    arguments.possible(name, size, arguments.LARGEST)
    result: Tensor = ConvTranspose2d.apply(input, weight, bias, stride, padding, extra, groups, dilation)
    return result


# Arguments of windows


def _window(
    name: str, kernel_size: int | Pair, stride: int | Pair, padding: int | Pair, dilation: int | Pair
) -> tuple[Pair, Pair, Padding, Pair]:
    ph, pw = arguments.pair(name, "padding", padding, 0)
    return (
        arguments.pair(name, "kernel_size", kernel_size, 1),
        arguments.pair(name, "stride", stride, 1),
        ((ph, ph), (pw, pw)),
        arguments.pair(name, "dilation", dilation, 1),
    )


def _padding(name: str, padding: int | Pair | str, kernel: Pair, stride: Pair, dilation: Pair) -> Padding:
    """Return the padding of all four sides; "same" puts the odd pixel at the bottom and right, as PyTorch."""
    if isinstance(padding, str):
        arguments.choice(name, "padding", padding, ("same", "valid"))
        if padding == "valid":
            return (0, 0), (0, 0)
        if stride != (1, 1):
            raise ShapeError(f'{name}: padding="same" needs stride 1, got {stride}')
        high, wide = (window_span(k, d) - 1 for k, d in zip(kernel, dilation))
        return (high // 2, high - high // 2), (wide // 2, wide - wide // 2)
    ph, pw = arguments.pair(name, "padding", padding, 0)
    return (ph, ph), (pw, pw)


def _check_fits(name: str, size: tuple[int, ...], kernel: Pair, padding: Padding, dilation: Pair) -> None:
    """Refuse an empty kernel, and a window that does not fit into the padded image."""
    (top, bottom), (left, right) = padding
    padded = (size[0] + top + bottom, size[1] + left + right)
    span = (window_span(kernel[0], dilation[0]), window_span(kernel[1], dilation[1]))
    if min(kernel) < 1:
        raise ShapeError(f"{name}: kernel {kernel} is empty, needs at least 1 × 1")
    if span[0] > padded[0] or span[1] > padded[1]:
        raise ShapeError(
            f"{name}: kernel {kernel} with dilation {dilation} covers {span[0]} × {span[1]} pixels, "
            f"the padded image has {padded[0]} × {padded[1]}"
        )
    arguments.possible(name, padded, arguments.LARGEST, "a padded image")
