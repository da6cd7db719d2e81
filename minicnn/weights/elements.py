"""The types of numbers in files of weights, and how the bytes of each become an array.

Half precision and bfloat16 become float32, which holds both exactly: 1 sign, 8 exponent and 23 fraction bits against
1, 5, 10 of float16 and 1, 8, 7 of bfloat16, which is the upper half of a float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._device import current_device, put
from .._tensor import Tensor, wrap
from ..errors import CheckpointError

Array = npt.NDArray[Any]

# name -> the type in the file; bfloat16, which NumPy does not have, is read as whole numbers of 16 bits
STORED: dict[str, np.dtype[Any]] = {
    "float64": np.dtype(np.float64),
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(np.uint16),
    "int64": np.dtype(np.int64),
    "int32": np.dtype(np.int32),
    "int16": np.dtype(np.int16),
    "int8": np.dtype(np.int8),
    "uint8": np.dtype(np.uint8),
    "bool": np.dtype(np.bool_),
}
LOADED: dict[str, np.dtype[Any]] = {**STORED, "float16": np.dtype(np.float32), "bfloat16": np.dtype(np.float32)}


def from_bytes(where: str, raw: bytes | bytearray | memoryview, name: str, byteorder: str = "little") -> Array:
    """Return the numbers in `raw` as a new array (n,) of the type in which they are loaded.

    Raises CheckpointError for bytes that are no whole number of elements, and for a bool other than 0 and 1.
    """
    stored = STORED[name].newbyteorder("<" if byteorder == "little" else ">")
    if len(raw) % stored.itemsize:
        raise CheckpointError(f"{where} has {len(raw)} bytes, not a whole number of elements of {name}")
    if name == "bool":
        numbers = np.frombuffer(raw, np.uint8)
        if numbers.size and numbers.max() > 1:
            raise CheckpointError(f"{where} is bool and holds the byte {numbers.max()}, needs 0 or 1")
        return numbers.astype(np.bool_)
    numbers = np.frombuffer(raw, stored)
    if name == "bfloat16":
        wide = numbers.astype(np.uint32)
        wide <<= 16
        return wide.view(np.float32)
    return numbers.astype(LOADED[name])


def to_tensor(array: Array) -> Tensor:
    """Return a tensor on the current device around an array that nobody else writes to."""
    where = current_device()
    return wrap(put(array, where), where, None, 0)
