"""Losses: one number from many."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong
from .elementwise import normal

Array = Any


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def cross_entropy(x: Array, labels: Array) -> Any:
    p = softmax(x)
    return -np.log(p[np.arange(len(x)), labels]).mean(), (p, labels)


def cross_entropy_backward(dout: Array, cache: Any, target: bool = True, mean: bool = True) -> Array:
    p, labels = cache
    dx = p.copy()
    if target:
        dx[np.arange(len(dx)), labels] -= 1
    return dout * dx / (len(dx) if mean else 1)


def softmax_pair(x: Array) -> Any:
    p = softmax(x)
    return p, p


def hinge(x: Array, labels: Array) -> Any:
    rows = np.arange(len(x))
    margins = np.maximum(0, x - x[rows, labels][:, None] + 1)
    margins[rows, labels] = 0
    return margins.sum() / len(x), (margins, labels)


def hinge_backward(dout: Array, cache: Any, own: bool = True) -> Array:
    margins, labels = cache
    dx = (margins > 0).astype(float)
    if own:
        dx[np.arange(len(dx)), labels] -= dx.sum(1)
    return dout * dx / len(dx)


def mse(x: Array, t: Array) -> Any:
    return ((x - t) ** 2).mean(), (x, t)


def l1(x: Array, t: Array) -> Any:
    return np.abs(x - t).sum(), (x, t)


def logsumexp(x: Array) -> Any:
    m = x.max()
    return m + np.log(np.exp(x - m).sum()), x


def variance(x: Array) -> Any:
    return x.var(), x


def returned_gradient(x: Array, labels: Array) -> Any:  # loss and gradient in one function, as many courses have it
    loss, cache = cross_entropy(x, labels)
    return loss, cross_entropy_backward(1.0, cache)


def scores(rng: Any) -> Any:
    return [rng.standard_normal((5, 4)), rng.integers(0, 4, 5)]


C = cross_entropy_backward
PAIR = normal((5, 4), (5, 4))

EXAMPLES = [
    right("cross entropy", cross_entropy, cross_entropy_backward, scores),
    right("softmax", softmax_pair, lambda d, p: p * (d - (d * p).sum(1, keepdims=True)), normal((5, 4))),
    right("hinge", hinge, hinge_backward, scores),
    right("mse", mse, lambda d, c: (2 * d * (c[0] - c[1]) / c[0].size, -2 * d * (c[0] - c[1]) / c[0].size), PAIR),
    right("l1", l1, lambda d, c: (d * np.sign(c[0] - c[1]), -d * np.sign(c[0] - c[1])), PAIR),
    right("logsumexp", logsumexp, lambda d, x: d * np.exp(x - x.max()) / np.exp(x - x.max()).sum(), normal((7,))),
    right("variance", variance, lambda d, x: 2 * d * (x - x.mean()) / x.size, normal((7,))),
    right("loss with its gradient", returned_gradient, lambda d, g: d * g, scores),
    wrong("missing term", "target forgotten", cross_entropy, lambda d, c: C(d, c, target=False), scores),
    wrong("constant factor", "not divided by N", cross_entropy, lambda d, c: C(d, c, mean=False), scores),
    wrong("constant factor", "divided by all", cross_entropy, lambda d, c: C(d, c) / 4, scores),
    wrong("constant factor", "sign turned", cross_entropy, lambda d, c: -C(d, c), scores),
    wrong("ignores dout", "dout ignored", cross_entropy, lambda d, c: C(1.0, c), scores),
    wrong("missing term", "softmax as sigmoid", softmax_pair, lambda d, p: d * p * (1 - p), normal((5, 4))),
    wrong("missing term", "softmax without sum", softmax_pair, lambda d, p: d * p, normal((5, 4))),
    wrong("missing term", "hinge without own class", hinge, lambda d, c: hinge_backward(d, c, False), scores),
    wrong("constant factor", "mse without 2", mse,
          lambda d, c: (d * (c[0] - c[1]) / 20, -2 * d * (c[0] - c[1]) / 20), PAIR),
    wrong("constant factor", "mse / N only", mse,
          lambda d, c: (2 * d * (c[0] - c[1]) / 5, -2 * d * (c[0] - c[1]) / 5), PAIR),
    wrong("constant factor", "mse target with sign", mse, lambda d, c: (2 * d * (c[0] - c[1]) / 20,) * 2, PAIR),
    wrong("swapped", "mse swapped", mse, lambda d, c: (-2 * d * (c[0] - c[1]) / 20, 2 * d * (c[0] - c[1]) / 20), PAIR),
    wrong("constant factor", "l1 averaged", l1,
          lambda d, c: (d * np.sign(c[0] - c[1]) / 20, -d * np.sign(c[0] - c[1]) / 20), PAIR),
    wrong("branch", "l1 without sign", l1, lambda d, c: (d * np.ones((5, 4)), -d * np.sign(c[0] - c[1])), PAIR),
    wrong("constant factor", "variance / (N − 1)", variance,
          lambda d, x: 2 * d * (x - x.mean()) / (x.size - 1), normal((7,))),
    wrong(("batch statistics", "missing term"), "variance not centred", variance,
          lambda d, x: 2 * d * x / x.size, normal((7,))),
    wrong(("cut graph", "constant factor"), "1 // N", mse,
          lambda d, c: (2 * d * (c[0] - c[1]) * (1 // 20), -2 * d * (c[0] - c[1]) / 20), PAIR),
]  # fmt: skip
