"""Normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong
from .elementwise import normal

Array = Any
EPS = 1e-5


def batch_norm(x: Array, gamma: Array, beta: Array) -> Any:
    mean, var = x.mean(0), x.var(0)
    hat = (x - mean) / np.sqrt(var + EPS)
    return gamma * hat + beta, (hat, gamma, var)


def batch_norm_backward(dout: Array, cache: Any, mean: bool = True, var: bool = True, root: bool = True) -> Any:
    hat, gamma, variance = cache
    d = dout * gamma
    dx = d - (d.mean(0) if mean else 0) - (hat * (d * hat).mean(0) if var else 0)
    return dx / (np.sqrt(variance + EPS) if root else variance + EPS), (dout * hat).sum(0), dout.sum(0)


def layer_norm(x: Array, gamma: Array, beta: Array) -> Any:
    mean, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    hat = (x - mean) / np.sqrt(var + EPS)
    return gamma * hat + beta, (hat, gamma, var)


def layer_norm_backward(dout: Array, cache: Any, mean: bool = True, var: bool = True) -> Any:
    hat, gamma, variance = cache
    d = dout * gamma
    dx = d - (d.mean(1, keepdims=True) if mean else 0)
    dx = dx - (hat * (d * hat).mean(1, keepdims=True) if var else 0)
    return dx / np.sqrt(variance + EPS), (dout * hat).sum(0), dout.sum(0)


def spatial(x: Array, gamma: Array, beta: Array) -> Any:
    n, c, h, w = x.shape
    y, cache = batch_norm(x.transpose(0, 2, 3, 1).reshape(-1, c), gamma, beta)
    return y.reshape(n, h, w, c).transpose(0, 3, 1, 2), (cache, x.shape)


def spatial_backward(dout: Array, cache: Any, **options: Any) -> Any:
    inner, (n, c, h, w) = cache
    dx, dgamma, dbeta = batch_norm_backward(dout.transpose(0, 2, 3, 1).reshape(-1, c), inner, **options)
    return dx.reshape(n, h, w, c).transpose(0, 3, 1, 2), dgamma, dbeta


def spatial_mixed(dout: Array, cache: Any) -> Any:
    dx, dgamma, dbeta = spatial_backward(dout, cache)
    n, c, h, w = cache[1]
    return dx.transpose(0, 2, 3, 1).reshape(n, c, h, w), dgamma, dbeta


def normalise(x: Array) -> Any:
    length = np.sqrt((x**2).sum(1, keepdims=True))
    return x / length, (x, length)


def centre(x: Array) -> Any:
    return x - x.mean(0), None


ROWS = normal((6, 4), (4,), (4,))
IMAGES = normal((2, 3, 4, 3), (3,), (3,))
N, L, S = batch_norm_backward, layer_norm_backward, spatial_backward
FAR = lambda rng: [1e4 + rng.standard_normal((6, 4)), *ROWS(rng)[1:]]

EXAMPLES = [
    right("batch norm", batch_norm, batch_norm_backward, ROWS),
    right("batch norm far from 0", batch_norm, batch_norm_backward, FAR),
    right("layer norm", layer_norm, layer_norm_backward, ROWS),
    right("spatial batch norm", spatial, spatial_backward, IMAGES),
    right("centre", centre, lambda d, c: d - d.mean(0), normal((5, 3))),
    right("normalise", normalise,
          lambda d, c: (d - c[0] * (d * c[0]).sum(1, keepdims=True) / c[1] ** 2) / c[1], normal((5, 3))),
    wrong("batch statistics", "without mean", batch_norm, lambda d, c: N(d, c, mean=False), ROWS),
    wrong("batch statistics", "without variance", batch_norm, lambda d, c: N(d, c, var=False), ROWS),
    wrong("batch statistics", "without both", batch_norm, lambda d, c: N(d, c, False, False), ROWS),
    wrong("batch statistics", "spatial without mean", spatial, lambda d, c: S(d, c, mean=False), IMAGES),
    wrong("batch statistics", "spatial without both", spatial, lambda d, c: S(d, c, mean=False, var=False), IMAGES),
    wrong(("batch statistics", "missing term"), "layer norm without mean", layer_norm,
          lambda d, c: L(d, c, mean=False), ROWS),
    wrong(("batch statistics", "missing term"), "layer norm without both", layer_norm,
          lambda d, c: L(d, c, False, False), ROWS),
    wrong("batch statistics", "centre without mean", centre, lambda d, c: d, normal((5, 3))),
    wrong(("constant factor", "missing term"), "var instead of root", batch_norm,
          lambda d, c: N(d, c, root=False), ROWS),
    wrong("missing term", "gamma forgotten", batch_norm,
          lambda d, c: (N(d, (c[0], np.ones(4), c[2]))[0], *N(d, c)[1:]), ROWS),
    wrong("swapped", "dgamma and dbeta swapped", batch_norm, lambda d, c: (N(d, c)[0], N(d, c)[2], N(d, c)[1]), ROWS),
    wrong("not summed", "dgamma not summed", batch_norm, lambda d, c: (N(d, c)[0], d * c[0], N(d, c)[2]), ROWS),
    wrong("constant factor", "dgamma averaged", batch_norm,
          lambda d, c: (N(d, c)[0], N(d, c)[1] / 6, N(d, c)[2]), ROWS),
    wrong(("transposed", "missing term"), "images mixed up", spatial, spatial_mixed, IMAGES),
    wrong("missing term", "normalise without projection", normalise, lambda d, c: d / c[1], normal((5, 3))),
]  # fmt: skip
