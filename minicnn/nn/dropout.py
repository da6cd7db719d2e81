"""Dropout and Dropout2d; the formulas stand with the operations in `minicnn/ops/dropout.py`."""

from __future__ import annotations

from .. import functional as F
from .._tensor import Tensor
from ..ops import arguments
from .module import Module


class _Dropout(Module):
    """What both dropouts have; `inplace` is taken for PyTorch's sake, the result has its own memory either way."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        self.p = arguments.probability(type(self).__name__, p)
        self.inplace = arguments.flag(type(self).__name__, "inplace", inplace)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training set each number to 0 with probability p and divide the others by 1 − p. See `F.dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the thinned batch; the input itself in evaluation."""
        return F.dropout(input, self.p, self.training)


class Dropout2d(_Dropout):
    """In training set whole channels to 0 with probability p and divide the others by 1 − p. See `F.dropout2d`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the thinned batch; the input itself in evaluation."""
        return F.dropout2d(input, self.p, self.training)
