"""The register tile: the one fast loop that convolutions and matrix products are made of.

A tile is R rows (pixels) × V vectors (V·L output channels) of sums that stay in registers for the whole
reduction. Each step loads V vectors of B, broadcasts R numbers of A and does R·V multiply-adds of vectors:

    C[i, :] += A(i, k) · B[k, :]        i < R,  k = 0, 1, …

Numba does not keep such a tile in registers, so the loop is written as LLVM code. Four ways to find A cover
every operation:

    'rows'   A(i, k) = a[rows[i] + segments[s] + j],  k = s·length + j
             Row i starts anywhere, and the reduction is some contiguous runs. Convolution: rows are pixels,
             segments are filter rows (or single taps), a run is KW·C (or C) numbers. Matrix product: one segment.
    'line'   A(i, k) = a[row + i·step + segments[s] + j]
             The same for rows that are evenly spaced, as pixels of one image row are: few pointers reach them all.
    'outer'  A(i, k) = a[rows[k] + i]
             The reduction jumps, the tile's rows are neighbours: Winograd's weight gradient.
    'taps'   A(i, k) = a[rows[k] + segments[i]]
             The same for rows anywhere, and panels whose rows are n_segments numbers apart. Weight gradients: k is a
             pixel, i a channel under a tap.

B is a packed panel [K][V·L], padded with zeros, so loads of B need no mask; where C ends inside a panel its rows
are read and written under a mask. A loop over tiles, one below the other on the same panel, is
inside: one call per panel.

What is added to C is summed from zero. So callers cut a long reduction into blocks: many short sums, added up, round
far less than one long sum (512 channels of 3 × 3: a quarter, in blocks of 128 terms).

A 'taps' tile is less high than it might be where that leaves fewer rows idle: 25 taps in three tiles of nine.

A tile is compiled once per shape and type, and kernels call it by its *address*, which they are given as a
number: else every kernel would contain, and compile, all tiles.

What limits it: R·V sums + V vectors of B + 1 of A must fit the registers (32 for AVX-512 and NEON, 16 for
AVX2), and 14 pointers do not fit the 16 registers for addresses. Shares of the multiply-add peak (two blocks of 96
and 48 terms, Zen 4): V = 1: 94 % by 'rows', 98 % by 'line'; V = 2: 96, 98 %; V = 3: 97, 99 %; V = 4: 98 % both.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import Signature
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

from . import settings
from .threads import kept, part
from .vectors import I64, lane_mask, lanes_of, masked_load, masked_store, splat

# Rows of a tile of V = 1, 2, 3, 4 vectors.
TILE_ROWS = {
    "avx512": (14, 12, 8, 6),
    "avx2": (8, 6, 4, 2),
    "neon": (8, 8, 6, 5),
    "scalar": (4, 3, 2, 2),
}[settings.vector()]
MOST_ROWS = max(TILE_ROWS)


def taps_rows(rows: int, V: int) -> int:
    """Return the height of a 'taps' tile of V vectors: the one that divides few rows with the least padding."""
    most = TILE_ROWS[V - 1]
    return most if rows > 4 * most else -(-rows // -(-rows // most))


def line_rows(columns: int, V: int) -> tuple[int, int, int]:
    """Return how a row of pixels is cut into 'line' tiles: their height R, how many have it, how many have R − 1.

    None where they would be low, for then a tile's loads and its beginning and end cost more than they save.
    """
    most = TILE_ROWS[V - 1]
    count = -(-columns // most)
    R = -(-columns // count)
    high = columns - count * (R - 1)
    fits = V <= 3 and columns // count >= most // 2
    return (R, high, count - high) if fits else (most, 0, 0)


def choose_vectors(channels: int, dtype: Any) -> int:
    """Return V for this many output channels: little padding first, then few panels, then tall tiles."""
    need = -(-channels // lanes_of(dtype))
    return min((4, 3, 2, 1), key=lambda v: (-(-need // v) * v, v == 1, -v))


def _emit(bld: Any, kind: str, R: int, V: int, L: int, scalar: Any, args: Any) -> None:
    """Emit the loop over tiles into a function."""
    (a, rows, count, segments, n_segments, length, b, c, c_rows, columns, bias, add, a_step, c_step) = args
    vec = ir.VectorType(scalar, L)
    align = 4 if isinstance(scalar, ir.FloatType) else 8
    bits = 8 * align
    a, b, c, bias = (bld.inttoptr(p, scalar.as_pointer()) for p in (a, b, c, bias))
    rows, segments, c_rows = (bld.inttoptr(p, I64.as_pointer()) for p in (rows, segments, c_rows))
    fma = cgutils.get_or_insert_function(
        bld.module, ir.FunctionType(vec, [vec, vec, vec]), f"llvm.fma.v{L}f{bits}" if L > 1 else f"llvm.fma.v1f{bits}"
    )

    def shift(p: Any, *terms: Any) -> Any:
        for term in terms:
            p = bld.gep(p, [I64(term) if isinstance(term, int) else term])
        return p

    def load_vector(p: Any) -> Any:
        return bld.load(bld.bitcast(p, vec.as_pointer()), align=align)

    # The sums: stack slots here, which LLVM turns into registers.
    sums = [[cgutils.alloca_once(bld, vec) for _ in range(V)] for _ in range(R)]
    k_slot = cgutils.alloca_once(bld, I64)
    partial = bld.icmp_signed("<", columns, I64(V * L)) if kind in ("rows", "line") else ir.Constant(ir.IntType(1), 0)

    def each_vector(whole: Any, partly: Any) -> None:
        """Emit whole(i, v), or partly(i, v, mask) where C ends inside the panel, for each vector of the tile."""
        with bld.if_else(partial) as (ends_inside, fits):
            with ends_inside:
                for v in range(V):
                    mask = lane_mask(bld, bld.sub(columns, I64(v * L)), L)
                    for i in range(R):
                        partly(i, v, mask)
            with fits:
                for i in range(R):
                    for v in range(V):
                        whole(i, v)

    def step(a_of_row: Any, k: Any) -> None:
        b_row = shift(b, bld.mul(k, n_segments if kind == "taps" else I64(V * L)))
        bs = [load_vector(shift(b_row, v * L)) for v in range(V)]
        for i in range(R):
            x = splat(bld, bld.load(a_of_row(i)), L)
            for v in range(V):
                bld.store(bld.call(fma, [x, bs[v], bld.load(sums[i][v])]), sums[i][v])

    def grow(i: int, v: int, before: Any) -> None:
        bld.store(bld.fadd(before, bld.load(sums[i][v])), sums[i][v])

    def row_offset(first: Any, i: int) -> Any:
        if kind == "outer":
            return bld.add(first, I64(i))
        # Atomic, so that it stays where it is needed: LLVM would load all rows' numbers first and run out of registers.
        return bld.load_atomic(shift(segments, first, i), "monotonic", 8)

    def hidden(value: Any) -> Any:
        """Emit the same value, of which LLVM does not know how it came about."""
        return bld.asm(ir.FunctionType(value.type, [value.type]), "", "=r,0", [value], False)

    # The rows of a 'line' tile are few pointers + 0, 1, 2, 4 or 8 steps: what an instruction can add. The pointers are
    # hidden anew in each step, else LLVM would make one pointer for each row and keep most of them in memory.
    pointers: dict[int, Any] = {}
    of_row: dict[int, tuple[int, int]] = {}
    if kind == "line":
        for i in range(R):
            if i not in of_row:
                pointers[i] = cgutils.alloca_once(bld, a.type)
                of_row = {i + n: (i, n) for n in (0, 1, 2, 4, 8)} | of_row

    with cgutils.for_range(bld, count) as tile:
        first = bld.mul(tile.index, I64(R))
        if kind == "line":
            start = shift(c, bld.load(shift(c_rows, tile.index)))
            out = [shift(start, bld.mul(c_step, I64(i))) for i in range(R)]
        elif kind != "rows":
            out = [shift(c, bld.mul(first, I64(V * L)), i * V * L) for i in range(R)]
        else:
            out = [shift(c, bld.load(shift(c_rows, first, i))) for i in range(R)]

        def place(i: int, v: int, out: Any = out) -> Any:
            return bld.bitcast(shift(out[i], v * L), vec.as_pointer())

        adds = bld.icmp_signed("!=", add, I64(0))
        for v in range(V):
            start = bld.select(adds, ir.Constant(vec, None), load_vector(shift(bias, v * L)))
            for i in range(R):
                bld.store(start, sums[i][v])

        if kind in ("outer", "taps"):
            with cgutils.for_range(bld, length) as loop:
                a_k = shift(a, bld.load(shift(rows, loop.index)))
                step(lambda i, a_k=a_k, first=first: shift(a_k, row_offset(first, i)), loop.index)
        else:
            bld.store(I64(0), k_slot)
            if kind == "rows":
                a_row = [shift(a, bld.load(shift(rows, first, i))) for i in range(R)]
            else:
                a_step = hidden(a_step)
                a_row = [shift(a, bld.load(shift(rows, tile.index)))]
            with cgutils.for_range(bld, n_segments) as segment:
                start = bld.load(shift(segments, segment.index))
                a_run = [shift(p, start) for p in a_row]
                for i, slot in pointers.items():
                    bld.store(shift(a_run[0], bld.mul(a_step, I64(i))), slot)
                k0 = bld.load(k_slot)
                with cgutils.for_range(bld, length) as loop:
                    if kind == "line":
                        now = {i: hidden(bld.load(slot)) for i, slot in pointers.items()}

                        def at(i: int, now: Any = now) -> Any:
                            first, steps = of_row[i]
                            return shift(now[first], bld.mul(a_step, I64(steps))) if steps else now[first]

                        step(at, bld.add(k0, loop.index))
                        for i, slot in pointers.items():
                            bld.store(shift(now[i], 1), slot)
                    else:
                        step(lambda i, a_run=a_run, j=loop.index: shift(a_run[i], j), bld.add(k0, loop.index))
                bld.store(bld.add(k0, length), k_slot)

        with bld.if_then(adds):
            each_vector(
                lambda i, v, place=place: grow(i, v, bld.load(place(i, v), align=align)),
                lambda i, v, mask, place=place: grow(i, v, masked_load(bld, place(i, v), align, mask, vec)),
            )
        each_vector(
            lambda i, v, place=place: bld.store(bld.load(sums[i][v]), place(i, v), align=align),
            lambda i, v, mask, place=place: masked_store(bld, bld.load(sums[i][v]), place(i, v), align, mask),
        )


@lru_cache(maxsize=256)
def tile(kind: str, V: int, dtype: Any, rows: int = 0) -> int:
    """Return the address of the tile of V vectors and some or the most rows, for the functions below."""
    R, L = rows or TILE_ROWS[V - 1], lanes_of(dtype)
    scalar = from_dtype(np.dtype(dtype))

    @intrinsic
    def tiles(typingctx: Any, args: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, values: Any) -> Any:
            values = cgutils.unpack_tuple(builder, values[0])
            _emit(builder, kind, R, V, L, context.get_value_type(scalar), values)
            return context.get_dummy_value()

        return types.void(args), codegen

    def function(  # type: ignore[no-untyped-def]  # a body
        a, rows, count, segments, n_segments, length, b, c, c_rows, columns, bias, add, a_step, c_step
    ):
        tiles((a, rows, count, segments, n_segments, length, b, c, c_rows, columns, bias, add, a_step, c_step))

    compiled = kept(function, f"tile_{kind}_{R}x{V}_{np.dtype(dtype)}")
    signature = types.void(*[types.int64] * 14)
    compiled.compile(signature)
    result = compiled.get_compile_result(signature)
    address: int = result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)
    _alive.append(compiled)  # its machine code is freed with it
    return address


_alive: list[Any] = []


@intrinsic
def _call(typingctx: Any, address: Any, a: Any, ai: Any, rows: Any, ri: Any, count: Any, segments: Any, si: Any,
          n_segments: Any, length: Any, b: Any, bi: Any, c: Any, ci: Any, c_rows: Any, cri: Any, columns: Any,
          bias: Any, biasi: Any, add: Any, a_step: Any, c_step: Any) -> Any:  # fmt: skip
    """Call a tile; each array is followed by the index of its first element."""
    i = types.int64
    sig: Signature = types.void(i, a, i, rows, i, i, segments, i, i, i, b, i, c, i, c_rows, i, i, bias, i, i, i, i)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def at(n: int) -> Any:
            data = context.make_array(signature.args[n])(context, builder, args[n]).data
            return builder.ptrtoint(builder.gep(data, [args[n + 1]]), I64)

        values = [at(1), at(3), args[5], at(6), args[8], args[9], at(10), at(12), at(14), args[16], at(17), *args[19:]]
        kind = ir.FunctionType(ir.VoidType(), [I64] * 14).as_pointer()
        builder.call(builder.inttoptr(args[0], kind), values)
        return context.get_dummy_value()

    return sig, codegen


@part
def rows_tiles(address, a, ai, rows, ri, count, segments, si, n_segments, length, b, bi, c, ci, c_rows, cri,
               columns, bias, biasi, add):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """`count` tiles: C = (C if add else bias) + A · panel; the tables hold count·R rows."""
    _call(address, a, ai, rows, ri, count, segments, si, n_segments, length, b, bi, c, ci, c_rows, cri, columns,
          bias, biasi, add, 0, 0)  # fmt: skip


@part
def line_tiles(address, a, ai, a_step, rows, ri, count, segments, si, n_segments, length, b, bi, c, ci, c_step, c_rows,
               cri, columns, bias, biasi, add):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """The same for tiles whose rows are evenly spaced; the tables hold the first row of each."""
    _call(address, a, ai, rows, ri, count, segments, si, n_segments, length, b, bi, c, ci, c_rows, cri, columns,
          bias, biasi, add, a_step, c_step)  # fmt: skip


@part
def outer_tiles(address, a, ai, rows, ri, length, count, b, bi, c, ci, zeros, add):  # type: ignore[no-untyped-def]  # a body
    """`count` tiles: C panel = (C if add else 0) + Σ over k < length of a[rows[k] : rows[k] + count·R] ⊗ panel[k]."""
    _call(address, a, ai, rows, ri, count, rows, ri, 0, length, b, bi, c, ci, rows, ri, 0, zeros, 0, add, 0, 0)


@part
def taps_tiles(address, a, ai, rows, ri, length, offsets, oi, count, b, bi, step, c, ci, zeros, add):  # type: ignore[no-untyped-def]  # a body
    """`count` tiles: row i of C = (C if add else 0) + Σ over k < length of a[rows[k] + offsets[i]] · b[k·step :]."""
    _call(address, a, ai, rows, ri, count, offsets, oi, step, length, b, bi, c, ci, rows, ri, 0, zeros, 0, add, 0, 0)
