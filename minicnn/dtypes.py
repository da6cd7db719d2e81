"""Number types, and which type comes out when two of them meet (PyTorch's rules, not NumPy's)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import DTypeError

DType = np.dtype[Any]

float32: DType = np.dtype(np.float32)
float64: DType = np.dtype(np.float64)
float16: DType = np.dtype(np.float16)
int8: DType = np.dtype(np.int8)
int16: DType = np.dtype(np.int16)
int32: DType = np.dtype(np.int32)
int64: DType = np.dtype(np.int64)
uint8: DType = np.dtype(np.uint8)
bool_: DType = np.dtype(np.bool_)

_RANK = {"b": 0, "u": 1, "i": 1, "f": 2}


def check_dtype(name: str, dtype: Any) -> DType:
    """Return a type as NumPy writes it; `float` means float32 and `int` int64, as everywhere in minicnn.

    Raises DTypeError for what is no type of real numbers.
    """
    if dtype is float:
        return float32
    try:
        found: DType = np.dtype(dtype)
    except TypeError:
        devices = ", and no device, which are reference, cpu, cuda, cuda:sim" if name == "to" else ""
        raise DTypeError(f"{name}: dtype {dtype!r} is unknown; use mc.float32, mc.int64, …{devices}") from None
    if found.kind not in _RANK or found.itemsize > 8:
        raise DTypeError(f"{name}: dtype {found} is not supported; use mc.float32, mc.int64, …")
    return found


def scalar_dtype(value: Any) -> DType:
    """Return the type that a Python number has as a tensor."""
    if isinstance(value, (bool, np.bool_)):
        return bool_
    return int64 if isinstance(value, (int, np.integer)) else float32


def promote(a: DType, a_ndim: int | None, b: DType, b_ndim: int | None) -> DType:
    """Return the type in which two operands meet.

    An operand is a Python number (`ndim` None), a tensor without axes (0), or one with axes. Within one
    kind (bool, integer, float) the weaker operand takes the type of the stronger, where axes are stronger
    than no axes, and those stronger than a Python number; a higher kind wins whatever its rank.
    """
    if a == b:
        return a
    rank_a, rank_b = _RANK[a.kind], _RANK[b.kind]
    if rank_a != rank_b:
        return a if rank_a > rank_b else b
    strength_a, strength_b = (-1 if ndim is None else min(ndim, 1) for ndim in (a_ndim, b_ndim))
    if strength_a != strength_b:
        return a if strength_a > strength_b else b
    return np.result_type(a, b)
