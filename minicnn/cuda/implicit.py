"""Products in register tiles: launches of `kernels/conv.cu`, for convolution and for large linear layers.

Images are channels-last. Filters are read as (G, KH, KW, C/G, O/G): copied so before each launch, which costs little
beside the product.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..errors import ShapeError
from ..layout import from_nhwc, nhwc
from ..ops.conv import Padding, Pair
from .arrays import contiguous, empty
from .launch import Arguments, Family, Launch, ceil_div

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
    "conv_weight_sum": Launch(lambda a: (ceil_div(a["C"] * a["taps"], 32) * a["G"], ceil_div(a["O"], 32)), (32, 8)),
}
kernels = Family("conv", LAUNCHES)


def choose_tile(rows: int, columns: int, groups: int, fours: bool) -> Tile:
    """Return the tile with the least time for a product, a function of its shape alone."""

    def time(tile: Tile) -> float:
        blocks = ceil_div(rows, tile.rows) * ceil_div(columns, tile.columns) * groups
        return ceil_div(blocks, PROCESSORS) * tile.rows * tile.columns / tile.share

    return min((tile for tile in TILES if fours or tile.any_channels), key=time)


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


def at_16_bytes(x: Array) -> Array:
    """Return an array that vector loads can read: memory of the device's own begins at a multiple of 16 bytes."""
    return x.copy() if getattr(x.data, "ptr", 0) % 16 else x


def _check_countable(number: int, what: str) -> None:
    """Refuse what the kernels could not count in 32 bits; the elements of an image they count in 64."""
    if number >= 1 << 30:
        raise ShapeError(f"convolution: {number} {what}, CUDA takes fewer than 2^30")


def packed_filters(w: Array, groups: int, *, turned: bool) -> Array:
    """Return filters (G·A, B, KH, KW) as (G, KH, KW, B, A), or turned as (G, KH, KW, A, B)."""
    apart = w.reshape(groups, len(w) // groups, *w.shape[1:])
    return contiguous(apart.transpose((0, 3, 4, 1, 2) if turned else (0, 3, 4, 2, 1)))


def convolved(x: Array, packed: Array, b: Array | None, size: Pair, window: Window, *, transposed: bool) -> Array:
    """Return (N, O, *size): the convolution of x (N, C, H, W) with packed filters, or the transposed one."""
    x = at_16_bytes(nhwc(x))
    n, h, width, _ = x.shape
    c, o = packed.shape[3:]
    pixels = n * math.prod(size)
    _check_countable(pixels, "pixels")
    _check_countable(packed.size, "weights")
    y = empty(x, (n, *size, o * window.groups))
    tile = choose_tile(pixels, o, window.groups, c % 8 == 0 and o % 4 == 0)
    kernels(
        f"conv_{tile}", x=x, w=packed, b=packed if b is None else contiguous(b), y=y, has_b=int(b is not None),
        transposed=int(transposed), N=n, H=h, W=width, C=c, OH=size[0], OW=size[1], O=o, **window.numbers(),
    )  # fmt: skip
    return from_nhwc(y)


def filter_gradient(x: Array, dy: Array, shape: tuple[int, ...], window: Window) -> Array:
    """Return the gradient (G·O, C, KH, KW) of filters that made dy (N, G·O, OH, OW) of x (N, G·C, H, W)."""
    x, dy = at_16_bytes(nhwc(x)), at_16_bytes(nhwc(dy))
    n, h, width, _ = x.shape
    oh, ow = dy.shape[1:3]
    c, o, g = shape[1], shape[0] // window.groups, window.groups
    _check_countable(n * oh * ow, "pixels")
    _check_countable(math.prod(shape), "weights")
    taps = math.prod(window.kernel)
    tile = choose_tile(taps * c, o, g * pieces_of(n * oh * ow), c % 4 == 0 and o % 4 == 0)
    blocks = ceil_div(taps * c, tile.rows) * ceil_div(o, tile.columns) * g
    pieces = min(pieces_of(n * oh * ow), ceil_div(4 * PROCESSORS, blocks)) if blocks else 1
    partial, dw = empty(x, (pieces, g, taps * c, o)), empty(x, shape)
    kernels(
        f"conv_weight_{tile}", x=x, dy=dy, partial=partial, pieces=pieces, N=n, H=h, W=width, C=c, OH=oh, OW=ow, O=o,
        **window.numbers(),
    )  # fmt: skip
    kernels("conv_weight_sum", partial=partial, dw=dw, pieces=pieces, G=g, C=c, O=o, taps=taps)
    return dw


def pieces_of(pixels: int) -> int:
    """Return into how many pieces the pixels of a filter's gradient can be split."""
    return max(1, pixels // PIECE)
