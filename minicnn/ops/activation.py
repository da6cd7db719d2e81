"""Activations: relu, leaky_relu, sigmoid, tanh; logsigmoid, softplus, silu and gelu as expressions of others.

The last four need two functions that are no activations: log1p, which is log (1 + x) without the rounding of
1 + x, and erf, the error function of the normal distribution.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from .._device import on
from .._tensor import Tensor
from ..autograd import Function
from ..errors import DTypeError, ShapeError
from . import arguments
from .arithmetic import ieee
from .elementwise import add, div, exp, mul, neg, where

Array = Any


# y = max(x, 0):  dx = 0 where y ≤ 0 (so at the kink, too, as in PyTorch), else dy


def relu_forward(x: Array) -> tuple[Array, Any]:
    y = np.maximum(x, 0)
    return y, y


def relu_backward(dy: Array, cache: Any) -> Array:
    return np.where(cache <= 0, np.zeros((), dy.dtype), dy)


class ReLU(Function):
    @staticmethod
    def forward(ctx: Any, x: Array) -> Array:
        y, cache = on(ctx.device, relu_forward)(x)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, relu_backward)(dy, ctx.saved)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return y = max(x, 0); the gradient at 0 is 0; nan stays nan.

    `inplace` is taken for PyTorch's sake; the result has its own memory either way.
    Source: Nair, Hinton 2010; Krizhevsky et al. 2012, section 3.1.
    """
    if arguments.tensor("relu", "input", input).dtype == bool:
        raise DTypeError("relu: input is bool, needs numbers; convert it with .float()")
    arguments.flag("relu", "inplace", inplace)
    result: Tensor = ReLU.apply(input)
    return result


# y = x where x > 0, else slope · x:  dx = dy where x > 0, else slope · dy


@ieee
def leaky_relu_forward(x: Array, slope: float) -> tuple[Array, Any]:
    return np.where(x > 0, x, slope * x), (x, slope)


@ieee
def leaky_relu_backward(dy: Array, cache: Any) -> Array:
    x, slope = cache
    return np.where(x > 0, dy, slope * dy)


