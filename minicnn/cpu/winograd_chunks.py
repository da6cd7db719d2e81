"""Winograd for many tiles: a chunk of them after the other is transformed, multiplied and transformed back.

Each of the 36 positions of the transformed patches is a small matrix product (tiles × C) · (C × O), the 'rows' tile of
`microkernel.py`; in the weight gradient, the 'outer' tile. Tiles of all images form one long line, and chunks of it
stay in the second-level cache. The filters are transformed beforehand.

What limits it: the products; below 32 channels the transforms. With few tiles the transformed filters (36 numbers
each) are written and read for too little work: then `winograd_panels.py`.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np

from . import settings
from .direct import Shape, pack_kernel
from .kept_weights import packed
from .microkernel import TILE_ROWS, choose_vectors, outer_tiles, rows_tiles, tile
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

CHUNK = 48  # tiles per chunk, rounded to whole register tiles
GRADIENT_CHUNK = 96


@lru_cache(maxsize=256)
def chunk_sizes(s: Shape, transpose: bool, reduction: int, chunk: int) -> tuple[Sizes, int]:
    """Return the sizes, and V; a block is the channels whose products are one sum."""
    C, O = (s.O, s.C) if transpose else (s.C, s.O)  # noqa: E741
    V = choose_vectors(O, s.dtype)
    R, width = TILE_ROWS[V - 1], V * lanes_of(s.dtype)
    T = ceil(min(chunk, tiles_of(s, transpose) / settings.threads()) / R) * R  # few tiles: a chunk for each thread
    Op = ceil(O / width) * width
    return sizes(s, transpose, V, R, T, min(C, reduction), C * Op, T * Op), V


@kernel
def _filters_kernel(first, end, shares, packed, s, u, spare):  # type: ignore[no-untyped-def]  # a body
    """u[36 positions][panel][C][width] = G g Gᵀ of packed[panel][tap][C][width]"""
    L, width, K, pieces = lanes(packed), s.Op // s.panels, s.K, s.panels * s.C
    for share in range(first, end):
        for piece in range(share * pieces // shares, (share + 1) * pieces // shares):
            p, k = piece // s.C, piece % s.C
            for v in range(0, width, L):
                transform_filters(packed, (p * K * K * s.C + k) * width + v, s.C * width, K, u, piece * width + v,
                                  s.u_step, spare, share * 6 * K * L)  # fmt: skip


@kernel
def _winograd_kernel(first, end, address, shares, x, s, u, bias, y, v, m, spare, v_rows, m_rows):  # type: ignore[no-untyped-def]  # a body
    """Chunks of tiles: transform, 36 products, transform back."""
    L, width = lanes(x), s.Op // s.panels
    tiles = s.N * s.tile_rows * s.tile_columns
    chunks = (tiles + s.T - 1) // s.T
    for share in range(first, end):
        v0, m0, spare0 = share * 36 * s.v_step, share * 36 * s.m_step, share * 72 * L
        for chunk in range(share * chunks // shares, (share + 1) * chunks // shares):
            q0 = chunk * s.T
            count = min(s.T, tiles - q0)
            transform_input(x, q0, count, s, v, v0, spare, spare0)
            for position in range(36):
                for p in range(s.panels):
                    # rows past `count` in the last register tile: old numbers, never read
                    for c in range(0, s.C, s.block):
                        rows_tiles(
                            address, v, v0 + position * s.v_step + c, v_rows, 0, (count + s.R - 1) // s.R, v_rows, 0,
                            1, min(s.block, s.C - c), u, position * s.u_step + (p * s.C + c) * width, m,
                            m0 + position * s.m_step + p * width, m_rows, 0, width, bias, s.Op, c)  # fmt: skip
            for q in range(count):
                for c in range(0, s.O, L):
                    transform_output(m, m0 + q * s.Op + c, s.m_step, s.M, spare, spare0)
                    store_block(spare, spare0, bias, y, q0 + q, s, c)


def convolve(x: Array, w: Array, b: Array | None, shape: Shape, transpose: bool, reduction: int) -> Array:
    """Forward, or the input gradient (transpose), with sums of at most `reduction` channels at a time."""
    s, V = chunk_sizes(shape, transpose, reduction, CHUNK)
    L = lanes_of(shape.dtype)
    width = V * L
    taps = s.K * s.K
    column_step, k_step = (taps, taps * s.O) if transpose else (taps * s.C, taps)
    bias = np.zeros(s.Op + width, shape.dtype)  # the products start from its last `width` zeros
    if b is not None:
        bias[: s.O] = b
    y = np.empty((s.N, s.OH, s.OW, s.O), shape.dtype)
    shares = min(settings.threads(), ceil(tiles_of(shape, transpose) / s.T))
    rows = np.arange(s.T)

    def pack(u: Array) -> None:
        order, threads = np.arange(taps), settings.threads()
        if transpose:
            order = order[::-1].copy()  # the filter is turned round
        with (
            scratch(taps * s.C * s.Op, shape.dtype) as panels,
            scratch(threads * (6 * s.K + L) * L, shape.dtype) as spare,
        ):
            pack_kernel(threads, threads, flat(w), width, s.panels, 1, s.C, s.O, 0, column_step, k_step, order, taps,
                        panels, spare)  # fmt: skip
            _filters_kernel(threads, threads, panels, s, u, spare)

    with (
        packed(w, ("winograd", shape, transpose), s.N * s.OH * s.OW, 36 * s.u_step, pack) as u,
        scratch(shares * 36 * s.v_step, shape.dtype) as v,
        scratch(shares * 36 * s.m_step, shape.dtype) as m,
        scratch(shares * 72 * L, shape.dtype) as spare,
    ):
        _winograd_kernel(shares, tile("rows", V, shape.dtype), shares, flat(x), s, u, bias, y.reshape(-1), v, m, spare,
                         rows * s.Cp, rows * s.Op)  # fmt: skip
    return y


@kernel
def _weight_gradient_kernel(first, end, address, shares, x, dy, s, rows, du, db, v, d, spare, v_rows, zeros):  # type: ignore[no-untyped-def]  # a body
    """A share adds its tiles' products to its own du[36 positions][panel][rows][width]."""
    L, width = lanes(x), s.Op // s.panels
    tiles = s.N * s.tile_rows * s.tile_columns
    chunks = (tiles + s.T - 1) // s.T
    for share in range(first, end):
        v0, d0, spare0 = share * 36 * s.v_step, share * 36 * s.m_step, share * 72 * L
        du0, size = share * 36 * s.panels * rows * width, rows * width
        vzero(db, share * s.Op, s.Op)
        first_chunk = share * chunks // shares
        for chunk in range(first_chunk, (share + 1) * chunks // shares):
            q0 = chunk * s.T
            count = min(s.T, tiles - q0)
            transform_input(x, q0, count, s, v, v0, spare, spare0)
            for q in range(count):
                for c in range(0, s.O, L):
                    target = d0 + (c // width * s.T + q) * width + c % width
                    spread_block(dy, q0 + q, s, c, d, target, db, share * s.Op + c, spare, spare0)
            for position in range(36):
                for p in range(s.panels):
                    outer_tiles(address, v, v0 + position * s.v_step, v_rows, 0, count, rows // s.R, d,
                                d0 + position * s.m_step + p * s.T * width, du,
                                du0 + (position * s.panels + p) * size, zeros, chunk > first_chunk)  # fmt: skip


@kernel
def _finish_kernel(first, end, du, shares, s, rows, dw, spare, room):  # type: ignore[no-untyped-def]  # a body
    """dw of the sums of all shares; a piece is L input channels."""
    L, width = lanes(du), s.Op // s.panels
    step = s.panels * rows * width
    for piece in range(first, end):
        k0 = piece * L
        for c in range(0, s.O, L):
            finish_block(du, (c // width * rows + k0) * width + c % width, step, width, shares, 36 * step, s.K,
                         min(L, s.C - k0), min(L, s.O - c), dw, (c * s.C + k0) * s.K * s.K, s.C * s.K * s.K, spare,
                         piece * room)  # fmt: skip


def weight_gradient(x: Array, dy: Array, shape: Shape) -> tuple[Array, Array]:
    """Return dw (O, C, K, K) and db (O,) from (N, H, W, C) and (N, OH, OW, O)."""
    s, V = chunk_sizes(shape, False, shape.C, GRADIENT_CHUNK)
    L = lanes_of(shape.dtype)
    rows, room = -(-s.Cp // s.R) * s.R, finish_room(L, s.K)
    shares = min(settings.threads(), ceil(tiles_of(shape) / s.T))
    dw = np.empty((s.O, s.C, *shape.kernel), shape.dtype)
    db = np.empty((shares, s.Op), shape.dtype)
    with (
        scratch(shares * 36 * rows * s.Op, shape.dtype) as du,
        scratch(shares * 36 * s.v_step, shape.dtype) as v,
        scratch(shares * 36 * s.m_step, shape.dtype) as d,
        scratch(max(s.Cp // L * room, shares * 72 * L), shape.dtype) as spare,
    ):
        _weight_gradient_kernel(shares, tile("outer", V, shape.dtype), shares, flat(x), flat(dy), s, rows, du,
                                db.reshape(-1), v, d, spare, np.arange(s.T) * s.Cp,
                                np.zeros(s.Op, shape.dtype))  # fmt: skip
        _finish_kernel(s.Cp // L, du, shares, s, rows, dw.reshape(-1), spare, room)
    return dw, db.sum(0)[: s.O]
