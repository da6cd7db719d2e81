"""Convolution on CUDA, twice: launches of `kernels/conv.cu`, and of im2col with matrix products.

    with algorithm("im2col"): …        # the readable one; outside, "implicit": the fast one

Both make channels-last images. The fast one reads filters as (G, KH, KW, C/G, O/G): copied so before each launch, which
costs little beside the product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..errors import ShapeError
from ..layout import channels_last, from_nhwc, nhwc
from ..ops.conv import Needs, Padding, Pair, output_size, transposed_size
from .arrays import contiguous, empty
from .im2col import col2im, im2col
from .launch import Arguments, Family, Launch, ceil_div, per_element
from .matmul import product
from .reduce import sum_columns, sum_to

Array = Any


class Tile(NamedTuple):
    """A tile of the product: its pixels × channels, its threads, and what share of the peak it can reach."""

    rows: int
    columns: int
    threads: int
    share: float
    any_channels: bool

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}"


TILES = (Tile(128, 128, 256, 0.8, False), Tile(128, 64, 256, 0.7, False), Tile(64, 32, 128, 0.3, True))
PROCESSORS = 108  # of an A100: a grid is worth as many rounds of blocks as it takes there
PIECE = 512  # pixels at least of a block that sums up a filter's gradient


def _pixel_blocks(tile: Tile) -> Launch:
    def grid(a: Arguments) -> tuple[int, int]:
        phases = a["SH"] * a["SW"] if a["transposed"] else 1
        down, along = (ceil_div(a["O" + axis], a["S" + axis] if a["transposed"] else 1) for axis in "HW")
        return ceil_div(a["N"] * down * along, tile.rows) * a["G"] * phases, ceil_div(a["O"], tile.columns)

    return Launch(grid, (tile.threads,))


def _weight_blocks(tile: Tile) -> Launch:
    def grid(a: Arguments) -> tuple[int, int]:
        rows = ceil_div(a["KH"] * a["KW"] * a["C"], tile.rows)
        return rows * a["G"] * a["pieces"], ceil_div(a["O"], tile.columns)

    return Launch(grid, (tile.threads,))


LAUNCHES = {
    **{f"conv_{tile}": _pixel_blocks(tile) for tile in TILES},
    **{f"conv_weight_{tile}": _weight_blocks(tile) for tile in TILES},
    "conv_weight_sum": per_element("n"),
}
kernels = Family("conv", LAUNCHES)


def choose_tile(rows: int, columns: int, groups: int, fours: bool) -> Tile:
    """Return the tile with the least time for a product, a function of its shape alone."""

    def time(tile: Tile) -> float:
        blocks = ceil_div(rows, tile.rows) * ceil_div(columns, tile.columns) * groups
        return ceil_div(blocks, PROCESSORS) * tile.rows * tile.columns / tile.share

    return min((tile for tile in TILES if fours or tile.any_channels), key=time)


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


class Window(NamedTuple):
    """How the filters move over the larger image."""

    kernel: Pair
    stride: Pair
    padding: Padding
    dilation: Pair
    groups: int

    def numbers(self) -> dict[str, int]:
        """Return them as arguments of a kernel; the padding below and right is in the output's size."""
        corner = (self.padding[0][0], self.padding[1][0])
        pairs = {"K": self.kernel, "S": self.stride, "P": corner, "D": self.dilation}
        return {"G": self.groups} | {
            name + axis: size for name, pair in pairs.items() for axis, size in zip("HW", pair)
        }


def _at_16_bytes(x: Array) -> Array:
    """Return an array that vector loads can read: memory of the device's own begins at a multiple of 16 bytes."""
    return x.copy() if getattr(x.data, "ptr", 0) % 16 else x


