"""Normalisation: batch_norm, group_norm, layer_norm, local_response_norm and normalize.

The first three are one formula, and differ in the numbers over which mean and variance are taken:

    x̂ = (x − μ) / √(σ² + ε),    y = w · x̂ + b

    batch_norm   one μ and σ for each channel, over the batch and all pixels
    group_norm   one for each image and group of channels, over the group's channels and pixels
    layer_norm   one for each row, over the last axes

Since μ and σ depend on every x, so does each x̂. With the gradient dx̂ = w · dy the chain rule gives

    dx = (dx̂ − mean(dx̂) − x̂ · mean(dx̂ · x̂)) / √(σ² + ε)

where the means run over the same numbers. Sums of many numbers are taken in float64.
Images are handled as (N, H, W, C) views, so the results are channels-last in memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _inplace
from .._device import on
from .._tensor import Tensor
from ..autograd import Function
from ..errors import GradientError, ShapeError
from . import arguments
from .arithmetic import ieee

Array = Any
Needs = tuple[bool, ...]


def standardised(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array, Array, Array]:
    """Return x̂, and per group of numbers μ, σ² and 1/√(σ² + ε) with axes of length 1 where they were taken."""
    mean = _mean(x, axes)
    variance = _mean(np.square(x - mean), axes)
    inverse = 1 / np.sqrt(variance + eps)
    x_hat = ((x - mean) * inverse).astype(x.dtype)
    return x_hat, mean, variance, inverse.astype(x.dtype)


def standardised_backward(dx_hat: Array, x_hat: Array, inverse: Array, axes: tuple[int, ...]) -> Array:
    """Return dx from the gradient of x̂."""
    centred = dx_hat - _mean(dx_hat, axes)
    return ((centred - x_hat * _mean(dx_hat * x_hat, axes)) * inverse).astype(dx_hat.dtype)


def _mean(x: Array, axes: tuple[int, ...]) -> Array:
    """Return the mean over the axes, which stay with length 1; of nothing it is nan, without NumPy's warning."""
    return x.sum(axis=axes, keepdims=True, dtype=np.float64) / math.prod(x.shape[a] for a in axes)


def channels_to_the_end(x: Array) -> Array:
    """Return (N, C, …) as a C-contiguous (N, …, C), copying only if it must."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def channels_back(x: Array) -> Array:
    """Return (N, …, C) as a view (N, C, …)."""
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def _images_channels_last(x: Array) -> Array:
    return channels_back(channels_to_the_end(x)) if x.ndim == 4 else x


# batch_norm: over all rows of the matrix (N·H·W, C)


@ieee
def batch_norm_forward(
    x: Array, w: Array | None, b: Array | None, eps: float
) -> tuple[tuple[Array, Array, Array], Any]:
    """Return y, the batch's mean and biased variance per channel in float64, and what backward needs."""
    x = channels_to_the_end(x)
    rows = x.reshape(-1, x.shape[-1])
    x_hat, mean, variance, inverse = standardised(rows, (0,), eps)
    y = _scaled(x_hat, w, b).reshape(x.shape)
    return (channels_back(y), mean[0], variance[0]), (x_hat, inverse, w, b is not None)


@ieee
def batch_norm_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    x_hat, inverse, w, has_bias = cache
    dy = channels_to_the_end(dy)
    rows = dy.reshape(x_hat.shape)
    dx = None
    if needs[0]:
        dx_hat = rows if w is None else rows * w
        dx = channels_back(standardised_backward(dx_hat, x_hat, inverse, (0,)).reshape(dy.shape))
    return dx, *_scaled_backward(rows, x_hat, w, has_bias, needs[1:])


# with running statistics: y = w · (x − μ) / √(σ² + ε) + b with constant μ and σ


@ieee
def batch_norm_eval_forward(
    x: Array, mean: Array, variance: Array, w: Array | None, b: Array | None, eps: float
) -> tuple[Array, Any]:
    x = channels_to_the_end(x)
    inverse = (1 / np.sqrt(variance.astype(np.float64) + eps)).astype(x.dtype)
    y = _scaled((x - mean) * inverse, w, b)
    return channels_back(y), (x, mean, inverse, w, b is not None)


