"""Direct convolution (implicit GEMM): forward, input gradient, weight gradient, for every option.

No im2col matrix exists. A *band* of rows of the image (or several small images) is copied into a buffer with
its zero padding; there, the inputs of an output pixel are some contiguous runs: the KW·C numbers under each
filter row, or C numbers for each tap if taps are dilated or channels grouped. That is the 'rows' tile of
`microkernel.py`. An image without padding is read where it is; then a 1 × 1 convolution is one matrix product.

The input gradient is the same loop over dy with C and O exchanged. With stride (SH, SW) an input pixel meets
only every SH-th filter row, so the pixels fall into SH · SW classes, each a small dense convolution with its
own taps: no multiplication by inserted zeros. A *part* is one such class; the forward pass has one part.

The weight gradient multiplies, for each run, the pixels' inputs with their dy: the 'outer' tile.

Shares: (images × bands) are split over threads, and also the panels of filters if there are too few pixels.
What limits it: the tile's speed (see `microkernel.py`) where C·O is large; the copy where C·O is small; the
packing of the weights where there are few pixels (one image, 7 × 7 × 512). Few channels per group (below one
register) leave lanes empty; `depthwise.py` takes the case of one.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from .microkernel import MOST_ROWS, TILE_ROWS, choose_vectors, outer_tiles, rows_tiles, tile
from .settings import threads
from .threads import flat, kernel, part, scratch
from .vectors import lanes, lanes_of, vcopy, vfill, vload, vload_part, vstore, vzero

Array = Any
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]

PANEL_BYTES = 256 * 1024  # a block of a panel of weights, which stays in the second-level cache
BAND_PIXELS = 512  # small images are taken together up to this many pixels: one pass over the weights
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


class Part(NamedTuple):
    """Output pixels row0, row0 + row_step, … (rows of them; columns likewise) and the taps they meet."""

    row0: int
    column0: int
    rows: int
    columns: int
    taps: list[tuple[int, int, int]]  # (row, column) of the tap's input for the first pixel, filter position


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


class Runs(NamedTuple):
    """A part's reduction as contiguous runs of a buffer whose rows are `width` pixels long."""

    starts: list[int]
    length: int


