"""Activation functions: forgotten factors, wrong branches, values of the wrong side."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong
from .elementwise import normal, positive

Array = Any
ROOT = np.sqrt(2 / np.pi)


def sigma(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softplus(x: Array, beta: float = 2.0) -> Any:
    return np.logaddexp(0, beta * x) / beta, (x, beta)


def logsigmoid(x: Array) -> Any:
    return -np.logaddexp(0, -x), x


def silu(x: Array) -> Any:
    s = sigma(x)
    return x * s, (x, s)


def gelu(x: Array) -> Any:  # the approximation by tanh
    t = np.tanh(ROOT * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + t), (x, t)


def gelu_backward(dout: Array, cache: Any, inner: bool = True, cube: float = 3) -> Array:
    x, t = cache
    slope = ROOT * (1 + cube * 0.044715 * x**2) if inner else 1
    return dout * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * slope)


def softmax(x: Array) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    return p, p


def log_softmax(x: Array) -> Any:
    y = x - x.max(-1, keepdims=True)
    y = y - np.log(np.exp(y).sum(-1, keepdims=True))
    return y, y


def clamp(x: Array, low: float = -0.5, high: float = 0.8) -> Any:
    return np.clip(x, low, high), (x, low, high)


def leaky(x: Array, slope: float = 0.2) -> Any:
    return np.where(x > 0, x, slope * x), (x, slope)


def power(x: Array, n: int = 3) -> Any:
    return x**n, (x, n)


def absolute(x: Array) -> Any:
    return np.abs(x), x


def exponential(x: Array) -> Any:
    y = np.exp(x)
    return y, y


def relu6(x: Array) -> Any:
    return np.minimum(np.maximum(x, 0), 6), x


def sigmoid(x: Array) -> Any:
    s = sigma(x)
    return s, s


def tanh(x: Array) -> Any:
    y = np.tanh(x)
    return y, y


def relu(x: Array) -> Any:
    return np.maximum(x, 0), x


def relu_in_the_cache(dout: Array, x: Array) -> Array:
    x[x < 0] = 0  # the cache is the input itself
    return dout * (x > 0)


def mask_by_loop(dout: Array, x: Array) -> Array:
    dx = np.zeros_like(x)
    for i in range(x.shape[0] - 1):  # one row too few
        for j in range(x.shape[1]):
            if x[i, j] > 0:
                dx[i, j] = dout[i, j]
    return dx


PLANE = normal((5, 6))
WIDE = lambda rng: [rng.uniform(-4, 10, (6, 7))]

EXAMPLES = [
    right("softplus", softplus, lambda d, c: d * sigma(c[1] * c[0]), PLANE),
    right("logsigmoid", logsigmoid, lambda d, x: d * sigma(-x), PLANE),
    right("silu", silu, lambda d, c: d * (c[1] + c[0] * c[1] * (1 - c[1])), PLANE),
    right("gelu", gelu, gelu_backward, PLANE),
    right("log softmax", log_softmax, lambda d, y: d - np.exp(y) * d.sum(-1, keepdims=True), PLANE),
    right("clamp", clamp, lambda d, c: d * ((c[0] >= c[1]) & (c[0] <= c[2])), PLANE),
    right("relu6", relu6, lambda d, x: d * ((x > 0) & (x < 6)), WIDE),
    wrong("constant factor", "softplus times beta", softplus, lambda d, c: d * sigma(c[1] * c[0]) * c[1], PLANE),
    wrong("missing term", "softplus, beta forgotten", softplus, lambda d, c: d * sigma(c[0]), PLANE),
    wrong(("missing term", "constant factor"), "logsigmoid with sigma(x)", logsigmoid, lambda d,
          x: d * sigma(x), PLANE),
    wrong("constant factor", "logsigmoid with minus", logsigmoid, lambda d, x: -d * sigma(-x), PLANE),
    wrong("missing term", "silu without x sigma'", silu, lambda d, c: d * c[1], PLANE),
    wrong("missing term", "silu without sigma", silu, lambda d, c: d * c[0] * c[1] * (1 - c[1]), PLANE),
    wrong("missing term", "gelu, inner slope forgotten", gelu, lambda d, c: gelu_backward(d, c, inner=False), PLANE),
    wrong("missing term", "gelu, 3 of the cube forgotten", gelu, lambda d, c: gelu_backward(d, c, cube=1), PLANE),
    wrong("missing term", "softmax, diagonal only", softmax, lambda d, p: d * p * (1 - p), normal((4, 5))),
    wrong(("missing term", "not summed"), "softmax, sum over the batch", softmax,
          lambda d, p: p * (d - (d * p).sum(0, keepdims=True)), normal((5, 5))),
    wrong(("missing term", "batch statistics"), "softmax, mean instead of sum", softmax,
          lambda d, p: p * (d - (d * p).mean(-1, keepdims=True)), normal((4, 5))),
    wrong("missing term", "softmax, dout not weighted in the sum", softmax,
          lambda d, p: p * (d - d.sum(-1, keepdims=True)), normal((4, 5))),
    wrong(("missing term", "batch statistics"), "log softmax without sum", log_softmax,
          lambda d, y: d - np.exp(y) * d, normal((4, 5))),
    wrong(("missing term", "batch statistics"), "log softmax passes dout", log_softmax, lambda d, y: d, normal((4, 5))),
    wrong("missing term", "log softmax with y instead of p", log_softmax,
          lambda d, y: d - y * d.sum(-1, keepdims=True), normal((4, 5))),
    wrong("branch", "clamp passes everything", clamp, lambda d, c: d, PLANE),
    wrong("branch", "clamp stops at the top only", clamp, lambda d, c: d * (c[0] < c[2]), PLANE),
    wrong("branch", "clamp stops at the bottom only", clamp, lambda d, c: d * (c[0] > c[1]), PLANE),
    wrong("branch", "relu6 as relu", relu6, lambda d, x: d * (x > 0), WIDE),
    wrong("branch", "leaky, slope on the wrong side", leaky,
          lambda d, c: d * np.where(c[0] > 0, c[1], 1), PLANE),
    wrong("branch", "leaky, minus the slope", leaky, lambda d, c: d * np.where(c[0] > 0, 1, -c[1]), PLANE),
    wrong("branch", "leaky, slope squared", leaky, lambda d, c: d * np.where(c[0] > 0, 1, c[1] ** 2), PLANE),
    wrong("missing term", "power, exponent not lowered", power, lambda d, c: d * c[1] * c[0] ** c[1], PLANE),
    wrong("constant factor", "power without exponent", power, lambda d, c: d * c[0] ** (c[1] - 1), PLANE),
    wrong("constant factor", "power, exponent - 1 as factor", power,
          lambda d, c: d * (c[1] - 1) * c[0] ** (c[1] - 1), PLANE),
    wrong("branch", "abs passes dout", absolute, lambda d, x: d, PLANE),
    wrong(("missing term", "branch"), "abs times x", absolute, lambda d, x: d * x, PLANE),
    wrong("missing term", "exp passes dout", exponential, lambda d, y: d, PLANE),
    wrong("missing term", "exp of the result", exponential, lambda d, y: d * np.exp(y), PLANE),
    wrong("missing term", "sigmoid of the result", sigmoid, lambda d, s: d * sigma(s) * (1 - sigma(s)), PLANE),
    wrong("missing term", "tanh of the result", tanh, lambda d, y: d * (1 - np.tanh(y) ** 2), PLANE),
    wrong("constant factor", "tanh slope halved", tanh, lambda d, y: 0.5 * d * (1 - y**2), PLANE),
    wrong("in-place change", "relu changes the cached input", relu, relu_in_the_cache, PLANE),
    wrong(("border", "missing term"), "relu loop leaves out the last row", relu, mask_by_loop, PLANE),
    wrong("branch", "relu by dout", relu, lambda d, x: d * (d > 0), PLANE),
    wrong(("branch", "missing term"), "relu above 1", relu, lambda d, x: d * (x > 0.7), PLANE),
    wrong("ignores dout", "relu returns its mask", relu, lambda d, x: (x > 0).astype(float), PLANE),
    wrong(("wrong type", "integer division", "ignores dout"), "relu returns bools", relu, lambda d, x: x > 0, PLANE),
    wrong("lost precision", "exp in half precision", exponential,
          lambda d, y: d * y.astype(np.float16), positive((4, 5))),
    wrong(("lost precision",), "sigmoid rounded to 4 digits", sigmoid, lambda d,
          s: np.round(d * s * (1 - s), 4), PLANE),
    wrong("lost precision", "softplus by a coarse difference", softplus,
          lambda d, c: d * (softplus(c[0] + 1e-3)[0] - softplus(c[0])[0]) / 1e-3, PLANE),
    wrong("NaN/Inf", "sigmoid by division of infinities", sigmoid,
          lambda d, s: d * np.where(s > 0.9, np.inf, s) / np.where(s > 0.9, np.inf, 1 / (1 - s)), WIDE),
]  # fmt: skip