@ieee
def batch_norm_eval_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    x, mean, inverse, w, has_bias = cache
    dy = channels_to_the_end(dy)
    dx = channels_back(dy * (inverse if w is None else inverse * w)) if needs[0] else None
    rows = dy.reshape(-1, dy.shape[-1])
    x_hat = ((x - mean) * inverse).reshape(rows.shape)
    return dx, *_scaled_backward(rows, x_hat, w, has_bias, needs[1:])


def _scaled(x_hat: Array, w: Array | None, b: Array | None) -> Array:
    """Return w · x̂ + b."""
    y = x_hat if w is None else x_hat * w
    return y if b is None else y + b


def _scaled_backward(
    dy: Array, x_hat: Array, w: Array | None, has_bias: bool, needs: Needs
) -> tuple[Array | None, Array | None]:
    """Return dw = Σ dy · x̂ and db = Σ dy over the rows."""
    dw = (dy * x_hat).sum(axis=0, dtype=np.float64).astype(dy.dtype) if w is not None and needs[0] else None
    db = dy.sum(axis=0, dtype=np.float64).astype(dy.dtype) if has_bias and needs[1] else None
    return dw, db


class BatchNorm(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Array,
        w: Array | None,
        b: Array | None,
        running_mean: Array | None,
        running_var: Array | None,
        momentum: float,
        eps: float,
    ) -> Array:
        (y, mean, variance), cache = on(ctx.device, batch_norm_forward)(x, w, b, eps)
        count = len(x) * math.prod(x.shape[2:])
        for running, value, factor in ((running_mean, mean, 1.0), (running_var, variance, count / (count - 1))):
            if running is not None:
                on(ctx.device, move_statistic)(running, value, momentum, factor)
                _inplace.written(running, "batch_norm")
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, batch_norm_backward)(dy, ctx.saved, ctx.needs_input_grad[:3])


class BatchNormEval(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Array, w: Array | None, b: Array | None, mean: Array, variance: Array, eps: float
    ) -> Array:
        y, cache = on(ctx.device, batch_norm_eval_forward)(x, mean, variance, w, b, eps)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, batch_norm_eval_backward)(dy, ctx.saved, ctx.needs_input_grad[:3])


