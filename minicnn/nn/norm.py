"""Layers of normalisation; the formulas stand with the operations in `minicnn/ops/norm.py`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _inplace
from .. import functional as F
from .._tensor import Tensor
from ..errors import ShapeError
from ..ops import arguments
from . import init
from .module import Module
from .parameter import new_parameter


class _BatchNorm(Module):
    """What batch normalisation has for any number of axes: parameters, running statistics, and their use.

    In training the batch's own mean and variance are used, and the running ones move towards them by
    `momentum`; with `momentum=None` they become the plain average over all batches seen. In evaluation the
    running ones are used, or, with `track_running_stats=False`, the batch's again.
    """

    _may_be_missing = frozenset({"num_batches_tracked"})  # state dicts of PyTorch before 0.4.1 have none

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.num_features = arguments.integer(name, "num_features", num_features, 1)
        self.eps = arguments.number(name, "eps", eps, 0)
        self.momentum = None if momentum is None else arguments.number(name, "momentum", momentum, 0, 1)
        self.affine = arguments.flag(name, "affine", affine)
        self.track_running_stats = arguments.flag(name, "track_running_stats", track_running_stats)
        for parameter in ("weight", "bias"):
            vector = new_parameter(name, (self.num_features,), device, dtype) if affine else None
            self.register_parameter(parameter, vector)
        for buffer in ("running_mean", "running_var"):
            vector = new_parameter(name, (self.num_features,), device, dtype) if track_running_stats else None
            self.register_buffer(buffer, None if vector is None else vector.detach())
        count = Tensor(np.zeros((), np.int64), device=device) if track_running_stats else None
        self.register_buffer("num_batches_tracked", count)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Set the running mean to 0 and the running variance to 1, as if no batch had been seen."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Set the weight to 1, the bias to 0 and the running statistics to their first values."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
            init.zeros_(self.bias)

    def _check(self, input: Tensor) -> None:
        """Refuse an input with the wrong number of axes."""
        raise NotImplementedError

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised batch; in training also move the running statistics."""
        self._check(input)
        use_batch = self.training or self.running_mean is None
        moving = self.training and self.num_batches_tracked is not None
        tracked = moving or not use_batch
        momentum = self.momentum
        if momentum is None:
            momentum = 1 / (int(self.num_batches_tracked) + 1) if moving else 0.0
        result = F.batch_norm(
            input,
            self.running_mean if tracked else None,
            self.running_var if tracked else None,
            self.weight,
            self.bias,
            use_batch,
            momentum,
            self.eps,
        )
        if moving:
            count = self.num_batches_tracked.data
            count += 1
            _inplace.written(count, type(self).__name__)
        return result

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Normalise each feature over the batch: (N, C) or (N, C, L) → the same shape. See `F.batch_norm`."""

    def _check(self, input: Tensor) -> None:
        shape = arguments.tensor("BatchNorm1d", "input", input).shape
        if len(shape) not in (2, 3):
            raise ShapeError(f"BatchNorm1d: input has shape {shape}, needs (N, C) or (N, C, L)")


class BatchNorm2d(_BatchNorm):
    """Normalise each channel over the batch and its pixels: (N, C, H, W) → the same shape. See `F.batch_norm`."""

    def _check(self, input: Tensor) -> None:
        arguments.images("BatchNorm2d", input)


class GroupNorm(Module):
    """Normalise each image's groups of channels: (N, C, …) → the same shape. See `F.group_norm`."""

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_groups = arguments.integer("GroupNorm", "num_groups", num_groups, 1)
        self.num_channels = arguments.integer("GroupNorm", "num_channels", num_channels, 1)
        if self.num_channels % self.num_groups:
            raise ShapeError(
                f"GroupNorm: num_channels is {self.num_channels}, it must divide into num_groups={self.num_groups}"
            )
        self.eps = arguments.number("GroupNorm", "eps", eps, 0)
        self.affine = arguments.flag("GroupNorm", "affine", affine)
        for parameter in ("weight", "bias"):
            vector = new_parameter("GroupNorm", (self.num_channels,), device, dtype) if affine else None
            self.register_parameter(parameter, vector)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        if self.affine:
            init.ones_(self.weight)
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised batch."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class LayerNorm(Module):
    """Normalise over the last axes, of the sizes `normalized_shape`. See `F.layer_norm`."""

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...] | list[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shape = normalized_shape if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
        self.normalized_shape = tuple(arguments.integer("LayerNorm", "normalized_shape", n, 1) for n in shape)
        if not self.normalized_shape:
            raise ShapeError("LayerNorm: normalized_shape is (), needs at least one axis")
        self.eps = arguments.number("LayerNorm", "eps", eps, 0)
        self.elementwise_affine = arguments.flag("LayerNorm", "elementwise_affine", elementwise_affine)
        has_bias = arguments.flag("LayerNorm", "bias", bias) and elementwise_affine
        for parameter, wanted in (("weight", elementwise_affine), ("bias", has_bias)):
            values = new_parameter("LayerNorm", self.normalized_shape, device, dtype) if wanted else None
            self.register_parameter(parameter, values)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised batch."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """Divide each pixel by the strength of the channels around it. See `F.local_response_norm`."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = arguments.integer("LocalResponseNorm", "size", size, 1)
        self.alpha = arguments.number("LocalResponseNorm", "alpha", alpha)
        self.beta = arguments.number("LocalResponseNorm", "beta", beta)
        self.k = arguments.number("LocalResponseNorm", "k", k)

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised batch."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
