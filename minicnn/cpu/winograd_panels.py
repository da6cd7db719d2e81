"""Winograd for few tiles: one panel of filters after the other is transformed and meets all tiles.

512 filters of 512 channels are 38 MB when they are transformed, and to write and read those takes longer than the
products with 8 images of 7 × 7 pixels. Here a block of them (one panel, some channels) is made in the second-level
cache, meets all tiles, and is forgotten: the filters are read once, nothing is written. The transformed tiles, a few
MB, are read again for each panel. The weight gradient likewise: the sums of one panel and some channels over all
tiles are transformed back while they are near.

What limits it: the products (two thirds of the time with 512 channels), then reading the filters (a fifth). With many
tiles reading them again and again takes longest: then `winograd_chunks.py`.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np

from . import settings
from .direct import Shape, pack_block
from .microkernel import TILE_ROWS, outer_tiles, rows_tiles, taps_rows, tile
from .threads import flat, kernel, scratch
from .vectors import lanes, lanes_of, vzero
from .winograd_transforms import (
    Sizes,
    finish_block,
    finish_room,
    sizes,
    spread_block,
    store_block,
    tiles_of,
    transform_filters,
    transform_input,
    transform_output,
)

Array = Any

BLOCK = 2048  # filters × channels that are transformed at a time: 300 KB


@lru_cache(maxsize=256)
def panel_sizes(s: Shape, transpose: bool, gradient: bool) -> tuple[Sizes, int]:
    """Return the sizes, and V; a block is the channels whose filters are transformed at a time."""
    C, O = (s.O, s.C) if transpose else (s.C, s.O)  # noqa: E741
    L, tiles = lanes_of(s.dtype), tiles_of(s, transpose)

    def busiest(V: int) -> tuple[int, int]:
        panels = ceil(O / (V * L))
        return ceil(panels / settings.threads()) * V, V

    V = min((2, 3, 4), key=busiest)
    width = V * L
    R = TILE_ROWS[V - 1] if gradient else taps_rows(tiles, V)
    unit = R if gradient else 16
    block, T = ceil(min(C, BLOCK // width) / unit) * unit, ceil(tiles / R) * R
    columns = ceil(O / width) * width if gradient else width
    return sizes(s, transpose, V, R, T, block, block * width, T * columns), V


# Forward and input gradient


@kernel
def _tiles_kernel(first, end, shares, x, s, v, spare):  # type: ignore[no-untyped-def]  # a body
    """v[36 positions][tile][Cp] of all tiles"""
    tiles = s.N * s.tile_rows * s.tile_columns
    for share in range(first, end):
        q0 = share * tiles // shares
        count = (share + 1) * tiles // shares - q0
        transform_input(x, q0, count, s, v, q0 * s.Cp, spare, share * 72 * lanes(x))


@kernel
def _panels_kernel(first, end, address, shares, w, w_steps, order, s, reduction, v, bias, y, packed, u, m, spare,
                   v_rows, m_rows):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """Panels, blocks of channels: pack, transform, 36 products; then transform the panel's products back."""
    L, width, taps, (column_step, k_step) = lanes(v), s.Op // s.panels, s.K * s.K, w_steps
    tiles = s.N * s.tile_rows * s.tile_columns
    for share in range(first, end):
        packed0, u0, m0 = share * taps * s.block * width, share * 36 * s.u_step, share * 36 * s.m_step
        spare0 = share * (72 + L) * L
        for p in range(share * s.panels // shares, (share + 1) * s.panels // shares):
            for c0 in range(0, s.C, s.block):
                count = min(s.block, s.C - c0)
                for i in range(0, width, L):
                    column = p * width + i
                    source, n = column * column_step + c0 * k_step, min(max(s.O - column, 0), L)
                    for k in range(0, count, 16):
                        pack_block(w, source + k * k_step, n, column_step, k_step, min(16, count - k), order, s.block,
                                   packed, packed0 + k * width + i, width, spare, spare0 + 72 * L)  # fmt: skip
                    for at in range(i, count * width, width):
                        transform_filters(packed, packed0 + at, s.block * width, s.K, u, u0 + at, s.u_step, spare,
                                          spare0)  # fmt: skip
                for position in range(36):
                    for c in range(0, count, reduction):
                        rows_tiles(address, v, position * s.v_step + c0 + c, v_rows, 0, s.T // s.R, v_rows, 0, 1,
                                   min(reduction, count - c), u, u0 + position * s.u_step + c * width, m,
                                   m0 + position * s.m_step, m_rows, 0, width, bias, s.Op, c0 + c)  # fmt: skip
            for q in range(tiles):
                for c in range(p * width, min(s.O, (p + 1) * width), L):
                    transform_output(m, m0 + q * width + c - p * width, s.m_step, s.M, spare, spare0)
                    store_block(spare, spare0, bias, y, q, s, c)


def convolve(x: Array, w: Array, b: Array | None, shape: Shape, transpose: bool, reduction: int) -> Array:
    """Forward, or the input gradient (transpose), with sums of at most `reduction` channels at a time."""
    s, V = panel_sizes(shape, transpose, gradient=False)
    L, width, taps, threads = lanes_of(shape.dtype), s.Op // s.panels, s.K * s.K, settings.threads()
    order, w_steps = np.arange(taps), (taps * s.C, taps)
    if transpose:
        order, w_steps = order[::-1].copy(), (taps, taps * s.O)  # the filter is turned round
    bias = np.zeros(s.Op + width, shape.dtype)  # the products start from its last `width` zeros
    if b is not None:
        bias[: s.O] = b
    y = np.empty((s.N, s.OH, s.OW, s.O), shape.dtype)
    shares, rows = min(threads, s.panels), np.arange(s.T)
    with (
        scratch(36 * s.v_step, shape.dtype) as v,
        scratch(shares * taps * s.block * width, shape.dtype) as packed,
        scratch(shares * 36 * s.u_step, shape.dtype) as u,
        scratch(shares * 36 * s.m_step, shape.dtype) as m,
        scratch(threads * (72 + L) * L, shape.dtype) as spare,
    ):
        _tiles_kernel(threads, threads, flat(x), s, v, spare)
        _panels_kernel(shares, tile("rows", V, shape.dtype, s.R), shares, flat(w), w_steps, order, s, reduction, v,
                       bias, y.reshape(-1), packed, u, m, spare, rows * s.Cp, rows * width)  # fmt: skip
    return y


# Weight gradient


@kernel
def _both_tiles_kernel(first, end, shares, x, dy, s, v, d, db, spare):  # type: ignore[no-untyped-def]  # a body
    """v[36 positions][tile][Cp] and d[36 positions][panel][tile][width] of all tiles; a share's own db"""
    L, width = lanes(x), s.Op // s.panels
    tiles = s.N * s.tile_rows * s.tile_columns
    for share in range(first, end):
        q0, after, spare0, db0 = share * tiles // shares, (share + 1) * tiles // shares, share * 72 * L, share * s.Op
        transform_input(x, q0, after - q0, s, v, q0 * s.Cp, spare, spare0)
        vzero(db, db0, s.Op)
        for q in range(q0, after):
            for c in range(0, s.O, L):
                target = (c // width * s.T + q) * width + c % width
                spread_block(dy, q, s, c, d, target, db, db0 + c, spare, spare0)


@kernel
def _weight_gradient_kernel(first, end, address, shares, s, v, d, du, dw, spare, room, v_rows, zeros):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """Panels, blocks of channels: 36 products over all tiles, transformed back into dw."""
    L, width, taps = lanes(v), s.Op // s.panels, s.K * s.K
    tiles = s.N * s.tile_rows * s.tile_columns
    for share in range(first, end):
        du0 = share * 36 * s.u_step
        for p in range(share * s.panels // shares, (share + 1) * s.panels // shares):
            for c0 in range(0, s.C, s.block):
                count = min(s.block, s.C - c0)
                for position in range(36):
                    outer_tiles(address, v, position * s.v_step + c0, v_rows, 0, tiles, (count + s.R - 1) // s.R, d,
                                position * s.m_step + p * s.T * width, du, du0 + position * s.u_step, zeros,
                                0)  # fmt: skip
                for c in range(p * width, min(s.O, (p + 1) * width), L):
                    for k in range(0, count, L):
                        finish_block(du, du0 + k * width + c - p * width, s.u_step, width, 1, 0, s.K, min(L, count - k),
                                     min(L, s.O - c), dw, (c * s.C + c0 + k) * taps, s.C * taps, spare,
                                     share * room)  # fmt: skip


def weight_gradient(x: Array, dy: Array, shape: Shape) -> tuple[Array, Array]:
    """Return dw (O, C, K, K) and db (O,) from (N, H, W, C) and (N, OH, OW, O)."""
    s, V = panel_sizes(shape, transpose=False, gradient=True)
    L, width, threads = lanes_of(shape.dtype), s.Op // s.panels, settings.threads()
    shares, room = min(threads, s.panels), finish_room(L, s.K)
    dw = np.empty((s.O, s.C, *shape.kernel), shape.dtype)
    db = np.empty((threads, s.Op), shape.dtype)
    with (
        scratch(36 * s.v_step, shape.dtype) as v,
        scratch(36 * s.m_step, shape.dtype) as d,
        scratch(shares * 36 * s.u_step, shape.dtype) as du,
        scratch(max(threads * 72 * L, shares * room), shape.dtype) as spare,
    ):
        _both_tiles_kernel(threads, threads, flat(x), flat(dy), s, v, d, db.reshape(-1), spare)
        _weight_gradient_kernel(shares, tile("outer", V, shape.dtype), shares, s, v, d, du, dw.reshape(-1), spare, room,
                                np.arange(s.T) * s.Cp, np.zeros(width, shape.dtype))  # fmt: skip
    return dw, db.sum(0)[: s.O]