@ieee
def move_statistic(running: Array, value: Array, momentum: float, factor: float) -> None:
    """Move a running statistic, in place, a step of `momentum` towards `factor` times the batch's value."""
    running[...] = (1 - momentum) * running + momentum * (value * factor)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return y = w · (x − μ) / √(σ² + ε) + b with one μ, σ, w, b per channel.

    (N, C), (N, C, L) or (N, C, H, W) → the same shape, channels-last in memory. In training μ and σ² are the mean
    and the biased variance (divided by m) of the channel's m numbers in the batch, and the running statistics move:
    running ← (1 − momentum) · running + momentum · value, where the variance is the unbiased one (divided by
    m − 1). Otherwise μ and σ² are the running statistics.
    Raises ShapeError for one number per channel in training, for missing running statistics otherwise and for
    vectors that do not have C numbers; DTypeError for mixed types; GradientError for running statistics
    that require a gradient.
    Source: Ioffe, Szegedy 2015, algorithms 1 and 2.
    """
    name = "batch_norm"
    shape = arguments.tensor(name, "input", input).shape
    if not 2 <= len(shape) <= 4:
        raise ShapeError(f"{name}: input has shape {shape}, needs (N, C), (N, C, L) or (N, C, H, W)")
    statistics = {"running_mean": running_mean, "running_var": running_var}
    vectors = {**statistics, "weight": weight, "bias": bias}
    arguments.floats(name, input=input, **vectors)
    training = arguments.flag(name, "training", training)
    momentum = arguments.number(name, "momentum", momentum)
    eps = arguments.number(name, "eps", eps, 0, open_low=training)
    _check_vectors(name, shape[1], vectors)
    for argument, value in statistics.items():
        if value is None and not training:
            raise ShapeError(f"{name}: {argument} is None, needs the statistics unless training=True")
        if value is not None and value.requires_grad:
            raise GradientError(f"{name}: {argument} requires a gradient, but running statistics have none")
    if training and shape[0] * math.prod(shape[2:]) == 1:
        raise ShapeError(f"{name}: input has shape {shape}, training needs more than 1 value per channel")
    if training and math.prod(shape) == 0:  # nothing to take a mean of: the statistics stay, as in PyTorch
        running_mean = running_var = None
    result: Tensor = (
        BatchNorm.apply(input, weight, bias, running_mean, running_var, momentum, eps)
        if training
        else BatchNormEval.apply(input, weight, bias, running_mean, running_var, eps)
    )
    return result


# group_norm: over the pixels and channels of each group, (N, pixels, G, C/G) axes 1 and 3


@ieee
def group_norm_forward(x: Array, groups: int, w: Array | None, b: Array | None, eps: float) -> tuple[Array, Any]:
    x = channels_to_the_end(x)
    n, c = len(x), x.shape[-1]
    grouped = x.reshape(n, math.prod(x.shape[1:-1]), groups, c // groups)
    x_hat, _, _, inverse = standardised(grouped, (1, 3), eps)
    x_hat = x_hat.reshape(x.shape)
    return channels_back(_scaled(x_hat, w, b)), (x_hat, grouped.shape, inverse, w, b is not None)


@ieee
def group_norm_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    x_hat, grouped, inverse, w, has_bias = cache
    dy = channels_to_the_end(dy)
    dx = None
    if needs[0]:
        dx_hat = dy if w is None else dy * w
        dx = standardised_backward(dx_hat.reshape(grouped), x_hat.reshape(grouped), inverse, (1, 3))
        dx = channels_back(dx.reshape(dy.shape))
    rows = (-1, dy.shape[-1])
    return dx, *_scaled_backward(dy.reshape(rows), x_hat.reshape(rows), w, has_bias, needs[1:])


class GroupNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, w: Array | None, b: Array | None, groups: int, eps: float) -> Array:
        y, cache = on(ctx.device, group_norm_forward)(x, groups, w, b, eps)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, group_norm_backward)(dy, ctx.saved, ctx.needs_input_grad[:3])


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Return y = w · (x − μ) / √(σ² + ε) + b with μ and σ of each image and group of channels, w and b per channel.

    (N, C, …) → the same shape, channels-last in memory; the biased variance, as in `batch_norm`.
    Raises ShapeError when the groups do not divide the channels, for one number per group, and for vectors that
    do not have C numbers; DTypeError for mixed types.
    Source: Wu, He 2018.
    """
    name = "group_norm"
    shape = arguments.tensor(name, "input", input).shape
    if len(shape) < 2:
        raise ShapeError(f"{name}: input has shape {shape}, needs (N, C, …)")
    arguments.floats(name, input=input, weight=weight, bias=bias)
    groups = arguments.integer(name, "num_groups", num_groups, 1)
    eps = arguments.number(name, "eps", eps)
    if shape[1] % groups:
        raise ShapeError(f"{name}: input has {shape[1]} channels, they must divide into num_groups={groups}")
    _check_vectors(name, shape[1], {"weight": weight, "bias": bias})
    if math.prod(shape) == groups:
        raise ShapeError(f"{name}: input has shape {shape}, num_groups={groups} needs more than 1 value per group")
    result: Tensor = GroupNorm.apply(input, weight, bias, groups, eps)
    return result


# layer_norm: over the last axes, the rows of the matrix (…, normalized_shape)


@ieee
def layer_norm_forward(
    x: Array, normalized: tuple[int, ...], w: Array | None, b: Array | None, eps: float
) -> tuple[Array, Any]:
    axes = tuple(range(-len(normalized), 0))
    x_hat, _, _, inverse = standardised(x, axes, eps)
    return _images_channels_last(_scaled(x_hat, w, b)), (x_hat, inverse, axes, w, b is not None)


