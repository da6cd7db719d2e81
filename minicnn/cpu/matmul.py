"""Matrix products on the CPU: the twins of `minicnn/ops/matmul.py`, on the register tiles of `microkernel.py`.

A fully connected layer has few rows (the batch) and a large weight W (O, K), often far beyond the caches. So
what counts is that W is read once, and never copied as a whole:

    y = x Wᵀ    as yᵀ = W · xᵀ: the tile's rows are W's, read where they are; the panels are the turned x.
                Up to DOT_ROWS rows of x: sums of products along K, for panels would be nearly empty.
    dx = dy W   the tile's rows are dy's; blocks of W are copied into panels, which stay in the cache.
                Up to FEW_ROWS rows of dy: four rows of W after the other are added to dx.
    dW = dyᵀ x  the tile's rows are the turned dy's, the panels are x's.

The last two are one loop, C = A · B, and so is the first with panels that are ready. matmul of two matrices
has the same three products. Each number of C is the sum over the same terms in the same order whatever the
tiles and threads are, so these change no bit. Stacks of matrices and other types are NumPy's.

What limits them: memory for a batch of 16 or less, the tile's speed beyond.
NumPy's BLAS is no way out: the library keeps it to one thread (see `threads.py`), and to let it have two for
the length of a call costs 30 µs each time and leaves its second thread spinning beside ours.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..ops import matmul as definition
from ..ops.arithmetic import ieee
from . import settings
from .microkernel import TILE_ROWS, rows_tiles, tile
from .registers import load, store
from .threads import flat, kernel, scratch
from .vectors import lanes, lanes_of, vfill, vload, vload_part, vstore, vstore_part, vsum, vtranspose, vzero

Array = Any
Needs = tuple[bool, ...]

DOT_ROWS = 8
FEW_ROWS = 4  # of A, for which the panels of B would cost more than they save
BLOCK_BYTES = 256 * 1024  # a block of B, which stays in the second-level cache
REDUCTION = 64  # rows of a block that is copied from B: few, so that it reads long runs
READY_REDUCTION = 256  # the same of panels that are ready: short sums round less than one long sum
GROUP = 4  # tiles of A on one panel, then comes the next panel: rows of A and C stay near
COPY = 3  # what it costs to copy a row of B, in rows of A


@kernel
def turn_kernel(first, end, shares, x, pitch, rows, columns, bias, out, panel, panel_size, out_pitch, out_rows, spare):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """out[r // panel][column][r % panel] = x[r, column] + bias[r]; zeros for rows ≤ r < out_rows."""
    L = lanes(x)
    across = (out_rows + L - 1) // L
    blocks = across * ((columns + L - 1) // L)
    for share in range(first, end):
        square = share * L * L
        for block in range(share * blocks // shares, (share + 1) * blocks // shares):
            r0, c0 = block % across * L, block // across * L
            for i in range(L):
                v = vfill(x, 0)
                if r0 + i < rows:
                    v = load(x, (r0 + i) * pitch + c0, columns - c0)
                    if len(bias) > 0:
                        v = v + bias[r0 + i]
                vstore(spare, square + i * L, v)
            vtranspose(spare, square)
            at = r0 // panel * panel_size + r0 % panel + c0 * out_pitch
            for j in range(min(L, columns - c0)):
                store(out, at + j * out_pitch, vload(spare, square + j * L), out_rows - r0)


@kernel
def product_kernel(first, end, address, s, a, b, c, rows, c_rows, zeros, block, block_size):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """C (M, P) = A (M, Q) · B (Q, P): blocks of B → groups of A's rows → panels; B may consist of panels already."""
    L = lanes(a)
    source = b if s.ready else block
    for share in range(first, end):
        first_tile, end_tile, first_panel, end_panel = 0, s.tiles, 0, s.panels
        if s.by_rows:
            first_tile, end_tile = share * s.tiles // s.shares, (share + 1) * s.tiles // s.shares
        else:
            first_panel, end_panel = share * s.panels // s.shares, (share + 1) * s.panels // s.shares
        for p0 in range(first_panel, end_panel, s.together):
            p1 = min(p0 + s.together, end_panel)
            for q0 in range(0, s.Q, s.length):
                length = min(s.length, s.Q - q0)
                if s.ready:
                    at, step = (p0 * s.Q + q0) * s.width, s.Q * s.width
                else:
                    at, step = share * block_size, length * s.width
                    for q in range(length):
                        for p in range(p0, p1):
                            target, origin = at + (p - p0) * step + q * s.width, (q0 + q) * s.P + p * s.width
                            if (p + 1) * s.width <= s.P:
                                for v in range(0, s.width, L):
                                    vstore(block, target + v, vload(b, origin + v))
                            else:
                                for v in range(0, s.width, L):
                                    vstore(block, target + v, load(b, origin + v, s.P - p * s.width - v))
                for t in range(first_tile, end_tile, GROUP):
                    count = min(GROUP, end_tile - t)
                    for p in range(p0, p1):
                        columns = min(s.width, s.P - p * s.width)
                        rows_tiles(address, a, q0, rows, t * s.R, count, zeros, 0, 1, length, source,
                                   at + (p - p0) * step, c, p * s.width, c_rows, t * s.R, columns, block,
                                   len(block) - s.width, q0)  # fmt: skip


@kernel
def dot_kernel(first, end, x, w, bias, y, N, K, O):  # type: ignore[no-untyped-def]  # a body  # noqa: E741  # the field's letter for filters
    """y[n, o] = Σ x[n, k] · w[o, k] + bias[o]; a piece is four rows of w."""
    L = lanes(x)
    whole = K - K % L
    for piece in range(first, end):
        o = 4 * piece
        w0, w1, w2, w3 = o * K, min(o + 1, O - 1) * K, min(o + 2, O - 1) * K, min(o + 3, O - 1) * K
        for n in range(N):
            s0, s1, s2, s3 = vfill(x, 0), vfill(x, 0), vfill(x, 0), vfill(x, 0)
            for k in range(0, whole, L):
                v = vload(x, n * K + k)
                s0 = s0 + v * vload(w, w0 + k)
                s1 = s1 + v * vload(w, w1 + k)
                s2 = s2 + v * vload(w, w2 + k)
                s3 = s3 + v * vload(w, w3 + k)
            if whole < K:
                m, k = K - whole, whole
                v = vload_part(x, n * K + k, m)
                s0 = s0 + v * vload_part(w, w0 + k, m)
                s1 = s1 + v * vload_part(w, w1 + k, m)
                s2 = s2 + v * vload_part(w, w2 + k, m)
                s3 = s3 + v * vload_part(w, w3 + k, m)
            sums = (vsum(s0), vsum(s1), vsum(s2), vsum(s3))
            for i in range(min(4, O - o)):
                y[n * O + o + i] = sums[i] + bias[o + i]


@kernel
def few_rows_kernel(first, end, a, b, c, M, Q, P):  # type: ignore[no-untyped-def]  # a body
    """C (M, P) = A (M, Q) · B (Q, P), where C's rows stay in the cache; a piece is a vector of columns."""
    L = lanes(a)
    p0, p1 = first * L, min(end * L, P)
    for m in range(M):
        vzero(c, m * P + p0, p1 - p0)
    whole = p1 - (p1 - p0) % L
    fours = Q - Q % 4
    for q in range(0, fours, 4):
        for m in range(M):
            a0, a1, a2, a3 = a[m * Q + q], a[m * Q + q + 1], a[m * Q + q + 2], a[m * Q + q + 3]
            for p in range(p0, whole, L):
                v = vload(c, m * P + p) + a0 * vload(b, q * P + p) + a1 * vload(b, (q + 1) * P + p)
                v = v + a2 * vload(b, (q + 2) * P + p) + a3 * vload(b, (q + 3) * P + p)
                vstore(c, m * P + p, v)
    for m in range(M):
        for q in range(fours, Q):
            for p in range(p0, whole, L):
                vstore(c, m * P + p, vload(c, m * P + p) + a[m * Q + q] * vload(b, q * P + p))
        if whole < p1:
            n = p1 - whole
            v = vfill(a, 0)
            for q in range(Q):
                v = v + a[m * Q + q] * vload_part(b, q * P + whole, n)
            vstore_part(c, m * P + whole, v, n)


class Sizes(NamedTuple):
    """The numbers that `product_kernel` needs."""

    M: int
    Q: int
    P: int
    R: int
    tiles: int
    width: int  # of a panel
    panels: int
    shares: int
    by_rows: int  # 1: the shares are tiles, 0: panels
    ready: int  # 1: B consists of panels
    together: int  # panels in a block
    length: int  # rows of B in a block


class Plan(NamedTuple):
    sizes: Sizes
    V: int
    rows: Array  # where the rows of A begin
    c_rows: Array


@lru_cache(maxsize=256)
def plan(M: int, Q: int, P: int, a_pitch: int, dtype: Any, ready: bool, n_threads: int) -> Plan:
    """Choose the tile, and whether shares are rows or columns of C, by the multiply-adds of the largest share."""
    best: tuple[float, int, int] | None = None
    for V in (4, 3, 2, 1):
        R, width = TILE_ROWS[V - 1], V * lanes_of(dtype)
        tiles, panels = -(-M // R), -(-P // width)
        for by_rows in (0, 1):
            most_rows = -(-tiles // n_threads) if by_rows else tiles
            most_panels = panels if by_rows else -(-panels // n_threads)
            cost = (most_rows * R + (0 if ready else COPY)) * most_panels * width * (1.3 if V == 1 else 1)
            if best is None or cost < best[0]:
                best = cost, V, by_rows
    assert best is not None
    _, V, by_rows = best
    R, width = TILE_ROWS[V - 1], V * lanes_of(dtype)
    tiles, panels = -(-M // R), -(-P // width)
    row_bytes = width * dtype.itemsize
    length = min(Q, READY_REDUCTION if ready else REDUCTION)
    together = panels if ready else min(panels, max(1, BLOCK_BYTES // (row_bytes * length)))
    shares = min(n_threads, tiles if by_rows else panels)
    row = np.minimum(np.arange(tiles * R), M - 1)  # the last tile repeats its last row
    c_pitch = panels * width if ready else P
    sizes = Sizes(M, Q, P, R, tiles, width, panels, shares, by_rows, int(ready), together, length)
    return Plan(sizes, V, row * a_pitch, row * c_pitch)


ZEROS = np.zeros(1, np.int64)


def _run(p: Plan, a: Array, b: Array, c: Array) -> None:
    s = p.sizes
    block_size = 0 if s.ready else s.together * s.length * s.width
    with scratch(s.shares * block_size + s.width, a.dtype) as block:
        block[-s.width :] = 0  # the bias
        product_kernel(
            s.shares, tile("rows", p.V, a.dtype), s, a, b, c, p.rows, p.c_rows, ZEROS, block, block_size
        )  # fmt: skip


def _turn(x: Array, pitch: int, rows: int, columns: int, bias: Array, out: Array, panel: int, panel_size: int,
          out_pitch: int, out_rows: int) -> None:  # fmt: skip
    L = lanes_of(x.dtype)
    shares = min(settings.threads(), -(-out_rows // L) * -(-columns // L))
    with scratch(shares * L * L, x.dtype) as spare:
        turn_kernel(shares, shares, x, pitch, rows, columns, bias, out, panel, panel_size, out_pitch, out_rows, spare)


def product(a: Array, b: Array) -> Array:
    """(M, Q) · (Q, P), both contiguous → (M, P)"""
    (M, Q), P = a.shape, b.shape[1]
    c = np.empty((M, P), a.dtype)
    if M <= FEW_ROWS:
        few_rows_kernel(-(-P // lanes_of(a.dtype)), flat(a), flat(b), c.reshape(-1), M, Q, P)
        return c
    _run(plan(M, Q, P, Q, a.dtype, False, settings.threads()), flat(a), flat(b), c.reshape(-1))
    return c


def product_of_turned(a: Array, b: Array) -> Array:
    """Aᵀ B: (Q, M), (Q, P), both contiguous → (M, P)"""
    (Q, M), P = a.shape, b.shape[1]
    c = np.empty((M, P), a.dtype)
    pitch = -(-Q // lanes_of(a.dtype)) * lanes_of(a.dtype)
    with scratch(M * pitch, a.dtype) as turned:
        _turn(flat(a), M, Q, M, turned[:0], turned, pitch, 0, pitch, pitch)
        _run(plan(M, Q, P, pitch, a.dtype, False, settings.threads()), turned, flat(b), c.reshape(-1))
    return c


def product_with_turned(a: Array, b: Array, bias: Array | None = None) -> Array:
    """A Bᵀ + bias: (N, K), (O, K), both contiguous, and (O,) → (N, O)"""
    (N, K), O = a.shape, len(b)  # noqa: E741  # the field's letter for filters
    y = np.empty((N, O), a.dtype)
    bias = np.zeros(O, a.dtype) if bias is None else flat(np.ascontiguousarray(bias))
    if N <= DOT_ROWS:
        dot_kernel(-(-O // 4), flat(a), flat(b), bias, y.reshape(-1), N, K, O)
        return y
    p = plan(O, K, N, K, a.dtype, True, settings.threads())
    width = p.sizes.width
    columns = p.sizes.panels * width
    with scratch(K * columns, a.dtype) as panels, scratch(O * columns, a.dtype) as turned:
        _turn(flat(a), K, N, K, bias[:0], panels, width, K * width, width, columns)
        _run(p, flat(b), panels, turned)
        _turn(turned, columns, O, N, bias, y.reshape(-1), O, 0, O, O)
    return y


def _fits(*arrays: Array) -> bool:
    return all(a.ndim == 2 and a.size and a.dtype == arrays[0].dtype and a.dtype.char in "fd" for a in arrays)


# matmul


def matmul_forward(x: Array, y: Array) -> tuple[Array, Any]:
    if not _fits(x, y):
        return definition.matmul_forward(x, y)
    return product(*map(np.ascontiguousarray, (x, y))), (x, y)


def matmul_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x, y = cache
    if not _fits(x, y, dz):
        return definition.matmul_backward(dz, cache, needs)
    dz = np.ascontiguousarray(dz)
    return (
        product_with_turned(dz, np.ascontiguousarray(y)) if needs[0] else None,
        product_of_turned(np.ascontiguousarray(x), dz) if needs[1] else None,
    )


# linear


def linear_forward(x: Array, w: Array, b: Array | None) -> tuple[Array, Any]:
    rows = x.reshape(math.prod(x.shape[:-1]), w.shape[1])
    if not _fits(rows, w):
        return definition.linear_forward(x, w, b)
    rows = np.ascontiguousarray(rows)
    y = product_with_turned(rows, np.ascontiguousarray(w), b)
    return y.reshape(*x.shape[:-1], len(w)), (rows, w, x.shape, b is not None)


@ieee
def linear_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    rows, w, shape, has_bias = cache
    if not _fits(rows, w):
        return definition.linear_backward(dy, cache, needs)
    dy = np.ascontiguousarray(dy.reshape(len(rows), len(w)))
    return (
        product(dy, np.ascontiguousarray(w)).reshape(shape) if needs[0] else None,
        product_of_turned(dy, rows) if needs[1] else None,
        dy.sum(axis=0) if has_bias and needs[2] else None,
    )
