"""Activations: relu, leaky_relu, sigmoid, tanh; logsigmoid, softplus, silu and gelu as expressions of others."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._device import on
from .._tensor import Tensor
from ..autograd import Function
from . import arguments
from .arithmetic import ieee

Array = Any


# y = max(x, 0):  dx = dy where y > 0, else 0 (0 at the kink, as PyTorch)


def relu_forward(x: Array) -> tuple[Array, Any]:
    y = np.maximum(x, 0)
    return y, y


def relu_backward(dy: Array, cache: Any) -> Array:
    return np.where(cache > 0, dy, np.zeros((), dy.dtype))


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
    """Return y = max(x, 0); the gradient at 0 is 0, nan stays nan.

    `inplace` is taken for PyTorch's sake; the result has its own memory either way.
    Source: Nair, Hinton 2010; Krizhevsky et al. 2012, section 3.1.
    """
    arguments.tensor("relu", "input", input)
    arguments.flag("relu", "inplace", inplace)
    result: Tensor = ReLU.apply(input)
    return result