class LeakyReLU(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, slope: float) -> Array:
        y, cache = on(ctx.device, leaky_relu_forward)(x, slope)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, leaky_relu_backward)(dy, ctx.saved)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Return y = x where x > 0, else `negative_slope` · x; the gradient at 0 is the slope.

    `inplace` is taken for PyTorch's sake; the result has its own memory either way.
    Raises DTypeError for integers. Source: Maas, Hannun, Ng 2013.
    """
    arguments.floats("leaky_relu", input=input)
    slope = arguments.number("leaky_relu", "negative_slope", negative_slope)
    arguments.flag("leaky_relu", "inplace", inplace)
    result: Tensor = LeakyReLU.apply(input, slope)
    return result


# y = 1 / (1 + e^−x):  dx = dy · y · (1 − y)


@ieee
def sigmoid_forward(x: Array) -> tuple[Array, Any]:
    e = np.exp(-np.abs(x))  # never above 1: for negative x, 1 / (1 + e^−x) is e^x / (e^x + 1)
    y = np.where(x >= 0, np.ones((), e.dtype), e) / (1 + e)
    return y, y


@ieee
def sigmoid_backward(dy: Array, cache: Any) -> Array:
    y = cache
    return dy * y * (1 - y)


class Sigmoid(Function):
    @staticmethod
    def forward(ctx: Any, x: Array) -> Array:
        y, cache = on(ctx.device, sigmoid_forward)(x)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, sigmoid_backward)(dy, ctx.saved)


def sigmoid(input: Tensor) -> Tensor:
    """Return the logistic function y = 1 / (1 + e^−x), between 0 and 1; integers become float32."""
    result: Tensor = Sigmoid.apply(arguments.as_float("sigmoid", input))
    return result


# y = tanh x:  dx = dy · (1 − y²)


def tanh_forward(x: Array) -> tuple[Array, Any]:
    y = np.tanh(x)
    return y, y


@ieee
def tanh_backward(dy: Array, cache: Any) -> Array:
    y = cache
    return dy * (1 - y * y)


class Tanh(Function):
    @staticmethod
    def forward(ctx: Any, x: Array) -> Array:
        y, cache = on(ctx.device, tanh_forward)(x)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, tanh_backward)(dy, ctx.saved)


def tanh(input: Tensor) -> Tensor:
    """Return the hyperbolic tangent y = (e^x − e^−x) / (e^x + e^−x), between −1 and 1; integers become float32."""
    result: Tensor = Tanh.apply(arguments.as_float("tanh", input))
    return result


# y = log (1 + x):  dx = dy / (1 + x)


@ieee
def log1p_forward(x: Array) -> tuple[Array, Any]:
    return np.log1p(x), x


@ieee
def log1p_backward(dy: Array, cache: Any) -> Array:
    return dy / (1 + cache)


class Log1p(Function):
    @staticmethod
    def forward(ctx: Any, x: Array) -> Array:
        y, cache = on(ctx.device, log1p_forward)(x)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, log1p_backward)(dy, ctx.saved)


def log1p(input: Tensor) -> Tensor:
    """Return y = ln (1 + x), exact for small x, too: −inf at −1, nan below."""
    result: Tensor = Log1p.apply(arguments.as_float("log1p", input))
    return result


# y = erf x = 2/√π ∫₀ˣ e^(−t²) dt:  dx = dy · 2/√π · e^(−x²)
#
# NumPy has no erf, and Python's takes one number at a time. So it is looked up at the nearest multiple a of
# 1/4096, and a Taylor series leads from there to x = a + h. With |h| ≤ 1/8192 the three terms
#
#     erf x ≈ erf a + 2/√π · e^(−a²) · (h − a h² + (2a² − 1)/3 · h³)
#
# leave an error below 2^−54; a million numbers take a third of the time of a loop over math.erf.

_ERF_STEPS = 4096  # per unit
_ERF_END = 6  # from here on erf is ±1 to the last bit


@cache
def _erf_table(dtype: Any) -> Array:
    end = _ERF_END * _ERF_STEPS
    return np.array([math.erf(i / _ERF_STEPS) for i in range(-end, end + 1)], dtype)


@ieee
def erf_forward(x: Array) -> tuple[Array, Any]:
    near = np.clip(x, -_ERF_END, _ERF_END)
    step = np.rint(near * _ERF_STEPS)
    index = np.where(np.isnan(x), 0, step).astype(np.intp) + _ERF_END * _ERF_STEPS
    a = step / _ERF_STEPS
    h = near - a
    slope = 2 / math.sqrt(math.pi) * np.exp(-a * a)
    return _erf_table(x.dtype)[index] + slope * h * (1 - h * (a - h * (2 * a * a - 1) / 3)), x


@ieee
def erf_backward(dy: Array, cache: Any) -> Array:
    x = cache
    return dy * (2 / math.sqrt(math.pi)) * np.exp(-x * x)


class Erf(Function):
    @staticmethod
    def forward(ctx: Any, x: Array) -> Array:
        y, cache = on(ctx.device, erf_forward)(x)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, erf_backward)(dy, ctx.saved)


def erf(input: Tensor) -> Tensor:
    """Return the error function y = 2/√π ∫₀ˣ e^(−t²) dt; integers become float32."""
    result: Tensor = Erf.apply(arguments.as_float("erf", input))
    return result


# Expressions of the operations above


def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """Return the smooth relu y = ln (1 + e^(βx)) / β, and x itself where βx > `threshold`.

    Raises ShapeError for β = 0.
    """
    arguments.floats("softplus", input=input)
    beta = arguments.number("softplus", "beta", beta)
    if beta == 0:
        raise ShapeError("softplus: beta is 0, needs another number: ln (1 + e^(βx)) is divided by it")
    threshold = arguments.number("softplus", "threshold", threshold)
    z = mul(input, beta)
    straight = z > threshold
    curve = log1p(exp(where(straight, 0.0, z)))  # e^z is not even computed where it may overflow
    return where(straight, input, div(curve, beta))


def logsigmoid(input: Tensor) -> Tensor:
    """Return y = ln sigmoid(x) = −ln (1 + e^−x), in which nothing overflows."""
    arguments.floats("logsigmoid", input=input)
    return neg(softplus(neg(input), threshold=40))  # ln (1 + e^40) is 40 to the last bit


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return y = x · sigmoid(x), also called swish; `inplace` is taken for PyTorch's sake.

    Source: Hendrycks, Gimpel 2016; Ramachandran et al. 2017.
    """
    arguments.floats("silu", input=input)
    arguments.flag("silu", "inplace", inplace)
    return mul(input, sigmoid(input))


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Return y = x · Φ(x) with the normal distribution Φ(x) = (1 + erf(x / √2)) / 2.

    With approximate="tanh", Φ(x) ≈ (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2, which is within 5e-4.
    Raises ShapeError for another `approximate`. Source: Hendrycks, Gimpel 2016.
    """
    arguments.floats("gelu", input=input)
    if arguments.choice("gelu", "approximate", approximate, ("none", "tanh")) == "none":
        share = erf(mul(input, math.sqrt(0.5)))
    else:
        cube = mul(mul(input, input), input)
        share = tanh(mul(add(input, mul(cube, 0.044715)), math.sqrt(2 / math.pi)))
    return mul(mul(input, 0.5), add(share, 1))
