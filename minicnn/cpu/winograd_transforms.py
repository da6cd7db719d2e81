"""The transforms of Winograd's convolution, F(4×4, 3×3) and F(2×2, 5×5), one vector of channels at a time.

For one 6 × 6 patch d of the input, one K × K filter g (K = 3 or 5) and one M × M block Y of the output, M = 7 − K (a
*tile*)

    Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A          ⊙ elementwise, summed over input channels

and for the gradient of the filter

    dg = Gᵀ [ Σ over tiles (Bᵀ d B) ⊙ (A dY Aᵀ) ] G

Both kinds evaluate polynomials at 0, ±5/8, ±3/2 and ∞ (0, ±1, ±2 would double the rounding), so B is the same for both.
`winograd_chunks.py` and `winograd_panels.py` are the loops around them, `winograd.py` says when they run.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016, section 4.3; for 5 × 5 the same
construction (Winograd 1980) with other sizes.

What limits them: loads and stores, 36 of each per patch and vector; sums and products are few.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .direct import Shape
from .threads import part
from .vectors import lanes, lanes_of, vfill, vload, vload_part, vstore, vstore_part, vtranspose

Array = Any


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
    T: int  # tiles that are transformed at a time, up to whole register tiles
    block: int  # channels of a block
    u_step: int  # from one position to the next in the transformed filters, or their gradient
    v_step: int  # the same in the transformed input
    m_step: int  # the same in the products, or the transformed dy


def sizes(s: Shape, transpose: bool, V: int, R: int, T: int, block: int, u_step: int, m_step: int) -> Sizes:
    """Return the sizes of one pass with panels of V vectors and steps of so many numbers."""
    (top, _), (left, _) = s.padding
    K = s.kernel[0]
    M = 7 - K
    if transpose:
        (H, W), C, O, (OH, OW) = s.out, s.O, s.C, (s.H, s.W)  # noqa: E741
        top, left = K - 1 - top, K - 1 - left
    else:
        H, W, C, O, (OH, OW) = s.H, s.W, s.C, s.O, s.out  # noqa: E741
    L = lanes_of(s.dtype)
    Cp, panels = -(-C // L) * L, -(-O // (V * L))
    # One more vector per position: 36 positions a multiple of 4096 bytes apart would share one set of the cache.
    return Sizes(s.N, H, W, C, O, OH, OW, K, M, top, left, -(-OH // M), -(-OW // M), Cp, panels * V * L, panels, R, T,
                 block, u_step + L, (T + R) * Cp + L, m_step + L)  # fmt: skip


def tiles_of(s: Shape, transpose: bool = False) -> int:
    """Return the number of tiles of all images."""
    M, (OH, OW) = 7 - s.kernel[0], (s.H, s.W) if transpose else s.out
    return s.N * -(-OH // M) * -(-OW // M)


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
        _rest(y0, P * y1, y0, Q * y1, y1, out, o, so)
    else:
        y2, y3 = vload(a, i + 2 * si), vload(a, i + 3 * si)
        p, q, r, s = y0 + PP * y2, P * (y1 + PP * y3), y0 + QQ * y2, Q * (y1 + QQ * y3)
        _rest(p, q, r, s, y3, out, o, so)


@part
def _rest(p, q, r, s, last, out, o, so):  # type: ignore[no-untyped-def]  # a body
    """Rows 1 to 5 of A y and of G g: ± for the points of both signs, then ∞."""
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
    _rest(p, q, r, s, last, out, o, so)


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
def store_block(spare, spare0, bias, y, tile, s, c):  # type: ignore[no-untyped-def]  # a body
    """y of one tile's channels c … = what `transform_output` left, and the bias."""
    L = lanes(y)
    n, t = tile // (s.tile_rows * s.tile_columns), tile % (s.tile_rows * s.tile_columns)
    row, column = t // s.tile_columns * s.M, t % s.tile_columns * s.M
    b = vload(bias, c)
    for i in range(min(s.M, s.OH - row)):
        for j in range(min(s.M, s.OW - column)):
            target = ((n * s.OH + row + i) * s.OW + column + j) * s.O + c
            value = vload(spare, spare0 + (36 + 4 * i + j) * L) + b
            if c + L <= s.O:
                vstore(y, target, value)
            else:
                vstore_part(y, target, value, s.O - c)


@part
def _spread(dy, n, row, column, s, c, M, d, d0, spare, spare0):  # type: ignore[no-untyped-def]  # a body
    """d[36 positions] = A dY Aᵀ; the pixels of dY stay at the beginning of `spare`."""
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


@part
def finish_block(du, at, step, row, shares, share_step, K, count, n, dw, target, dw_row, spare, spare0):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """dw = Gᵀ (Σ over shares of du) G of `count` <= L channels of n <= L filters.

    In du it is `step` numbers to the next position and `row` to the next channel, in dw `dw_row` to the next filter.
    """
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
    for e in range(0, count * taps, L):  # the channels and taps of a filter follow each other in dw
        vtranspose(spare, g2 + e * L)
        for j in range(n):
            vstore_part(dw, target + j * dw_row + e, vload(spare, g2 + (e + j) * L), count * taps - e)


def finish_room(L: int, K: int) -> int:
    """Return how many numbers of spare memory `finish_block` needs."""
    return (36 + 6 * K + (K * K + 1) * L) * L
