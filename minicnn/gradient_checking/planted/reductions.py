"""Sums, means, variances, extrema: what is divided, repeated and shared."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong
from .elementwise import normal, positive

Array = Any


def total(x: Array) -> Any:
    return x.sum(1), x.shape


def mean(x: Array) -> Any:
    return x.mean(1), x.shape


def whole_mean(x: Array) -> Any:
    return x.mean(), x.shape


def mean_kept(x: Array) -> Any:
    return x.mean((0, 2), keepdims=True), x.shape


def var(x: Array) -> Any:  # with Bessel's correction
    return x.var(1, ddof=1), x


def var_backward(dout: Array, x: Array, centred: bool = True, two: float = 2, correction: int = 1) -> Array:
    middle = x.mean(1, keepdims=True) if centred else 0
    return dout[:, None] * two * (x - middle) / (x.shape[1] - correction)


def std(x: Array) -> Any:
    s = x.std(1)
    return s, (x, s)


def std_backward(dout: Array, cache: Any, root: bool = True) -> Array:
    x, s = cache
    dx = dout[:, None] * (x - x.mean(1, keepdims=True)) / x.shape[1]
    return dx / s[:, None] if root else dx


def maximum(x: Array) -> Any:
    return x.max(1), x


def max_backward(dout: Array, x: Array) -> Array:
    dx = np.zeros_like(x)
    dx[np.arange(len(x)), x.argmax(1)] = dout
    return dx


def max_at_the_flat_index(dout: Array, x: Array) -> Array:
    dx = np.zeros_like(x)
    dx.flat[x.argmax(1)] = dout
    return dx


def minimum(x: Array) -> Any:
    return x.min(0), x


def min_backward(dout: Array, x: Array, place: Any = None) -> Array:
    dx = np.zeros_like(x)
    dx[x.argmin(0) if place is None else place, np.arange(x.shape[1])] = dout
    return dx


def logsumexp(x: Array) -> Any:
    m = x.max(1, keepdims=True)
    y = m[:, 0] + np.log(np.exp(x - m).sum(1))
    return y, (x, y)


def logsumexp_backward(dout: Array, cache: Any) -> Array:
    x, y = cache
    return dout[:, None] * np.exp(x - y[:, None])


def norm(x: Array) -> Any:
    y = np.sqrt((x**2).sum())
    return y, (x, y)


def product(x: Array) -> Any:
    y = x.prod(1)
    return y, (x, y)


def weighted(x: Array, w: Array) -> Any:  # a mean with weights
    return (w * x).sum() / w.sum(), (x, w)


def weighted_backward(dout: Array, cache: Any, of_w: bool = True) -> Any:
    x, w = cache
    mean = (w * x).sum() / w.sum()
    return dout * w / w.sum(), dout * (x - (mean if of_w else 0)) / w.sum()


def repeated(dout: Array, shape: Any) -> Array:
    return np.broadcast_to(dout[:, None], shape)


PLANE = normal((4, 6))
SQUARE = normal((5, 5))
R = repeated

EXAMPLES = [
    right("sum over rows", total, repeated, PLANE),
    right("mean over rows", mean, lambda d, s: R(d, s) / s[1], PLANE),
    right("variance with n - 1", var, var_backward, PLANE),
    right("standard deviation", std, std_backward, PLANE),
    right("max over rows", maximum, max_backward, PLANE),
    right("min over columns", minimum, min_backward, PLANE),
    right("logsumexp over rows", logsumexp, logsumexp_backward, PLANE),
    right("norm", norm, lambda d, c: d * c[0] / c[1], PLANE),
    right("product over rows", product, lambda d, c: (d * c[1])[:, None] / c[0], positive((4, 5))),
    right("weighted mean", weighted, weighted_backward, positive((7,), (7,))),
    wrong("constant factor", "sum divided by n", total, lambda d, s: R(d, s) / s[1], PLANE),
    wrong("transposed", "sum repeated along the wrong axis", total,
          lambda d, s: np.broadcast_to(d, s), SQUARE),
    wrong("wrong shape", "sum not repeated", total, lambda d, s: d, PLANE),
    wrong("wrong shape", "sum keeps the axis", total, lambda d, s: d[:, None], PLANE),
    wrong("constant factor", "mean not divided", mean, lambda d, s: R(d, s), PLANE),
    wrong("constant factor", "mean divided by the other axis", mean, lambda d, s: R(d, s) / s[0], PLANE),
    wrong("constant factor", "mean divided by all", mean, lambda d, s: R(d, s) / (s[0] * s[1]), PLANE),
    wrong("constant factor", "mean times n", mean, lambda d, s: R(d, s) * s[1], PLANE),
    wrong("constant factor", "whole mean divided by rows", whole_mean, lambda d, s: d * np.ones(s) / s[0], PLANE),
    wrong(("cut graph", "integer division", "constant factor"), "mean by 1 // n", mean,
          lambda d, s: R(d, s) * (1 // s[1]), PLANE),
    wrong("integer division", "mean by //", mean, lambda d, s: R(10 * d, s) // s[1] / 10, PLANE),
    wrong("constant factor", "mean over two axes divided by one", mean_kept,
          lambda d, s: np.broadcast_to(d, s) / s[0], normal((3, 2, 5))),
    wrong("constant factor", "variance divided by n", var, lambda d, x: var_backward(d, x, correction=0), PLANE),
    wrong("constant factor", "variance without 2", var, lambda d, x: var_backward(d, x, two=1), PLANE),
    wrong(("batch statistics", "missing term"), "variance not centred, over rows", var,
          lambda d, x: var_backward(d, x, centred=False), PLANE),
    wrong(("batch statistics", "missing term"), "variance centred by the whole mean", var,
          lambda d, x: d[:, None] * 2 * (x - x.mean()) / (x.shape[1] - 1), PLANE),
    wrong(("missing term", "constant factor"), "std without the root", std,
          lambda d, c: std_backward(d, c, root=False), PLANE),
    wrong("constant factor", "std with 2", std, lambda d, c: 2 * std_backward(d, c), PLANE),
    wrong("ties", "max to every tied element", maximum,
          lambda d, x: d[:, None] * (x == x.max(1, keepdims=True)), PLANE),
    wrong("ties", "max to no tied element", maximum,
          lambda d,
          x: d[:, None] * ((x == x.max(1, keepdims=True)) & ((x == x.max(1, keepdims=True)).sum(1) == 1)[:, None]),
          PLANE),
    wrong(("branch", "missing term", "shifted"), "max by argmin", maximum, lambda d, x: max_backward(d, -x), PLANE),
    wrong(("missing term", "shifted", "overwritten"), "max of the flat index", maximum, max_at_the_flat_index, PLANE),
    wrong(("shifted", "missing term"), "min one row below", minimum,
          lambda d, x: min_backward(d, x, (x.argmin(0) + 1) % len(x)), PLANE),
    wrong(("missing term", "branch"), "max spread evenly", maximum, lambda d, x: R(d, x.shape) / x.shape[1], PLANE),
    wrong(("missing term", "branch"), "max passes everywhere", maximum, lambda d, x: R(d, x.shape), PLANE),
    wrong("missing term", "logsumexp without division", logsumexp, lambda d, c: d[:, None] * np.exp(c[0]), PLANE),
    wrong("missing term", "logsumexp over the whole", logsumexp,
          lambda d, c: d[:, None] * np.exp(c[0]) / np.exp(c[0]).sum(), PLANE),
    wrong("missing term", "logsumexp along the wrong axis", logsumexp,
          lambda d, c: d[:, None] * np.exp(c[0]) / np.exp(c[0]).sum(0), SQUARE),
    wrong(("constant factor",), "norm with 2", norm, lambda d, c: 2 * d * c[0] / c[1], PLANE),
    wrong(("constant factor", "missing term"), "norm squared below", norm, lambda d, c: d * c[0] / c[1] ** 2, PLANE),
    wrong(("constant factor", "missing term"), "norm without division", norm, lambda d, c: d * c[0], PLANE),
    wrong("missing term", "product not divided by x", product,
          lambda d, c: (d * c[1])[:, None] * np.ones(c[0].shape), positive((4, 5))),
    wrong("missing term", "product times x", product, lambda d, c: (d * c[1])[:, None] * c[0], positive((4, 5))),
    wrong("missing term", "weighted mean, dw without the mean", weighted,
          lambda d, c: weighted_backward(d, c, of_w=False), positive((7,), (7,))),
    wrong("constant factor", "weighted mean, divided by n", weighted,
          lambda d, c: (d * c[1] / 7, weighted_backward(d, c)[1]), positive((7,), (7,))),
]  # fmt: skip
