"""Linear: every output sees every input."""

from __future__ import annotations

import math
from typing import Any

from .. import functional as F
from .._tensor import Tensor
from ..ops import arguments
from . import init
from .module import Module
from .parameter import new_parameter


class Linear(Module):
    """y = x · wᵀ + b:  (…, I) → (…, O), weight (O, I), bias (O,). See `F.linear`.

    Both start evenly spread over ±1/√I.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features = arguments.integer("Linear", "in_features", in_features, 1)
        self.out_features = arguments.integer("Linear", "out_features", out_features, 1)
        self.weight = new_parameter("Linear", (self.out_features, self.in_features), device, dtype)
        has_bias = arguments.flag("Linear", "bias", bias)
        self.register_parameter(
            "bias", new_parameter("Linear", (self.out_features,), device, dtype) if has_bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new first values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # of ±√3 · √(2/6) / √I = ±1/√I
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """Return the product."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
