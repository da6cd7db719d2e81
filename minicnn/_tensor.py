"""Tensor: an array, its gradient, and the edge of the tape that made it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import _inplace, _methods
from ._device import Device, current_device, device, put, usable
from ._methods import Methods
from .dtypes import bool_, check_dtype, float32, int64
from .errors import DTypeError, GradientError, ShapeError

Array = Any  # a NumPy or CuPy array
Index = Any


class Tensor(Methods):
    """An n-dimensional array that remembers how it was computed.

    Made by `mc.tensor(data)` and by operations. Operators, broadcasting and indexing follow NumPy, types
    and names follow PyTorch. `.data` is the array itself: writing into it is invisible to the tape.
    """

    __slots__ = (
        "__weakref__", "_hooks", "_index", "_node", "_requires_grad", "data", "device", "grad",
    )  # fmt: skip
    __array_priority__ = 1000  # an array on the left of an operator leaves the operation to us

    data: Array
    device: Device
    grad: Tensor | None
    _requires_grad: bool
    _node: Any  # the Function that made it, None for a leaf
    _index: int  # which of the node's outputs it is, −1 for a leaf
    _hooks: list[Any] | None

    def __init__(self, data: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> None:
        self.data, self.device = _new_array(data, dtype, device)
        self.grad = None
        self._node, self._index, self._hooks = None, -1, None
        self._requires_grad = False
        self.requires_grad = requires_grad

    # What it is

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        shape: tuple[int, ...] = self.data.shape
        return shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.data.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        dtype: np.dtype[Any] = self.data.dtype
        return dtype

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self.data.dtype.kind != "f":
            raise DTypeError(f"requires_grad: only float tensors have gradients, this one is {self.dtype}")
        if not value and self._node is not None:
            raise GradientError("requires_grad: a computed tensor cannot be switched off; use .detach()")
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether the tensor was made by the user and not by a recorded operation."""
        return self._node is None

    @property
    def grad_fn(self) -> Any:
        """The Function that made the tensor, or None."""
        return self._node

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or the size of one axis."""
        return self.data.shape if dim is None else self.data.shape[arguments.axis("size", self, dim)]

    def numel(self) -> int:
        """Return the number of elements."""
        return int(self.data.size)

    def dim(self) -> int:
        """Return the number of axes."""
        return self.ndim

    def is_contiguous(self) -> bool:
        """Return whether the memory is in NCHW (row-major) order."""
        return bool(self.data.flags.c_contiguous)

    def is_floating_point(self) -> bool:
        """Return whether the elements are floats."""
        return bool(self.data.dtype.kind == "f")

    def __repr__(self) -> str:
        array = self.numpy()
        suffix = "" if array.dtype in (float32, int64, bool_) else f", dtype={array.dtype}"
        if self.device != "cpu":
            suffix += f", device='{self.device}'"
        if self._node is not None:
            suffix += f", grad_fn=<{type(self._node).__name__}>"
        elif self._requires_grad:
            suffix += ", requires_grad=True"
        numbers = np.array2string(array, separator=", ", prefix="tensor(", precision=4, threshold=1000)
        if array.size == 0:
            suffix = f", shape={array.shape}" + suffix
        return f"tensor({numbers}{suffix})"

    # Out of the tape and into other forms

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return the values as a NumPy array, which shares memory with the tensor where it can."""
        data = self.data
        return data if isinstance(data, np.ndarray) else data.get()  # CuPy's copy to the host

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = self.numpy()
        if copy is False and dtype is not None and array.dtype != dtype:
            raise ValueError(f"a tensor of {array.dtype} cannot be seen as {dtype} without a copy")
        return np.array(array, dtype, copy=copy)

    def item(self) -> Any:
        """Return the one element as a Python number."""
        if self.data.size != 1:
            raise ShapeError(f"item: needs a tensor with one element, this one has shape {self.shape}")
        return self.data.item()

    def tolist(self) -> Any:
        """Return the values as nested lists of Python numbers."""
        return self.numpy().tolist()

    def detach(self) -> Tensor:
        """Return a leaf that shares the memory and requires no gradient."""
        return wrap(self.data, self.device, None, 0)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise GradientError("deepcopy: only leaf tensors can be copied with their tape; use .detach()")
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        new.data, new.device = self.data.copy(), self.device
        new.grad = None if self.grad is None else self.grad.__deepcopy__(memo)
        new._node, new._index, new._hooks, new._requires_grad = None, -1, None, self._requires_grad
        return new

    def __reduce__(self) -> Any:
        if self._node is not None:
            raise GradientError("pickle: only leaf tensors can be pickled; use .detach()")
        return _rebuild, (type(self), self.numpy(), str(self.device), self._requires_grad)

    # The tape

    def backward(self, gradient: Tensor | None = None, retain_graph: bool = False) -> None:
        """Add the gradient of this tensor to `.grad` of every leaf it was computed from.

        `gradient` has the tensor's shape; for a scalar it is 1 by default. See `minicnn.autograd`.
        """
        autograd.backward([self], [gradient], retain_graph)

    def register_hook(self, hook: autograd.Hook) -> autograd.HookHandle:
        """Call `hook(grad)` when the gradient of this tensor is known; what it returns replaces it."""
        if not self._requires_grad:
            raise GradientError("register_hook: the tensor does not require a gradient")
        if self._node is None:
            self._hooks = hooks = self._hooks if self._hooks is not None else []
        else:
            self._node._hooks = self._node._hooks or {}
            hooks = self._node._hooks.setdefault(self._index, [])
        hooks.append(hook)
        return autograd.HookHandle(hooks, hook)

    def retain_grad(self) -> None:
        """Keep `.grad` for this computed tensor, too; leaves have it anyway."""
        if not self._requires_grad:
            raise GradientError("retain_grad: the tensor does not require a gradient")
        if self._node is not None:
            # A weak reference: the node must not keep its own result alive.
            self._node._retained = self._node._retained or {}
            self._node._retained[self._index] = weakref.ref(self)

    # In-place writes: not recorded, but announced, so that backward notices

    def _write(self, name: str, index: Index, value: Any) -> Tensor:
        if self._requires_grad and autograd.is_grad_enabled():
            raise GradientError(
                f"{name}: an in-place write into a tensor that requires a gradient is not recorded; "
                "do it under mc.no_grad(), or compute a new tensor, for instance with F.where"
            )
        if isinstance(value, Tensor) and value._requires_grad and autograd.is_grad_enabled():
            raise GradientError(
                f"{name}: the value requires a gradient, which an in-place write does not record; write .detach(), or "
                "compute a new tensor, for instance with F.where, F.cat or F.stack"
            )
        first, then = indexing.parsed(name, self, index)
        place = self.data[first]
        array = _written_values(name, value, self)
        if not place.flags.writeable:
            raise ShapeError(f"{name}: several elements of an expanded tensor are one; write into a copy, x.clone()")
        try:
            place[... if then is None else then] = array
        except ValueError:
            shape = (place if then is None else place[then]).shape
            raise ShapeError(f"{name}: value has shape {array.shape}, the place has {shape}") from None
        _inplace.written(self.data, name)
        return self

    def __setitem__(self, index: Index, value: Any) -> None:
        self._write("x[i] = value", index, value)

    def copy_(self, source: Any) -> Tensor:
        """Write the values of another tensor or array into this one."""
        return self._write("copy_", ..., source)

    def fill_(self, value: float) -> Tensor:
        """Write one number into every element."""
        return self._write("fill_", ..., value)

    def zero_(self) -> Tensor:
        """Write zeros."""
        return self._write("zero_", ..., 0)

    # Python's own

    def __len__(self) -> int:
        if self.ndim == 0:
            raise DTypeError("len: a tensor without axes has no length")
        return int(self.data.shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self.data.size != 1:
            raise ShapeError(f"bool: a tensor of shape {self.shape} is neither true nor false; use .any() or .all()")
        return bool(self.data)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.data.dtype.kind not in "iu":
            raise DTypeError(f"index: needs an integer tensor, this one is {self.dtype}")
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item() if self.data.size == 1 and spec else repr(self), spec)

    def __contains__(self, value: Any) -> bool:
        return bool((self.data == (value.data if isinstance(value, Tensor) else value)).any())


