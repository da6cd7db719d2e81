"""Convolution with few filters per group: lanes hold filters × taps, where the direct one leaves most lanes empty.

    G[pixel, (tap, o)] = Σ_c x[pixel, c] · w[o, c, tap]          a matrix product, x is read where it lies
    y[pixel, o] = b[o] + Σ_tap G[pixel moved by tap, (tap, o)]   whole vectors, of which O numbers are kept

Two filters of 3 × 3 fill 18 lanes instead of 2, and the product is 4.5 times as short. The input gradient with few
channels is the same loop over dy (as in `direct.py`, which names the parts that a stride makes of it). The weight
gradient multiplies each pixel of x with what its taps find in dy:

    dw[(tap, o), c] = Σ_pixel dy[pixel moved by tap, o] · x[pixel, c]

What limits it: the product, V·L lanes wide; T loads per pixel for the sums, which is much where C is small. With
stride, the forward pass computes all taps of all pixels though not all meet. `wins` counts these.
G of a band of rows stays in the second cache; bands that meet compute some rows twice.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from . import settings
from .direct import REDUCTION, SLACK, Shape, copy_band, forward_parts, input_gradient_parts, runs
from .kept_weights import packed
from .microkernel import MOST_ROWS, TILE_ROWS, choose_vectors, rows_tiles, taps_rows, taps_tiles, tile
from .threads import flat, kernel, scratch
from .vectors import lanes, lanes_of, vcopy, vfill, vload, vload_part, vstore, vstore_part, vzero

Array = Any

PRODUCT_BYTES = 256 * 1024  # of a band
PIXELS = 512  # of a band in the weight gradient, about


class Sizes(NamedTuple):
    """The numbers that the kernel needs. x is the input of the pass (dy, for the input gradient)."""

    H: int
    W: int
    C: int
    OH: int
    OW: int
    O: int  # noqa: E741  # the field's letter for filters
    groups: int
    panels: int  # per group
    width: int  # of a panel
    R: int
    top: int  # first row that the first pixel's taps meet, negative in the padding
    left: int
    buffer_width: int
    SH: int  # input pixels from one output pixel of a part to the next
    SW: int
    YH: int  # output pixels from one of a part to the next
    YW: int
    span: int  # rows that a pixel's taps cover
    bands: int  # per image
    band: int  # rows of pixels per band


class Plan(NamedTuple):
    """Sizes and tables of one pass."""

    sizes: Sizes
    parts: Array  # six numbers per part: first row and column, rows, columns, first and last tap
    taps: Array  # where in G the number of each tap lies, from a pixel's first one
    V: int
    buffer: int
    pixels: int  # of x in one job, at most
    wins: bool  # over the direct convolution


def _efficiency(V: int) -> float:
    return 0.65 if V == 1 else 0.93  # of the peak, measured


def _vectors(columns: int, dtype: Any) -> int:
    """Return V for this many columns: the fewest vectors, but one at a time is slow."""
    need = -(-columns // lanes_of(dtype))
    return min((4, 3, 2, 1), key=lambda v: -(-need // v) * v / _efficiency(v))


def _direct(s: Shape, filters: int, C: int, meetings: int, efficiency: float) -> float:
    """Return what the direct convolution costs: multiply-adds of vectors, per image and group."""
    return meetings * C // s.groups * -(-filters // s.groups // lanes_of(s.dtype)) / efficiency


@lru_cache(maxsize=512)
def plan(s: Shape, transpose: bool, n_threads: int) -> Plan:
    """Plan the forward pass, or the input gradient (transpose)."""
    if transpose:
        (H, W), C, O, out = s.out, s.O, s.C, (s.H, s.W)  # noqa: E741
        parts, step, out_step = input_gradient_parts(s), (1, 1), s.stride
    else:
        H, W, C, O, out = s.H, s.W, s.C, s.O, s.out  # noqa: E741
        parts, step, out_step = forward_parts(s), s.stride, (1, 1)
    T, Og, L = s.kernel[0] * s.kernel[1], O // s.groups, lanes_of(s.dtype)
    taps = [t for p in parts for t in p.taps] or [(0, 0, 0)]
    top, left = (min(t[axis] for t in taps) for axis in (0, 1))
    bottom, right = (max(t[axis] for t in taps) for axis in (0, 1))
    rows, columns = max(p.rows for p in parts), max(p.columns for p in parts)
    buffer_width, span = (columns - 1) * step[1] + right - left + 1, bottom - top + 1
    V = _vectors(T * Og, s.dtype)
    panels = -(-T * Og // (V * L))
    step_of_pixel = panels * V * L

    fit = (PRODUCT_BYTES // (buffer_width * step_of_pixel * s.dtype.itemsize) - span) // step[0] + 1
    bands = -(-rows // max(fit, 4 * (span - 1) // step[0], 1))
    while s.N * bands < 8 * n_threads and s.N * bands % n_threads and bands < rows:
        bands += 1
    band = -(-rows // bands)
    bands = -(-rows // band)
    buffer_rows = (band - 1) * step[0] + span

    table, tap_at = [], []
    for p in parts:
        table += [p.row0, p.column0, p.rows, p.columns, len(tap_at), len(tap_at) + len(p.taps)]
        tap_at += [((y - top) * buffer_width + x - left) * step_of_pixel + position * Og for y, x, position in p.taps]
    meetings = sum(p.rows * p.columns * len(p.taps) for p in parts)
    sums = (meetings * 4 + out[0] * out[1] * 6) * -(-Og // L)
    products = bands * min(buffer_rows, H) * W * C // s.groups * panels * V / _efficiency(V)
    direct = _direct(s, O, C, meetings, _efficiency(choose_vectors(Og, s.dtype)))
    sizes = Sizes(H, W, C, *out, O, s.groups, panels, V * L, TILE_ROWS[V - 1], top, left, buffer_width, *step,
                  *out_step, span, bands, band)  # fmt: skip
    return Plan(sizes, np.array(table), np.array([*tap_at, 0]), V, buffer_rows * buffer_width * step_of_pixel + SLACK,
                buffer_rows * W + MOST_ROWS,
                sums + products < 0.85 * direct)  # fmt: skip


def _may(filters: int, s: Shape) -> bool:
    return s.kernel != (1, 1) and filters // s.groups <= 2 * lanes_of(s.dtype)


def wins(s: Shape, transpose: bool = False) -> bool:
    """Return whether this is faster than the direct convolution."""
    return _may(s.C if transpose else s.O, s) and plan(s, transpose, settings.threads()).wins


@kernel
def _narrow_kernel(first, end, address, shares, jobs, x, s, parts, taps, panels, bias, y, buffer, buffer_size, tables,
                   tables_size, segments):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """Jobs (image and band) → groups → the product, then the sums."""
    Cg, Og, L, pixel = s.C // s.groups, s.O // s.groups, lanes(x), s.panels * s.width
    for share in range(first, end):
        g0, rows0, c_rows0 = share * buffer_size, 2 * share * tables_size, (2 * share + 1) * tables_size
        for job in range(share * jobs // shares, (share + 1) * jobs // shares):
            n, q0 = job // s.bands, job % s.bands * s.band
            count, row0, high = 0, q0 * s.SH + s.top, (s.band - 1) * s.SH + s.span
            before = min(max(-s.left, 0), s.buffer_width)
            inner = max(min(s.W - max(s.left, 0), s.buffer_width - before), 0)
            for r in range(high):  # G of x's padding is zero
                target = r * s.buffer_width * pixel
                if row0 + r < 0 or row0 + r >= s.H or inner == 0:
                    vzero(buffer, g0 + target, s.buffer_width * pixel)
                    continue
                after = before + inner
                vzero(buffer, g0 + target, before * pixel)
                vzero(buffer, g0 + target + after * pixel, (s.buffer_width - after) * pixel)
                for q in range(inner):
                    tables[rows0 + count] = ((n * s.H + row0 + r) * s.W + max(s.left, 0) + q) * s.C
                    tables[c_rows0 + count] = target + (before + q) * pixel
                    count += 1
            while count % s.R:  # the last tile repeats its last pixel
                tables[rows0 + count] = tables[rows0 + count - 1]
                tables[c_rows0 + count] = tables[c_rows0 + count - 1]
                count += 1
            for g in range(s.groups):
                for p in range(s.panels):
                    for k in range(0, Cg, REDUCTION):
                        rows_tiles(address, x, g * Cg + k, tables, rows0, count // s.R, segments, 0, 1,
                                   min(REDUCTION, Cg - k), panels, ((g * s.panels + p) * Cg + k) * s.width, buffer,
                                   g0 + p * s.width, tables, c_rows0, s.width, bias, s.O + L, k)  # fmt: skip
                for i in range(0, len(parts), 6):
                    y0, x0, rows, columns, tap0, end_tap = (
                        parts[i], parts[i + 1], parts[i + 2], parts[i + 3], parts[i + 4], parts[i + 5])  # fmt: skip
                    paired = end_tap - (end_tap - tap0) % 2
                    for q in range(q0, min(q0 + s.band, rows)):
                        for r in range(columns):
                            source = g0 + ((q - q0) * s.SH * s.buffer_width + r * s.SW) * pixel
                            target = (((n * s.OH + y0 + q * s.YH) * s.OW + x0 + r * s.YW) * s.groups + g) * Og
                            for v in range(0, Og, L):
                                even, odd = vload(bias, g * Og + v), vfill(x, 0)  # an addition waits for the one before
                                for t in range(tap0, paired, 2):
                                    even = even + vload(buffer, source + taps[t] + v)
                                    odd = odd + vload(buffer, source + taps[t + 1] + v)
                                for t in range(paired, end_tap):
                                    even = even + vload(buffer, source + taps[t] + v)
                                vstore_part(y, target + v, even + odd, Og - v)


def _convolve(x: Array, w: Array, b: Array | None, s: Shape, transpose: bool) -> Array:
    """Run a plan: x is (N, H, W, C), w the (O, C/groups, KH, KW) weights, the result C-contiguous."""
    p = plan(s, transpose, settings.threads())
    z, L, T = p.sizes, lanes_of(s.dtype), s.kernel[0] * s.kernel[1]
    K, Og, columns = z.C // s.groups, z.O // s.groups, z.panels * z.width
    bias = np.zeros(z.O + L + z.width, s.dtype)  # behind it zeros, where a product begins
    if b is not None:
        bias[: z.O] = b

    def pack(panels: Array) -> None:
        order = (0, 1, 3, 2) if transpose else (0, 2, 3, 1)
        by_tap = w.reshape(s.groups, s.O // s.groups, s.C // s.groups, T).transpose(order)
        padded = np.zeros((s.groups, K, columns), s.dtype)
        padded[:, :, : T * Og] = by_tap.reshape(s.groups, K, T * Og)
        panels.reshape(s.groups, z.panels, K, z.width)[:] = padded.reshape(s.groups, K, z.panels, z.width).transpose(
            0, 2, 1, 3
        )

    y = np.empty((s.N, z.OH, z.OW, z.O), s.dtype)
    jobs = s.N * z.bands
    shares = min(settings.threads(), jobs)
    with (
        packed(w, ("narrow", s, transpose), s.N * z.OH * z.OW, s.groups * K * columns, pack) as panels,
        scratch(shares * p.buffer, s.dtype) as buffer,
        scratch(2 * shares * p.pixels, np.int64) as tables,
    ):
        _narrow_kernel(shares, tile("rows", p.V, s.dtype), shares, jobs, flat(x), z, p.parts, p.taps, panels, bias,
                       y.reshape(-1), buffer, p.buffer, tables, p.pixels, np.zeros(1, np.int64))  # fmt: skip
    return y


def forward(x: Array, w: Array, b: Array | None, s: Shape) -> Array:
    """(N, H, W, C) → (N, OH, OW, O)"""
    return _convolve(x, w, b, s, transpose=False)


def input_gradient(dy: Array, w: Array, s: Shape, b: Array | None = None) -> Array:
    """(N, OH, OW, O) → (N, H, W, C); a transposed convolution adds a bias."""
    return _convolve(dy, w, b, s, transpose=True)


# Weight gradient


class GradientSizes(NamedTuple):
    """The numbers that `_weight_gradient_kernel` needs."""

    H: int
    W: int
    C: int
    OH: int
    OW: int
    O: int  # noqa: E741  # the field's letter for filters
    groups: int
    width: int  # of a panel
    R: int
    tiles: int  # of a panel
    top: int
    left: int
    buffer_width: int
    SH: int  # pixels of x from one pixel of a part to the next
    SW: int
    span: int  # rows of dy that a pixel's taps cover
    bands: int  # per image
    band: int  # rows of a part's pixels per band


class GradientPlan(NamedTuple):
    sizes: GradientSizes
    parts: Array  # nine numbers per part: see the kernel
    positions: list[list[int]]  # of the filter, for each part's taps
    segments: Array
    offsets: Array
    V: int
    sums: int
    near: int  # numbers of x in one job
    buffer: int
    patches: int
    pixels: int  # of one part in one job, at most
    wins: bool  # over the direct convolution


@lru_cache(maxsize=512)
def gradient_plan(s: Shape, n_threads: int) -> GradientPlan:
    parts = [p for p in input_gradient_parts(s) if p.taps]
    taps = [t for p in parts for t in p.taps] or [(0, 0, 0)]
    top, left = (min(t[axis] for t in taps) for axis in (0, 1))
    bottom, right = (max(t[axis] for t in taps) for axis in (0, 1))
    rows, columns = (max((p[axis] for p in parts), default=1) for axis in (2, 3))
    Cg, Og, L, span = s.C // s.groups, s.O // s.groups, lanes_of(s.dtype), bottom - top + 1
    buffer_width = columns + right - left
    most = max((len(p.taps) for p in parts), default=1) * Og
    V = _vectors(most, s.dtype)
    width, R = V * L, taps_rows(Cg, V)
    tiles = -(-Cg // R)

    bands = -(-rows // max(1, PIXELS // columns))
    while s.N * bands < 8 * n_threads and s.N * bands % n_threads and bands < rows:
        bands += 1
    band = -(-rows // bands)
    bands = -(-rows // band)
    table, segments, sums, cost = [], [], 0, 0.0
    for p in parts:
        starts, length = runs(p.taps, top, left, buffer_width, Og, Og)
        panels = -(-len(p.taps) * Og // width)
        table += [p.row0, p.column0, p.rows, p.columns, len(segments), len(starts), length, panels, sums]
        segments += starts
        sums += s.groups * panels * tiles * R * width
        copies = len(starts) * -(-length // L)
        cost += p.rows * p.columns * (tiles * R * panels * V / 0.93 + 3 * copies + 6)
    sizes = GradientSizes(s.H, s.W, s.C, *s.out, s.O, s.groups, width, R, tiles, top, left, buffer_width, *s.stride,
                          span, bands, band)  # fmt: skip
    direct = _direct(s, s.O, s.C, s.out[0] * s.out[1] * s.kernel[0] * s.kernel[1], 0.93) + s.out[0] * s.out[1] * 6
    offsets = [*range(Cg)] + [0] * (tiles * R - Cg)
    return GradientPlan(
        sizes, np.array(table, np.int64), [[t[2] for t in p.taps] for p in parts], np.array([*segments, 0]),
        np.array(offsets), V, sums, band * s.stride[0] * s.W * s.C + SLACK,
        (band + span - 1) * buffer_width * s.O + SLACK, band * columns * -(-most // width) * width + SLACK,
        band * columns, cost < 0.85 * direct)  # fmt: skip


def gradient_wins(s: Shape) -> bool:
    """Return whether this weight gradient is faster than the direct one."""
    return _may(s.O, s) and gradient_plan(s, settings.threads()).wins


@kernel
def _weight_gradient_kernel(first, end, address, shares, jobs, x, dy, s, parts, segments, offsets, zeros, sums,
                            sums_size, db, near, near_size, buffer, buffer_size, patches, patches_size, tables,
                            tables_size):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """Jobs (image and band) → groups → parts: what the taps find in dy becomes a panel; then its tiles."""
    Cg, Og, L = s.C // s.groups, s.O // s.groups, lanes(x)
    for share in range(first, end):
        b0, rows0, patches0, sums0 = share * buffer_size, share * tables_size, share * patches_size, share * sums_size
        near0 = share * near_size
        vzero(patches, patches0, patches_size)  # lanes that stay empty must be numbers: others are slow
        vzero(sums, sums0, sums_size)
        for job in range(share * jobs // shares, (share + 1) * jobs // shares):
            n, q0 = job // s.bands, job % s.bands * s.band
            high = s.band + s.span - 1
            copy_band(dy, n * s.OH * s.OW * s.O, s.OH, s.OW, s.O, Og, q0 + s.top, high, s.left, s.buffer_width,
                      buffer, b0)  # fmt: skip
            # A copy of x's rows: each tile reads a few channels of all pixels, twice as slow from far away.
            x_rows = min(s.band * s.SH, s.H - q0 * s.SH)
            vcopy(x, (n * s.H + q0 * s.SH) * s.W * s.C, near, near0, x_rows * s.W * s.C)
            for i in range(0, len(parts), 9):
                y0, x0, rows, columns, segment0 = parts[i], parts[i + 1], parts[i + 2], parts[i + 3], parts[i + 4]
                n_segments, length, panels, part0 = parts[i + 5], parts[i + 6], parts[i + 7], parts[i + 8]
                step, count = panels * s.width, 0
                for q in range(q0, min(q0 + s.band, rows)):
                    for r in range(columns):
                        tables[rows0 + count] = (((q - q0) * s.SH + y0) * s.W + x0 + r * s.SW) * s.C
                        count += 1
                for g in range(s.groups):
                    target = patches0
                    for q in range(min(s.band, rows - q0)):
                        for r in range(columns):
                            source = b0 + ((g * high + q) * s.buffer_width + r) * Og
                            for j in range(segment0, segment0 + n_segments):
                                for e in range(0, length, L):  # what is too much is overwritten by the next
                                    vstore(patches, target + e, vload(buffer, source + segments[j] + e))
                                target += length
                            target += step - n_segments * length
                    for p in range(panels):
                        taps_tiles(address, near, near0 + g * Cg, tables, rows0, count, offsets, 0, s.tiles, patches,
                                   patches0 + p * s.width, step, sums,
                                   sums0 + part0 + (g * panels + p) * s.tiles * s.R * s.width, zeros, 1)  # fmt: skip
        pixels, db0 = jobs // s.bands * s.OH * s.OW, share * (s.O + L)
        at, end_pixel = share * pixels // shares, (share + 1) * pixels // shares
        for c in range(0, s.O, L):
            even, odd = vfill(dy, 0), vfill(dy, 0)  # an addition waits for the one before
            for i in range(at, end_pixel - 1, 2):
                even = even + vload_part(dy, i * s.O + c, s.O - c)
                odd = odd + vload_part(dy, (i + 1) * s.O + c, s.O - c)
            if (end_pixel - at) % 2:
                even = even + vload_part(dy, (end_pixel - 1) * s.O + c, s.O - c)
            vstore(db, db0 + c, even + odd)


def weight_gradient(x: Array, dy: Array, s: Shape) -> tuple[Array, Array]:
    """Return dw (O, C/groups, KH, KW) and db (O,) from (N, H, W, C) and (N, OH, OW, O)."""
    p = gradient_plan(s, settings.threads())
    z, L, Cg, Og = p.sizes, lanes_of(s.dtype), s.C // s.groups, s.O // s.groups
    jobs = s.N * z.bands
    shares = min(settings.threads(), jobs)
    dw, db = np.zeros((s.groups, Og, Cg, s.kernel[0] * s.kernel[1]), s.dtype), np.empty((shares, s.O + L), s.dtype)
    with (
        scratch(shares * p.sums, s.dtype) as sums,
        scratch(shares * p.buffer, s.dtype) as buffer,
        scratch(shares * p.near, s.dtype) as near,
        scratch(shares * p.patches, s.dtype) as patches,
        scratch(shares * p.pixels, np.int64) as tables,
    ):
        _weight_gradient_kernel(shares, tile("taps", p.V, s.dtype, z.R), shares, jobs, flat(x), flat(dy), z, p.parts,
                                p.segments, p.offsets, np.zeros(z.width, s.dtype), sums, p.sums, db.reshape(-1), near,
                                p.near, buffer, p.buffer, patches, p.patches, tables, p.pixels)  # fmt: skip
        found = sums.reshape(shares, p.sums)
        for positions, (panels, at) in zip(p.positions, p.parts.reshape(-1, 9)[:, 7:]):
            part = found[:, at : at + s.groups * panels * z.tiles * z.R * z.width]
            part = part.reshape(shares, s.groups, panels, -1, z.width)[:, :, :, :Cg].transpose(0, 1, 3, 2, 4)
            columns = part.reshape(shares, s.groups, Cg, panels * z.width)[..., : len(positions) * Og].sum(0)
            dw[..., positions] = columns.reshape(s.groups, Cg, len(positions), Og).transpose(0, 3, 1, 2)
    return dw.reshape(s.O, Cg, *s.kernel), db[:, : s.O].sum(0)
