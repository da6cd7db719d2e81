"""Unseen by the rules of diagnosis: layers of images, written as loops over pixels or by other ways than elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong
from .unseen_functions import draw

Array = Any


def conv_loops(x: Array, w: Array, b: Array, stride: int, pad: int) -> Any:
    """The seven loops, images in (N, H, W, C) as in the deeplearning courses; w is (KH, KW, C, O)."""
    n, h, width, _ = x.shape
    k, _, _, o = w.shape
    oh, ow = (h - k + 2 * pad) // stride + 1, (width - k + 2 * pad) // stride + 1
    xp = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    y = np.zeros((n, oh, ow, o))
    for i in range(n):
        for p in range(oh):
            for q in range(ow):
                for f in range(o):
                    part = xp[i, p * stride : p * stride + k, q * stride : q * stride + k]
                    y[i, p, q, f] = (part * w[..., f]).sum() + b[f]
    return y, (x, w, stride, pad)


def conv_loops_back(d: Array, cache: Any, mistake: str = "") -> Any:
    x, w, stride, pad = cache
    k = w.shape[0]
    xp = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), np.zeros(w.shape[3])
    n, oh, ow, o = d.shape
    for i in range(n):
        for p in range(oh):
            for q in range(ow):
                for f in range(o):
                    r, c = (p, q) if mistake == "stride" else (p * stride, q * stride)
                    at = np.s_[i, r : r + k, c : c + k]
                    if mistake == "image":
                        at = np.s_[0, r : r + k, c : c + k]
                    dxp[np.s_[i, r : r + k, c : c + k]] += w[..., f] * d[i, p, q, f]
                    if mistake == "dw =":
                        dw[..., f] = xp[at] * d[i, p, q, f]
                    else:
                        dw[..., f] += xp[at] * d[i, p, q, f]
                    if mistake == "db =":
                        db[f] = d[i, p, q, f]
                    else:
                        db[f] += d[i, p, q, 0 if mistake == "db 0" else f]
        if mistake == "unindented":
            break
    if mistake == "crop":
        return dxp[:, : x.shape[1], : x.shape[2]], dw, db
    if mistake == "crop one side":
        return dxp[:, pad : pad + x.shape[1], : x.shape[2]], dw, db
    return dxp[:, pad : pad + x.shape[1], pad : pad + x.shape[2]], dw, db


def conv1d(x: Array, w: Array) -> Any:  # (N, C, T), (O, C, K), padding 1 at both ends
    xp = np.pad(x, ((0, 0), (0, 0), (1, 1)))
    t = xp.shape[2] - w.shape[2] + 1
    return sum(np.einsum("nct,oc->not", xp[:, :, k : k + t], w[:, :, k]) for k in range(w.shape[2])), (x, w)


def conv1d_back(d: Array, cache: Any, mistake: str = "") -> Any:
    x, w = cache
    xp = np.pad(x, ((0, 0), (0, 0), (1, 1)))
    dxp, dw, t = np.zeros_like(xp), np.zeros_like(w), d.shape[2]
    taps = w.shape[2]
    for k in range(taps - (mistake == "tap")):
        j = taps - 1 - k if mistake == "flip" else k
        dxp[:, :, k : k + t] += np.einsum("not,oc->nct", d, w[:, :, j])
        dw[:, :, k] = np.einsum("not,nct->oc", d, xp[:, :, k : k + t])
        if mistake == "same tap":
            dw[:, :, k] = np.einsum("not,nct->oc", d, xp[:, :, :t])
    return dxp[:, :, 2 if mistake == "crop" else 1 :][:, :, : x.shape[2]], dw


def shuffle(x: Array) -> Any:  # pixel shuffle by 2: (N, 4C, H, W) → (N, C, 2H, 2W)
    n, c, h, w = x.shape
    return x.reshape(n, c // 4, 2, 2, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // 4, 2 * h, 2 * w), x.shape


def shuffle_back(d: Array, shape: Any, order: Any = (0, 1, 3, 5, 2, 4)) -> Array:
    n, c, h, w = shape
    return d.reshape(n, c // 4, h, 2, w, 2).transpose(order).reshape(shape)


def channel_shuffle(x: Array) -> Any:  # 2 groups of 3 channels
    n, c, h, w = x.shape
    return x.reshape(n, 2, c // 2, h, w).transpose(0, 2, 1, 3, 4).reshape(x.shape), None


def channel_shuffle_back(d: Array, cache: Any, same: bool = False) -> Array:
    n, c, h, w = d.shape
    parts = d.reshape(n, 2, c // 2, h, w) if same else d.reshape(n, c // 2, 2, h, w)
    return parts.transpose(0, 2, 1, 3, 4).reshape(d.shape)


def bilinear_up(x: Array) -> Any:  # rows only, between neighbours: (N, H, W) → (N, 2H − 1, W)
    y = np.zeros((len(x), 2 * x.shape[1] - 1, x.shape[2]))
    y[:, ::2] = x
    y[:, 1::2] = (x[:, 1:] + x[:, :-1]) / 2
    return y, None


def bilinear_back(d: Array, cache: Any, mistake: str = "") -> Array:
    dx = d[:, ::2].copy()
    if mistake == "even only":
        return dx
    half = d[:, 1::2] if mistake == "half" else d[:, 1::2] / 2
    dx[:, 1:] += half
    if mistake != "one neighbour":
        dx[:, :-1] += half
    return dx


def l2_pool(x: Array) -> Any:  # 2×2
    n, c, h, w = x.shape
    v = x.reshape(n, c, h // 2, 2, w // 2, 2)
    y = np.sqrt((v * v).sum((3, 5), keepdims=True))
    return y[:, :, :, 0, :, 0], (v, y, x.shape)


def l2_pool_back(d: Array, cache: Any, mistake: str = "") -> Array:
    v, y, shape = cache
    dx = d[:, :, :, None, :, None] * v / (1 if mistake == "root" else y)
    return (2 * dx if mistake == "two" else dx).reshape(shape)


def spatial_max(x: Array) -> Any:  # the largest pixel of each map
    n, c = x.shape[:2]
    flat = x.reshape(n, c, -1)
    return flat.max(2), (x.shape, flat)


def spatial_max_back(d: Array, cache: Any, mistake: str = "") -> Array:
    shape, flat = cache
    dx = np.zeros_like(flat)
    best = flat.argmax(2)
    if mistake == "ties":
        return (np.where(flat == flat.max(2, keepdims=True), d[:, :, None], 0)).reshape(shape)
    if mistake == "wrong width":
        best = best // shape[3] + shape[2] * (best % shape[3])
    np.put_along_axis(dx, best[:, :, None], d[:, :, None], 2)
    if mistake == "order":
        return dx.reshape(shape[0], shape[1], shape[3], shape[2]).swapaxes(2, 3)
    return dx.reshape(shape)


def strided_pool(x: Array) -> Any:  # windows of 2 at every third place, means, along the last axis
    t = (x.shape[1] - 2) // 3 + 1
    return np.stack([x[:, 3 * i : 3 * i + 2].mean(1) for i in range(t)], 1), x.shape


def strided_back(d: Array, shape: Any, mistake: str = "") -> Array:
    dx = np.zeros(shape)
    for i in range(d.shape[1]):
        step = 2 if mistake == "size" else 3
        width = 3 if mistake == "width" else 2
        dx[:, step * i : step * i + width] += d[:, i : i + 1] / 2
    return dx


def squeeze_excite(x: Array, w: Array) -> Any:
    z = x.mean((2, 3))
    g = 1 / (1 + np.exp(-z @ w))
    return x * g[:, :, None, None], (x, w, z, g)


def squeeze_back(d: Array, cache: Any, mistake: str = "") -> Any:
    x, w, z, g = cache
    dg = (d * x).mean((2, 3)) if mistake == "mean" else (d * x).sum((2, 3))
    da = dg * g * (1 - g)
    area = x.shape[2] * x.shape[3]
    through = (da @ w.T)[:, :, None, None] / (1 if mistake == "area" else area)
    dx = d * g[:, :, None, None] + (0 if mistake == "gate" else through)
    return dx, z.T @ da


def mirror_pad(x: Array) -> Any:
    return np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="symmetric"), None


def mirror_back(d: Array, cache: Any, mistake: str = "") -> Array:
    dx = d[:, 1:-1, 1:-1].copy()
    if mistake == "inside":
        return dx
    rows, columns = d[:, :, 1:-1], d[:, 1:-1]
    dx[:, 0] += rows[:, 0]
    dx[:, -1] += rows[:, -1]
    if mistake == "rows":
        return dx
    dx[:, :, 0] += columns[:, :, 0]
    dx[:, :, -1] += columns[:, :, -1]
    if mistake != "corners":
        for i in (0, -1):
            for j in (0, -1):
                dx[:, i, j] += d[:, i, j]
    return dx


NHWC = lambda rng: [rng.uniform(-2, 2, (2, 5, 4, 2)), rng.uniform(-2, 2, (3, 3, 2, 3)), rng.uniform(-2, 2, 3), 1, 1]
NHWC2 = lambda rng: [rng.uniform(-2, 2, (2, 6, 5, 2)), rng.uniform(-2, 2, (3, 3, 2, 3)), rng.uniform(-2, 2, 3), 2, 1]
LINES = draw((2, 3, 7), (4, 3, 3))
C, K = conv_loops_back, conv1d_back

EXAMPLES = [
    right("convolution, seven loops", conv_loops, conv_loops_back, NHWC),
    right("convolution, seven loops, stride 2", conv_loops, conv_loops_back, NHWC2),
    right("convolution of lines", conv1d, conv1d_back, LINES),
    right("pixel shuffle", shuffle, shuffle_back, draw((2, 8, 2, 3))),
    right("channel shuffle", channel_shuffle, channel_shuffle_back, draw((2, 6, 2, 2))),
    right("rows between neighbours", bilinear_up, bilinear_back, draw((2, 4, 3))),
    right("l2 pooling", l2_pool, l2_pool_back, draw((2, 2, 4, 6))),
    right("largest pixel", spatial_max, spatial_max_back, draw((2, 3, 4, 5))),
    right("windows with gaps", strided_pool, strided_back, draw((3, 8))),
    right("squeeze and excite", squeeze_excite, squeeze_back, draw((2, 3, 2, 3), (3, 3))),
    right("mirrored padding", mirror_pad, mirror_back, draw((2, 4, 5))),
    wrong(("missing term", "shifted", "border"), "loops, stride forgotten", conv_loops,
          lambda d, c: C(d, c, "stride"), NHWC2),
    wrong(("missing term", "overwritten"), "loops, first image for dw", conv_loops, lambda d,
          c: C(d, c, "image"), NHWC),
    wrong("overwritten", "loops, dw =", conv_loops, lambda d, c: C(d, c, "dw ="), NHWC),
    wrong(("overwritten", "not summed"), "loops, db =", conv_loops, lambda d, c: C(d, c, "db ="), NHWC),
    wrong(("not summed", "missing term", "overwritten"), "loops, db of filter 0", conv_loops,
          lambda d, c: C(d, c, "db 0"), NHWC),
    wrong(("missing term", "overwritten", "border"), "loops end after the first image", conv_loops,
          lambda d, c: C(d, c, "unindented"), NHWC),
    wrong("shifted", "loops, padding not cropped at the start", conv_loops, lambda d, c: C(d, c, "crop"), NHWC),
    wrong("shifted", "loops, columns not cropped", conv_loops, lambda d, c: C(d, c, "crop one side"), NHWC),
    wrong("transposed", "lines, taps in reverse", conv1d, lambda d, c: K(d, c, "flip"), LINES),
    wrong(("border", "missing term", "overwritten"), "lines, last tap forgotten", conv1d, lambda d,
          c: K(d, c, "tap"), LINES),
    wrong(("missing term", "overwritten", "border"), "lines, dw with the same tap", conv1d,
          lambda d, c: K(d, c, "same tap"), LINES),
    wrong("shifted", "lines, cropped one too far", conv1d, lambda d, c: K(d, c, "crop"), LINES),
    wrong(("transposed", "missing term"), "pixel shuffle, offsets exchanged", shuffle,
          lambda d, sh: shuffle_back(d, sh, (0, 1, 5, 3, 2, 4)), draw((2, 8, 2, 3))),
    wrong("transposed", "pixel shuffle, only reshaped", shuffle, lambda d, sh: d.reshape(sh), draw((2, 8, 2, 3))),
    wrong(("transposed", "shifted"), "channel shuffle, done again", channel_shuffle,
          lambda d, c: channel_shuffle_back(d, c, True), draw((2, 6, 2, 2))),
    wrong(("missing term", "overwritten"), "between neighbours, copies only", bilinear_up,
          lambda d, c: bilinear_back(d, c, "even only"), draw((2, 4, 3))),
    wrong("missing term", "between neighbours, not halved", bilinear_up, lambda d,
          c: bilinear_back(d, c, "half"), draw((2, 4, 3))),
    wrong(("missing term", "overwritten"), "between neighbours, one of them", bilinear_up,
          lambda d, c: bilinear_back(d, c, "one neighbour"), draw((2, 4, 3))),
    wrong("missing term", "l2 pooling, root forgotten", l2_pool, lambda d,
          c: l2_pool_back(d, c, "root"), draw((2, 2, 4, 6))),
    wrong("constant factor", "l2 pooling, 2 kept", l2_pool, lambda d, c: l2_pool_back(d, c, "two"), draw((2, 2, 4, 6))),
    wrong("ties", "largest pixel, every tied one", spatial_max, lambda d,
          c: spatial_max_back(d, c, "ties"), draw((2, 3, 4, 5))),
    wrong(("transposed", "shifted", "missing term", "branch"), "largest pixel, rows and columns exchanged",
          spatial_max, lambda d, c: spatial_max_back(d, c, "wrong width"), draw((2, 3, 4, 4))),
    wrong(("transposed", "missing term", "branch"), "largest pixel, map turned", spatial_max,
          lambda d, c: spatial_max_back(d, c, "order"), draw((2, 3, 4, 5))),
    wrong(("missing term", "shifted"), "windows with gaps, steps of the size", strided_pool,
          lambda d, sh: strided_back(d, sh, "size"), draw((3, 8))),
    wrong(("missing term", "border"), "windows with gaps, too wide", strided_pool,
          lambda d, sh: strided_back(d, sh, "width"), draw((3, 8))),
    wrong("constant factor", "squeeze, gate's gradient averaged", squeeze_excite,
          lambda d, c: (squeeze_back(d, c)[0], squeeze_back(d, c, "mean")[1]), draw((2, 3, 2, 3), (3, 3))),
    wrong("missing term", "squeeze, area forgotten", squeeze_excite, lambda d,
          c: squeeze_back(d, c, "area"), draw((2, 3, 2, 3), (3, 3))),
    wrong("missing term", "squeeze, gate's path forgotten", squeeze_excite, lambda d,
          c: squeeze_back(d, c, "gate"), draw((2, 3, 2, 3), (3, 3))),
    wrong("border", "mirror forgotten", mirror_pad, lambda d, c: mirror_back(d, c, "inside"), draw((2, 4, 5))),
    wrong("border", "mirror of rows only", mirror_pad, lambda d, c: mirror_back(d, c, "rows"), draw((2, 4, 5))),
    wrong(("border", "missing term"), "mirror without corners", mirror_pad, lambda d,
          c: mirror_back(d, c, "corners"), draw((2, 4, 5))),
]  # fmt: skip