@ieee
def layer_norm_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    x_hat, inverse, axes, w, has_bias = cache
    dx = None
    if needs[0]:
        dx = _images_channels_last(standardised_backward(dy if w is None else dy * w, x_hat, inverse, axes))
    rows = (math.prod(dy.shape[: axes[0]]), *dy.shape[axes[0] :])
    return dx, *_scaled_backward(dy.reshape(rows), x_hat.reshape(rows), w, has_bias, needs[1:])


class LayerNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, w: Array | None, b: Array | None, normalized: tuple[int, ...], eps: float) -> Array:
        y, cache = on(ctx.device, layer_norm_forward)(x, normalized, w, b, eps)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, layer_norm_backward)(dy, ctx.saved, ctx.needs_input_grad[:3])


def layer_norm(
    input: Tensor,
    normalized_shape: int | tuple[int, ...],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return y = w · (x − μ) / √(σ² + ε) + b with μ and σ over the last axes, whose sizes are `normalized_shape`.

    w and b have the shape `normalized_shape`: one number for each place in a row. The biased variance.
    Raises ShapeError when the last axes have other sizes; DTypeError for mixed types.
    Source: Ba, Kiros, Hinton 2016.
    """
    name = "layer_norm"
    shape = arguments.tensor(name, "input", input).shape
    arguments.floats(name, input=input, weight=weight, bias=bias)
    normalized = arguments.sizes(name, "normalized_shape", (normalized_shape,))
    eps = arguments.number(name, "eps", eps)
    if not normalized or shape[-len(normalized) :] != normalized:
        raise ShapeError(f"{name}: input has shape {shape}, normalized_shape {normalized} must be its last axes")
    for argument, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.shape != normalized:
            raise ShapeError(f"{name}: {argument} has shape {value.shape}, needs normalized_shape {normalized}")
    result: Tensor = LayerNorm.apply(input, weight, bias, normalized, eps)
    return result


# local_response_norm: y_c = x_c / s_c^β,  s_c = k + α/n · Σ x_j² over the n channels c − ⌊n/2⌋ … c + ⌊(n−1)/2⌋
# dx_j = dy_j / s_j^β − 2·α·β/n · x_j · Σ dy_c · y_c / s_c over the channels c in whose window j lies


@ieee
def local_response_norm_forward(x: Array, size: int, alpha: float, beta: float, k: float) -> tuple[Array, Any]:
    x = channels_to_the_end(x)
    s = k + alpha / size * _window_sum(x * x, size // 2, (size - 1) // 2)
    y = x * s**-beta
    return channels_back(y), (x, s, size, alpha, beta)


@ieee
def local_response_norm_backward(dy: Array, cache: Any) -> Array:
    x, s, size, alpha, beta = cache
    dy = channels_to_the_end(dy)
    power = s**-beta
    inner = _window_sum(dy * x * power / s, (size - 1) // 2, size // 2)  # the windows, seen from the other side
    return channels_back(dy * power - 2 * alpha * beta / size * x * inner)


def _window_sum(x: Array, before: int, after: int) -> Array:
    """Return Σ x[…, c + d] over −before ≤ d ≤ after, skipping what lies outside."""
    channels = x.shape[-1]
    total = np.zeros_like(x)
    for shift in range(max(-before, 1 - channels), min(after, channels - 1) + 1):
        low, high = max(0, -shift), min(channels, channels - shift)
        total[..., low:high] += x[..., low + shift : high + shift]
    return total


class LocalResponseNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
        y, cache = on(ctx.device, local_response_norm_forward)(x, size, alpha, beta, k)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, local_response_norm_backward)(dy, ctx.saved)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Return y_c = x_c / (k + alpha/size · Σ x_j²)^beta, the sum over `size` channels around c at the same pixel.

    (N, C, …) → the same shape, channels-last in memory. The window runs from c − ⌊size/2⌋ to c + ⌊(size − 1)/2⌋;
    channels outside count as 0. As in PyTorch the sum is divided by `size`; the AlexNet of 2012 has the plain sum,
    so its n = 5, α = 1e-4, β = 0.75, k = 2 are here size=5, alpha=5e-4, beta=0.75, k=2.
    Raises ShapeError for an input of fewer than three axes and a size below 1, DTypeError for integers.
    Source: Krizhevsky et al. 2012, section 3.3.
    """
    name = "local_response_norm"
    shape = arguments.tensor(name, "input", input).shape
    if len(shape) < 3:
        raise ShapeError(f"{name}: input has shape {shape}, needs (N, C, …) with at least three axes")
    arguments.floats(name, input=input)
    size = arguments.integer(name, "size", size, 1)
    alpha, beta, k = (arguments.number(name, n, v) for n, v in (("alpha", alpha), ("beta", beta), ("k", k)))
    result: Tensor = LocalResponseNorm.apply(input, size, alpha, beta, k)
    return result


# normalize: y = x / m with m = max(‖x‖, ε), ‖x‖ = (Σ |x|^p)^(1/p)
# dx = dy / m, and where ‖x‖ ≥ ε less Σ(dy · x) / m² · d‖x‖/dx, d‖x‖/dx = sign x · |x|^(p−1) / ‖x‖^(p−1)


@ieee
def normalize_forward(x: Array, p: float, axes: tuple[int, ...], eps: float) -> tuple[Array, Any]:
    size = np.abs(x)
    if math.isinf(p):
        norm = (size.max if p > 0 else size.min)(axis=axes, keepdims=True)
    elif p == 0:
        norm = np.count_nonzero(x, axis=axes, keepdims=True).astype(x.dtype)
    else:
        norm = ((size**p).sum(axis=axes, keepdims=True, dtype=np.float64) ** (1 / p)).astype(x.dtype)
    return _images_channels_last(x / np.maximum(norm, x.dtype.type(eps))), (x, norm, p, axes, eps)


@ieee
def normalize_backward(dy: Array, cache: Any) -> Array:
    x, norm, p, axes, eps = cache
    size, zero = np.abs(x), np.zeros((), x.dtype)
    if math.isinf(p):  # the largest, or smallest, share the slope evenly
        chosen = size == norm
        slope = np.where(chosen, np.sign(x) / chosen.sum(axis=axes, keepdims=True), zero)
    elif p == 0:
        slope = zero
    else:
        slope = np.where(x == 0, zero, np.sign(x) * (size / norm) ** (p - 1))
    limited = np.maximum(norm, x.dtype.type(eps))
    along = (dy * x).sum(axis=axes, keepdims=True, dtype=np.float64) / limited**2
    dx = dy / limited - np.where(norm >= eps, along * slope, zero)
    return _images_channels_last(dx.astype(x.dtype))


class Normalize(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, p: float, axes: tuple[int, ...], eps: float) -> Array:
        y, cache = on(ctx.device, normalize_forward)(x, p, axes, eps)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, normalize_backward)(dy, ctx.saved)


