"""Flatten and Identity: layers that change no number."""

from __future__ import annotations

from typing import Any

from .. import functional as F
from .._tensor import Tensor
from ..ops import arguments
from .module import Module


class Flatten(Module):
    """Make one axis of the axes `start_dim` … `end_dim`: (N, C, H, W) → (N, C·H·W). See `F.flatten`."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = arguments.integer("Flatten", "start_dim", start_dim)
        self.end_dim = arguments.integer("Flatten", "end_dim", end_dim)

    def forward(self, input: Tensor) -> Tensor:
        """Return the flattened batch."""
        return F.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """y = x: stands where a layer has been taken out. Takes any arguments and ignores them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """Return the input."""
        return input
