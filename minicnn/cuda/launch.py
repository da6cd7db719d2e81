"""Launching kernels: one table per family, one set of checks, and two ways to run: a GPU, or the emulation.

    LAUNCHES = {"relu_forward": per_element("n"), …}         # how each kernel of kernels/activation.cu is launched
    kernels = Family("activation", LAUNCHES)
    kernels("relu_forward", x=x, y=y, n=x.size)              # arguments by the names they have in the kernel

The type T of a kernel is that of its arrays. Array arguments must be C-contiguous; the arrays that a kernel does not
declare `const` are written, and only those that the table lists as `updates` are read before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import DeviceError, DTypeError, ShapeError
from . import source

Array = Any
Dims = tuple[int, int, int]
Arguments = Mapping[str, Any]

MAX_THREADS, MAX_BLOCK_Z, MAX_SHARED = 1024, 64, 48 << 10  # what every GPU since 2012 allows without being asked
MAX_GRID = (2**31 - 1, 65535, 65535)
BLOCK = 256  # threads of a block where each makes one element


@dataclass(frozen=True)
class Launch:
    """How a kernel is launched: its grid as a function of its arguments, its block, what it updates in place."""

    grid: Callable[[Arguments], tuple[int, ...]]
    block: tuple[int, ...] = (BLOCK,)
    updates: tuple[str, ...] = ()
    shared: Callable[[Arguments], int] = lambda a: 0


def ceil_div(a: int, b: int) -> int:
    """Return ⌈a / b⌉."""
    return -(-a // b)


def per_element(count: str, updates: tuple[str, ...] = (), per_thread: int = 1) -> Launch:
    """One thread for each of `count` elements (or for `per_thread` of them), in blocks of 256."""
    return Launch(lambda a: (ceil_div(a[count], BLOCK * per_thread),), updates=updates)


def per_row(rows: str, threads: int = 128, updates: tuple[str, ...] = ()) -> Launch:
    """One block for each of `rows` rows."""
    return Launch(lambda a: (a[rows],), (threads,), updates)


class Argument(NamedTuple):
    """One argument as it goes to a kernel: an array, or a number as exactly the C type of the parameter."""

    name: str
    value: Any
    is_array: bool
    read: bool
    written: bool


launched: Counter[str] = Counter()
"""How often each kernel was launched; a test holds a training step against it."""


class Family:
    """The kernels of one file; call it with a kernel's name and its arguments to launch it."""

    def __init__(self, name: str, launches: Mapping[str, Launch]) -> None:
        self.name, self.launches = name, launches

    def __call__(self, kernel: str, /, **arguments: Any) -> None:
        """Launch a kernel; a grid without blocks launches nothing. Raises DeviceError if it fails."""
        table = self.launches[kernel]
        grid = dims(table.grid(arguments))
        if 0 in grid:
            return
        text = source.read(self.name)
        if kernel not in text.kernels:
            raise DeviceError(f"{text.path}: there is no kernel {kernel}, which minicnn/cuda/{self.name}.py launches")
        prepared, dtype = prepare(kernel, text.kernels[kernel], arguments, table.updates)
        block, shared = dims(table.block), table.shared(arguments)
        symbol = kernel
        if kernel in text.templates:
            if dtype is None:
                raise DTypeError(f"{kernel}: no array says which type it is for")
            symbol = f"{kernel}<{ {4: 'float', 8: 'double'}[dtype.itemsize] }>"
        check_limits(kernel, grid, block, shared)
        launched[kernel] += 1
        if any(a.is_array and type(a.value).__module__.partition(".")[0] == "cupy" for a in prepared):
            from . import gpu

            gpu.launch(text, symbol, grid, block, shared, prepared)
        else:
            from . import emulation

            emulation.launch(text, symbol, grid, block, shared, prepared)


def dims(sizes: tuple[int, ...]) -> Dims:
    """Return the three sizes of a grid or block; those left out are 1."""
    x, y, z = (*sizes, 1, 1)[:3]
    return int(x), int(y), int(z)


def check_limits(kernel: str, grid: Dims, block: Dims, shared: int) -> None:
    """Refuse a launch that a real GPU would refuse, whether there is one or not."""
    threads = block[0] * block[1] * block[2]
    if not 1 <= threads <= MAX_THREADS or min(block) < 1 or block[2] > MAX_BLOCK_Z:
        raise DeviceError(
            f"{kernel}: a block of {block} has {threads} threads, a GPU takes 1 to {MAX_THREADS} and at most "
            f"{MAX_BLOCK_Z} along z"
        )
    if any(not 1 <= n <= most for n, most in zip(grid, MAX_GRID)):
        raise DeviceError(f"{kernel}: a grid of {grid} blocks, a GPU takes 1 to {MAX_GRID}")
    if shared > MAX_SHARED:
        raise DeviceError(f"{kernel}: {shared} bytes of shared memory in a block, a GPU takes {MAX_SHARED}")


def prepare(
    kernel: str, parameters: tuple[source.Parameter, ...], arguments: Arguments, updates: tuple[str, ...] = ()
) -> tuple[list[Argument], np.dtype[Any] | None]:
    """Return the arguments in the kernel's order, each of exactly its parameter's type, and the type T.

    Raises DeviceError for missing and unknown arguments, DTypeError for other types, ShapeError for an array that is
    not C-contiguous or a number that does not fit.
    """
    names = [p.name for p in parameters]
    if set(names) != set(arguments):
        odd = sorted(set(names) ^ set(arguments))
        raise DeviceError(f"{kernel}: the kernel's parameters are {', '.join(names)}; {', '.join(odd)} do not match")
    typed = [arguments[p.name].dtype for p in parameters if p.pointer and p.dtype is None]
    dtype = typed[0] if typed else None
    if any(t != dtype for t in typed) or (dtype is not None and dtype not in (np.float32, np.float64)):
        raise DTypeError(f"{kernel}: arrays of {', '.join(map(str, typed))}; needs all float32 or all float64")
    prepared = []
    for p in parameters:
        value, wanted = arguments[p.name], p.dtype or dtype
        if p.pointer:
            if not hasattr(value, "flags"):
                raise DTypeError(f"{kernel}: {p.name} is {type(value).__name__}, needs an array")
            if value.dtype != wanted:
                raise DTypeError(f"{kernel}: {p.name} is {value.dtype}, needs {wanted}")
            if not value.flags.c_contiguous:
                raise ShapeError(f"{kernel}: {p.name} has strides {value.strides}, needs a C-contiguous array")
        else:
            value = _number(kernel, p.name, value, wanted)
        reads = p.pointer and (p.const or p.name in updates)
        prepared.append(Argument(p.name, value, p.pointer, reads, p.pointer and not p.const))
    return prepared, dtype


def _number(kernel: str, name: str, value: Any, dtype: Any) -> Any:
    """Return a number as a NumPy scalar; CuPy would pass a Python float as a double, whatever the kernel declares."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if int(value) != value or not limits.min <= value <= limits.max:
            raise ShapeError(f"{kernel}: {name} is {value}, needs a whole number from {limits.min} to {limits.max}")
        value = int(value)
    return dtype.type(value)
