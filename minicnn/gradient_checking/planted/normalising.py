"""Normalisation over groups, layers, batches and channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong
from .elementwise import normal

Array = Any
EPS = 1e-3


def norm(x: Array, axes: tuple[int, ...], gamma: Array, beta: Array) -> Any:
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    hat = (x - mean) / np.sqrt(var + EPS)
    return gamma * hat + beta, (x, mean, var, hat, gamma, axes)


def norm_dx(dout: Array, cache: Any, mistake: str = "") -> Array:
    x, mean, var, _hat, gamma, axes = cache
    d = dout * (1 if mistake == "gamma" else gamma)
    n = int(np.prod([x.shape[a] for a in axes]))
    root = np.sqrt(var + (0 if mistake == "eps" else EPS))
    if mistake == "n":
        n = x.shape[0]
    if mistake == "n - 1":
        n -= 1
    if mistake == "axes":
        axes = axes[:-1] if len(axes) > 1 else (1 - axes[0],)
    dvar = (d * (x - mean)).sum(axes, keepdims=True) * (0.5 if mistake == "sign" else -0.5) / root**3
    dmean = -d.sum(axes, keepdims=True) / root
    if mistake == "dvar exponent":
        dvar = dvar * root
    if mistake == "dvar half":
        dvar = 2 * dvar
    if mistake == "no variance":
        dvar = 0
    if mistake == "no mean":
        dmean = 0
    if mistake == "not centred":
        return d / root + dvar * 2 * x / n + dmean / n
    return d / root + dvar * 2 * (x - mean) / n + dmean / n


def batch(x: Array, gamma: Array, beta: Array) -> Any:
    return norm(x, (0,), gamma, beta)


def batch_backward(dout: Array, cache: Any, mistake: str = "") -> Any:
    hat = cache[3]
    dgamma = dout * (cache[0] if mistake == "dgamma of x" else hat)
    return norm_dx(dout, cache, mistake), dgamma.sum(0), dout.sum(0)


def images(x: Array, gamma: Array, beta: Array) -> Any:
    return norm(x, (0, 2, 3), gamma[:, None, None], beta[:, None, None])


def images_backward(dout: Array, cache: Any, mistake: str = "", over: tuple[int, ...] = (0, 2, 3)) -> Any:
    return norm_dx(dout, cache, mistake), (dout * cache[3]).sum(over), dout.sum(over)


def group(x: Array, gamma: Array, beta: Array) -> Any:  # two groups of channels
    n, c, h, w = x.shape
    parts = x.reshape(n, 2, c // 2, h, w)
    hat, cache = norm(parts, (2, 3, 4), 1.0, 0.0)
    hat = hat.reshape(x.shape)
    return gamma[:, None, None] * hat + beta[:, None, None], (hat, cache, gamma, parts.shape)


def group_backward(dout: Array, cache: Any, mistake: str = "") -> Any:
    hat, inner, gamma, shape = cache
    d = (dout * gamma[:, None, None]).reshape(shape)
    return norm_dx(d, inner, mistake).reshape(dout.shape), (dout * hat).sum((0, 2, 3)), dout.sum((0, 2, 3))


def layer(x: Array, gamma: Array, beta: Array) -> Any:  # (N, T, D) over D
    return norm(x, (2,), gamma, beta)


def layer_backward(dout: Array, cache: Any, mistake: str = "", over: tuple[int, ...] = (0, 1)) -> Any:
    return norm_dx(dout, cache, mistake), (dout * cache[3]).sum(over), dout.sum(over)


def lrn(x: Array, alpha: float = 0.3, beta: float = 0.75, k: float = 2.0) -> Any:  # over 3 channels
    s = k + alpha / 3 * neighbours(x**2)
    return x * s**-beta, (x, s, alpha, beta)


def neighbours(a: Array) -> Array:
    p = np.pad(a, ((0, 0), (1, 1), (0, 0), (0, 0)))
    return p[:, :-2] + p[:, 1:-1] + p[:, 2:]


def lrn_backward(dout: Array, cache: Any, mistake: str = "") -> Array:
    x, s, alpha, beta = cache
    r = dout * x * s ** (-beta - (0 if mistake == "exponent" else 1))
    total = neighbours(r)
    if mistake == "own":
        total = r
    if mistake == "one side":
        total = r + np.pad(r, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1]
    factor = 2 * alpha / (1 if mistake == "size" else 3) * beta
    if mistake == "beta":
        factor /= beta
    if mistake == "sign":
        factor = -factor
    if mistake == "two":
        factor /= 2
    return dout * s**-beta - factor * x * total


def unit(x: Array) -> Any:  # rows of length 1
    length = np.sqrt((x**2).sum(1, keepdims=True) + 1e-12)
    return x / length, (x, length)


def unit_backward(dout: Array, cache: Any, power: int = 2, axis: int = 1, sign: float = -1) -> Array:
    x, length = cache
    return (dout + sign * x * (dout * x).sum(axis, keepdims=True) / length**power) / length


def evaluated(x: Array, mean: Array, var: Array, gamma: Array) -> Any:  # batch norm with given statistics
    inverse = 1 / np.sqrt(var + EPS)
    return gamma * (x - mean) * inverse, (x, mean, inverse, gamma)


def evaluated_backward(dout: Array, cache: Any, mistake: str = "") -> Any:
    x, mean, inverse, gamma = cache
    dx = dout * gamma * inverse
    if mistake == "as in training":
        dx = dx - dx.mean(0)
    dmean = -(dout * gamma * inverse).sum(0)
    dvar = -0.5 * (dout * gamma * (x - mean)).sum(0) * inverse**3
    if mistake == "dvar":
        dvar = dvar / inverse
    return dx, (-dmean if mistake == "sign" else dmean), dvar, (dout * (x - mean) * inverse).sum(0)


ROWS = normal((6, 5), (5,), (5,))
IMAGES = normal((2, 3, 4, 3), (3,), (3,))
GROUPS = normal((3, 4, 3, 2), (4,), (4,))
SEQUENCE = normal((2, 3, 5), (5,), (5,))
MAPS = normal((2, 5, 3, 2))
GIVEN = lambda rng: [
    rng.standard_normal((6, 4)),
    rng.standard_normal(4),
    rng.uniform(0.5, 2, 4),
    rng.standard_normal(4),
]
N, S, G, L, R, E = batch_backward, images_backward, group_backward, layer_backward, lrn_backward, evaluated_backward

EXAMPLES = [
    right("batch norm, the long way", batch, batch_backward, ROWS),
    right("batch norm of images", images, images_backward, IMAGES),
    right("group norm", group, group_backward, GROUPS),
    right("layer norm of a sequence", layer, layer_backward, SEQUENCE),
    right("lrn with its constants", lrn, lrn_backward, MAPS),
    right("unit rows", unit, unit_backward, normal((4, 5))),
    right("batch norm with given statistics", evaluated, evaluated_backward, GIVEN),
    wrong(("constant factor", "missing term"), "eps forgotten in the root", batch, lambda d, c: N(d, c, "eps"), ROWS),
    wrong(("missing term", "batch statistics"), "variance term with plus", batch, lambda d, c: N(d, c, "sign"), ROWS),
    wrong(("missing term", "batch statistics"), "variance term with the wrong power", batch,
          lambda d, c: N(d, c, "dvar exponent"), ROWS),
    wrong(("missing term", "batch statistics"), "variance term without one half", batch,
          lambda d, c: N(d, c, "dvar half"), ROWS),
    wrong("batch statistics", "no variance term", batch, lambda d, c: N(d, c, "no variance"), ROWS),
    wrong("batch statistics", "no mean term", batch, lambda d, c: N(d, c, "no mean"), ROWS),
    wrong(("batch statistics", "missing term"), "variance term of x, not centred", batch,
          lambda d, c: N(d, c, "not centred"), lambda rng: [rng.standard_normal((6, 5)) + 1, *ROWS(rng)[1:]]),
    wrong(("batch statistics", "missing term"), "n - 1 in the statistics' terms", batch,
          lambda d, c: N(d, c, "n - 1"), ROWS),
    wrong(("missing term", "batch statistics", "not summed"), "statistics' terms over the wrong axis", batch,
          lambda d, c: N(d, c, "axes"), normal((5, 5), (5,), (5,))),
    wrong("missing term", "dgamma with x", batch, lambda d, c: N(d, c, "dgamma of x"), ROWS),
    wrong("missing term", "dx without gamma", batch, lambda d, c: N(d, c, "gamma"), ROWS),
    wrong("constant factor", "dbeta averaged, rows", batch, lambda d, c: (*N(d, c)[:2], d.mean(0)), ROWS),
    wrong("not summed", "dgamma over the wrong axis", batch,
          lambda d, c: (N(d, c)[0], (d * c[3]).sum(1), N(d, c)[2]), normal((5, 5), (5,), (5,))),
    wrong("ignores dout", "dgamma without dout", batch, lambda d, c: (N(d, c)[0], c[3].sum(0), N(d, c)[2]), ROWS),
    wrong("swapped", "dbeta before dgamma", images, lambda d, c: (S(d, c)[0], S(d, c)[2], S(d, c)[1]), IMAGES),
    wrong(("not summed", "wrong shape"), "dgamma per pixel", images,
          lambda d, c: (S(d, c)[0], *S(d, c, over=(0,))[1:]), IMAGES),
    wrong(("not summed", "wrong shape"), "dgamma per image", images,
          lambda d, c: (S(d, c)[0], *S(d, c, over=(2, 3))[1:]), IMAGES),
    wrong(("batch statistics", "missing term"), "images divided by N only", images, lambda d, c: S(d, c, "n"), IMAGES),
    wrong(("batch statistics", "missing term", "not summed"), "statistics of images without the last axis", images,
          lambda d, c: S(d, c, "axes"), IMAGES),
    wrong("batch statistics", "images without the variance", images, lambda d, c: S(d, c, "no variance"), IMAGES),
    wrong(("batch statistics", "missing term"), "groups without the mean", group, lambda d,
          c: G(d, c, "no mean"), GROUPS),
    wrong(("batch statistics", "missing term"), "groups, one axis of the statistics forgotten", group,
          lambda d, c: G(d, c, "axes"), GROUPS),
    wrong("missing term", "groups, gamma forgotten", group,
          lambda d, c: (norm_dx(d.reshape(c[3]), c[1]).reshape(d.shape), *G(d, c)[1:]), GROUPS),
    wrong(("missing term", "transposed"), "groups, gamma in the wrong order", group,
          lambda d, c: (G(d, (c[0], c[1], c[2][::-1], c[3]))[0], *G(d, c)[1:]), GROUPS),
    wrong(("batch statistics", "missing term"), "layer without both", layer,
          lambda d, c: (d * c[4] / np.sqrt(c[2] + EPS), *L(d, c)[1:]), SEQUENCE),
    wrong(("batch statistics", "missing term"), "layer without the variance", layer,
          lambda d, c: L(d, c, "no variance"), SEQUENCE),
    wrong(("not summed", "wrong shape"), "layer, dgamma over the batch only", layer,
          lambda d, c: (L(d, c)[0], *L(d, c, over=(0,))[1:]), SEQUENCE),
    wrong("missing term", "lrn, own channel only", lrn, lambda d, c: R(d, c, "own"), MAPS),
    wrong(("missing term", "border"), "lrn, channels of one side", lrn, lambda d, c: R(d, c, "one side"), MAPS),
    wrong("missing term", "lrn, exponent not lowered", lrn, lambda d, c: R(d, c, "exponent"), MAPS),
    wrong("missing term", "lrn, not divided by the size", lrn, lambda d, c: R(d, c, "size"), MAPS),
    wrong("missing term", "lrn, beta forgotten", lrn, lambda d, c: R(d, c, "beta"), MAPS),
    wrong("missing term", "lrn, second term with plus", lrn, lambda d, c: R(d, c, "sign"), MAPS),
    wrong("missing term", "lrn, 2 forgotten", lrn, lambda d, c: R(d, c, "two"), MAPS),
    wrong("missing term", "unit rows, length not squared", unit, lambda d, c: unit_backward(d, c, 1), normal((4, 5))),
    wrong(("missing term", "not summed"), "unit rows, sum over the batch", unit,
          lambda d, c: unit_backward(d, c, axis=0), normal((4, 4))),
    wrong("missing term", "unit rows, plus", unit, lambda d, c: unit_backward(d, c, sign=1), normal((4, 5))),
    wrong(("missing term", "constant factor"), "unit rows, not divided", unit,
          lambda d, c: unit_backward(d, c) * c[1], normal((4, 5))),
    wrong(("missing term", "batch statistics"), "given statistics taken for the batch's", evaluated,
          lambda d, c: E(d, c, "as in training"), GIVEN),
    wrong("constant factor", "dmean with plus", evaluated, lambda d, c: E(d, c, "sign"), GIVEN),
    wrong("missing term", "dvar with the wrong power", evaluated, lambda d, c: E(d, c, "dvar"), GIVEN),
]  # fmt: skip
