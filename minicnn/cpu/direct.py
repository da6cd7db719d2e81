"""Direct convolution (implicit GEMM): forward, input gradient, weight gradient, for every option.

No im2col matrix exists. A *band* of rows of the image (or several small images) is copied into a buffer with
its zero padding; there, the inputs of an output pixel are some contiguous runs: the KW·C numbers under each
filter row, or C numbers for each tap if taps are dilated. Pixels of one image row are evenly spaced: that is the 'line'
tile of `microkernel.py`, or where rows are short the 'rows' tile. If channels are grouped, a run is the group's part of
one tap; where that is short, the buffer holds one group's channels behind the other's, so that each group is a
convolution of its own with long runs. An image without padding is read where it is; then a 1 × 1 convolution is one
matrix product. So is the inside of one large image that meets few filters: only the edge's pixels need the padding
(3 × 3, 16 → 16 channels, 112 × 92 pixels: the copy of all took 4 % of the time). Of many images, which come from
memory, all is copied (with stride 2: 4.8 against 5.8 ms).

The input gradient is the same loop over dy with C and O exchanged. With stride (SH, SW) an input pixel meets
only every SH-th filter row, so the pixels fall into SH · SW classes, each a small dense convolution with its
own taps: no multiplication by inserted zeros. A *part* is one such class; the forward pass has one part.

The weight gradient multiplies each pixel's inputs, one row of the tile for each tap and channel, with its dy: the
'taps' tile. dy is packed into panels, unless its pixels already are the rows of one.

Shares: (images × bands) are split over threads, and also the panels of filters if there are too few pixels.
What limits it: the tile's speed (see `microkernel.py`), 95 % of the peak in that example; the copy where C is small;
the packing of the weights where there are few pixels (one image, 7 × 7 × 512). Few filters per group (below one
register) leave lanes empty: `narrow.py` takes the cases where that costs much, `depthwise.py` one filter per channel.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from . import settings
from .kept_weights import packed
from .microkernel import (
    MOST_ROWS,
    TILE_ROWS,
    choose_vectors,
    line_rows,
    line_tiles,
    rows_tiles,
    taps_rows,
    taps_tiles,
    tile,
)
from .threads import flat, kernel, part, record, scratch
from .vectors import lanes, lanes_of, prefetch, vcopy, vfill, vload, vload_part, vstore, vstore_part, vtranspose, vzero

Array = Any
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]

REDUCTION = 128  # terms in a block of the reduction: its panel stays near, and its sums round little
BAND_PIXELS = 512  # small images are taken together up to this many pixels: one pass over the weights
LARGE = 1024  # pixels of an image from which on its edges are regions of their own,
NEAR = 1 << 21  # bytes of x up to which they are: from beyond the caches, a copy reads faster than tiles do
SLACK = 64  # numbers that a tile or vector may read or write beyond a run
GRADIENT_BYTES = 128 * 1024  # a block of dy in the weight gradient


class Shape(NamedTuple):
    """A convolution: all that decides how it is computed."""

    N: int
    H: int
    W: int
    C: int
    O: int  # noqa: E741  # the field's letter for filters
    kernel: Pair
    stride: Pair
    padding: Padding
    dilation: Pair
    groups: int
    out: Pair
    dtype: Any


Tap = tuple[int, int, int]  # row and column of its input for the first pixel, which filter position


class Part(NamedTuple):
    """Output pixels row0, row0 + row_step, … (rows of them; columns likewise) and the taps they meet."""

    row0: int
    column0: int
    rows: int
    columns: int
    taps: list[Tap]


# Where a tap's inputs lie


def forward_parts(s: Shape) -> list[Part]:
    (kh, kw), (dh, dw), ((top, _), (left, _)) = s.kernel, s.dilation, s.padding
    taps = [(i * dh - top, j * dw - left, i * kw + j) for i in range(kh) for j in range(kw)]
    return [Part(0, 0, *s.out, taps)]


def input_gradient_parts(s: Shape) -> list[Part]:
    """Input pixel h meets tap i of output pixel p where p·SH + i·DH − PH = h."""
    (sh, sw), (kw), ((top, _), (left, _)) = s.stride, s.kernel[1], s.padding

    def meetings(first: int, kernel: int, stride: int, dilation: int, pad: int) -> list[Pair]:
        found = [(first + pad - i * dilation, i) for i in range(kernel)]
        return sorted((at // stride, i) for at, i in found if at % stride == 0)

    parts = []
    for row in range(min(sh, s.H)):
        for column in range(min(sw, s.W)):
            rows = meetings(row, s.kernel[0], sh, s.dilation[0], top)
            columns = meetings(column, s.kernel[1], sw, s.dilation[1], left)
            taps = [(p, q, i * kw + j) for p, i in rows for q, j in columns]
            parts.append(Part(row, column, len(range(row, s.H, sh)), len(range(column, s.W, sw)), taps))
    return parts


def runs(taps: list[Tap], top: int, left: int, width: int, channels: int, pixel: int) -> tuple[list[int], int]:
    """Return where a part's contiguous runs start in a buffer whose rows are `width` pixels long, and their length.

    A run is what is under one filter row if its taps are neighbours, else one tap. A group has `channels`, and it is
    `pixel` numbers from one pixel to the next.
    """
    starts = [((y - top) * width + x - left) * pixel for y, x, _ in taps]
    across = len({x for _, x, _ in taps})
    in_row = [(a[1], b[1]) for a, b in pairwise(taps) if a[0] == b[0]]
    if channels == pixel and all(b - a == 1 for a, b in in_row):
        return starts[::across] if taps else [], across * channels
    return starts, channels


def apart(channels: int, groups: int, taps: int, dtype: Any) -> bool:
    """Return whether the buffer holds the groups one behind the other: worth it where runs are short."""
    return groups > 1 and taps > 1 and channels < 2 * lanes_of(dtype)


class Sizes(NamedTuple):
    """The numbers that `_convolve_kernel` needs. x is the input of the pass (dy, for the input gradient)."""

    N: int
    H: int
    W: int
    C: int
    OH: int
    OW: int
    O: int  # noqa: E741  # the field's letter for filters
    groups: int
    panels: int  # per group
    width: int  # of a panel
    K: int  # rows of a panel, for the taps of all parts
    R: int
    top: int  # first row that the first pixel's taps meet, negative in the padding
    left: int
    SH: int  # input pixels from one output pixel of a part to the next
    SW: int
    YH: int  # output pixels from one of a part to the next
    YW: int
    images: int  # per job
    bands: int  # per image
    band: int  # rows of pixels per band
    splits: int  # of the panels
    pixel: int  # numbers from one pixel to the next where x is read


class Region(NamedTuple):
    """Pixels of a part that read x in the same way: where it is, or from a buffer with its padding.

    Where filters are few, a copy of x costs much, so for a large image only the edge's pixels read one.
    """

    y0: int  # the output pixel that is the part's first
    x0: int
    q0: int  # its rows and columns, in the part's counting
    q1: int
    r0: int
    r1: int
    inside: int  # 1: no pixel has a tap in the padding, x is read where it is
    copies: int  # 1: x must be copied, 0: it is there or was copied for the region before
    rows: int  # of the buffer, for one image
    width: int  # of a row where x is read
    group: int  # numbers from one group to the next where x is read
    segment0: int
    segments: int
    length: int  # of a segment
    tap0: int  # its first one among the taps of all parts
    R: int  # height of the tiles
    high: int  # 'line' tiles of height R per row of pixels; 0: 'rows' tiles
    low: int  # of height R − 1
    tile: int
    low_tile: int


SIZES, REGION = len(Sizes._fields), len(Region._fields)
_sizes, _region = record(Sizes), record(Region)


class Plan(NamedTuple):
    """Sizes and tables of one pass."""

    sizes: Sizes
    numbers: Array  # the sizes, then the regions, for the kernel
    segments: Array
    order: Array  # which tap of all parts together a filter position is, or −1
    taps: int
    V: int
    panels: int  # numbers in all packed panels
    jobs: int
    buffer: int  # numbers of scratch memory per share
    tables: int  # the same for the pixel tables


@lru_cache(maxsize=512)
def plan(s: Shape, transpose: bool, n_threads: int) -> Plan:
    """Plan the forward pass, or the input gradient (transpose)."""
    if transpose:
        (H, W), C, O, out = s.out, s.O, s.C, (s.H, s.W)  # noqa: E741
        parts, step, out_step = input_gradient_parts(s), (1, 1), s.stride
    else:
        H, W, C, O, out = s.H, s.W, s.C, s.O, s.out  # noqa: E741
        parts, step, out_step = forward_parts(s), s.stride, (1, 1)
    taps = [t for p in parts for t in p.taps] or [(0, 0, 0)]
    top, left = (min(t[axis] for t in taps) for axis in (0, 1))
    bottom, right = (max(t[axis] for t in taps) for axis in (0, 1))
    rows, columns = max(p.rows for p in parts), max(p.columns for p in parts)
    Cg = C // s.groups
    split = apart(Cg, s.groups, len(taps), s.dtype)
    pixel = Cg if split else C

    V = choose_vectors(O // s.groups, s.dtype)
    width = V * lanes_of(s.dtype)
    panels = -(-O // s.groups // width)
    images, band, splits = _shares(s.N, rows, columns, panels * s.groups, n_threads)
    bands = -(-rows // band)
    in_place = (
        ((0, 0), (0, 0))
        if split
        else (_inside(rows, step[0], H, top, bottom), _inside(columns, step[1], W, left, right))
    )
    everywhere = in_place == ((0, rows), (0, columns))
    few, near = panels * V <= 2, s.N * H * W * C * s.dtype.itemsize <= NEAR
    by_edges = len(parts) == 1 and few and near and rows * columns >= LARGE and not everywhere
    table, segments, order, tap0, buffer_size = [], [], np.full(s.kernel[0] * s.kernel[1], -1), 0, 1
    for p in parts:
        areas = _areas(rows, columns, *in_place) if by_edges else [(0, p.rows, 0, p.columns, everywhere)]
        for q0, q1, r0, r1, inside in areas:
            high, across = (min(band, q1 - q0), r1 - r0) if by_edges else (band, columns)
            buffer_rows = (high - 1) * step[0] + bottom - top + 1
            buffer_width = W if inside else (across - 1) * step[1] + right - left + 1
            if not inside:
                buffer_size = max(buffer_size, images * buffer_rows * buffer_width * C)
            starts, length = runs(p.taps, top, left, buffer_width, Cg, pixel)
            R, of_R, lower = line_rows(r1 - r0, V)
            table.append(Region(
                p.row0, p.column0, q0, q1, r0, r1, int(inside), int(not inside and (by_edges or not table)),
                buffer_rows, buffer_width, buffer_rows * buffer_width * Cg if split else Cg, len(segments),
                len(starts), length, tap0, R, of_R, lower, tile("line", V, s.dtype, R) if of_R else 0,
                tile("line", V, s.dtype, R - 1) if lower else 0))  # fmt: skip
            segments += starts
        order[[t[2] for t in p.taps]] = range(tap0, tap0 + len(p.taps))
        tap0 += len(p.taps)
    sizes = Sizes(s.N, H, W, C, *out, O, s.groups, panels, width, tap0 * Cg, TILE_ROWS[V - 1], top, left, *step,
                  *out_step, images, bands, band, splits, pixel)  # fmt: skip
    return Plan(sizes, np.concatenate([sizes, *table]), np.array([*segments, 0]), order, tap0, V,
                max(tap0 * C * panels * width, 1), -(-s.N // images) * bands * splits, buffer_size,
                2 * (images * band * columns + MOST_ROWS))  # fmt: skip


def _inside(pixels: int, step: int, size: int, first: int, last: int) -> Pair:
    """Return the first pixel p whose taps p·step + first … last all lie inside the image, and the end of them."""
    begin = min(max(-(first // step), 0), pixels)
    return begin, max(begin, min((size - 1 - last) // step + 1, pixels))


def _areas(rows: int, columns: int, q: Pair, r: Pair) -> list[tuple[int, int, int, int, bool]]:
    """Return the edges above, below, left and right of the pixels in rows q and columns r, and these: the inside."""
    areas = [(0, q[0], 0, columns, False), (q[1], rows, 0, columns, False), (*q, 0, r[0], False),
             (*q, r[1], columns, False), (*q, *r, True)]  # fmt: skip
    return [a for a in areas if a[0] < a[1] and a[2] < a[3]]


def _shares(N: int, rows: int, columns: int, panels: int, n_threads: int) -> tuple[int, int, int]:
    """Return images per job, rows per band, and into how many jobs the panels are split."""
    per_image = n_threads // gcd(N, n_threads)  # jobs that one image must give for all threads to get as many
    if panels >= n_threads and (rows * columns * N < 64 * n_threads or (rows < 4 * per_image and per_image > 1)):
        return max(1, min(N, BAND_PIXELS // (rows * columns))), rows, n_threads
    if per_image > 1 and rows >= per_image:
        return 1, -(-rows // per_image), 1
    each = max(1, N // n_threads)
    most = min(each, max(1, BAND_PIXELS // (rows * columns)))
    return max(d for d in range(1, most + 1) if each % d == 0), rows, 1


# Kernels


@part
def pack_block(w, source, n, column_step, k_step, count, order, K, out, target, width, spare, square):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """out[target + (tap·K + k)·width + column] = w[column, k, position] of `count` k and a vector's first n columns."""
    T, L = len(order), lanes(w)
    joined = k_step == T  # all positions of all k follow each other
    ahead = 16 * T if joined else 4 * k_step  # runs too short for the hardware to foresee: half of the time
    for k in range(1 if joined else count):
        length = count * T if joined else T
        if column_step == 1 and not joined:
            vstore(out, target + k * width, vload_part(w, source + k * k_step, n))  # 1 × 1, columns are neighbours
            continue
        row, position = k, 0  # counted on: a division takes as long as the rest of a step
        for e in range(0, length, L):
            m = min(L, length - e)
            for j in range(n):
                at = source + k * k_step + j * column_step + e
                prefetch(w, at + ahead)
                vstore(spare, square + j * L, vload_part(w, at, m))
            for j in range(n, L):
                vstore(spare, square + j * L, vfill(spare, 0))
            vtranspose(spare, square)
            for i in range(m):
                tap = order[position]
                if tap >= 0:
                    vstore(out, target + (tap * K + row) * width, vload(spare, square + i * L))
                position += 1
                if position == T:
                    row, position = row + 1, 0


