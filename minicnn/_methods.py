"""What a Tensor can do: each operator and method is the operation of that name in `minicnn.functional`.

Formulas, arguments and errors are described there; a method's arguments are those of the operation without the
first. Sizes and axes may also be written without parentheses: x.reshape(2, -1), x.permute(0, 2, 1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .dtypes import bool_, float32, float64, int32, int64
from .errors import DTypeError, GradientError, ShapeError

if TYPE_CHECKING:
    from . import functional as F
    from ._tensor import Tensor
    from .ops import arguments
    # The operations need Tensor, which is made of these methods: `_tensor.py` sets F and arguments at its end.


class Methods:
    """The operators and methods of Tensor that are operations."""

    __slots__ = ()

    # Operators

    def __add__(self: Any, other: Any) -> Tensor:
        return F.add(self, other)

    def __radd__(self: Any, other: Any) -> Tensor:
        return F.add(other, self)

    def __sub__(self: Any, other: Any) -> Tensor:
        return F.sub(self, other)

    def __rsub__(self: Any, other: Any) -> Tensor:
        return F.sub(other, self)

    def __mul__(self: Any, other: Any) -> Tensor:
        return F.mul(self, other)

    def __rmul__(self: Any, other: Any) -> Tensor:
        return F.mul(other, self)

    def __truediv__(self: Any, other: Any) -> Tensor:
        return F.div(self, other)

    def __rtruediv__(self: Any, other: Any) -> Tensor:
        return F.div(other, self)

    def __floordiv__(self: Any, other: Any) -> Tensor:
        return F.floor_divide(self, other)

    def __rfloordiv__(self: Any, other: Any) -> Tensor:
        return F.floor_divide(other, self)

    def __mod__(self: Any, other: Any) -> Tensor:
        return F.remainder(self, other)

    def __rmod__(self: Any, other: Any) -> Tensor:
        return F.remainder(other, self)

    def __pow__(self: Any, other: Any) -> Tensor:
        return F.pow(self, other)

    def __rpow__(self: Any, other: Any) -> Tensor:
        return F.pow(other, self)

    def __matmul__(self: Any, other: Any) -> Tensor:
        return F.matmul(self, other)

    def __rmatmul__(self: Any, other: Any) -> Tensor:
        return F.matmul(other, self)

    def __neg__(self: Any) -> Tensor:
        return F.neg(self)

    def __abs__(self: Any) -> Tensor:
        return F.abs(self)

    def __invert__(self: Any) -> Tensor:
        return F.bitwise_not(self)

    def __and__(self: Any, other: Any) -> Tensor:
        return F.bitwise_and(self, other)

    def __rand__(self: Any, other: Any) -> Tensor:
        return F.bitwise_and(other, self)

    def __or__(self: Any, other: Any) -> Tensor:
        return F.bitwise_or(self, other)

    def __ror__(self: Any, other: Any) -> Tensor:
        return F.bitwise_or(other, self)

    def __xor__(self: Any, other: Any) -> Tensor:
        return F.bitwise_xor(self, other)

    def __rxor__(self: Any, other: Any) -> Tensor:
        return F.bitwise_xor(other, self)

    def __eq__(self: Any, other: Any) -> Any:
        return F.eq(self, other) if _comparable(other) else NotImplemented  # then Python compares the identity

    def __ne__(self: Any, other: Any) -> Any:
        return F.ne(self, other) if _comparable(other) else NotImplemented

    def __lt__(self: Any, other: Any) -> Tensor:
        return F.lt(self, other)

    def __le__(self: Any, other: Any) -> Tensor:
        return F.le(self, other)

    def __gt__(self: Any, other: Any) -> Tensor:
        return F.gt(self, other)

    def __ge__(self: Any, other: Any) -> Tensor:
        return F.ge(self, other)

    __hash__ = object.__hash__  # by identity, since == compares the elements

    def __getitem__(self: Any, index: Any) -> Tensor:
        return F.index(self, index)

    # x += y and the like: see `_in_place`

    def __iadd__(self: Any, other: Any) -> Tensor:
        return _in_place("x += y", self, F.add(self, other))

    def __isub__(self: Any, other: Any) -> Tensor:
        return _in_place("x -= y", self, F.sub(self, other))

    def __imul__(self: Any, other: Any) -> Tensor:
        return _in_place("x *= y", self, F.mul(self, other))

    def __itruediv__(self: Any, other: Any) -> Tensor:
        return _in_place("x /= y", self, F.div(self, other))

    def __ifloordiv__(self: Any, other: Any) -> Tensor:
        return _in_place("x //= y", self, F.floor_divide(self, other))

    def __imod__(self: Any, other: Any) -> Tensor:
        return _in_place("x %= y", self, F.remainder(self, other))

    def __ipow__(self: Any, other: Any) -> Tensor:
        return _in_place("x **= y", self, F.pow(self, other))

    def __iand__(self: Any, other: Any) -> Tensor:
        return _in_place("x &= y", self, F.bitwise_and(self, other))

    def __ior__(self: Any, other: Any) -> Tensor:
        return _in_place("x |= y", self, F.bitwise_or(self, other))

    def __ixor__(self: Any, other: Any) -> Tensor:
        return _in_place("x ^= y", self, F.bitwise_xor(self, other))

    # Elementwise

    def add(self: Any, other: Any, *, alpha: float = 1) -> Tensor:
        return F.add(self, other, alpha=alpha)

    def sub(self: Any, other: Any, *, alpha: float = 1) -> Tensor:
        return F.sub(self, other, alpha=alpha)

    def mul(self: Any, other: Any) -> Tensor:
        return F.mul(self, other)

    def div(self: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        return F.div(self, other, rounding_mode=rounding_mode)

    def neg(self: Any) -> Tensor:
        return F.neg(self)

    def pow(self: Any, exponent: Any) -> Tensor:
        return F.pow(self, exponent)

    def exp(self: Any) -> Tensor:
        return F.exp(self)

    def log(self: Any) -> Tensor:
        return F.log(self)

    def sqrt(self: Any) -> Tensor:
        return F.sqrt(self)

    def abs(self: Any) -> Tensor:
        return F.abs(self)

    def maximum(self: Any, other: Any) -> Tensor:
        return F.maximum(self, other)

    def minimum(self: Any, other: Any) -> Tensor:
        return F.minimum(self, other)

    def clamp(self: Any, min: Any = None, max: Any = None) -> Tensor:
        return F.clamp(self, min, max)

    def where(self: Any, condition: Tensor, other: Any) -> Tensor:
        return F.where(condition, self, other)

    def eq(self: Any, other: Any) -> Tensor:
        return F.eq(self, other)

    def ne(self: Any, other: Any) -> Tensor:
        return F.ne(self, other)

    def lt(self: Any, other: Any) -> Tensor:
        return F.lt(self, other)

    def le(self: Any, other: Any) -> Tensor:
        return F.le(self, other)

    def gt(self: Any, other: Any) -> Tensor:
        return F.gt(self, other)

    def ge(self: Any, other: Any) -> Tensor:
        return F.ge(self, other)

    def isnan(self: Any) -> Tensor:
        return F.isnan(self)

    def isinf(self: Any) -> Tensor:
        return F.isinf(self)

    def isfinite(self: Any) -> Tensor:
        return F.isfinite(self)

    # Activations

    def relu(self: Any) -> Tensor:
        return F.relu(self)

    def sigmoid(self: Any) -> Tensor:
        return F.sigmoid(self)

    def tanh(self: Any) -> Tensor:
        return F.tanh(self)

    def softmax(self: Any, dim: int | None = None, dtype: Any = None) -> Tensor:
        return F.softmax(self, dim, dtype)

    def log_softmax(self: Any, dim: int | None = None, dtype: Any = None) -> Tensor:
        return F.log_softmax(self, dim, dtype)

    def logsumexp(self: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
        return F.logsumexp(self, dim, keepdim)

    # Reductions

    def sum(self: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
        return F.sum(self, dim, keepdim)

    def mean(self: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
        return F.mean(self, dim, keepdim)

    def var(self: Any, dim: Any = None, unbiased: Any = None, *, correction: Any = 1, keepdim: bool = False) -> Tensor:
        return F.var(self, dim, unbiased, correction=correction, keepdim=keepdim)

    def std(self: Any, dim: Any = None, unbiased: Any = None, *, correction: Any = 1, keepdim: bool = False) -> Tensor:
        return F.std(self, dim, unbiased, correction=correction, keepdim=keepdim)

    def max(self: Any, dim: Any = None, keepdim: bool = False) -> Any:
        return F.max(self, dim, keepdim)

    def min(self: Any, dim: Any = None, keepdim: bool = False) -> Any:
        return F.min(self, dim, keepdim)

    def amax(self: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
        return F.amax(self, dim, keepdim)

    def amin(self: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
        return F.amin(self, dim, keepdim)

    def argmax(self: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:
        return F.argmax(self, dim, keepdim)

    def argmin(self: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:
        return F.argmin(self, dim, keepdim)

    def any(self: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
        return F.any(self, dim, keepdim)

    def all(self: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
        return F.all(self, dim, keepdim)

    # Shape

    def reshape(self: Any, *shape: Any) -> Tensor:
        return F.reshape(self, arguments.sizes("reshape", "shape", shape))

    def view(self: Any, *shape: Any) -> Tensor:
        """Return `reshape` without a copy; a ShapeError where the memory is not in the right order for that."""
        result = F.reshape(self, arguments.sizes("view", "shape", shape))
        if result.data.size and not np.may_share_memory(result.data, self.data):
            raise ShapeError(f"view: a tensor of shape {self.shape} and this memory order needs a copy; use .reshape")
        return result

    def flatten(self: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        return F.flatten(self, start_dim, end_dim)

    def permute(self: Any, *axes: Any, dims: Any = ()) -> Tensor:
        return F.permute(self, arguments.sizes("permute", "dims", axes or (dims,)))

    def transpose(self: Any, dim0: int, dim1: int) -> Tensor:
        return F.transpose(self, dim0, dim1)

    def t(self: Any) -> Tensor:
        """Return a matrix transposed; a vector is returned as it is."""
        if self.ndim > 2:
            raise ShapeError(f"t: needs at most two axes, got shape {self.shape}; use .transpose(dim0, dim1)")
        return F.permute(self, tuple(range(self.ndim))[::-1])

    @property
    def T(self: Any) -> Tensor:
        """The tensor with its axes in reverse order."""
        return F.permute(self, tuple(range(self.ndim))[::-1])

    @property
    def mT(self: Any) -> Tensor:
        """Each matrix of the last two axes transposed."""
        if self.ndim < 2:
            raise ShapeError(f"mT: needs at least two axes, got shape {self.shape}")
        return F.transpose(self, -2, -1)

    def expand(self: Any, *size: Any) -> Tensor:
        return F.expand(self, arguments.sizes("expand", "size", size))

    def expand_as(self: Any, other: Tensor) -> Tensor:
        return F.expand(self, other.shape)

    def reshape_as(self: Any, other: Tensor) -> Tensor:
        return F.reshape(self, other.shape)

    def squeeze(self: Any, dim: Any = None) -> Tensor:
        return F.squeeze(self, dim)

    def unsqueeze(self: Any, dim: int) -> Tensor:
        return F.unsqueeze(self, dim)

    def split(self: Any, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
        return F.split(self, split_size, dim)

    def flip(self: Any, *axes: Any, dims: Any = ()) -> Tensor:
        return F.flip(self, arguments.sizes("flip", "dims", axes or (dims,)))

    # Matrices

    def matmul(self: Any, other: Tensor) -> Tensor:
        return F.matmul(self, other)

    # Types, devices, memory (last, since below them `float` and `int` mean these methods)

    def to(self: Any, *args: Any, dtype: Any = None, device: str | None = None) -> Tensor:
        """Return the tensor in another type, on another device, or as another tensor has them."""
        for argument in args:
            if isinstance(argument, Methods):
                like: Any = argument
                dtype, device = like.dtype, like.device
            elif isinstance(argument, str) and argument.partition(":")[0] in ("reference", "cpu", "cuda"):
                device = argument
            else:
                dtype = argument
        return F.to(self, dtype, device)

    def type_as(self: Any, other: Tensor) -> Tensor:
        return F.to(self, other.dtype)

    def cpu(self: Any) -> Tensor:
        return F.to(self, None, "cpu")

    def clone(self: Any) -> Tensor:
        return F.clone(self)

    def contiguous(self: Any) -> Tensor:
        """Return the tensor itself if its memory is row-major, else a copy that is."""
        return self if self.data.flags.c_contiguous else F.clone(self, contiguous=True)

    def double(self: Any) -> Tensor:
        return F.to(self, float64)

    def long(self: Any) -> Tensor:
        return F.to(self, int64)

    def float(self: Any) -> Tensor:
        return F.to(self, float32)

    def int(self: Any) -> Tensor:
        return F.to(self, int32)

    def bool(self: Any) -> Tensor:
        return F.to(self, bool_)


def _comparable(value: Any) -> bool:
    return isinstance(value, (Methods, int, float, np.generic, np.ndarray))


def _in_place(name: str, x: Any, result: Tensor) -> Tensor:
    """Return x after `x += y`: x itself with the result written into it, or the result if that is on the tape.

    What is recorded cannot be overwritten, so there `x += y` means `x = x + y`, and other names of x keep the
    former tensor. A parameter is refused, as in PyTorch: update it under `mc.no_grad()`, where nothing is recorded.
    """
    if result.requires_grad:
        if x.is_leaf and x.requires_grad:
            raise GradientError(
                f"{name}: x is a leaf that requires a gradient; update it under mc.no_grad(), "
                f"or write x = x {name[2:-3]} y"
            )
        return result
    if result.shape != x.shape:
        raise ShapeError(f"{name}: the result has shape {result.shape}, x has {x.shape}")
    if (result.dtype.kind == "f" and x.dtype.kind != "f") or (x.dtype == bool and result.dtype != bool):
        raise DTypeError(f"{name}: the result is {result.dtype}, x is {x.dtype}, which cannot hold it")
    written: Tensor = x._write(name, ..., result)
    return written
