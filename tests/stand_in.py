"""A stand-in for CuPy: arrays on the host that refuse what CuPy's arrays refuse.

With it, code that will run on `cuda` (the tape, layouts, bookkeeping of shapes) runs in the ordinary tests. It is a
module object of the name `cupy` around NumPy. What it refuses or does otherwise, and where CuPy says so:

- conversion to a NumPy array unless by `.get()`: TypeError (`_ndarray_base.__array__` in cupy/_core/core.pyx)
- arithmetic with NumPy arrays and lists: TypeError (docs, user guide, "Differences between CuPy and NumPy":
  UFuncs and data types; `_preprocess_args` in cupy/_core/_kernel.pyx)
- methods of NumPy's ufuncs other than the call, such as `np.add.at`, `np.add.reduce`: TypeError
  (`_ndarray_base.__array_ufunc__` in cupy/_core/core.pyx); `cupy.add.at` exists
- NumPy functions that CuPy has not, among them `np.lib.stride_tricks.as_strided` on a CuPy array: TypeError
  (`_ndarray_base.__array_function__` in cupy/_core/core.pyx; the array has no `__array_interface__`)
- reductions and elements are arrays without axes, not scalars (docs, same page: Zero-dimensional array)
- an index array that is out of range wraps around in silence (docs, same page: Out-of-bounds indices)
- truth, `int` and `float` of an array are taken, but copy from the device: counted in `transfers`
"""

from __future__ import annotations

import types
from collections import Counter
from importlib.machinery import ModuleSpec
from typing import Any

import numpy as np

transfers = 0
"""How often values went to the host: each would stall a GPU."""

calls: Counter[str] = Counter()
"""How often each of CuPy's functions, methods and operators made floats: on a GPU, by a kernel that is not ours."""

FUNCTIONS = {
    "zeros", "ones", "full", "empty", "arange", "zeros_like", "ones_like", "full_like", "empty_like", "concatenate",
    "stack", "where", "take", "flip", "moveaxis", "broadcast_to", "transpose", "reshape", "expand_dims", "squeeze",
    "add", "subtract", "multiply", "divide", "true_divide", "negative", "power", "maximum", "minimum", "clip", "exp",
    "log", "sqrt", "abs", "sign", "tanh", "isfinite", "isnan", "equal", "not_equal", "less", "less_equal", "greater",
    "greater_equal", "logical_and", "logical_or", "logical_not", "sum", "mean", "prod", "var", "max", "min", "amax",
    "amin", "argmax", "matmul", "einsum",
}  # fmt: skip
METHODS = {
    "sum", "mean", "prod", "max", "min", "any", "all", "argmax", "var", "reshape", "ravel", "transpose", "squeeze",
    "astype", "copy", "fill",
}  # fmt: skip


class ndarray:
    """An array "on the device"."""

    __array_priority__ = 100

    def __init__(self, host: np.ndarray, base: ndarray | None = None) -> None:
        self._host = host
        self.base = base

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "dtype", "ndim", "size", "strides", "nbytes", "itemsize", "flags"):
            return getattr(self._host, name)
        if name in METHODS:
            return lambda *args, **kwargs: _made(name, getattr(self._host, name)(*_host(args), **_host(kwargs)), self)
        if name == "data":
            return types.SimpleNamespace(ptr=self._host.ctypes.data)
        if name == "T":
            return _wrapped(self._host.T, self)
        raise AttributeError(f"cupy.ndarray has no attribute {name!r}")

    def get(self) -> np.ndarray:
        """Copy to the host."""
        _count()
        return self._host.copy()

    def item(self) -> Any:
        """Copy the one element to the host."""
        _count()
        return self._host.item()

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct one explicitly."
        )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or ufunc.__name__ not in FUNCTIONS:
            return NotImplemented
        _refuse_host_arrays(inputs)
        return _made(ufunc.__name__, ufunc(*_host(inputs), **_host(kwargs)), self)

    def __array_function__(self, function: Any, kinds: Any, args: Any, kwargs: Any) -> Any:
        if function.__name__ not in FUNCTIONS or function.__module__ != "numpy":
            return NotImplemented
        _refuse_host_arrays(args)
        return _made(function.__name__, function(*_host(args), **_host(kwargs)), self)

    def __getitem__(self, index: Any) -> ndarray:
        return _wrapped(self._host[_wrapping(index, self.shape)], self)

    def __setitem__(self, index: Any, value: Any) -> None:
        _refuse_host_arrays([value])
        self._host[_wrapping(index, self.shape)] = _host(value)

    def __len__(self) -> int:
        return len(self._host)

    def __bool__(self) -> bool:
        _count()
        return bool(self._host)

    def __int__(self) -> int:
        _count()
        return int(self._host)

    def __float__(self) -> float:
        _count()
        return float(self._host)