def _packed(w: Array, groups: int, *, turned: bool) -> Array:
    """Return filters (G·A, B, KH, KW) as (G, KH, KW, B, A), or turned as (G, KH, KW, A, B)."""
    apart = w.reshape(groups, len(w) // groups, *w.shape[1:])
    return contiguous(apart.transpose((0, 3, 4, 1, 2) if turned else (0, 3, 4, 2, 1)))


def _convolved(x: Array, packed: Array, b: Array | None, size: Pair, window: Window, *, transposed: bool) -> Array:
    """Return (N, O, *size): the convolution of x (N, C, H, W) with packed filters, or the transposed one."""
    x = _at_16_bytes(nhwc(x))
    n, h, width, _ = x.shape
    c, o = packed.shape[3:]
    pixels = n * math.prod(size)
    if pixels >= 1 << 30:
        raise ShapeError(f"convolution: a result of {pixels} pixels, CUDA takes fewer than 2^30; use a smaller batch")
    y = empty(x, (n, *size, o * window.groups))
    tile = choose_tile(pixels, o, window.groups, c % 8 == 0 and o % 4 == 0)
    kernels(
        f"conv_{tile}", x=x, w=packed, b=packed if b is None else contiguous(b), y=y, has_b=int(b is not None),
        transposed=int(transposed), N=n, H=h, W=width, C=c, OH=size[0], OW=size[1], O=o, **window.numbers(),
    )  # fmt: skip
    return from_nhwc(y)


def _filter_gradient(x: Array, dy: Array, shape: tuple[int, ...], window: Window) -> Array:
    """Return the gradient (G·O, C, KH, KW) of filters that made dy (N, G·O, OH, OW) of x (N, G·C, H, W)."""
    x, dy = _at_16_bytes(nhwc(x)), _at_16_bytes(nhwc(dy))
    n, h, width, _ = x.shape
    oh, ow = dy.shape[1:3]
    c, o, g = shape[1], shape[0] // window.groups, window.groups
    taps = math.prod(window.kernel)
    tile = choose_tile(taps * c, o, g * pieces_of(n * oh * ow), c % 4 == 0 and o % 4 == 0)
    blocks = ceil_div(taps * c, tile.rows) * ceil_div(o, tile.columns) * g
    pieces = min(pieces_of(n * oh * ow), ceil_div(4 * PROCESSORS, blocks)) if blocks else 1
    partial, dw = empty(x, (pieces, g, taps * c, o)), empty(x, shape)
    kernels(
        f"conv_weight_{tile}", x=x, dy=dy, partial=partial, pieces=pieces, N=n, H=h, W=width, C=c, OH=oh, OW=ow, O=o,
        **window.numbers(),
    )  # fmt: skip
    kernels("conv_weight_sum", partial=partial, dw=dw, pieces=pieces, C=c, O=o, taps=taps, n=dw.size)
    return dw


def pieces_of(pixels: int) -> int:
    """Return into how many pieces the pixels of a filter's gradient can be split."""
    return max(1, pixels // PIECE)


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
        y = _convolved(x, _packed(w, groups, turned=False), b, (h, width), window, transposed=False)
    return y, (x, w, b is not None, window)


def conv2d_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    x, w, has_bias, window = cache
    dx = dw = None
    if _Algorithm.name == "im2col":
        dx = _input_gradient_by_im2col(dy, w, x.shape[2:], window) if needs[0] else None
        dw = _filter_gradient_by_im2col(x, dy, w.shape, window) if needs[1] else None
    else:
        if needs[0]:
            packed = _packed(w, window.groups, turned=True)
            dx = _convolved(dy, packed, None, x.shape[2:], window, transposed=True)
        dw = _filter_gradient(x, dy, w.shape, window) if needs[1] else None
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
    y = _convolved(x, _packed(w, groups, turned=True), b, size, window, transposed=True)
    return y, (x, w, b is not None, window)


def conv_transpose2d_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    x, w, has_bias, window = cache
    dx = dw = None
    if needs[0]:
        dx = _convolved(dy, _packed(w, window.groups, turned=False), None, x.shape[2:], window, transposed=False)
    if needs[1]:
        dw = _filter_gradient(dy, x, w.shape, window)
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
