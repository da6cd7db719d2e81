"""Dropout: zero random elements (dropout) or whole channels (dropout2d) in training, so that none is relied on.

    y[i] = x[i] / (1 − p) with probability 1 − p, else 0        dx[i] likewise from dy[i]

The expected value of y is x; nothing needs to change after training. What is kept is a pure function of
(seed, call, position), see `minicnn.random`; so backward does not need the mask, only its address. The position
is that of the element in the logical (N, C, H, W) order of the whole batch, for dropout2d that of the channel
in (N, C). `start` is the position of the first element: not 0 where this process has a later part of the batch.

Source: Hinton et al. 2012; Krizhevsky et al. 2012, section 4.2; channels: Tompson et al. 2015.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._device import on
from .._tensor import Tensor
from ..autograd import Function
from ..random import DROPOUT, dropout_keep, next_call
from . import arguments
from .arithmetic import ieee
from .cast import clone

Array = Any
Address = tuple[int, int, int]  # seed, call, start


def dropout_forward(x: Array, p: float, address: Address) -> tuple[Array, Any]:
    return _kept(x, x.shape, p, address), (p, address)


def dropout_backward(dy: Array, cache: Any) -> Array:
    p, address = cache
    return _kept(dy, dy.shape, p, address)


def dropout2d_forward(x: Array, p: float, address: Address) -> tuple[Array, Any]:
    return _kept(x, (*x.shape[:2], 1, 1), p, address), (p, address)


def dropout2d_backward(dy: Array, cache: Any) -> Array:
    p, address = cache
    return _kept(dy, (*dy.shape[:2], 1, 1), p, address)


@ieee
def _kept(x: Array, shape: tuple[int, ...], p: float, address: Address) -> Array:
    """Return x / (1 − p) where a mask of this shape keeps it, else 0, in the memory order of x."""
    seed, call, start = address
    keep = dropout_keep(seed, call, p, start, int(np.prod(shape))).reshape(shape)
    y = np.zeros_like(x)
    np.multiply(x, 1 / (1 - p) if p < 1 else 0, out=y, where=keep)
    return y


class Dropout(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, p: float, address: Address) -> Array:
        y, ctx.cache = on(ctx.device, dropout_forward)(x, p, address)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, dropout_backward)(dy, ctx.cache)


class Dropout2d(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, p: float, address: Address) -> Array:
        y, ctx.cache = on(ctx.device, dropout2d_forward)(x, p, address)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, dropout2d_backward)(dy, ctx.cache)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Return the input with each element zeroed with probability p and the others divided by 1 − p.

    Without `training` the values stay. `inplace` is taken for PyTorch's sake; the result has its own memory.
    Each call draws a new mask, determined by `mc.manual_seed` and the number of calls before.
    Raises ShapeError for p outside [0, 1], DTypeError for integers.
    """
    arguments.floats("dropout", input=input)
    p = _probability("dropout", p, training, inplace)
    if p == 0:
        return clone(input)
    result: Tensor = Dropout.apply(input, p, _next_address())
    return result


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Return the images (N, C, H, W) with each channel zeroed with probability p and the others divided by 1 − p.

    Neighbouring pixels are alike, so zeroing single ones would hide little; otherwise as `dropout`.
    Raises ShapeError for p outside [0, 1] and an image without batch axis, DTypeError for integers.
    """
    arguments.images("dropout2d", input)
    arguments.floats("dropout2d", input=input)
    p = _probability("dropout2d", p, training, inplace)
    if p == 0:
        return clone(input)
    result: Tensor = Dropout2d.apply(input, p, _next_address())
    return result


def _probability(name: str, p: Any, training: Any, inplace: Any) -> float:
    """Return p, or 0 outside training."""
    p = arguments.probability(name, p)
    arguments.flag(name, "inplace", inplace)
    return p if arguments.flag(name, "training", training) else 0


def _next_address() -> Address:
    seed, call = next_call(DROPOUT)
    return seed, call, 0