def runs(taps: list[tuple[int, int, int]], top: int, left: int, width: int, channels: int, groups: int) -> Runs:
    starts = [((y - top) * width + x - left) * channels for y, x, _ in taps]
    across = len({x for _, x, _ in taps})
    if (
        groups == 1
        and all(
            b - a == channels for a, b in zip(starts, starts[1:]) if a % (width * channels) < b % (width * channels)
        )
        and across > 1
    ):
        whole = [starts[i : i + across] for i in range(0, len(starts), across)]
        if all(row[-1] - row[0] == (across - 1) * channels for row in whole):
            return Runs([row[0] for row in whole], across * channels)
    return Runs(starts, channels // groups)


class Plan(NamedTuple):
    """Sizes and tables of one pass, for `_convolve_kernel`."""

    size: Array  # what the kernel unpacks first
    parts: Array  # one row of numbers per part
    segments: Array
    taps: list[Array]  # filter positions of each part
    panels: int  # numbers in all packed panels
    V: int
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
    rows, columns = max(p.rows for p in parts), max(p.columns for p in parts)
    bottom, right = (max(t[axis] for t in taps) for axis in (0, 1))
    width = (columns - 1) * step[1] + right - left + 1
    inside = (top >= 0 and left >= 0 and (rows - 1) * step[0] + bottom < H) and (columns - 1) * step[1] + right < W
    if inside:
        width = W

    Og, V = O // s.groups, choose_vectors(O // s.groups, s.dtype)
    panel_width = V * lanes_of(s.dtype)
    n_panels = -(-Og // panel_width)
    images, band, splits = _shares(s, rows, columns, C * O * len(taps), n_panels * s.groups, n_threads)
    bands = -(-rows // band)
    image = ((band - 1) * step[0] + bottom - top + 1) * width * C

    table, segments, panel0 = [], [], 0
    for p in parts:
        run = runs(p.taps, top, left, width, C, s.groups) if p.taps else Runs([], 0)
        table.append((p.row0, p.column0, p.rows, p.columns, len(segments), len(run.starts), run.length, panel0))
        segments += run.starts
        panel0 += len(p.taps) * (C // s.groups) * s.groups * n_panels * panel_width
    size = (s.N, H, W, C, O, *out, s.groups, n_panels, panel_width, TILE_ROWS[V - 1], top, left, width, *step, *out_step,
            images, bands, band, splits, image, inside, images * band * columns)  # fmt: skip
    return Plan(
        np.array(size, np.int64), np.array(table, np.int64).ravel(), np.array([*segments, 0], np.int64),
        [np.array([t[2] for t in p.taps], np.int64) for p in parts], max(panel0, 1), V,
        -(-s.N // images) * bands * splits, 1 if inside else images * image,
        2 * (images * band * columns + MOST_ROWS),
    )  # fmt: skip


def _shares(s: Shape, rows: int, columns: int, weights: int, panels: int, n_threads: int) -> tuple[int, int, int]:
    """Return images per job, rows per band, and into how many jobs the panels are split."""
    splits = n_threads // gcd(s.N, n_threads)  # jobs needed per image
    if panels >= n_threads and (rows * columns * s.N < 64 * n_threads or (splits > 1 and rows < 4 * splits)):
        return (
            max(1, min(s.N, BAND_PIXELS // (rows * columns))),
            rows,
            gcd(panels, n_threads) if panels % n_threads else n_threads,
        )
    if splits > 1 and rows >= splits:
        return 1, -(-rows // splits), 1
    most = max(1, BAND_PIXELS // (rows * columns))
    per_thread = max(1, s.N // n_threads)
    return max(d for d in range(1, min(most, per_thread) + 1) if per_thread % d == 0), rows, 1


# Kernels


@kernel
def _pack_kernel(first, end, w, groups, n_panels, width, K, columns, group_step, column_step, k_step, taps, out, out0):
    """out[group][panel][tap][k][width] from w[group, column, k, tap]; a piece is one k-block of a panel."""
    blocks, T = (K + 15) // 16, len(taps)
    for piece in range(first, end):
        g, p, k0 = piece // (blocks * n_panels), piece // blocks % n_panels, piece % blocks * 16
        n = min(width, columns - p * width)
        base = out0 + (g * n_panels + p) * T * K * width
        for j in range(n):
            for k in range(k0, min(k0 + 16, K)):
                source = g * group_step + (p * width + j) * column_step + k * k_step
                target = base + k * width + j
                for t in range(T):
                    out[target + t * K * width] = w[source + taps[t]]
        for j in range(n, width):
            for k in range(k0, min(k0 + 16, K)):
                for t in range(T):
                    out[base + (t * K + k) * width + j] = 0


@part
def copy_band(x, x0, H, W, C, row0, rows, left, width, out, out0):
    """Rows row0 ... of one image, `width` pixels from column `left` on; zeros outside the image."""
    before = min(max(-left, 0), width)
    inner = max(min(W - max(left, 0), width - before), 0)
    for r in range(rows):
        target = out0 + r * width * C
        if 0 <= row0 + r < H and inner > 0:
            vzero(out, target, before * C)
            vcopy(x, x0 + ((row0 + r) * W + max(left, 0)) * C, out, target + before * C, inner * C)
            vzero(out, target + (before + inner) * C, (width - before - inner) * C)
        else:
            vzero(out, target, width * C)


@kernel
def _convolve_kernel(first, end, address, shares, jobs, x, size, parts, segments, panels, bias, y, floor, buffer,
                     buffer_size, tables, tables_size, panel_bytes):  # fmt: skip
    """The whole convolution: jobs → parts → panels → blocks of the reduction → tiles."""
    (N, H, W, C, O, OH, OW, groups, n_panels, width, R, top, left, Wp, SH, SW, YH, YW,
     images, bands, band, splits, image, inside, half) = (
        size[0], size[1], size[2], size[3], size[4], size[5], size[6], size[7], size[8], size[9], size[10], size[11],
        size[12], size[13], size[14], size[15], size[16], size[17], size[18], size[19], size[20], size[21],
        size[22], size[23], size[24])  # fmt: skip
    Cg, Og = C // groups, O // groups
    lowest = x.dtype.type(-np.inf)
    fit = max(1, panel_bytes // (width * x.itemsize))
    source = x if inside else buffer
    for share in range(first, end):
        rows0 = share * tables_size
        c_rows0 = rows0 + tables_size // 2
        for job in range(share * jobs // shares, (share + 1) * jobs // shares):
            split, q0, n0 = job % splits, job // splits % bands * band, job // (splits * bands) * images
            n_images = min(images, N - n0)
            if inside:
                a0, a_image = n0 * H * W * C + ((q0 * SH + top) * W + left) * C, H * W * C
            else:
                a0, a_image = share * buffer_size, image
                rows = image // (Wp * C)
                for n in range(n_images):
                    copy_band(x, (n0 + n) * H * W * C, H, W, C, q0 * SH + top, rows, left, Wp, buffer, a0 + n * image)
            for i in range(len(parts) // 8):
                row0, column0, rows, columns = parts[8 * i], parts[8 * i + 1], parts[8 * i + 2], parts[8 * i + 3]
                s0, n_segments, length, panel0 = (
                    parts[8 * i + 4], parts[8 * i + 5], parts[8 * i + 6], parts[8 * i + 7])  # fmt: skip
                q1 = min(q0 + band, rows)
                count = 0
                for n in range(n_images):
                    for q in range(q0, q1):
                        for r in range(columns):
                            tables[rows0 + count] = n * a_image + ((q - q0) * SH * Wp + r * SW) * C
                            tables[c_rows0 + count] = ((n * OH + row0 + q * YH) * OW + column0 + r * YW) * O
                            count += 1
                if count == 0:
                    continue
                while count % R:  # the last tile repeats its last pixel
                    tables[rows0 + count] = tables[rows0 + count - 1]
                    tables[c_rows0 + count] = tables[c_rows0 + count - 1]
                    count += 1
                K = n_segments * length
                per_block = fit // length if 0 < length <= fit else 1
                run = min(length, fit)
                for gp in range(split * groups * n_panels // splits, (split + 1) * groups * n_panels // splits):
                    g, p = gp // n_panels, gp % n_panels
                    b0 = panel0 + gp * K * width
                    segment, k, done = 0, 0, 0
                    while True:  # once even if no tap meets these pixels: then only the bias is written
                        n_run = min(per_block, n_segments - segment)
                        k_run = min(run, length - k)
                        last = done + n_run * k_run == K
                        rows_tiles(
                            address, source, a0 + g * Cg + k, tables, rows0, count // R, segments, s0 + segment, n_run,
                            k_run, panels, b0 + done * width, y, n0 * OH * OW * O + g * Og + p * width, tables, c_rows0,
                            min(width, Og - p * width), bias, gp * width, done, floor if last else lowest)  # fmt: skip
                        if last:
                            break
                        done += n_run * k_run
                        k = k + k_run if k + k_run < length else 0
                        segment = segment + n_run if k == 0 else segment


def _convolve(x: Array, w: Array, b: Array | None, s: Shape, transpose: bool) -> Array:
    """Run a plan: x is (N, H, W, C), w the (O, C/groups, KH, KW) weights, the result C-contiguous."""
    p = plan(s, transpose, threads())
    Og, Cg, T = s.O // s.groups, s.C // s.groups, s.kernel[0] * s.kernel[1]
    K, columns = (Og, Cg) if transpose else (Cg, Og)
    column_step, k_step = (T, Cg * T) if transpose else (Cg * T, T)
    O, out = (s.C, (s.H, s.W)) if transpose else (s.O, s.out)  # noqa: E741
    width = p.V * lanes_of(s.dtype)
    n_panels = -(-columns // width)
    bias = np.zeros((s.groups, n_panels * width), s.dtype)
    if b is not None:
        bias[:, :columns] = b.reshape(s.groups, columns)
    y = np.empty((s.N, *out, O), s.dtype)
    shares = min(threads(), p.jobs)
    with (
        scratch(p.panels, s.dtype) as panels,
        scratch(shares * p.buffer, s.dtype) as buffer,
        scratch(shares * p.tables, np.int64) as tables,
    ):
        for taps, panel0 in zip(p.taps, p.parts[7::8]):
            if len(taps):
                _pack_kernel(s.groups * n_panels * -(-K // 16), flat(w), s.groups, n_panels, width, K, columns,
                             Og * Cg * T, column_step, k_step, taps, panels, int(panel0))  # fmt: skip
        _convolve_kernel(shares, tile("rows", p.V, s.dtype), shares, p.jobs, flat(x), p.size, p.parts, p.segments,
                         panels, bias.reshape(-1), y.reshape(-1), s.dtype.type(-np.inf), buffer, p.buffer, tables,
                         p.tables, PANEL_BYTES)  # fmt: skip
    return y


def forward(x: Array, w: Array, b: Array | None, s: Shape) -> Array:
    """(N, H, W, C) → (N, OH, OW, O)"""
    return _convolve(x, w, b, s, transpose=False)


def input_gradient(dy: Array, w: Array, s: Shape, b: Array | None = None) -> Array:
    """(N, OH, OW, O) → (N, H, W, C); a transposed convolution adds a bias."""
    return _convolve(dy, w, b, s, transpose=True)


# Weight gradient


class GradientPlan(NamedTuple):
    size: Array
    segments: Array
    tap_at: Array  # where in a panel's rows each tap's first channel lies
    V: int
    pixel_splits: int
    panel_splits: int
    n_panels: int
    rows: int  # rows of one panel of sums
    buffer: int
    block: int  # pixels of one block


@lru_cache(maxsize=512)
def gradient_plan(s: Shape, n_threads: int) -> GradientPlan:
    (part_,) = forward_parts(s)
    taps, T = part_.taps, len(part_.taps)
    top, left = taps[0][:2]
    bottom, right = taps[-1][:2]
    (OH, OW), Cg, Og = s.out, s.C // s.groups, s.O // s.groups
    Wp = (OW - 1) * s.stride[1] + right - left + 1
    V = choose_vectors(Og, s.dtype)
    R, width = TILE_ROWS[V - 1], V * lanes_of(s.dtype)
    n_panels = -(-Og // width)
    run = runs(taps, top, left, Wp, s.C, s.groups)
    most = max(1, GRADIENT_BYTES // (width * s.dtype.itemsize))
    band = max(1, min(OH, most // OW))
    images = max(1, most // (OH * OW)) if band == OH else 1
    padded = -(-run.length // R) * R
    patches = s.groups == 1 and len(run.starts) * padded > 1.4 * (-(-T * Cg // R) * R)
    if patches:  # few channels: copy each pixel's whole window, as one run
        rows, tap_at = -(-T * Cg // R) * R, [t * Cg for t in range(T)]
        buffer = images * band * OW * T * Cg
    else:
        per_run = run.length // Cg
        rows = len(run.starts) * padded
        tap_at = [t // per_run * padded + t % per_run * Cg for t in range(T)]
        buffer = images * ((band - 1) * s.stride[0] + bottom - top + 1) * Wp * s.C
    panels = s.groups * n_panels
    # Splitting pixels needs a second set of sums; splitting panels a second copy of x.
    by_panels = panels % n_threads == 0 and 2 * s.O * Cg * T > s.N * s.H * s.W * s.C
    pixel_splits = 1 if by_panels else min(n_threads, max(1, s.N * OH * OW // 16))
    size = (s.N, s.H, s.W, s.C, s.O, OH, OW, s.groups, n_panels, width, R, top, left, Wp, *s.stride, images, band,
            bottom - top + 1, T, *s.kernel, *s.dilation, patches)  # fmt: skip
    return GradientPlan(
        np.array(size, np.int64), np.array(run.starts, np.int64), np.array(tap_at, np.int64), V, pixel_splits,
        n_threads if by_panels else 1, n_panels, rows, buffer + MOST_ROWS, images * band * OW,
    )  # fmt: skip


@kernel
def _weight_gradient_kernel(first, end, address, panel_splits, shares, x, dy, size, segments, length, rows, sums, db, buffer,
                            buffer_size, block, packed, tables):  # fmt: skip
    """A share adds the tiles of its pixels (or of its panels) to its own sums."""
    (N, H, W, C, O, OH, OW, groups, n_panels, width, R, top, left, Wp, SH, SW, images, band, span, T, KH, KW, DH, DW,
     patches) = (
        size[0], size[1], size[2], size[3], size[4], size[5], size[6], size[7], size[8], size[9], size[10], size[11],
        size[12], size[13], size[14], size[15], size[16], size[17], size[18], size[19], size[20], size[21],
        size[22], size[23], size[24])  # fmt: skip
    Cg, Og, L = C // groups, O // groups, lanes(x)
    bands = (OH + band - 1) // band
    jobs = (N + images - 1) // images * bands
    n_panels_all = groups * n_panels
    for share in range(first, end):
        pixel_share, panel_share = share // panel_splits, share % panel_splits
        pixel_splits = shares // panel_splits
        a0, b0, rows0 = share * buffer_size, share * block * width, share * block
        gp0, gp1 = panel_share * n_panels_all // panel_splits, (panel_share + 1) * n_panels_all // panel_splits
        sums0 = pixel_share * n_panels_all * rows * width
        vzero(sums, sums0 + gp0 * rows * width, (gp1 - gp0) * rows * width)
        vzero(db, pixel_share * n_panels_all * width + gp0 * width, (gp1 - gp0) * width)
        for job in range(pixel_share * jobs // pixel_splits, (pixel_share + 1) * jobs // pixel_splits):
            q0, n0 = job % bands * band, job // bands * images
            q1, n_images = min(q0 + band, OH), min(images, N - n0)
            high = (q1 - q0 - 1) * SH + span
            count = 0
            for n in range(n_images):
                if not patches:
                    copy_band(x, (n0 + n) * H * W * C, H, W, C, q0 * SH + top, high, left, Wp, buffer,
                              a0 + n * high * Wp * C)  # fmt: skip
                for q in range(q0, q1):
                    for r in range(OW):
                        if patches:
                            tables[rows0 + count] = count * T * C
                            for i in range(KH):
                                h, target = q * SH + top + i * DH, a0 + (count * KH + i) * KW * C
                                for j in range(KW):
                                    w = r * SW + left + j * DW
                                    if 0 <= h < H and 0 <= w < W:
                                        for c in range(C):
                                            buffer[target + j * C + c] = x[(((n0 + n) * H + h) * W + w) * C + c]
                                    else:
                                        for c in range(C):
                                            buffer[target + j * C + c] = 0
                        else:
                            tables[rows0 + count] = n * high * Wp * C + ((q - q0) * SH * Wp + r * SW) * C
                        count += 1
            pixel0 = (n0 * OH + q0) * OW  # the block's pixels are neighbours in dy
            for gp in range(gp0, gp1):
                g, p = gp // n_panels, gp % n_panels
                for v in range(0, width, L):
                    m = Og - p * width - v
                    source, target = pixel0 * O + g * Og + p * width + v, b0 + v
                    total = vfill(dy, 0)
                    if m >= L:
                        for i in range(count):
                            value = vload(dy, source + i * O)
                            vstore(packed, target + i * width, value)
                            total = total + value
                    else:
                        for i in range(count):
                            value = vload_part(dy, source + i * O, m)
                            vstore(packed, target + i * width, value)
                            total = total + value
                    at = (pixel_share * n_panels_all + gp) * width + v
                    vstore(db, at, vload(db, at) + total)
                if patches:
                    outer_tiles(address, buffer, a0, tables, rows0, count, rows // R, packed, b0, sums,
                                sums0 + gp * rows * width)  # fmt: skip
                else:
                    padded = rows // len(segments)
                    for i in range(len(segments)):
                        outer_tiles(address, buffer, a0 + segments[i] + g * Cg, tables, rows0, count, padded // R,
                                    packed, b0, sums, sums0 + (gp * rows + i * padded) * width)  # fmt: skip


@kernel
def _finish_kernel(first, end, sums, splits, groups, n_panels, rows, width, Cg, Og, tap_at, dw, spare):
    """dw[o, c, tap] = Σ over shares of their sums; a piece is one channel c of one panel."""
    T, L = len(tap_at), lanes(sums)
    step = groups * n_panels * rows * width
    for piece in range(first, end):
        gp, c = piece // Cg, piece % Cg
        g, p = gp // n_panels, gp % n_panels
        for v in range(0, min(width, Og - p * width), L):
            m = min(L, Og - p * width - v)
            target = ((g * Og + p * width + v) * Cg + c) * T
            for t in range(T):
                source = (gp * rows + tap_at[t] + c) * width + v
                total = vload(sums, source)
                for i in range(1, splits):
                    total = total + vload(sums, source + i * step)
                vstore(spare, piece * L, total)
                for j in range(m):
                    dw[target + j * Cg * T + t] = spare[piece * L + j]


def weight_gradient(x: Array, dy: Array, s: Shape) -> tuple[Array, Array]:
    """Return dw (O, C/groups, KH, KW) and db (O,) from (N, H, W, C) and (N, OH, OW, O)."""
    p = gradient_plan(s, threads())
    dw = np.empty((s.O, s.C // s.groups, *s.kernel), s.dtype)
    panels, width = s.groups * p.n_panels, p.V * lanes_of(s.dtype)
    shares = p.pixel_splits * p.panel_splits
    db = np.empty((p.pixel_splits, panels * width), s.dtype)
    length = 0
    with (
        scratch(p.pixel_splits * panels * p.rows * width, s.dtype) as sums,
        scratch(shares * p.buffer, s.dtype) as buffer,
        scratch(shares * p.block * width, s.dtype) as packed,
        scratch(shares * p.block, np.int64) as tables,
        scratch(panels * (s.C // s.groups) * lanes_of(s.dtype), s.dtype) as spare,
    ):
        _weight_gradient_kernel(shares, tile("outer", p.V, s.dtype), p.panel_splits, shares, flat(x), flat(dy), p.size,
                                p.segments, length, p.rows, sums, db.reshape(-1), buffer, p.buffer, p.block, packed, tables)  # fmt: skip
        _finish_kernel(panels * (s.C // s.groups), sums, p.pixel_splits, s.groups, p.n_panels, p.rows, width,
                       s.C // s.groups, s.O // s.groups, p.tap_at, dw.reshape(-1), spare)  # fmt: skip
    db = db.sum(0).reshape(s.groups, -1)[:, : s.O // s.groups]
    return dw, np.ascontiguousarray(db).reshape(-1)