def _operator(name: str) -> Any:
    def operate(self: ndarray, *others: Any) -> Any:
        _refuse_host_arrays(others)
        return _made(name, getattr(self._host, name)(*_host(others)), self)

    return operate


def _in_place(name: str) -> Any:
    def operate(self: ndarray, other: Any) -> ndarray:
        _refuse_host_arrays([other])
        _made(name, getattr(self._host, name)(_host(other)), self)
        return self

    return operate


for _name in ["add", "sub", "mul", "truediv", "pow", "matmul", "and", "or", "xor", "mod", "floordiv"]:
    for _form in (f"__{_name}__", f"__r{_name}__"):
        setattr(ndarray, _form, _operator(_form))
for _name in ["iadd", "isub", "imul", "itruediv"]:
    setattr(ndarray, f"__{_name}__", _in_place(f"__{_name}__"))
for _name in ["neg", "abs", "invert", "eq", "ne", "lt", "le", "gt", "ge"]:
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))
ndarray.__hash__ = object.__hash__  # type: ignore[method-assign]
ndarray.__module__ = "cupy"


def _count() -> None:
    global transfers
    transfers += 1


def _host(value: Any) -> Any:
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, tuple | list):
        return type(value)(map(_host, value))
    return {k: _host(v) for k, v in value.items()} if isinstance(value, dict) else value


def _made(name: str, value: Any, source: ndarray | None) -> Any:
    """Return a result as the stand-in's array, and count it if it holds floats."""
    if getattr(value, "dtype", np.dtype(bool)).kind == "f":
        calls[name] += 1
    return _wrapped(value, source)


def _wrapped(value: Any, source: ndarray | None) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        host = np.asarray(value)
        view = source is not None and np.shares_memory(host, source._host)
        return ndarray(host, (source if source.base is None else source.base) if view and source is not None else None)
    if isinstance(value, tuple | list):
        return type(value)(_wrapped(v, source) for v in value)
    return value


def _refuse_host_arrays(values: Any) -> None:
    for value in values:
        if isinstance(value, np.ndarray):
            raise TypeError(f"Unsupported type {type(value)}")
        if isinstance(value, tuple | list):
            _refuse_host_arrays(value)


def _wrapping(index: Any, shape: tuple[int, ...]) -> Any:
    """Return an index whose arrays of numbers wrap around, as CuPy's do."""
    parts = index if isinstance(index, tuple) else (index,)
    taken, axis = [], 0
    for part in parts:
        host = part._host if isinstance(part, ndarray) else part
        if isinstance(host, np.ndarray) and host.dtype.kind in "iu" and axis < len(shape) and shape[axis]:
            host = host % shape[axis]
        axis += host.ndim if isinstance(host, np.ndarray) and host.dtype.kind == "b" else host is not None
        taken.append(host)
    return tuple(taken) if isinstance(index, tuple) else taken[0]


class _Add:
    """`cupy.add`: a call, and `at`."""

    def __call__(self, a: Any, b: Any) -> ndarray:
        return a + b

    def at(self, array: ndarray, index: Any, values: Any) -> None:
        _refuse_host_arrays([values])
        np.add.at(array._host, _wrapping(index, array.shape), _host(values))


def module() -> types.ModuleType:
    """Return the stand-in as a module `cupy`."""
    cupy = types.ModuleType("cupy", __doc__)
    cupy.__spec__ = ModuleSpec("cupy", None)

    def function(name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            _refuse_host_arrays(args)
            source = next((a for a in [*args, *(args[0] if args and isinstance(args[0], tuple | list) else ())]
                           if isinstance(a, ndarray)), None)  # fmt: skip
            return _made(name, getattr(np, name)(*_host(args), **_host(kwargs)), source)

        return call

    for name in FUNCTIONS:
        setattr(cupy, name, function(name))
    cupy.add = _Add()  # type: ignore[attr-defined]
    cupy.ndarray = ndarray  # type: ignore[attr-defined]
    cupy.asarray = lambda a, dtype=None: a if isinstance(a, ndarray) else ndarray(np.array(a, dtype))  # type: ignore[attr-defined]
    cupy.asnumpy = lambda a: a.get()  # type: ignore[attr-defined]
    cupy.cuda = types.SimpleNamespace(  # type: ignore[attr-defined]  # one GPU, an A100
        runtime=types.SimpleNamespace(
            getDeviceCount=lambda: 1, getDevice=lambda: 0, memGetInfo=lambda: (30 * 2**30, 80 * 2**30)
        ),
        Device=lambda number: types.SimpleNamespace(compute_capability="80"),
    )
    return cupy
