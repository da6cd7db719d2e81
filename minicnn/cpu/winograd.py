"""Winograd convolution F(4×4, 3×3) and F(2×2, 5×5): stride-1 layers with a quarter or a third of the multiplications.

For one 6 × 6 patch d of the input, one K × K filter g (K = 3 or 5) and one M × M block Y of the output, M = 7 − K (a
*tile*)

    Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A          ⊙ elementwise, summed over input channels

so each of the 36 positions of the transformed patch is a small matrix product (tiles × C) · (C × O), the 'rows'
tile of `microkernel.py`. Both kinds evaluate polynomials at 0, ±5/8, ±3/2 and ∞, so B is the same for both. Tiles of
all images form one long line, which is taken in chunks that stay in the second-level cache. The input gradient is
the same with the filter flipped and C and O exchanged. The weight gradient is the transposed formula, with 'outer'
tiles:

    dg = Gᵀ [ Σ over tiles (Bᵀ d B) ⊗ (A dY Aᵀ) ] G

The bias gradient is the sum of the blocks, added up while they are at hand.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016, section 4.3; for 5 × 5 the same
construction (Winograd 1980) with other sizes.

What limits it: the transforms, 36 loads and stores per patch and vector of channels, outweigh the products
below 16 channels; with few tiles the transformed filters (36 numbers each) are read for too little work.
Rounding: what the products lose counts 2 to 3 times in the result. Three things keep a network in train mode, which
magnifies it, within three times of PyTorch's distance from float64 (with none of them: seven times): these points (0,
±1, ±2 would double the error), sums over `REDUCTION` channels at a time in the forward pass (a tenth of its time), and
no forward pass with fewer than 32 channels, where `direct.py` is little slower and its sums are short.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from . import settings
from .direct import Shape, pack_kernel
from .kept_weights import packed
from .microkernel import TILE_ROWS, choose_vectors, outer_tiles, rows_tiles, tile
from .threads import flat, kernel, part, scratch
from .vectors import lanes, lanes_of, vfill, vload, vload_part, vstore, vstore_part, vtranspose, vzero

Array = Any

CHUNK = 48  # tiles per chunk, rounded to whole register tiles
GRADIENT_CHUNK = 96
REDUCTION = 16  # channels of the products that a forward pass sums at a time


def wins(s: Shape, gradient: bool = True) -> bool:
    """Return whether Winograd is the faster way (measured), where it is possible and, forward, not too coarse."""
    if s.kernel not in ((3, 3), (5, 5)) or s.groups > 1 or s.dtype != np.float32:
        return False
    M = 7 - s.kernel[0]
    tiles = s.N * -(-s.out[0] // M) * -(-s.out[1] // M)
    if s.stride != (1, 1) or s.dilation != (1, 1) or min(s.C, s.O) < (16 if gradient else 32):
        return False
    # With few tiles, transforming the filters costs too much unless it is kept from pass to pass (`kept_weights.py`).
    return tiles >= max(s.C, s.O) // 2 or (not gradient and tiles >= 12 and s.C * s.O <= 128 * 128)


class Sizes(NamedTuple):
    """Numbers that the kernels need; x is the input of the pass (dy, for the input gradient), y its result."""

    N: int
    H: int
    W: int
    C: int
    O: int  # noqa: E741  # the field's letter for filters
    OH: int
    OW: int
    K: int  # rows of a filter
    M: int  # rows of a tile
    top: int
    left: int
    tile_rows: int  # tiles per image
    tile_columns: int
    Cp: int  # channels up to whole vectors
    Op: int  # filters up to whole panels
    panels: int
    R: int
    T: int  # tiles per chunk
    block: int  # channels whose products are one sum
    u_step: int  # from one position to the next in the transformed filters
    v_step: int  # the same in the transformed input
    m_step: int  # the same in the products, or the transformed dy


@lru_cache(maxsize=256)
def sizes(s: Shape, transpose: bool, chunk: int) -> Sizes:
    (top, _), (left, _) = s.padding
    K = s.kernel[0]
    M = 7 - K
    if transpose:
        (H, W), C, O, (OH, OW) = s.out, s.O, s.C, (s.H, s.W)  # noqa: E741
        top, left = K - 1 - top, K - 1 - left
    else:
        H, W, C, O, (OH, OW) = s.H, s.W, s.C, s.O, s.out  # noqa: E741
    L, V = lanes_of(s.dtype), choose_vectors(O, s.dtype)
    R, width = TILE_ROWS[V - 1], V * L
    tiles = s.N * -(-OH // M) * -(-OW // M)
    T = -(-min(chunk, -(-tiles // settings.threads())) // R) * R  # few tiles: a chunk for each thread
    Cp, panels = -(-C // L) * L, -(-O // width)
    # One more vector per position: 36 positions a multiple of 4096 bytes apart would share one set of the cache.
    u_step, v_step, m_step = panels * C * width + L, (T + R) * Cp + L, T * panels * width + L
    return Sizes(s.N, H, W, C, O, OH, OW, K, M, top, left, -(-OH // M), -(-OW // M), Cp, panels * width, panels, R, T,
                 C if transpose else min(C, REDUCTION), u_step, v_step, m_step)  # fmt: skip


P, Q = 5 / 8, 3 / 2  # the points ±P and ±Q
PP, QQ = P * P, Q * Q
N0, NP, NQ = 1 / (PP * QQ), 1 / (2 * PP * (PP - QQ)), 1 / (2 * QQ * (QQ - PP))  # 1 / product of a point's distances

# One-dimensional transforms of vectors: from a[i], a[i + si], … to out[o], out[o + so], …


@part
def input_pass(a, i, si, out, o, so):  # type: ignore[no-untyped-def]  # a body
    """Bᵀ d"""
    d0, d1, d2 = vload(a, i), vload(a, i + si), vload(a, i + 2 * si)
    d3, d4, d5 = vload(a, i + 3 * si), vload(a, i + 4 * si), vload(a, i + 5 * si)
    p, q, r, s = d4 - QQ * d2, P * (d3 - QQ * d1), d4 - PP * d2, Q * (d3 - PP * d1)
    vstore(out, o, (PP * QQ) * d0 - (PP + QQ) * d2 + d4)
    vstore(out, o + so, p + q)
    vstore(out, o + 2 * so, p - q)
    vstore(out, o + 3 * so, r + s)
    vstore(out, o + 4 * so, r - s)
    vstore(out, o + 5 * so, (PP * QQ) * d1 - (PP + QQ) * d3 + d5)


@part
def output_pass(a, i, si, out, o, so, M):  # type: ignore[no-untyped-def]  # a body
    """Aᵀ m"""
    m1, m2, m3, m4 = vload(a, i + si), vload(a, i + 2 * si), vload(a, i + 3 * si), vload(a, i + 4 * si)
    p, q, r, s, last = m1 + m2, m1 - m2, m3 + m4, m3 - m4, vload(a, i + 5 * si)
    vstore(out, o, vload(a, i) + p + r)
    if M == 2:
        vstore(out, o + so, P * q + Q * s + last)
    else:
        vstore(out, o + so, P * q + Q * s)
        vstore(out, o + 2 * so, PP * p + QQ * r)
        vstore(out, o + 3 * so, (P * PP) * q + (Q * QQ) * s + last)


@part
def spread_pass(a, i, si, out, o, so, M):  # type: ignore[no-untyped-def]  # a body
    """A y"""
    y0, y1 = vload(a, i), vload(a, i + si)
    vstore(out, o, y0)
    if M == 2:
        _spread_rest(y0, P * y1, y0, Q * y1, y1, out, o, so)
    else:
        y2, y3 = vload(a, i + 2 * si), vload(a, i + 3 * si)
        p, q, r, s = y0 + PP * y2, P * (y1 + PP * y3), y0 + QQ * y2, Q * (y1 + QQ * y3)
        _spread_rest(p, q, r, s, y3, out, o, so)


@part
def _spread_rest(p, q, r, s, last, out, o, so):  # type: ignore[no-untyped-def]  # a body
    """The other rows of A y."""
    vstore(out, o + so, p + q)
    vstore(out, o + 2 * so, p - q)
    vstore(out, o + 3 * so, r + s)
    vstore(out, o + 4 * so, r - s)
    vstore(out, o + 5 * so, last)


@part
def filter_pass(a, i, si, out, o, so, K):  # type: ignore[no-untyped-def]  # a body
    """G g"""
    g0, g1, last = vload(a, i), vload(a, i + si), vload(a, i + 2 * si)
    p, q, r, s = g0 + PP * last, g1, g0 + QQ * last, g1
    if K == 5:
        g3, last = vload(a, i + 3 * si), vload(a, i + 4 * si)
        p, q, r, s = p + (PP * PP) * last, q + PP * g3, r + (QQ * QQ) * last, s + QQ * g3
    p, q, r, s = NP * p, (NP * P) * q, NQ * r, (NQ * Q) * s
    vstore(out, o, N0 * g0)
    vstore(out, o + so, p + q)
    vstore(out, o + 2 * so, p - q)
    vstore(out, o + 3 * so, r + s)
    vstore(out, o + 4 * so, r - s)
    vstore(out, o + 5 * so, last)


@part
def filter_gradient_pass(a, i, si, out, o, so, K):  # type: ignore[no-untyped-def]  # a body
    """Gᵀ u"""
    u1, u2, u3, u4 = vload(a, i + si), vload(a, i + 2 * si), vload(a, i + 3 * si), vload(a, i + 4 * si)
    p, q, r, s, last = u1 + u2, u1 - u2, u3 + u4, u3 - u4, vload(a, i + 5 * si)
    p, q, r, s = NP * p, (NP * P) * q, NQ * r, (NQ * Q) * s
    vstore(out, o, N0 * vload(a, i) + p + r)
    vstore(out, o + so, q + s)
    if K == 3:
        vstore(out, o + 2 * so, PP * p + QQ * r + last)
    else:
        vstore(out, o + 2 * so, PP * p + QQ * r)
        vstore(out, o + 3 * so, PP * q + QQ * s)
        vstore(out, o + 4 * so, (PP * PP) * p + (QQ * QQ) * r + last)


@part
def load_block(x, n, row, column, H, W, C, c, size, out, out0):  # type: ignore[no-untyped-def]  # a body
    """out[size² vectors] = pixels row … row+size−1, column … of image n, channels c …; zeros outside."""
    L, m = lanes(x), C - c
    for i in range(size):
        for j in range(size):
            target = out0 + (i * size + j) * L
            if 0 <= row + i < H and 0 <= column + j < W:
                source = ((n * H + row + i) * W + column + j) * C + c
                if m >= L:
                    vstore(out, target, vload(x, source))
                else:
                    vstore(out, target, vload_part(x, source, m))
            else:
                vstore(out, target, vfill(out, 0))


@part
def transform_input(x, q0, count, s, v, v0, spare, spare0):  # type: ignore[no-untyped-def]  # a body
    """v[36 positions][tile][Cp] = Bᵀ d B of the tiles q0, q0 + 1, …"""
    L = lanes(x)
    tmp0 = spare0 + 36 * L
    for q in range(count):
        n, t = (q0 + q) // (s.tile_rows * s.tile_columns), (q0 + q) % (s.tile_rows * s.tile_columns)
        row, column = t // s.tile_columns * s.M - s.top, t % s.tile_columns * s.M - s.left
        inside = row >= 0 and column >= 0 and row + 6 <= s.H and column + 6 <= s.W
        for c in range(0, s.Cp, L):
            target = v0 + q * s.Cp + c
            if inside and c + L <= s.C:
                source = ((n * s.H + row) * s.W + column) * s.C + c
                for j in range(6):
                    input_pass(x, source + j * s.C, s.W * s.C, spare, tmp0 + j * L, 6 * L)
            else:
                load_block(x, n, row, column, s.H, s.W, s.C, c, 6, spare, spare0)
                for j in range(6):
                    input_pass(spare, spare0 + j * L, 6 * L, spare, tmp0 + j * L, 6 * L)
            for i in range(6):
                input_pass(spare, tmp0 + 6 * i * L, L, v, target + 6 * i * s.v_step, s.v_step)


# Forward and input gradient


@part
def transform_filters(packed, at, row, K, u, u0, u_step, spare, g0):  # type: ignore[no-untyped-def]  # a body
    """u[36 positions] = G g Gᵀ of one vector of filters; `row` from one tap to the next."""
    L = lanes(packed)
    for j in range(K):
        filter_pass(packed, at + j * row, K * row, spare, g0 + j * L, K * L, K)
    for i in range(6):
        filter_pass(spare, g0 + K * i * L, L, u, u0 + 6 * i * u_step, u_step, K)


@part
def transform_output(m, m0, m_step, M, spare, spare0):  # type: ignore[no-untyped-def]  # a body
    """spare[36 + 4 i + j] = pixel (i, j) of Aᵀ m A of one tile's vector."""
    L = lanes(m)
    for j in range(6):
        output_pass(m, m0 + j * m_step, 6 * m_step, spare, spare0 + j * L, 6 * L, M)
    for i in range(M):
        output_pass(spare, spare0 + 6 * i * L, L, spare, spare0 + (36 + 4 * i) * L, L, M)


