"""Pooling: windows with strides and padding, adaptive windows, powers; and dropout of pixels and of whole maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong
from .elementwise import normal, positive

Array = Any


def windows(size: int, kernel: int, stride: int, pad: int) -> list[slice]:
    """Return where each window lies along one axis, inside the image."""
    count = (size + 2 * pad - kernel) // stride + 1
    return [slice(max(i * stride - pad, 0), min(i * stride - pad + kernel, size)) for i in range(count)]


def max_pool(x: Array, kernel: int = 3, stride: int = 2, pad: int = 1) -> Any:
    rows, columns = windows(x.shape[2], kernel, stride, pad), windows(x.shape[3], kernel, stride, pad)
    y = np.array([[x[:, :, r, c].max((2, 3)) for c in columns] for r in rows]).transpose(2, 3, 0, 1)
    return y, (x, rows, columns)


def max_pool_backward(dout: Array, cache: Any, mistake: str = "") -> Array:
    x, rows, columns = cache
    dx = np.zeros_like(x)
    for i, r in enumerate(rows):
        for j, c in enumerate(columns):
            part = x[:, :, r, c]
            n, m, h, w = part.shape
            flat = part.reshape(n, m, -1)
            win = (flat.argmin if mistake == "argmin" else flat.argmax)(2)
            mask = (np.arange(h * w) == win[..., None]).reshape(part.shape)
            if mistake == "all":
                mask = part == part.max((2, 3), keepdims=True)
            if mistake == "positive":
                mask = mask & (part > 0)
            if mistake == "one per map":
                mask = part == x.max((2, 3), keepdims=True)
            if mistake == "one per batch":
                mask = part == part.max((0, 2, 3), keepdims=True)
            d = dout[:, :, i, j]
            if mistake == "transposed":
                d = dout[:, :, j, i]
            share = mask * d[:, :, None, None]
            if mistake == "assigned":
                dx[:, :, r, c] = share
            elif mistake == "where it wins":
                dx[:, :, r, c] = np.where(mask, share, dx[:, :, r, c])
            elif mistake == "value":
                dx[:, :, r, c] += share * part
            else:
                dx[:, :, r, c] += share
    return dx


def average_pool(x: Array, kernel: int = 3, stride: int = 2, pad: int = 1, count_pad: bool = True) -> Any:
    rows, columns = windows(x.shape[2], kernel, stride, pad), windows(x.shape[3], kernel, stride, pad)
    y = np.zeros((*x.shape[:2], len(rows), len(columns)))
    for i, r in enumerate(rows):
        for j, c in enumerate(columns):
            part = x[:, :, r, c]
            y[:, :, i, j] = part.sum((2, 3)) / (kernel**2 if count_pad else part[0, 0].size)
    return y, (x.shape, rows, columns, kernel, count_pad)


def average_pool_backward(dout: Array, cache: Any, mistake: str = "") -> Array:
    shape, rows, columns, kernel, count_pad = cache
    dx = np.zeros(shape)
    if mistake == "other divisor":
        count_pad = not count_pad
    for i, r in enumerate(rows):
        for j, c in enumerate(columns):
            size = (r.stop - r.start) * (c.stop - c.start)
            divisor = kernel**2 if count_pad else size
            if mistake == "kernel":
                divisor = kernel
            if mistake == "outputs":
                divisor = len(rows) * len(columns)
            if mistake == "//":
                divisor = divisor // 2 * 2
            share = dout[:, :, i, j, None, None] / divisor
            if mistake == "corner":
                dx[:, :, r.start, c.start] += share[:, :, 0, 0]
            elif mistake == "assigned":
                dx[:, :, r, c] = share
            elif mistake == "last window" and (i, j) == (len(rows) - 1, len(columns) - 1):
                continue
            else:
                dx[:, :, r, c] += share
    return dx


def global_average(x: Array) -> Any:
    return x.mean((2, 3)), x.shape


def global_backward(dout: Array, shape: Any) -> Array:
    return np.broadcast_to(dout[:, :, None, None], shape) / (shape[2] * shape[3])


def lp_pool(x: Array, p: float = 3) -> Any:  # 2×2 windows
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // 2, 2, w // 2, 2)
    y = (blocks**p).sum((3, 5)) ** (1 / p)
    return y, (blocks, y, p, x.shape)


def lp_backward(dout: Array, cache: Any, inner: bool = True, root: bool = True) -> Array:
    blocks, y, p, shape = cache
    d = dout * (y ** (1 - p) if root else 1)
    dx = d[:, :, :, None, :, None] * (blocks ** (p - 1) if inner else blocks**p)
    return dx.reshape(shape)


def adaptive(x: Array, output: int = 3) -> Any:
    rows, columns = edges(x.shape[2], output), edges(x.shape[3], output)
    y = np.array([[x[:, :, r, c].mean((2, 3)) for c in columns] for r in rows]).transpose(2, 3, 0, 1)
    return y, (x.shape, rows, columns)


def edges(size: int, count: int) -> list[slice]:
    return [slice(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def adaptive_backward(dout: Array, cache: Any, floor: bool = False, divide: bool = True, equal: bool = False) -> Array:
    shape, rows, columns = cache
    dx = np.zeros(shape)
    for i, r in enumerate(rows):
        for j, c in enumerate(columns):
            if floor:  # the end rounded down like the start
                r = slice(r.start, max((i + 1) * shape[2] // len(rows), r.start + 1))
            part = dx[:, :, r, c]
            size = part[0, 0].size
            if equal:
                size = shape[2] * shape[3] / (len(rows) * len(columns))
            part += dout[:, :, i, j, None, None] / (size if divide else 1)
    return dx


def dropout(x: Array, p: float = 0.4) -> Any:
    keep = np.random.rand(*x.shape) >= p  # noqa: NPY002 - what students write
    return np.where(keep, x / (1 - p), 0), (keep, p)


def dropout_maps(x: Array, p: float = 0.4) -> Any:
    keep = np.random.rand(*x.shape[:2], 1, 1) >= p  # noqa: NPY002 - what students write
    return x * keep / (1 - p), (keep, p)


def seeded_dropout(x: Array, seed: int, p: float = 0.3) -> Any:
    keep = np.random.default_rng(seed).random(x.shape) >= p
    return x * keep / (1 - p), (keep, p, seed)


def seeded_again(dout: Array, cache: Any) -> Array:
    keep, p, seed = cache
    return dout * (np.random.default_rng(seed + 1).random(keep.shape) >= p) / (1 - p)


IMAGE = normal((2, 3, 7, 6))
TIED = lambda rng: [rng.integers(0, 4, (2, 2, 7, 7)).astype(float)]
POSITIVE = positive((2, 2, 4, 6))
UNEVEN = normal((2, 2, 7, 5))
NOT_COUNTED = lambda rng: [rng.standard_normal((2, 2, 6, 5)), 3, 2, 1, False]
M, A, D = max_pool_backward, average_pool_backward, adaptive_backward

EXAMPLES = [
    right("max pooling with padding", max_pool, max_pool_backward, IMAGE),
    right("max pooling with padding and ties", max_pool, max_pool_backward, TIED),
    right("average pooling with padding", average_pool, average_pool_backward, IMAGE),
    right("average pooling, padding not counted", average_pool, average_pool_backward, NOT_COUNTED),
    right("global average", global_average, global_backward, IMAGE),
    right("lp pooling", lp_pool, lp_backward, POSITIVE),
    right("adaptive average", adaptive, adaptive_backward, UNEVEN),
    right("dropout of maps", dropout_maps, lambda d, c: d * c[0] / (1 - c[1]), IMAGE),
    right("dropout with a seed", seeded_dropout, lambda d, c: d * c[0] / (1 - c[1]),
          lambda rng: [rng.standard_normal((4, 6)), 3]),
    wrong("ties", "max pooling, every tied pixel", max_pool, lambda d, c: M(d, c, "all"), IMAGE),
    wrong(("missing term", "branch", "shifted"), "max pooling, the least pixel", max_pool,
          lambda d, c: M(d, c, "argmin"), IMAGE),
    wrong(("overwritten", "missing term"), "max pooling, windows assigned", max_pool,
          lambda d, c: M(d, c, "assigned"), IMAGE),
    wrong("overwritten", "max pooling, winners assigned", max_pool, lambda d, c: M(d, c, "where it wins"), IMAGE),
    wrong("missing term", "max pooling, times the pixel", max_pool, lambda d, c: M(d, c, "value"), IMAGE),
    wrong("transposed", "max pooling, dout turned", max_pool, lambda d, c: M(d, c, "transposed"), normal((2, 2, 7, 7))),
    wrong(("branch", "missing term"), "max pooling, positive winners only", max_pool, lambda d, c: M(d, c, "positive"),
          lambda rng: [rng.standard_normal((2, 2, 6, 6)) - 1.5]),
    wrong(("missing term", "overwritten", "branch"), "max pooling, one winner per map", max_pool,
          lambda d, c: M(d, c, "one per map"), IMAGE),
    wrong(("missing term", "overwritten", "branch"), "max pooling, one winner per batch", max_pool,
          lambda d, c: M(d, c, "one per batch"), IMAGE),
    wrong("border", "average, padding counted otherwise", average_pool,
          lambda d, c: A(d, c, "other divisor"), IMAGE),
    wrong("border", "average, padding counted all the same", average_pool,
          lambda d, c: A(d, c, "other divisor"), NOT_COUNTED),
    wrong("constant factor", "average, divided by the side", average_pool, lambda d, c: A(d, c, "kernel"), IMAGE),
    wrong("constant factor", "average, divided by the outputs", average_pool,
          lambda d, c: A(d, c, "outputs"), IMAGE),
    wrong("constant factor", "average, divisor made even", average_pool, lambda d, c: A(d, c, "//"), IMAGE),
    wrong(("missing term", "not summed", "overwritten"), "average, first pixel gets all", average_pool,
          lambda d, c: A(d, c, "corner"), IMAGE),
    wrong("overwritten", "average, windows assigned", average_pool, lambda d, c: A(d, c, "assigned"), IMAGE),
    wrong(("border", "missing term"), "average, last window forgotten", average_pool,
          lambda d, c: A(d, c, "last window"), IMAGE),
    wrong("constant factor", "global average not divided", global_average,
          lambda d, s: np.broadcast_to(d[:, :, None, None], s), IMAGE),
    wrong("constant factor", "global average divided by the height", global_average,
          lambda d, s: global_backward(d, s) * s[3], IMAGE),
    wrong("constant factor", "global average divided by images, too", global_average,
          lambda d, s: global_backward(d, s) / s[0], IMAGE),
    wrong("wrong shape", "global average not repeated", global_average,
          lambda d, s: d[:, :, None, None] / (s[2] * s[3]), IMAGE),
    wrong(("missing term",), "lp, power not lowered", lp_pool, lambda d, c: lp_backward(d, c, inner=False), POSITIVE),
    wrong(("missing term",), "lp without the root", lp_pool, lambda d, c: lp_backward(d, c, root=False), POSITIVE),
    wrong("constant factor", "lp times p", lp_pool, lambda d, c: 3 * lp_backward(d, c), POSITIVE),
    wrong(("border", "missing term"), "adaptive, ends rounded down", adaptive, lambda d,
          c: D(d, c, floor=True), UNEVEN),
    wrong(("constant factor", "missing term", "branch"), "adaptive, not divided", adaptive,
          lambda d, c: D(d, c, divide=False), UNEVEN),
    wrong(("constant factor", "missing term", "branch", "border"), "adaptive, windows of equal size", adaptive,
          lambda d, c: D(d, c, equal=True), UNEVEN),
    wrong(("constant factor", "missing term"), "dropout, 1 / (1 - p) missing", dropout, lambda d, c: d * c[0], IMAGE),
    wrong("constant factor", "dropout, divided by p", dropout, lambda d, c: d * c[0] / c[1], IMAGE),
    wrong("constant factor", "dropout, scaled twice", dropout, lambda d, c: d * c[0] / (1 - c[1]) ** 2, IMAGE),
    wrong("branch", "dropout, mask turned", dropout, lambda d, c: d * ~c[0] / (1 - c[1]), IMAGE),
    wrong(("branch", "missing term"), "dropout, passes everything", dropout, lambda d, c: d / (1 - c[1]), IMAGE),
    wrong(("branch", "missing term"), "dropout, none in backward", dropout, lambda d, c: d, IMAGE),
    wrong("not deterministic", "dropout of maps, drawn again", dropout_maps,
          lambda d, c: d * (np.random.rand(*c[0].shape) >= c[1]) / (1 - c[1]), IMAGE),  # noqa: NPY002 - as above
    wrong("constant factor", "dropout of maps, not scaled", dropout_maps, lambda d, c: d * c[0], IMAGE),
    wrong(("branch", "missing term"), "dropout, another seed", seeded_dropout, seeded_again,
          lambda rng: [rng.standard_normal((4, 6)), 3]),
]  # fmt: skip
