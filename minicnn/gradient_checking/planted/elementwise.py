"""Elementwise functions, broadcasting and indexing."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong

Array = Any


def normal(*shapes: tuple[int, ...]) -> Any:
    """Return a maker of normal arrays."""
    return lambda rng: [rng.standard_normal(s) for s in shapes]


def positive(*shapes: tuple[int, ...]) -> Any:
    """Return a maker of arrays in (0.5, 2)."""
    return lambda rng: [rng.uniform(0.5, 2, s) for s in shapes]


def relu(x: Array) -> Any:
    return np.maximum(x, 0), x


def leaky(x: Array) -> Any:
    return np.where(x > 0, x, 0.1 * x), x


def sigmoid(x: Array) -> Any:
    y = 1 / (1 + np.exp(-x))
    return y, y


def tanh(x: Array) -> Any:
    y = np.tanh(x)
    return y, y


def elu(x: Array) -> Any:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0))), x


def square(x: Array) -> Any:
    return x * x, x


def add_bias(x: Array, b: Array) -> Any:
    return x + b, (x.shape, b.shape)


def scale(x: Array, g: Array) -> Any:
    return x * g, (x, g)


def multiply(x: Array, y: Array) -> Any:
    return x * y, (x, y)


def divide(x: Array, y: Array) -> Any:
    return x / y, (x, y)


def maximum(x: Array, y: Array) -> Any:
    return np.maximum(x, y), (x, y)


def maximum_backward(dout: Array, cache: Any) -> Any:
    x, y = cache
    share = (x > y) + 0.5 * (x == y)
    return dout * share, dout * (1 - share)


def take(x: Array, index: Array) -> Any:
    return x[index], (x.shape, index)


def take_backward(dout: Array, cache: Any) -> Array:
    shape, index = cache
    dx = np.zeros(shape)
    np.add.at(dx, index, dout)
    return dx


def take_overwritten(dout: Array, cache: Any) -> Array:
    shape, index = cache
    dx = np.zeros(shape)
    dx[index] = dout
    return dx


def embedding_inputs(rng: Any) -> Any:
    return [rng.standard_normal((7, 4)), np.array([0, 2, 2, 5, 0, 2])]


def residual(x: Array, w: Array) -> Any:
    return x + np.tanh(x @ w), (x, w)


def residual_backward(dout: Array, cache: Any) -> Any:
    x, w = cache
    da = dout * (1 - np.tanh(x @ w) ** 2)
    return dout + da @ w.T, x.T @ da


def residual_without_skip(dout: Array, cache: Any) -> Any:
    x, w = cache
    da = dout * (1 - np.tanh(x @ w) ** 2)
    return da @ w.T, x.T @ da


def residual_only_skip(dout: Array, cache: Any) -> Any:
    x, w = cache
    da = dout * (1 - np.tanh(x @ w) ** 2)
    return dout, x.T @ da


def float32_tanh(dout: Array, y: Array) -> Array:
    return (dout * (1 - y.astype(np.float32) ** 2)).astype(np.float64)


def shift_right(x: Array) -> Any:  # a delay line: y[t] = x[t − 1]
    return np.concatenate([np.zeros_like(x[:, :1]), x[:, :-1]], 1), None


def sign_of_root(dout: Array, cache: Any) -> Any:
    return dout / (2 * np.sqrt(cache)) * np.where(np.arange(cache.size).reshape(cache.shape) == 3, np.nan, 1)


PLANE = normal((4, 5))
PAIR = normal((4, 5), (4, 5))
BIAS = normal((4, 5), (5,))

EXAMPLES = [
    right("relu", relu, lambda d, x: d * (x > 0), PLANE),
    right("leaky relu", leaky, lambda d, x: d * np.where(x > 0, 1, 0.1), PLANE),
    right("sigmoid", sigmoid, lambda d, y: d * y * (1 - y), PLANE),
    right("tanh", tanh, lambda d, y: d * (1 - y * y), PLANE),
    right("elu", elu, lambda d, x: d * np.where(x > 0, 1, np.exp(np.minimum(x, 0))), PLANE),
    right("square", square, lambda d, x: 2 * x * d, PLANE),
    right("add bias", add_bias, lambda d, c: (d, d.sum(0)), BIAS),
    right("scale", scale, lambda d, c: (d * c[1], (d * c[0]).sum(0)), BIAS),
    right("multiply", multiply, lambda d, c: (d * c[1], d * c[0]), PAIR),
    right("divide", divide, lambda d, c: (d / c[1], -d * c[0] / c[1] ** 2), positive((4, 5), (4, 5))),
    right("maximum", maximum, maximum_backward, PAIR),
    right("embedding", take, take_backward, embedding_inputs),
    right("residual", residual, residual_backward, normal((4, 5), (5, 5))),
    right("delay", shift_right, lambda d, c: np.concatenate([d[:, 1:], np.zeros_like(d[:, :1])], 1), PLANE),
    right("sqrt", lambda x: (np.sqrt(x), x), lambda d, x: d / (2 * np.sqrt(x)), positive((4, 5))),
    right("log", lambda x: (np.log(x), x), lambda d, x: d / x, positive((4, 5))),
    wrong("constant factor", "square without 2", square, lambda d, x: x * d, PLANE),
    wrong("constant factor", "sqrt without 1/2", lambda x: (np.sqrt(x), x),
          lambda d, x: d / np.sqrt(x), positive((4, 5))),
    wrong("constant factor", "sigmoid with sign turned", sigmoid, lambda d, y: d * y * (y - 1), PLANE),
    wrong("constant factor", "tanh with sign turned", tanh, lambda d, y: d * (y * y - 1), PLANE),
    wrong("constant factor", "divide without minus", divide, lambda d, c: (d / c[1], d * c[0] / c[1] ** 2),
          positive((4, 5), (4, 5))),
    wrong("missing term", "sigmoid without 1 − y", sigmoid, lambda d, y: d * y, PLANE),
    wrong("missing term", "tanh without square", tanh, lambda d, y: d * (1 - y), PLANE),
    wrong("missing term", "tanh of identity", tanh, lambda d, y: d, PLANE),
    wrong("branch", "leaky relu without slope", leaky, lambda d, x: d * (x > 0), PLANE),
    wrong("branch", "leaky relu with slope 1", leaky, lambda d, x: d, PLANE),
    wrong("branch", "relu passing everything", relu, lambda d, x: d, PLANE),
    wrong(("branch", "constant factor"), "relu turned round", relu, lambda d, x: d * (x < 0), PLANE),
    wrong("branch", "elu with slope 1 below", elu, lambda d, x: d, PLANE),
    wrong("not summed", "bias not summed", add_bias, lambda d, c: (d, d), BIAS),
    wrong(("not summed", "constant factor"), "bias averaged", add_bias, lambda d, c: (d, d.mean(0)), BIAS),
    wrong(("not summed", "overwritten"), "bias of the last image", add_bias, lambda d, c: (d, d[-1]), BIAS),
    wrong(("wrong shape", "not summed"), "bias keeps axis", add_bias, lambda d, c: (d, d.sum(0, keepdims=True)), BIAS),
    wrong("not summed", "scale not summed", scale, lambda d, c: (d * c[1], d * c[0]), BIAS),
    wrong("swapped", "multiply swapped", multiply, lambda d, c: (d * c[0], d * c[1]), PAIR),
    wrong("swapped", "scale swapped", scale, lambda d, c: ((d * c[0]).sum(0), d * c[1]), BIAS),
    wrong("ties", "maximum gives both", maximum, lambda d, c: (d * (c[0] >= c[1]), d * (c[1] >= c[0])), PAIR),
    wrong("ties", "maximum gives none", maximum, lambda d, c: (d * (c[0] > c[1]), d * (c[1] > c[0])), PAIR),
    wrong("overwritten", "embedding overwritten", take, take_overwritten, embedding_inputs),
    wrong("missing term", "residual without skip", residual, residual_without_skip, normal((4, 5), (5, 5))),
    wrong("missing term", "residual only skip", residual, residual_only_skip, normal((4, 5), (5, 5))),
    wrong("lost precision", "tanh in float32", tanh, float32_tanh, PLANE),
    wrong("lost precision", "relu in float32", relu, lambda d, x: (d * (x > 0)).astype(np.float32), PLANE),
    wrong("lost precision", "sigmoid in float16", sigmoid,
          lambda d, y: (d * y * (1 - y)).astype(np.float16).astype(float), PLANE),
    wrong("shifted", "delay not turned round", shift_right, lambda d, c: d, PLANE),
    wrong("shifted", "delay delayed again", shift_right, lambda d, c: shift_right(d)[0], PLANE),
    wrong("NaN/Inf", "sqrt with a nan", lambda x: (np.sqrt(x), x), sign_of_root, positive((4, 5))),
    wrong("integer division", "half by //", lambda x: (x / 2, x), lambda d, x: d // 2, PLANE),
    wrong("integer division", "whole numbers", tanh, lambda d, y: (d * (1 - y * y) * 3).astype(int), PLANE),
    wrong("integer division", "rounded down", square, lambda d, x: np.floor(2 * x * d), PLANE),
    wrong(("cut graph", "constant factor"), "zeros", tanh, lambda d, y: np.zeros_like(y), PLANE),
    wrong("cut graph", "None", multiply, lambda d, c: (d * c[1], None), PAIR),
    wrong("ignores dout", "sigmoid without dout", sigmoid, lambda d, y: y * (1 - y), PLANE),
    wrong(("missing term", "ignores dout"), "dout added", sigmoid, lambda d, y: d + y * (1 - y), PLANE),
]  # fmt: skip