@kernel
def pack_kernel(first, end, shares, w, width, panels, groups, K, columns, group_step, column_step, k_step, order, taps,
                out, spare):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """out[group][panel][tap][k][width] from w[group, column, k, position], by 16 k of a vector."""
    blocks, vectors, L = (K + 15) // 16, width // lanes(w), lanes(w)
    pieces = groups * panels * blocks * vectors
    by_column = column_step > k_step  # so that a piece goes on in w where the one before it ended
    for share in range(first, end):
        for piece in range(share * pieces // shares, (share + 1) * pieces // shares):
            i, j = piece % (blocks * vectors), piece // (blocks * vectors)
            k0, v = (i % blocks * 16, i // blocks * L) if by_column else (i // vectors * 16, i % vectors * L)
            column = j % panels * width + v
            source = j // panels * group_step + column * column_step + k0 * k_step
            pack_block(w, source, min(max(columns - column, 0), L), column_step, k_step, min(16, K - k0), order, K, out,
                       (j * taps * K + k0) * width + v, width, spare, share * L * L)  # fmt: skip


@part
def copy_band(x, x0, H, W, C, Cg, row0, rows, left, width, out, out0):
    """Rows row0 ... of one image, `width` pixels from column `left` on; zeros outside the image.

    First Cg channels of them all, then the next Cg.
    """
    before = min(max(-left, 0), width)
    inner = max(min(W - max(left, 0), width - before), 0)
    groups, L = C // Cg, lanes(x)
    for g in range(groups):
        for r in range(rows):
            target = out0 + (g * rows + r) * width * Cg
            if 0 <= row0 + r < H and inner > 0:
                source = x0 + ((row0 + r) * W + max(left, 0)) * C + g * Cg
                vzero(out, target, before * Cg)
                if groups == 1:
                    vcopy(x, source, out, target + before * C, inner * C)
                elif Cg < 4:
                    for q in range(inner):
                        for c in range(Cg):
                            out[target + (before + q) * Cg + c] = x[source + q * C + c]
                else:
                    for q in range(inner):
                        for c in range(0, Cg, L):
                            part_of_x = vload_part(x, source + q * C + c, Cg - c)
                            vstore_part(out, target + (before + q) * Cg + c, part_of_x, Cg - c)
                vzero(out, target + (before + inner) * Cg, (width - before - inner) * Cg)
            else:
                vzero(out, target, width * Cg)


@kernel
def _convolve_kernel(first, end, address, shares, jobs, x, numbers, segments, panels, bias, y, buffer, buffer_size,
                     tables, tables_size):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """The whole convolution: jobs → regions → panels → blocks of the reduction → tiles."""
    s = _sizes(numbers, 0)
    Og, Cg, all_panels = s.O // s.groups, s.C // s.groups, s.groups * s.panels
    for share in range(first, end):
        rows0 = share * tables_size
        c_rows0 = rows0 + tables_size // 2
        for job in range(share * jobs // shares, (share + 1) * jobs // shares):
            split, band0 = job % s.splits, job // s.splits % s.bands * s.band
            n0 = job // (s.splits * s.bands) * s.images
            images = min(s.images, s.N - n0)
            for i in range(SIZES, len(numbers), REGION):
                t = _region(numbers, i)
                q0, q1 = max(band0, t.q0), min(band0 + s.band, t.q1)
                if q0 >= q1:
                    continue
                row0, column0 = q0 * s.SH + s.top, t.r0 * s.SW + s.left
                if t.inside:
                    source, a0, image = x, ((n0 * s.H + row0) * s.W + column0) * s.C, s.H * s.W * s.C
                else:
                    source, a0, image = buffer, share * buffer_size, t.rows * t.width * s.C
                if t.copies:
                    for n in range(images):
                        copy_band(x, (n0 + n) * s.H * s.W * s.C, s.H, s.W, s.C, s.pixel, row0, t.rows, column0,
                                  t.width, buffer, a0 + n * image)  # fmt: skip
                count, lines = 0, images * (q1 - q0)
                for n in range(images):
                    for q in range(q0, q1):
                        a_row = n * image + (q - q0) * s.SH * t.width * s.pixel
                        c_row = ((n * s.OH + t.y0 + q * s.YH) * s.OW + t.x0 + t.r0 * s.YW) * s.O
                        if t.high > 0:
                            for m in range(t.high + t.low):
                                r = m * t.R - max(m - t.high, 0)
                                k = count * t.high + m
                                if m >= t.high:
                                    k = lines * t.high + count * t.low + m - t.high
                                tables[rows0 + k] = a_row + r * s.SW * s.pixel
                                tables[c_rows0 + k] = c_row + r * s.YW * s.O
                            count += 1
                        else:
                            for r in range(t.r1 - t.r0):
                                tables[rows0 + count] = a_row + r * s.SW * s.pixel
                                tables[c_rows0 + count] = c_row + r * s.YW * s.O
                                count += 1
                while t.high == 0 and count % s.R:  # the last tile repeats its last pixel
                    tables[rows0 + count] = tables[rows0 + count - 1]
                    tables[c_rows0 + count] = tables[c_rows0 + count - 1]
                    count += 1
                K, length = t.segments * t.length, t.length
                together = REDUCTION // length if 0 < length <= REDUCTION else 1  # runs, or a piece of one, in a block
                for gp in range(split * all_panels // s.splits, (split + 1) * all_panels // s.splits):
                    g, p = gp // s.panels, gp % s.panels
                    segment, k, done = 0, 0, 0
                    while True:  # once even if no tap meets these pixels: then only the bias is written
                        n_run, k_run = min(together, t.segments - segment), min(length - k, REDUCTION)
                        a, segment0 = a0 + g * t.group + k, t.segment0 + segment
                        b, c = (gp * s.K + t.tap0 * Cg + done) * s.width, n0 * s.OH * s.OW * s.O + g * Og + p * s.width
                        width = min(s.width, Og - p * s.width)
                        if t.high == 0:
                            rows_tiles(
                                address, source, a, tables, rows0, count // s.R, segments, segment0, n_run, k_run,
                                panels, b, y, c, tables, c_rows0, width, bias, gp * s.width, done)  # fmt: skip
                        else:
                            line_tiles(
                                t.tile, source, a, s.SW * s.pixel, tables, rows0, lines * t.high, segments, segment0,
                                n_run, k_run, panels, b, y, c, s.YW * s.O, tables, c_rows0, width, bias, gp * s.width,
                                done)  # fmt: skip
                        if t.low > 0:
                            line_tiles(
                                t.low_tile, source, a, s.SW * s.pixel, tables, rows0 + lines * t.high, lines * t.low,
                                segments, segment0, n_run, k_run, panels, b, y, c, s.YW * s.O, tables,
                                c_rows0 + lines * t.high, width, bias, gp * s.width, done)  # fmt: skip
                        done += n_run * k_run
                        if done == K:
                            break
                        k = k + k_run if k + k_run < length else 0
                        segment = segment + n_run if k == 0 else segment


def _convolve(x: Array, w: Array, b: Array | None, s: Shape, transpose: bool) -> Array:
    """Run a plan: x is (N, H, W, C), w the (O, C/groups, KH, KW) weights, the result C-contiguous."""
    p = plan(s, transpose, settings.threads())
    Og, Cg, T = s.O // s.groups, s.C // s.groups, s.kernel[0] * s.kernel[1]
    K, columns, column_step, k_step = (Og, Cg, T, Cg * T) if transpose else (Cg, Og, Cg * T, T)
    L = lanes_of(s.dtype)
    bias = np.zeros((s.groups, p.sizes.panels * p.sizes.width), s.dtype)
    if b is not None:
        bias[:, :columns] = b.reshape(s.groups, columns)
    y = np.empty((s.N, p.sizes.OH, p.sizes.OW, p.sizes.O), s.dtype)
    shares = min(settings.threads(), p.jobs)

    def pack(panels: Array) -> None:
        threads = settings.threads()
        with scratch(threads * L * L, s.dtype) as spare:
            pack_kernel(threads, threads, flat(w), p.sizes.width, p.sizes.panels, s.groups, K, columns, Og * Cg * T,
                        column_step, k_step, p.order, p.taps, panels, spare)  # fmt: skip

    with (
        packed(w, ("direct", s, transpose), s.N * p.sizes.OH * p.sizes.OW, p.panels, pack) as panels,
        scratch(shares * p.buffer, s.dtype) as buffer,
        scratch(shares * p.tables, np.int64) as tables,
    ):
        _convolve_kernel(shares, tile("rows", p.V, s.dtype), shares, p.jobs, flat(x), p.numbers, p.segments,
                         panels, bias.reshape(-1), y.reshape(-1), buffer, p.buffer, tables, p.tables)  # fmt: skip
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

    N: int
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
    tiles: int  # of a panel
    top: int
    left: int
    buffer_width: int
    SH: int
    SW: int
    span: int  # rows that a pixel's taps cover
    images: int  # per job
    bands: int  # per image
    band: int  # rows of pixels per band
    pixel: int  # numbers from one pixel to the next where x is read
    in_place: int  # 1: a pixel of dy is one row of a panel, dy is read where it is
    pixel_splits: int
    tile_splits: int


class GradientPlan(NamedTuple):
    sizes: GradientSizes
    offsets: Array  # of the numbers under each tap, from a pixel's first one
    V: int
    buffer: int
    block: int  # pixels of one job


@lru_cache(maxsize=512)
def gradient_plan(s: Shape, n_threads: int) -> GradientPlan:
    (taps,) = (p.taps for p in forward_parts(s))
    (top, left, _), (bottom, right, _) = taps[0], taps[-1]
    T, (OH, OW), Cg, Og = len(taps), s.out, s.C // s.groups, s.O // s.groups
    V = choose_vectors(Og, s.dtype)
    R, width = taps_rows(T * Cg, V), V * lanes_of(s.dtype)
    panels, tiles = -(-Og // width), -(-T * Cg // R)
    split = apart(Cg, s.groups, T, s.dtype)
    buffer_width, span = (OW - 1) * s.stride[1] + right - left + 1, bottom - top + 1
    pixel = Cg if split else s.C
    offsets = [((y - top) * buffer_width + x - left) * pixel + c for y, x, _ in taps for c in range(Cg)]
    offsets += offsets[:1] * (tiles * R - T * Cg)

    # Splitting pixels needs a second set of sums, splitting tiles a second copy of x and mostly of dy.
    copies = s.N * s.H * s.W * s.C + s.N * OH * OW * s.O
    by_tiles = s.groups * panels * tiles >= 2 * n_threads and 3 * s.groups * panels * tiles * R * width > copies
    images, band = _gradient_blocks(s, width, 1 if by_tiles else n_threads)
    bands = -(-OH // band)
    sizes = GradientSizes(
        s.N, s.H, s.W, s.C, OH, OW, s.O, s.groups, panels, width, R, tiles, top, left, buffer_width, *s.stride, span,
        images, bands, band, pixel, int(s.groups == 1 and width == s.O),
        1 if by_tiles else min(n_threads, -(-s.N // images) * bands), n_threads if by_tiles else 1)  # fmt: skip
    return GradientPlan(
        sizes, np.array(offsets), V,
        images * ((band - 1) * s.stride[0] + span) * buffer_width * s.C + SLACK,
        images * band * OW)  # fmt: skip


def _gradient_blocks(s: Shape, width: int, shares: int) -> tuple[int, int]:
    """Return images per job and rows per band: blocks of dy that stay near, the same number for each share."""
    (OH, OW), most = s.out, max(1, GRADIENT_BYTES // (width * s.dtype.itemsize))
    if most < OH * OW or shares > s.N:
        bands = -(-OH // max(1, min(OH, most // OW)))
        while s.N * bands < 8 * shares and s.N * bands % shares and bands < OH:
            bands += 1
        return 1, -(-OH // bands)
    jobs = -(-s.N // min(s.N, most // (OH * OW)))
    return -(-s.N // min(s.N, -(-jobs // shares) * shares)), OH


@part
def _pack_panel(dy, source, step, count, n, packed, target, width):  # type: ignore[no-untyped-def]  # a body
    """Copy the first n < L numbers of each pixel, or all of a vector."""
    L = lanes(dy)
    for i in range(count):
        value = vload(dy, source + i * step) if n >= L else vload_part(dy, source + i * step, n)
        vstore(packed, target + i * width, value)


@part
def _add_pixels(x, at, step, count, out, out0):  # type: ignore[no-untyped-def]  # a body
    """out[out0 : out0 + L] += Σ over pixels of x; four sums, for an addition waits for the one before it."""
    a = b = c = d = vfill(x, 0)
    whole = count - count % 4
    for i in range(0, whole, 4):
        k = at + i * step
        a, b = a + vload(x, k), b + vload(x, k + step)
        c, d = c + vload(x, k + 2 * step), d + vload(x, k + 3 * step)
    for i in range(whole, count):
        a = a + vload(x, at + i * step)
    vstore(out, out0, vload(out, out0) + ((a + b) + (c + d)))


@kernel
def _weight_gradient_kernel(first, end, address, x, dy, s, offsets, zeros, sums, sums_size, db, buffer, buffer_size,
                            packed, tables, block):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """A share adds its pixels to its tiles of its own sums[panel][tap][channel][width]."""
    Og, Cg, L = s.O // s.groups, s.C // s.groups, lanes(x)
    units, jobs = s.groups * s.panels * s.tiles, (s.N + s.images - 1) // s.images * s.bands
    panel = dy if s.in_place else packed
    for share in range(first, end):
        pixel_split, tile_split = share // s.tile_splits, share % s.tile_splits
        rows0, sums0, db0 = share * block, pixel_split * sums_size, share * s.groups * s.panels * s.width
        first_unit, end_unit = tile_split * units // s.tile_splits, (tile_split + 1) * units // s.tile_splits
        vzero(db, db0, s.groups * s.panels * s.width)
        first_job, made = pixel_split * jobs // s.pixel_splits, 0
        for job in range(first_job, (pixel_split + 1) * jobs // s.pixel_splits):
            q0, n0 = job % s.bands * s.band, job // s.bands * s.images
            rows, images = min(s.band, s.OH - q0), min(s.images, s.N - n0)
            high, count, row0 = (rows - 1) * s.SH + s.span, images * rows * s.OW, q0 * s.SH + s.top
            a0, image = share * buffer_size, high * s.buffer_width * s.C
            for n in range(images):
                copy_band(x, (n0 + n) * s.H * s.W * s.C, s.H, s.W, s.C, s.pixel, row0, high, s.left, s.buffer_width,
                          buffer, a0 + n * image)  # fmt: skip
            group = Cg if s.pixel == s.C else high * s.buffer_width * s.pixel
            if count != made:  # else the pixels lie as in the job before
                made = 0
                for n in range(images):
                    for q in range(rows):
                        for r in range(s.OW):
                            pixels = q * s.SH * s.buffer_width + r * s.SW
                            tables[rows0 + made] = n * image + pixels * s.pixel
                            made += 1
            pixel0 = (n0 * s.OH + q0) * s.OW  # the pixels of a job are neighbours in dy
            unit = first_unit
            while unit < end_unit:
                gp, tile0 = unit // s.tiles, unit % s.tiles
                g, column, count_tiles = gp // s.panels, gp % s.panels * s.width, min(s.tiles - tile0, end_unit - unit)
                b0 = pixel0 * s.O if s.in_place else share * block * s.width
                for v in range(0, s.width, L):
                    if not s.in_place:
                        _pack_panel(dy, pixel0 * s.O + g * Og + column + v, s.O, count, Og - column - v, packed,
                                    b0 + v, s.width)  # fmt: skip
                    if tile0 == 0:
                        _add_pixels(panel, b0 + v, s.width, count, db, db0 + gp * s.width + v)
                taps_tiles(address, buffer, a0 + g * group, tables, rows0, count, offsets, tile0 * s.R, count_tiles,
                            panel, b0, s.width, sums, sums0 + (gp * s.tiles + tile0) * s.R * s.width, zeros,
                            job > first_job)  # fmt: skip
                unit += count_tiles


@kernel
def _finish_kernel(first, end, sums, sums_size, splits, s, T, dw, spare):  # type: ignore[no-untyped-def]  # a body
    """dw[o, c, tap] = Σ over shares of their sums; a piece is 16 channels of one panel."""
    Cg, Og, L, rows = s.C // s.groups, s.O // s.groups, lanes(sums), s.tiles * s.R
    blocks = (Cg + 15) // 16
    for piece in range(first, end):
        gp, c0, square = piece // blocks, piece % blocks * 16, piece * L * L
        g, column = gp // s.panels, gp % s.panels * s.width
        length = min(16, Cg - c0) * T  # numbers that follow each other in dw
        for v in range(0, min(s.width, Og - column), L):
            for e in range(0, length, L):
                m = min(L, length - e)
                c, t = c0 + e // T, e % T
                for i in range(m):
                    source = (gp * rows + t * Cg + c) * s.width + v
                    total = vload(sums, source)
                    for k in range(1, splits):
                        total = total + vload(sums, source + k * sums_size)
                    vstore(spare, square + i * L, total)
                    t += 1
                    if t == T:
                        c, t = c + 1, 0
                vtranspose(spare, square)
                for j in range(min(L, Og - column - v)):
                    target = ((g * Og + column + v + j) * Cg + c0) * T + e
                    vstore_part(dw, target, vload(spare, square + j * L), m)


def weight_gradient(x: Array, dy: Array, s: Shape) -> tuple[Array, Array]:
    """Return dw (O, C/groups, KH, KW) and db (O,) from (N, H, W, C) and (N, OH, OW, O)."""
    p = gradient_plan(s, settings.threads())
    z, Cg, L, panels = p.sizes, s.C // s.groups, lanes_of(s.dtype), s.groups * p.sizes.panels
    dw = np.empty((s.O, Cg, *s.kernel), s.dtype)
    blocks, sums_size = panels * -(-Cg // 16), panels * z.tiles * z.R * z.width
    shares = z.pixel_splits * z.tile_splits
    db, zeros = np.empty((shares, s.groups, z.panels * z.width), s.dtype), np.zeros(z.width, s.dtype)
    with (
        scratch(z.pixel_splits * sums_size, s.dtype) as sums,
        scratch(shares * p.buffer, s.dtype) as buffer,
        scratch(max(0 if z.in_place else shares * p.block * z.width, blocks * L * L), s.dtype) as packed,
        scratch(shares * p.block, np.int64) as tables,
    ):
        _weight_gradient_kernel(shares, tile("taps", p.V, s.dtype, z.R), flat(x), flat(dy), z, p.offsets, zeros, sums,
                                sums_size, db.reshape(-1), buffer, p.buffer, packed, tables, p.block)  # fmt: skip
        _finish_kernel(blocks, sums, sums_size, z.pixel_splits, z, s.kernel[0] * s.kernel[1], dw.reshape(-1),
                       packed)  # fmt: skip
    return dw, db.sum(0)[:, : s.O // s.groups].reshape(-1)