@part
def store_block(spare, spare0, bias, y, n, row, column, s, c):  # type: ignore[no-untyped-def]  # a body
    """y of one tile's channels c … = what `transform_output` left, and the bias."""
    L = lanes(y)
    b = vload(bias, c)
    for i in range(min(s.M, s.OH - row)):
        for j in range(min(s.M, s.OW - column)):
            target = ((n * s.OH + row + i) * s.OW + column + j) * s.O + c
            value = vload(spare, spare0 + (36 + 4 * i + j) * L) + b
            if c + L <= s.O:
                vstore(y, target, value)
            else:
                vstore_part(y, target, value, s.O - c)


@kernel
def _filters_kernel(first, end, packed, s, u, spare):  # type: ignore[no-untyped-def]  # a body
    """u[36 positions][panel][C][width] = G g Gᵀ of packed[panel][tap][C][width]; a piece is a panel's channel."""
    L, width, K = lanes(packed), s.Op // s.panels, s.K
    row = s.C * width
    for piece in range(first, end):
        p, k = piece // s.C, piece % s.C
        for v in range(0, width, L):
            transform_filters(packed, (p * K * K * s.C + k) * width + v, row, K, u, piece * width + v, s.u_step,
                              spare, piece * 6 * K * L)  # fmt: skip


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
                n, t = (q0 + q) // (s.tile_rows * s.tile_columns), (q0 + q) % (s.tile_rows * s.tile_columns)
                row, column = t // s.tile_columns * s.M, t % s.tile_columns * s.M
                for c in range(0, s.O, L):
                    transform_output(m, m0 + q * s.Op + c, s.m_step, s.M, spare, spare0)
                    store_block(spare, spare0, bias, y, n, row, column, s, c)


