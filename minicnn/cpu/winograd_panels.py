"""Winograd for few tiles and many filters: one panel of transformed filters after the other.

With 512 channels of 7 × 7 pixels the transformed filters are 38 MB, and writing and reading them would take longer than
the products. Here a block of them (one panel, some channels) is made in the second-level cache, meets all tiles, and is
forgotten; so the filters are read once and never written. The tiles' transformed inputs, a few MB, are read for each
panel. `winograd.py` has the formulas, and the order for many tiles.

The weight gradient likewise: the sums of one panel and some channels over all tiles, transformed back while they are near.

What limits it: the products, and reading the filters (or writing their gradient).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from . import settings
from .direct import Shape, pack_block
from .microkernel import TILE_ROWS, outer_tiles, rows_tiles, taps_rows, tile
from .threads import flat, kernel, scratch
from .vectors import lanes, lanes_of, vzero
from .winograd import (
    REDUCTION,
    Sizes,
    finish_block,
    finish_room,
    sizes,
    spread_block,
    store_block,
    transform_filters,
    transform_input,
    transform_output,
)

Array = Any

BLOCK = 2048  # filters × channels that are transformed at a time


@lru_cache(maxsize=256)
def panel_sizes(s: Shape, transpose: bool, gradient: bool = False) -> tuple[Sizes, int, int]:
    """Return the sizes for all tiles in one chunk, V, and the channels of a block."""
    M, L = 7 - s.kernel[0], lanes_of(s.dtype)
    out, O = ((s.H, s.W), s.C) if transpose else (s.out, s.O)  # noqa: E741
    tiles = s.N * -(-out[0] // M) * -(-out[1] // M)
    z = sizes(s, transpose, tiles)
    threads = settings.threads()

    def cost(V: int) -> tuple[int, int]:
        panels = -(-O // (V * L))
        return -(-panels // threads) * V, -V

    V = VV or min((2, 3, 4), key=cost)
    R, width = (TILE_ROWS[V - 1] if gradient else taps_rows(tiles, V)), V * L
    T, panels, block = -(-tiles // R) * R, -(-O // width), max(REDUCTION, BLOCK // width)
    if gradient:
        block = -(-block // R) * R
    z = z._replace(R=R, T=T, panels=panels, Op=panels * width, block=min(block, -(-z.C // R) * R if gradient else z.C),
                   u_step=block * width + L, v_step=(T + R) * z.Cp + L, m_step=T * width + L)
    return z, V, z.C if transpose else REDUCTION

VV = 0

@kernel
def _transform_kernel(first, end, shares, x, s, v, spare):  # type: ignore[no-untyped-def]  # a body
    """v[36 positions][tile][Cp]"""
    tiles = s.N * s.tile_rows * s.tile_columns
    for share in range(first, end):
        q0 = share * tiles // shares
        transform_input(x, q0, (share + 1) * tiles // shares - q0, s, v, q0 * s.Cp, spare, share * 72 * lanes(x))


@kernel
def _panels_kernel(first, end, address, shares, w, column_step, k_step, order, s, reduction, v, bias, y, packed, u, m,
                   spare, square, v_rows, m_rows):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    L, width, taps = lanes(v), s.Op // s.panels, s.K * s.K
    tiles = s.N * s.tile_rows * s.tile_columns
    for share in range(first, end):
        packed0, u0, m0 = share * taps * s.block * width, share * 36 * s.u_step, share * 36 * s.m_step
        spare0 = share * 72 * L
        for p in range(share * s.panels // shares, (share + 1) * s.panels // shares):
            for c0 in range(0, s.C, s.block):
                count = min(s.block, s.C - c0)
                for column in range(p * width, (p + 1) * width, L):
                    for k in range(0, count, 16):
                        pack_block(w, column * column_step + (c0 + k) * k_step, min(max(s.O - column, 0), L), column_step,
                                   k_step, min(16, count - k), order, s.block, packed,
                                   packed0 + k * width + column - p * width, width, square, share * L * L)
                    for k in range(count):
                        at = k * width + column - p * width
                        transform_filters(packed, packed0 + at, s.block * width, s.K, u, u0 + at, s.u_step, spare, spare0)
                for position in range(36):
                    for c in range(0, count, reduction):
                        rows_tiles(address, v, position * s.v_step + c0 + c, v_rows, 0, s.T // s.R, v_rows, 0,
                                   1, min(reduction, count - c), u, u0 + position * s.u_step + c * width, m,
                                   m0 + position * s.m_step, m_rows, 0, width, bias, s.Op, c0 + c)  # fmt: skip
            for q in range(tiles):
                n, t = q // (s.tile_rows * s.tile_columns), q % (s.tile_rows * s.tile_columns)
                row, column = t // s.tile_columns * s.M, t % s.tile_columns * s.M
                for c in range(p * width, min(s.O, (p + 1) * width), L):
                    transform_output(m, m0 + q * width + c - p * width, s.m_step, s.M, spare, spare0)
                    store_block(spare, spare0, bias, y, n, row, column, s, c)


def convolve(x: Array, w: Array, b: Array | None, shape: Shape, transpose: bool) -> Array:
    s, V, reduction = panel_sizes(shape, transpose)
    L, width, taps, threads = lanes_of(shape.dtype), s.Op // s.panels, s.K * s.K, settings.threads()
    column_step, k_step = (taps, taps * s.O) if transpose else (taps * s.C, taps)
    bias = np.zeros(s.Op + width, shape.dtype)  # the products start from its last `width` zeros
    if b is not None:
        bias[: s.O] = b
    y = np.empty((s.N, s.OH, s.OW, s.O), shape.dtype)
    order = np.arange(taps)
    if transpose:
        order = order[::-1].copy()  # the filter is turned round
    shares, rows = min(threads, s.panels), np.arange(s.T)
    with (
        scratch(36 * s.v_step, shape.dtype) as v,
        scratch(shares * taps * s.block * width, shape.dtype) as packed,
        scratch(shares * 36 * s.u_step, shape.dtype) as u,
        scratch(shares * 36 * s.m_step, shape.dtype) as m,
        scratch(threads * 72 * L, shape.dtype) as spare,
        scratch(shares * L * L, shape.dtype) as square,
    ):
        _transform_kernel(threads, threads, flat(x), s, v, spare)
        _panels_kernel(shares, tile("rows", V, shape.dtype, s.R), shares, flat(w), column_step, k_step, order, s,
                       reduction, v, bias, y.reshape(-1), packed, u, m, spare, square, rows * s.Cp, rows * width)
    return y


@kernel
def _spread_kernel(first, end, shares, x, dy, s, v, d, db, spare):  # type: ignore[no-untyped-def]  # a body
    L, width = lanes(x), s.Op // s.panels
    tiles = s.N * s.tile_rows * s.tile_columns
    for share in range(first, end):
        q0, after, spare0 = share * tiles // shares, (share + 1) * tiles // shares, share * 72 * L
        transform_input(x, q0, after - q0, s, v, q0 * s.Cp, spare, spare0)
        vzero(db, share * s.Op, s.Op)
        for q in range(q0, after):
            for c in range(0, s.O, L):
                spread_block(dy, q, s, c, d, (c // width * s.T + q) * width + c % width, db, share * s.Op + c, spare, spare0)


@kernel
def _gradient_kernel(first, end, address, shares, s, v, d, du, dw, spare, room, v_rows, zeros):  # type: ignore[no-untyped-def]  # a body
    L, width, taps = lanes(v), s.Op // s.panels, s.K * s.K
    tiles = s.N * s.tile_rows * s.tile_columns
    for share in range(first, end):
        du0 = share * 36 * s.u_step
        for p in range(share * s.panels // shares, (share + 1) * s.panels // shares):
            for c0 in range(0, s.C, s.block):
                count = min(s.block, s.C - c0)
                for position in range(36):
                    outer_tiles(address, v, position * s.v_step + c0, v_rows, 0, tiles, (count + s.R - 1) // s.R, d,
                                position * s.m_step + p * s.T * width, du, du0 + position * s.u_step, zeros, 0)
                for column in range(p * width, min(s.O, (p + 1) * width), L):
                    for k in range(0, count, L):
                        finish_block(du, du0 + k * width + column - p * width, s.u_step, width, 1, 0, s.K, c0 + k,
                                     min(L, count - k), min(L, s.O - column), s.C, dw, (column * s.C + c0 + k) * taps, spare,
                                     share * room)


def weight_gradient(x: Array, dy: Array, shape: Shape) -> tuple[Array, Array]:
    s, V, _ = panel_sizes(shape, False, True)
    L, width, threads = lanes_of(shape.dtype), s.Op // s.panels, settings.threads()
    s = s._replace(m_step=s.T * s.Op + L)
    dw = np.empty((s.O, s.C, *shape.kernel), shape.dtype)
    db = np.empty((threads, s.Op), shape.dtype)
    shares, room = min(threads, s.panels), finish_room(L, s.K)
    with (
        scratch(36 * s.v_step, shape.dtype) as v,
        scratch(36 * s.m_step, shape.dtype) as d,
        scratch(shares * 36 * s.u_step, shape.dtype) as du,
        scratch(max(threads * 72 * L, shares * room), shape.dtype) as spare,
    ):
        _spread_kernel(threads, threads, flat(x), flat(dy), s, v, d, db.reshape(-1), spare)
        _gradient_kernel(shares, tile("outer", V, shape.dtype, s.R), shares, s, v, d, du, dw.reshape(-1), spare, room,
                         np.arange(s.T) * s.Cp, np.zeros(width, shape.dtype))  # fmt: skip
    return dw, db.sum(0)[: s.O]
