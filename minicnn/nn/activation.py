"""Layers of activations; the formulas stand with the operations in `minicnn/ops/activation.py` and `softmax.py`."""

from __future__ import annotations

from .. import functional as F
from .._tensor import Tensor
from ..ops import arguments
from .module import Module


class _Inplace(Module):
    """An activation that takes PyTorch's `inplace`; the result has its own memory either way."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = arguments.flag(type(self).__name__, "inplace", inplace)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return "inplace=True" if self.inplace else ""


class ReLU(_Inplace):
    """y = max(x, 0). See `F.relu`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the activation of each element."""
        return F.relu(input)


class LeakyReLU(Module):
    """y = x where x > 0, else negative_slope · x. See `F.leaky_relu`."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = arguments.number("LeakyReLU", "negative_slope", negative_slope)
        self.inplace = arguments.flag("LeakyReLU", "inplace", inplace)

    def forward(self, input: Tensor) -> Tensor:
        """Return the activation of each element."""
        return F.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"negative_slope={self.negative_slope}{', inplace=True' if self.inplace else ''}"


class Sigmoid(Module):
    """y = 1 / (1 + exp(−x)). See `F.sigmoid`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the activation of each element."""
        return F.sigmoid(input)


class Tanh(Module):
    """y = tanh(x). See `F.tanh`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the activation of each element."""
        return F.tanh(input)


class SiLU(_Inplace):
    """y = x · sigmoid(x). See `F.silu`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the activation of each element."""
        return F.silu(input)


class GELU(Module):
    """y = x · Φ(x), with Φ the normal distribution, or its approximation by tanh. See `F.gelu`."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = arguments.choice("GELU", "approximate", approximate, ("none", "tanh"))

    def forward(self, input: Tensor) -> Tensor:
        """Return the activation of each element."""
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"approximate={self.approximate!r}"


class Softmax(Module):
    """y = exp(x) / Σ exp(x) along the axis `dim`. See `F.softmax`."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = None if dim is None else arguments.integer("Softmax", "dim", dim)

    def forward(self, input: Tensor) -> Tensor:
        """Return numbers that sum to 1 along the axis."""
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """y = x − log Σ exp(x) along the axis `dim`. See `F.log_softmax`."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = None if dim is None else arguments.integer("LogSoftmax", "dim", dim)

    def forward(self, input: Tensor) -> Tensor:
        """Return the logarithms of the softmax."""
        return F.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"dim={self.dim}"
