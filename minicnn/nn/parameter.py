"""Parameter: a tensor that a module trains."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._device import current_device, device, put, usable
from .._tensor import Tensor
from ..dtypes import check_dtype, float32
from ..errors import DTypeError
from ..ops import arguments


class Parameter(Tensor):
    """A leaf tensor that requires a gradient and that a `Module` finds when it is assigned to an attribute.

    A tensor lends its memory, other data are copied. Raises DTypeError for integers, which have no gradient,
    unless `requires_grad=False`.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        tensor = data if isinstance(data, Tensor) else Tensor(data)
        if requires_grad and tensor.dtype.kind != "f":
            raise DTypeError(f"Parameter: data are {tensor.dtype}, only floats can be trained; use .float()")
        self.data, self.device, self.grad = tensor.data, tensor.device, None
        self._node, self._index, self._hooks = None, -1, None
        self._requires_grad = bool(requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


def new_parameter(layer: str, shape: tuple[int, ...], device_name: str | None, dtype: Any) -> Parameter:
    """Return a parameter of zeros, to be filled by the layer's `reset_parameters`."""
    found = float32 if dtype is None else check_dtype(layer, dtype)
    if found.kind != "f" or found.itemsize < 4:
        raise DTypeError(f"{layer}: dtype is {found}, needs float32 or float64")
    where = current_device() if device_name is None else device(device_name)
    with_zeros = Tensor.__new__(Tensor)
    arguments.possible(layer, shape)
    with_zeros.data, with_zeros.device = put(np.zeros(shape, found), usable(where)), where
    return Parameter(with_zeros)
