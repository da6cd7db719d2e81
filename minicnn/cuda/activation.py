"""Activations on CUDA: launches of `kernels/activation.cu`. Whole numbers are bookkeeping and stay NumPy's (CuPy's)."""

from __future__ import annotations

from typing import Any

from ..ops import activation as definition
from .arrays import aligned, empty, restored
from .launch import Family, per_element

Array = Any

FUNCTIONS = ("relu", "leaky_relu", "sigmoid", "tanh", "log1p", "erf")
LAUNCHES = {f"{name}_{way}": per_element("n") for name in FUNCTIONS for way in ("forward", "backward")}
kernels = Family("activation", LAUNCHES)


def _forward(name: str, x: Array, **numbers: Any) -> Array:
    (flat,) = aligned(x)
    y = empty(flat)
    kernels(f"{name}_forward", x=flat, y=y, n=x.size, **numbers)
    return restored(y, x)


def _backward(name: str, dy: Array, kept_name: str, kept: Array, **numbers: Any) -> Array:
    kept_flat, dy_flat = aligned(kept, dy)
    dx = empty(kept_flat)
    kernels(f"{name}_backward", dy=dy_flat, dx=dx, n=kept.size, **{kept_name: kept_flat}, **numbers)
    return restored(dx, kept)


def relu_forward(x: Array) -> tuple[Array, Any]:
    if x.dtype.kind != "f":
        return definition.relu_forward(x)
    y = _forward("relu", x)
    return y, y


def relu_backward(dy: Array, cache: Any) -> Array:
    return _backward("relu", dy, "y", cache)


def leaky_relu_forward(x: Array, slope: float) -> tuple[Array, Any]:
    return _forward("leaky_relu", x, slope=slope), (x, slope)


def leaky_relu_backward(dy: Array, cache: Any) -> Array:
    x, slope = cache
    return _backward("leaky_relu", dy, "x", x, slope=slope)


def sigmoid_forward(x: Array) -> tuple[Array, Any]:
    y = _forward("sigmoid", x)
    return y, y


def sigmoid_backward(dy: Array, cache: Any) -> Array:
    return _backward("sigmoid", dy, "y", cache)


def tanh_forward(x: Array) -> tuple[Array, Any]:
    y = _forward("tanh", x)
    return y, y


def tanh_backward(dy: Array, cache: Any) -> Array:
    return _backward("tanh", dy, "y", cache)


def log1p_forward(x: Array) -> tuple[Array, Any]:
    return _forward("log1p", x), x


def log1p_backward(dy: Array, cache: Any) -> Array:
    return _backward("log1p", dy, "x", cache)


def erf_forward(x: Array) -> tuple[Array, Any]:
    return _forward("erf", x), x


def erf_backward(dy: Array, cache: Any) -> Array:
    return _backward("erf", dy, "x", cache)
