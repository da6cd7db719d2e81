"""Convolution and pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong
from .elementwise import normal

Array = Any


def conv(x: Array, w: Array, b: Array, stride: int = 1, pad: int = 1) -> Any:
    n, _, h, width = x.shape
    o, _, kh, kw = w.shape
    oh, ow = (h + 2 * pad - kh) // stride + 1, (width + 2 * pad - kw) // stride + 1
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    y = np.zeros((n, o, oh, ow))
    for i in range(oh):
        for j in range(ow):
            window = padded[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw]
            y[:, :, i, j] = np.tensordot(window, w, ((1, 2, 3), (1, 2, 3))) + b
    return y, (x, w, stride, pad)


def conv_backward(
    dout: Array,
    cache: Any,
    flip: bool = False,
    accumulate: bool = True,
    crop: int | None = None,
    last_row: bool = True,
    padded: bool = True,
    weights_accumulate: bool = True,
) -> Any:
    x, w, stride, pad = cache
    kh, kw = w.shape[2:]
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    if not padded:
        xp = np.pad(x, ((0, 0), (0, 0), (0, 2 * pad), (0, 2 * pad)))
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    filters = w[:, :, ::-1, ::-1] if flip else w
    for i in range(dout.shape[2] - (not last_row)):
        for j in range(dout.shape[3]):
            place = np.s_[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw]
            d = dout[:, :, i, j]
            share = np.tensordot(d, filters, (1, 0))
            if accumulate:
                dxp[place] += share
            else:
                dxp[place] = share
            contribution = np.tensordot(d, xp[place], (0, 0))
            dw = dw + contribution if weights_accumulate else contribution
    at = pad if crop is None else crop
    dx = dxp[:, :, at : at + x.shape[2], at : at + x.shape[3]]
    return dx, dw, dout.sum((0, 2, 3))


def max_pool(x: Array, size: int = 2, stride: int = 2) -> Any:
    n, c, h, w = x.shape
    oh, ow = (h - size) // stride + 1, (w - size) // stride + 1
    y = np.zeros((n, c, oh, ow))
    for i in range(oh):
        for j in range(ow):
            window = x[:, :, i * stride : i * stride + size, j * stride : j * stride + size]
            y[:, :, i, j] = window.max((2, 3))
    return y, (x, size, stride)


def max_pool_backward(dout: Array, cache: Any, ties: str = "first", accumulate: bool = True) -> Array:
    x, size, stride = cache
    dx = np.zeros_like(x)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            place = np.s_[:, :, i * stride : i * stride + size, j * stride : j * stride + size]
            window = x[place]
            n, c = window.shape[:2]
            mask = (window == window.max((2, 3), keepdims=True)).astype(float)
            if ties == "first":
                flat = mask.reshape(n, c, -1)
                first = np.arange(flat.shape[2]) == flat.argmax(2)[:, :, None]
                mask = first.astype(float).reshape(mask.shape)
            elif ties == "shared":
                mask = mask / mask.sum((2, 3), keepdims=True)
            share = mask * dout[:, :, i : i + 1, j : j + 1]
            if accumulate:
                dx[place] += share
            else:
                dx[place] = share
    return dx


def average_pool(x: Array, size: int = 2, stride: int = 2) -> Any:
    n, c, h, w = x.shape
    oh, ow = (h - size) // stride + 1, (w - size) // stride + 1
    y = np.zeros((n, c, oh, ow))
    for i in range(oh):
        for j in range(ow):
            y[:, :, i, j] = x[:, :, i * stride : i * stride + size, j * stride : j * stride + size].mean((2, 3))
    return y, (x.shape, size, stride)


def average_pool_backward(dout: Array, cache: Any, divide: float = 0, accumulate: bool = True) -> Array:
    shape, size, stride = cache
    dx = np.zeros(shape)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            place = np.s_[:, :, i * stride : i * stride + size, j * stride : j * stride + size]
            share = dout[:, :, i : i + 1, j : j + 1] / (divide or size * size)
            dx[place] = dx[place] + share if accumulate else share
    return dx


def pad_images(x: Array) -> Any:
    return np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2))), None


def upsample(x: Array) -> Any:
    return x.repeat(2, 2).repeat(2, 3), None


def upsample_backward(dout: Array, cache: Any) -> Array:
    n, c, h, w = dout.shape
    return dout.reshape(n, c, h // 2, 2, w // 2, 2).sum((3, 5))


def reflect(x: Array) -> Any:
    return np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect"), x.shape


def reflect_backward(dout: Array, shape: Any) -> Array:
    index = np.pad(np.arange(np.prod(shape)).reshape(shape), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    dx = np.zeros(int(np.prod(shape)))
    np.add.at(dx, index.ravel(), dout.ravel())
    return dx.reshape(shape)


def lrn(x: Array) -> Any:  # over 3 channels
    s = np.pad(x**2, ((0, 0), (1, 1), (0, 0), (0, 0)))
    total = 2 + 0.5 * (s[:, :-2] + s[:, 1:-1] + s[:, 2:])
    return x * total**-0.75, (x, total)


def lrn_backward(dout: Array, cache: Any, cross: bool = True) -> Array:
    x, total = cache
    r = np.pad(dout * x * total**-1.75, ((0, 0), (1, 1), (0, 0), (0, 0)))
    others = r[:, :-2] + r[:, 1:-1] + r[:, 2:]
    return dout * total**-0.75 - (0.75 * x * others if cross else 0)


IMAGE = normal((2, 3, 6, 5), (4, 3, 3, 3), (4,))
STRIDED = lambda rng: [*IMAGE(rng), 2, 1]
POOL = normal((2, 3, 6, 4))
OVERLAP = lambda rng: [rng.standard_normal((2, 2, 5, 7)), 3, 2]
TIED = lambda rng: [rng.integers(0, 3, (2, 2, 6, 4)).astype(float)]
C, M, A = conv_backward, max_pool_backward, average_pool_backward

EXAMPLES = [
    right("conv", conv, conv_backward, IMAGE),
    right("conv, stride 2", conv, conv_backward, STRIDED),
    right("max pool", max_pool, max_pool_backward, POOL),
    right("max pool, shared ties", max_pool, lambda d, c: M(d, c, "shared"), TIED),
    right("max pool, first of ties", max_pool, max_pool_backward, TIED),
    right("max pool, overlapping", max_pool, max_pool_backward, OVERLAP),
    right("average pool", average_pool, average_pool_backward, POOL),
    right("average pool, overlapping", average_pool, average_pool_backward, OVERLAP),
    right("pad", pad_images, lambda d, c: d[:, :, 1:-1, 2:-2], POOL),
    right("upsample", upsample, upsample_backward, POOL),
    right("reflect", reflect, reflect_backward, POOL),
    right("lrn", lrn, lrn_backward, normal((2, 5, 3, 2))),
    wrong(("transposed", "flipped"), "filters flipped", conv, lambda d, c: C(d, c, flip=True), IMAGE),
    wrong(("transposed", "flipped"), "dw flipped", conv,
          lambda d, c: (C(d, c)[0], C(d, c)[1][..., ::-1, ::-1], C(d, c)[2]), IMAGE),
    wrong("transposed", "dw with rows and columns exchanged", conv,
          lambda d, c: (C(d, c)[0], C(d, c)[1].swapaxes(2, 3), C(d, c)[2]), IMAGE),
    wrong("transposed", "dw with channels exchanged", conv,
          lambda d, c: (C(d, c)[0], C(d, c)[1].swapaxes(0, 1), C(d, c)[2]), normal((2, 4, 6, 5), (4, 4, 3, 3), (4,))),
    wrong("overwritten", "dx overwritten", conv, lambda d, c: C(d, c, accumulate=False), IMAGE),
    wrong("overwritten", "dw overwritten", conv, lambda d, c: C(d, c, weights_accumulate=False), IMAGE),
    wrong("overwritten", "dx overwritten, stride 2", conv, lambda d, c: C(d, c, accumulate=False), STRIDED),
    wrong("shifted", "padding not cut off", conv, lambda d, c: C(d, c, crop=0), IMAGE),
    wrong("shifted", "padding cut off twice", conv,
          lambda d, c: (np.pad(C(d, c)[0], ((0, 0), (0, 0), (0, 1), (0, 1)))[:, :, 1:, 1:], *C(d, c)[1:]), IMAGE),
    wrong(("border", "missing term"), "last row forgotten", conv, lambda d, c: C(d, c, last_row=False), IMAGE),
    wrong(("shifted", "border"), "x padded on one side", conv, lambda d, c: C(d, c, padded=False), IMAGE),
    wrong("constant factor", "db averaged", conv, lambda d, c: (*C(d, c)[:2], d.mean((0, 2, 3))), IMAGE),
    wrong("not summed", "db over images only", conv, lambda d, c: (*C(d, c)[:2], d.sum(0)), IMAGE),
    wrong(("not summed", "missing term", "border"), "db of one row", conv,
          lambda d, c: (*C(d, c)[:2], d[:, :, 0].sum((0, 2))), IMAGE),
    wrong("border", "dx zero at the border", conv,
          lambda d, c: (np.pad(C(d, c)[0][:, :, 1:-1, 1:-1], ((0, 0), (0, 0), (1, 1), (1, 1))), *C(d, c)[1:]), IMAGE),
    wrong("constant factor", "conv / N", conv, lambda d, c: tuple(g / len(d) for g in C(d, c)), IMAGE),
    wrong("ties", "max pool to all ties", max_pool, lambda d, c: M(d, c, "all"), POOL),
    wrong("ties", "max pool to all ties, given", max_pool, lambda d, c: M(d, c, "all"), TIED),
    wrong("overwritten", "overlapping windows overwritten", max_pool, lambda d, c: M(d, c, accumulate=False), OVERLAP),
    wrong(("missing term", "constant factor", "branch"), "max pool as average", max_pool,
          lambda d, c: A(d, (c[0].shape, *c[1:])), POOL),
    wrong("constant factor", "average pool without division", average_pool, lambda d, c: A(d, c, 1), POOL),
    wrong("constant factor", "average pool / size", average_pool, lambda d, c: A(d, c, 2), POOL),
    wrong("overwritten", "average pool overwritten", average_pool, lambda d, c: A(d, c, accumulate=False), OVERLAP),
    wrong(("integer division", "constant factor"), "average pool by //", average_pool,
          lambda d, c: A(np.floor(d / 4), c, 1), POOL),
    wrong("shifted", "pad cut at the wrong place", pad_images, lambda d, c: d[:, :, 1:-1, 1:-3], POOL),
    wrong("shifted", "pad not cut at the left", pad_images, lambda d, c: d[:, :, 2:, 2:-2], POOL),
    wrong("wrong shape", "pad not cut", pad_images, lambda d, c: d, POOL),
    wrong(("overwritten", "not summed", "missing term"), "upsample takes one", upsample,
          lambda d, c: d[:, :, ::2, ::2], POOL),
    wrong(("constant factor", "not summed"), "upsample averages", upsample,
          lambda d, c: upsample_backward(d, c) / 4, POOL),
    wrong("border", "reflect as constant", reflect, lambda d, c: d[:, :, 1:-1, 1:-1], POOL),
    wrong("missing term", "lrn without the others", lrn, lambda d, c: lrn_backward(d, c, False), normal((2, 5, 3, 2))),
]  # fmt: skip