def normalize(input: Tensor, p: float = 2.0, dim: int | tuple[int, ...] = 1, eps: float = 1e-12) -> Tensor:
    """Return x divided by its p-norm along `dim`, or by `eps` where the norm is smaller.

    With p = 2, dim = 1 each row of (N, D) becomes a point on the unit sphere, as a face embedding is. p may be inf
    (the largest |x|), −inf (the smallest) or 0 (how many numbers are not 0). Raises ShapeError for an axis that is
    not there, DTypeError for integers.
    """
    name = "normalize"
    arguments.floats(name, input=input)
    p = arguments.number(name, "p", p)
    eps = arguments.number(name, "eps", eps, 0)
    axes = arguments.axes(name, input, dim)
    if math.isinf(p) and 0 in (input.shape[a] for a in axes):
        raise ShapeError(f"{name}: input {input.shape} has no largest number along dim {dim}, an axis is empty")
    result: Tensor = Normalize.apply(input, p, axes, eps)
    return result


def _check_vectors(name: str, channels: int, vectors: dict[str, Tensor | None]) -> None:
    """Refuse vectors that do not have one number per channel."""
    for argument, value in vectors.items():
        if value is not None and value.shape != (channels,):
            raise ShapeError(f"{name}: {argument} has shape {value.shape}, the input's channels need ({channels},)")
