"""Convolutions with strides, dilations and groups, transposed ones, unfold and fold; by taps, without pixel loops."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong
from .elementwise import normal

Array = Any


def padded(x: Array, p: int) -> Array:
    return np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))


def conv(x: Array, w: Array, stride: int = 1, pad: int = 1, dilation: int = 1, groups: int = 1) -> Any:
    n, _c, h, width = x.shape
    o, cg, kh, kw = w.shape
    oh = (h + 2 * pad - dilation * (kh - 1) - 1) // stride + 1
    ow = (width + 2 * pad - dilation * (kw - 1) - 1) // stride + 1
    xp, og, y = padded(x, pad), o // groups, np.zeros((n, o, oh, ow))
    for g in range(groups):
        for i in range(kh):
            for j in range(kw):
                a = xp[:, g * cg : (g + 1) * cg, i * dilation :, j * dilation :]
                a = a[:, :, : (oh - 1) * stride + 1 : stride, : (ow - 1) * stride + 1 : stride]
                y[:, g * og : (g + 1) * og] += np.einsum("nchw,oc->nohw", a, w[g * og : (g + 1) * og, :, i, j])
    return y, (x, w, stride, pad, dilation, groups)


def conv_backward(
    dout: Array,
    cache: Any,
    flip: bool = False,
    spread: bool = True,
    apart: bool = True,
    group: Any = None,
    add: bool = True,
) -> Any:
    x, w, stride, pad, dilation, groups = cache
    o, cg, kh, kw = w.shape
    (oh, ow), og = dout.shape[2:], o // groups
    if not spread:
        stride = 1
    if not apart:
        dilation = 1
    xp = padded(x, pad)
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for g in range(groups):
        out = slice(g * og, (g + 1) * og)
        into = slice(g * cg, (g + 1) * cg) if group is None else slice(group(g) * cg, (group(g) + 1) * cg)
        for i in range(kh):
            for j in range(kw):
                place = np.s_[:, into, i * dilation :, j * dilation :]
                taps = np.s_[:, :, : (oh - 1) * stride + 1 : stride, : (ow - 1) * stride + 1 : stride]
                f = w[out, :, kh - 1 - i, kw - 1 - j] if flip else w[out, :, i, j]
                part = np.einsum("nohw,oc->nchw", dout[:, out], f)
                view = dxp[place][taps]
                if add:
                    view += part
                else:
                    view[...] = part
                dw[out, :, i, j] = np.einsum("nohw,nchw->oc", dout[:, out], xp[place][taps])
    end = (pad + x.shape[2], pad + x.shape[3])
    return dxp[:, :, pad : end[0], pad : end[1]], dw


def pointwise(x: Array, w: Array) -> Any:  # 1×1 convolution
    return np.einsum("nchw,oc->nohw", x, w), (x, w)


def depthwise(x: Array, w: Array) -> Any:
    return conv(x, w[:, None], 1, 1, 1, x.shape[1])[0], (x, w)


def depthwise_backward(dout: Array, cache: Any, mixed: bool = False) -> Any:
    x, w = cache
    dx, dw = conv_backward(dout, (x, w[:, None], 1, 1, 1, x.shape[1]))
    if mixed:  # the first filter for all channels
        dx = conv_backward(dout, (x, np.repeat(w[:1, None], len(w), 0), 1, 1, 1, x.shape[1]))[0]
    return dx, dw[:, 0]


def transposed(x: Array, w: Array, stride: int = 2, pad: int = 1) -> Any:  # w is (C, O, KH, KW)
    n, _c, h, width = x.shape
    kh, kw = w.shape[2:]
    y = np.zeros((n, w.shape[1], (h - 1) * stride + kh, (width - 1) * stride + kw))
    for i in range(kh):
        for j in range(kw):
            y[:, :, i : i + (h - 1) * stride + 1 : stride, j : j + (width - 1) * stride + 1 : stride] += np.einsum(
                "nchw,co->nohw", x, w[:, :, i, j]
            )
    end = (y.shape[2] - pad, y.shape[3] - pad)
    return y[:, :, pad : end[0], pad : end[1]], (x, w, stride, pad)


def transposed_backward(
    dout: Array, cache: Any, shift: int = 0, stride: int | None = None, flip: bool = False, turned: bool = False
) -> Any:
    x, w, s, pad = cache
    s = stride or s
    h, width = x.shape[2:]
    dyp = np.pad(dout, ((0, 0), (0, 0), (pad, pad + 4), (pad, pad + 4)))[:, :, shift:, shift:]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            part = dyp[:, :, i : i + (h - 1) * s + 1 : s, j : j + (width - 1) * s + 1 : s]
            f = w[:, :, -1 - i, -1 - j] if flip else w[:, :, i, j]
            dx += np.einsum("nohw,co->nchw", part, f.T if turned else f)
            dw[:, :, i, j] = np.einsum("nohw,nchw->co", part, x)
    return dx, dw


def unfold(x: Array, k: int = 2) -> Any:  # (N, C, H, W) → (N, C k k, L)
    n, c, h, w = x.shape
    oh, ow = h - k + 1, w - k + 1
    cols = np.zeros((n, c, k, k, oh, ow))
    for i in range(k):
        for j in range(k):
            cols[:, :, i, j] = x[:, :, i : i + oh, j : j + ow]
    return cols.reshape(n, c * k * k, oh * ow), (x.shape, k)


def unfold_backward(dout: Array, cache: Any, add: bool = True, order: str = "ckk", turned: bool = False) -> Array:
    (n, c, h, w), k = cache
    oh, ow = h - k + 1, w - k + 1
    if order == "ckk":
        cols = dout.reshape(n, c, k, k, oh, ow)
    else:
        cols = dout.reshape(n, k, k, c, oh, ow).transpose(0, 3, 1, 2, 4, 5)
    dx = np.zeros((n, c, h, w))
    for i in range(k):
        for j in range(k):
            part = cols[:, :, j, i] if turned else cols[:, :, i, j]
            if add:
                dx[:, :, i : i + oh, j : j + ow] += part
            else:
                dx[:, :, i : i + oh, j : j + ow] = part
    return dx


def fold(cols: Array) -> Any:  # (N, C·2·2, 4·3) → (N, C, 5, 4), overlapping windows added
    n, rows, _ = cols.shape
    return unfold_backward(cols, ((n, rows // 4, 5, 4), 2)), None


def fold_backward(dout: Array, cache: Any, average: bool = False) -> Array:
    if average:
        ones = np.ones_like(dout)
        dout = dout / unfold_backward(unfold(ones)[0], (dout.shape, 2))
    return unfold(dout)[0]


def im2col_conv(x: Array, w: Array, b: Array) -> Any:
    cols, _ = unfold(x, 3)
    n, _, h, width = x.shape
    y = w.reshape(len(w), -1) @ cols + b[:, None]
    return y.reshape(n, len(w), h - 2, width - 2), (x.shape, cols, w)


def im2col_backward(dout: Array, cache: Any, mistake: str = "") -> Any:
    shape, cols, w = cache
    n, o = dout.shape[:2]
    d = dout.reshape(n, o, -1)
    if mistake == "rows":  # read as if the channels came first
        d = dout.transpose(1, 0, 2, 3).reshape(n, o, -1)
    dw = np.einsum("nol,nkl->ok", d, cols)
    if mistake == "dw":
        dw = np.einsum("nol,nkl->ko", d, cols)
    if mistake == "last":
        dw = d[-1] @ cols[-1].T
    dcols = np.einsum("ok,nol->nkl", w.reshape(o, -1), d)
    dx = unfold_backward(dcols, (shape, 3), mistake != "col2im", "kkc" if mistake == "order" else "ckk")
    return dx, dw.reshape(w.shape), d.sum((0, 2))


def one_dimensional(x: Array, w: Array) -> Any:  # (T,) and (K,): y[t] = Σ x[t + k] w[k]
    return np.correlate(x, w, "valid"), (x, w)


IMAGE = normal((2, 3, 6, 5), (4, 3, 3, 3))
ODD = lambda rng: [rng.standard_normal((2, 2, 7, 6)), rng.standard_normal((3, 2, 3, 3)), 2, 1]
WIDE = lambda rng: [rng.standard_normal((2, 2, 7, 6)), rng.standard_normal((3, 2, 3, 3)), 1, 1, 2]
GROUPS = lambda rng: [rng.standard_normal((2, 4, 5, 4)), rng.standard_normal((4, 2, 3, 3)), 1, 1, 1, 2]
SMALL = normal((2, 3, 3, 4), (3, 2, 3, 3))
SQUARE = normal((2, 3, 3, 4), (3, 3, 3, 3))
IM2COL = normal((3, 3, 5, 4), (3, 3, 3, 3), (3,))
C, T, U, I2 = conv_backward, transposed_backward, unfold_backward, im2col_backward

EXAMPLES = [
    right("convolution with stride", conv, conv_backward, ODD),
    right("convolution with dilation", conv, conv_backward, WIDE),
    right("convolution in groups", conv, conv_backward, GROUPS),
    right("depthwise convolution", depthwise, depthwise_backward, normal((2, 3, 4, 5), (3, 3, 3))),
    right("transposed convolution", transposed, transposed_backward, SMALL),
    right("unfold", unfold, unfold_backward, normal((2, 2, 5, 4))),
    right("fold", fold, fold_backward, normal((2, 8, 12))),
    right("convolution by im2col", im2col_conv, im2col_backward, IM2COL),
    wrong(("missing term", "shifted", "overwritten"), "stride ignored", conv, lambda d, c: C(d, c, spread=False), ODD),
    wrong("missing term", "dilation ignored", conv, lambda d, c: C(d, c, apart=False), WIDE),
    wrong(("transposed",), "filters flipped, stride 2", conv, lambda d, c: C(d, c, flip=True), ODD),
    wrong(("transposed",), "filters flipped, dilation 2", conv, lambda d, c: C(d, c, flip=True), WIDE),
    wrong(("transposed", "swapped", "shifted"), "groups exchanged", conv,
          lambda d, c: C(d, c, group=lambda g: 1 - g), GROUPS),
    wrong(("missing term", "overwritten"), "first group for all", conv, lambda d,
          c: C(d, c, group=lambda g: 0), GROUPS),
    wrong("overwritten", "taps overwrite each other", conv, lambda d, c: C(d, c, add=False), IMAGE),
    wrong("transposed", "dw turned by 180 degrees", conv,
          lambda d, c: (C(d, c)[0], C(d, c)[1][:, :, ::-1, ::-1]), ODD),
    wrong("transposed", "dw with one axis turned", conv, lambda d, c: (C(d, c)[0], C(d, c)[1][..., ::-1]), IMAGE),
    wrong("constant factor", "dw per pixel", conv,
          lambda d, c: (C(d, c)[0], C(d, c)[1] / (d.shape[2] * d.shape[3])), IMAGE),
    wrong(("overwritten", "not summed", "missing term"), "dw of the first image", conv,
          lambda d, c: (C(d, c)[0], C(d[:1], (c[0][:1], *c[1:]))[1]), IMAGE),
    wrong(("missing term", "overwritten"), "dx of the first filter", conv,
          lambda d, c: (C(d[:, :1], (c[0], c[1][:1], *c[2:]))[0], C(d, c)[1]), IMAGE),
    wrong("shifted", "dx moved by one column", conv, lambda d, c: (np.roll(C(d, c)[0], 1, 3), C(d, c)[1]), IMAGE),
    wrong("shifted", "dx moved by one row", conv, lambda d, c: (np.roll(C(d, c)[0], -1, 2), C(d, c)[1]), IMAGE),
    wrong("wrong shape", "dx with its padding", conv, lambda d, c: (padded(C(d, c)[0], c[3]), C(d, c)[1]), IMAGE),
    wrong("border", "border of dx without filters", conv,
          lambda d, c: (np.where(np.pad(np.ones((4, 3)), 1) > 0, C(d, c)[0], 0), C(d, c)[1]), IMAGE),
    wrong("border", "border of dx twice", conv,
          lambda d, c: (np.where(np.pad(np.ones((4, 3)), 1) > 0, 1, 2) * C(d, c)[0], C(d, c)[1]), IMAGE),
    wrong(("border", "missing term"), "dx of outputs inside", conv,
          lambda d, c: (C(np.where(np.pad(np.ones((4, 3)), 1) > 0, d, 0), c)[0], C(d, c)[1]), IMAGE),
    wrong(("border", "missing term"), "dw without the last column of outputs", conv,
          lambda d, c: (C(d, c)[0], C(np.where(np.arange(5) < 4, d, 0), c)[1]), IMAGE),
    wrong("transposed", "1×1 weights turned", pointwise,
          lambda d, c: (np.einsum("nohw,co->nchw", d, c[1]), np.einsum("nohw,nchw->oc", d, c[0])),
          normal((2, 3, 4, 3), (3, 3))),
    wrong("transposed", "1×1 dw turned", pointwise,
          lambda d, c: (np.einsum("nohw,oc->nchw", d, c[1]), np.einsum("nohw,nchw->co", d, c[0])),
          normal((2, 3, 4, 3), (3, 3))),
    wrong(("not summed", "wrong shape"), "1×1 dw per image", pointwise,
          lambda d, c: (np.einsum("nohw,oc->nchw", d, c[1]), np.einsum("nohw,nchw->noc", d, c[0])),
          normal((2, 3, 4, 3), (4, 3))),
    wrong(("branch", "border", "missing term", "overwritten"), "depthwise, first filter for all", depthwise,
          lambda d, c: depthwise_backward(d, c, mixed=True), normal((2, 3, 4, 5), (3, 3, 3))),
    wrong(("transposed", "missing term"), "depthwise, channels in reverse", depthwise,
          lambda d,
          c: (depthwise_backward(d, c)[0], depthwise_backward(d, c)[1][::-1]), normal((2, 3, 4, 5), (3, 3, 3))),
    wrong(("shifted", "missing term"), "transposed, padding not added", transposed, lambda d,
          c: T(d, c, shift=1), SMALL),
    wrong(("missing term", "shifted"), "transposed, stride forgotten", transposed, lambda d,
          c: T(d, c, stride=1), SMALL),
    wrong("transposed", "transposed, filters flipped", transposed, lambda d, c: T(d, c, flip=True), SMALL),
    wrong("transposed", "transposed, in and out exchanged", transposed, lambda d, c: T(d, c, turned=True), SQUARE),
    wrong("overwritten", "unfold, overwritten", unfold, lambda d, c: U(d, c, add=False), normal((2, 2, 5, 4))),
    wrong(("transposed", "missing term"), "unfold, channels last", unfold,
          lambda d, c: U(d, c, order="kkc"), normal((2, 3, 5, 4))),
    wrong(("transposed", "missing term"), "unfold, taps exchanged", unfold,
          lambda d, c: U(d, c, turned=True), normal((2, 2, 5, 5))),
    wrong(("missing term", "branch", "border", "constant factor"), "fold, averaged", fold,
          lambda d, c: fold_backward(d, c, average=True), normal((2, 8, 12))),
    wrong("overwritten", "im2col, col2im overwrites", im2col_conv, lambda d, c: I2(d, c, "col2im"), IM2COL),
    wrong(("transposed", "missing term"), "im2col, columns in another order", im2col_conv,
          lambda d, c: I2(d, c, "order"), IM2COL),
    wrong(("transposed", "missing term"), "im2col, images and filters mixed up", im2col_conv,
          lambda d, c: I2(d, c, "rows"), IM2COL),
    wrong(("transposed", "missing term"), "im2col, dw read in another order", im2col_conv,
          lambda d, c: I2(d, c, "dw"), IM2COL),
    wrong("overwritten", "im2col, dw of the last image", im2col_conv, lambda d, c: I2(d, c, "last"), IM2COL),
    wrong(("transposed", "missing term"), "correlation as convolution", one_dimensional,
          lambda d, c: (np.convolve(d, c[1][::-1]), np.correlate(c[0], d, "valid")), normal((9,), (4,))),
    wrong("transposed", "dw of a correlation in reverse", one_dimensional,
          lambda d, c: (np.convolve(d, c[1]), np.convolve(c[0], d[::-1], "valid")[::-1]), normal((9,), (4,))),
]  # fmt: skip