def tensor(data: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return a new tensor holding a copy of the data.

    Python floats become float32, ints int64, bools bool; arrays and tensors keep their type.
    Raises ShapeError for ragged lists and DTypeError for what is not a number.
    """
    return Tensor(data, dtype, device, requires_grad)


def wrap(data: Array, device: Device, node: Any, index: int) -> Tensor:
    """Return a tensor around an array, without a copy; with a node it is the node's output."""
    new = Tensor.__new__(Tensor)
    new.data = data
    new.device = device
    new.grad = None
    new._hooks = None
    new._node = node
    if node is None:
        new._index, new._requires_grad = -1, False
    else:
        new._index, new._requires_grad = index, True
    return new


def _new_array(data: Any, dtype: Any, where: str | None) -> tuple[Array, Device]:
    """Return a fresh array and its device for `mc.tensor`."""
    dtype = None if dtype is None else check_dtype("tensor", dtype)
    if isinstance(data, Tensor):
        where = data.device if where is None else where
        array = data.numpy()
    elif hasattr(data, "get") and hasattr(data, "dtype"):  # a CuPy array
        array = data.get()
    else:
        try:
            array = np.asarray(data)
        except ValueError:
            raise ShapeError("tensor: the rows of the data have different lengths") from None
        if not isinstance(data, (np.ndarray, np.generic)) and not _holds_numpy(data):
            array = _python_type(data, array)
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise DTypeError(f"tensor: needs real numbers, got {array.dtype} from {type(data).__name__}")
    target = current_device() if where is None else device(where)
    new = np.array(array, array.dtype.newbyteorder("=") if dtype is None else dtype, order="K", copy=True)
    return put(new, usable(target)), target


def _written_values(name: str, value: Any, target: Tensor) -> Array:
    """Return what is to be written into a tensor as an array; refuse numbers that its type cannot hold."""
    try:
        array = value.data if isinstance(value, Tensor) else np.asarray(value)
    except ValueError:
        raise ShapeError(f"{name}: the rows of the value have different lengths") from None
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"{name}: value must be numbers, got {array.dtype} from {type(value).__name__}")
    dtype = target.dtype
    if dtype.kind in "iu" and array.dtype != dtype and array.size:
        low, high = array.min(), array.max()
        if not (np.iinfo(dtype).min - 1 < low and high < np.iinfo(dtype).max + 1):  # true of nan, too
            raise DTypeError(f"{name}: {low if low == high else f'{low} … {high}'} does not fit into {dtype}")
    return put(array, target.device)


def _python_type(data: Any, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return numbers that came as Python's own in PyTorch's default types."""
    if array.dtype.kind == "f" or array.size == 0:
        return array.astype(float32)
    if array.dtype.kind == "i":
        return array.astype(int64)
    return array


def _holds_numpy(data: Any) -> bool:
    """Return whether the first number in nested lists is NumPy's or a tensor's, so has a type of its own."""
    while isinstance(data, Sequence) and not isinstance(data, (str, bytes)) and len(data):
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic, Tensor))


def _rebuild(cls: type[Tensor], array: Array, where: str, requires_grad: bool) -> Tensor:
    new = wrap(array, device(where), None, 0)
    new.__class__ = cls
    new.requires_grad = requires_grad
    return new


# Tensor, the tape and the operations need each other; at this point Tensor is complete.
from . import autograd  # noqa: E402
from . import functional as F  # noqa: E402
from .ops import arguments, indexing  # noqa: E402

_methods.F, _methods.arguments = F, arguments