def _convolve(x: Array, w: Array, b: Array | None, shape: Shape, transpose: bool) -> Array:
    s = sizes(shape, transpose, CHUNK)
    L, V = lanes_of(shape.dtype), choose_vectors(s.O, shape.dtype)
    width = V * L
    taps = s.K * s.K
    column_step, k_step = (taps, taps * s.O) if transpose else (taps * s.C, taps)
    bias = np.zeros(s.Op + width, shape.dtype)  # the products start from its last `width` zeros
    if b is not None:
        bias[: s.O] = b
    y = np.empty((s.N, s.OH, s.OW, s.O), shape.dtype)
    shares = min(settings.threads(), -(-s.N * s.tile_rows * s.tile_columns // s.T))
    rows = np.arange(s.T)

    def pack(u: Array) -> None:
        order, blocks = np.arange(taps), s.panels * -(-s.C // 16)
        if transpose:
            order = order[::-1].copy()  # the filter is turned round
        with (
            scratch(taps * s.C * s.Op, shape.dtype) as panels,
            scratch(max(s.panels * s.C * 6 * s.K, blocks * L) * L, shape.dtype) as spare,
        ):
            pack_kernel(blocks, flat(w), width, s.panels, s.C, s.O, 0, column_step, k_step, order, taps, panels, 0,
                        spare)  # fmt: skip
            _filters_kernel(s.panels * s.C, panels, s, u, spare)

    with (
        packed(w, ("winograd", shape, transpose), s.N * s.OH * s.OW, 36 * s.u_step, pack) as u,
        scratch(shares * 36 * s.v_step, shape.dtype) as v,
        scratch(shares * 36 * s.m_step, shape.dtype) as m,
        scratch(shares * 72 * L, shape.dtype) as spare,
    ):
        _winograd_kernel(shares, tile("rows", V, shape.dtype), shares, flat(x), s, u, bias, y.reshape(-1), v, m, spare,
                         rows * s.Cp, rows * s.Op)  # fmt: skip
    return y


def forward(x: Array, w: Array, b: Array | None, s: Shape) -> Array:
    """(N, H, W, C) → (N, OH, OW, O)"""
    return _convolve(x, w, b, s, transpose=False)


def input_gradient(dy: Array, w: Array, s: Shape, b: Array | None = None) -> Array:
    """(N, OH, OW, O) → (N, H, W, C)"""
    return _convolve(dy, w, b, s, transpose=True)


# Weight gradient


@part
def _spread(dy, n, row, column, s, c, M, d, d0, spare, spare0):  # type: ignore[no-untyped-def]  # a body
    L = lanes(dy)
    load_block(dy, n, row, column, s.OH, s.OW, s.O, c, M, spare, spare0)
    for j in range(M):
        spread_pass(spare, spare0 + j * L, M * L, spare, spare0 + (36 + j) * L, M * L, M)
    for i in range(6):
        spread_pass(spare, spare0 + (36 + M * i) * L, L, d, d0 + 6 * i * s.m_step, s.m_step, M)


@part
def spread_block(dy, tile, s, c, d, d0, db, db0, spare, spare0):  # type: ignore[no-untyped-def]  # a body
    """d[36 positions] = A dY Aᵀ of one tile's channels c …, and db += Σ dY."""
    L = lanes(dy)
    n, t = tile // (s.tile_rows * s.tile_columns), tile % (s.tile_rows * s.tile_columns)
    row, column = t // s.tile_columns * s.M, t % s.tile_columns * s.M
    if s.M == 4:  # constants, so that the compiler unrolls the loops: a quarter of the kernel's time
        _spread(dy, n, row, column, s, c, 4, d, d0, spare, spare0)
    else:
        _spread(dy, n, row, column, s, c, 2, d, d0, spare, spare0)
    total = vload(db, db0)
    for pixel in range(s.M * s.M):  # which `_spread` has left there
        total = total + vload(spare, spare0 + pixel * L)
    vstore(db, db0, total)


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


@part
def finish_block(du, at, step, row, shares, share_step, K, k0, count, n, C, dw, target, spare, spare0):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """dw = Gᵀ (Σ over shares of du) G of `count` <= L channels and n <= L filters; `step` between positions."""
    L, taps = lanes(du), K * K
    g1, g2 = spare0 + 36 * L, spare0 + (36 + 6 * K) * L
    for k in range(count):
        for position in range(36):
            total = vload(du, at + k * row + position * step)
            for i in range(1, shares):
                total = total + vload(du, at + k * row + position * step + i * share_step)
            vstore(spare, spare0 + position * L, total)
        for j in range(6):
            filter_gradient_pass(spare, spare0 + j * L, 6 * L, spare, g1 + j * L, 6 * L, K)
        for i in range(K):
            filter_gradient_pass(spare, g1 + 6 * i * L, L, spare, g2 + (k * taps + K * i) * L, L, K)
    for e in range(0, count * taps, L):  # a filter's numbers follow each other in dw
        vtranspose(spare, g2 + e * L)
        for j in range(n):
            vstore_part(dw, target + j * C * taps + e, vload(spare, g2 + (e + j) * L), count * taps - e)


def finish_room(L: int, K: int) -> int:
    """Return how many numbers of spare memory `finish_block` needs."""
    return (36 + 6 * K + (K * K + 1) * L) * L


@kernel
def _finish_kernel(first, end, du, shares, s, rows, dw, spare, room):  # type: ignore[no-untyped-def]  # a body
    """dw of the sums of all shares; a piece is L input channels."""
    L, width = lanes(du), s.Op // s.panels
    step = s.panels * rows * width
    for piece in range(first, end):
        k0 = piece * L
        for c in range(0, s.O, L):
            finish_block(du, (c // width * rows + k0) * width + c % width, step, width, shares, 36 * step, s.K, k0,
                         min(L, s.C - k0), min(L, s.O - c), s.C, dw, (c * s.C + k0) * s.K * s.K, spare, piece * room)  # fmt: skip


def weight_gradient(x: Array, dy: Array, shape: Shape) -> tuple[Array, Array]:
    """Return dw (O, C, K, K) and db (O,) from (N, H, W, C) and (N, OH, OW, O)."""
    s = sizes(shape, False, GRADIENT_CHUNK)
    L, V = lanes_of(shape.dtype), choose_vectors(s.O, shape.dtype)
    rows, room = -(-s.Cp // s.R) * s.R, finish_room(L, s.K)
    shares = min(settings.threads(), -(-s.N * s.tile_rows * s.tile_columns // s.T))
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
